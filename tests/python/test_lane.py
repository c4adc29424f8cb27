"""Do two lanes bring every packet once, in order, over messages that get lost, late, doubled and overtaken?"""
# pyright: basic

import collections
import random
import struct
import sys
import threading
from collections.abc import Callable, Sequence

import pytest
from dfm.flare import _cells, _lane, _order, _pace, _window
from dfm.flare._channel import Channel, Forged, Secret
from dfm.flare._identity import check
from dfm.flare._lane import Lane
from dfm.flare._packets import Packet, Unreachable, pack, unpack
from dfm.flare._window import Getting, Sending
from eventually import until
from hypothesis import given, settings
from hypothesis import strategies as st
from kits import Root
from typing_extensions import Buffer

LARGEST = 1000
"""Here a batch has room for so many bytes."""
Pairs = Callable[[], tuple[Channel, Channel]]
names = st.text(max_size=5)
# Those in the middle fill a batch by themselves, or fit in only just; the largest are sent in pieces.
contents = st.binary(max_size=20) | st.sampled_from([LARGEST - 30, LARGEST, 5 * LARGEST]).map(bytes)
packets = st.builds(Packet, names, names, contents, contents, st.none())


def whole(packet: Packet) -> tuple[str, str, bytes, bytes]:
    return packet.sender, packet.receiver, bytes(packet.content), bytes(packet.body)


def of_job(job: int, content: bytes = b"") -> Packet:
    """What one site says to another of a job."""
    return Packet("east", "west", b"\x81\xa5Token\x94\xce" + struct.pack(">I", job) + bytes(10) + content)


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Channel, Channel]]:
    root = Root(tmp_path_factory.mktemp("kits"))
    kits = root.kit("east"), root.kit("west")

    def made() -> tuple[Channel, Channel]:
        one, other = secrets = [Secret(kit, "job") for kit in kits]
        said = [check(kits[0], secret.hello, "hello", "job")[0] for secret in secrets]
        return Channel(one, other.hello, said[1]), Channel(other, one.hello, said[0])

    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, sizes in (
        (_lane, {"_RETRY": 0.0, "LARGEST": LARGEST, "_ANSWER": 0.001, "_TIMEOUT": 0.05}),
        (_window, {"_RETRY": 0.01, "LARGEST": LARGEST, "_TIMEOUT": 0.05, "_MOMENT": 0.0, "MOST_BYTES": 4 * LARGEST}),
        (_pace, {"LEAST": LARGEST, "MOST": 4 * LARGEST}),
    ):
        for name, size in sizes.items():
            monkeypatch.setattr(module, name, size)


