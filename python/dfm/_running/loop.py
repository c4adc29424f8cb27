"""How does an event loop drive one site?

The site says what is due; this calls the adapters and tells it what they returned. A coroutine is started on the spot,
in the name of a task that is kept at hand, and only if it really waits does that task go on with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
from asyncio.tasks import _enter_task as enter_task  # pyright: ignore[reportPrivateUsage]
from asyncio.tasks import _leave_task as leave_task  # pyright: ignore[reportPrivateUsage]
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, assert_never

from dfm import _native, _values
from dfm._running.body_task import BodyTask, continued
from dfm._running.built import check_built
from dfm._running.exports import Exports, exports_of
from dfm._running.forks import end_if_closed, end_if_forked, keep_from_forks
from dfm._running.said import Said
from dfm._running.sent import Sending, Sent
from dfm._running.stream import Stream
from dfm._running.threads import Body, Threads
from dfm._running.trial import Trial
from dfm._running.whole import called, whole
from dfm._shown import clean_logger
from dfm.errors import RefusedError, SessionError
from dfm.exec._adapters import Adapters
from dfm.exec._approvals import WaitsForApproval
from dfm.exec._asked import answers
from dfm.exec._bodies import is_awaited, kind_of
from dfm.exec._bound import Bound
from dfm.exec._sending import current
from dfm.exec._telling import speak_for_thread
from dfm.exec._turns import WAIT, Turns

check_built()

_log = clean_logger("dfm.site")
_CALLS_A_TURN = 200
"""After so many calls the loop serves its sockets again."""
TEARDOWN = 2.0
"""Seconds that adapters have at a session's end, in all."""
_OWN = (_native.GoOn, _native.Abandoned, _native.Over, _native.Traced, _native.Check)
"""The classes of a site's own events: to look for one of them at a time would take as long as to handle it."""
_ESCAPED = (Exception, _native.Panic)
"""What must not have come out of anything that drives a site."""
_LOOK = 0.3
"""Seconds between two looks whether a person has decided."""
_LONGEST_CALL = 10 * 365 * 86400
"""Seconds that are as good as no limit."""


def _nobody(*_: Any) -> None:
    """Who is asked of what leaves a site that is closed: no more does."""
    raise SessionError("the site is closed")


