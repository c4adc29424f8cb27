"""Does memory follow what is live, however many parameter sets and jobs there have been?

`growth.py [--frames N] [--jobs N] [--batch N]` sends N parameter sets through one open job of the local target and then
runs N small jobs in one session. It prints the memory of each process as they go, and fails where one of them has grown
after the first tenth by more than `--most` bytes a parameter set, or job.
"""

import argparse
import importlib
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import environments
import side as helpers
from side import Side

STEPS = 10


def memories() -> list[float]:
    """The memory of each process of the session in MB, the application's first."""
    return [helpers.memory(pid, "Rss") for pid in helpers.processes()]


def grown(what: str, count: int, most: float, do: Callable[[int], None]) -> bool:
    """Does a tenth of `count` ten times; whether some process has grown by more than `most` bytes for each of them."""
    first: list[float] = []
    now: list[float] = []
    for step in range(1, STEPS + 1):
        do(count // STEPS)
        now = memories()
        first = first or now
        print(f"{what} {step * (count // STEPS):>9,}:  " + "  ".join(f"{one:7.1f} MB" for one in now), flush=True)
    after = count - count // STEPS
    each = [(one - before) * 2**20 / after for one, before in zip(now, first, strict=True)]
    print(f"{what}: " + ", ".join(f"{one:.1f}" for one in each) + f" bytes each after the first {count // STEPS:,}\n")
    return max(each) > most


def frames(session: Any, prepared: Any, batch: int) -> tuple[Callable[[int], None], Callable[[], None]]:
    """What sends so many parameter sets through one open job, and what ends that."""
    had = threading.Semaphore(0)
    wrong: list[Any] = []

    def take(site: str, node: Any, frame: Any, place: str, data: Any) -> None:
        if data != str(frame.frame[0]):
            wrong.append((frame, data))
        had.release()

    job = session.execute(
        prepared, None, autostop=False, default_callback=helpers.ignore, place_callbacks={"yield": take}
    )
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for _ in range(count // batch):
            job.send_input_params([{"v": str(index)} for index in range(sent, sent + batch)])
            sent += batch
            for _ in range(batch):
                had.acquire()
        if wrong:
            raise RuntimeError(f"values came in other frames: {wrong[:3]}")

    def end() -> None:
        job.send_stop_frame()
        job.wait_until_finished()
        job.raise_for_errors()

    return send, end


def jobs(session: Any, prepared: Any) -> Callable[[int], None]:
    """What runs so many jobs, one after the other."""

    def run(count: int) -> None:
        for index in range(count):
            (value,) = session.run(prepared, v=str(index))["yield"]
            if value != str(index):
                raise RuntimeError(f"job {index} gave {value}")

    return run


def measure(options: argparse.Namespace) -> bool:
    """Runs both; whether memory has grown."""
    ours = Side("dfm")
    api = importlib.import_module("dfm.api")
    session = ours.session()
    prepared = session.prepare(
        ours.pipeline(lambda operations: operations.Same(site="a", value=api.PlaceParam(place="v")))
    )
    send, end = frames(session, prepared, options.batch)
    more = grown("sets", options.frames, options.most, send)
    end()
    more = grown("jobs", options.jobs, options.most, jobs(session, prepared)) or more
    session.close()
    return more


def main() -> int:
    """Has the federation generated, and measures in a process that finds it."""
    parser = argparse.ArgumentParser(description="Does memory follow what is live?")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=1_000, help="parameter sets sent at once")
    parser.add_argument("--most", type=float, default=8.0, help="bytes each that a process may grow by")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        return int(measure(options))
    folder = environments.federation("ours")
    command = [sys.executable, __file__, "--here", *sys.argv[1:]]
    return subprocess.run(command, check=False, cwd=folder, env=environments.environment("ours")).returncode


if __name__ == "__main__":
    sys.exit(main())
