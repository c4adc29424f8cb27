"""Which line of the user's own code is being executed?"""

import inspect
import os
import threading
from pathlib import Path

import pydantic

_NOT_THE_USERS = tuple(f"{Path(file).parent}{os.sep}" for file in (Path(__file__).parent, pydantic.__file__))


class _Reading(threading.local):
    line: str | None = None


reading = _Reading()
"""The place in a file that this thread is reading a pipeline from; it stands for the user's line."""


def user_line() -> str:
    """The innermost `file:line` that is neither dfm's nor pydantic's."""
    if reading.line is not None:
        return reading.line
    frame = inspect.currentframe()
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_NOT_THE_USERS):
            return f"{frame.f_code.co_filename}:{frame.f_lineno}"
        frame = frame.f_back
    return "<unknown>"
