"""How does the application's process run its own site, and what does that tell the others?

A thread of its own has the event loop of the homesite. Everything here but `Home`'s public methods runs on it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import dataclasses
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, assert_never

from dfm import _native, _values
from dfm._running.forks import keep_from_forks
from dfm._running.loop import SiteLoop
from dfm._running.threads import started
from dfm._shown import clean_logger
from dfm.errors import SessionError
from dfm.exec._adapters import Adapters
from dfm.exec._asked import Asked, answers
from dfm.session._keeping import Keeps, Recalled
from dfm.session._opening import Opening, attempt
from dfm.session._status import JobStatus

T = TypeVar("T")
Refused = tuple[str, list[str], str]
"""That values may not leave a site: that site, the operations there of whose results there may be something in them,
and why."""

_GRACE = 5.0
"""Seconds that a site has to answer a cancellation before it is given up."""
_PATIENCE = 10.0
"""Seconds that a site has to say whether it can call its operations, before its caller goes on without knowing."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a session needs to know of its federation."""

    homesite: str
    site: dict[str, Any]
    """The content of the homesite's `site.json`."""
    api_version: str
    """The federation's, `X.Y.Z`."""
    package: str
    """The federation's; its classes may be rebuilt from what another site sent."""
    lenient: bool
    """Whether the session takes what Flare would refuse, and warns of it."""
    session: str
    logger: logging.Logger
    at_once: int | None = None
    """How many jobs run at the same time; more wait. `None` for any number."""
    sites: frozenset[str] | None = None
    """Those that may take part; `None` for all."""


@dataclasses.dataclass(frozen=True)
class Execution:
    """What the sites are to do for a job."""

    name: str
    """What is told where the job is meant."""
    plan: _native.Plan
    sites: Sequence[str]
    """Those that take part."""
    frames: Sequence[dict[str, Any]]
    """The parameter sets that it begins with."""
    stop: bool
    """Whether there are no more."""
    about: dict[str, Any]
    """What an application has to know of it that comes back."""
    patience: float | None = None
    """Seconds after which a site that has not done its work is given up. One that cannot be reached then keeps no other
    from its own; with `None` each is waited for."""
    measure: bool = False
    """Whether the sites note how long each call takes and how big its result is."""
    note: bool = False
    """Whether they note what happens, for the job's record."""
    trace: _native.Trace | None = None
    """In which trace the job is."""
    receipt: bool = False
    """Whether they account for what they contribute."""
    keep: bool = False
    """Whether the homesite tells what it would take to run it again."""


class Links(Protocol):
    """How the homesite comes to its links with other sites. Called on the homesite's thread."""

    async def ensure(self, sites: Iterable[str]) -> None:
        """Makes links to these sites, as far as there are none. A site that gets none counts as lost in a job.

        Raises:
            SessionError: a site cannot be reached, and why.
        """
        ...

    def ready(self, sites: Iterable[str]) -> bool:
        """Whether `ensure` has nothing to do for them, so that a job need not wait for it."""
        ...

    def linked(self, site: str) -> bool:
        """Whether there is a link to it, whose end would be told."""
        ...

    def closed(self, site: str) -> None:
        """The link to it has ended; `Home.lose` follows once the cause is known."""
        ...

    def give_up(self, site: str) -> None:
        """It has not answered a cancellation in time: ends the link, and what blocks the site, if that is possible."""
        ...

    async def close(self) -> None:
        """Ends all links."""
        ...


class Receiver(Protocol):
    """What a job does with its events, on the homesite's thread."""

    def receive(self, event: _native.JobEvent) -> None:
        """Takes one event of the job."""
        ...

    def end(self, status: JobStatus) -> None:
        """The job is over, and nothing more of it will come."""
        ...

    def break_off(self, failure: _native.Failure) -> None:
        """The job is over, as one of its events could not be taken; what it was is in the failure."""
        ...


_OF_SERIES = (_native.Yielded, _native.Items, _native.Failed, _native.StreamEnded)
"""The classes of events that are of a series of tokens."""


