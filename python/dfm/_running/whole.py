"""How is a body run to its end, with all that it makes taken together?"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from dfm._running.forks import end_if_forked
from dfm._running.said import streaming
from dfm._running.sent import Sending
from dfm._running.threads import Body
from dfm.exec._bodies import is_awaited
from dfm.exec._bound import Bound
from dfm.exec._sending import current

if TYPE_CHECKING:
    from dfm._running.loop import SiteLoop


async def whole(
    driver: SiteLoop, bound: Bound, arguments: dict[str, Any], state: Body, sending: Sending | None = None
) -> tuple[bool, Any]:
    """Whether a body is a generator, and its result, for that the list of its items."""
    most = driver.adapters.policy.limits.items_per_call
    if bound.kind == "coroutine":
        state.begun = True
        current.set(sending)
        return False, await bound.body(**arguments)
    call = sending.call if sending is not None else None
    if bound.kind == "async generator":
        state.begun = True
        streaming.set(call)
        items: list[Any] = []
        async for item in bound.body(**arguments):
            # One more than may be is enough for the site to refuse them.
            if len(items) > most:
                break
            items.append(item)
        return True, items
    ended: asyncio.Future[tuple[bool, Any]] = asyncio.get_running_loop().create_future()

    def tell(done: Callable[[], None]) -> None:
        """What became of it, unless nobody waits for that any more."""
        driver.soon(lambda: None if ended.done() else done())

    def run() -> None:
        try:
            value = called(bound.body, arguments, sending)
            streams = inspect.isgenerator(value)
            streaming.set(call)
            outcome = (streams, list(_until(most, state, value)) if streams else value)
        except BaseException as error:
            end_if_forked()
            tell(functools.partial(ended.set_exception, error))
        else:
            end_if_forked()
            tell(functools.partial(ended.set_result, outcome))
        streaming.set(None)

    driver.threads.run(run, state)
    streams, value = await ended
    return streams, await value if is_awaited(value) else value


def called(body: Callable[..., Any], arguments: dict[str, Any], sending: Sending | None) -> Any:
    """On a thread: what a body returns that is neither a coroutine nor a generator function."""
    current.set(sending)
    try:
        return body(**arguments)
    finally:
        current.set(None)


def _until(most: int, state: Body, items: Iterator[Any]) -> Iterator[Any]:
    """A generator's items, until nobody wants them, and one more than may be: the site refuses that."""
    for number, item in enumerate(items):
        if number > most or state.given_up:
            return
        yield item
