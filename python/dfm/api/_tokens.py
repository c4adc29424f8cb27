"""What else than values arrives at a pipeline's places?"""

from pydantic import BaseModel


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
