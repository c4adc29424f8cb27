"""How fast is dfm on NVFlare where its processes have direct connections, beside bare TLS sockets?"""

import functools
import json
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import environments
import numpy
from questions.alternating import chain
from questions.flare import hopping
from rows import Row
from side import Side, ignore

_SIZES = {"1 MB": (125_000, 20, 10), "100 MB": (12_500_000, 4, 5)}
_HOPS = 200
_BESIDE = 125_000_000
"""Elements of an array of 1 GB."""
_LISTENING = ("server", "b")
"""Those that others connect to; the third one is `a`."""

ROWS = [
    Row("result", "job of one operation over direct connections, to its result", beside="", below=0.004),
    Row("nvflare result", "the same through NVFlare", beside="result"),
    Row("hop", "one hop of a chain between two sites over a direct connection", beside="", below=0.001),
    Row("nvflare hop", "the same through NVFlare", beside="hop"),
    Row("small", "job of one operation while 1 GB goes to its site, to its result", beside="result", slower=2),
    Row("nvflare small", "the same through NVFlare", beside="nvflare result", slower=2),
    *(
        row
        for size in _SIZES
        for row in (
            Row(size, f"array of {size} over a direct connection, one hop", beside=f"relayed {size}", slower=2),
            Row(f"nvflare {size}", "the same through NVFlare", beside=f"relayed {size}"),
            Row(f"one {size}", f"bytes of {size} over one TLS socket", beside=""),
            Row(f"relayed {size}", "the same over two of them, through a process that passes them on", beside=""),
        )
    ),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    with environments.poc("ours") as kits:
        yield from _measured(side, kits, "nvflare ")
        for name in ("server", "a", "b", "home@bench.org"):
            _declare(kits / "prod_00" / name, name)
        yield from _measured(side, kits, "")


def _measured(side: Side, kits: Path, road: str) -> Iterator[tuple[str, float]]:
    session = side.flare_session(kits)

    def prepared(build: Callable[[Any], Any]) -> Any:
        return session.prepare(side.pipeline(build))

    hops = prepared(lambda operations: chain(operations, ["a", "b"] * (_HOPS // 2)))
    # The first messages have the processes connect.
    side.run(session, hops)
    one = prepared(lambda operations: operations.Same(site="a", value="1"))
    yield f"{road}result", side.median(session, one, 100).result
    yield f"{road}hop", side.median(session, hops, 5).result / _HOPS
    for size, (length, count, jobs) in _SIZES.items():
        there = prepared(functools.partial(hopping, length, count))
        times: dict[str, list[float]] = {name: [] for name in (f"{road}{size}", f"one {size}", f"relayed {size}")}
        for _ in range(jobs + 1):
            times[f"{road}{size}"].append(side.run(session, there)[0].result / count)
            times[f"one {size}"].append(_sent(kits / "prod_00", 8 * length, relays=0))
            times[f"relayed {size}"].append(_sent(kits / "prod_00", 8 * length, relays=1))
        for name, of_one in times.items():
            yield name, statistics.median(of_one[1:])
    yield f"{road}small", _beside(side, session, one)
    session.close()


def _beside(side: Side, session: Any, one: Any) -> float:
    """The median seconds of a job while a large value goes to its site, whose first time is not counted."""
    large = session.prepare(
        side.pipeline(lambda operations: operations.Ends(site="a", array=side.api.PlaceParam(place="value")))
    )
    times: list[float] = []
    for _ in range(3):
        times.clear()
        job = session.execute(large, {"value": numpy.arange(_BESIDE, dtype=numpy.float64)}, default_callback=ignore)
        while not job.wait_until_finished(0.0):
            times.append(side.run(session, one)[0].result)
        job.raise_for_errors()
    return statistics.median(times)


def _declare(kit: Path, name: str) -> None:
    """As provisioning a POC does whose configuration says so."""
    others = [one for one in _LISTENING if one != name and (name in "ab" or one == "server")]
    said = {
        "format": 1,
        "own": {"ports": [0, 0], "listen": "127.0.0.1"} if name in _LISTENING else None,
        "others": {one: {"host": "127.0.0.1", "ports": [0, 0]} for one in others},
    }
    (kit / "dfm" / "direct.json").write_text(json.dumps(said))


def _sent(kits: Path, size: int, relays: int) -> float:
    """The seconds until so many bytes are at another process, and its answer here, over open mutual TLS connections."""
    processes: list[subprocess.Popen[bytes]] = []
    port = 0
    for _ in range(1 + relays):
        command = [sys.executable, __file__, str(kits), str(size), str(port)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        port = int(processes[-1].stdout.readline())  # type: ignore[union-attr]
    with _connected(kits, port) as there:
        content = bytes(size)
        begin = time.perf_counter()
        there.sendall(content)
        there.recv(1)
        seconds = time.perf_counter() - begin
    for process in processes:
        process.wait()
    return seconds


def _context(kits: Path, of: str, purpose: int) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    context.check_hostname, context.verify_mode = False, ssl.CERT_REQUIRED
    startup = kits / of / "startup"
    context.load_cert_chain(startup / "client.crt", startup / "client.key")
    context.load_verify_locations(startup / "rootCA.pem")
    return context


def _connected(kits: Path, port: int) -> ssl.SSLSocket:
    line = socket.create_connection(("127.0.0.1", port))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _context(kits, "a", ssl.PROTOCOL_TLS_CLIENT).wrap_socket(line)


def _take(kits: Path, size: int, next: int) -> None:
    """Takes so many bytes from who connects, and passes them on to the port `next`, if it is one, as they come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        here = _context(kits, "b", ssl.PROTOCOL_TLS_SERVER).wrap_socket(listener.accept()[0], server_side=True)
    there = _connected(kits, next) if next else None
    buffer = memoryview(bytearray(1 << 18))
    while size:
        came = here.recv_into(buffer)
        size -= came
        if there is not None:
            there.sendall(buffer[:came])
    if there is not None:
        there.recv(1)
    here.sendall(b"!")


if __name__ == "__main__":
    _take(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
