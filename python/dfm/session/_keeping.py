"""How far has an application come with a job that can outlive it?

With each token that the application has had, a file says so. The file belongs to the system as soon as it is written,
so it survives the application, however that ends.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from dfm import _native
from dfm._private import private_folder

T = TypeVar("T")

Key = tuple[int, ...] | str
"""A series of tokens: those of a `Yield` in one frame, as its transition and the frame; an error; the job's end."""

END = "end"


class Keeping(Protocol):
    """What is kept of one job for its application, and where. Called from any thread."""

    had: dict[Key, int]
    """How many tokens of each series an earlier application has had."""

    def come_back(self, found: Recalled) -> None:
        """Takes up what an earlier application has had."""
        ...

    def is_cut_off(self) -> bool:
        """Whether the job may go on where nobody here reaches it any more, so that errors here are not its own."""
        ...

    def note(self, key: Key, total: int) -> None:
        """The application has had so many of a series."""
        ...

    def ended(self, status: str) -> None:
        """The job is at its end."""
        ...

    def forget(self) -> None:
        """Nobody will ask for the job's tokens any more."""
        ...

    def leave(self) -> None:
        """This application goes, and may come back."""
        ...


class Looking:
    """Lets an application see what is kept and leaves it as it is."""

    def __init__(self, keeping: Keeping) -> None:
        self._keeping = keeping
        self.had: dict[Key, int] = {}

    def come_back(self, found: Recalled) -> None:
        """As `Keeping`."""
        self._keeping.come_back(found)
        self.had = self._keeping.had

    def is_cut_off(self) -> bool:
        """As `Keeping`."""
        return self._keeping.is_cut_off()

    def note(self, key: Key, total: int) -> None:
        """As `Keeping`: not noted."""

    def ended(self, status: str) -> None:
        """As `Keeping`: not told."""

    def forget(self) -> None:
        """As `Keeping`: it is only left."""
        self._keeping.leave()

    def leave(self) -> None:
        """As `Keeping`."""
        self._keeping.leave()


@dataclasses.dataclass
class Recalled:
    """What is kept of a job for an application that comes back."""

    about: dict[str, Any]
    """What the application that began the job has said of it, and how far it is."""
    had: dict[Key, int] = dataclasses.field(default_factory=dict[Key, int])
    """How many tokens of each series the application has had, as far as it has told."""
    dropped: dict[Key, int] = dataclasses.field(default_factory=dict[Key, int])
    """How many of these are not in the history."""
    history: list[tuple[str, bytes]] = dataclasses.field(default_factory=list[tuple[str, bytes]])
    """What `Site.replay` needs; empty once nobody needs it any more."""


class Keeps(Protocol):
    """Where a session's jobs are kept. But for `keeping`, all is called on the homesite's thread."""

    def keeping(self, job: int, job_id: str) -> Keeping:
        """What is kept of a new job."""
        ...

    def began(self, job: int, about: dict[str, Any]) -> None:
        """A job begins; what has to be known of it to come back."""
        ...

    def when_sure(self, job: int, then: Callable[[], None]) -> None:
        """Calls `then` when a job that began is known where it is kept, or when that cannot be reached any more."""
        ...

    def why_lost(self, site: str) -> str:
        """Why there is no link to a site any more."""
        ...

    async def recall(self, job: int, take_up: Callable[[Recalled], T]) -> T:
        """Calls `take_up` with what is kept of a job of an application that is gone, before anything that comes after
        it.

        Raises:
            SessionError: nothing is, or it cannot be reached.
        """
        ...


def error_key(failure: _native.Failure) -> Key:
    """The key of an error: what happened where."""
    what = (failure.site, failure.node, failure.operation, failure.frame, failure.kind, failure.message)
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


class PositionFile:
    """One job's file: a line for each series, with the number of tokens had; the line that was written last grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._file: int | None = None
        self._closed = False
        self._end = 0
        self._last: tuple[Key, int] | None = None

    def read(self) -> dict[Key, int]:
        """What an earlier application has noted; lines that it has not written say nothing."""
        try:
            lines = self._path.read_bytes().split(b"\n")[:-1]
        except OSError:
            return {}
        had: dict[Key, int] = {}
        for total, _, text in (line.strip().partition(b" ") for line in lines):
            with contextlib.suppress(ValueError, RecursionError):
                key: Any = json.loads(text)
                if isinstance(key, list) and all(type(part) is int for part in cast("list[Any]", key)):
                    had[tuple(cast("list[int]", key))] = int(total)
                elif isinstance(key, str):
                    had[key] = int(total)
        return had

    def note(self, key: Key, total: int) -> None:
        """Writes down how many tokens of a series were had. Without effect once it is closed, on whatever thread.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            if self._closed:
                return
            if self._file is None:
                private_folder(self._path.parent)
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                self._end = os.lseek(self._file, 0, os.SEEK_END)
                if self._end and os.pread(self._file, 1, self._end - 1) != b"\n":
                    self._write(b"\n")
            if self._last is not None and self._last[0] == key:
                os.pwrite(self._file, b"%12d" % total, self._last[1])
            else:
                at = self._end
                self._write(b"%12d %s\n" % (total, json.dumps(key).encode()))
                self._last = key, at

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        written = os.pwrite(self._file, line, self._end)
        if written < len(line):
            os.ftruncate(self._file, self._end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._end += written

    def close(self, remove: bool) -> None:
        """Closes the file, and removes it."""
        with self._lock:
            self._closed = True
            if self._file is not None:
                os.close(self._file)
                self._file = self._last = None
            if remove:
                self._path.unlink(missing_ok=True)
