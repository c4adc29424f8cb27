"""How does a body send by itself, before it has its result?

What runs a body says so in the body's own context, which goes on to the tasks that the body starts.
"""

from __future__ import annotations

import contextvars
from typing import Any, NamedTuple, Protocol

from dfm.errors import SendingError
from dfm.exec._frame import Frame


class To(NamedTuple):
    """Where a body wants a value to go."""

    job: str | None
    site: str
    place: str
    is_yield: bool
    frame: Frame | None
    node: int | str | None


class Sender(Protocol):
    """Sends for one call of one body."""

    async def send(self, to: To, data: Any) -> None:
        """Sends a value, and waits until there may be more.

        Raises:
            SendingError: it does not go there.
        """
        ...

    def send_and_wait(self, to: To, data: Any) -> None:
        """As `send`, for bodies on threads."""
        ...


current: contextvars.ContextVar[Sender | None] = contextvars.ContextVar("current", default=None)
"""Who sends for the body that runs here."""


def sender() -> Sender:
    """Who sends for the body that runs here.

    Raises:
        SendingError: nobody does.
    """
    if (found := current.get()) is None:
        raise SendingError(
            "only a `body` sends to a place, while it runs, and one that is a generator yields its values instead; "
            "`setup`, `teardown` and threads of an adapter's own send nothing"
        )
    return found


def problem(
    to: To,
    *,
    session: str,
    homesite: str,
    node: int | str,
    frame: Frame,
    places: list[str | None],
) -> str | None:
    """Why a call's body cannot send there; None if it can.

    `node` and `frame` are the call's, `places` where its result goes as it comes, with None for a loop.
    """
    own = f"node {node} of the pipeline"
    if not to.is_yield:
        return "`is_yield` is False, but a body sends only to the place of a `Yield`"
    if to.job not in (None, session):
        return f"`to_job` is {to.job!r}, but a body sends only within its own job: leave it None"
    if to.site != homesite:
        return f"`to_site` is {to.site!r}, but a `Yield`'s place is at the application's site: {homesite!r}"
    if to.node not in (None, node):
        return f"`node_id` is {to.node!r}, but this call is of {own}: leave it None"
    if to.frame not in (None, frame):
        return f"`frame` is {to.frame!r}, but this call is of {own} in {frame!r}: leave it None"
    if None in places:
        return f"a `ForEach` takes the result of {own} as its sequence: have the body be a generator of the elements"
    known = sorted({place for place in places if place is not None})
    if to.place not in known:
        takes = f"is yielded at {', '.join(map(repr, known))}" if known else "is not yielded"
        return f"`to_place` is {to.place!r}, but the result of {own} {takes}: a body sends to places of its own node"
    if len(known) > 1:
        return f"the result of {own} is yielded at {', '.join(map(repr, known))}: a body sends where there is one place"
    return None
