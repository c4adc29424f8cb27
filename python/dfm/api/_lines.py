"""Which line of the user's own code is being executed?"""

import inspect
import os
import threading
from pathlib import Path
from types import FrameType

import pydantic

_NOT_THE_USERS = tuple(f"{Path(file).parent}{os.sep}" for file in (Path(__file__).parent, pydantic.__file__))
_COMMAND = f"{Path(__file__).parents[1] / '_command'}{os.sep}"
"""Whatever calls what is in here, no user has written."""


class _Reading(threading.local):
    line: str | None = None


reading = _Reading()
"""The place in a file that this thread is reading a pipeline from; it stands for the user's line."""


def user_line() -> str:
    """The innermost `file:line` that is neither dfm's nor pydantic's; empty if a command of dfm's does it of itself."""
    if reading.line is not None:
        return reading.line
    frame = inspect.currentframe()
    while frame is not None:
        if frame.f_code.co_filename.startswith(_COMMAND):
            return ""
        if not frame.f_code.co_filename.startswith(_NOT_THE_USERS) and not _is_made(frame):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "<unknown>"


def _is_made(frame: FrameType) -> bool:
    """Whether its code was made for one of dfm's own classes, as a dataclass's constructor is, and is in no file."""
    return frame.f_code.co_filename == "<string>" and str(frame.f_globals.get("__name__")).startswith("dfm.")
