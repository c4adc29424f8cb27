"""Do a lane and its inbox bring every packet once, in order, over messages that get lost, late and doubled?"""

import sys
import threading
from collections.abc import Iterable

import pytest
from dfm.flare import _cells, _lane
from dfm.flare._channel import Batch
from dfm.flare._lane import Inbox, Lane, Packet, Unreachable, pack, unpack
from hypothesis import given, settings
from hypothesis import strategies as st

BATCH = 1000
"""Here a batch has room for so many bytes."""
FATES = ("arrives", "is lost", "its answer is lost", "arrives twice", "arrives late")
names = st.text(max_size=5)
# The largest fill a batch by themselves, or fit in only just.
contents = st.binary(max_size=20) | st.sampled_from([BATCH - 30, BATCH, 3 * BATCH]).map(bytes)
packets = st.builds(Packet, names, names, contents, contents)


def joined(batch: Batch) -> tuple[bytes, bytes]:
    """A batch's content and its bodies, as they arrive."""
    return b"".join(batch.parts), b"".join(batch.bodies)


def whole(packet: Packet) -> tuple[str, str, bytes, bytes]:
    return packet.sender, packet.receiver, bytes(packet.content), bytes(packet.body)


class Carrier:
    """Carries batches to an inbox, each in the way that fate has for it, and all well in the end."""

    def __init__(self, inbox: Inbox, fates: Iterable[str]) -> None:
        self._inbox = inbox
        self._fates = iter(fates)
        self._late: list[tuple[int, bytes, bytes]] = []
        self.batches: list[Batch] = []

    def post(self, number: int, batch: Batch, goes_on: object) -> None:
        fate = next(self._fates, "arrives")
        self.batches.append(batch)
        message = number, *joined(batch)
        if fate == "arrives late":
            self._late.append(message)
        elif fate != "is lost":
            self._inbox.receive(*message)
        if fate == "arrives twice":
            self._inbox.receive(*message)
        if fate in ("arrives", "arrives twice"):
            # What was thought to be lost overtakes nothing, but comes after what was sent later.
            while self._late:
                self._inbox.receive(*self._late.pop())
            return
        raise Unreachable(f"the message {fate}")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lane, "_RETRY", 0)
    monkeypatch.setattr(_lane, "_BATCH", BATCH)


@settings(deadline=None)
@given(st.lists(packets, max_size=12), st.lists(st.sampled_from(FATES), max_size=30))
def test_packets_arrive_once_and_in_order_whatever_becomes_of_messages(sent: list[Packet], fates: list[str]) -> None:
    arrived: list[Packet] = []
    carrier = Carrier(Inbox(arrived.extend), fates)
    lost: list[str] = []
    lane = Lane("there", carrier.post, lost.append)
    for packet in sent:
        lane.push(packet)
    lane.drain(60)
    lane.close()
    assert [whole(one) for one in arrived] == sent
    assert not lost
    for batch in carrier.batches:
        # One packet, or several that have room; each is its head and its content, and its body.
        carried = [*batch.parts[1::2], *batch.bodies]
        assert len(batch.bodies) <= 1 or sum(memoryview(part).nbytes for part in carried) <= BATCH


@settings(deadline=None)
@given(st.lists(packets, max_size=4), st.integers(min_value=0), st.integers(min_value=0))
def test_a_batch_that_is_cut_short_is_refused_and_nothing_of_it_taken(
    sent: list[Packet], cut: int, cut_of_bodies: int
) -> None:
    content, bodies = joined(pack(sent))
    assert [whole(one) for one in unpack(content, bodies)] == sent
    arrived: list[Packet] = []
    lengths = cut % (len(content) + 1), cut_of_bodies % (len(bodies) + 1)
    if lengths in [tuple(len(part) for part in joined(pack(sent[:count]))) for count in range(len(sent) + 1)]:
        return  # what is cut between two packets is a batch
    with pytest.raises(ValueError, match="cut short|more follows"):
        Inbox(arrived.extend).receive(1, content[: lengths[0]], bodies[: lengths[1]])
    assert not arrived


