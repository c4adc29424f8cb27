"""How long does an adapter's object live, and what happens at its beginning and its end?"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from dfm.exec._telling import FAILURES, BindingError

Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a method of an adapter's to its end, on the event loop or a thread as it is written."""


class Instance:
    """An adapter's object, from its construction to its `teardown`."""

    def __init__(self, made: object, what: str) -> None:
        """`what` names it in errors.

        Raises:
            BindingError: its `setup` or `teardown` needs arguments.
        """
        self.made = made
        self.what = what
        self._setup = _method(made, "setup", what)
        self._teardown = _method(made, "teardown", what)
        self._setting_up: asyncio.Future[BaseException | None] | None = None
        self.ready = self._setup is None
        """Whether it can be called."""

    async def set_up(self, run: Run) -> None:
        """Has its `setup` run, once for all who wait for it; raises what that raises."""
        if self._setting_up is None:
            assert self._setup is not None
            self._setting_up = asyncio.ensure_future(_failure_of(run(self._setup)))
        # Whoever waits may be given up; the others do not notice.
        if (failed := await asyncio.shield(self._setting_up)) is not None:
            raise failed
        self.ready = True

    async def tear_down(self, run: Run) -> None:
        """Has its `teardown` run, if it has been set up; raises what that raises."""
        if not self.ready:
            if self._setting_up is not None:
                self._setting_up.cancel()
        elif self._teardown is not None:
            await run(self._teardown)


async def _failure_of(work: Awaitable[Any]) -> BaseException | None:
    try:
        await work
    except FAILURES as error:
        return error
    return None


def _method(made: object, name: str, what: str) -> Callable[[], Any] | None:
    method = getattr(made, name, None)
    if not callable(method):
        return None
    try:
        inspect.signature(method).bind()
    except TypeError:
        raise BindingError(f"{what}: its '{name}' needs arguments; it is called with none") from None
    except ValueError:
        pass
    return method
