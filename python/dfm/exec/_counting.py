"""How much has a user asked of a site today?

One small file for each user in the site's kit, which all processes of the site share: what is counted outlasts them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import struct
import time
from collections.abc import Callable, Generator
from pathlib import Path

from dfm._private import private_folder
from dfm.errors import RefusedError
from dfm.exec._policy import PerDay

_FORM = struct.Struct("<QQQQ")
"""The day since 1970 (UTC), calls, values, bytes."""
_QUESTION_BYTES = 16
"""Of a question's digest."""
_QUESTIONS_OF = struct.Struct("<Q")
"""The day of the questions whose digests follow."""
_DAY = 86_400
_MOST_AHEAD = 64
"""Calls that are counted before they are made; and of those that are left, the part that may be."""


class _Kept:
    """What is counted."""

    def __init__(self, counted: bytes) -> None:
        self.counted = counted if len(counted) == _FORM.size else bytes(_FORM.size)


class Counting:
    """Counts what one user asks for, up to what the site's policy allows in a day."""

    def __init__(
        self,
        site: str,
        user: str,
        folder: Path | None,
        look: Callable[[], PerDay],
        now: Callable[[], float] = time.time,
    ) -> None:
        """`look` gives what the policy says now; without a `folder` this process counts alone."""
        self._where = f"site '{site}'"
        self._user = user
        self._look = look
        self._now = now
        self._file: int | None = None
        self._folder: Path | None = None
        self._asked: set[bytes] = set()
        self._asked_on = 0
        self._made = 0
        self._ahead = 0
        self._ahead_of: tuple[PerDay, int] | None = None
        self._alone = bytes(_FORM.size)
        if folder is not None:
            self._folder = private_folder(folder)
            self._path = self._folder / f".day-{hashlib.sha256(user.encode()).hexdigest()[:32]}"
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def call(self) -> None:
        """Counts a call that begins.

        Raises:
            RefusedError: it is one too many.
        """
        self._made += 1
        if self._ahead and (of := self._ahead_of) is not None:
            if of[0] is self._look() and of[1] == int(self._now() // _DAY):
                self._ahead -= 1
                return
            self.rest()
        self._add(1, 0, 0)

    def wants_questions(self) -> bool:
        """Whether different questions are counted."""
        return self._look().questions is not None

    def question(self, operation: str, provider: str | None, parameters: str) -> None:
        """Counts a question, if nobody has asked it today for this user.

        Raises:
            RefusedError: it is one too many.
        """
        if (most := self._look().questions) is None:
            return
        asked = json.dumps([operation, provider, parameters]).encode()
        digest = hashlib.sha256(asked).digest()[:_QUESTION_BYTES]
        today = int(self._now() // _DAY)
        if self._asked_on == today and digest in self._asked:
            return
        with self._questions() as file:
            data = b"" if file is None else os.pread(file, os.fstat(file).st_size, 0)
            on = _QUESTIONS_OF.unpack_from(data)[0] if len(data) >= _QUESTIONS_OF.size else 0
            if file is None:
                on = self._asked_on
            elif today > on:
                os.ftruncate(file, 0)
                os.pwrite(file, _QUESTIONS_OF.pack(today), 0)
            else:
                rest = data[_QUESTIONS_OF.size :]
                places = range(0, len(rest) - _QUESTION_BYTES + 1, _QUESTION_BYTES)
                self._asked = {rest[at : at + _QUESTION_BYTES] for at in places}
            if today > on:
                self._asked = set()
            self._asked_on = max(on, today)
            if digest in self._asked:
                return
            if len(self._asked) >= most:
                why = f"`per-day.questions` of its policy is {most}"
                raise RefusedError(f"{self._where} answers no other questions of user '{self._user}' today: {why}")
            if file is not None:
                os.pwrite(file, digest, _QUESTIONS_OF.size + _QUESTION_BYTES * len(self._asked))
            self._asked.add(digest)

    @contextlib.contextmanager
    def _questions(self) -> Generator[int | None]:
        """The file with the digests of a day's questions, which no other process touches in the meantime."""
        if self._folder is None:
            yield None
            return
        name = f".asked-{hashlib.sha256(self._user.encode()).hexdigest()[:32]}"
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def rest(self) -> None:
        """No call is made for now: those that were counted ahead are none."""
        ahead, of, self._made, self._ahead = self._ahead, self._ahead_of, 0, 0
        if ahead and of is not None:
            with self._kept() as kept:
                day, calls, values, size = _FORM.unpack(kept.counted)
                if day == of[1]:
                    kept.counted = _FORM.pack(day, max(0, calls - ahead), values, size)

    def leave(self, size: int) -> None:
        """Counts a value that leaves.

        Raises:
            RefusedError: it is one too many, or too large for what is left of the day's bytes.
        """
        self._add(0, 1, size)

    def close(self) -> None:
        """Closes the file."""
        self.rest()
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._alone = bytes(_FORM.size)

    def _add(self, calls: int, values: int, size: int) -> None:
        most = self._look()
        if most == _UNBOUNDED:
            return
        today = int(self._now() // _DAY)
        with self._kept() as kept:
            added = self._added(kept.counted, most, today, (calls, values, size))
            if calls and self._made > 1:
                # Of many calls in a row, some are counted at once: never so many that others are refused for them.
                day, counted, *others = _FORM.unpack(added)
                left = _MOST_AHEAD if most.calls is None else (most.calls - counted) // _MOST_AHEAD
                self._ahead, self._ahead_of = min(self._made, _MOST_AHEAD, left), (most, day)
                added = _FORM.pack(day, counted + self._ahead, *others)
            kept.counted = added

    @contextlib.contextmanager
    def _kept(self) -> Generator[_Kept]:
        """What is counted, which no other process touches in the meantime; kept as it is made here."""
        if self._file is None:
            kept = _Kept(self._alone)
            yield kept
            self._alone = kept.counted
            return
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            kept = _Kept(os.pread(self._file, _FORM.size, 0))
            yield kept
            os.pwrite(self._file, kept.counted, 0)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _added(self, counted: bytes, most: PerDay, today: int, more: tuple[int, int, int]) -> bytes:
        day, *before = _FORM.unpack(counted)
        # A clock that was set back gives nobody another day.
        day, before = (today, [0, 0, 0]) if today > day else (day, before)
        after = [one + another for one, another in zip(before, more, strict=True)]
        for what, allowed, count, added in zip(
            ("calls", "values", "bytes"), (most.calls, most.values, most.bytes), after, more, strict=True
        ):
            if added and allowed is not None and count > allowed:
                why = f"`per-day.{what}` of its policy is {allowed}"
                raise RefusedError(f"{self._where} gives user '{self._user}' no more today: {why}")
        return _FORM.pack(day, *after)


_UNBOUNDED = PerDay()
