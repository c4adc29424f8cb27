"""What can happen to the processes of a session, on either target, and at which moment?"""
# pyright: basic

from __future__ import annotations

import contextlib
import importlib
import os
import random
import resource
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from dfm.api import Pipeline, Yield
from dfm.session import Session
from eventually import until
from flare_federation import Federation, opened
from link import Link, through

SITES = ("server", "east", "west")
"""Those that are not the application's."""


class Sites(Protocol):
    """The sites of a session, and what can happen to them."""

    session: Session
    harmless: ClassVar[Mapping[str, Fault]]
    """By name; each job has to end as if it had not been."""
    harmful: ClassVar[Mapping[str, Fault]]
    """By name; jobs may fail of it, with an error that says so."""
    names: ClassVar[tuple[str, ...]]
    """What a round is one of. Beside these faults there is what the application does: it cancels a job, raises in a
    callback, or runs an adapter that closes all files."""

    def workers(self) -> list[int]:
        """The processes of the sites that are not the application's."""
        ...

    def knows(self, pid: int) -> Callable[[], bool]:
        """Says later whether the session has heard that this one of them has ended."""
        ...

    def mend(self) -> None:
        """When no job runs: has those sites take part again that were lost."""
        ...


Fault = Callable[[Any, random.Random], contextlib.AbstractContextManager[None]]
"""Happens while the context lasts."""


def _nothing(_: Sites, __: random.Random) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


@contextlib.contextmanager
def at_some_time(chance: random.Random, do: Callable[[], None]) -> Iterator[None]:
    """Does it while the job runs, or a little after."""
    timer = threading.Timer(chance.random() ** 3 * 0.05, do)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _some(pids: list[int], most: int, which: float) -> list[int]:
    """So many of them, beginning with one which is said by a number below 1."""
    first = int(which * len(pids))
    return (pids[first:] + pids[:first])[:most]


@contextlib.contextmanager
def _kill(sites: Sites, chance: random.Random) -> Iterator[None]:
    """One or two workers are killed."""
    most, which = chance.choice([1, 1, 2]), chance.random()
    knows: dict[int, Callable[[], bool]] = {}

    def kill() -> None:
        for pid in _some(sites.workers(), most, which):
            knows[pid] = sites.knows(pid)
            _signal(pid, signal.SIGKILL)

    with at_some_time(chance, kill):
        yield
    with contextlib.suppress(AssertionError):
        until(lambda: all(known() for known in knows.values()), 60)
    unheard = [pid for pid, known in knows.items() if not known()]
    sites.mend()
    assert not unheard, f"the session has not heard that {unheard} were killed"


@contextlib.contextmanager
def _stop(sites: Sites, chance: random.Random) -> Iterator[None]:
    """A worker stands still for a while."""
    stopped = _some(sites.workers(), 1, chance.random())

    def signal_all(number: int) -> None:
        for pid in stopped:
            _signal(pid, number)

    again = threading.Timer(chance.random() * 0.1, signal_all, [signal.SIGCONT])

    def stop() -> None:
        signal_all(signal.SIGSTOP)
        again.start()

    try:
        with at_some_time(chance, stop):
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


def _descriptors(sites: Sites, chance: random.Random) -> contextlib.AbstractContextManager[None]:
    """A worker or the application can open hardly any more."""
    left = chance.randrange(4)
    pids = [os.getpid()] if chance.random() < 0.3 else sites.workers()
    return _limited(
        pids, resource.RLIMIT_NOFILE, lambda pid: max(map(int, os.listdir(f"/proc/{pid}/fd")), default=3) + 1 + left
    )


def _room(sites: Sites, _: random.Random) -> contextlib.AbstractContextManager[None]:
    """No file and no segment of shared memory can grow at the workers, as on a disk that is full."""
    return _limited(sites.workers(), resource.RLIMIT_FSIZE, lambda _: 4096)


