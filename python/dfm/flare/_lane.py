"""How do packets get to another process in order and exactly once, over messages that may fail?

A lane sends one batch at a time and sends it again until it is acknowledged; an inbox takes each batch once. What came
to one of them while a batch was under way goes with the next one.
"""

from __future__ import annotations

import collections
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from typing_extensions import Buffer

from dfm.flare._channel import Batch

HEARTBEAT = 1.0
"""Seconds of silence after which a lane asks whether the other end is there."""
PATIENCE = 30.0
"""Seconds without an answer after which the other end counts as lost, where the environment says no others: longer than
TCP needs after a short cut."""
_RETRY = 0.2
_BATCH = 1 << 20
MOST_WAITING = 4 << 30
"""Bytes that may wait to be sent to one process."""
_PACKET = 256
"""About how many of them a packet takes beside its content."""
_HEAD = struct.Struct("<HHQQ")


class Packet(NamedTuple):
    """What one site says to another. Without a receiver it is for the session's job itself."""

    sender: str
    receiver: str
    content: Buffer
    body: Buffer = b""
    """What follows the content, sealed already for who will read it at last."""


class Unreachable(Exception):
    """A message was not acknowledged."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        """`refused`: the other end does not want it, or this one is over."""
        super().__init__(reason)
        self.refused = refused


def patience() -> float:
    """`PATIENCE`, or what `DFM_FLARE_PATIENCE` says, in seconds from 1 to a day."""
    said = os.environ.get("DFM_FLARE_PATIENCE", "")
    try:
        seconds = float(said)
    except ValueError:
        return PATIENCE
    return min(max(seconds, 1.0), 86_400.0) if seconds == seconds else PATIENCE


def pack(packets: list[Packet]) -> Batch:
    """A batch in parts that follow each other, so that nothing large is copied."""
    parts: list[Buffer] = []
    for packet in packets:
        names = packet.sender.encode(), packet.receiver.encode()
        sizes = memoryview(packet.content).nbytes, memoryview(packet.body).nbytes
        parts += [b"".join((_HEAD.pack(len(names[0]), len(names[1]), *sizes), *names)), packet.content]
    return Batch(parts, [packet.body for packet in packets])


def unpack(content: Buffer, bodies: Buffer) -> Iterator[Packet]:
    """The packets of a batch, out of its content and the bodies that follow it, of which they are parts.

    Raises:
        ValueError: it is cut short, or more follows it.
    """
    rest, others = memoryview(content).cast("B"), memoryview(bodies).cast("B")
    while rest.nbytes:
        if rest.nbytes < _HEAD.size:
            raise ValueError("a batch is cut short")
        sender, receiver, size, body = _HEAD.unpack_from(rest)
        start = _HEAD.size + sender + receiver
        if rest.nbytes < start + size or others.nbytes < body:
            raise ValueError("a batch is cut short")
        middle = _HEAD.size + sender
        names = str(rest[_HEAD.size : middle], "utf-8"), str(rest[middle:start], "utf-8")
        yield Packet(*names, rest[start : start + size], others[:body])
        rest, others = rest[start + size :], others[body:]
    if others.nbytes:
        raise ValueError("more follows a batch than belongs to it")


class Lane:
    """The way to one other process. `push` is called from any thread."""

    def __init__(
        self,
        name: str,
        post: Callable[[int, Batch, Callable[[], bool]], None],
        lost: Callable[[str], None],
        heartbeat: bool = True,
    ) -> None:
        """`post` sends a batch with its number, 0 for a heartbeat, and returns when it is acknowledged, or raises
        `Unreachable`, as it does soon where what it is given says that the lane does not go on; `lost` is told once
        why the lane has ended, unless it was closed."""
        self._post = post
        self._patience = patience()
        self._lost = lost
        self._heartbeat = HEARTBEAT if heartbeat else None
        self._queue: collections.deque[Packet] = collections.deque()
        self._waiting = 0
        """About how many bytes these take."""
        self._overflows = False
        """Whether there was too much of them, of which nothing is sent then."""
        self._changed = threading.Condition()
        self._closed = False
        self._idle = True
        self._number = 0
        self._thread = threading.Thread(target=self._run, name=f"dfm-to-{name}", daemon=True)
        self._thread.start()

    def push(self, packet: Packet) -> None:
        """Sends a packet after those that were pushed before. The lane ends where too much waits to be sent."""
        size = _PACKET + _size(packet)
        with self._changed:
            if self._closed or self._overflows:
                return
            self._waiting += size
            self._queue.append(packet)
            if self._waiting > MOST_WAITING:
                self._overflows = True
                self._queue.clear()
            self._changed.notify_all()

    def drain(self, timeout: float) -> None:
        """Waits until all packets are acknowledged, at most `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or (self._idle and not self._queue), timeout)

    def close(self) -> None:
        """Sends no more."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            number = 0
            if batch:
                self._number += 1
                number = self._number
            if (reason := self._deliver(number, pack(batch))) is not None:
                closed = self._closed
                self.close()
                if not closed:
                    self._lost(reason)
                return

    def _next(self) -> list[Packet] | None:
        with self._changed:
            self._idle = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._queue or self._closed or self._overflows, self._heartbeat)
            if self._closed:
                return None
            self._idle = False
            batch: list[Packet] = []
            size = 0
            while self._queue and (not batch or size + _size(self._queue[0]) <= _BATCH):
                batch.append(self._queue.popleft())
                size += _size(batch[-1])
                self._waiting -= _PACKET + _size(batch[-1])
            return batch

    def _goes_on(self) -> bool:
        return not self._closed and not self._overflows

    def _deliver(self, number: int, batch: Batch) -> str | None:
        """Says why it could not."""
        begin = time.monotonic()
        while self._goes_on():
            try:
                self._post(number, batch, self._goes_on)
            except Unreachable as error:
                if error.refused or time.monotonic() - begin >= self._patience:
                    return str(error)
                time.sleep(_RETRY)
            else:
                return None
        if self._overflows:
            return f"more than {MOST_WAITING} bytes waited to be sent there: it takes less than it is sent"
        return "it was closed"


def _size(packet: Packet) -> int:
    return memoryview(packet.content).nbytes + memoryview(packet.body).nbytes


class Inbox:
    """Where one other process's batches arrive, on whatever thread. `take` gets each once, in order."""

    def __init__(self, take: Callable[[list[Packet]], None]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._seen = 0
        self.heard = time.monotonic()
        """When something came."""

    def has(self, number: int) -> bool:
        """Whether this batch was taken."""
        with self._lock:
            return number <= self._seen

    def receive(self, number: int, content: Buffer = b"", bodies: Buffer = b"") -> None:
        """Takes a batch; it may be acknowledged when this returns. Number 0 is a sign of life.

        Raises:
            ValueError: it is damaged, or an earlier one is missing.
        """
        self.heard = time.monotonic()
        if number == 0:
            return
        with self._lock:
            if number <= self._seen:
                return
            if number != self._seen + 1:
                raise ValueError(f"batch {number} came after batch {self._seen}")
            self._take(list(unpack(content, bodies)))
            self._seen = number
