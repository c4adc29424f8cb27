"""Where is what an adapter prints at a site on Flare?

In the site's log, line by line, as what it logs: NVFlare keeps and hands out a job's log, and nothing else of its
process.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
from collections.abc import Generator

from dfm._running.output import lines_to


@contextlib.contextmanager
def printed_to(log: logging.Logger) -> Generator[None]:
    """Has this process log what it prints, errors as warnings."""
    before = sys.stdout, sys.stderr
    now = [lines_to(functools.partial(_log, log, level)) for level in (logging.INFO, logging.WARNING)]
    sys.stdout, sys.stderr = now
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in now:
            stream.close()


def _log(log: logging.Logger, level: int, line: bytes) -> None:
    log.log(level, "%s", line.decode("utf-8", "backslashreplace"))
