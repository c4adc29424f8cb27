"""Does a large batch come whole, once, whatever becomes of its pieces?"""

import collections
import os
import random
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from dfm.flare import _pace
from dfm.flare._channel import Piece
from dfm.flare._pace import Pace
from dfm.flare._packets import Unreachable
from dfm.flare._pieces import Assembly, send
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import Buffer

DONE = b"it was taken"
batches = st.lists(st.binary(max_size=40), min_size=1, max_size=8).filter(any)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("LEAST", 1), ("MOST", 16)):
        monkeypatch.setattr(_pace, name, size)


def always() -> bool:
    return True


class Other:
    """The other end, to which each message comes, or not, in one of some ways."""

    def __init__(self, chance: random.Random, losses: int) -> None:
        self.assembly = Assembly()
        self.wholes: list[bytes] = []
        self._chance = chance
        self._losses = losses
        self._lock = threading.Lock()

    def ask(self, piece: Piece, parts: Iterable[Buffer]) -> bytes:
        content = b"".join(parts)
        with self._lock:
            fate = self._chance.randrange(4) if self._losses > 0 else 0
            self._losses -= fate > 0
        if fate == 1:
            raise Unreachable("it was lost on its way")
        answer = self._take(piece, content)
        if fate == 2:
            answer = self._take(piece, content)
        if fate == 3:
            raise Unreachable("its answer was lost")
        return answer

    def _take(self, piece: Piece, content: bytes) -> bytes:
        if self.wholes:
            return DONE
        whole = self.assembly.take(piece, memoryview(content))
        if not whole:
            return b""
        self.wholes.append(bytes(whole))
        return DONE


@settings(deadline=None, max_examples=200)
@given(batches, st.integers(), st.integers(0, 20))
def test_a_batch_comes_whole_and_once_whatever_becomes_of_its_pieces(
    parts: list[bytes], seed: int, losses: int
) -> None:
    other = Other(random.Random(seed), losses)
    given: list[Buffer] = [*parts]
    assert send(1, given, Pace(), other.ask, 60.0, always) == DONE
    assert other.wholes == [b"".join(parts)]


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=60), st.lists(st.tuples(st.integers(0, 59), st.integers(1, 60)), max_size=20))
def test_pieces_may_overlap(whole: bytes, cuts: list[tuple[int, int]]) -> None:
    """As they do where a batch is sent again after a while, in pieces of other lengths."""
    assembly, covered = Assembly(), bytearray(len(whole))
    pieces = [(offset, min(length, len(whole) - offset)) for offset, length in cuts if offset < len(whole)]
    for offset, length in [*pieces, (0, len(whole))]:
        covered[offset : offset + length] = b"1" * length
        part = memoryview(whole)[offset : offset + length]
        came = assembly.take(Piece(1, len(whole), offset, length), part)
        if all(covered):
            assert came == whole
            return
        assert not came


def test_parts_with_gaps_between_are_few() -> None:
    """Each takes pages of memory, so that a site which sends a byte for each page would take far more than it sends."""
    assembly, byte = Assembly(), memoryview(b"x")
    for page in range(1, 1001):
        assert assembly.take(Piece(1, 4 << 30, page << 12, 1), byte) == b""
    with pytest.raises(ValueError, match="more than 1000 parts with gaps between"):
        assembly.take(Piece(1, 4 << 30, 1001 << 12, 1), byte)
    # What closes a gap, or had come, takes none.
    assert assembly.take(Piece(1, 4 << 30, 1 << 12, 1), byte) is None
    assert assembly.take(Piece(1, 4 << 30, (1 << 12) + 1, 1), byte) == b""


def test_it_goes_on_as_long_as_something_comes_and_ends_when_nothing_does() -> None:
    """Nine pieces are answered, far more slowly than the patience would be for all of them; the tenth never is."""
    answered = 0
    lock = threading.Lock()

    def ask(piece: Piece, parts: Iterable[Buffer]) -> bytes:
        nonlocal answered
        with lock:
            if answered < 9:
                answered += 1
                return b""
        raise Unreachable("nobody answers")

    with pytest.raises(Unreachable, match="nobody answers"):
        send(1, [bytes(1000)], Pace(), ask, 0.05, always)
    assert answered == 9


@pytest.mark.parametrize(("refused", "goes_on"), [(True, True), (False, False)])
def test_what_is_refused_or_not_to_go_on_is_not_tried_again(refused: bool, goes_on: bool) -> None:
    tried: list[Piece] = []

    def ask(piece: Piece, parts: Iterable[Buffer]) -> bytes:
        tried.append(piece)
        raise Unreachable("no", refused=refused)

    with pytest.raises(Unreachable, match="no"):
        send(1, [bytes(1000)], Pace(), ask, 1000.0, lambda: goes_on)
    assert len(tried) == len(set(tried))


def test_a_batch_that_came_and_is_not_taken_is_no_success() -> None:
    with pytest.raises(Unreachable, match="does not say so"):
        send(1, [bytes(1000)], Pace(), lambda piece, parts: b"", 1000.0, always)


