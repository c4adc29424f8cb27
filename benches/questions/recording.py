"""What does it cost that each job leaves a record of what happened in it?"""

import os
import tempfile
from collections.abc import Iterator
from typing import Any

from questions.alternating import chain
from rows import Row
from side import Side

ROWS = [
    Row("result", "warm job that leaves a record, to its result", beside="quiet result", slower=1.03),
    Row("end", "the same, to its end", beside="quiet end", slower=1.03),
    Row("stream", "20,000 parameter sets through one operation, to the end", beside="quiet stream", slower=1.03),
    Row("call", "what the record adds to each call of a chain of 1,000 that do nothing", beside="", below=2e-6),
]

_LENGTH = 1000
_SETS = 20_000


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        sessions: list[Any] = []
        for history in ("0", "1"):
            os.environ["DFM_HISTORY"] = history
            sessions.append(side.session())
        one, many = (side.pipeline(lambda of, length=length: chain(of, ["a"] * length)) for length in (1, _LENGTH))
        quiet, recorded = side.in_turns(sessions, one, turns=60, runs=10)
        quiet_many, recorded_many = side.in_turns(sessions, many, turns=15, runs=1)
        quiet_stream, recorded_stream = side.in_turns(sessions, one, turns=5, runs=1, sets=_SETS)
        for session in sessions:
            session.close()
    yield "quiet result", quiet.result
    yield "result", recorded.result
    yield "quiet end", quiet.end
    yield "end", recorded.end
    yield "quiet stream", quiet_stream.end
    yield "stream", recorded_stream.end
    yield "call", (recorded_many.end - quiet_many.end) / _LENGTH
