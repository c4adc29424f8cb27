"""May one more call begin, of all that a site's processes run?

Each session is a process of its own at a site. They share a file, in which each has a byte locked for every call that
it runs. The system unlocks what a process has that ends, whatever ends it, so there is no number to keep true.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

WAIT = 0.1
"""Seconds after which a process asks again that has found no room."""


class Turns:
    """What one process has of the site's calls at once. The first call of each process needs no room: so every session
    goes on, whatever the others do."""

    def __init__(self, path: Path, most: int) -> None:
        """`most` is how many calls all processes together may run.

        Raises:
            OSError: the file cannot be made.
        """
        # Closing any descriptor of the file would unlock all of it, so there is one, for as long as the process lives.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._most = most
        self._held: list[int] = []

    def fit(self, calls: int) -> bool:
        """Whether this process may run so many calls at once; then there is room locked for them."""
        while len(self._held) < calls - 1:
            if (place := self._lock()) is None:
                return False
            self._held.append(place)
        return True

    def keep(self, calls: int) -> None:
        """Leaves to others what so many calls do not need."""
        while len(self._held) > max(calls - 1, 0):
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, self._held.pop())

    def _lock(self) -> int | None:
        mine = set(self._held)
        # Processes that begin at different places meet less often.
        first = os.getpid() * 7919 % self._most
        for place in (*range(first, self._most), *range(first)):
            if place not in mine:
                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                except OSError:
                    continue
                return place
        return None