def test_pieces_follow_what_the_link_carries() -> None:
    pace = Pace()

    def answers(late: float, count: int = 8) -> int:
        """What a piece is after two rounds of answers, of which the first were sent at another pace."""
        for _ in range(count):
            pace.answered(0.05 + late)
        return pace.length

    assert [answers(0.0, count) for count in (4, 5, 9)] == [4, 16, 16], "nothing queues: one answer shows it"
    assert answers(0.05) == 16
    assert [answers(0.2) for _ in range(5)] == [8, 4, 2, 1, 1]
    assert pace.expected == 4 * (0.05 + 0.2)
    assert pace.at_once == 3
    answers(0.2)
    answers(0.2)
    assert (pace.at_once, pace.length) == (2, 1)
    assert [(answers(0.02, pace.at_once + 1), pace.at_once) for _ in range(3)] == [(1, 3), (1, 4), (2, 4)]
    pace.lost()
    assert pace.length == 1


def test_answers_of_which_only_some_are_late_change_nothing() -> None:
    """As of a process that does not get its turn on a busy machine; a queue makes all of them late."""
    pace = Pace()
    for _ in range(8):
        pace.answered(0.05)
    for _ in range(10):
        for seconds in (0.09, 1.0, 2.0, 3.0):
            pace.answered(seconds)
    assert pace.length == 4


@pytest.mark.parametrize(
    ("near", "seconds", "most"), [(_pace.NEAR, 0.001, 2), (_pace.DIRECT, 0.001, 1), (_pace.DIRECT, 0.05, 4)]
)
def test_pieces_are_no_longer_than_the_way_is(
    monkeypatch: pytest.MonkeyPatch, near: int, seconds: float, most: int
) -> None:
    """Near by what is small would wait for what makes nothing faster; far away it takes that much to fill a link."""
    monkeypatch.undo()
    pace = Pace()
    pace.begin_again(near)
    for _ in range(100):
        pace.answered(seconds)
    assert pace.length == most << 20


def crossed(whole: int, rate: float, round_trip: float) -> tuple[list[float], float]:
    """How long what is small would wait after each piece of a batch that crosses a link, and how long that is empty
    before the answer to the last one. The link is this calculation: pieces queue at its rate, answers take a round
    trip."""
    pace, left = Pace(), whole
    now = empty = 0.0
    under_way: collections.deque[tuple[float, float]] = collections.deque()
    waits: list[float] = []
    while left or under_way:
        while left and len(under_way) < pace.at_once:
            length = min(pace.length, left)
            left -= length
            empty = max(empty, now) + length / rate
            waits.append(empty - now)
            under_way.append((now, empty + round_trip))
        begun, now = under_way.popleft()
        pace.answered(now - begun)
    return waits, now - whole / rate


@pytest.mark.parametrize("megabits", [2, 10, 100])
@pytest.mark.parametrize("round_trip", [0.005, 0.05, 0.3])
def test_what_is_small_waits_for_little_behind_what_is_large_and_the_link_is_full(
    monkeypatch: pytest.MonkeyPatch, megabits: int, round_trip: float
) -> None:
    monkeypatch.undo()
    whole, rate = megabits * 5_000_000, megabits * 125_000
    waits, unused = crossed(whole, rate, round_trip)
    # The first rounds find out what the link carries. Two pieces of the least size are under way on any.
    assert max(waits[40:]) < 2.5 * _pace.LEAST / rate + max(0.08, round_trip / 2)
    assert unused < 0.2 * whole / rate


def test_a_link_is_full_after_few_round_trips(monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer that comes at once is enough to send four times as much."""
    monkeypatch.undo()
    _, unused = crossed(50_000_000, 12_500_000, 0.05)
    # One of these is that of the last answer.
    assert unused < 4 * 0.05


@pytest.mark.parametrize(
    "piece",
    [
        Piece(1, 10, 0, 4),
        Piece(1, 10, 8, 3),
        Piece(1, 10, -1, 3),
        Piece(1, 2, 0, 3),
        Piece(1, 1 << 40, 0, 3),
        Piece(1, 10, 0, 0),
    ],
)
def test_what_is_no_piece_is_refused(piece: Piece) -> None:
    with pytest.raises(ValueError, match="no piece"):
        Assembly().take(piece, memoryview(b"abc"))


def test_what_comes_again_shows_no_life() -> None:
    assembly = Assembly()
    piece = Piece(1, 6, 0, 3)
    assert assembly.take(piece, memoryview(b"abc")) == b""
    assert assembly.take(piece, memoryview(b"abc")) is None
    assert assembly.take(Piece(1, 6, 3, 3), memoryview(b"def")) == b"abcdef"


def test_a_large_size_that_is_said_takes_no_memory() -> None:
    """A piece of a batch of 4 GB, of which nothing else comes."""
    assembly, before = Assembly(), resident()
    assert assembly.take(Piece(1, 4 << 30, 0, 3), memoryview(b"abc")) == b""
    assert resident() - before < 1 << 30


def test_little_that_is_far_apart_takes_little_memory() -> None:
    """As many pages as there are bytes, and none of them a huge one but where more comes soon."""
    assembly, before = Assembly(), resident()
    for at in range(1, 400):
        assert assembly.take(Piece(1, 1 << 30, at << 21, 1), memoryview(b"x")) == b""
    assert resident() - before < 128 << 20


def resident() -> int:
    """Bytes that this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
