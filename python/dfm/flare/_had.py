"""What does an application tell the session's job of the tokens that it has had, and what does it get back?"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from typing_extensions import Buffer

from dfm import _native
from dfm._shown import clean_logger
from dfm.errors import SessionError
from dfm.flare import _told
from dfm.flare._channel import Forged
from dfm.flare._identity import Untrusted
from dfm.flare._sealing import HomeSealing
from dfm.session._keeping import Key, PositionFile, Recalled

T = TypeVar("T")

_TELL = 0.25
"""Seconds within which what was had is told; the file has it at once."""

_STALE = 30 * 86400.0
"""Seconds after which a file that says what was had is of no use."""

_INCOMPLETE = "what the server has kept of it was changed, or is not all"
_log = clean_logger("dfm.session")


class FlareKeeping:
    """One execution's `Keeping`."""

    def __init__(
        self,
        number: int,
        path: Path,
        tell: Callable[[dict[str, Any]], None],
        loop: asyncio.AbstractEventLoop,
        once_begun: Callable[[Callable[[], None]], None],
        over: Callable[[], None],
        is_cut_off: Callable[[], bool],
    ) -> None:
        """`tell` takes messages for the session's job, on the loop's thread; `once_begun` has something done there when
        the session's job has been told that the execution begins. `over` is called there when nothing more of it is
        wanted. `is_cut_off` says whether that job cannot be reached any more."""
        self._over = over
        self.is_cut_off = is_cut_off
        self._number = number
        self._tell = tell
        self._loop = loop
        self._once_begun = once_begun
        self._file: PositionFile | None = PositionFile(path)
        self._lock = threading.Lock()
        self._news: dict[Key, int] = {}
        self._due = False
        self.had: dict[Key, int] = {}

    def come_back(self, found: Recalled) -> None:
        """Takes up what an earlier application has had: what its file says or, from elsewhere, what it has told."""
        file = self._file.read() if self._file is not None else {}
        self.had = {key: max(found.had.get(key, 0), file.get(key, 0)) for key in found.had.keys() | file.keys()}

    def note(self, key: Key, total: int) -> None:
        """As `Keeping`."""
        if self._file is not None:
            try:
                self._file.note(key, total)
            except OSError as error:
                self._file = None
                _log.warning("what this application has had cannot be noted, should it be killed: %s", error)
        with self._lock:
            self._news[key] = total
            first, self._due = not self._due, True
        if first:
            self._once_begun(self._tell_later)

    def ended(self, status: str) -> None:
        """As `Keeping`. Of one that is cut off, nobody here knows."""
        if not self.is_cut_off():
            self._once_begun(lambda: self._tell({"ended": self._number, "status": status}))

    def forget(self) -> None:
        """As `Keeping`. What was had of one that is cut off stays noted, for nobody forgets it there."""
        if self.is_cut_off():
            self._close(remove=False)
            self._once_begun(self._over)
            return
        self._close(remove=True)
        with self._lock:
            self._news.clear()

        def forget() -> None:
            self._over()
            self._tell({"forget": self._number})

        self._once_begun(forget)

    def leave(self) -> None:
        """As `Keeping`."""
        self._close(remove=False)

        def leave() -> None:
            self._over()
            self.flush()
            self._tell({"leave": self._number})

        self._once_begun(leave)

    def flush(self) -> None:
        """On the loop's thread: tells what is not told yet."""
        with self._lock:
            self._due = False
            news, self._news = self._news, {}
        if news:
            positions = [[key[0], key[1:], total] for key, total in news.items() if not isinstance(key, str)]
            notes = {key: total for key, total in news.items() if isinstance(key, str)}
            self._tell({"had": self._number, "positions": positions, "notes": notes})

    def _tell_later(self) -> None:
        self._loop.call_later(_TELL, self.flush)

    def _close(self, remove: bool) -> None:
        if self._file is not None:
            self._file.close(remove)
            self._file = None


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """What keeping needs of the session whose executions are kept."""

    loop: asyncio.AbstractEventLoop
    """The homesite's."""
    homesite: str
    tell: Callable[[dict[str, Any]], None]
    """Says something to the session's job."""
    opened: Callable[[], Awaitable[None]]
    """Waits until that job can be asked."""
    why_lost: Callable[[str], str]
    """Says why a site is."""
    once_begun: Callable[[int, Callable[[], None]], None]
    """From any thread, has something done on the homesite's when an execution has begun."""
    sealing: Callable[[], HomeSealing | None]
    """That of the session's present job, once it is open."""
    over: Callable[[int], None]
    """Called on the homesite's thread when nothing more of an execution is wanted."""