class Road:
    """What carries one lane's messages to the other's `receive`, on threads, each in some way, and well in the end."""

    def __init__(self, chance: random.Random, losses: int, at_once: bool | None = None) -> None:
        self._chance = chance
        self._at_once = at_once
        self._losses = losses
        self._lock = threading.Lock()
        self._late: list[tuple[str, int, bytes]] = []
        self.to: Lane | None = None
        self.kinds: collections.Counter[tuple[str, str]] = collections.Counter()

    def fire(self, kind: str, number: int, message: bytes) -> None:
        fate = self._fate("fire", kind)
        if fate == "late":
            with self._lock:
                self._late.append((kind, number, message))
            return
        for _ in range({"lost": 0, "doubled": 2}.get(fate, 1)):
            self._bring(kind, number, message)

    def ask(self, kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes:
        fate = self._fate("ask", kind)
        if fate == "lost":
            raise Unreachable("it was lost")
        self._bring(kind, number, b"".join(parts))
        assert self.to is not None
        answer = self.to.answer()
        if fate == "late":
            raise Unreachable("its answer was lost")
        return answer

    def takes_at_once(self) -> bool:
        with self._lock:
            return self._at_once if self._at_once is not None else self._chance.random() < 0.5

    def _fate(self, how: str, kind: str) -> str:
        with self._lock:
            self.kinds[how, kind] += 1
            fate = self._chance.choice(["well", "lost", "doubled", "late"]) if self._losses > 0 else "well"
            self._losses -= fate != "well"
        return fate

    def _bring(self, kind: str, number: int, message: bytes) -> None:
        assert self.to is not None
        self.to.receive(kind, number, message)
        with self._lock:
            late, self._late = self._late, []
        for one in reversed(late):
            self.to.receive(*one)


class Pair:
    """Two lanes to each other, and what came over each."""

    def __init__(
        self, channels: tuple[Channel, Channel], seed: int = 0, losses: int = 0, at_once: bool | None = None
    ) -> None:
        self.roads = [Road(random.Random(seed + at), losses, at_once) for at in range(2)]
        self.came: list[list[Packet]] = [[], []]
        self.lost: list[str] = []
        self.lanes = [
            Lane("there", channels[at], self.roads[at], self.came[at].extend, self.lost.append, heartbeat=False)
            for at in range(2)
        ]
        self.roads[0].to, self.roads[1].to = self.lanes[1], self.lanes[0]

    def close(self) -> None:
        for lane in self.lanes:
            lane.close()


@settings(deadline=None, max_examples=100)
@given(st.lists(packets, max_size=12), st.lists(packets, max_size=12), st.integers(), st.integers(0, 15))
def test_packets_arrive_once_and_in_order_whatever_becomes_of_messages(
    channels: Pairs, sent: list[Packet], back: list[Packet], seed: int, losses: int
) -> None:
    """As packets that belong to no one job, they all keep their order."""
    pair = Pair(channels(), seed, losses)
    for packet in sent:
        pair.lanes[0].push(packet)
    pair.lanes[1].push(*back)
    until(lambda: len(pair.came[1]) >= len(sent) and len(pair.came[0]) >= len(back))
    until(lambda: not any(lane._is_busy() for lane in pair.lanes))
    pair.close()
    assert [whole(one) for one in pair.came[1]] == [whole(one) for one in sent]
    assert [whole(one) for one in pair.came[0]] == [whole(one) for one in back]
    assert not pair.lost


def test_what_is_pushed_together_goes_in_one_message(channels: Pairs) -> None:
    pair = Pair(channels())
    batches: list[list[Packet]] = []
    pair.lanes[1]._take = batches.append
    sent = [of_job(at) for at in range(3)]
    pair.lanes[0].push(*sent)
    until(lambda: not pair.lanes[0]._is_busy())
    pair.close()
    assert [[bytes(packet.content) for packet in batch] for batch in batches] == [[bytes(one.content) for one in sent]]


jobs = st.tuples(st.integers(1, 3), st.sampled_from([0, 10, LARGEST, 4 * LARGEST]))


@settings(deadline=None, max_examples=100)
@given(st.lists(jobs, max_size=20), st.integers(), st.integers(0, 15))
def test_what_is_of_one_job_keeps_its_order_whatever_becomes_of_messages(
    channels: Pairs, sizes: list[tuple[int, int]], seed: int, losses: int
) -> None:
    pair = Pair(channels(), seed, losses)
    sent = [of_job(job, bytes([at]) + bytes(size)) for at, (job, size) in enumerate(sizes)]
    for packet in sent:
        pair.lanes[0].push(packet)
    until(lambda: len(pair.came[1]) >= len(sent))
    until(lambda: not pair.lanes[0]._is_busy())
    pair.close()
    came, gone = ([bytes(packet.content) for packet in one] for one in (pair.came[1], sent))
    assert sorted(came) == sorted(gone)
    for job in range(1, 4):
        start = bytes(of_job(job).content)[:13]
        assert [one for one in came if one[:13] == start] == [one for one in gone if one[:13] == start]
    assert not pair.lost


@settings(deadline=None)
@given(st.lists(packets, max_size=4), st.integers(min_value=0), st.integers(min_value=0))
def test_a_batch_that_is_cut_short_is_refused(sent: list[Packet], cut: int, cut_of_bodies: int) -> None:
    batches = [pack(sent[:count]) for count in range(len(sent) + 1)]
    joined = [(b"".join(map(bytes, one.parts)), b"".join(map(bytes, one.bodies))) for one in batches]
    content, bodies = joined[-1]
    assert [whole(one) for one in unpack(content, bodies)] == [whole(one) for one in sent]
    cuts = content[: cut % (len(content) + 1)], bodies[: cut_of_bodies % (len(bodies) + 1)]
    if cuts in joined:
        return  # what is cut between two packets is a batch
    with pytest.raises(ValueError, match="cut short|more follows"):
        list(unpack(*cuts))


def test_a_small_packet_of_another_job_does_not_wait_for_a_large_one(channels: Pairs) -> None:
    """None of the large one's pieces gets through until what is small is there."""
    pair = Pair(channels())
    for lane in pair.lanes:
        lane.push(of_job(9))
    until(lambda: all(pair.came))
    road, may_go_on = pair.roads[0], threading.Event()
    ask = road.ask

    def slow(kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes:
        if kind == "piece":
            may_go_on.wait()
        return ask(kind, number, parts, seconds)

    road.ask = slow
    confirmed = Packet("", "", b'{"confirmed": 2}')
    sent = [of_job(1, bytes(5 * LARGEST)), of_job(1, b"behind it"), confirmed, of_job(2, b"passes")]
    sent.append(Packet("east", "", b"{}"))
    for packet in [*sent, of_job(2, b"waits as well")]:
        pair.lanes[0].push(packet)
    until(lambda: len(pair.came[1]) == 3)
    assert bytes(pair.came[1][-1].content).endswith(b"passes")
    may_go_on.set()
    until(lambda: len(pair.came[1]) == 7)
    pair.close()
    order = [bytes(packet.content)[-9:] for packet in pair.came[1][3:]]
    assert order == [bytes(9), b"behind it", b"{}", b"s as well"]


def test_what_has_come_is_told_by_what_goes_the_other_way(channels: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answers the other's packets with one of its own, and nothing else is sent."""
    monkeypatch.setattr(_lane, "_ANSWER", 1000.0)
    monkeypatch.setattr(_window, "_TIMEOUT", 1000.0)
    pair = Pair(channels())
    for turn in range(40):
        pair.lanes[turn % 2].push(of_job(1))
        until(lambda turn=turn: len(pair.came[1 - turn % 2]) == turn // 2 + 1)
    until(lambda: not pair.lanes[0]._is_busy())
    pair.close()
    assert [road.kinds for road in pair.roads] == [{("ask", "batch"): 1, ("fire", "batch"): 19}] * 2
    assert len(pair.lanes[1]._sending._under_way) == 1, "the last has been told of by nothing yet"


def test_what_has_come_is_told_soon_where_nothing_goes_the_other_way(channels: Pairs) -> None:
    pair = Pair(channels())
    for count in range(1, 4):
        pair.lanes[0].push(of_job(1))
        until(lambda count=count: len(pair.came[1]) == count)
    until(lambda: not pair.lanes[0]._is_busy())
    pair.close()
    assert set(pair.roads[1].kinds) == {("fire", "beat")}


def test_what_is_under_way_and_what_came_ahead_is_bounded() -> None:
    sending, getting = Sending(), Getting[int]()
    number = 0
    while sending.room() > 0:
        number += 1
        sending.add(number, bytes(10), 0.0)
    assert number == _window.MOST
    sending = Sending()
    for number in range(1, 10):
        if sending.room() > 0:
            sending.add(number, bytes(LARGEST), 0.0)
    assert sending.number == _pace.LEAST // LARGEST
    for number in range(2, 10):
        if getting.wants(number, LARGEST):
            assert not getting.add(number, LARGEST, number)
    assert getting.ahead().bit_count() * LARGEST == _window.MOST_BYTES
    assert getting.wants(1, LARGEST), "what all the others wait for is always let in"
    assert [one for _, one in getting.add(1, LARGEST, 1)] == list(range(1, 6))
    for far in (0, -1, getting.taken + _window.MOST + 1, 1 << 64):
        with pytest.raises(ValueError, match="too far"):
            getting.wants(far, 1)


@pytest.mark.parametrize(("taken", "ahead"), [(3, 0), (1 << 64, 0), (0, 2), (1, 1), (2, 1), (0, 1 << 63)])
def test_nobody_has_got_what_was_never_sent(taken: int, ahead: int) -> None:
    sending = Sending()
    for number in (1, 2):
        sending.add(number, b"", 0.0)
    with pytest.raises(ValueError, match="never sent"):
        sending.heed(taken, ahead, 0.0)
    assert sending.heed(0, 1, 0.0) and sending.heed(2, 0, 0.0) and not sending.heed(2, 0, 0.0) and not sending


def test_only_what_is_missing_is_sent_again() -> None:
    sending = Sending()
    for number in range(1, 5):
        sending.add(number, bytes([number]), 0.0)
    assert sending.heed(1, 0b10, 0.011), "the fourth has come, and neither the second nor the third"
    assert sending.due(0.011) is None, "they may be on their way"
    assert not sending.heed(1, 0b10, 0.03)
    assert [sending.due(0.03) for _ in range(3)] == [(2, b"\2", True), (3, b"\3", True), None]
    assert sending.heed(2, 0b1, 0.031) and sending.due(0.031) is None
    assert sending.next() == pytest.approx(0.13) and sending.due(0.13) == (3, b"\3", False)


@pytest.mark.parametrize("kind", ["batch", "piece"])
def test_who_says_that_it_has_got_what_was_never_sent_is_not_listened_to(channels: Pairs, kind: str) -> None:
    made = channels()
    pair = Pair(made)
    _, news = made[0].news(*((1, 0, 0) if kind == "batch" else (0, 0, 1)))
    with pytest.raises(ValueError, match="never sent"):
        pair.lanes[1].receive("beat", 0, news)
    _, said = made[0].news(0, 0, 0)
    with pytest.raises(ValueError, match="never sent"):
        pair.lanes[1].receive("beat", 0, said)
    pair.close()


def test_what_comes_from_the_future_has_no_effect(channels: Pairs) -> None:
    made = channels()
    pair = Pair(made)
    for number in (-1, 0, 66, 1 << 63, 1 << 64):
        with pytest.raises(Forged):
            pair.lanes[1].receive("batch", number, made[0].news(0, 0, 0)[1] + bytes(100))
    with pytest.raises(Forged):
        pair.lanes[1].receive("batch", 1, made[0].news(0, 0, 0)[1] + bytes(2 * LARGEST + 1))
    pair.lanes[0].push(of_job(1))
    until(lambda: pair.came[1])
    pair.close()


class Nobody:
    """A way on which nobody answers."""

    def __init__(self, refused: bool = False) -> None:
        self.sent: list[str] = []
        self.sending, self.go_on = threading.Event(), threading.Event()
        self._refused = refused

    def fire(self, kind: str, number: int, message: bytes) -> None:
        self.ask(kind, number, [message], 0.0)

    def ask(self, kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes:
        self.sent.append(kind)
        self.sending.set()
        self.go_on.wait(60)
        raise Unreachable("nobody is there", refused=self._refused)

    def takes_at_once(self) -> bool:
        return False


class Asked(Road):
    """One that takes messages at once, unless it is gone, and notes whose threads bring them."""

    def __init__(self) -> None:
        super().__init__(random.Random(0), 0, at_once=True)
        self.threads: list[threading.Thread] = []
        self.is_gone = False

    def fire(self, kind: str, number: int, message: bytes) -> None:
        self.threads.append(threading.current_thread())
        if self.is_gone:
            self.is_gone = False
            raise Unreachable("it is gone")
        super().fire(kind, number, message)


def sure(channels: tuple[Channel, Channel]) -> tuple[Pair, Asked]:
    """Two lanes of which one knows that the other is there."""
    pair = Pair(channels, at_once=False)
    pair.roads[0] = road = Asked()
    pair.lanes[0]._transport, road.to = road, pair.lanes[1]
    pair.lanes[0].push(of_job(1))
    until(lambda: pair.lanes[0]._sure and not pair.lanes[0]._sending)
    assert not road.threads
    return pair, road


def test_who_pushes_also_sends_where_that_keeps_nobody_waiting(channels: Pairs) -> None:
    pair, road = sure(channels())
    for job in range(20):
        until(lambda: not pair.lanes[0]._sending)
        pair.lanes[0].push(of_job(job))
    until(lambda: not pair.lanes[0]._sending)
    # Of these a part goes at once, and the rest when there is room for it.
    pair.lanes[0].push(*(of_job(job, bytes(LARGEST // 2)) for job in range(20)))
    assert road.threads[:21] == [threading.current_thread()] * 21
    until(lambda: len(pair.came[1]) == 41)
    assert [_order_of(packet) for packet in pair.came[1]] == [1, *range(20), *range(20)]
    pair.close()


def test_what_could_not_be_sent_at_once_is_sent_by_the_lane(channels: Pairs) -> None:
    pair, road = sure(channels())
    road.is_gone = True
    pair.lanes[0].push(of_job(2))
    pair.lanes[0].push(of_job(3))
    assert road.threads[:1] == [threading.current_thread()]
    until(lambda: len(pair.came[1]) == 3)
    assert [_order_of(packet) for packet in pair.came[1]] == [1, 2, 3] and not pair.lost
    pair.close()


def test_threads_that_push_at_once_keep_each_its_order(channels: Pairs) -> None:
    pair, _ = sure(channels())

    def push(first: int) -> None:
        for job in range(first, first + 200):
            pair.lanes[0].push(of_job(job))

    threads = [threading.Thread(target=push, args=(1000 * at,)) for at in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: len(pair.came[1]) == 801)
    came = [_order_of(packet) for packet in pair.came[1]]
    for at in range(1, 5):
        assert [job for job in came if job // 1000 == at] == list(range(1000 * at, 1000 * at + 200))
    pair.close()


def _order_of(packet: Packet) -> int:
    job = _order.job(packet._replace(content=bytes(packet.content)))
    assert job is not None
    return job


@pytest.mark.parametrize(("refused", "patience"), [(True, 1000.0), (False, 0.0)])
@pytest.mark.parametrize("content", [b"", bytes(5 * LARGEST)])
def test_the_loss_of_the_other_end_is_told_once_with_its_reason(
    channels: Pairs, monkeypatch: pytest.MonkeyPatch, refused: bool, patience: float, content: bytes
) -> None:
    monkeypatch.setattr(_lane, "patience", lambda: patience)
    told: list[str] = []
    nobody = Nobody(refused)
    nobody.go_on.set()
    lane = Lane("there", channels()[0], nobody, print, told.append)
    lane.push(of_job(1, content))
    until(lambda: told)
    lane.push(of_job(1))
    lane.close()
    lane.drain(30)
    assert told == ["nobody is there"]
    with pytest.raises(Unreachable, match="closed") as caught:
        lane.receive("beat", 0, b"")
    assert caught.value.refused


def test_a_closed_lane_sends_no_more_and_tells_no_loss(channels: Pairs) -> None:
    told: list[str] = []
    nobody = Nobody(refused=True)
    lane = Lane("there", channels()[0], nobody, print, told.append, heartbeat=False)
    lane.push(of_job(1))
    assert nobody.sending.wait(60)
    lane.push(of_job(2))
    lane.close()
    nobody.go_on.set()
    assert lane._thread is not None
    lane._thread.join(30)
    assert (nobody.sent, told) == (["batch"], [])


def test_what_waits_to_be_sent_is_bounded_and_its_excess_ends_the_lane(
    channels: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_lane, "MOST_WAITING", 10_000)
    nobody = Nobody()
    lost: list[str] = []
    lane = Lane("there", channels()[0], nobody, print, lost.append, heartbeat=False)
    lane.push(of_job(1))
    assert nobody.sending.wait(60)
    held = [bytearray(1000) for _ in range(1000)]
    for at in range(len(held)):
        lane.push(Packet("a", "b", held[at]))
    # Nothing but this test has them any more.
    kept = [sys.getrefcount(held[at]) for at in range(1, 1000)]
    nobody.go_on.set()
    until(lambda: lost)
    assert set(kept) == {sys.getrefcount(bytearray()) + 1}
    assert "more than 10000 bytes waited" in lost[0] and len(lost) == 1


class StoppedCell:
    """What NVFlare's cell is while the process that has it ends."""

    core_cell = property(lambda self: self)

    def send_request(self, **_: object) -> object:
        raise RuntimeError("Messenger is not running")

    fire_and_forget = send_request


def test_a_cell_that_is_stopped_refuses_what_is_sent() -> None:
    with pytest.raises(Unreachable, match="Messenger is not running") as caught:
        _cells.ask(StoppedCell(), "server", "batch", {}, b"1")
    assert caught.value.refused
    with pytest.raises(Unreachable, match="Messenger is not running") as caught:
        _cells.CellTransport(StoppedCell(), "server").fire("batch", 1, b"1")
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
