"""In whose name is a coroutine started of which nobody knows yet whether it waits?"""

from __future__ import annotations

import asyncio
import contextvars
import types
from collections.abc import Coroutine, Generator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfm._running.loop import SiteLoop


class BodyTask:
    """A task in whose name bodies are started, and which goes on with the first of them that really waits."""

    def __init__(self, driver: SiteLoop, loop: asyncio.AbstractEventLoop) -> None:
        self.context = contextvars.copy_context()
        self.taken: tuple[int, Coroutine[Any, Any, Any], Any] | None = None
        """The call, its body, and what that waits for."""
        self._driver = driver
        self._wanted: asyncio.Future[None] = loop.create_future()
        self.task = loop.create_task(self._serve(), context=self.context)

    def go_on_with(self, call: int, body: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        """Goes on with a body that waits."""
        self.taken = call, body, waits_for
        self._driver.goes_on(call, self.task)
        if not self._wanted.done():
            self._wanted.set_result(None)

    async def _serve(self) -> None:
        try:
            await self._wanted
        except asyncio.CancelledError:
            if self.taken is None:
                raise
            # It is the body that was meant, where it waits.
            self.task.uncancel()
            self.task.cancel()
        assert self.taken is not None
        await self._driver.stay(*self.taken)


@types.coroutine
def continued(body: Any, waits_for: Any) -> Generator[Any, Any, Any]:
    """Goes on with a coroutine that has already been started and waits for `waits_for`."""
    while True:
        try:
            sent = yield waits_for
        except GeneratorExit:
            body.close()
            raise
        except BaseException as error:
            try:
                waits_for = body.throw(error)
            except StopIteration as done:
                return done.value
        else:
            try:
                waits_for = body.send(sent)
            except StopIteration as done:
                return done.value
