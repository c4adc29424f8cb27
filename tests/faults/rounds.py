"""Does a job end as it has to, whatever happens to the processes that run it meanwhile?

A round is what one seed stands for: a few programs, their jobs, and one fault at some moment. `play` raises `Broken`,
which says the seed, for a job that does not end, or ends with other tokens than the program's or an error that is none.
"""
# pyright: basic

from __future__ import annotations

import ast
import contextlib
import os
import random
import resource
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import programs
from dfm.api import ErrorToken, Pipeline, StopToken
from dfm.errors import SessionError
from dfm.session import Job, JobStatus, Session

PATIENCE = 60.0
"""Seconds in which anything of a job happens, on the slowest machine that anybody tries this on."""


class Broken(AssertionError):
    """A promise was not kept."""


def _nothing(_: Session, __: random.Random) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


@contextlib.contextmanager
def _at_some_time(chance: random.Random, do: Callable[[], None]) -> Iterator[None]:
    """Does it while the job runs, or a little after."""
    timer = threading.Timer(chance.random() ** 3 * 0.05, do)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def workers(session: Session) -> list[int]:
    """The processes of the sites that are not the application's."""
    return [worker._process.pid for worker in list(session._home._links._workers.values())]  # type: ignore


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _some(session: Session, most: int, which: float) -> list[int]:
    """So many of the workers, beginning with one of them, which is said by a number below 1."""
    pids = workers(session)
    first = int(which * len(pids))
    return (pids[first:] + pids[:first])[:most]


def _kill(session: Session, chance: random.Random) -> contextlib.AbstractContextManager[None]:
    """One or two workers are killed."""
    most, which = chance.choice([1, 1, 2]), chance.random()

    def kill() -> None:
        for pid in _some(session, most, which):
            _signal(pid, signal.SIGKILL)

    return _at_some_time(chance, kill)


@contextlib.contextmanager
def _stop(session: Session, chance: random.Random) -> Iterator[None]:
    """A worker stands still for a while."""
    stopped = _some(session, 1, chance.random())

    def signal_all(number: int) -> None:
        for pid in stopped:
            _signal(pid, number)

    again = threading.Timer(chance.random() * 0.1, signal_all, [signal.SIGCONT])

    def stop() -> None:
        signal_all(signal.SIGSTOP)
        again.start()

    try:
        with _at_some_time(chance, stop):
            yield
    finally:
        again.join()


@contextlib.contextmanager
def _limited(pids: list[int], what: int, most: Callable[[int], int]) -> Iterator[None]:
    """The processes have no more of something than `most` says of each; after it they have what they had."""
    before = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            soft, hard = resource.prlimit(pid, what)
            resource.prlimit(pid, what, (min(most(pid), hard) if hard >= 0 else most(pid), hard))
            before[pid] = (soft, hard)
    try:
        yield
    finally:
        for pid, limit in before.items():
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, what, limit)


def _descriptors(session: Session, chance: random.Random) -> contextlib.AbstractContextManager[None]:
    """A worker or the application can open hardly any more."""
    left = chance.randrange(4)
    pids = [os.getpid()] if chance.random() < 0.3 else workers(session)
    return _limited(
        pids, resource.RLIMIT_NOFILE, lambda pid: max(map(int, os.listdir(f"/proc/{pid}/fd")), default=3) + 1 + left
    )


def _room(session: Session, _: random.Random) -> contextlib.AbstractContextManager[None]:
    """No file and no segment of shared memory can grow at the workers, as on a disk that is full."""
    return _limited(workers(session), resource.RLIMIT_FSIZE, lambda _: 4096)


def _sockets(session: Session, chance: random.Random) -> contextlib.AbstractContextManager[None]:
    """Links between the application and its sites end one by one, though both of their ends live."""
    which, count = chance.random(), chance.choice([1, 1, 2, 3])

    def end() -> None:
        links = [fd for _, fd in list(session._home.driver._watched.values())]  # type: ignore
        first = int(which * len(links))
        for fd in (links[first:] + links[:first])[:count]:
            # The loop may have closed it meanwhile.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as link:
                link.shutdown(socket.SHUT_RDWR)

    return _at_some_time(chance, end)


@contextlib.contextmanager
def _clock(_: Session, chance: random.Random) -> Iterator[None]:
    """The application's wall clock jumps, back or ahead, by up to a day."""
    now, jump = time.time, chance.uniform(-86_400, 86_400)

    def set_clock() -> None:
        time.time = lambda: now() + jump

    try:
        with _at_some_time(chance, set_clock):
            yield
    finally:
        time.time = now


HARMLESS = {"nothing": _nothing, "stop": _stop, "clock": _clock}
"""By name; each job has to end as if it had not been."""
HARMFUL = {"kill": _kill, "descriptors": _descriptors, "room": _room, "sockets": _sockets}
"""By name; jobs may fail of it, with an error that says so."""
AMONG = ("cancel", "callback", "close")
"""What the application does: it cancels a job, raises in a callback, or runs an adapter that closes all files."""


