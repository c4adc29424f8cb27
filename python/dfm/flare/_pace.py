"""How much does a link carry in a moment?"""

from __future__ import annotations

LEAST, MOST = 1 << 14, 1 << 22
"""The least and the most that is sent at once, in bytes."""
NEAR, DIRECT = 1 << 21, 1 << 20
"""The most where answers come at once, as less is as fast there: through NVFlare, whose messages cost more, and over a
direct connection."""
_RATE = 1 << 27
"""Further away it is so much a second of the time that the fastest answer took: a few of them fill any link."""
FEWEST, MOST_AT_ONCE = 2, 4
"""How many pieces may be under way: one that travels and one behind it fill any link whose answers come at once."""
_NONE, _SHORT, _LONG = 0.01, 0.03, 0.08
"""Seconds that answers may take longer than the fastest one, as they queue somewhere: below these, four times and twice
as much may be under way; above the last one, half as much."""
_PART_SHORT, _PART_LONG = 0.25, 0.5
"""The same as parts of what the fastest one took: far away, what is small takes long enough itself."""
_SLOWER = 4.0
"""How many times as long as the last one an answer may take before its piece is sent again."""


class Pace:
    """How many bytes are sent at once, by how long the answers to those before took. It lasts as long as its lane.

    What is small and comes later waits as long in the same queue, so there is to be no more in it than that bears.
    """

    def __init__(self) -> None:
        self.begin_again()

    def begin_again(self, near: int = NEAR) -> None:
        """Nothing is known of the link any more, as it is another one, on which `near` is the most where answers
        come at once."""
        self._near = near
        self.length = LEAST
        self.at_once = MOST_AT_ONCE
        """How many pieces of this length may be under way."""
        self.expected = 0.0
        """Seconds after which an answer should have come, by how long the last one took."""
        self._fastest = float("inf")
        self._before = MOST_AT_ONCE - 1
        """Answers that are still to come to what was sent at another pace, or with less under way than may be."""
        self._round: list[float] = []

    def lost(self) -> None:
        """What was sent, or its answer, did not come in time."""
        self.length = max(self.length // 2, LEAST)

    def answered(self, seconds: float) -> None:
        """An answer took so long."""
        self._fastest = min(self._fastest, seconds)
        self.expected = _SLOWER * seconds
        if self._before:
            self._before -= 1
            return
        late = seconds - self._fastest
        short, long = max(_SHORT, _PART_SHORT * self._fastest), max(_LONG, _PART_LONG * self._fastest)
        # A process that does not get its turn makes some answers late, a queue all: one that is not says enough.
        if late >= short:
            self._round.append(late)
            if len(self._round) < self.at_once:
                return
            late = min(self._round)
        self._round.clear()
        if short <= late <= long:
            return
        self._before = self.at_once
        if late > long:
            if self.length > LEAST:
                self.length = max(self.length // 2, LEAST)
            else:
                self.at_once = max(self.at_once - 1, FEWEST)
        elif self.at_once < MOST_AT_ONCE:
            self.at_once += 1
        else:
            most = min(max(self._near, int(_RATE * self._fastest)), MOST)
            self.length = max(min((4 if late < _NONE else 2) * self.length, most), self.length)
