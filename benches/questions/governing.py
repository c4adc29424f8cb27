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
POLICY = """default: deny
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
        file.write_text(POLICY + f"audit: {{folder: {folder}/log}}\n")
        sessions: list[Any] = [side.session(policies=policies) for policies in ({}, {"a": file})]
        one, many = (side.pipeline(lambda of, length=length: chain(of, ["a"] * length)) for length in (1, _LENGTH))
        free, governed = side.in_turns(sessions, one, turns=20, runs=10)
        free_many, governed_many = side.in_turns(sessions, many, turns=10, runs=1)
        for session in sessions:
            session.close()
    yield "free", free.result
    yield "job", governed.result
    yield "call", (governed_many.result - free_many.result) / _LENGTH
