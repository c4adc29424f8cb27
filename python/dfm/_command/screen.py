"""What do stdout and stderr show of a command, and of what takes long?

On a terminal that is a line that is drawn again and again, below all that is written meanwhile; in a log it is a line
now and then.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator

from dfm._shown import one_line

NOBODY_READS, FAILED = 141, 1

_FIRST, _AGAIN = 1.0, 0.5
"""Seconds until a terminal shows the line, and until it is drawn again."""
_CALM = 30.0
"""Seconds until a log has a line; each further one comes after twice as long."""
_LONGEST = 600.0
_ERASE = "\r\x1b[K"

_lock = threading.RLock()
_drawn = False


def put(line: str | bytes) -> None:
    """Writes a line to stdout, bytes as they are, or ends the process, and the other sites' with it: whoever closed the
    pipe has read enough, and what is lost for any other reason was not what the user asked for."""
    with _lock:
        _erase()
        try:
            if isinstance(line, str):
                print(line, flush=True)
            else:
                sys.stdout.buffer.write(line + b"\n")
                sys.stdout.buffer.flush()
        except BrokenPipeError:
            os._exit(NOBODY_READS)
        except OSError as error:
            why = "stdout is closed" if error.errno == errno.EBADF else error.strerror
            tell(f"error: the output cannot be written: {why}")
            os._exit(FAILED)


def tell(line: str, end: str = "\n") -> None:
    """Writes to stderr, where it can be written to."""
    with _lock, contextlib.suppress(OSError):
        _erase()
        print(line, end=end, file=sys.stderr, flush=True)


class Telling(logging.Handler):
    """Logs to stderr, above what is drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(self.format(record))


@contextlib.contextmanager
def showing(wanted: bool, text: Callable[[float], str]) -> Generator[None]:
    """Shows on stderr, if that is wanted, what `text` says after so many seconds, until the block is left."""
    if not wanted:
        yield
        return
    over = threading.Event()
    # What is not shown is no failure.
    with contextlib.suppress(RuntimeError):
        threading.Thread(target=_show, args=(text, over), name="dfm-progress", daemon=True).start()
    try:
        yield
    finally:
        # What is asked may need a moment to answer, for which nobody waits.
        with _lock, contextlib.suppress(OSError):
            over.set()
            _erase()


def _show(text: Callable[[float], str], over: threading.Event) -> None:
    begin = time.monotonic()
    terminal = sys.stderr.isatty()
    pauses = itertools.chain([_FIRST], itertools.repeat(_AGAIN)) if terminal else _calmly()
    for pause in pauses:
        if over.wait(pause):
            return
        line = one_line(text(time.monotonic() - begin))
        with _lock:
            if over.is_set():
                return
            if terminal:
                _draw(line)
            else:
                tell(line)


def _calmly() -> Iterator[float]:
    pause = _CALM
    while True:
        yield pause
        pause = min(2 * pause, _LONGEST)


def _draw(line: str) -> None:
    global _drawn
    with contextlib.suppress(OSError):
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80
        line = line if len(line) < columns else f"{line[: columns - 2]}…"
        print(f"{_ERASE}{line}", end="", file=sys.stderr, flush=True)
        _drawn = True


def _erase() -> None:
    global _drawn
    if _drawn:
        _drawn = False
        print(_ERASE, end="", file=sys.stderr, flush=True)
