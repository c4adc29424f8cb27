"""What does a cell of a notebook show while it waits, and what becomes of its job when it is interrupted?"""

from __future__ import annotations

import asyncio
import contextlib
import math
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

_AGAIN = 0.5
"""Seconds until what is shown is shown anew, and until who waits looks whether it is interrupted."""


def in_notebook() -> bool:
    """Whether code of a notebook, or of IPython in a terminal, runs here."""
    return _shell() is not None


@contextlib.contextmanager
def cancelled_with_its_cell(cancel: Callable[[], None]) -> Generator[None]:
    """Cancels a job if the cell that waits for it is interrupted. Elsewhere who is interrupted decides on that."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        if in_notebook():
            cancel()
        raise


def wait_shown(finished: threading.Event, timeout: float | None, job: object) -> bool:
    """Waits for an event, and meanwhile shows a job in the cell that waits, if there is one."""
    shown: Any = None
    end = math.inf if timeout is None else time.monotonic() + timeout
    try:
        # Never for longer: a signal that comes between Python's last look for one and the system's wait, or on another
        # thread, does not end that wait.
        while not finished.wait(min(_AGAIN, end - time.monotonic())):
            if time.monotonic() >= end:
                return finished.is_set()
            if shown is not None:
                shown.update(job)
            elif _has_pages():
                # A cell that is over soon shows only what its user wants.
                shown = _displayed(job)
        return True
    finally:
        if shown is not None:
            shown.update(job)


def _displayed(job: object) -> Any:
    from IPython.display import display  # pyright: ignore

    return display(job, display_id=True)  # pyright: ignore


def _shell() -> Any:
    # Where nobody has imported it, no notebook runs.
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    return None if get is None else get()


def _has_pages() -> bool:
    """Whether what is shown can be shown anew, as in a notebook and not in a terminal."""
    return threading.current_thread() is threading.main_thread() and hasattr(_shell(), "kernel")