class SiteLoop:
    """Drives a site on the running event loop. All methods but `soon` are called on that loop's thread."""

    def __init__(
        self, site: _native.Site, on_event: Callable[[_native.OuterEvent], None], broken: Callable[[str], None]
    ) -> None:
        """`on_event` takes what is not the site's own business. `broken` is the last resort: it is told, once, what has
        escaped from the code that drives the site, which does nothing any more; it has to end all that waits for it."""
        self.site = site
        self._broken: Callable[[str], None] | None = broken
        self.carry: Callable[[Sequence[_native.Carried]], None] | None = None
        """Takes packets, each for a site, in their order, for links that are no sockets."""
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._body_task: BodyTask | None = None
        self._watched: dict[str, tuple[int, int]] = {}
        self._blocked: set[int] = set()
        self._carrying = False
        self._calls: dict[int, asyncio.Task[None] | Stream | Body] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._endings: set[asyncio.Task[None]] = set()
        self._adapters: Adapters | None = None
        self._audit: _native.Audit | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._turns: Turns | None = None
        self._again: asyncio.TimerHandle | None = None
        self._sent: Sent | None = None
        self._turning = False
        self.exports: Exports | None = None
        """What it exports to the collector of its operator; None for nothing."""
        self._context = contextvars.copy_context()
        self.threads = Threads()
        """Where bodies run that are not coroutines."""
        keep_from_forks(self)

    @property
    def sent(self) -> Sent:
        """What bodies send by themselves."""
        assert self._sent is not None
        return self._sent

    def leave_to_parent(self) -> list[int]:
        """As `Holder`."""
        return [fd for _, fd in self._watched.values()]

    @property
    def adapters(self) -> Adapters:
        """What it can call; known before its first job."""
        assert self._adapters is not None
        return self._adapters

    def take_on(self, adapters: Adapters) -> None:
        """Wires the site to what it can call, and to what its policy says of that: before its first job, or anew."""
        self._adapters = adapters
        self._audit = adapters.audit
        adapters.run = self.run_own
        speak_for_thread(adapters.telling)
        self._sent = Sent(self.site, adapters, self.threads, self._turn_soon)
        self.exports = exports_of(self.site, adapters, self._loop.call_soon_threadsafe)
        if self.exports is not None:
            self.site.note_all()
        self.site.limit(adapters.policy.limits, adapters.most_at_once())
        if not adapters.deciding.is_open():
            self.site.guard(adapters.leaving.judge, adapters.audit is not None)
        self.site.give_receipts(adapters.receipts.part)
        adapters.asking.pipeline = self.site.pipeline
        adapters.noising.deciding = self.site.deciding
        opened = adapters.opens_pickles_of()
        self.site.open_pickles(opened)
        _values.policy.opens_users = adapters.homesite in opened
        if (calls := adapters.policy.calls) is not None:
            self._turns = Turns(calls, adapters.policy.limits.site_calls_at_once)
        self._seconds = adapters.policy.limits.seconds_per_call
        if self._seconds < _LONGEST_CALL:
            self._look_for_late_calls()

    def said(self) -> Said:
        """What takes what bodies log and print, and tells it to their job."""
        return Said(self.site, self.adapters, self.turn, self.exports is not None)

    def watch(self) -> None:
        """Waits on the sockets that the site has now, and on no others."""
        sockets = self.site.sockets()
        if sockets == self._watched:
            return
        # A closed socket's number may serve another already, so what is gone is left before what is new is joined.
        for name, (number, fd) in self._watched.items():
            if sockets.get(name) != (number, fd):
                self._blocked.discard(fd)
                for leave in (self._loop.remove_writer, self._loop.remove_reader):
                    # The system knows nothing any more of one that is closed.
                    with contextlib.suppress(OSError):
                        leave(fd)
        for name, (number, fd) in sockets.items():
            if self._watched.get(name) != (number, fd):
                self._loop.add_reader(fd, self._readable, name)
        self._watched = sockets

    def turn(self) -> None:
        """Does what is due, and writes what it led to."""
        if self._broken is None:
            return
        try:
            self._do_due()
            self._flush()
        except _ESCAPED as error:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """Nothing of the site can be relied on any more."""
        _log.critical("the site is broken by a fault of dfm", exc_info=error)
        if (broken := self._broken) is not None:
            self._broken = None
            broken(f"a fault of dfm, {type(error).__name__}: {error}")

    def _do_due(self) -> None:
        self._tell()
        while self._carry_on():
            self._tell()
        # A call whose parameters cannot be put together has ended by being asked for.
        self._tell()
        if self._turns is not None:
            self._turns.keep(self.site.calls()[0])
        if self._adapters is not None:
            self._adapters.rest()

    async def end(self) -> None:
        """Ends everything that runs, and has adapters end what they have begun."""
        self.abandon(list(self._calls))
        adapters = self._adapters
        if adapters is not None:
            ending = [self._loop.create_task(adapters.tear_down(adapters.leave_all())), *self._endings]
            _, late = await asyncio.wait(ending, timeout=TEARDOWN)
            if late:
                adapters.logger.error("an adapter's teardown takes longer than %g s", TEARDOWN)
        self.close()

    def close(self) -> None:
        """Ends everything that runs, at once."""
        for timer in (self._clock, self._again):
            if timer is not None:
                timer.cancel()
        for _, fd in self._watched.values():
            self._loop.remove_reader(fd)
        for fd in self._blocked:
            self._loop.remove_writer(fd)
        self._watched.clear()
        self._blocked.clear()
        self.abandon(list(self._calls))
        if self.exports is not None:
            self.exports.close()
        if self._adapters is not None:
            self._adapters.close()
            # The collector does not see what the native site holds, and this leads back to it.
            self.site.give_receipts(_nobody)
            self.site.guard(_nobody, False)
        self.threads.close()

    def _readable(self, name: str) -> None:
        try:
            self.site.readable(name)
            self.watch()
        except _ESCAPED as error:
            self._break(error)
        self.turn()

    def _tell(self) -> None:
        for event in self.site.events():
            if self.exports is not None:
                self.exports.hear(event)
            if isinstance(event, _OWN):
                self._act_on(event)
                continue
            try:
                self._on_event(event)
            except Exception:
                # The events behind it are for others.
                _log.exception("an event could not be handled: %s", type(event).__name__)

    def _act_on(self, event: _native.OwnEvent) -> None:
        match event:
            case _native.GoOn(call):
                if isinstance(stream := self._calls.get(call), Stream):
                    stream.go_on()
                else:
                    self.sent.go_on(call)
            case _native.Abandoned(calls):
                self.abandon(calls)
            case _native.Over(job):
                self._leave(job)
            case _native.Traced():
                pass  # it is for what is exported
            case _native.Check(request, calls, leaving):
                self.site.checked(request, answers(self.adapters, calls, leaving))
            case _:
                assert_never(event)

    def _leave(self, job: int) -> None:
        if (audit := self._audit) is not None:
            audit.sign()
        if (adapters := self._adapters) is not None and (instances := adapters.leave(job)):
            task = self._spawn(adapters.tear_down(instances))
            self._endings.add(task)
            task.add_done_callback(self._endings.discard)

    async def run_own(self, method: Callable[[], Any]) -> None:
        """Runs what an adapter does at its beginning or its end, where a body would run that is written as it is."""
        await whole(self, Bound(method, kind_of(method)), {}, Body())

    def abandon(self, calls: list[int]) -> None:
        """Ends what runs for calls that nobody waits for."""
        for call in calls:
            self.ended(call, "given up")
            if self._sent is not None:
                self._sent.end(call)
            match self._calls.pop(call, None):
                case None:
                    pass
                case Stream() as stream:
                    stream.abandon()
                case Body() as body:
                    self.threads.give_up(body)
                case task:
                    task.cancel()

    def _flush(self) -> None:
        while (blocked := self.site.flush()) is None:
            self.watch()
            self._do_due()
        if self.carry is not None and (packets := self.site.take_packets()):
            self.carry(packets)
        if not blocked and not self._blocked:
            return
        fds = {self._watched[name][1] for name in blocked if name in self._watched}
        for fd in self._blocked - fds:
            self._loop.remove_writer(fd)
        for fd in fds - self._blocked:
            self._loop.add_writer(fd, self.turn)
        self._blocked = fds

    def _carry_on(self) -> bool:
        """Makes the calls that are due, if it may; whether it did."""
        if self._carrying or (due := self._next_call()) is None:
            return False
        self._carrying = True
        if asyncio.current_task(self._loop) is None:
            self._carry(due)
            return True
        # Bodies are started in the name of their own task, and another one is at work.
        self._loop.call_soon(self._carry_later, due)
        return False

    def _next_call(self) -> _native.Call | None:
        """The next call that may begin. What the site's other processes leave no room for is asked for again."""
        if self._turns is not None:
            running, more = self.site.calls()
            if more and not self._turns.fit(running + 1):
                if self._again is None:
                    self._again = self._loop.call_later(WAIT, self._ask_again)
                return None
        return self.site.next_call()

    def _ask_again(self) -> None:
        self._again = None
        self.turn()

    def _carry_later(self, due: _native.Call) -> None:
        try:
            self._carry(due)
        except _ESCAPED as error:
            self._break(error)
        self.turn()

    def _go_on(self) -> None:
        self._carrying = False
        self.turn()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn_now)

    def _turn_now(self) -> None:
        self._turning = False
        self.turn()

    def _carry(self, due: _native.Call | None) -> None:
        """Starts bodies, each in the name of a task of its own if it turns out to need one."""
        sent, made = self.sent, 0
        body_task = self._enter_body_task()
        try:
            while due is not None and made < _CALLS_A_TURN:
                call, tries = due.id, due.tries
                made += 1
                try:
                    bound = self.adapters.bound(due.operation, due.provider, due.job)
                    free = bound.judge is None
                    arguments = bound.arguments(due.parameters) if free else self._judged(due, bound)
                except Exception as error:
                    self.fail(call, error)
                else:
                    if arguments is None:
                        pass
                    elif bound.instance is not None and not bound.instance.ready:
                        self._spawn(self._set_up(due, bound, arguments))
                    elif tries is not None:
                        self._spawn(Trial(self, due, bound, tries).run())
                    elif bound.kind == "coroutine":
                        body_task.context.run(current.set, Sending(sent, call))
                        body = bound.body(**arguments)
                        try:
                            try:
                                waits_for = body_task.context.run(body.send, None)
                            finally:
                                end_if_forked()
                        except StopIteration as done:
                            self._complete(call, done.value)
                        except BaseException as error:
                            self.fail(call, error)
                        else:
                            leave_task(self._loop, body_task.task)
                            if body_task.task.cancelling():
                                body.close()
                                self.fail(call, asyncio.CancelledError("the adapter cancelled its own task"))
                            else:
                                body_task.go_on_with(call, body, waits_for)
                            body_task = self._enter_body_task()
                    else:
                        self._start(call, bound, arguments)
                due = self._next_call() if made < _CALLS_A_TURN else None
        finally:
            leave_task(self._loop, body_task.task)
            if made < _CALLS_A_TURN:
                self._carrying = False
            else:
                self._loop.call_soon(self._go_on)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # What leads to it may be a body, in whose name it must not send.
        task = self._loop.create_task(work, context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _enter_body_task(self) -> BodyTask:
        body_task = self._body_task
        if body_task is None or body_task.taken is not None or body_task.task.cancelling():
            body_task = self._body_task = BodyTask(self, self._loop)
        enter_task(self._loop, body_task.task)
        return body_task

    def goes_on(self, call: int, task: asyncio.Task[None]) -> None:
        """Notes that a call has not ended at once, and which task is with it."""
        self._calls[call] = task

    def takes_over(self, call: int) -> None:
        """Notes that the task that runs is with a call from now on."""
        task = asyncio.current_task()
        assert task is not None
        self._calls[call] = task

    def is_wanted(self, call: int) -> bool:
        """Whether a call was not given up."""
        return call in self._calls

    async def stay(self, call: int, body: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        """Goes on with a body that has been started, in the call's task."""
        try:
            try:
                value = await continued(body, waits_for)
            finally:
                end_if_forked()
        except asyncio.CancelledError as error:
            if call not in self._calls:
                raise
            self.fail(call, error)
        except BaseException as error:
            self.fail(call, error)
        else:
            self._complete(call, value)
        finally:
            self._calls.pop(call, None)
        self.turn()

    def _judged(self, due: _native.Call, bound: Bound) -> dict[str, Any] | None:
        """The arguments of a call that the site's policy judges, and allows; None for one that waits for a person."""
        audit = self._audit
        try:
            arguments = bound.arguments(due.parameters, job=due.job)
        except WaitsForApproval as waits:
            if audit is not None:
                audit.asked(due.job, str(due.operation), waits.request)
            self._spawn(self._ask(due, bound, waits.request))
            return None
        if audit is not None:
            audit.runs(due.id)
        return arguments

    async def _ask(self, due: _native.Call, bound: Bound, request: str) -> None:
        """Makes a call once a person has approved it."""
        call, tries = due.id, due.tries
        self.takes_over(call)
        self.site.asks(call, request)
        self._turn_soon()
        timeout = None if tries is None else tries.timeout
        patience = min(self._seconds, _LONGEST_CALL if timeout is None else timeout)
        until = self._loop.time() + patience - 2 * _LOOK
        try:
            arguments = await self._approved(due, bound, until)
            if self._audit is not None:
                self._audit.runs(call)
        except BaseException as error:
            if self._calls.pop(call, None) is None:
                raise
            if isinstance(error, WaitsForApproval):
                error = RefusedError(
                    f"nobody at site '{self.adapters.deciding.site}' has decided of the request {request} within "
                    f"{patience:g} s; once it is approved, the same pipeline may run"
                )
            self.fail(call, error)
            self.turn()
            return
        self.site.asks(call, "")
        await self._set_up(due, bound, arguments)

    async def _approved(self, due: _native.Call, bound: Bound, until: float) -> dict[str, Any]:
        """A call's arguments, when a person has approved it.

        Raises:
            WaitsForApproval: none has until then.
        """
        while True:
            await asyncio.sleep(_LOOK)
            try:
                return bound.arguments(due.parameters, job=due.job)
            except WaitsForApproval:
                if self._loop.time() > until:
                    raise

    async def _set_up(self, due: _native.Call, bound: Bound, arguments: dict[str, Any]) -> None:
        """Makes a call once its adapter has been set up."""
        call, tries = due.id, due.tries
        self.takes_over(call)
        try:
            await self.adapters.set_up(bound)
        except BaseException as error:
            if self._calls.pop(call, None) is None:
                raise
            self.fail(call, error)
        else:
            if tries is not None:
                await Trial(self, due, bound, tries).run()
            elif bound.kind == "coroutine":
                current.set(Sending(self.sent, call))
                await self.stay(call, bound.body(**arguments), None)
            else:
                self._start(call, bound, arguments)
        self.turn()

    def _complete(self, call: int, value: Any) -> None:
        """Takes a body's result, which follows what the body has sent by itself."""
        self.ended(call, "done")
        if not self.sent.has(call):
            self.site.complete(call, value)
            return
        self.sent.end(call)
        gathers = self.site.gathers(call)
        self.site.item(call, value)
        self.site.streamed(call, value if gathers else None)

    def fail(self, call: int, error: BaseException) -> None:
        """Takes a body's error."""
        self.ended(call, type(error).__name__)
        self.sent.end(call)
        operation = self.site.operation(call)
        self.site.fail(call, *self.adapters.telling.told(error, f"'{operation}'" if operation else "the cache"))

    def ended(self, call: int, how: str) -> None:
        """Has it written down how a call has ended, where that is."""
        if self._audit is not None:
            self._audit.ended(call, how)

    def _look_for_late_calls(self) -> None:
        for call in self.site.overdue(self._seconds):
            match self._calls.get(call):
                case Body(begun=False) | Stream(begun=False):
                    self.site.fail(call, "BusyError", f"{self.threads.busy()} ({self._patience()})", "")
                case _:
                    self.site.fail(call, "TimeoutError", f"it took longer than {self._patience()}", "")
            self.abandon([call])
        self._clock = self._loop.call_later(min(max(self._seconds / 20, 0.05), 5.0), self._look_for_late_calls)
        self.turn()

    def _patience(self) -> str:
        return (
            f"the {self._seconds} s that this site gives a call: `seconds-per-call` of its policy (local/policy.yaml "
            "in its kit) says so"
        )

    def _start(self, call: int, bound: Bound, arguments: dict[str, Any]) -> None:
        if bound.kind == "thread":
            body = self._calls[call] = Body()
            sending = Sending(self.sent, call)
            self._on_thread(call, lambda: self._run_body(call, bound.body, arguments, sending), body)
            return
        stream = self._calls[call] = Stream(self, call)
        if bound.kind == "generator":
            self._on_thread(call, lambda: stream.run(bound.body, arguments), stream.body)
        else:
            stream.body.begun = True
            stream.task = self._spawn(stream.drain(bound.body(**arguments)))

    def _on_thread(self, call: int, work: Callable[[], None], body: Body) -> None:
        try:
            self.threads.run(work, body)
        except RuntimeError as error:
            self._calls.pop(call, None)
            self.fail(call, error)

    def forget(self, call: int) -> None:
        """Nothing is with a call any more."""
        self._calls.pop(call, None)

    def end_stream(self, call: int, gathered: list[Any] | None, error: BaseException | None) -> None:
        """Takes the end of a call's items."""
        self._calls.pop(call, None)
        if error is None:
            self.ended(call, "done")
            self.site.streamed(call, gathered)
        else:
            self.fail(call, error)
        self.turn()

    def _run_body(self, call: int, body: Callable[..., Any], arguments: dict[str, Any], sending: Sending) -> None:
        """On a thread: runs a body that is neither a coroutine nor a generator function, whatever it returns."""
        done: Callable[[int, Any], None]
        try:
            try:
                value = called(body, arguments, sending)
            finally:
                end_if_forked()
            # To ask what it is may raise, too.
            if inspect.isgenerator(value):
                done = self._start_stream
            elif is_awaited(value):
                done = self._await
            else:
                done = self._complete
        except BaseException as error:
            done, value = self.fail, error
        self.soon(functools.partial(self._end_body, call, done, value))

    def _end_body(self, call: int, done: Callable[[int, Any], None], outcome: Any) -> None:
        self._calls.pop(call, None)
        done(call, outcome)

    def _start_stream(self, call: int, items: Iterator[Any]) -> None:
        stream = self._calls[call] = Stream(self, call)
        self._on_thread(call, lambda: stream.run(lambda: items, {}), stream.body)

    def _await(self, call: int, value: Any) -> None:
        async def wait() -> Any:
            current.set(Sending(self.sent, call))
            return await value

        self._calls[call] = self._spawn(self.stay(call, wait(), None))

    def soon(self, done: Callable[[], None]) -> None:
        """From another thread: does something on the loop, and what follows from it."""

        def do() -> None:
            try:
                done()
            except _native.Panic as error:
                self._break(error)
            self.turn()

        end_if_closed()
        # Once the loop is closed, nobody waits for it any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(do)
