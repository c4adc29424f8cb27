"""Does a large value cross NVFlare, and what does each process need for that?

`large.py [GB…]` starts a real NVFlare federation on this machine and has an array of each size go from the application
to a site, and another from the site to the application, each in a session of its own. The memory is the most that a
process had, above what it had before. Five times the largest size has to be free, as all of them are on this machine.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import environments
import numpy
from side import Side

_NUMBER = 8
"""Bytes of an array's element."""
_MOST = 5 << 30
"""Bytes of a value that the sites are to send and take."""


def inside(size: int, kits: Path, way: str) -> None:
    """Sends an array of so many bytes `there`, or `back`, in a process that knows the federation's package."""
    from dfm.api import PlaceParam

    side, length = Side("dfm"), size // _NUMBER
    session = side.flare_session(kits, sites=["a"])
    there = side.pipeline(lambda at: at.Ends(site="a", array=PlaceParam(place="value")))
    made = side.pipeline(lambda at: at.Ends(site="a", array=at.Array(site="a", length=length)))
    back = side.pipeline(lambda at: at.Array(site="a", length=length))
    # Who sends it has it before, so that this is not counted.
    params: dict[str, Any] = {}
    if way == "there":
        session.run(there, value=numpy.zeros(1))
        params["value"] = numpy.arange(length, dtype=numpy.float64)
    else:
        session.run(made)
    before = {name: reset(pid) for name, pid in processes(kits)}
    begin = time.perf_counter()
    (value,) = session.run(there if way == "there" else back, **params)["yield"]
    seconds = time.perf_counter() - begin
    ends = value if way == "there" else float(value[0] + value[-1])
    if ends != length - 1:
        raise RuntimeError(f"the ends of the array that came are {ends} together, not {length - 1}")
    most = {name: told(pid, "VmHWM") - before[name] for name, pid in processes(kits)}
    print(
        f"| {size / 1e9:.1f} GB {way} | {seconds:.0f} s |", " | ".join(f"{most[name]:.0f} MiB" for name in NAMES), "|"
    )
    session.close()


NAMES = ("application", "server's job", "client's job")
"""The processes through which a value goes."""


def processes(kits: Path) -> Iterator[tuple[str, int]]:
    """These."""
    yield "application", os.getpid()
    yield from ((name, pid) for name, pid in environments.processes(kits) if name in NAMES)


def reset(pid: int) -> float:
    """What a process has in MiB, from where on the most that it has is counted."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return told(pid, "VmRSS")


def told(pid: int, what: str) -> float:
    """What the system tells of a process's memory, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the system does not tell {what}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measures what a large value on NVFlare takes.")
    parser.add_argument("sizes", nargs="*", type=float, default=[0.5, 2.2, 4.0], help="in GB (default: 0.5 2.2 4)")
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        size, kits, way = args.inside
        inside(int(size), Path(kits), way)
        return
    os.environ["DFM_MAX_VALUE"] = str(_MOST)
    environments.federation("ours")
    folder, wrong = environments.TARGET / "benches" / "ours", False
    with environments.poc("ours") as kits:
        for policy in kits.glob("prod_00/*/local/policy.yaml"):
            with policy.open("a") as more:
                more.write(f"\nlimits: {{value-bytes: {_MOST}}}\n")
        print("| an array | takes |", " | ".join(NAMES), "|")
        print("|---|---|" + "---|" * len(NAMES), flush=True)
        for size in args.sizes:
            for way in ("there", "back"):
                command = [sys.executable, __file__, "--inside", str(round(size * 1e9)), str(kits), way]
                wrong |= subprocess.run(command, cwd=folder, env=environments.environment("ours")).returncode != 0
    sys.exit(wrong)


if __name__ == "__main__":
    main()
