"""How do a session's messages use NVFlare's cells?

Small ones go straight through the core cell, large ones as a stream. `core_cell` is internal to NVFlare, whose version
is pinned for that; nothing else uses it.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any, cast

from nvflare.fuel.f3.cellnet.defs import Encoding, MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message
from nvflare.fuel.f3.streaming.stream_const import StreamHeaderKey
from typing_extensions import Buffer

from dfm.flare._lane import LOST_AFTER, Unreachable

CHANNEL = "dfm"
STARTED, JOIN, BATCH, ENDED = "started", "join", "batch", "ended"
"""Topics: the session's job can be asked; a participant's request to be let into the session; a lane's batches; how a
client's process ended."""

_TOKEN, _NUMBER = "dfm_token", "dfm_number"
_STREAM_FROM = 1 << 20
"""Batches from this size on are streamed."""
_TIMEOUT = 2.0
"""Seconds for an answer."""
_STREAM_TIMEOUT = LOST_AFTER
"""The same for a stream, which has as long as it makes progress: to send it again costs more than to wait."""
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
    if sum(memoryview(part).nbytes for part in parts) < _STREAM_FROM:
        request = Message(dict(headers), b"".join(parts))
        reply = cell.core_cell.send_request(request=request, timeout=_TIMEOUT, **to)
    else:
        # NVFlare would take a list for an object to encode; said to be bytes, its parts are sent as they are.
        request = Message({StreamHeaderKey.PAYLOAD_ENCODING: Encoding.BYTES, **headers}, list(parts))
        reply = cell.send_request(request=request, timeout=_STREAM_TIMEOUT, **to)
    code = reply.get_header(MessageHeaderKey.RETURN_CODE, ReturnCode.OK)
    if code != ReturnCode.OK:
        reason = reply.get_header(MessageHeaderKey.ERROR) or f"it does not answer ({code})"
        raise Unreachable(str(reason), gone=code in _GONE, refused=code in _REFUSED)
    return bytes(reply.payload or b"")


def poster(cell: Any, target: str, token: str) -> Callable[[int, list[Buffer]], None]:
    """What a lane to that cell posts with."""

    def post(number: int, batch: list[Buffer]) -> None:
        ask(cell, target, BATCH, {_TOKEN: token, _NUMBER: number}, batch)

    return post


def serve_batches(
    cell: Any, token_of: Callable[[str], str | None], receive: Callable[[str, int, Buffer], bool]
) -> None:
    """Has `receive(origin, number, batch)` take the batches that carry the token of a cell; it says whether it expects
    that cell to send any."""

    def batch(request: Any) -> Any:
        number, origin = request.get_header(_NUMBER), str(request.get_header(MessageHeaderKey.ORIGIN))
        token, given = token_of(origin), request.get_header(_TOKEN)
        if token is None or not isinstance(given, str) or not hmac.compare_digest(token, given):
            return make_reply(ReturnCode.INVALID_SESSION, "the message has not the session's token")
        try:
            expected = isinstance(number, int) and receive(origin, number, cast(Buffer, request.payload or b""))
        except ValueError as error:
            return make_reply(ReturnCode.INVALID_REQUEST, str(error))
        if not expected:
            return make_reply(ReturnCode.INVALID_SESSION, f"no messages are expected from {origin}")
        return make_reply(ReturnCode.OK)

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


def serve_ends(cell: Any, ended: Callable[[str, str], None]) -> None:
    """Has `ended(client, how)` told when a client's process for this job has ended before it should.

    NVFlare's server has checked that the message is from that client.
    """

    def answer(request: Any) -> Any:
        ended(str(request.get_header(MessageHeaderKey.ORIGIN)), bytes(request.payload or b"").decode())
        return make_reply(ReturnCode.OK)

    cell.register_request_cb(channel=CHANNEL, topic=ENDED, cb=answer)
