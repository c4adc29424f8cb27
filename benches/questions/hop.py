"""What does a token's hop between two sites cost beside a bare socket?"""

import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from questions.alternating import chain
from rows import Row
from side import Side

ROWS = [Row("hop", "one hop of a chain that changes site 2,000 times", beside="round trip", slower=4)]

_HOPS = 2000
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
    yield "hop", side.median(session, prepared, 5).result / _HOPS
    session.close()
    yield "round trip", _round_trip()


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
