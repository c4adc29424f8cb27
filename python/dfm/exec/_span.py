"""How long did something take, and what is said about it?"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import random
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any


class Span:
    """What is being measured; ended by leaving the block that made it."""

    def __init__(self, name: str, attributes: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.attributes = dict(attributes or {})
        self.error: str | None = None
        """Why it failed; `None` where it did not."""
        self.id = random.getrandbits(64) or 1
        """Tells it from others."""
        self.outer = _innermost.get()
        """The one that it is within."""

    def set_attribute(self, key: str, value: Any) -> None:
        """Says something about it."""
        self.attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Says several things about it."""
        self.attributes |= attributes

    def set_ok(self) -> None:
        """Says that it did not fail, which is so unless it is said."""
        self.error = None

    def set_error(self, message: str = "") -> None:
        """Says that it failed, and why."""
        self.error = message


listeners: list[Callable[[Span, float, float], None]] = []
"""Are told each span that is over, with its begin in seconds since 1970, and its seconds."""
_innermost: contextvars.ContextVar[Span | None] = contextvars.ContextVar("innermost", default=None)


@contextlib.contextmanager
def measured(name: str, attributes: Mapping[str, Any] | None, logger: logging.Logger) -> Generator[Span]:
    """Measures what happens inside it; told to the logger at debug level. An exception is the span's error."""
    span = Span(name, attributes)
    begin, at = time.perf_counter(), time.time()
    _innermost.set(span)
    try:
        yield span
    except BaseException as error:
        span.set_error(str(error) or type(error).__name__)
        raise
    finally:
        took = time.perf_counter() - begin
        _innermost.set(span.outer)
        for tell in tuple(listeners):
            tell(span, at, took)
        failed = "" if span.error is None else f" and failed: {span.error}"
        logger.debug("%s took %.6f s%s %s", span.name, took, failed, span.attributes)
