"""What becomes of a value that a body sends by itself?"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from typing import Any

from dfm import _native
from dfm._running.threads import Threads
from dfm.errors import SendingError
from dfm.exec._adapters import Adapters
from dfm.exec._frame import Frame
from dfm.exec._sending import To, problem

_WAIT, _GONE = _native.Room.WAIT, _native.Room.GONE


class Sent:
    """Which calls of a site have sent something, and who waits until there may be more."""

    def __init__(self, site: _native.Site, adapters: Adapters, threads: Threads, turn_soon: Callable[[], None]) -> None:
        """On the site's loop; `turn_soon` has it write what was done."""
        self.loop = asyncio.get_running_loop()
        self.threads = threads
        self._site = site
        self._adapters = adapters
        self._turn_soon = turn_soon
        self._calls: dict[int, list[asyncio.Future[None]]] = {}

    def has(self, call: int) -> bool:
        """Whether it has sent something."""
        return call in self._calls

    def go_on(self, call: int) -> None:
        """The application has caught up with it."""
        for waiting in self._calls.get(call, ()):
            if not waiting.done():
                waiting.set_result(None)

    def end(self, call: int) -> None:
        """It is over: what its body sends from now on goes nowhere."""
        for waiting in self._calls.pop(call, ()):
            if not waiting.done():
                waiting.set_exception(_over())

    async def send(self, call: int, kept: list[Any] | None, to: To, data: Any) -> None:
        """On the loop."""
        if (of := self._site.streams_to(call)) is None:
            raise _over()
        node, levels, places = of
        own, frame = self._adapters, Frame(levels)
        if wrong := problem(to, session=own.session, homesite=own.homesite, node=node, frame=frame, places=places):
            raise SendingError(wrong)
        if kept is not None:
            # One more than may be is enough for the site to refuse them.
            if len(kept) <= own.policy.limits.items_per_call:
                kept.append(data)
            return
        waiting = self._calls.setdefault(call, [])
        room = self._site.item(call, data)
        self._turn_soon()
        if room is _GONE:
            raise _over()
        if room is _WAIT:
            caught_up: asyncio.Future[None] = self.loop.create_future()
            waiting.append(caught_up)
            try:
                await caught_up
            finally:
                waiting.remove(caught_up)


class Sending:
    """Sends for one call. What a try sends that may fail is kept until it has not."""

    __slots__ = ("_sent", "call", "kept")

    def __init__(self, sent: Sent, call: int, kept: list[Any] | None = None) -> None:
        self._sent = sent
        self.call = call
        self.kept = kept

    async def send(self, to: To, data: Any) -> None:
        """As `Sender`."""
        if asyncio.get_running_loop() is self._sent.loop:
            await self._sent.send(self.call, self.kept, to, data)
        else:
            await asyncio.wrap_future(self._from_afar(to, data))

    def send_and_wait(self, to: To, data: Any) -> None:
        """As `Sender`."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            with self._sent.threads.waiting():
                self._from_afar(to, data).result()
        else:
            raise SendingError("`send_to_place_sync` would keep its event loop from running: await `send_to_place`")

    def _from_afar(self, to: To, data: Any) -> concurrent.futures.Future[None]:
        sent = self._sent
        return asyncio.run_coroutine_threadsafe(sent.send(self.call, self.kept, to, data), sent.loop)


def _over() -> SendingError:
    return SendingError("the call is over, or its job wants no more of it: what its body sends goes nowhere")
