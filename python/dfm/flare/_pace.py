"""How much does a link carry in a moment?"""

from __future__ import annotations

LEAST, MOST = 1 << 16, 1 << 22
"""The least and the most that is sent at once, in bytes."""
_SHORT, _LONG = 0.1, 0.5
"""Seconds that an answer may take longer than the fastest one: below the first, the next pieces are larger; above the
second, smaller, for then they queue somewhere."""


_SLOWER = 4.0
"""How many times as long as the last one an answer may take before its piece is sent again."""


class Pace:
    """How many bytes are sent at once, by how long the answers to those before took. It lasts as long as its lane."""

    def __init__(self) -> None:
        self.length = LEAST
        self.expected = 0.0
        """Seconds after which an answer should have come, by how long the last one took."""
        self._fastest = float("inf")

    def lost(self) -> None:
        """What was sent, or its answer, did not come in time."""
        self.length = max(self.length // 2, LEAST)

    def answered(self, seconds: float) -> None:
        """An answer took so long."""
        self._fastest = min(self._fastest, seconds)
        self.expected = _SLOWER * seconds
        if seconds < self._fastest + _SHORT:
            self.length = min(2 * self.length, MOST)
        elif seconds > self._fastest + _LONG:
            self.length = max(self.length // 2, LEAST)
