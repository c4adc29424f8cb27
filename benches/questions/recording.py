"""What does it cost that each job leaves a record of what happened in it?"""

import os
import statistics
import tempfile
from collections.abc import Iterator
from typing import Any

from questions.alternating import chain
from rows import Row
from side import Side, Times

ROWS = [
    Row("result", "warm job that leaves a record, to its result", beside="quiet result", slower=1.03),
    Row("end", "the same, to its end", beside="quiet end", slower=1.03),
    Row("call", "what the record adds to each call of a chain of 1,000 that do nothing", beside="", below=2e-6),
]

_LENGTH = 1000


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        sessions: list[Any] = []
        for history in ("0", "1"):
            os.environ["DFM_HISTORY"] = history
            sessions.append(side.session())
        (quiet, recorded) = _times(side, sessions, 1, turns=60, runs=10)
        (quiet_many, recorded_many) = _times(side, sessions, _LENGTH, turns=15, runs=1)
        for session in sessions:
            session.close()
    yield "quiet result", quiet.result
    yield "result", recorded.result
    yield "quiet end", quiet.end
    yield "end", recorded.end
    yield "call", (recorded_many.end - quiet_many.end) / _LENGTH


def _times(side: Side, sessions: list[Any], length: int, turns: int, runs: int) -> list[Times]:
    """For each session, which take turns, so that both have the same machine."""
    pipeline = side.pipeline(lambda operations: chain(operations, ["a"] * length))
    asked = [(session, session.prepare(pipeline)) for session in sessions]
    times = [[side.median(*one, runs) for one in asked] for _ in range(turns)]
    return [
        Times(statistics.median(one.result for one in of_one), statistics.median(one.end for one in of_one))
        for of_one in zip(*times, strict=True)
    ]
