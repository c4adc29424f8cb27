"""What do a site's policy and its audit log cost?"""

import statistics
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
        free, governed = _times(side, [{}, {"a": file}])
    yield "free", free[0]
    yield "job", governed[0]
    yield "call", (governed[1] - free[1]) / _LENGTH


def _times(side: Side, sessions: list[dict[str, Any]]) -> list[list[float]]:
    """Of a job of one call, and of many: for each session, which take turns, so that both have the same machine."""
    opened = [side.session(policies=policies) for policies in sessions]
    found: list[list[float]] = [[] for _ in sessions]
    for length, turns, runs in ((1, 20, 10), (_LENGTH, 10, 1)):
        pipeline = side.pipeline(lambda operations, length=length: chain(operations, ["a"] * length))
        asked = [(session, session.prepare(pipeline)) for session in opened]
        times = [[side.median(*one, runs).result for one in asked] for _ in range(turns)]
        for place, of_one in enumerate(zip(*times, strict=True)):
            found[place].append(statistics.median(of_one))
    for session in opened:
        session.close()
    return found
