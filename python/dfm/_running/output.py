"""How does what is printed come line by line?"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import IO, cast

_LONGEST = 100_000
"""Bytes of a line that is not over, which are taken as one."""


def lines_to(take: Callable[[bytes], None]) -> io.TextIOWrapper:
    """A stream for what is printed, each line of which is taken once it is over, without its end."""
    return io.TextIOWrapper(cast(IO[bytes], _Lines(take)), "utf-8", "backslashreplace", write_through=True)


class _Lines(io.RawIOBase):
    """Gives on each line that is written to it."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        super().__init__()
        self._take = take
        self._begun = b""
        self._lock = threading.RLock()
        self._taking = False

    def writable(self) -> bool:
        """As a stream has it."""
        return True

    def write(self, data: object, /) -> int:
        """Takes bytes; the last line waits for its end."""
        written = bytes(data)  # pyright: ignore[reportArgumentType]
        with self._lock:
            if self._taking:  # what who takes it says of itself, such as a log that cannot be written
                return os.write(2, written)
            *lines, self._begun = (self._begun + written).split(b"\n")
            if len(self._begun) > _LONGEST:
                lines, self._begun = [*lines, self._begun], b""
            self._taking = True
            try:
                for line in lines:
                    self._take(line)
            finally:
                self._taking = False
        return len(written)

    def close(self) -> None:
        """Gives on a line that has not ended."""
        if self._begun and not self.closed:
            self.write(b"\n")
        super().close()
