"""How fast is dfm on a real NVFlare federation, beside its peer's and beside raw messages of NVFlare?"""

import functools
import importlib
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import environments
import side as helpers
from questions.alternating import chain
from questions.governing import POLICY
from rows import Row
from side import Side

_SIZES = {"1 MB": (125_000, 20, 10), "100 MB": (12_500_000, 4, 5)}
"""By name: an array's elements, so many hops in one job, so many jobs."""
_MESSAGES = 10_000

ROWS = [
    Row("ready", "NVFlare federation of a server and three clients on this machine, to its readiness", below=8),
    Row("first", "fresh process to its first result there", below=6),
    Row("result", "job of one operation in an open session, to its result", faster=50),
    Row("end", "the same, to its end", faster=50),
    Row("governed", "the same at a site with a policy and an audit log, to its result", beside="free", slower=1.05),
    *(
        Row(size, f"array of {size} from one site to another, one hop", beside=f"raw {size}", slower=1.5)
        for size in _SIZES
    ),
    Row("threads", f"more threads after {_MESSAGES:,} messages, at worst", "threads", beside="", below=3),
    Row("server", "the server's process", "MB"),
    Row("server's job", "its process for the session", "MB"),
    Row("client", "a client's process", "MB"),
    Row("client's job", "its process for the session", "MB"),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    begin = time.perf_counter()
    with environments.poc("ours" if side.ours else "peer") as kits:
        yield "ready", time.perf_counter() - begin
        yield "first", statistics.median([_start(side, kits) for _ in range(3 if side.ours else 1)])
        session = side.flare_session(kits)
        prepared = session.prepare(side.pipeline(lambda operations: operations.Same(site="a", value="1")))
        # The peer's session has room for four jobs.
        times = side.median(session, prepared, 50 if side.ours else 3)
        yield "result", times.result
        yield "end", times.end
        if side.ours:
            yield from _arrays(side, session)
            yield "threads", _more_threads(side, session, kits)
        yield from _memory(kits)
        session.close()
        if side.ours:
            yield from _governed(side, kits)


def _start(side: Side, kits: Path) -> float:
    """The seconds of a fresh process to its first result."""
    begin = time.perf_counter()
    command = [sys.executable, __file__, side.package, str(kits)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        # The peer prints more.
        while (answer := process.stdout.readline()) not in (b"", b"1\n"):
            pass
        seconds = time.perf_counter() - begin
    if not answer:
        raise RuntimeError("the process did not answer")
    return seconds


def _governed(side: Side, kits: Path) -> Iterator[tuple[str, float]]:
    """The times at a site with such a policy and at one with that of a new kit, taken in turns in one session; then the
    same with the sites exchanged, as one of them may be the slower one."""
    times: dict[str, list[float]] = {"governed": [], "free": []}
    for governed, free in (("a", "b"), ("b", "a")):
        file = kits.joinpath("prod_00", governed, "local", "policy.yaml")
        before = file.read_text()
        file.write_text(POLICY + "audit: {}\n")
        try:
            session = side.flare_session(kits)
            at = {
                name: session.prepare(
                    side.pipeline(lambda operations, site=site: operations.Same(site=site, value="1"))
                )
                for name, site in (("governed", governed), ("free", free))
            }
            for _ in range(30):
                for name, prepared in at.items():
                    times[name].append(side.median(session, prepared, 10).result)
            session.close()
        finally:
            # The federation is the next run's too.
            file.write_text(before)
    for name, of_one in times.items():
        yield name, statistics.median(of_one)


def _arrays(side: Side, session: Any) -> Iterator[tuple[str, float]]:
    """The times of hops and of raw messages of the same size, taken in turns."""
    raw = importlib.import_module("benchfed.fed.api.raw")

    def prepared(build: Callable[[Any], Any]) -> Any:
        return session.prepare(side.pipeline(build))

    there = side.run(session, prepared(lambda _: raw.Hear(site="b", value="1")))[1][0]
    for size, (length, hops, jobs) in _SIZES.items():
        there_and_back = prepared(functools.partial(hopping, length, hops))
        sending = [
            prepared(lambda _, way=way, length=length: raw.Send(site="a", to=there, length=8 * length, streamed=way))
            for way in (False, True)
        ]
        hop: list[float] = []
        raws: list[list[float]] = [[], []]
        for _ in range(jobs + 1):
            hop.append(side.run(session, there_and_back)[0].result / hops)
            for way, times in zip(sending, raws, strict=True):
                times.append(side.run(session, way)[1][0])
        yield size, statistics.median(hop[1:])
        yield f"raw {size}", min(statistics.median(times[1:]) for times in raws)


def hopping(length: int, hops: int, operations: Any) -> Any:
    """An array that goes to and fro between two sites."""
    node = operations.Array(site="a", length=length)
    for hop in range(1, hops):
        node = operations.Same(site="ab"[hop % 2], value=node)
    return operations.Ends(site="ab"[hops % 2], array=node)


def _more_threads(side: Side, session: Any, kits: Path) -> float:
    """How many threads any process has more after many messages, each of which waited for the one before."""
    hops = 1000
    prepared = session.prepare(side.pipeline(lambda operations: chain(operations, ["a", "b"] * (hops // 2))))
    side.run(session, prepared)
    before = {pid: _threads(pid) for pid in environments.mentioning(str(kits))}
    for _ in range(_MESSAGES // hops):
        side.run(session, prepared)
    return max(_threads(pid) - count for pid, count in before.items())


def _threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def _memory(kits: Path) -> Iterator[tuple[str, float]]:
    """The largest of each kind of process."""
    found: dict[str, float] = {}
    for kind, pid in environments.processes(kits):
        found[kind] = max(found.get(kind, 0.0), helpers.memory(pid, "Rss"))
    yield from found.items()


def main() -> None:
    """The fresh process."""
    side = Side(sys.argv[1])
    session = side.flare_session(Path(sys.argv[2]))
    prepared = session.prepare(side.pipeline(lambda operations: operations.Same(site="a", value="1")))
    print(side.run(session, prepared)[1][0], flush=True)
    session.close()


if __name__ == "__main__":
    main()
