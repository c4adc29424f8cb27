"""How much has a user asked of a site today, and is it too much?

The native module counts, in one small file for each user in the site's kit.
"""

from __future__ import annotations

from pathlib import Path

from dfm import _native
from dfm._private import private_folder
from dfm.errors import RefusedError
from dfm.exec._policy import PerDay


class Counting:
    """Counts what one user asks for, up to what the site's policy allows in a day."""

    def __init__(self, site: str, user: str, folder: Path | None, most: PerDay) -> None:
        """Without a `folder` this process counts alone."""
        self._where = f"site '{site}'"
        self._user = user
        self._counts = _native.Counting(user, None if folder is None else private_folder(folder), most)
        self.allow = self._counts.allow
        """The site's policy says from now on that it is so much."""
        self.wants_questions = self._counts.wants_questions
        """Whether different questions are counted."""
        self.rest = self._counts.rest
        """No call is made for now: those that were counted ahead are none."""
        self.close = self._counts.close
        """The same, and closes the file: from then on this process counts alone."""

    def call(self) -> None:
        """Counts a call that begins.

        Raises:
            RefusedError: it is one too many.
        """
        if (over := self._counts.call()) is not None:
            raise self._refused("gives user '{}' no more today", over)

    def question(self, operation: str, provider: str | None, parameters: str) -> None:
        """Counts a question, if nobody has asked it today for this user.

        Raises:
            RefusedError: it is one too many.
        """
        if (over := self._counts.question(operation, provider, parameters)) is not None:
            raise self._refused("answers no other questions of user '{}' today", over)

    def leave(self, size: int) -> None:
        """Counts a value that leaves.

        Raises:
            RefusedError: it is one too many, or too large for what is left of the day's bytes.
        """
        if (over := self._counts.leave(size)) is not None:
            raise self._refused("gives user '{}' no more today", over)

    def _refused(self, what: str, over: tuple[str, int]) -> RefusedError:
        limit, most = over
        return RefusedError(f"{self._where} {what.format(self._user)}: `per-day.{limit}` of its policy is {most}")
