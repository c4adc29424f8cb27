"""On which thread are an application's callbacks called?

Each job has a runner; whatever its kind, it calls one callback at a time, in the order in which the tokens arrived.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import inspect
import logging
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

Work = Callable[[], Awaitable[None] | None]
"""One call of a callback, and what belongs to it."""

_log = logging.getLogger("dfm.session")


class CallbackRunner(Protocol):
    """Calls one job's callbacks."""

    waits_for_callbacks: bool
    """Whether waiting for the job also waits for its callbacks."""

    def submit(self, work: Work) -> None:
        """Takes a call; never waits."""
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

    def runner(self) -> CallbackRunner:
        """The runner of a new job."""
        return _DirectRunner()


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


class _DirectRunner:
    waits_for_callbacks = True

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="dfm-callbacks", daemon=True).start()

    def submit(self, work: Work) -> None:
        self._work.put(work)

    def finish(self) -> None:
        self._work.put(None)

    def has_pending(self) -> bool:
        return not self._work.empty()

    def process_pending(self) -> int:
        return 0

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            if (waiting := work()) is not None:
                _log.error("a callback is a coroutine; use get_session(callback_dispatcher=AsyncioDispatcher())")
                if inspect.iscoroutine(waiting):
                    waiting.close()


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
        self._work.append(work)
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:
            _log.warning("a token arrived after the application's event loop was closed; its callback is not called")

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
                if (waiting := self._work.popleft()()) is not None:
                    await waiting
        finally:
            self._task = None


def guarded(callback: Callable[..., Any], *arguments: Any, after: Callable[[], None] | None) -> Work:
    """One call whose error is logged with its traceback and stops nothing; `after` follows it in any case."""
    return functools.partial(_call, callback, arguments, after)


def _call(
    callback: Callable[..., Any], arguments: tuple[Any, ...], after: Callable[[], None] | None
) -> Awaitable[None] | None:
    try:
        result = callback(*arguments)
    except Exception:
        _log.exception("a callback raised")
    else:
        # Most callbacks return nothing, and asking is not cheap.
        if result is not None and inspect.isawaitable(result):
            return _finish(result, after)
    if after is not None:
        after()
    return None


async def _finish(waiting: Awaitable[Any], after: Callable[[], None] | None) -> None:
    try:
        await waiting
    except Exception:
        _log.exception("a callback raised")
    finally:
        if after is not None:
            after()
