"""How do packets get to another process in order and exactly once, over messages that may fail?

A lane sends batches, several of which are under way at once, and gets those of the other end; each end says in each of
its messages what has come. A packet too large for a batch goes in pieces, and only what must not overtake it waits. As
long as nobody has answered, or not in time, one message is sent at a time and its answer waited for.
"""

from __future__ import annotations

import collections
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from typing_extensions import Buffer

from dfm._running.threads import started
from dfm.flare import _order
from dfm.flare._channel import Channel, Forged, Piece
from dfm.flare._coming import Coming
from dfm.flare._pace import DIRECT, NEAR, Pace
from dfm.flare._packets import MOST_WAITING, Packet, Unreachable, pack, unpack
from dfm.flare._pieces import Assembly, Unready, send
from dfm.flare._window import LARGEST, Getting, Sending

HEARTBEAT = 1.0
"""Seconds of silence after which a lane asks whether the other end is there."""
PATIENCE = 30.0
"""Seconds without an answer after which the other end counts as lost, where the environment says no others: longer than
TCP needs after a short cut."""
BATCH, BEAT, PIECE = "batch", "beat", "piece"
"""What a message is: a batch, news alone, or a piece of a large batch."""
_RETRY = 0.2
_TIMEOUT, _LONGEST = 2.0, 8.0
"""Seconds for an answer, twice as long after each that did not come, and at most: what is asked on a way that is lost
is waited for in vain, and the next one has to come through within the patience."""
_ANSWER = 0.02
"""Seconds within which the other end is told what has come, if nothing goes there anyway."""
_UNANSWERED = 16
"""Batches after which it is told at once."""
_AT_ONCE = 1 << 16
"""Where so many bytes wait to be sent, or fewer, who pushes may send them: what is more takes longer than to wake a
thread, and whoever pushes has something else to do."""
_PACKET = 256
"""About how many bytes a packet takes beside its content."""
_MARK = 0.1
"""Seconds between the messages of which it is noted when they were sent."""


