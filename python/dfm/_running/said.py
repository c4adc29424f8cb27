"""How does what a body logs and prints get to its job?

A handler takes it, wherever it is logged, and looks in whose name the code runs that logs it.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import logging
import threading
from collections.abc import Callable

from dfm import _native
from dfm._running.sent import Sending
from dfm._shown import log_filter
from dfm.exec._adapters import Adapters
from dfm.exec._sending import current

streaming: contextvars.ContextVar[int | None] = contextvars.ContextVar("streaming", default=None)
"""For which call a generator runs here; other bodies can send, and are known by that."""

_Line = tuple[int, float, str, str, str]
"""The call, when, the level, the logger and the text."""
_SOON = 0.6
"""Seconds after which it is told what was said, a little more than a site lets pass in any case."""
_MOST_WAITING = 10_000
"""So many lines may wait for the loop; what is more is dropped, as the site would."""
PRINTED = "stdout"
"""What stands in the place of a logger's name where something was printed."""


class Said(logging.Handler):
    """Tells a site what its bodies log, as far as its policy hands that out."""

    def __init__(self, site: _native.Site, adapters: Adapters, turn: Callable[[], None], exports: bool) -> None:
        """On the site's loop; `turn` has it write what was done, and `exports` says whether the site exports."""
        super().__init__()
        self._site = site
        self._adapters = adapters
        self._turn = turn
        self._exports = exports
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.TimerHandle | None = None
        self._thread = threading.get_ident()
        self._later: collections.deque[_Line] = collections.deque(maxlen=_MOST_WAITING)
        adapters.mask(self)
        self.addFilter(log_filter())

    def emit(self, record: logging.LogRecord) -> None:
        """Takes a record of whatever thread."""
        if (call := calling()) is None or not (self._adapters.hands_out_logs or self._exports):
            return
        text = self.format(record).encode("utf-8", "backslashreplace").decode()
        said = call, record.created, record.levelname, record.name, text
        if threading.get_ident() == self._thread and not self._later:
            try:
                self._say(said)
                return
            except RuntimeError:
                pass  # it is said from within the site, such as by a value that is being encoded
        first = not self._later
        self._later.append(said)
        if first:
            try:
                self._loop.call_soon_threadsafe(self._tell)
            except RuntimeError:
                self._later.clear()  # the loop is closed, and nobody waits for it any more

    def overhear(self, record: logging.LogRecord) -> bool:
        """As the filter of a logger: takes a record, and lets it pass."""
        self.handle(record)
        return True

    def print(self, line: bytes) -> None:
        """Takes a line that was printed."""
        text = line.decode("utf-8", "backslashreplace")
        self.handle(logging.LogRecord(PRINTED, logging.INFO, "", 0, "%s", (text,), None))

    def _tell(self) -> None:
        while self._later:
            self._say(self._later.popleft())

    def _say(self, said: _Line) -> None:
        self._site.said(*said, self._adapters.hands_out_logs)
        if self._due is None:
            self._due = self._loop.call_later(_SOON, self._tell_noted)

    def _tell_noted(self) -> None:
        # A body that goes on for long says something, and nothing else happens.
        self._due = None
        self._site.tell_noted()
        self._turn()


def calling() -> int | None:
    """The call in whose name this runs."""
    sender = current.get()
    return sender.call if isinstance(sender, Sending) else streaming.get()
