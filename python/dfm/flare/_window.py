"""Which batches are under way to another process, and which have come from it ahead of others?

Plain bookkeeping, without clocks and threads. Both ends count batches from 1; at most `MOST` are under way at once, and
so many bytes as `Pace` finds that the link carries in a moment.
"""

from __future__ import annotations

import dataclasses
from typing import Generic, TypeVar

from dfm.flare._pace import Pace

MOST = 64
"""Batches that may be under way."""
LARGEST = 1 << 20
"""Bytes of packets in one batch; a packet that is larger goes in pieces, beside the others."""
MOST_BYTES = 1 << 22
"""Bytes of batches that may be under way."""
_RETRY = 0.2
"""Seconds after which a batch is sent again that later ones have overtaken, or that could not be sent."""
_TIMEOUT, _LONGEST = 2.0, 16.0
"""Seconds without an answer after which a batch is sent again, twice as long each time, and at most."""
_MOMENT = 0.08
"""Seconds in which a link carries as much as `Pace` says, at the least."""
_Came = TypeVar("_Came")


@dataclasses.dataclass
class _UnderWay:
    content: bytes
    at: float
    """When it was last sent."""
    again: float
    """When it is to be sent again, if nothing comes."""
    tries: int = 1
    lost: bool = False
    """Whether that is known, and not only that no answer came."""


class Sending:
    """What is under way. All times are those of one clock, in seconds."""

    def __init__(self) -> None:
        self._pace = Pace()
        self._under_way: dict[int, _UnderWay] = {}
        self._bytes = 0
        self.number = 0
        """The last one that was sent."""

    def __bool__(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)

    def room(self) -> int:
        """How many bytes may be sent now. One batch always may."""
        if not self._under_way:
            return LARGEST
        return min(LARGEST, self._pace.length - self._bytes) if len(self._under_way) < MOST else 0

    def add(self, number: int, content: bytes, now: float) -> None:
        """A new batch is sent."""
        if number != self.number + 1:
            raise RuntimeError(f"batch {number} cannot be sent after batch {self.number}")
        self.number = number
        self._under_way[number] = _UnderWay(content, now, now + self._patience(1, content))
        self._bytes += len(content)

    def heed(self, taken: int, ahead: int, now: float) -> bool:
        """The other end says what has come; whether that is news.

        Raises:
            ValueError: it says so of what was never sent.
        """
        if taken > self.number or ahead.bit_length() > max(self.number - taken - 1, 0):
            raise ValueError("it says that it has got what was never sent")
        said = ahead << 2 | 1  # bit n is for number `taken` + n
        come = [number for number in self._under_way if number <= taken or said >> (number - taken) & 1]
        for number in come:
            one = self._under_way.pop(number)
            self._bytes -= len(one.content)
            if one.tries == 1:
                self._pace.answered(now - one.at)
        last = taken + 1 + ahead.bit_length()
        for number, one in self._under_way.items():
            if number < last and now - one.at > max(_RETRY, self._pace.expected / 2):
                one.again, one.lost = now, True
        return bool(come)

    def failed(self, number: int, now: float) -> None:
        """A batch could not be sent."""
        if (one := self._under_way.get(number)) is not None:
            one.again = now + _RETRY

    def repeat_all(self, now: float) -> None:
        """The way is there again: what is under way was lost, as far as the other end does not say otherwise."""
        for one in self._under_way.values():
            one.again, one.lost = now, True

    def reroute(self) -> None:
        """What is sent goes another way, of which nothing is known yet."""
        self._pace.begin_again()

    def due(self, now: float) -> tuple[int, bytes, bool] | None:
        """The first batch that is to be sent again now, which counts as sent, and whether it is known to be lost."""
        for number, one in self._under_way.items():
            if one.again <= now:
                lost, one.lost = one.lost, False
                one.tries += 1
                one.at, one.again = now, now + self._patience(one.tries, one.content)
                return number, one.content, lost
        return None

    def next(self) -> float | None:
        """When `due` has to be asked."""
        return min((one.again for one in self._under_way.values()), default=None)

    def _patience(self, tries: int, content: bytes) -> float:
        # As long as nobody knows how fast the link is, it may be so slow that this takes its time.
        own = _MOMENT * len(content) / self._pace.length
        return min((max(_TIMEOUT, self._pace.expected) + own) * 2 ** (tries - 1), _LONGEST)


class Getting(Generic[_Came]):
    """What has come, and is given on in order and once."""

    def __init__(self) -> None:
        self.taken = 0
        """All up to this number were given on."""
        self._ahead: dict[int, tuple[int, _Came]] = {}
        self._bytes = 0

    def wants(self, number: int, size: int) -> bool:
        """Whether a batch of so many bytes may be taken in; one that may not has come before, or is sent again.

        Raises:
            ValueError: who keeps to the rules sends none such.
        """
        if not 0 < number <= self.taken + MOST:
            if 0 < number <= self.taken:
                return False
            raise ValueError(f"batch {number} came after batch {self.taken}, which is too far")
        if number <= self.taken or number in self._ahead:
            return False
        return number == self.taken + 1 or self._bytes + size <= MOST_BYTES

    def add(self, number: int, size: int, came: _Came) -> list[tuple[int, _Came]]:
        """Takes in a batch that is wanted: those that are to be given on now, in order, each with its number. Whoever
        gives one on then sets `taken`."""
        self._ahead[number] = size, came
        self._bytes += size
        ready: list[tuple[int, _Came]] = []
        while (one := self._ahead.pop(self.taken + 1 + len(ready), None)) is not None:
            self._bytes -= one[0]
            ready.append((self.taken + 1 + len(ready), one[1]))
        return ready

    def ahead(self) -> int:
        """Which have come beyond those that were taken: bit n is for number `taken` + 2 + n."""
        return sum(1 << (number - self.taken - 2) for number in self._ahead)