def _sockets(sites: Local, chance: random.Random) -> contextlib.AbstractContextManager[None]:
    """Links between the application and its sites end one by one, though both of their ends live."""
    which, count = chance.random(), chance.choice([1, 1, 2, 3])

    def end() -> None:
        links = sites.links()
        first = int(which * len(links))
        for fd in (links[first:] + links[:first])[:count]:
            # The loop may have closed it meanwhile.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(fd)) as link:
                link.shutdown(socket.SHUT_RDWR)

    return at_some_time(chance, end)


def _cut(sites: Flare, chance: random.Random) -> contextlib.AbstractContextManager[None]:
    """The application's connections end; new ones can be made."""
    return at_some_time(chance, sites.link.cut)


@contextlib.contextmanager
def _clock(_: Sites, chance: random.Random) -> Iterator[None]:
    """The application's wall clock jumps, back or ahead, by up to a day."""
    now, jump = time.time, chance.uniform(-86_400, 86_400)

    def set_clock() -> None:
        time.time = lambda: now() + jump

    try:
        with at_some_time(chance, set_clock):
            yield
    finally:
        time.time = now


class Local(Sites):
    """The sites of a session on the local target."""

    harmless: ClassVar[Mapping[str, Fault]] = {"nothing": _nothing, "stop": _stop, "clock": _clock}
    harmful: ClassVar[Mapping[str, Fault]] = {
        "kill": _kill,
        "descriptors": _descriptors,
        "room": _room,
        "sockets": _sockets,
    }
    names: ClassVar[tuple[str, ...]] = (*harmless, *harmful, "kill", "cancel", "callback", "close")

    def __init__(self, session: Session) -> None:
        self.session = session
        self._home: Any = session._home

    def workers(self) -> list[int]:
        return [worker._process.pid for worker in list(self._home._links._workers.values())]

    def links(self) -> list[int]:
        """The descriptors of the application's ends."""
        return [fd for _, fd in list(self._home.driver._watched.values())]

    def knows(self, pid: int) -> Callable[[], bool]:
        # The link's end is there before anything else that the application could ask.
        return lambda: True

    def mend(self) -> None:
        pass  # the next job does


class Flare(Sites):
    """The sites of a session on a POC that runs."""

    harmless: ClassVar[Mapping[str, Fault]] = {"nothing": _nothing, "stop": _stop, "clock": _clock, "cut": _cut}
    harmful: ClassVar[Mapping[str, Fault]] = {"kill": _kill}
    names: ClassVar[tuple[str, ...]] = (*harmless, "cut", *harmful, "cancel", "callback")

    def __init__(self, session: Session, federation: Federation, link: Link) -> None:
        self.session = session
        self.link = link
        self._federation = federation
        home: Any = session._home
        self._links = home._links

    def workers(self) -> list[int]:
        return list(self._processes())

    def knows(self, pid: int) -> Callable[[], bool]:
        links, connection, site = self._links, self._links._connection, self._processes().get(pid)
        # One that is in the session's job no more had ended already.
        gone = site is None
        return lambda: gone or links._connection is not connection or links._over or site in links._reasons

    def mend(self) -> None:
        # A job that needs only some sites would keep the others from taking part, as long as it runs.
        fed = importlib.import_module("small.fed.api.work")
        with Pipeline() as everywhere:
            for site in SITES:
                Yield(value=fed.Add(a=1, site=site), place=site)
        self.session.prepare(everywhere)

    def _processes(self) -> dict[int, str]:
        """The site of each that is there."""
        found: dict[int, str] = {}
        job = self._links._connection.job
        for site in SITES if job else ():
            with contextlib.suppress(AssertionError):
                found[self._federation.process(site, job)] = site
        return found


@contextlib.contextmanager
def local() -> Iterator[Local]:
    """A session on the local target."""
    runtime = importlib.import_module("small.fed.runtime.home")
    with runtime.get_session(target="local") as session:
        yield Local(session)


@contextlib.contextmanager
def flare(federation: Federation) -> Iterator[Flare]:
    """A session on a POC, which the application reaches through a link that can be cut."""
    with (
        tempfile.TemporaryDirectory() as folder,
        through(federation.kit("home@*"), Path(folder)) as (kit, link),
        opened(federation, admin_package=kit) as session,
    ):
        session.connect()
        yield Flare(session, federation, link)