class FlareKeeps:
    """What a Flare session's job keeps. But for `keeping`, all is called on the homesite's thread."""

    def __init__(self, folder: Path, of: Surroundings) -> None:
        """`folder` is for the files that say what was had."""
        self._over = of.over
        self._homesite = of.homesite
        self._sealing = of.sealing
        self._why_lost = of.why_lost
        self._folder = folder
        self._loop = of.loop
        self._tell = of.tell
        self._opened = of.opened
        self._once_begun = of.once_begun
        self._answers = True
        """Whether the session's present job may still answer."""
        self._unsure: dict[int, Callable[[], None]] = {}
        self._here: set[int] = set()
        """The executions that the session's present job keeps."""
        self._cut_off: set[int] = set()
        """Those of one that cannot be reached any more."""
        self._recalls: dict[int, tuple[asyncio.Future[Any], Callable[[Recalled], Any]]] = {}
        self._past: list[tuple[str, bytes, Buffer | None]] = []
        self._wrong = ""
        """What is wrong with what is being recalled."""
        _tidy(folder)

    def keeping(self, job: int, job_id: str) -> FlareKeeping:
        """As `Keeps`."""
        once_begun = functools.partial(self._once_begun, job)

        def over() -> None:
            self._here.discard(job)
            self._cut_off.discard(job)
            self._over(job)

        path, is_cut_off = self._folder / job_id, functools.partial(self._is_cut_off, job)
        return FlareKeeping(job, path, self._tell, self._loop, once_begun, over, is_cut_off)

    def _is_cut_off(self, job: int) -> bool:
        return job in self._cut_off

    def began(self, job: int, about: dict[str, Any]) -> None:
        """As `Keeps`."""
        if (sealing := self._sealing()) is not None:
            self._here.add(job)
            sealing.begin(job)
            self._tell({"begin": job, "id": about["id"], "about": sealing.note(about)})

    def when_sure(self, job: int, then: Callable[[], None]) -> None:
        """As `Keeps`."""
        if not self._answers:
            then()
            return
        self._unsure[job] = then
        self._tell({"confirm": job})

    def take_confirmation(self, job: int) -> None:
        """The session's job has all that was told of an execution before it was asked."""
        if then := self._unsure.pop(job, None):
            then()

    def why_lost(self, site: str) -> str:
        """As `Keeps`."""
        return self._why_lost(site)

    async def recall(self, job: int, take_up: Callable[[Recalled], T]) -> T:
        """As `Keeps`."""
        await self._opened()
        sealing = self._sealing()
        assert sealing is not None
        if not self._answers:
            raise SessionError("the session's job at the server cannot be reached any more; come back in a new session")
        sealing.recall(job)
        self._here.add(job)
        answer: asyncio.Future[T] = self._loop.create_future()
        self._recalls[job] = answer, take_up
        self._tell({"recall": job})
        return await answer

    def take_past(self, sender: str, head: Buffer, body: Buffer | None) -> None:
        """A packet of the execution that is being recalled; without a body, if its value was had."""
        sealing = self._sealing()
        if sealing is None or self._wrong:
            return
        try:
            self._past.append((sender, *sealing.open_kept(sender, head, body)))
        except Forged:
            self._wrong = _INCOMPLETE
        except Untrusted as error:
            self._wrong = f"what the server has kept of it cannot be read: {error}"

    def take_answer(self, job: int, told: object) -> None:
        """All that was kept has come; None if nothing is known of the execution."""
        history, self._past = self._past, []
        wrong, self._wrong = self._wrong, ""
        recall, sealing = self._recalls.pop(job, None), self._sealing()
        if recall is None or recall[0].done() or sealing is None:
            return
        answer, take_up = recall
        sealing.recalled(job)
        try:
            answer.set_result(take_up(self._found(sealing, told, history, wrong)))
        except Exception as error:
            answer.set_exception(error)

    def _found(
        self,
        sealing: HomeSealing,
        told: object,
        history: list[tuple[str, bytes, Buffer | None]],
        wrong: str,
    ) -> Recalled:
        if told is None:
            raise SessionError("the session's job knows it no more")
        if wrong:
            raise SessionError(wrong)
        try:
            about, notes, positions = _parts(told)
        except ValueError:
            raise SessionError(_INCOMPLETE) from None
        try:
            own = sealing.own(about.pop("about"))
        except Untrusted as error:
            raise SessionError(f"what the server has kept of it cannot be read: {error}") from None
        if (unfolded := _native.unfold(self._homesite, history)) is None:
            raise SessionError(_INCOMPLETE)
        packets, dropped = unfolded
        totals: dict[Key, int] = {(transition, *frame): had for transition, frame, had in positions}
        return Recalled(
            # What the application has noted itself goes before what the server says.
            about | own,
            totals | notes,
            {(transition, *frame): count for transition, frame, count in dropped},
            packets,
        )

    def begin_again(self) -> None:
        """The session has another job, which will answer."""
        self._answers = True

    def fail(self, reason: str) -> None:
        """No answer will come."""
        self._answers = False
        self._cut_off |= self._here
        self._here.clear()
        for job in list(self._unsure):
            self.take_confirmation(job)
        recalls, self._recalls, self._past, self._wrong = self._recalls, {}, [], ""
        for answer, _ in recalls.values():
            if not answer.done():
                answer.set_exception(SessionError(reason))


def _parts(told: object) -> tuple[dict[str, Any], dict[Key, int], list[tuple[int, list[int], int]]]:
    """What the session's job says of an execution, and of what of it was had."""
    said = cast("dict[str, Any]", told if isinstance(told, dict) else {})
    about, notes = said.get("about"), said.get("notes")
    if not isinstance(about, dict) or not isinstance(notes, dict):
        raise ValueError
    found = cast("dict[str, Any]", about)
    if not isinstance(found.get("about"), str) or not isinstance(found.get("status", 0), str | None):
        raise ValueError
    totals = cast("dict[Key, int]", notes)
    if not all(isinstance(one, int) for one in (found.get("frames", 0), *totals.values())):
        raise ValueError
    return dict(found), totals, _told.positions(said.get("had"))


def _tidy(folder: Path) -> None:
    """Removes the files of jobs that nobody will come back to."""
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE:
                path.unlink()
