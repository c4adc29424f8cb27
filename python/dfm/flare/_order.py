"""Which packets must keep the order in which they are sent to a process?

Those of one job, so that what is for other jobs does not wait for a large value. Most of what processes tell each other
beside packets keeps its order with everything.
"""

from __future__ import annotations

from typing_extensions import Buffer

from dfm.flare import _told
from dfm.flare._message_job import job_of_message
from dfm.flare._packets import Packet
from dfm.flare._sealing import NO_JOB, job_of
from dfm.flare._session_job import PAST, PAST_HEAD, SHARED

_SMALL = 1 << 16
"""Bytes of what is looked at of what processes tell each other."""


def job(packet: Packet) -> int | None:
    """The job that a packet is of, with which alone it keeps its order; None for one that keeps it with all."""
    if packet.receiver in ("", SHARED):
        return _told_of(packet.content)
    if packet.receiver in (PAST, PAST_HEAD):
        return None
    return job_of(packet.content) if memoryview(packet.body).nbytes else job_of_message(packet.content)


def _told_of(content: Buffer) -> int | None:
    """The job of which alone something is told."""
    try:
        told = _told.read(content) if memoryview(content).nbytes <= _SMALL else {}
    except ValueError:
        return None
    match told:
        case (
            {"begin": int(job)}
            | {"had": int(job)}
            | {"confirm": int(job)}
            | {"ended": int(job)}
            | {"forget": int(job)}
            | {"leave": int(job)}
        ):
            return job
        case {"shared": int(), "job": int(job)}:
            return job
        case {"confirmed": int()}:
            # It is of what came the other way.
            return NO_JOB
        case _:
            return None
