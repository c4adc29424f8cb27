"""How does the application's process run its own site and start the others?

A thread of its own has the event loop of the homesite. Everything here but `Home`'s public methods runs on it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from dfm import _native, _values
from dfm._loop import SiteLoop
from dfm.exec._adapters import Adapters, Operation
from dfm.session._workers import Worker

T = TypeVar("T")

_GRACE = 5.0
"""Seconds that a site has to answer before its process is ended."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a local session needs to know of its federation."""

    homesite: str
    sites: Mapping[str, dict[str, Any]]
    """The content of each site's `site.json`."""
    folder: str
    """Where the federation's package is, for sites whose Python would not find it by itself."""
    packages: tuple[str, ...]
    """Packages whose classes may be rebuilt from what another site sent."""
    session: str
    logger: logging.Logger


class Receiver(Protocol):
    """What a job does with its events, on the homesite's thread."""

    def receive(self, event: tuple[Any, ...]) -> None:
        """Takes one event of the job, as `Site.events` gives it."""
        ...


class Home:
    """The homesite in this process, and the workers of the others."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: dict[str, Worker] = {}
        self._burials: dict[str, asyncio.Task[None]] = {}
        self._checks: dict[tuple[str, int], asyncio.Future[list[str]]] = {}
        self._cancelling: dict[tuple[str, int], asyncio.TimerHandle] = {}
        self._jobs: dict[int, Receiver] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._numbers = 0
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="dfm-home", daemon=True)
        self._thread.start()
        ready.result()

    # From any thread.

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs `work` on the homesite's loop and waits for it.

        Raises:
            RuntimeError: this is the homesite's own thread, which cannot wait for itself.
        """
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("an adapter cannot use the session that it runs in")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, work: Callable[[], None]) -> None:
        """Does something on the homesite's loop, and what follows from it. Without effect once it is closed."""
        self._driver.soon(work)

    def close(self) -> None:
        """Ends all processes of the session."""
        self.run(self._close())
        self._thread.join()

    # On the homesite's thread.

    def _run(self, ready: concurrent.futures.Future[None]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    async def _serve(self, ready: concurrent.futures.Future[None]) -> None:
        settings = self._settings
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._site = _native.Site(settings.homesite)
        self._driver = SiteLoop(self._site, self._on_event)
        logger = settings.logger.getChild(settings.homesite)
        self._driver.adapters = Adapters(settings.sites[settings.homesite], settings.homesite, settings.session, logger)
        _values.policy.allow_pickle = True
        ready.set_result(None)
        await self._over.wait()
        self._driver.close()

    async def _close(self) -> None:
        for worker in self._workers.values():
            worker.asked_to_end = True
            self._site.say_bye(worker.site)
        self._driver.turn()
        await asyncio.gather(*(worker.ended(_GRACE / 2) for worker in self._workers.values()), *self._burials.values())
        self._over.set()

    async def check(self, operations: Mapping[str, Sequence[Operation]]) -> dict[tuple[str, Operation], str]:
        """Starts the sites that are not running and asks each whether it can call its operations.

        Returns:
            What is wrong, by site and operation. A site whose process ends instead of answering is not in it: that
            will be told as the error of each job that needs it.
        """
        await self.ensure(operations)
        asked: dict[str, asyncio.Future[list[str]]] = {}
        wrong: dict[tuple[str, Operation], str] = {}
        for site, wanted in operations.items():
            if site == self._settings.homesite:
                answer = [self._driver.adapters.problem(*one) for one in wanted]
                wrong |= {(site, one): text for one, text in zip(wanted, answer, strict=True) if text}
            elif site in self._workers:
                self._numbers += 1
                asked[site] = self._checks[site, self._numbers] = self._loop.create_future()
                self._site.check(site, self._numbers, list(wanted))
        self._driver.turn()
        for site, answered in asked.items():
            answer = await answered
            wrong |= {(site, one): text for one, text in zip(operations[site], answer, strict=False) if text}
        return wrong

    async def ensure(self, sites: Iterable[str]) -> None:
        """Starts the processes of these sites, as far as they are not running."""
        for site in sites:
            if burial := self._burials.get(site):
                await burial
            if site not in self._workers and site != self._settings.homesite:
                self._start(site)
        self._driver.watch()

    def _start(self, site: str) -> None:
        settings = self._settings
        try:
            worker = Worker(site, settings.homesite, self._site.connect(site))
        except OSError as error:
            # Without a process the site counts as lost as soon as a job needs it.
            settings.logger.error("the process of site '%s' could not be started: %s", site, error)
            return
        path = [os.path.abspath(entry) for entry in (*sys.path, settings.folder)]
        setup = {
            "settings": settings.sites[site],
            "session": settings.session,
            "sys_path": list(dict.fromkeys(path)),
            "allow_pickle": True,
            "packages": settings.packages,
            "log_level": settings.logger.getEffectiveLevel(),
        }
        self._site.set_up(site, json.dumps(setup))
        for other in self._workers:
            self._site.introduce(site, other)
        self._workers[site] = worker

    def open(
        self,
        job: int,
        receiver: Receiver,
        name: str,
        plan: _native.Plan,
        sites: Sequence[str],
        frames: Sequence[dict[str, Any]],
        stop: bool,
    ) -> None:
        """Begins a job with its first frames, as soon as its sites run."""
        self._jobs[job] = receiver
        opening = self._opening[job] = self._loop.create_task(self.ensure(sites))

        def begin() -> None:
            del self._opening[job]
            self._site.open(job, name, plan)
            for params in frames:
                self._site.start(job, params)
            if stop:
                self._site.stop(job)

        self._when(opening, begin)

    def start(self, job: int, params: dict[str, Any]) -> None:
        """Begins the next frame of a job."""
        self._once_open(job, lambda: self._site.start(job, params))

    def stop(self, job: int) -> None:
        """Ends a job's input."""
        self._once_open(job, lambda: self._site.stop(job))

    def _once_open(self, job: int, work: Callable[[], None]) -> None:
        if opening := self._opening.get(job):
            self._when(opening, work)
        else:
            work()

    def _when(self, opening: asyncio.Task[None], work: Callable[[], None]) -> None:
        def do(_: object) -> None:
            work()
            self._driver.turn()

        opening.add_done_callback(do)

    def consumed(self, job: int, transition: int, frame: Sequence[int], count: int) -> None:
        """Tells the sender of a stream that the application has had some of it."""
        self._site.consumed(job, transition, list(frame), count)

    def cancel(self, job: int) -> None:
        """Forgets a job. A site that does not answer in time, because an adapter blocks it, is ended."""
        self._jobs.pop(job, None)
        self._once_open(job, lambda: self._cancel(job))

    def _cancel(self, job: int) -> None:
        for site in self._site.cancel(job):
            if worker := self._workers.get(site):
                self._cancelling[site, job] = self._loop.call_later(_GRACE, worker.kill)
        self._driver.turn()

    def _on_event(self, event: tuple[Any, ...]) -> None:
        match event:
            case ("closed", site):
                if (worker := self._workers.pop(site, None)) is not None and not worker.asked_to_end:
                    self._burials[site] = self._loop.create_task(self._bury(worker))
                elif worker is not None:
                    self._workers[site] = worker
            case ("checked", site, request, problems):
                if answered := self._checks.pop((site, request), None):
                    answered.set_result(problems)
            case ("cancelled", site, job):
                if timer := self._cancelling.pop((site, job), None):
                    timer.cancel()
            case ("ended", job):
                if receiver := self._jobs.pop(job, None):
                    receiver.receive(event)
            case (_, int(job), *_):
                if receiver := self._jobs.get(job):
                    receiver.receive(event)
            case _:
                pass

    async def _bury(self, worker: Worker) -> None:
        site = worker.site
        for key in [key for key in self._cancelling if key[0] == site]:
            self._cancelling.pop(key).cancel()
        how = await worker.ended(_GRACE)
        for key in [key for key in self._checks if key[0] == site]:
            self._checks.pop(key).set_result([])
        del self._burials[site]
        self._site.lose(site, f"the process of site '{site}' {how}")
        self._driver.watch()
        self._driver.turn()
