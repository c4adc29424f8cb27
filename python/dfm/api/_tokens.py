"""What else than values arrives at a pipeline's places?"""

import sys
import traceback
from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel

STATUS_PLACE_NAME = "_dfm_status_"
"""The place of the stop token and of every original error."""


class ErrorRecord(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """One original error."""

    type: str
    """Its kind, such as the exception's class."""
    message: str
    """What happened."""
    stack_trace: str = ""
    """The adapter's traceback; empty where no adapter raised."""
    site: str | None = None
    """Where it happened, or the site that was lost."""
    node: int | str | None = None
    """The pipeline's node that failed; `None` where a whole site did."""
    operation: str | None = None
    """The operation it was to run."""
    frame: list[int] | None = None
    """The run it belongs to; `None` where it concerns all of them."""
    line: str | None = None
    """The user's `file:line` that made the node."""

    def __getitem__(self, key: str) -> object:
        """`error["message"]` is `error.message`."""
        if key in type(self).model_fields:
            return getattr(self, key)
        raise KeyError(key)


class StopToken(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Arrives on the status place: there will be nothing more."""


class ErrorToken(BaseModel, frozen=True, extra="forbid", defer_build=True):
    """Arrives in the place of a value that could not be made, and on the status place."""

    errors: list[ErrorRecord]
    """Why; never empty."""

    @classmethod
    def from_error_tokens(cls, error_tokens: Iterable[Self]) -> Self:
        """One token with the errors of all of them, each once."""
        errors: list[ErrorRecord] = []
        for error in (error for token in error_tokens for error in token.errors):
            if error not in errors:
                errors.append(error)
        return cls(errors=errors)

    @classmethod
    def from_exception(cls, error: BaseException) -> Self:
        """The token of an exception, with its traceback."""
        trace = "".join(traceback.format_exception(error))
        return cls(errors=[ErrorRecord(type=type(error).__name__, message=str(error), stack_trace=trace)])

    def print(self) -> None:
        """Writes all of it to stderr, for people."""
        for error in self.errors:
            where = "".join(f" {word} {value}" for word, value in (("at", error.site), ("of", error.line)) if value)
            print(f"{error.type}: {error.message}{where}", file=sys.stderr)
            if error.stack_trace:
                print(error.stack_trace.rstrip(), file=sys.stderr)
