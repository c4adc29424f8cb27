"""How does time pass in a test only when the test says so?"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
from typing import Any


class Clock:
    """The time of one federation under test, in seconds from 0. It stands still but for `advance`.

    It is the time of the sites' event loop: of `asyncio.sleep`, of timeouts, of the waits between tries. The system's
    clock, which `time.time()` and `datetime.now()` read, goes on.
    """

    def __init__(self) -> None:
        self.now = 0.0
        """The seconds that have passed."""
        self._until = 0.0
        self._reached: threading.Event | None = None
        """Told once the time is there to which one `advance` lets it pass."""
        self._loop: asyncio.AbstractEventLoop | None = None

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

    def _pass(self, seconds: float, reached: threading.Event) -> None:
        self._until = self.now + seconds
        self._reached = reached

    def idle(self, timeout: float | None) -> bool:
        """Nothing is left to do for `timeout` seconds, None for ever; whether time has passed instead."""
        if self.now < self._until:
            self.now = min(self._until, self.now + (math.inf if timeout is None else timeout))
            return True
        if self._reached is not None:
            self._reached.set()
        return False


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: Clock) -> None:
        self._dfm_clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        """The clock's."""
        return self._dfm_clock.now


class _Selector(selectors.DefaultSelector):
    """An event loop asks its selector for a time-out other than 0 when nothing else is left to do."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[Any]:
        """Waits for what is ready; for time, only as far as the clock goes."""
        ready: list[Any] = super().select(0)
        if ready or timeout == 0 or self._clock.idle(timeout):
            return ready
        return super().select(None)
