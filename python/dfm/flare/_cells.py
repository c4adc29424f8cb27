"""How do a session's messages use NVFlare's cells?

Small ones go straight through the core cell, large ones as a stream. `core_cell` is internal to NVFlare, whose version
is pinned for that; nothing else uses it.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, cast

from nvflare.fuel.f3.cellnet.defs import Encoding, MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message
from nvflare.fuel.f3.streaming.stream_const import StreamHeaderKey
from typing_extensions import Buffer

from dfm._shown import clean_logger
from dfm.flare._channel import Batch, Channel, Forged
from dfm.flare._lane import LOST_AFTER, Inbox, Unreachable

CHANNEL = "dfm"
STARTED, JOIN, BATCH, ENDED = "started", "join", "batch", "ended"
"""Topics: the session's job can be asked; a participant's request to be let into the session; a lane's batches; how a
client's process ended."""

_NUMBER, _IS_BEAT = "dfm_number", "dfm_is_beat"
_STREAM_FROM = 1 << 20
"""Batches from this size on are streamed."""
_TIMEOUT = 2.0
"""Seconds for an answer."""
_STREAM_TIMEOUT = LOST_AFTER
"""The same for a stream, which has as long as it makes progress: to send it again costs more than to wait."""
_log = clean_logger("dfm.session")
_GONE = (ReturnCode.COMM_ERROR, ReturnCode.INVALID_TARGET, ReturnCode.TARGET_UNREACHABLE)
_REFUSED = (ReturnCode.INVALID_SESSION, ReturnCode.INVALID_REQUEST)


def job_cell(participant: str, job: str) -> str:
    """The name of the cell of a participant's process for a job."""
    return f"{participant}.{job}"


def ask(cell: Any, target: str, topic: str, headers: dict[str, Any], content: bytes | list[Buffer]) -> bytes:
    """Sends a request, whose content may be in parts, and returns the answer's content.

    Raises:
        Unreachable: there was none.
    """
    parts = content if isinstance(content, list) else [content]
    to: dict[str, Any] = {"channel": CHANNEL, "topic": topic, "target": target, "optional": True}
    try:
        if sum(memoryview(part).nbytes for part in parts) < _STREAM_FROM:
            request = Message(dict(headers), b"".join(parts))
            reply = cell.core_cell.send_request(request=request, timeout=_TIMEOUT, **to)
        else:
            # NVFlare would take a list for an object to encode; said to be bytes, its parts are sent as they are.
            request = Message({StreamHeaderKey.PAYLOAD_ENCODING: Encoding.BYTES, **headers}, list(parts))
            reply = cell.send_request(request=request, timeout=_STREAM_TIMEOUT, **to)
    except RuntimeError as error:
        # What NVFlare raises when this process's own cell is stopped already.
        raise Unreachable(str(error), refused=True) from error
    code = reply.get_header(MessageHeaderKey.RETURN_CODE, ReturnCode.OK)
    if code != ReturnCode.OK:
        reason = reply.get_header(MessageHeaderKey.ERROR) or f"it does not answer ({code})"
        raise Unreachable(str(reason), gone=code in _GONE, refused=code in _REFUSED)
    return bytes(reply.payload or b"")


class End(NamedTuple):
    """Where the lane from one other process ends."""

    channel: Channel
    inbox: Inbox


class NotYet(Exception):
    """Messages from there will be expected later."""


def poster(cell: Any, target: str, channel: Channel) -> Callable[[int, Batch], None]:
    """What a lane to that cell posts with."""

    def post(number: int, batch: Batch) -> None:
        is_beat = number == 0
        if is_beat:
            number, proof = channel.beat()
            parts: list[Buffer] = [proof]
        else:
            parts = channel.seal(number, batch)
        answer = ask(cell, target, BATCH, {_NUMBER: number, _IS_BEAT: is_beat}, parts)
        if not channel.is_acknowledged(number, is_beat, answer):
            raise Unreachable("what answers is not the process that the session knows")

    return post


def serve_batches(cell: Any, end_of: Callable[[str], End | None]) -> None:
    """Takes the batches for which `end_of(origin)` has an end; it raises `NotYet` where there will be one.

    What the other end has not sealed is refused without effect, whoever sends it.
    """

    def batch(request: Any) -> Any:
        origin = str(request.get_header(MessageHeaderKey.ORIGIN))
        number, is_beat = request.get_header(_NUMBER), bool(request.get_header(_IS_BEAT))
        content = cast(Buffer, request.payload or b"")
        try:
            end = end_of(origin)
        except NotYet:
            return make_reply(ReturnCode.SERVICE_UNAVAILABLE, f"{origin} is not known yet")
        if end is None:
            return make_reply(ReturnCode.INVALID_SESSION, f"no messages are expected from {origin}")
        try:
            if is_beat:
                end.channel.hear(number, bytes(content))
                end.inbox.receive(0)
            else:
                end.inbox.receive(number, *end.channel.open(number, content))
        except Forged:
            if (refused := end.channel.count_refused()) & (refused - 1) == 0:
                _log.warning("%d messages were refused that are said to be from %s and are not", refused, origin)
            return make_reply(ReturnCode.AUTHENTICATION_ERROR, f"the message is not sealed by {origin}")
        except ValueError as error:
            return make_reply(ReturnCode.INVALID_REQUEST, str(error))
        return make_reply(ReturnCode.OK, body=end.channel.acknowledgement(number, is_beat))

    cell.register_request_cb(channel=CHANNEL, topic=BATCH, cb=batch)


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
