"""What does an application learn of an error at a site?

Every exception that becomes a text which leaves its site passes `Telling.told`, and no other way leads out: adapters'
through `SiteLoop`, those of values that are sent, read, compared or taken apart through the native module.
"""

from __future__ import annotations

import importlib
import logging
import secrets as random
import sys
import threading
import traceback
from typing import Literal, NamedTuple

from dfm._shown import clean_logger
from dfm.errors import Public
from dfm.exec._secrets import Secrets

_LONGEST = 10_000
"""Characters of a message that are told."""
_LONGEST_TRACE = 100_000
"""Characters of a traceback, likewise."""
_MOST_LOGGED = 1_000
"""Errors of a session whose whole text is logged: a user who makes errors must not fill the site's disk."""


FAILURES = (Exception, SystemExit)
"""What a site's own code raises where it is no body: asyncio has an exit that leaves a task end the loop, and with it
the site."""


class BindingError(Exception):
    """What is wrong with the configuration of an operation at this site, for its administrator."""

    def __init__(self, what: str, detail: str = "") -> None:
        """`what` names only what the configuration names; `detail`, which goes on with it, is somebody else's text."""
        super().__init__(what + detail)
        self.what = what


class Told(NamedTuple):
    """An error as it leaves a site."""

    kind: str
    """The class of the exception."""
    message: str
    stack_trace: str
    """Empty unless all is told."""


class Telling:
    """What a site tells of its errors."""

    def __init__(
        self, secrets: Secrets, logger: logging.Logger, errors: Literal["full", "message", "type"] = "full"
    ) -> None:
        """`errors` is what its policy says; `logger` gets what is not told."""
        self.secrets = secrets
        """What its vault gave out."""
        self.logger = logger
        """The site's own."""
        self._errors = errors
        self._logged = 0

    def follow(self, errors: Literal["full", "message", "type"]) -> None:
        """From now on, this is what its policy says."""
        self._errors = errors

    def told(self, error: BaseException, what: str = "") -> Told:
        """The error as it leaves the site; `what`, for the log, says what has failed."""
        kind = self.clean(type(error).__name__)
        if is_public(error):
            return Told(kind, self.clean(_text(error)), "")
        if self._errors == "full":
            # What is wrong with a binding says where, and its traceback would be dfm's.
            trace = "" if isinstance(error, BindingError) else user_traceback(error)
            return Told(kind, self.clean(_text(error)), self.clean(trace, _LONGEST_TRACE))
        reference = self._log(error, kind, what)
        if isinstance(error, BindingError):
            return Told(kind, self.clean(f"{error.what} ({reference})"), "")
        if self._errors == "message":
            return Told(kind, self.clean(f"{_text(error)} ({reference})"), "")
        return Told(kind, f"this site tells no more of its errors than their kind ({reference})", "")

    def text(self, error: BaseException, what: str = "") -> str:
        """The error as one text, its kind included."""
        told = self.told(error, what)
        return told.message if isinstance(error, BindingError) or is_public(error) else f"{told.kind}: {told.message}"

    def tells_data(self) -> bool:
        """Whether a text may say what values are like."""
        return self._errors == "full"

    def clean(self, text: str, longest: int = _LONGEST) -> str:
        """A text without secrets, of a length that somebody reads, of characters that can be sent."""
        return _cut(self.secrets.mask(text), longest).encode("utf-8", "backslashreplace").decode()

    def _log(self, error: BaseException, kind: str, what: str) -> str:
        self._logged += 1
        if self._logged > _MOST_LOGGED:
            return f"its log has the first {_MOST_LOGGED} of this session, and this is a later one"
        reference = f"E-{random.token_hex(4)}"
        trace = self.clean(user_traceback(error), _LONGEST_TRACE)
        self.logger.error("%s: %s: %s", reference, what or kind, trace)
        return f"its log has the rest as {reference}"


def is_public(error: BaseException) -> bool:
    """Whether who raised it says that its text is no secret."""
    return isinstance(error, Public) or vars(error).get("dfm_public") is True


def _text(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception as unsaid:
        return f"its text cannot be had: str() raised {type(unsaid).__name__}"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} more characters)"


def user_traceback(error: BaseException) -> str:
    """An exception's traceback without dfm's own frames."""
    from dfm import exec as this_package

    own = (this_package.__path__[0].rpartition("/")[0] + "/", "<frozen importlib", importlib.__path__[0])
    try:
        report = traceback.TracebackException.from_exception(error)
        pending = [report]
        while pending:
            one = pending.pop()
            one.stack = traceback.StackSummary.from_list(
                [frame for frame in one.stack if not frame.filename.startswith(own)]
            )
            nested = (one.__cause__, one.__context__, *(getattr(one, "exceptions", None) or ()))
            pending.extend(part for part in nested if part is not None)
        if not report.stack and sys.exc_info()[0] is None:
            return "".join(report.format_exception_only())
        return "".join(report.format()).rstrip()
    except Exception as unsaid:
        return f"{type(error).__name__}: its traceback cannot be had: {type(unsaid).__name__}"


class _Here(threading.local):
    """What the site of this thread tells; a thread without one belongs to the application, which may know all."""

    def __init__(self) -> None:
        self.telling = Telling(Secrets(), clean_logger("dfm.site"))


_here = _Here()


def speak_for_thread(telling: Telling) -> None:
    """From now on, this thread's errors are those of this site."""
    _here.telling = telling


def told_here(error: BaseException) -> tuple[str, str]:
    """The kind and text of an exception of the site of this thread, for the native module."""
    told = _here.telling.told(error, "a value that was sent, read, compared or taken apart")
    return told.kind, told.message


def tells_data_here() -> bool:
    """Whether the site of this thread says what values are like."""
    return _here.telling.tells_data()
