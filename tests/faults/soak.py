"""Does anything stay behind, or any job hang or lie, over thousands of rounds of random faults?

`soak.py [--seed S] [--rounds N] [--target T]` plays that many rounds on the local target, or on a POC with `--target
flare`, fifty in a session, and says after each tenth how many there were of each fault, the application's memory, how
much of it lives and what it has open. Of neither there may be more after a later session than after the first. On the
local target it then begins `--victims N` applications that do the same and kills each at some moment. A round that
breaks a promise is told with its seed: `--seed S --rounds 1` with that seed plays it again.
"""
# pyright: basic

from __future__ import annotations

import argparse
import contextlib
import ctypes
import functools
import gc
import importlib
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path += [str(HERE), str(HERE.parent / "python")]

import rounds  # noqa: E402
import targets  # noqa: E402
from eventually import until  # noqa: E402
from flare_federation import running  # noqa: E402
from processes import gone  # noqa: E402
from small_package import generate  # noqa: E402

Begin = Callable[[], AbstractContextManager[targets.Sites]]
A_SESSION = 50
"""Rounds in one session."""
MOST_GROWTH = 1.1
"""How many times as many of Python's blocks may live after a session as after the first: some modules are imported
late, and caches that have an end fill."""
MOST_MORE = 4.0
"""MB that may live after two sessions beyond what lived after the first one, of what the C library has given out."""
DFM = Path(sys.executable).parent / "dfm"


def seeds(seed: str, count: int) -> Iterator[str]:
    """The seeds of so many rounds: the first is the given one."""
    yield from (seed if number == 0 else f"{seed}/{number}" for number in range(count))


def sessions(begin: Begin, seed: str, count: int) -> tuple[Counter[str], list[str]]:
    """Plays so many rounds in sessions that are begun so; how many there were of each fault, and what was broken."""
    fed = importlib.import_module("small.fed.api.work")
    seen: Counter[str] = Counter()
    broken: list[str] = []
    todo = list(seeds(seed, count))
    before: set[str] | None = None
    first: tuple[int, float] | None = None
    last = 0.0
    while todo:
        now, todo = todo[:A_SESSION], todo[A_SESSION:]
        with begin() as sites:
            for one in now:
                try:
                    seen[rounds.play(sites, fed, one)] += 1
                except rounds.Broken as error:
                    broken.append(str(error))
                    tell(str(error))
            processes = sites.workers()
        until(lambda processes=processes: all(map(gone, processes)), rounds.PATIENCE)
        if before is None:
            # What the first session leaves open is kept for the next one.
            before = {f"{fd} {link}" for fd, link in rounds.descriptors().items()}
        elif left := left_after_a_while(before):
            broken.append(f"after {now[-1]!r} these are open: {left}")
            tell(broken[-1])
        blocks, given = live()
        first = first or (blocks, given)
        # Memory that is kept for the next large packet comes and goes.
        stays, last = min(given, last), given
        if blocks > MOST_GROWTH * first[0] or stays > MOST_MORE + first[1]:
            lives = f"{blocks:,} blocks and {given:.1f} MB live"
            broken.append(f"after {now[-1]!r} {lives}, and {first[0]:,} and {first[1]:.1f} after the first session")
            tell(broken[-1])
        played = count - len(todo)
        if not todo or played % max(count // A_SESSION // 10 * A_SESSION, A_SESSION) == 0:
            lives = f"{blocks:,} blocks and {given:.1f} MB live"
            has = f"{memory():.1f} MB, of which {lives}, {len(rounds.descriptors())} descriptors"
            tell(f"{played:>7,} rounds, {has}: {dict(seen)}")
    return seen, broken


def left_after_a_while(before: set[str]) -> list[str]:
    """Which descriptors stay that were not there before: NVFlare closes its own a little later."""
    with contextlib.suppress(AssertionError):
        until(lambda: not rounds.left(before), rounds.PATIENCE)
    return rounds.left(before)


def live() -> tuple[int, float]:
    """How many of Python's blocks hold something that is no garbage, and how many MB of the C library's do."""
    gc.collect()
    return sys.getallocatedblocks(), given_out()


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def given_out() -> float:
    """MB that the C library has given out and not got back, to Rust and for all that Python has in no block; 0 where it
    does not say so."""
    ask = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if ask is None:
        return 0.0
    ask.restype = _Mallinfo2
    told = ask()
    return (told.uordblks + told.hblkhd) / 2**20


def memory() -> float:
    """MB that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def victims(folder: Path, seed: str, count: int) -> list[str]:
    """Kills so many applications at some moment of their rounds; whose processes outlived them."""
    chance = random.Random(seed)
    broken: list[str] = []
    for number in range(count):
        command = [
            sys.executable,
            __file__,
            "--in",
            str(folder),
            "--seed",
            f"{seed}/victim {number}",
            "--rounds",
            "1000",
            "--victims",
            "0",
        ]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as application:
            until(lambda pid=application.pid: children(pid) or gone(pid), rounds.PATIENCE)
            time.sleep(chance.random())
            of = children(application.pid)
            application.kill()
        try:
            until(lambda of=of: all(map(gone, of)), rounds.PATIENCE)
        except AssertionError:
            broken.append(f"processes of a killed application go on: {[pid for pid in of if not gone(pid)]}")
            tell(broken[-1])
    return broken


def children(pid: int) -> list[int]:
    """The processes that one has begun."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue
    return found


def tell(text: str) -> None:
    print(text, file=sys.__stdout__, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Does anything stay behind, or any job hang or lie?")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--target", choices=["local", "flare"], default="local")
    parser.add_argument("--victims", type=int, help="applications that are killed, a hundredth of the rounds otherwise")
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is None:
        with tempfile.TemporaryDirectory() as folder:
            generate(DFM, Path(folder))
            command = [sys.executable, __file__, "--in", folder, *sys.argv[1:]]
            # What adapters print and what the application logs of its own faults says nothing here.
            with (Path(folder) / "printed").open("w") as printed:
                return subprocess.run(command, check=False, stderr=printed).returncode
    sys.path.insert(0, str(options.folder))
    own = {"XDG_CACHE_HOME": str(options.folder / "caches"), "XDG_STATE_HOME": str(options.folder / "state")}
    os.environ |= own | {"DFM_SECRET_PASS_WORD": "sesame", "DFM_FLARE_PATIENCE": "6"}
    # What the application's own adapters print says nothing here either, but what ends this does.
    sys.stdout = sys.stderr
    sys.excepthook = lambda *error: tell("".join(traceback.format_exception(*error)))
    if options.target == "flare":
        with running(DFM, options.folder) as federation:
            _, broken = sessions(functools.partial(targets.flare, federation), options.seed, options.rounds)
    else:
        _, broken = sessions(targets.local, options.seed, options.rounds)
        count = options.rounds // 100 if options.victims is None else options.victims
        broken += victims(options.folder, options.seed, count)
    tell(f"{len(broken)} promises were broken")
    return bool(broken)


if __name__ == "__main__":
    sys.exit(main())