class Home:
    """The homesite in this process, and its jobs."""

    loop: asyncio.AbstractEventLoop
    site: _native.Site
    driver: SiteLoop
    keeps: Keeps | None = None
    """Where jobs are kept that can outlive this process; the links know."""

    def __init__(
        self,
        settings: Settings,
        make_links: Callable[[Home], Links],
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.settings = settings
        self._make_links = make_links
        self._new_loop = new_loop
        self._answers: dict[tuple[str, int], asyncio.Future[Any]] = {}
        """What sites were asked, by the question's number; a site that is lost instead answers None."""
        self._cancelling: dict[tuple[str, int], asyncio.TimerHandle] = {}
        self._jobs: dict[int, Receiver] = {}
        self._running: set[int] = set()
        """Jobs that have had their turn and are not over."""
        self._waiting: dict[int, asyncio.Future[None]] = {}
        """Jobs that have not, in their order."""
        self.detached: dict[str, Any] = {}
        """Jobs, by id, that the application has left and may come back to while this process lives."""
        self._unsure: dict[int, list[_native.JobEvent]] = {}
        """Jobs of which it is not sure that they are kept: what came of them here meanwhile."""
        self._opening: dict[int, Opening[dict[str, str]]] = {}
        self._patience: dict[int, asyncio.TimerHandle] = {}
        self._numbers = 0
        self._broken = ""
        """What has become of the homesite, if nothing of it can be relied on any more."""
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.forked = False
        """Whether this process was forked from the one that the homesite runs in."""
        keep_from_forks(self)
        self._thread = started(self._run, "dfm-home", (ready,))
        ready.result()

    def leave_to_parent(self) -> list[int]:
        """As `Holder`: the descriptors are the driver's."""
        self.forked = True
        return []

    # From any thread.

    def job_id(self, job: int) -> str:
        """The name of the job with this number, unique among all jobs of all sessions."""
        return f"{self.settings.session}-{job}"

    def check_process(self) -> None:
        """Raises:
        SessionError: this process was forked from the one that has the session.
        """
        if self.forked:
            raise SessionError(
                "this process was forked from the one that has the session, whose site does not run here; open a "
                "session here, or use the other process's there"
            )

    def run(self, work: Coroutine[Any, Any, T], within: float | None = None) -> T:
        """Runs `work` on the homesite's loop and waits for it.

        Raises:
            RuntimeError: this is the homesite's own thread, which cannot wait for itself.
            SessionError: it runs in another process.
            TimeoutError: it has not ended within so many seconds.
        """
        return _result(self._submitted(work), within)

    def _submitted(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        try:
            self.check_process()
        except SessionError:
            work.close()
            raise
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("an adapter cannot use the session that it runs in")
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def check(
        self, calls: Mapping[str, Sequence[tuple[Asked, int | str]]], leaving: Mapping[str, list[list[str]]]
    ) -> tuple[list[tuple[int | str, str]], list[Refused]]:
        """What is wrong with calls, each with the first node that makes it, and with values that would leave their
        sites, by the operations of whose results there may be something in them, as far as that is known now: a site
        that is lost, or that an adapter holds up, says nothing of it, and what is wrong is then the error of each job.

        Raises:
            SessionError: no site can be reached, and why; or it runs in another process.
            RuntimeError: this is the homesite's own thread.
        """
        begun = False

        async def check() -> tuple[list[tuple[int | str, str]], list[Refused]]:
            nonlocal begun
            begun = True
            return await self._check(calls, leaving)

        asked = self._submitted(check())
        try:
            return asked.result(_PATIENCE)
        except TimeoutError:
            # What has begun knows itself for how long it waits.
            if begun:
                return _result(asked)
            asked.cancel()
            return [], []
        except BaseException:
            asked.cancel()
            raise

    def soon(self, work: Callable[[], None]) -> None:
        """Does something on the homesite's loop, and what follows from it. Without effect once it is closed."""
        self.driver.soon(work)

    def once_open(self, job: int, work: Callable[[], object]) -> None:
        """Does something on the homesite's loop when a job has begun, in the order of the calls."""
        self.soon(lambda: self._once_open(job, work))

    def close(self) -> None:
        """Ends the session at all sites."""
        self.run(self._close())
        self._thread.join()

    # On the homesite's thread.

    def _run(self, ready: concurrent.futures.Future[None]) -> None:
        try:
            with asyncio.Runner(loop_factory=self._new_loop) as runner:
                runner.run(self._serve(ready))
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    async def _serve(self, ready: concurrent.futures.Future[None]) -> None:
        settings = self.settings
        self.loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self.site = _native.Site(settings.homesite)
        self.driver = SiteLoop(self.site, self._on_event, self._break_off)
        logger = settings.logger.getChild(settings.homesite)
        self.driver.take_on(Adapters(settings.site, settings.homesite, settings.session, logger))
        # As a filter: with a handler here, an application without any would not see what is logged.
        logger.addFilter(overhears := self.driver.said().overhear)
        _values.set_policy(settings.lenient, _values.packages_of(settings.site), _values.modules_of(settings.site))
        self._links = self._make_links(self)
        ready.set_result(None)
        await self._over.wait()
        await self.driver.end()
        logger.removeFilter(overhears)

    async def _close(self) -> None:
        try:
            await self._links.close()
        finally:
            self._over.set()

    def has_jobs(self) -> bool:
        """Whether any job has begun and not ended."""
        return any(job not in self._opening for job in self._jobs)

    async def _check(
        self, calls: Mapping[str, Sequence[tuple[Asked, int | str]]], leaving: Mapping[str, list[list[str]]]
    ) -> tuple[list[tuple[int | str, str]], list[Refused]]:
        """Makes the links that are missing and asks each site whether its calls can be made, and whether what would
        leave it may."""
        if self._broken:
            raise SessionError(self._broken)
        await self._ensure(calls)
        asked: dict[str, asyncio.Future[list[str] | None]] = {}
        told: dict[str, list[str]] = {}
        for site, wanted in calls.items():
            if site == self.settings.homesite:
                told[site] = answers(self.driver.adapters, [one for one, _ in wanted], [])
            elif self._links.linked(site):
                self._numbers += 1
                asked[site] = self._answers[site, self._numbers] = self.loop.create_future()
                self.site.check(site, self._numbers, [one for one, _ in wanted], leaving.get(site, []))
        self.driver.turn()
        if asked:
            await asyncio.wait(asked.values(), timeout=_PATIENCE)
        for site, answered in asked.items():
            told[site] = (answered.result() if answered.done() else None) or []
        wrong: list[tuple[int | str, str]] = []
        refused: list[Refused] = []
        for site, answer in told.items():
            of_calls = len(calls[site])
            wrong += [(node, text) for (_, node), text in zip(calls[site], answer, strict=False) if text]
            of_leaving = zip(leaving.get(site, []), answer[of_calls:], strict=False)
            refused += [(site, makers, text) for makers, text in of_leaving if text]
        return wrong, refused

    async def unfinished(self, job: int, patience: float) -> dict[str, _native.Unfinished | None]:
        """What each site has not done of a job; None for one that has not answered within so many seconds."""
        self._numbers += 1
        own, sites = self.site.ask(self._numbers, job)
        asked = {(site, self._numbers): self.loop.create_future() for site in sites}
        self._answers |= asked
        self.driver.turn()
        found: dict[str, _native.Unfinished | None] = {self.settings.homesite: own}
        if asked:
            await asyncio.wait(asked.values(), timeout=patience)
        for key, answered in asked.items():
            if not answered.done():
                del self._answers[key]
                found[key[0]] = None
            elif (answer := answered.result()) is not None:
                found[key[0]] = answer
        return found

    async def _ensure(self, sites: Iterable[str]) -> None:
        await self._links.ensure([site for site in sites if site != self.settings.homesite])
        self.driver.watch()

    async def _reach_all(self, sites: Iterable[str]) -> dict[str, str]:
        await self._ensure(sites)
        return {}

    async def _reach_each(self, sites: Sequence[str]) -> dict[str, str]:
        """Makes the links that can be made, and says why the others cannot."""
        reached = await asyncio.gather(*(self._ensure([site]) for site in sites), return_exceptions=True)
        return {site: str(error) for site, error in zip(sites, reached, strict=True) if error is not None}

    def open(self, job: int, receiver: Receiver, execution: Execution) -> None:
        """Begins a job, as soon as its sites can be reached."""
        patience = execution.patience
        self._jobs[job] = receiver
        if self._broken:
            self._cannot_open(job, self._broken)
            return
        turn = self._turn(job)
        if turn is None and self._links.ready(execution.sites):
            attempt(lambda: self._begin(job, execution, {}))
            return

        async def reach() -> dict[str, str]:
            if turn is not None:
                await turn
            return await (self._reach_all(execution.sites) if patience is None else self._reach_each(execution.sites))

        def begin(reached: asyncio.Task[dict[str, str]]) -> None:
            if (error := reached.exception()) is not None:
                self._cannot_open(job, str(error))
            else:
                self._begin(job, execution, reached.result())

        def begun() -> None:
            del self._opening[job]
            self.driver.turn()

        self._opening[job] = Opening(self.loop.create_task(reach()), begin, begun)

    def _begin(self, job: int, execution: Execution, unreached: dict[str, str]) -> None:
        """Begins a job at its sites; why some could not be reached is an answer, where they are only asked."""
        patience = execution.patience
        if self.keeps is not None:
            self.keeps.began(job, execution.about)
            self._unsure[job] = []
        if execution.receipt:
            self.site.want_receipt(job)
        if execution.keep:
            self.site.keep_job(job)
        self.site.open(job, execution.name, execution.plan, unreached)
        if patience is not None:
            self._patience[job] = self.loop.call_later(patience, self._run_out, job, patience)
        if execution.measure:
            self.site.measure(job)
        if execution.note:
            self.site.note(job, execution.trace)
        for params in execution.frames:
            self.site.start(job, params)
        if execution.stop:
            self.site.stop(job)

    def _turn(self, job: int) -> asyncio.Future[None] | None:
        """What a job has to wait for, if as many run as may at the same time."""
        if self.settings.at_once is None or len(self._running) < self.settings.at_once:
            self._running.add(job)
            return None
        turn = self._waiting[job] = self.loop.create_future()
        return turn

    def _forget(self, job: int) -> Receiver | None:
        """The job is over here, and the next may begin."""
        self._running.discard(job)
        if turn := self._waiting.pop(job, None):
            turn.set_exception(SessionError("the job has ended before its turn"))
        while self._waiting and len(self._running) < (self.settings.at_once or 0):
            following, turn = next(iter(self._waiting.items()))
            del self._waiting[following]
            self._running.add(following)
            turn.set_result(None)
        return self._jobs.pop(job, None)

    def _cannot_open(self, job: int, message: str) -> None:
        if receiver := self._forget(job):
            receiver.receive(_reported(job, self.settings.homesite, "SessionError", message))
            receiver.receive(_native.Ended(job))

    def _run_out(self, job: int, patience: float) -> None:
        """Ends a job whose sites should have been done with it."""
        receiver = self._forget(job)
        for site in self._cancel(job):
            message = f"site '{site}' has not answered within {patience:g} s: an adapter blocks it"
            if receiver is not None:
                receiver.receive(_reported(job, site, "TimeoutError", message))
        if receiver is not None:
            receiver.receive(_native.Ended(job))

    async def recall(self, job: int, take_up: Callable[[Recalled], T]) -> T:
        """Calls `take_up` with what is kept of a job whose application is gone. It has to `resume` the job there and
        then: what comes next would find none.

        Raises:
            SessionError: nothing is, or it cannot be reached.
        """
        assert self.keeps is not None
        if opening := self._opening.get(job):
            # It was left as it began.
            await asyncio.wait([opening.reaching])
        return await self.keeps.recall(job, take_up)

    def resume(self, job: int, receiver: Receiver, found: Recalled) -> None:
        """Takes up a job of which something is kept; one whose tokens were all had is only at its end."""
        assert self.keeps is not None
        if not found.history:
            receiver.end(JobStatus(found.about["status"]))
            return
        self._jobs[job] = receiver
        for site in self.site.replay(found.history):
            self.site.lose(site, self.keeps.why_lost(site))
        for key, dropped in found.dropped.items():
            if not isinstance(key, str):
                self.site.consumed(job, key[0], list(key[1:]), dropped)

    def leave(self, job: int) -> None:
        """Forgets a job here; the other sites go on with it."""
        self._forget(job)
        self._unsure.pop(job, None)
        self._once_open(job, lambda: self.site.leave(job))

    def abort(self, job: int) -> None:
        """Ends a job for somebody else."""
        if receiver := self._jobs.get(job):
            self.cancel(job)
            receiver.end(JobStatus.ABORTED)

    def start(self, job: int, params: dict[str, Any]) -> None:
        """Begins the next frame of a job."""
        self._once_open(job, lambda: self.site.start(job, params))

    def stop(self, job: int) -> None:
        """Ends a job's input."""
        self._once_open(job, lambda: self.site.stop(job))

    def _once_open(self, job: int, work: Callable[[], object]) -> None:
        if opening := self._opening.get(job):
            opening.then(work)
        else:
            work()

    def consumed(self, job: int, transition: int, frame: Sequence[int], count: int) -> None:
        """Tells the sender of a stream how much of it the application has had in all."""
        self.site.consumed(job, transition, list(frame), count)

    def cancel(self, job: int) -> None:
        """Forgets a job. A site that does not answer in time, because an adapter blocks it, is given up."""
        self._forget(job)
        self._unsure.pop(job, None)
        self._once_open(job, lambda: self._cancel(job))

    def _cancel(self, job: int) -> list[str]:
        """Returns the sites that were not done with it."""
        if timer := self._patience.pop(job, None):
            timer.cancel()
        busy = self.site.cancel(job)
        for site in busy:
            self._cancelling[site, job] = self.loop.call_later(_GRACE, self._links.give_up, site)
        self.driver.turn()
        return busy

    def _on_event(self, event: _native.OuterEvent) -> None:
        if isinstance(event, _OF_SERIES):  # first, as there are many of them
            self._take(event.series.job, event)
            return
        match event:
            case (
                _native.Opened(job)
                | _native.Reported(job)
                | _native.Measured(job)
                | _native.Receipt(job)
                | _native.Asks(job)
                | _native.Noted(job)
                | _native.Kept(job)
                | _native.Ended(job)
            ):
                self._take(job, event)
            case _native.Closed(site):
                self._links.closed(site)
            case _native.Warned(text):
                self.settings.logger.warning("%s", text)
            case _native.Checked(site, request, answer) | _native.Answered(site, request, answer):
                if answered := self._answers.pop((site, request), None):
                    answered.set_result(answer)
            case _native.Cancelled(site, job):
                if timer := self._cancelling.pop((site, job), None):
                    timer.cancel()
            case _native.Setup() | _native.Bye():
                pass  # they come from the homesite
            case _:
                assert_never(event)

    def _take(self, job: int, event: _native.JobEvent) -> None:
        if job in self._unsure and not isinstance(event, _native.Opened):
            self._hold_back(job, event)
        else:
            self._give(job, event)

    def _break_off(self, what: str) -> None:
        """Nothing that the homesite says can be relied on any more: every job ends, and no other begins."""
        self._broken = f"the session's own site is broken by {what}; open a new session"
        for job in list(self._jobs):
            if receiver := self._forget(job):
                receiver.break_off(_failure(self.settings.homesite, "SessionError", self._broken))

    def _give(self, job: int, event: _native.JobEvent) -> None:
        receiver = self._jobs.get(job)
        if isinstance(event, _native.Ended):
            self._forget(job)
            if timer := self._patience.pop(job, None):
                timer.cancel()
        if receiver is None:
            return
        try:
            receiver.receive(event)
        except Exception as error:
            clean_logger("dfm.session").exception("job %d: an event could not be handed on", job)
            self.cancel(job)
            message = f"what came for the application could not be handed on: {error}"
            receiver.break_off(_failure(self.settings.homesite, type(error).__name__, message))

    def _hold_back(self, job: int, event: _native.JobEvent) -> None:
        """An application must have nothing of a job that it could not find again. What other sites have sent came
        through where the job is kept; what was made here waits until it is known there."""
        match event:
            case _native.Yielded(series) | _native.Items(series) | _native.Failed(series) if (
                series.site != self.settings.homesite
            ):
                self._be_sure(job)
                self._give(job, event)
            case _:
                waiting = self._unsure[job]
                waiting.append(event)
                if len(waiting) == 1:
                    assert self.keeps is not None
                    # Where nothing is kept any more, that is now.
                    self.keeps.when_sure(job, lambda: self._be_sure(job))

    def _be_sure(self, job: int) -> None:
        for event in self._unsure.pop(job, ()):
            self._give(job, event)

    def lose(self, site: str, message: str) -> None:
        """Says what became of a site whose link has ended, to every job that needs it."""
        for key in [key for key in self._cancelling if key[0] == site]:
            self._cancelling.pop(key).cancel()
        for key in [key for key in self._answers if key[0] == site]:
            self._answers.pop(key).set_result(None)
        self.site.lose(site, message)
        self.driver.watch()
        self.driver.turn()


def _result(future: concurrent.futures.Future[T], within: float | None = None) -> T:
    try:
        return future.result(within)
    except BaseException:
        future.cancel()
        raise


def _reported(job: int, site: str, kind: str, message: str) -> _native.Reported:
    """The event of an error that concerns all of a job."""
    return _native.Reported(job, _failure(site, kind, message))


def _failure(site: str, kind: str, message: str) -> _native.Failure:
    return _native.Failure(site, None, None, None, kind, message, "")
