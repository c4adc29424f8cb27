"""Does a large value that is passed on go on before all of it is there, and is nothing lost where it never comes?"""
# pyright: basic
# ruff: noqa: F811

import random
import struct
import threading

import pytest
from dfm.flare._channel import Forged, Piece
from dfm.flare._coming import Coming
from dfm.flare._lane import Lane
from dfm.flare._packets import Packet
from eventually import until
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lane import LARGEST, Pairs, Road, channels, impatient  # noqa: F401


class Relay:
    """Two processes that send to a third, through one that passes on what it gets."""

    def __init__(self, channels: Pairs, seed: int = 0, losses: int = 0) -> None:
        self.came: list[bytes] = []
        self.lost: list[str] = []
        self.roads: list[Road] = []
        self.lanes: list[Lane] = []
        chance = random.Random(seed)

        def both(take, passes_on=False):
            """The lanes to each other of two processes, of which the second takes."""
            roads = [Road(random.Random(chance.random()), losses) for _ in range(2)]
            ends = channels()
            lanes = [
                Lane("there", ends[0], roads[0], lambda packets: None, self.lost.append, heartbeat=False),
                Lane("here", ends[1], roads[1], take, self.lost.append, heartbeat=False, passes_on=passes_on),
            ]
            roads[0].to, roads[1].to = lanes[1], lanes[0]
            self.roads += roads
            self.lanes += lanes
            return lanes

        out, _ = both(lambda packets: self.came.extend(bytes(one.content) + bytes(one.body) for one in packets))
        self.out, self.road_out = out, self.roads[0]

        def take(packets):
            for packet in packets:
                out.push(packet)

        self.senders, self.entries = [], []
        for _ in range(2):
            one, entry = both(take, passes_on=True)
            self.senders.append(one)
            self.entries.append(entry)

    def close(self) -> None:
        for lane in self.lanes:
            lane.close()


def large(job: int, mark: int, size: int = 5 * LARGEST):
    """A packet of a job with so large a body, as one is that is sealed for its receiver."""
    return Packet("home", "east", struct.pack(">16sQQQ", bytes(16), 1, job, 0), bytes([mark]) * size)


def small(job: int, mark: int):
    """A small one."""
    return large(job, mark, 1)


def said(packet):
    return bytes(packet.content) + bytes(packet.body)


def of(job: int, came: list[bytes]) -> list[bytes]:
    """Those of a job."""
    return [one for one in came if one[24:32] == job.to_bytes(8, "big")]


sizes = st.lists(st.tuples(st.integers(1, 3), st.sampled_from([1, 10, 2 * LARGEST, 6 * LARGEST])), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.tuples(sizes, sizes), st.integers(), st.integers(0, 10))
def test_what_is_passed_on_comes_once_and_in_the_order_of_its_job(channels: Pairs, both, seed, losses) -> None:
    """The jobs of one sender are not the other's."""
    relay = Relay(channels, seed, losses)
    sent = [[large(job + 3 * at, n, size) for n, (job, size) in enumerate(one)] for at, one in enumerate(both)]
    for lane, packets in zip(relay.senders, sent, strict=True):
        for packet in packets:
            lane.push(packet)
    gone = [said(packet) for packets in sent for packet in packets]
    until(lambda: len(relay.came) >= len(gone))
    until(lambda: not any(lane._is_busy() for lane in relay.lanes))
    relay.close()
    assert sorted(relay.came) == sorted(gone) and not relay.lost
    for job in range(1, 7):
        assert of(job, relay.came) == of(job, gone)


class Gate:
    """Holds back the pieces of a lane's large values that begin at an offset or after it, whatever thread has them."""

    def __init__(self, lane: Lane, offset: int) -> None:
        self.opened = threading.Event()
        self._offset, self._ask_piece = offset, lane._ask_piece
        lane._ask_piece = self._wait

    def _wait(self, piece, content):
        if piece.offset >= self._offset:
            self.opened.wait()
        return self._ask_piece(piece, content)


def begun(channels):
    """A relay whose lanes know that they are there, the gate of its first sender, and a large value under way."""
    relay = Relay(channels)
    for lane in relay.senders:
        lane.push(small(9, 9))
    until(lambda: len(relay.came) == 2)
    gate = Gate(relay.senders[0], 3 * LARGEST)
    relay.came.clear()
    relay.senders[0].push(large(1, 1, 20 * LARGEST))
    until(lambda: relay.road_out.kinds["ask", "piece"] > 0)
    return relay, gate


def test_it_goes_on_before_all_of_it_is_there(channels: Pairs) -> None:
    relay, gate = begun(channels)
    assert not relay.came
    gate.opened.set()
    until(lambda: relay.came)
    assert relay.came == [said(large(1, 1, 20 * LARGEST))]
    relay.close()


@pytest.mark.parametrize(
    "other", [large(4, 2), small(1, 2), Packet("home", "east", b"of no job")], ids=["large", "of its job", "of none"]
)
def test_nothing_waits_for_what_only_comes(channels: Pairs, other) -> None:
    relay, gate = begun(channels)
    relay.senders[1].push(other)
    until(lambda: relay.came)
    assert relay.came == [said(other)]
    relay.senders[0].push(small(1, 3))
    gate.opened.set()
    until(lambda: len(relay.came) == 3)
    assert relay.came[1:] == [said(large(1, 1, 20 * LARGEST)), said(small(1, 3))]
    relay.close()


def test_what_never_comes_whole_is_left_out(channels: Pairs) -> None:
    relay, gate = begun(channels)
    relay.entries[0].close()
    relay.senders[1].push(large(1, 2))
    until(lambda: relay.came)
    assert relay.came == [said(large(1, 2))]
    until(lambda: not relay.out._is_busy())
    gate.opened.set()
    relay.close()


def test_only_who_sends_it_has_it_left_out(channels: Pairs) -> None:
    relay, gate = begun(channels)
    nothing = Piece(1, 0, 0, 0)
    for other in (channels()[0], relay.entries[0].channel):
        with pytest.raises(Forged):
            relay.entries[0].receive("piece", 1, relay.senders[0]._news() + other.head_of(nothing))
    gate.opened.set()
    until(lambda: relay.came)
    # Nor does it have anything left out that is there.
    relay.entries[0].receive("piece", 1, relay.senders[0]._news() + relay.senders[0].channel.head_of(nothing))
    relay.senders[0].push(large(1, 4))
    until(lambda: len(relay.came) == 2)
    assert relay.came == [said(large(1, 1, 20 * LARGEST)), said(large(1, 4))]
    relay.close()


def test_who_waits_for_all_of_it_is_told_once_and_first() -> None:
    coming, told = Coming(memoryview(bytearray(4))), []
    coming.watch(lambda: told.append("watched"))
    assert coming.later(lambda: told.append("whole"))
    coming.reach(2)
    assert told == ["watched"]
    coming.reach(4)
    assert told == ["watched", "whole", "watched"] and not coming.later(told.clear)
    coming.give_up()
    assert not coming.broken


def test_what_was_given_up_is_never_whole() -> None:
    coming = Coming(memoryview(bytearray(4)))
    assert coming.later(lambda: pytest.fail("it is not whole"))
    coming.give_up()
    assert coming.broken and not coming.is_whole
