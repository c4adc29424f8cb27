"""How do a generator's items come to the site, no faster than they are taken?"""

from __future__ import annotations

import asyncio
import collections
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from dfm import _native
from dfm._running.forks import end_if_forked
from dfm._running.said import streaming
from dfm._running.threads import Body

if TYPE_CHECKING:
    from dfm._running.loop import SiteLoop

_ITEMS_A_TURN = 256
"""After so many items of one stream the loop serves its sockets again."""
_ITEMS_AHEAD = 1024
"""So many items of a generator may wait for the loop."""
_WAIT, _GONE = _native.Room.WAIT, _native.Room.GONE
"""To look up an enum's member takes as long as to tell an item."""


class Stream:
    """A generator's items on their way to the site."""

    def __init__(self, driver: SiteLoop, call: int) -> None:
        self.task: asyncio.Task[None] | None = None
        """What takes an asynchronous generator's items."""
        self.body = Body()
        """What makes them."""
        self._driver = driver
        self._call = call
        self._gathered: list[Any] | None = [] if driver.site.gathers(call) else None
        self._gone = False
        self._full = False
        # An asynchronous generator waits for this; one on a thread for `_go`.
        self._room = asyncio.Event()
        self._go = threading.Event()
        # What a thread's generator made and the loop has not seen yet; whether the loop was told; how it ended.
        self._items: collections.deque[Any] = collections.deque()
        self._told = False
        self._ended: tuple[BaseException | None] | None = None

    @property
    def begun(self) -> bool:
        """Whether anybody makes items."""
        return self.body.begun

    def go_on(self) -> None:
        """The consumers have caught up."""
        self._full = False
        self._room.set()
        self._take()

    def abandon(self) -> None:
        """Nobody wants the items any more."""
        self._gone = True
        if self.task is not None:
            self.task.cancel()
        else:
            self._driver.threads.give_up(self.body)
        self._go.set()

    async def drain(self, generator: AsyncGenerator[Any, None]) -> None:
        """Takes an asynchronous generator's items."""
        streaming.set(self._call)
        taken = 0
        try:
            async for item in generator:
                if self._gone or not self._give(item):
                    self._gone = True
                    self._driver.forget(self._call)
                    await generator.aclose()
                    self._driver.turn()
                    return
                taken += 1
                if self._full:
                    self._driver.turn()
                    await self._room.wait()
                elif taken % _ITEMS_A_TURN == 0:
                    self._driver.turn()
                    await asyncio.sleep(0)
        except BaseException as error:
            self._end(error)
        else:
            self._end(None)

    def run(self, body: Callable[..., Iterator[Any]], arguments: dict[str, Any]) -> None:
        """On a thread: takes a generator's items."""
        error: BaseException | None = None
        streaming.set(self._call)
        try:
            items = body(**arguments)
            for item in items:
                end_if_forked()
                if self._gone:
                    break
                self._items.append(item)
                if not self._told:
                    self._told = True
                    self._driver.soon(self._take)
                if self._full or len(self._items) >= _ITEMS_AHEAD:
                    with self._driver.threads.waiting():
                        self._wait()
        except BaseException as raised:
            error = raised
        streaming.set(None)
        end_if_forked()
        self._driver.soon(lambda: self._finish(error))

    def _wait(self) -> None:
        while True:
            self._go.clear()
            if self._gone or not (self._full or len(self._items) >= _ITEMS_AHEAD):
                return
            self._go.wait()

    def _take(self) -> None:
        self._told = False
        items = self._items
        while items and not self._full and not self._gone:
            if not self._give(items.popleft()):
                self.abandon()
                self._driver.forget(self._call)
        self._go.set()
        if self._ended is not None and not items:
            self._end(*self._ended)

    def _give(self, item: Any) -> bool:
        if self._gathered is not None:
            self._gathered.append(item)
        room = self._driver.site.item(self._call, item)
        if room is _WAIT:
            self._full = True
            self._room.clear()
        return room is not _GONE

    def _finish(self, error: BaseException | None) -> None:
        self._ended = (error,)
        self._take()

    def _end(self, error: BaseException | None) -> None:
        if not self._gone:
            self._gone = True
            self._driver.end_stream(self._call, self._gathered, error)
