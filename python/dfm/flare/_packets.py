"""What is a packet, and how do several travel as one batch?"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from typing_extensions import Buffer

from dfm.flare._channel import Batch
from dfm.flare._coming import Coming

MOST_WAITING = 4 << 30
"""Bytes that may wait to be sent to one process."""
_HEAD = struct.Struct("<HHQQ")


class Packet(NamedTuple):
    """What one site says to another. Without a receiver it is for the session's job itself."""

    sender: str
    receiver: str
    content: Buffer
    body: Buffer = b""
    """What follows the content, sealed already for who will read it at last."""
    coming: Coming | None = None
    """The batch that the body is the end of, where it is passed on before all of it is there."""


class Unreachable(Exception):
    """A message was not acknowledged."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        """`refused`: the other end does not want it, or this one is over."""
        super().__init__(reason)
        self.refused = refused


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
