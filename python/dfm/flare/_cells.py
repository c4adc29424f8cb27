"""How do a session's messages use NVFlare's cells?

They go straight through the core cell: NVFlare's own streams say nothing of themselves before they are whole.
`core_cell` is internal to NVFlare, whose version is pinned for that; nothing else uses it.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message
from typing_extensions import Buffer

from dfm.flare._arrival import Refused, Why, arrive
from dfm.flare._lane import Lane
from dfm.flare._packets import Unreachable

CHANNEL = "dfm"
STARTED, JOIN, BATCH, ENDED = "started", "join", "batch", "ended"
"""Topics: the session's job can be asked; a participant's request to be let into the session; a lane's messages; how a
client's process ended."""

_NUMBER, _KIND = "dfm_number", "dfm_kind"
_TIMEOUT = 2.0
"""Seconds for an answer."""
_REFUSED = (ReturnCode.INVALID_SESSION, ReturnCode.INVALID_REQUEST)


def job_cell(participant: str, job: str) -> str:
    """The name of the cell of a participant's process for a job."""
    return f"{participant}.{job}"


def ask(
    cell: Any, target: str, topic: str, headers: dict[str, Any], content: bytes, timeout: float | None = None
) -> bytes:
    """Sends a request, and returns the answer's content, which is waited for so many seconds.

    Raises:
        Unreachable: there was none.
    """
    request = Message(dict(headers), content)
    to: dict[str, Any] = {"channel": CHANNEL, "topic": topic, "target": target, "optional": True}
    try:
        reply = cell.core_cell.send_request(request=request, timeout=timeout or _TIMEOUT, **to)
    except RuntimeError as error:
        # What NVFlare raises when this process's own cell is stopped already.
        raise Unreachable(str(error), refused=True) from error
    code = reply.get_header(MessageHeaderKey.RETURN_CODE, ReturnCode.OK)
    if code != ReturnCode.OK:
        reason = reply.get_header(MessageHeaderKey.ERROR) or f"it does not answer ({code})"
        raise Unreachable(str(reason), refused=code in _REFUSED)
    return bytes(reply.payload or b"")


class CellTransport:
    """Takes a lane's messages to a cell."""

    def __init__(self, cell: Any, target: str) -> None:
        self._cell = cell
        self._target = target

    def fire(self, kind: str, number: int, message: bytes) -> None:
        """As `Transport`."""
        said = Message({_NUMBER: number, _KIND: kind}, message)
        to: dict[str, Any] = {"channel": CHANNEL, "topic": BATCH, "targets": self._target, "optional": True}
        try:
            errors = self._cell.core_cell.fire_and_forget(message=said, **to)
        except RuntimeError as error:
            raise Unreachable(str(error), refused=True) from error
        if code := errors.get(self._target):
            raise Unreachable(f"it cannot be reached ({code})")

    def ask(self, kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes:
        """As `Transport`."""
        return ask(self._cell, self._target, BATCH, {_NUMBER: number, _KIND: kind}, b"".join(parts), seconds)

    def takes_at_once(self) -> bool:
        """As `Transport`: NVFlare writes to a socket on the thread that sends, which waits for that."""
        return False


_CODES = {
    Why.NOT_YET: ReturnCode.SERVICE_UNAVAILABLE,
    Why.UNEXPECTED: ReturnCode.INVALID_SESSION,
    Why.FORGED: ReturnCode.AUTHENTICATION_ERROR,
    Why.WRONG: ReturnCode.INVALID_REQUEST,
}


def serve_batches(cell: Any, lane_of: Callable[[str], Lane | None]) -> None:
    """Takes the messages for which `lane_of(origin)` has a lane; it raises `NotYet` where there will be one."""

    def message(request: Any) -> Any:
        origin = str(request.get_header(MessageHeaderKey.ORIGIN))
        number, kind = request.get_header(_NUMBER), request.get_header(_KIND)
        is_asked = bool(request.get_header(MessageHeaderKey.REPLY_EXPECTED))
        match arrive(lane_of, origin, kind, number, cast(Buffer, request.payload or b""), is_asked):
            case None:
                return None
            case Refused(why, reason):
                return make_reply(_CODES[why], reason)
            case answer:
                return make_reply(ReturnCode.OK, body=answer)

    cell.register_request_cb(channel=CHANNEL, topic=BATCH, cb=message)


def tell_started(cell: Any, application: str) -> None:
    """Tells an application, once and without an answer, that the session's job can be asked."""
    cell.core_cell.fire_and_forget(
        channel=CHANNEL, topic=STARTED, targets=application, message=Message({}, b""), optional=True
    )


def serve_started(cell: Any, started: Callable[[], None]) -> None:
    """Has `started()` called when a session's job says that it can be asked. Whoever says so falsely achieves no more
    than that it is asked in vain."""

    def heard(request: Any) -> None:
        started()

    cell.register_request_cb(channel=CHANNEL, topic=STARTED, cb=heard)


def serve_nothing(cell: Any) -> None:
    """Takes no messages of these kinds any more. NVFlare keeps a cell that was stopped for up to an hour, and so
    whoever takes its messages."""

    def refuse(request: Any) -> Any:
        return make_reply(ReturnCode.INVALID_SESSION, "no messages are expected any more")

    for topic in (BATCH, STARTED):
        cell.register_request_cb(channel=CHANNEL, topic=topic, cb=refuse)


def serve_joins(cell: Any, join: Callable[[str, bytes], bytes | None]) -> None:
    """Has `join(origin, request)` answer requests to be let in; None refuses."""

    def answer(request: Any) -> Any:
        found = join(str(request.get_header(MessageHeaderKey.ORIGIN)), bytes(request.payload or b""))
        if found is None:
            return make_reply(ReturnCode.INVALID_REQUEST, "it takes no part in this session")
        return make_reply(ReturnCode.OK, body=found)

    cell.register_request_cb(channel=CHANNEL, topic=JOIN, cb=answer)


def serve_ends(cell: Any, ended: Callable[[str], bool]) -> None:
    """Has `ended(signed)` told when a client's process for this job has ended before it should; whether it believes so.

    The origin that a message names proves nothing: NVFlare checks that of registered clients alone.
    """

    def answer(request: Any) -> Any:
        believed = ended(bytes(request.payload or b"").decode("utf-8", "replace"))
        return make_reply(ReturnCode.OK if believed else ReturnCode.INVALID_REQUEST)

    cell.register_request_cb(channel=CHANNEL, topic=ENDED, cb=answer)
