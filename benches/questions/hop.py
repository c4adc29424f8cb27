"""What does a token's hop between two sites cost beside a bare socket, and a round beside a hop?"""

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from questions.alternating import chain
from rows import Row
from side import Side

ROWS = [
    Row("hop", "one hop of a chain that changes site 2,000 times", beside="round trip", slower=4),
    Row("round", "a round of a `Repeat` over two sites, less the two hops of its operations", beside="hop", slower=3),
]

_HOPS = 2000
_ROUNDS = 1000
_ECHO = """
import socket, sys
line = socket.socket(fileno=int(sys.argv[1]))
while data := line.recv(64):
    line.send(data)
"""


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    session = side.session()
    sites = [["a", "b"][at % 2] for at in range(_HOPS + 1)]
    prepared = session.prepare(side.pipeline(lambda operations: chain(operations, sites)))
    hop = side.median(session, prepared, 5).result / _HOPS
    yield "hop", hop
    prepared = session.prepare(side.pipeline(_rounds))
    yield "round", side.median(session, prepared, 5).result / _ROUNDS - 2 * hop
    session.close()
    yield "round trip", _round_trip()


def _rounds(operations: Any) -> Any:
    """A value that goes to one site and to another one, again and again; a condition ends it."""
    from dfm.api import Repeat

    with Repeat(start={"value": "x"}, at_most=_ROUNDS) as rounds:
        here = operations.Same(value=rounds["value"], site="a")
        there = operations.Same(value=here, site="b")
        rounds.next(value=there)
        rounds.until(there == "y")
    return rounds.result("value")


def _round_trip() -> float:
    """The median of a small message there and back over a Unix socket, between two Python processes."""
    here, there = socket.socketpair()
    echo = subprocess.Popen([sys.executable, "-c", _ECHO, str(there.fileno())], pass_fds=[there.fileno()])
    there.close()
    times: list[float] = []
    for _ in range(20):
        begin = time.perf_counter()
        for _ in range(200):
            here.send(b"x" * 32)
            here.recv(64)
        times.append((time.perf_counter() - begin) / 200)
    here.close()
    echo.wait()
    return statistics.median(times)
