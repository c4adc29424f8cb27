"""What do a site's policy and its audit log cost?"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from questions.alternating import chain
from rows import Row
from side import Side

ROWS = [
    Row("job", "warm job at a site with a policy and an audit log, to its result", beside="free", slower=1.05),
    Row("call", "what both add to each call of a chain of 1,000", beside="", below=20e-6),
]

_LENGTH = 1000
_POLICY = """default: deny
rules:
  never: {decision: deny, operations: [bench.Array]}
  values: {decision: allow, operations: ["bench.*"], parameters: {value: {one-of: ["1", "2"]}}}
leaves: {kinds: [text, number], bytes: 1000}
per-day: {calls: 100000000, values: 100000000}
"""


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "policy.yaml")
        file.write_text(_POLICY + f"audit: {{folder: {folder}/log}}\n")
        free, governed = (_times(side, policies) for policies in ({}, {"a": file}))
    yield "free", free[0]
    yield "job", governed[0]
    yield "call", (governed[1] - free[1]) / _LENGTH


def _times(side: Side, policies: dict[str, Any]) -> tuple[float, float]:
    """Of a job of one call, and of many."""
    session = side.session(policies=policies)

    def taken(length: int, runs: int) -> float:
        prepared = session.prepare(side.pipeline(lambda operations: chain(operations, ["a"] * length)))
        return side.median(session, prepared, runs).result

    found = taken(1, 200), taken(_LENGTH, 10)
    session.close()
    return found