def test_a_batch_whose_forerunner_is_missing_is_refused() -> None:
    arrived: list[Packet] = []
    with pytest.raises(ValueError, match="batch 2 came after batch 0"):
        Inbox(arrived.extend).receive(2, *joined(pack([Packet("a", "b", b"")])))
    assert not arrived


@pytest.mark.parametrize(("how", "patience"), [({"refused": True}, 1000.0), ({}, 0.0)])
def test_the_loss_of_the_other_end_is_told_once_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, how: dict[str, bool], patience: float
) -> None:
    monkeypatch.setattr(_lane, "patience", lambda: patience)
    told: list[str] = []
    over = threading.Event()

    def post(number: int, batch: Batch, goes_on: object) -> None:
        raise Unreachable("nobody is there", **how)

    def lost(reason: str) -> None:
        told.append(reason)
        over.set()

    lane = Lane("there", post, lost)
    lane.push(Packet("a", "b", b"1"))
    assert over.wait(30)
    lane.push(Packet("a", "b", b"2"))
    lane.close()
    lane.drain(30)
    assert told == ["nobody is there"]


def test_a_closed_lane_sends_no_more_and_tells_no_loss() -> None:
    told: list[str] = []
    sending, go_on = threading.Event(), threading.Event()
    numbers: list[int] = []

    def post(number: int, batch: Batch, goes_on: object) -> None:
        numbers.append(number)
        sending.set()
        go_on.wait(30)
        raise Unreachable("too late", refused=True)

    lane = Lane("there", post, told.append)
    lane.push(Packet("a", "b", b"1"))
    assert sending.wait(30)
    lane.push(Packet("a", "b", b"2"))
    lane.close()
    go_on.set()
    lane._thread.join(30)  # pyright: ignore[reportPrivateUsage]
    assert (numbers, told) == ([1], [])


def test_what_waits_to_be_sent_is_bounded_and_its_excess_ends_the_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lane, "MOST_WAITING", 10_000)
    posted, may_end = threading.Event(), threading.Event()

    def post(number: int, batch: Batch, goes_on: object) -> None:
        posted.set()
        may_end.wait()

    lost: list[str] = []
    ended = threading.Event()

    def over(reason: str) -> None:
        lost.append(reason)
        ended.set()

    lane = Lane("there", post, over, heartbeat=False)
    lane.push(Packet("a", "b", b""))
    posted.wait()
    held = [bytearray(1000) for _ in range(1000)]
    for at in range(len(held)):
        lane.push(Packet("a", "b", held[at]))
    # Nothing but this test has them any more.
    kept = [sys.getrefcount(held[at]) for at in range(1, 1000)]
    may_end.set()
    assert ended.wait(60)
    assert (
        set(kept) == {sys.getrefcount(bytearray()) + 1} and "more than 10000 bytes waited" in lost[0] and len(lost) == 1
    )


class StoppedCell:
    """What NVFlare's cell is while the process that has it ends."""

    core_cell = property(lambda self: self)

    def send_request(self, **_: object) -> object:
        raise RuntimeError("Messenger is not running")


def test_a_cell_that_is_stopped_refuses_what_is_sent() -> None:
    with pytest.raises(Unreachable, match="Messenger is not running") as caught:
        _cells.ask(StoppedCell(), "server", "batch", {}, b"1")
    assert caught.value.refused


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("", 30.0), ("120", 120.0), ("0", 1.0), ("1e9", 86_400.0), ("-inf", 1.0), ("nan", 30.0), ("soon", 30.0)],
)
def test_how_long_a_silence_may_last_is_said_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, said: str, seconds: float
) -> None:
    monkeypatch.setenv("DFM_FLARE_PATIENCE", said)
    assert _lane.patience() == seconds
