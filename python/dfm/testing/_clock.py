"""How does time pass in a test only when the test says so?"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

T = TypeVar("T")


class Clock:
    """The time of one federation under test, in seconds from 0. It stands still but for `advance`, and for
    `Federation.call`, which waits for its result in the only thread that could say so.

    It is the time of the sites' event loop: of `asyncio.sleep`, of timeouts, of the waits between tries. The system's
    clock, which `time.time()` and `datetime.now()` read, goes on.
    """

    def __init__(self) -> None:
        self.now = 0.0
        """The seconds that have passed."""
        self._until = 0.0
        self._reached: threading.Event | None = None
        """Told once the time is there to which one `advance` lets it pass."""
        self._loop: _Loop | None = None
        self._calls = 0
        """How many calls wait until time has passed."""

    def advance(self, seconds: float) -> None:
        """Lets time pass, from one thing that is due to the next; all of it has happened when this returns.

        Raises:
            RuntimeError: no federation has this clock now.
        """
        if self._loop is None or self._loop.is_closed():
            raise RuntimeError("no federation has this clock now; use Federation(..., clock=clock) around it")
        reached = threading.Event()
        self._loop.call_soon_threadsafe(self._pass, seconds, reached)
        reached.wait()

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop whose time is this clock's."""
        self._loop = _Loop(self)
        return self._loop

    async def passing(self, work: Awaitable[T]) -> T:
        """What `work` gives; until then, time passes whenever nothing but time could go on with it."""
        self._calls += 1
        try:
            return await work
        finally:
            self._calls -= 1

    def _pass(self, seconds: float, reached: threading.Event) -> None:
        self._until = self.now + seconds
        self._reached = reached

    def idle(self, timeout: float | None, awaited: bool) -> bool:
        """Nothing is left to do for `timeout` seconds, None for ever; whether time has passed instead.

        `awaited` says whether a socket or another thread may end that sooner.
        """
        if self.now < self._until:
            self.now = min(self._until, self.now + (math.inf if timeout is None else timeout))
            return True
        if self._reached is not None:
            self._reached.set()
        if self._calls and timeout is not None and not awaited:
            self.now += timeout
            return True
        return False


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._dfm_clock = clock
        self._elsewhere = set[asyncio.Future[Any]]()
        """What threads work on."""
        super().__init__(_Selector(clock, self._elsewhere))

    def time(self) -> float:
        """The clock's."""
        return self._dfm_clock.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """As every loop's, and noted."""
        future = super().run_in_executor(executor, func, *args)
        self._elsewhere.add(future)
        future.add_done_callback(self._elsewhere.discard)
        return future


class _Selector(selectors.DefaultSelector):
    """An event loop asks its selector for a time-out other than 0 when nothing else is left to do."""

    def __init__(self, clock: Clock, elsewhere: Collection[object]) -> None:
        super().__init__()
        self._clock = clock
        self._elsewhere = elsewhere

    def select(self, timeout: float | None = None) -> list[Any]:
        """Waits for what is ready; for time, only as far as the clock goes."""
        ready: list[Any] = super().select(0)
        # The loop's own pipe, by which threads wake it, is always there.
        awaited = len(self.get_map()) > 1 or bool(self._elsewhere)
        if ready or timeout == 0 or self._clock.idle(timeout, awaited):
            return ready
        return super().select(None)
