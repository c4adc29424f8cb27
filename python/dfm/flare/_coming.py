"""How much is there of a large batch that another process is sending?"""

from __future__ import annotations

import threading
from collections.abc import Callable


class Coming:
    """A batch that is on its way. Its methods are called from any thread."""

    def __init__(self, whole: memoryview) -> None:
        """`whole` is the memory that it comes into."""
        self.whole = whole
        self.until = 0
        """All before this is there."""
        self.broken = False
        """Whether the rest will never come."""
        self._lock = threading.Lock()
        self._then: list[Callable[[], None]] = []
        self._watchers: list[Callable[[], None]] = []

    @property
    def is_whole(self) -> bool:
        """Whether all is there."""
        return self.until == self.whole.nbytes

    def watch(self, changed: Callable[[], None]) -> None:
        """Has `changed()` called whenever something may be different, on whatever thread."""
        self._watchers.append(changed)

    def poke(self) -> None:
        """Says so."""
        for changed in list(self._watchers):
            changed()

    def later(self, then: Callable[[], None]) -> bool:
        """Has `then()` called once all is there, before anybody who watches is told; False if all is there already."""
        with self._lock:
            if self.is_whole:
                return False
            self._then.append(then)
            return True

    def reach(self, until: int) -> None:
        """All before this is there now. It is called on one thread at a time."""
        with self._lock:
            self.until = until
            due, self._then = (self._then, []) if self.is_whole else ([], self._then)
        for then in due:
            then()
        self.poke()

    def give_up(self) -> None:
        """No more will come."""
        with self._lock:
            self.broken = not self.is_whole
            self._then.clear()
        self.poke()
