"""What does a question need of either side?

Both sides have the same interface but for the name of their package, so each question is asked in the same words.
"""

import importlib
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Times(NamedTuple):
    """Seconds from the call of `execute`."""

    result: float
    """Until the callback has had the (first) value."""
    end: float
    """Until the job is known to be at its end."""


class Side:
    """One of the two."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.ours = package == "dfm"
        self.api: Any = importlib.import_module(f"{package}.api")
        self.operations: Any = importlib.import_module("benchfed.fed.api.bench")

    def session(self, **options: Any) -> Any:
        """A connected session of the homesite, on this machine's processes."""
        return self._connected(target="local", **options)

    def flare_session(self, kits: Path, **options: Any) -> Any:
        """The same, in the federation whose startup kits are in that folder."""
        jobs = kits.parent / "jobs"
        jobs.mkdir(exist_ok=True)
        kit = kits / "prod_00" / "home@bench.org"
        return self._connected(target="flare", user=kit.name, admin_package=kit, job_workspace=jobs, **options)

    def _connected(self, **options: Any) -> Any:
        session = importlib.import_module("benchfed.fed.runtime.home").get_session(**options)
        session.connect()
        return session

    def pipeline(self, build: Callable[[Any], Any]) -> Any:
        """The pipeline that yields what `build(operations)` returns."""
        with self.api.Pipeline() as pipeline:
            self.api.Yield(value=build(self.operations))
        return pipeline

    def run(self, session: Any, prepared: Any, want: int = 1, sets: int = 1) -> tuple[Times, list[Any]]:
        """Executes once, with so many sets of no parameters; the times, the result's after `want` values, and these.

        Raises:
            RuntimeError: something else arrived, or too little.
        """
        values: list[Any] = []
        arrived = threading.Event()
        last = [0.0]

        def take(site: str, node: Any, frame: Any, place: str, data: Any) -> None:
            values.append(data)
            if len(values) == want:
                last[0] = time.perf_counter()
                arrived.set()

        begin = time.perf_counter()
        none: dict[str, Any] = {}
        params = none if sets == 1 else [none] * sets
        job = session.execute(prepared, input_params=params, default_callback=ignore, place_callbacks={"yield": take})
        if not arrived.wait(60):
            raise RuntimeError(f"{len(values)} of {want} values arrived")
        job.wait_until_finished(timeout=60)
        end = time.perf_counter()
        for value in values:
            if isinstance(value, self.api.ErrorToken):
                raise RuntimeError(str(value))
        return Times(last[0] - begin, end - begin), values

    def median(self, session: Any, prepared: Any, runs: int, want: int = 1, sets: int = 1) -> Times:
        """The medians of several runs, after one that is not counted."""
        self.run(session, prepared, want, sets)
        times = [self.run(session, prepared, want, sets)[0] for _ in range(runs)]
        return Times(statistics.median(one.result for one in times), statistics.median(one.end for one in times))

    def in_turns(self, sessions: Sequence[Any], pipeline: Any, turns: int, runs: int, sets: int = 1) -> list[Times]:
        """The medians for each session, which take turns, so that all have the same machine. Each run has so many
        sets of no parameters, and its result is the last one's."""
        asked = [(session, session.prepare(pipeline)) for session in sessions]
        times = [[self.median(*one, runs, sets, sets) for one in asked] for _ in range(turns)]
        return [
            Times(statistics.median(one.result for one in of_one), statistics.median(one.end for one in of_one))
            for of_one in zip(*times, strict=True)
        ]


def ignore(site: str, node: Any, frame: Any, place: str, data: Any) -> None:
    """Takes the tokens that nobody measures."""


def timed(work: Callable[[], Any], runs: int) -> float:
    """The median seconds of `work`, after one run that is not counted."""
    work()
    return statistics.median(_once(work) for _ in range(runs))


def _once(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def processes(root: int | None = None) -> Iterator[int]:
    """A process, this one if none is named, and all that it started."""
    pid = root or os.getpid()
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from processes(int(child))


def memory(pid: int, what: str = "Pss") -> float:
    """A process's memory in MB: `Rss`, or `Pss`, where a page that several processes share counts by their number."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"the system does not tell {what}")