def play(session: Session, fed: Any, seed: str) -> str:
    """One round; the name of its fault."""
    chance = random.Random(seed)
    fault = chance.choice([*HARMLESS, *HARMFUL, "kill", *AMONG])
    runs = [
        Run(seed if number == 0 else f"{seed}.{number}", chance) for number in range(chance.choice([1, 1, 1, 2, 4]))
    ]
    if fault == "callback":
        chance.choice(runs).spoilt = chance.randrange(1, 5)
    try:
        _play(session, fed, chance, runs, fault)
    except Broken as broken:
        raise Broken(f"seed {seed!r}, {fault}: {broken}") from None
    return fault


class Run:
    """One program, its job, and what that delivered."""

    def __init__(self, seed: str, chance: random.Random) -> None:
        self.program = programs.program(seed)
        outcome = programs.outcome(self.program)
        self.wanted = Counter(outcome.tokens)
        self.fails = outcome.fails
        self.had: list[programs.Place] = []
        self.spoilt = 0
        """In which of its callbacks the application raises."""
        self._at_once = chance.random() < 0.5

    def begin(self, session: Session, fed: Any) -> None:
        """Executes it: its parameter sets come all at once, or one after the other while the job begins."""
        prepared = session.prepare(programs.written(fed, self.program))
        places = dict.fromkeys((place for place, _, _ in self.wanted), self._take)
        if self._at_once:
            self.job = session.execute(prepared, self.program.params, True, _ignore, places)
            return
        self.job = session.execute(prepared, None, False, _ignore, places)
        for params in self.program.params:
            self.job.send_input_params(params)
        self.job.send_stop_frame()

    def _take(self, _: str, __: Any, frame: Any, place: str, data: Any) -> None:
        if isinstance(data, StopToken):
            return
        value = programs.FAILED if isinstance(data, ErrorToken) else programs.told(data)
        self.had.append((place, tuple(frame.frame), value))
        if len(self.had) == self.spoilt:
            raise RuntimeError("a callback of the application")


def _ignore(*_: Any) -> None:
    """A token of the status place."""


def _play(session: Session, fed: Any, chance: random.Random, runs: list[Run], fault: str) -> None:
    with {**HARMLESS, **HARMFUL}.get(fault, _nothing)(session, chance):
        begun: list[Run] = []
        for run in runs:
            try:
                run.begin(session, fed)
            except SessionError as error:
                if fault not in HARMFUL:
                    raise Broken(f"a job cannot begin: {error}") from None
            else:
                begun.append(run)
        jobs = [run.job for run in begun]
        if fault == "cancel":
            with _at_some_time(chance, jobs[0].cancel):
                pass
        elif fault == "close":
            with Pipeline() as closing:
                fed.Fork(how="close", site=chance.choice(["server", "east"]))
            jobs.append(session.execute(closing))
        for job in jobs:
            _wait(job)
    for run in begun:
        _judge(run, harmed=fault not in HARMLESS, cancelled=fault == "cancel" and run is runs[0])


def _wait(job: Job) -> None:
    """Waits for a job's end, as long as anything of it happens."""
    before = None
    while not job.wait_until_finished(PATIENCE):
        waits = job.waiting()
        now = [(type(one), getattr(one, "node", None), getattr(one, "frame", None)) for one in waits]
        if now == before:
            raise Broken("it does not end: " + "; ".join(map(str, waits)))
        before = now


def _judge(run: Run, harmed: bool, cancelled: bool) -> None:
    status, errors, had, wanted = run.job.get_status(), run.job.errors, Counter(run.had), run.wanted
    lacks, more = sorted((wanted - had).elements()), sorted((had - wanted).elements())
    # What a fault took away is an error at its place, or is not there; all else is as it has to be.
    strange = [token for token in more if token[2] != programs.FAILED and not _is_part(token, wanted)]
    match status:
        case JobStatus.FINISHED:
            well = not run.fails and not lacks and not more
        case JobStatus.FAILED:
            well = bool(errors) and (not strange if harmed else run.fails and not lacks and not more)
        case _:
            well = cancelled and not strange
    if not well:
        told = "; ".join(f"{one.errors[0].site}: {one.errors[0].message}" for one in errors[:3])
        raise Broken(f"{status.name}, lacks {lacks[:5]}, has too many {more[:5]}, errors: {told}")


def _is_part(token: programs.Place, wanted: Counter[programs.Place]) -> bool:
    """Whether it is what a block at each site made at those that were not lost, where fewer suffice."""
    place, frame, text = token
    if not text.startswith("{"):
        return False
    whole = [ast.literal_eval(other) for at, of, other in wanted if (at, of) == (place, frame)]
    return any(ast.literal_eval(text).items() <= one.items() for one in whole)


def left(before: set[str]) -> list[str]:
    """Which descriptors this process has that it had not before, as links."""
    return sorted(f"{fd} {link}" for fd, link in descriptors().items() if f"{fd} {link}" not in before)


def descriptors() -> dict[str, str]:
    """What this process has open."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one whose parent has not taken note yet counts."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
