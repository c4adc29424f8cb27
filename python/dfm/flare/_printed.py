"""Where is what an adapter prints at a site on Flare?

In the site's log, line by line, as what it logs: NVFlare keeps and hands out a job's log, and nothing else of its
process.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from collections.abc import Generator
from typing import IO, cast


class _Lines(io.RawIOBase):
    """Logs each line that is written to it."""

    def __init__(self, log: logging.Logger, level: int) -> None:
        super().__init__()
        self._log = log
        self._level = level
        self._begun = b""
        self._lock = threading.RLock()
        self._logging = False

    def writable(self) -> bool:
        """As a stream has it."""
        return True

    def write(self, data: object, /) -> int:
        """Takes bytes; the last line waits for its end."""
        written = bytes(data)  # pyright: ignore[reportArgumentType]
        with self._lock:
            if self._logging:  # what a log says of itself, where it cannot be written
                return os.write(2, written)
            *lines, self._begun = (self._begun + written).split(b"\n")
            if len(self._begun) > _LONGEST:
                lines, self._begun = [*lines, self._begun], b""
            self._logging = True
            try:
                for line in lines:
                    self._log.log(self._level, "%s", line.decode("utf-8", "backslashreplace"))
            finally:
                self._logging = False
        return len(written)

    def close(self) -> None:
        """Logs a line that has not ended."""
        if self._begun and not self.closed:
            self.write(b"\n")
        super().close()


_LONGEST = 100_000
"""Bytes of a line that is not over, which are logged as one."""


@contextlib.contextmanager
def printed_to(log: logging.Logger) -> Generator[None]:
    """Has this process log what it prints, errors as warnings."""
    before = sys.stdout, sys.stderr
    now = [
        io.TextIOWrapper(cast(IO[bytes], _Lines(log, level)), "utf-8", "backslashreplace", write_through=True)
        for level in (logging.INFO, logging.WARNING)
    ]
    sys.stdout, sys.stderr = now
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in now:
            stream.close()
