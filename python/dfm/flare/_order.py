"""Which packets must keep the order in which they are sent to a process?

Those of one job, so that what is for other jobs does not wait for a large value. All else keeps its order with
everything: what an application sends, of which a site misses each that was left out, and what processes tell each
other beside packets.
"""

from __future__ import annotations

from typing_extensions import Buffer

from dfm.flare import _told
from dfm.flare._packets import Packet
from dfm.flare._sealing import job_of
from dfm.flare._session_job import PAST, PAST_HEAD

_SMALL = 64
"""Bytes of what is looked at of what processes tell each other."""
_SIZES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
"""MessagePack's numbers: the byte that each begins with, and how many follow."""


def job(packet: Packet) -> int | None:
    """The job that a packet is of, with which alone it keeps its order; None for one that keeps it with all."""
    if packet.receiver in ("", PAST, PAST_HEAD):
        return _told_of(packet.content) if not packet.receiver else None
    return job_of(packet.content) if memoryview(packet.body).nbytes else _said(packet.content)


def _told_of(content: Buffer) -> int | None:
    """The job of which nothing is told but that what was said of it has come."""
    try:
        told = _told.read(content) if memoryview(content).nbytes <= _SMALL else {}
    except ValueError:
        return None
    match told:
        case {"confirmed": int(job)}:
            return job
        case _:
            return None


def _said(content: Buffer) -> int | None:
    """The job of what two sites say to each other: an object of one key, whose value is a list that begins with it."""
    start = bytes(memoryview(content).cast("B")[:48])
    if len(start) < 2 or start[0] != 0x81 or start[1] >> 5 != 0b101:
        return None
    at = 2 + (start[1] & 0x1F)
    if len(start) < at + 10 or start[at] >> 4 != 0x9:
        return None
    first, size = start[at + 1], _SIZES.get(start[at + 1])
    if first < 0x80:
        return first
    return None if size is None else int.from_bytes(start[at + 2 : at + 2 + size], "big")
