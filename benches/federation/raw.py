"""How fast does NVFlare itself carry bytes between the processes of two sites?"""
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false

import gc
import time
from typing import Any

_WAY: dict[str, Any] = {"channel": "bench", "topic": "raw"}


def _cell() -> Any:
    """What this process sends its messages with, which NVFlare shows to a job's own components alone."""
    from nvflare.fuel.f3.cellnet.cell import Cell

    (cell,) = [one for one in gc.get_objects() if isinstance(one, Cell)]
    return cell


class Hear:
    """Answers raw messages with nothing."""

    def __init__(self, site: Any, provider: Any) -> None:
        pass

    async def body(self, value: Any) -> str:
        from nvflare.fuel.f3.cellnet.defs import ReturnCode
        from nvflare.fuel.f3.cellnet.utils import make_reply

        cell = _cell()
        cell.register_request_cb(cb=lambda request: make_reply(ReturnCode.OK), **_WAY)
        return cell.get_fqcn()


class Send:
    """Sends one raw message and waits for the answer."""

    def __init__(self, site: Any, provider: Any) -> None:
        self._payload = b""

    def body(self, to: str, length: int, streamed: bool) -> float:
        from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey, ReturnCode
        from nvflare.fuel.f3.message import Message

        if len(self._payload) != length:
            # Zeros would be one page of the system's, read again and again.
            self._payload = b"\1" * length
        cell = _cell()
        way = cell if streamed else cell.core_cell
        begin = time.perf_counter()
        reply = way.send_request(target=to, request=Message({}, self._payload), timeout=30, **_WAY)
        seconds = time.perf_counter() - begin
        if (code := reply.get_header(MessageHeaderKey.RETURN_CODE)) != ReturnCode.OK:
            raise RuntimeError(f"NVFlare answers {code}")
        return seconds