class Transport(Protocol):
    """What a lane's messages go through."""

    def fire(self, kind: str, number: int, message: bytes) -> None:
        """Sends one, of which nobody knows whether it arrives. Raises `Unreachable` where it cannot be sent."""
        ...

    def ask(self, kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes:
        """Sends one, of parts that follow each other, and returns the answer. Raises `Unreachable` where none came
        within so many seconds."""
        ...

    def takes_at_once(self) -> bool:
        """Whether `fire` keeps nobody waiting now, so that whoever has something to send may call it."""
        ...


class _Message(NamedTuple):
    kind: str
    number: int
    content: bytes
    is_asked: bool


def patience() -> float:
    """`PATIENCE`, or what `DFM_FLARE_PATIENCE` says, in seconds from 1 to a day."""
    said = os.environ.get("DFM_FLARE_PATIENCE", "")
    try:
        seconds = float(said)
    except ValueError:
        return PATIENCE
    return min(max(seconds, 1.0), 86_400.0) if seconds == seconds else PATIENCE


class Lane:
    """The way to and from one other process. All its methods are called from any thread."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        transport: Transport,
        take: Callable[[list[Packet]], None],
        lost: Callable[[str], None],
        heartbeat: bool = True,
        passes_on: bool = False,
        crowds: Callable[[str], bool] = lambda sender: False,
    ) -> None:
        """`take` gets what the other end sends, in order and once, and raises `ValueError` for what it may not send;
        `lost` is told once why the lane has ended, unless it was closed. Who `passes_on` what comes gets a large packet
        as soon as its content is there. Where too much waits to be sent, `crowds(sender)` is asked of who has sent the
        most of it, on whatever thread, whether only what is of that one is dropped, now and from then on."""
        self.channel = channel
        self._name = name
        self._transport = transport
        self._take = take
        self._lost = lost
        self._heartbeat = heartbeat
        self._passes_on = passes_on
        self._crowds = crowds
        self._patience = patience()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._draining = False

        self._queue: collections.deque[Packet] = collections.deque()
        self._held: list[Packet] = []
        """Those that must not overtake the large one that is under way, or are large themselves."""
        self._shares: collections.Counter[str] = collections.Counter()
        """About how many bytes both take, by who has sent them."""
        self._dropped: set[str] = set()
        """Those of whom nothing is sent any more."""
        self._overflows = False
        """Whether that was too much, of which nothing is sent then."""
        self._sending = Sending()
        self._picked = False
        """Whether a batch is being made of what was in the queue."""
        self._sure = False
        """Whether the last that was heard of the way is that it is there."""
        self._pause = 0.0
        """Until when nothing is sent, after what could not be sent."""
        self._sleeps: float | None = None
        """Until when the lane's thread sleeps, if nobody wakes it."""
        self._timeout = _TIMEOUT
        self._pace = Pace()
        self._large: set[int | None] | None = None
        """The jobs of which nothing may be sent before the large one that is under way is there; none is under way."""
        self._large_number = self._large_taken = 0
        self._early: Coming | None = None
        """What is under way as it comes, as long as nothing waits for that."""

        now = time.monotonic()
        self.heard = now
        """When something last came that was new."""
        self._marks: collections.deque[tuple[int, float]] = collections.deque(maxlen=4096)
        """Stamps of messages, and when they were sent."""
        self._stamp = 0
        self._alive = now
        """When that was sent which the other end has heard last."""
        self._asked = now
        self._since = now
        """When it was first waited for an answer."""

        self._taking = threading.Lock()
        self._getting: Getting[list[Packet]] = Getting()
        self._assembly = Assembly()
        self._large_come: tuple[int, int, list[Packet]] | None = None
        """A large batch that can be given on, the batch that it is to be taken after, and what of it is to be given."""
        self._coming: Coming | None = None
        """The same, where more of it comes."""
        self._large_whole = self._large_got = 0
        """The last large batch that is there, and that was taken."""
        self._had = (0, 0, 0)
        """What is told of it."""
        self._unanswered = 0
        self._owed: float | None = None
        """When that has to be told."""
        self._fault: str | None = None
        """What the other end has sent that it may not."""
        if heartbeat:
            self._start()

    def push(self, *packets: Packet) -> None:
        """Sends packets after those that were pushed before, in one message as far as they fit into one. Where too much
        waits, who has sent it is dropped, or the lane ends."""
        with self._changed:
            if self._closed:
                return
            for packet in packets:
                self._add(packet)
            batch = self._pick_at_once()
            if batch is None:
                self._start()
                self._changed.notify_all()
                return
        # A thread that has to be woken takes longer than all that is done here.
        message = self._seal(batch, is_asked=False)
        try:
            self._transport.fire(message.kind, message.number, self._news() + message.content)
        except Unreachable:
            self._not_sent(message)

    def _add(self, packet: Packet) -> None:
        if self._overflows or packet.sender in self._dropped:
            return
        self._count(packet, 1)
        self._queue.append(packet)
        if self._shares.total() > MOST_WAITING:
            ((most, _),) = self._shares.most_common(1)
            if self._crowds(most):
                self._drop(most)
            else:
                self._overflows = True
                self._queue.clear()
                self._held.clear()

    def reroute(self, is_lost: bool) -> None:
        """What is sent goes another way from now on: over a direct connection or, where that is lost, not any more, and
        what is under way on it may be lost too."""
        with self._changed:
            self._pace.begin_again(NEAR if is_lost else DIRECT)
            self._sending.reroute()
            if is_lost:
                self._sure = False
                self._sending.repeat_all(time.monotonic())
                self._changed.notify_all()

    def drain(self, timeout: float) -> None:
        """Waits until all packets are acknowledged, at most `timeout` seconds."""
        with self._changed:
            self._draining = True
            self._changed.wait_for(lambda: self._closed or not self._is_busy(), timeout)

    def close(self) -> None:
        """Sends no more, and takes no more."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._held.clear()
            self._changed.notify_all()
        self._assembly.give_up()

    def _count(self, packet: Packet, times: int) -> None:
        self._shares[packet.sender] += times * _size(packet)

    def _drop(self, sender: str) -> None:
        self._dropped.add(sender)
        for packet in (*self._queue, *self._held):
            if packet.sender == sender:
                self._count(packet, -1)
        self._queue = collections.deque(packet for packet in self._queue if packet.sender != sender)
        self._held = [packet for packet in self._held if packet.sender != sender]

    def _start(self) -> None:
        if self._thread is None:
            self._thread = started(self._run, f"dfm-to-{self._name}")

    def _is_busy(self) -> bool:
        return bool(self._queue or self._held or self._picked or self._sending or self._large is not None)

    def _goes_on(self) -> bool:
        return not self._closed and not self._overflows

    def _end(self, reason: str) -> None:
        with self._changed:
            was_closed, self._closed = self._closed, True
        self.close()
        if not was_closed:
            self._lost(reason)

    # What is sent.

    def _run(self) -> None:
        while (message := self._next()) is not None:
            news = self._news()
            try:
                if message.is_asked:
                    self._ask(message.kind, message.number, (news, message.content))
                else:
                    self._transport.fire(message.kind, message.number, news + message.content)
            except Unreachable as error:
                silent = self._not_sent(message)
                if error.refused or silent >= self._patience:
                    self._end(str(error))
                    return
        if self._overflows:
            self._end(f"more than {MOST_WAITING} bytes waited to be sent there: it takes less than it is sent")

    def _not_sent(self, message: _Message) -> float:
        """Nobody knows whether the way is there; for how many seconds nothing has answered."""
        now = time.monotonic()
        with self._changed:
            self._sure = False
            self._sending.failed(message.number if message.kind == BATCH else 0, now)
            self._pause = now + _RETRY
            self._changed.notify_all()
            return now - max(self._alive, self._since)

    def _next(self) -> _Message | None:
        """The next message, when there is one to send."""
        with self._changed:
            batch = None
            while batch is None:
                if not self._goes_on():
                    return None
                now = time.monotonic()
                if self._pause <= now:
                    if (message := self._due(now)) is not None:
                        return message
                    if (batch := self._pick()) is not None:
                        break
                rest = self._rest(now)
                self._sleeps = math.inf if rest is None else now + rest
                self._changed.wait(rest)
                self._sleeps = None
            is_asked = not self._sure or self._draining
        return self._seal(batch, is_asked)

    def _seal(self, batch: list[Packet], is_asked: bool) -> _Message:
        """What was picked, as it is under way."""
        number, parts = self.channel.seal(pack(batch))
        content = b"".join(parts)
        with self._changed:
            now = time.monotonic()
            if not self._sending and not self._heartbeat:
                self._since = now
            self._sending.add(number, content, now)
            self._picked = False
            if self._queue or self._held:
                self._changed.notify_all()
            self._wake_by(self._sending.next())
        return _Message(BATCH, number, content, is_asked)

    def _wake_by(self, when: float | None) -> None:
        """Has the lane's thread look around at a time, unless it does so by itself."""
        if when is None:
            return
        if self._thread is None:
            self._start()
        elif self._sleeps is not None and when < self._sleeps:
            self._changed.notify_all()

    def _due(self, now: float) -> _Message | None:
        """What is sent again, or says only what has come, or asks for a sign of life."""
        if (again := self._sending.due(now)) is not None:
            number, content, is_lost = again
            self._sure = self._sure and is_lost
            return _Message(BATCH, number, content, not self._sure)
        if self._owed is not None and self._owed <= now:
            return _Message(BEAT, 0, b"", False)
        if self._heartbeat and now >= max(self.heard, self._asked) + HEARTBEAT:
            self._asked = now
            return _Message(BEAT, 0, b"", True)
        return None

    def _rest(self, now: float) -> float | None:
        """Seconds until there may be something to do again."""
        times = [one for one in (self._sending.next(), self._owed) if one is not None]
        if self._heartbeat:
            times.append(max(self.heard, self._asked) + HEARTBEAT)
        if times or self._pause > now:
            return max(min(times, default=self._pause), self._pause, now) - now
        return None

    def _pick_at_once(self) -> list[Packet] | None:
        """The next batch, if whoever pushes may send it."""
        is_free = self._sure and not self._draining and self._goes_on() and self._pause <= time.monotonic()
        is_little = self._shares.total() <= _AT_ONCE
        return self._pick() if is_free and is_little and self._transport.takes_at_once() else None

    def _pick(self) -> list[Packet] | None:
        """The next batch, if there is room for one; a large packet begins its own way."""
        if self._picked or (not self._sure and self._sending):
            return None
        batch: list[Packet] = []
        size, room = 0, self._sending.room()
        while self._queue:
            packet = self._queue[0]
            length = _size(packet)
            if self._large is not None:
                job = _order.job(packet)
                if job is None or None in self._large:
                    self._stop_early()
                    break
                if job in self._large or length > LARGEST:
                    self._stop_early()
                    self._large.add(job)
                    self._held.append(self._queue.popleft())
                    continue
            if length > LARGEST:
                if batch:
                    break
                self._count(packet, -1)
                self._begin_large(self._queue.popleft())
                continue
            if room <= 0 or (batch and size + length > room):
                break
            batch.append(self._queue.popleft())
            size += length
            self._count(packet, -1)
        self._picked = bool(batch)
        return batch or None

    def _begin_large(self, packet: Packet) -> None:
        self._large = {_order.job(packet)}
        self._early = packet.coming
        started(self._carry_large, f"dfm-large-to-{self._name}", (packet, self._sending.number))

    def _carry_large(self, packet: Packet, after: int) -> None:
        begun, is_void = time.monotonic(), False
        number, sealed = self.channel.seal_large(pack([packet]), after)
        coming, whole = packet.coming, packet._replace(coming=None) if packet.coming is not None else None
        del packet
        with self._changed:
            self._large_number = number
        while self._goes_on() and self._large_taken < number:
            try:
                if is_void:
                    self._ask_piece(Piece(number, 0, 0, 0), ())
                else:
                    to = self._pace, self._ask_piece, self._patience, self._goes_on
                    send(number, sealed, *to, coming, self._is_waited_for)
            except Unready:
                is_void = True
                continue
            except Unreachable as error:
                if error.refused or time.monotonic() - max(self._alive, begun) >= self._patience:
                    self._end(str(error))
                    return
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._large_taken >= number, _TIMEOUT)
        with self._changed:
            self._large = self._early = None
            self._queue.extendleft(reversed(self._held))
            self._held.clear()
            # What follows it of its job comes after all of it.
            if is_void and coming is not None and whole is not None and not coming.later(lambda: self.push(whole)):
                self._queue.appendleft(whole)
                self._count(whole, 1)
            self._changed.notify_all()

    def _stop_early(self) -> None:
        """What waits for it need not wait for where it comes from: it is sent again when all of it is there."""
        if self._early is not None:
            early, self._early = self._early, None
            early.poke()

    def _is_waited_for(self) -> bool:
        return self._early is None

    def _ask_piece(self, piece: Piece, content: Iterable[Buffer]) -> bytes:
        self._ask(PIECE, piece.number, (self._news(), self.channel.head_of(piece), *content))
        return b"taken" if self._large_taken >= piece.number else b""

    def _ask(self, kind: str, number: int, parts: Sequence[Buffer]) -> None:
        try:
            answer = self._transport.ask(kind, number, parts, min(max(self._timeout, self._pace.expected), _LONGEST))
            self._heed(answer)
        except Unreachable:
            self._timeout = min(2 * self._timeout, _LONGEST)
            raise
        except Forged:
            raise Unreachable("what answers is not the process that the session knows") from None
        except ValueError as error:
            raise Unreachable(str(error), refused=True) from None
        with self._changed:
            self._timeout = _TIMEOUT
            if not self._sure:
                self._sure = True
                self._sending.repeat_all(time.monotonic())
                self._changed.notify_all()

    def _news(self) -> bytes:
        """What is said in the next message, which tells what is owed."""
        with self._changed:
            self._owed, self._unanswered = None, 0
            self._stamp, news = self.channel.news(*self._had)
            now = time.monotonic()
            if not self._marks or now >= self._marks[-1][1] + _MARK:
                self._marks.append((self._stamp, now))
        return news

    # What comes.

    def receive(self, kind: object, number: object, message: Buffer) -> None:
        """Takes a message of the other end.

        Raises:
            Forged: it is none, or none that can come now.
            ValueError: the other end may not send it, and the lane is over.
            Unreachable: the lane was closed.
        """
        if self._closed:
            raise Unreachable("it was closed", refused=True)
        if not isinstance(number, int) or kind not in (BATCH, BEAT, PIECE):
            raise Forged
        try:
            rest = self._heed(message)
            if kind == BATCH:
                self._take_batch(number, rest)
            elif kind == PIECE:
                self._take_piece(number, rest)
        except ValueError as error:
            self._fault = self._fault or str(error)
        if self._fault is not None:
            raise ValueError(self._fault)

    def answer(self) -> bytes:
        """What a message that is asked about is answered with."""
        return self._news()

    def _heed(self, message: Buffer) -> memoryview:
        """What follows a message's news."""
        news, is_latest, rest = self.channel.heed(message)
        now = time.monotonic()
        with self._changed:
            if news.heard > self._stamp or news.large > self._large_number:
                raise ValueError("it says that it has got what was never sent")
            if is_latest:
                self.heard = now
            while self._marks and self._marks[0][0] <= news.heard:
                self._alive = self._marks.popleft()[1]
            is_news = self._sending.heed(news.taken, news.ahead, now)
            if news.large > self._large_taken:
                self._large_taken, is_news = news.large, True
            if is_news and (self._queue or self._held or self._draining or self._large is not None):
                self._changed.notify_all()
        return rest

    def _take_batch(self, number: int, rest: memoryview) -> None:
        with self._taking:
            if rest.nbytes > 2 * LARGEST:
                raise Forged
            try:
                is_wanted = self._getting.wants(number, rest.nbytes)
            except ValueError:
                raise Forged from None
            if not is_wanted:
                self._owe(0.0)
                return
            content, bodies = self.channel.open(number, rest)
            for one, packets in self._getting.add(number, rest.nbytes, list(unpack(content, bodies))):
                self._take(packets)
                self._getting.taken = one
            self._unanswered += 1
            is_urgent = self._take_large() or self._getting.ahead() or self._unanswered >= _UNANSWERED
            self._tell_soon(0.0 if is_urgent else _ANSWER)

    def _take_piece(self, number: int, rest: memoryview) -> None:
        piece, part = self.channel.piece(rest)
        if piece.number != number:
            raise Forged
        if number <= max(self._large_got, self._large_whole):
            return
        if number != self._large_got + 1:
            raise ValueError(f"large batch {number} came after {self._large_got}")
        if not piece.size:
            self._leave_out(number)
        elif (whole := self._assembly.take(piece, part)) is None:
            return
        elif whole:
            self._take_whole(number, whole)
        elif self._passes_on:
            self._take_early(number)

    def _leave_out(self, number: int) -> None:
        """The other end has not all of a large batch itself, and begins no more with it."""
        with self._taking:
            self._assembly.give_up()
            self._large_got, self._large_come, self._coming = number, None, None
            self._tell_soon(0.0)

    def _take_whole(self, number: int, whole: memoryview) -> None:
        with self._taking:
            if self._coming is None or self._coming.broken:
                after, content, bodies = self.channel.open_large(number, whole)
                self._large_come = number, after, list(unpack(content, bodies))
            else:
                self._coming.reach(whole.nbytes)
            self._large_whole = number
            self._take_large()
            self._tell_soon(0.0)

    def _take_early(self, number: int) -> None:
        with self._taking:
            coming, until = self._assembly.so_far()
            if self._large_got >= number or self._large_whole >= number or until <= coming.until:
                return
            coming.reach(until)
            needed = self.channel.needed(coming.whole, until)
            if self._large_come is not None or not needed <= min(until, LARGEST):
                return
            try:
                after, content, bodies = self.channel.open_large(number, coming.whole)
            except Forged:
                return  # It may be whole when it has come again.
            packets = [packet._replace(coming=coming) for packet in unpack(content, bodies)]
            if len(packets) == 1:
                self._coming, self._large_come = coming, (number, after, packets)
                self._take_large()

    def _take_large(self) -> bool:
        """Gives on the large batch that is there or comes, if it is its turn; whether it was taken."""
        if self._large_come is None or self._large_come[1] > self._getting.taken:
            return False
        number, after, packets = self._large_come
        self._large_come = number, after, []
        self._take(packets)
        if self._large_whole < number:
            return False
        self._large_got, self._large_come, self._coming = number, None, None
        return True

    def _tell_soon(self, seconds: float) -> None:
        self._had = self._getting.taken, self._getting.ahead(), self._large_got
        self._owe(seconds)

    def _owe(self, seconds: float) -> None:
        when = time.monotonic() + seconds
        with self._changed:
            if self._owed is None or when < self._owed:
                self._owed = when
                self._wake_by(when)


def _size(packet: Packet) -> int:
    return _PACKET + memoryview(packet.content).nbytes + memoryview(packet.body).nbytes
