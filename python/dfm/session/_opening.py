"""In which order does what is asked of a job happen, while its sites are still being reached?"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from typing import Generic, TypeVar

from dfm._shown import clean_logger

T = TypeVar("T")

_log = clean_logger("dfm.session")


class Opening(Generic[T]):
    """A job that is about to begin. Used on the homesite's thread only.

    Whatever is asked of the job meanwhile waits in one queue, which empties in one go: nothing of the loop comes
    between the beginning and the last of it, so nothing that is asked later can overtake it.
    """

    def __init__(
        self, reaching: asyncio.Task[T], begin: Callable[[asyncio.Task[T]], None], begun: Callable[[], None]
    ) -> None:
        """Calls `begin` once `reaching` is at its end, however that is, then what was asked for, then `begun`. From
        then on nothing may be asked here."""
        self.reaching = reaching
        self._asked: collections.deque[Callable[[], object]] = collections.deque([lambda: begin(reaching)])
        self._begun = begun
        reaching.add_done_callback(self._begin)

    def then(self, work: Callable[[], object]) -> None:
        """Does it after all that was asked for before."""
        self._asked.append(work)

    def _begin(self, _: object) -> None:
        while self._asked:
            attempt(self._asked.popleft())
        self._begun()


def attempt(work: Callable[[], object]) -> None:
    """Does something that was asked of a job. What is asked for behind it is done all the same if that fails."""
    try:
        work()
    except Exception:
        _log.exception("what was asked of a job could not be done as it began")
