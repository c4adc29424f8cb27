"""How does a large batch travel over a link that may be slow?

In pieces, a few under way at once, each answered by itself. So whoever waits sees that bytes come, however long the
whole takes; what is lost on the way is sent again alone; and a piece is as large as the link carries in a moment, so
that signs of life and what comes the other way are never long behind it.
"""

from __future__ import annotations

import bisect
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from typing_extensions import Buffer

from dfm._running.threads import started
from dfm.flare._channel import Piece
from dfm.flare._coming import Coming
from dfm.flare._memory import fresh, make_pages_huge
from dfm.flare._pace import MOST_AT_ONCE, Pace
from dfm.flare._packets import MOST_WAITING, Unreachable

_HUGE_AT_ONCE = 32 << 20
"""Bytes of a batch for which huge pages are asked for at once."""
_MOST_APART = 1000
"""So many parts of a batch may be there before what is between them. Of an honest sender, a few are: those whose pieces
were lost on their way."""


class Unready(Exception):
    """A batch cannot be sent, as not all of it is there."""


def send(
    number: int,
    batch: list[Buffer],
    pace: Pace,
    ask: Callable[[Piece, Iterable[Buffer]], bytes],
    patience: float,
    go_on: Callable[[], bool],
    coming: Coming | None = None,
    is_waited_for: Callable[[], bool] = lambda: False,
) -> bytes:
    """Sends a batch, and returns what the other end answers when it has taken it.

    `ask` sends one piece and returns its answer, empty where more are missing, or raises `Unreachable`; it is called
    from several threads. A batch that ends as one that is `coming` does is sent as far as that is there, unless
    somebody else waits for it to be sent.

    Raises:
        Unready: not all of it is there, and it never will be, or somebody waits.
        Unreachable: for `patience` seconds no piece got an answer, one was refused, or the lane does not go on.
    """
    views = [memoryview(part).cast("B") for part in batch]
    ends = list(itertools.accumulate(view.nbytes for view in views))
    pieces: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
    answers: queue.SimpleQueue[tuple[Piece, float, bytes | Exception] | None] = queue.SimpleQueue()

    def carry() -> None:
        while (piece := pieces.get()) is not None:
            begun = time.monotonic()
            try:
                content = _between(views, ends, piece.offset, piece.offset + piece.length)
                answer: bytes | Exception = ask(piece, content)
            except Exception as error:
                answer = error
            answers.put((piece, time.monotonic() - begun, answer))

    if coming is not None:
        coming.watch(lambda: answers.put(None))
    for _ in range(MOST_AT_ONCE):
        started(carry, "dfm-piece")
    try:
        since, offset, under_way = time.monotonic(), 0, 0
        while under_way or offset < ends[-1]:
            ready = ends[-1]
            if coming is not None and not coming.is_whole:
                ready -= coming.whole.nbytes - coming.until
                if coming.broken or is_waited_for():
                    raise Unready
            while under_way < pace.at_once and offset < ready:
                piece = Piece(number, ends[-1], offset, min(pace.length, ready - offset))
                pieces.put(piece)
                offset, under_way = offset + piece.length, under_way + 1
            answered = answers.get()
            if answered is None:
                if not go_on():
                    raise Unreachable("the lane is over")
                if not under_way:
                    since = time.monotonic()
                continue
            piece, seconds, answer = answered
            under_way -= 1
            if isinstance(answer, bytes):
                since = time.monotonic()
                pace.answered(seconds)
                if answer:
                    return answer
                continue
            may_wait = isinstance(answer, Unreachable) and not answer.refused and go_on()
            if not may_wait or time.monotonic() - since >= patience:
                raise answer
            pace.lost()
            pieces.put(piece)
            under_way += 1
    finally:
        for _ in range(MOST_AT_ONCE):
            pieces.put(None)
    raise Unreachable("the other end has got all of a batch and does not say so")


def _between(views: list[memoryview], ends: list[int], begin: int, end: int) -> Iterator[memoryview]:
    """The bytes from `begin` to `end` of what the views are together."""
    index = bisect.bisect_right(ends, begin)
    while begin < end:
        start = ends[index] - views[index].nbytes
        yield views[index][begin - start : end - start]
        begin, index = ends[index], index + 1


class Assembly:
    """What has come of the batch that another process is sending, on whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget(0, 0)

    def so_far(self) -> tuple[Coming, int]:
        """The batch that is on its way, and before where in it all has come."""
        with self._lock:
            return self._coming, self._until

    def give_up(self) -> None:
        """No more comes of it."""
        with self._lock:
            self._coming.give_up()
            self._forget(0, 0)

    def _forget(self, number: int, size: int) -> None:
        # Its pages become memory as pieces come, whatever size is said.
        self._memory = fresh(size) if size else None
        self._coming = Coming(memoryview(self._memory or b""))
        self._number = number
        self._until = 0
        """All before this has come."""
        self._huge_until = 0
        """Before this, its pages are huge ones where the system has some."""
        self._ahead: list[tuple[int, int]] = []
        """From where to where in it more has come beyond, in order and with gaps between."""

    def take(self, piece: Piece, content: memoryview) -> memoryview | None:
        """Takes a piece that its sender has proved: the batch once it is whole, empty before, None if this had come.

        Raises:
            ValueError: it is no piece of a batch, or of one that is too large, or is in too many parts.
        """
        number, size, offset, length = piece
        if not (0 < length == content.nbytes and offset >= 0 and offset + length <= size <= MOST_WAITING):
            raise ValueError("what came is no piece of a batch")
        with self._lock:
            if (number, size) != (self._number, self._coming.whole.nbytes):
                self._coming.give_up()
                self._forget(number, size)
            if not self._note(offset, offset + length):
                return None
            self._make_pages_huge(offset + length)
            self._coming.whole[offset : offset + length] = content
            if self._until < size:
                return memoryview(b"")
            whole = self._coming.whole
            self._forget(0, 0)
            return whole

    def _make_pages_huge(self, end: int) -> None:
        """Has what comes next, until here or somewhat further, cost fewer pages. Only soon behind what has come: little
        that is far ahead of all else must not take many."""
        begin = self._huge_until
        if self._memory is not None and begin < end and begin <= self._until + _HUGE_AT_ONCE:
            self._huge_until = begin + _HUGE_AT_ONCE
            make_pages_huge(self._memory, begin, _HUGE_AT_ONCE)

    def _note(self, begin: int, end: int) -> bool:
        """Whether any of this is new. The batch may come again in other pieces, which overlap those before."""
        if end <= self._until or any(one <= begin and end <= other for one, other in self._ahead):
            return False
        apart = [one for one in self._ahead if one[1] < begin or end < one[0]]
        joined = [(begin, end), *(one for one in self._ahead if one not in apart)]
        begin, end = min(joined)[0], max(other for _, other in joined)
        if begin <= self._until:
            self._until, self._ahead = end, apart
            return True
        # Each part that is apart takes pages of memory, however small it is.
        if len(apart) >= _MOST_APART:
            raise ValueError(f"a batch came in more than {_MOST_APART} parts with gaps between")
        self._ahead = sorted([*apart, (begin, end)])
        return True
