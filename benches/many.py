"""What does each further site of a federation cost?

`many.py [CLIENTS…]` starts real NVFlare federations on this machine, each with so many clients, and prints what
sessions there take.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import environments
import side as helpers
from side import Side

_JOBS = 50


class Cost(NamedTuple):
    """What a federation with so many clients takes; seconds and MB."""

    clients: int
    ready: float
    """From `dfm poc start` until all are there."""
    alone: float
    """From a session with one client to its first result."""
    opened: float
    """From a session with all of them to the first result of each."""
    one: float
    """A job of one operation at one site, to its result."""
    every: float
    """A job of one operation at each site, to all of their results."""
    client: float
    """Memory of a client's process, where a page that several share counts by their number."""
    job: float
    """The same, of its process for the session."""


def widen(clients: int) -> None:
    """Gives the measured federation so many clients with the operations of site `a`."""
    names = [f"s{number}" for number in range(1, clients + 1)]
    package = environments.federation("ours") / "benchfed"
    told, _, _ = (package / "federation.dfm.yaml").read_text().partition("\nsites:")
    same = '"#/operations/bench.Same": {adapter: benchfed.adapters.Same, args: from-operation}'
    sites = [f"  {name}:\n    interface:\n      {same}\n" for name in ["home", *names]]
    (package / "federation.dfm.yaml").write_text(f"{told}\nsites:\n{''.join(sites)}")
    project = (package / "project.yaml").read_text()
    head, _, rest = project.partition("  - name: a\n")
    users = rest[rest.index("  - name: home@") :]
    shown = "".join(f"  - name: {name}\n    type: client\n    org: bench\n" for name in names)
    (package / "project.yaml").write_text(head + shown + users)
    environments.dfm("ours", "fed gen code benchfed")


def cost(clients: int) -> Cost:
    """Measures a federation with so many clients."""
    widen(clients)
    command = [sys.executable, __file__, "--inside", str(clients)]
    folder = environments.TARGET / "benches" / "ours"
    begin = time.perf_counter()
    with environments.poc("ours") as kits:
        ready = time.perf_counter() - begin
        done = subprocess.run(
            [*command, str(kits)], cwd=folder, env=environments.environment("ours"), stdout=subprocess.PIPE, check=True
        )
    return Cost(clients, ready, *map(float, done.stdout.split()[-6:]))


def inside(clients: int, kits: Path) -> None:
    """What `cost` asks, in a process that knows the federation's package."""
    from dfm.api import EachSite, Pipeline, Yield

    side = Side("dfm")
    single = side.pipeline(lambda operations: operations.Same(site="s1", value="1"))
    with Pipeline() as every:
        with EachSite(sites=[f"s{number}" for number in range(1, clients + 1)]) as here:
            value = side.operations.Same(site=here, value="1")
        Yield(value=here.collect(value))
    begin = time.perf_counter()
    session = side.flare_session(kits, sites=["s1"])
    side.run(session, session.prepare(single))
    alone = time.perf_counter() - begin
    session.close()
    begin = time.perf_counter()
    session = side.flare_session(kits)
    every_one, one = session.prepare(every), session.prepare(single)
    _, (found,) = side.run(session, every_one)
    opened = time.perf_counter() - begin
    if found != {f"s{number}": "1" for number in range(1, clients + 1)}:
        raise RuntimeError(f"the sites answered {found}")
    times = [side.median(session, prepared, _JOBS).result for prepared in (one, every_one)]
    print(alone, opened, *times, _memory(kits, "client"), _memory(kits, "client's job"))
    session.close()


def _memory(kits: Path, kind: str) -> float:
    found: list[float] = []
    for of_kind, pid in environments.processes(kits):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if of_kind == kind:
                found.append(helpers.memory(pid))
    return statistics.median(found)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures what each further site of a federation costs.")
    parser.add_argument("clients", nargs="*", type=int, default=[3, 12, 50], help="how many (default: 3 12 50)")
    parser.add_argument("--inside", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        inside(int(args.inside[0]), Path(args.inside[1]))
        return
    print("| clients | ready | first result of one | of each | job at one | at each | a client | its session's |")
    print("|---|---|---|---|---|---|---|---|")
    for clients in args.clients:
        one = cost(clients)
        starts = f"{one.ready:.1f} s | {one.alone:.1f} s | {one.opened:.1f} s"
        jobs = f"{one.one * 1e3:.1f} ms | {one.every * 1e3:.1f} ms"
        print(f"| {clients} | {starts} | {jobs} | {one.client:.0f} MB | {one.job:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
