"""How does a local session come to the processes of its other sites, and how is their end told?"""

from __future__ import annotations

import asyncio
import errno
import functools
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dfm._running.ended import how_ended
from dfm._running.threads import NO_MORE
from dfm.errors import SessionError
from dfm.exec._policy import SitePolicy
from dfm.session._home import Home
from dfm.session._interpreter import Interpreter, interpreter_of

_GRACE = 5.0
"""Seconds that a process has to end by itself."""


class Worker:
    """The process of one site."""

    def __init__(self, site: str, homesite: str, interpreter: Interpreter, socket: int) -> None:
        """Starts it; `socket` is the descriptor of its end of the link, and is closed here.

        Raises:
            OSError: the system cannot start another process.
        """
        self.site = site
        self.asked_to_end = False
        command = [*interpreter.command, site, homesite, *interpreter.more]
        try:
            # A group of its own: Ctrl-C in a terminal is for the application to decide on.
            self._process = subprocess.Popen(command, stdin=socket, stdout=2, process_group=0)
        finally:
            os.close(socket)
        try:
            self._pidfd = os.pidfd_open(self._process.pid)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    def watch(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        """Has `ended` called once when it has ended, whoever may still have a copy of its end of the link."""

        def over() -> None:
            loop.remove_reader(self._pidfd)
            ended()

        loop.add_reader(self._pidfd, over)

    async def ended(self, grace: float) -> str:
        """Waits for its end, which is forced after `grace` seconds; says how it ended."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(self._pidfd, over.set)
        timer = loop.call_later(grace, self.kill)
        try:
            await over.wait()
        finally:
            timer.cancel()
            loop.remove_reader(self._pidfd)
        code = self._process.wait()
        os.close(self._pidfd)
        return how_ended(code)

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()


class Workers:
    """The links of a local session: a process for each site, started when a job first needs it."""

    def __init__(
        self, home: Home, sites: Mapping[str, dict[str, Any]], folder: Path, policies: Mapping[str, SitePolicy]
    ) -> None:
        """`sites` has the content of each site's `site.json`, `folder` the federation's package, `policies` what
        those sites allow that do not allow all."""
        self._home = home
        self._sites = sites
        self._folder = folder
        self._policies = policies
        self._workers: dict[str, Worker] = {}
        self._burials: dict[str, asyncio.Task[None]] = {}

    async def ensure(self, sites: Iterable[str]) -> None:
        """As `Links`."""
        for site in sites:
            if burial := self._burials.get(site):
                await burial
            if site not in self._workers:
                interpreter = await interpreter_of(self._sites[site], self._folder)
                self._start(site, interpreter)

    def ready(self, sites: Iterable[str]) -> bool:
        """As `Links`."""
        return all(site in self._workers for site in sites if site != self._home.settings.homesite)

    def linked(self, site: str) -> bool:
        """As `Links`."""
        return site in self._workers

    def closed(self, site: str) -> None:
        """As `Links`."""
        worker = self._workers.get(site)
        if worker is not None and not worker.asked_to_end:
            del self._workers[site]
            self._burials[site] = self._home.loop.create_task(self._bury(worker))

    def give_up(self, site: str) -> None:
        """As `Links`."""
        if worker := self._workers.get(site):
            worker.kill()

    async def close(self) -> None:
        """As `Links`."""
        for worker in self._workers.values():
            worker.asked_to_end = True
            self._home.site.say_bye(worker.site)
        self._home.driver.turn()
        await asyncio.gather(*(worker.ended(_GRACE / 2) for worker in self._workers.values()), *self._burials.values())

    def _start(self, site: str, interpreter: Interpreter) -> None:
        native = self._home.site
        try:
            worker = Worker(site, self._home.settings.homesite, interpreter, native.connect(site))
        except OSError as error:
            native.close_link(site)
            raise _not_started(site, error) from None
        others = list(self._workers)
        self._workers[site] = worker
        native.set_up(site, self._setup(site, interpreter))
        worker.watch(self._home.loop, functools.partial(self._ended, site))
        try:
            for other in others:
                native.introduce(site, other)
        except OSError as error:
            # To those that it was introduced to, it is a site that was lost.
            worker.kill()
            native.close_link(site)
            self.closed(site)
            raise _not_started(site, error) from None

    def _setup(self, site: str, interpreter: Interpreter) -> str:
        settings = self._home.settings
        setup = {
            "settings": self._sites[site],
            "session": settings.session,
            "sys_path": interpreter.sys_path,
            "own_packages": interpreter.is_own,
            "lenient": settings.lenient,
            "policy": str(self._policies[site].path) if site in self._policies else None,
            "log_level": settings.logger.getEffectiveLevel(),
        }
        return json.dumps(setup)

    def _ended(self, site: str) -> None:
        """Its process has; what it had sent is read first."""
        self._home.site.readable(site)
        self._home.site.close_link(site)
        self._home.driver.watch()
        self._home.driver.turn()

    async def _bury(self, worker: Worker) -> None:
        how = await worker.ended(_GRACE)
        del self._burials[worker.site]
        self._home.lose(worker.site, f"the process of site '{worker.site}' {how}")


def _not_started(site: str, error: OSError) -> SessionError:
    why = NO_MORE if error.errno == errno.EAGAIN else str(error)
    return SessionError(f"the process of site '{site}' could not be started: {why}")
