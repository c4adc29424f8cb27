"""What becomes of a message that arrives for a lane, whichever way it came?"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import NamedTuple

from typing_extensions import Buffer

from dfm._shown import clean_logger
from dfm.flare._channel import Forged
from dfm.flare._lane import Lane
from dfm.flare._packets import Unreachable

_WHY = "which was not heard for too long, as where it slept or its link was cut, or whose session is over"
_log = clean_logger("dfm.session")


class NotYet(Exception):
    """Messages from there will be expected later."""


class Why(enum.Enum):
    """Why a message was not taken."""

    NOT_YET = enum.auto()
    UNEXPECTED = enum.auto()
    FORGED = enum.auto()
    WRONG = enum.auto()


class Refused(NamedTuple):
    """A message was not taken."""

    why: Why
    reason: str


def arrive(
    lane_of: Callable[[str], Lane | None], origin: str, kind: object, number: object, message: Buffer, is_asked: bool
) -> bytes | Refused | None:
    """Gives a message to the lane of `lane_of(origin)`, which raises `NotYet` where there will be one; what answers it,
    if it is asked.

    What the other end has not sealed is refused without effect, whoever sends it.
    """
    try:
        lane = lane_of(origin)
    except NotYet:
        return Refused(Why.NOT_YET, f"{origin} is not known yet")
    if lane is None:
        return Refused(Why.UNEXPECTED, f"no messages are expected from {origin}")
    try:
        lane.receive(kind, number, message)
    except Forged:
        if (refused := lane.channel.count_refused()) & (refused - 1) == 0:
            _log.warning("%d messages were refused that are said to be from %s and are not", refused, origin)
        return Refused(Why.FORGED, f"the message is not sealed by {origin}")
    except Unreachable:
        return Refused(Why.UNEXPECTED, f"nothing is expected from {origin} any more, {_WHY}")
    except ValueError as error:
        return Refused(Why.WRONG, str(error))
    return lane.answer() if is_asked else None
