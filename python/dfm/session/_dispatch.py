"""On which thread are an application's callbacks called?

Each job has a runner; whatever its kind, it calls one callback at a time, in the order in which the tokens arrived.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

from dfm._running.forks import keep_from_forks
from dfm._running.threads import started
from dfm._shown import clean_logger

Work = Callable[[], Awaitable[None] | None]
"""One call of a callback, and what belongs to it."""

Failed = Callable[..., None]
"""Is told what a callback has raised, and what it was called with."""

_STAYS = 0.5
"""Seconds for which a thread that has made a job's calls waits for another job."""
_log = clean_logger("dfm.session")
_RAISED = "a callback raised"


class CallbackRunner(Protocol):
    """Calls one job's callbacks."""

    waits_for_callbacks: bool
    """Whether waiting for the job also waits for its callbacks."""

    def submit(self, work: Work) -> None:
        """Takes a call; never waits.

        Raises:
            RuntimeError: nothing can be called any more, and why.
        """
        ...

    def finish(self) -> None:
        """Ends what the runner has started, after the last call."""
        ...

    def has_pending(self) -> bool:
        """Whether calls are waiting."""
        ...

    def process_pending(self) -> int:
        """Makes the calls that are waiting, on this thread, where the runner leaves that to the application.

        Returns:
            How many there were.
        """
        ...


class Dispatcher(Protocol):
    """Makes the runners of a session's jobs."""

    def runner(self) -> CallbackRunner:
        """The runner of a new job."""
        ...


class DirectDispatcher:
    """Calls callbacks on the thread that receives the job's tokens."""

    def __init__(self) -> None:
        self._serving = _Serving()

    def runner(self) -> CallbackRunner:
        """The runner of a new job."""
        runner = _DirectRunner()
        self._serving.begin(runner)
        return runner


class ManualDispatcher:
    """Calls callbacks when the application's own loop says `job.callback_runner.process_pending()`."""

    def runner(self) -> CallbackRunner:
        """The runner of a new job."""
        return _ManualRunner()


class AsyncioDispatcher:
    """Calls callbacks, which may be coroutines, on an event loop: the given one, or that of the code that executes."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop

    def runner(self) -> CallbackRunner:
        """The runner of a new job.

        Raises:
            RuntimeError: no loop was given, and none is running here.
        """
        return _AsyncioRunner(self._loop or asyncio.get_running_loop())


class _Own(threading.local):
    runner: CallbackRunner | None = None


_own = _Own()
"""Whose calls are made on this thread, and nothing else."""


def runs_here(runner: CallbackRunner | None) -> bool:
    """Whether this thread is inside one of the runner's calls, and would wait for itself if it waited."""
    return runner is not None and _own.runner is runner


class _Serving:
    """Threads, each of which makes one job's calls at a time, and stays a while for a job that begins soon: without,
    half of a short job's time is the start of a thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[_DirectRunner]] = []
        """Where the threads that stay get their next job."""
        keep_from_forks(self)

    def leave_to_parent(self) -> Iterable[int]:
        """The threads are not in a process that is forked."""
        self._lock, self._idle = threading.Lock(), []
        return ()

    def begin(self, runner: _DirectRunner) -> None:
        """Has a job's calls made."""
        with self._lock:
            place = self._idle.pop() if self._idle else None
        if place is None:
            started(self._serve, "dfm-callbacks", (runner,))
        else:
            place.put(runner)

    def _serve(self, runner: _DirectRunner) -> None:
        place: queue.SimpleQueue[_DirectRunner] = queue.SimpleQueue()
        while True:
            runner.serve()
            # Nothing of a job is kept from its end on.
            del runner
            with self._lock:
                self._idle.append(place)
            try:
                runner = place.get(timeout=_STAYS)
            except queue.Empty:
                with self._lock:
                    if place in self._idle:
                        self._idle.remove(place)
                        return
                runner = place.get()


class _DirectRunner:
    waits_for_callbacks = True

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()

    def submit(self, work: Work) -> None:
        self._work.put(work)

    def finish(self) -> None:
        self._work.put(None)

    def has_pending(self) -> bool:
        return not self._work.empty()

    def process_pending(self) -> int:
        return 0

    def serve(self) -> None:
        """Makes the calls, until the last one."""
        _own.runner = self
        while (work := self._work.get()) is not None:
            try:
                waiting = work()
            except BaseException:
                # Nobody but this thread would end, and with it all calls that are still to come.
                _log.exception(_RAISED)
                continue
            if waiting is not None:
                _log.error("a callback is a coroutine; use get_session(callback_dispatcher=AsyncioDispatcher())")
                if inspect.iscoroutine(waiting):
                    waiting.close()
        _own.runner = None


class _ManualRunner:
    waits_for_callbacks = False

    def __init__(self) -> None:
        self._work: collections.deque[Work] = collections.deque()

    def submit(self, work: Work) -> None:
        self._work.append(work)

    def finish(self) -> None:
        pass

    def has_pending(self) -> bool:
        return bool(self._work)

    def process_pending(self) -> int:
        done = 0
        while self._work:
            self._work.popleft()()
            done += 1
        return done


class _AsyncioRunner:
    waits_for_callbacks = False

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._work: collections.deque[Work] = collections.deque()
        self._task: asyncio.Task[None] | None = None

    def submit(self, work: Work) -> None:
        if self._loop.is_closed():
            raise RuntimeError("the event loop of the application's callbacks is closed")
        self._work.append(work)
        self._loop.call_soon_threadsafe(self._wake)

    def finish(self) -> None:
        pass

    def has_pending(self) -> bool:
        return bool(self._work)

    def process_pending(self) -> int:
        return 0

    def _wake(self) -> None:
        if self._task is None and self._work:
            self._task = self._loop.create_task(self._serve())

    async def _serve(self) -> None:
        try:
            while self._work:
                try:
                    if (waiting := self._work.popleft()()) is not None:
                        await waiting
                except (asyncio.CancelledError, SystemExit) as error:
                    task = asyncio.current_task()
                    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                        raise
                    _log.exception(_RAISED)
        finally:
            self._task = None


def guarded(
    callback: Callable[..., Any],
    *arguments: Any,
    failed: Failed,
    after: Callable[[], None] | None,
) -> Work:
    """One call that stops nothing when it raises: `failed` gets the exception and the arguments then. `after` follows
    in any case."""
    return functools.partial(_call, callback, arguments, failed, after)


def _call(
    callback: Callable[..., Any],
    arguments: tuple[Any, ...],
    failed: Failed,
    after: Callable[[], None] | None,
) -> Awaitable[None] | None:
    later = None
    try:
        result = callback(*arguments)
        # Most callbacks return nothing, and asking is not cheap.
        if result is not None and inspect.isawaitable(result):
            later = _finish(result, arguments, failed, after)
    except Exception as error:
        failed(error, *arguments)
    except BaseException as error:
        failed(error, *arguments)
        raise
    finally:
        if later is None and after is not None:
            after()
    return later


async def _finish(
    waiting: Awaitable[Any], arguments: tuple[Any, ...], failed: Failed, after: Callable[[], None] | None
) -> None:
    try:
        await waiting
    except Exception as error:
        failed(error, *arguments)
    except BaseException as error:
        task = asyncio.current_task()
        if task is None or not task.cancelling():  # else it is what runs the callbacks that is cancelled
            failed(error, *arguments)
        raise
    finally:
        if after is not None:
            after()
