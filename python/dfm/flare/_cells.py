"""How do a session's messages use NVFlare's cells?

They go straight through the core cell, large batches in pieces: NVFlare's own streams say nothing of themselves before
they are whole. `core_cell` is internal to NVFlare, whose version is pinned for that; nothing else uses it.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportMissingParameterType=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, ReturnCode
from nvflare.fuel.f3.cellnet.utils import make_reply
from nvflare.fuel.f3.message import Message
from typing_extensions import Buffer

from dfm._shown import clean_logger
from dfm.flare._channel import Batch, Channel, Forged, Piece
from dfm.flare._lane import Inbox, Unreachable, patience
from dfm.flare._pieces import Assembly, Pace, send

CHANNEL = "dfm"
STARTED, JOIN, BATCH, ENDED = "started", "join", "batch", "ended"
"""Topics: the session's job can be asked; a participant's request to be let into the session; a lane's batches; how a
client's process ended."""

_NUMBER, _KIND = "dfm_number", "dfm_kind"
_BATCH, _BEAT, _PIECE = "batch", "beat", "piece"
"""What a message of the topic is: a whole batch, a sign of life, or a piece of a batch."""
_PIECES_FROM = 1 << 20
"""Batches from this size on are sent in pieces."""
_TIMEOUT, _LONGEST = 2.0, 16.0
"""Seconds for an answer, twice as long after each that did not come, and at most."""
_log = clean_logger("dfm.session")
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


class End:
    """Where the lane from one other process ends."""

    def __init__(self, channel: Channel, inbox: Inbox) -> None:
        self.channel = channel
        self._inbox = inbox
        self._assembly = Assembly()

    def take(self, kind: object, number: object, content: Buffer) -> bool:
        """Takes a message of the lane; whether there is something to acknowledge: a piece alone is not.

        Raises:
            Forged: the other end has not sealed it.
            ValueError: it is damaged, or an earlier one is missing.
        """
        if not isinstance(number, int):
            raise Forged
        if kind == _BEAT:
            self.channel.hear(number, bytes(content))
            self._inbox.receive(0)
        elif kind == _BATCH:
            self._inbox.receive(number, *self.channel.open(number, content))
        elif kind == _PIECE:
            return self._take_piece(number, content)
        else:
            raise Forged
        return True

    def _take_piece(self, number: int, content: Buffer) -> bool:
        piece, part = self.channel.piece(content)
        if piece.number != number:
            raise Forged
        if self._inbox.has(number):
            return True
        whole = self._assembly.take(piece, part)
        if whole:
            self._inbox.receive(number, *self.channel.open(number, whole))
            return True
        # Whoever sends the same again shows no life of the other end.
        if whole is not None:
            self._inbox.receive(0)
        return False


class NotYet(Exception):
    """Messages from there will be expected later."""


def poster(cell: Any, target: str, channel: Channel) -> Callable[[int, Batch, Callable[[], bool]], None]:
    """What a lane to that cell posts with."""
    pace = Pace()
    timeout = _TIMEOUT
    most = patience()

    def tell(kind: str, number: int, content: bytes) -> bytes:
        nonlocal timeout
        try:
            seconds = min(max(timeout, pace.expected), _LONGEST)
            answer = ask(cell, target, BATCH, {_NUMBER: number, _KIND: kind}, content, seconds)
        except Unreachable:
            timeout = min(2 * timeout, _LONGEST)
            raise
        timeout = _TIMEOUT
        return answer

    def tell_piece(piece: Piece, content: bytes) -> bytes:
        return tell(_PIECE, piece.number, channel.head_of(piece) + content)

    def post(number: int, batch: Batch, go_on: Callable[[], bool]) -> None:
        is_beat = number == 0
        if is_beat:
            number, proof = channel.beat()
            answer = tell(_BEAT, number, proof)
        else:
            sealed = channel.seal(number, batch)
            if sum(memoryview(part).nbytes for part in sealed) < _PIECES_FROM:
                answer = tell(_BATCH, number, b"".join(sealed))
            else:
                answer = send(number, sealed, pace, tell_piece, most, go_on)
        if not channel.is_acknowledged(number, is_beat, answer):
            raise Unreachable("what answers is not the process that the session knows")

    return post


def serve_batches(cell: Any, end_of: Callable[[str], End | None]) -> None:
    """Takes the batches for which `end_of(origin)` has an end; it raises `NotYet` where there will be one.

    What the other end has not sealed is refused without effect, whoever sends it.
    """

    def batch(request: Any) -> Any:
        origin = str(request.get_header(MessageHeaderKey.ORIGIN))
        number, kind = request.get_header(_NUMBER), request.get_header(_KIND)
        content = cast(Buffer, request.payload or b"")
        try:
            end = end_of(origin)
        except NotYet:
            return make_reply(ReturnCode.SERVICE_UNAVAILABLE, f"{origin} is not known yet")
        if end is None:
            return make_reply(ReturnCode.INVALID_SESSION, f"no messages are expected from {origin}")
        try:
            if not end.take(kind, number, content):
                return make_reply(ReturnCode.OK, body=b"")
        except Forged:
            if (refused := end.channel.count_refused()) & (refused - 1) == 0:
                _log.warning("%d messages were refused that are said to be from %s and are not", refused, origin)
            return make_reply(ReturnCode.AUTHENTICATION_ERROR, f"the message is not sealed by {origin}")
        except ValueError as error:
            return make_reply(ReturnCode.INVALID_REQUEST, str(error))
        return make_reply(ReturnCode.OK, body=end.channel.acknowledgement(number, kind == _BEAT))

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
