"""What does the server's process of a session's job keep of the session's executions?

Its owner calls all this with a lock held.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Collection
from typing import Any

from dfm import _native
from dfm.flare._packets import Packet
from dfm.flare._session_job import PAST, PAST_HEAD

Sealed = list[str]
"""A packet that somebody may ask for and only its receiver can read: head and body, as text."""

_REMEMBERED = 1000
"""So many executions of which nothing is kept any more are still listed."""
_MOST_KEPT = 4 << 30
"""Bytes of packets that are kept of all executions: beyond, nothing is kept of the one of which most is."""
_MOST_TOLD = 256 << 20
"""Bytes that the application may tell of all executions."""
_NOTE = 64
"""About how many bytes a note takes beside its name."""


class Executions:
    """All that an application which comes back may ask for."""

    def __init__(self, homesite: str, logger: logging.Logger) -> None:
        self._homesite = homesite
        self._logger = logger
        self._keeper = _native.Keeper(_MOST_KEPT)
        self._about: dict[int, dict[str, Any]] = {}
        self._notes: dict[int, dict[str, int]] = {}
        self._told: dict[int, int] = {}
        """About how many bytes the application has told of each."""
        self._followed: set[int] = set()
        self.changed = time.monotonic()
        """When something last came for the application, or from it."""

    def record(self, outline: bytes, packet: Packet) -> None:
        """Keeps what the homesite says of itself."""
        self._keeper.record(self._homesite, outline, bytes(packet.content), packet.body)
        self._let_go()

    def take(self, outline: bytes, packet: Packet) -> bool:
        """Keeps a packet for the homesite; whether the application wants it now."""
        number = self._keeper.take(packet.sender, outline, bytes(packet.content), packet.body)
        self._let_go()
        self.changed = time.monotonic()
        return number is None or number in self._followed

    def _let_go(self) -> None:
        if (number := self._keeper.let_go()) is not None:
            self._logger.warning(
                f"of execution {number} nothing is kept any more for an application that comes back: of all together "
                f"there are more than {_MOST_KEPT} bytes, and of it the most"
            )

    def _count(self, number: int, size: int) -> None:
        """The application tells more of an execution."""
        if sum(self._told.values()) + size > _MOST_TOLD:
            raise ValueError(f"an application tells more of its jobs than the {_MOST_TOLD} bytes that are kept")
        self._told[number] = self._told.get(number, 0) + size

    def begin(self, number: int, job_id: str, about: str) -> None:
        """The application begins an execution, and follows it; what it says about it, only its user can read.

        Raises:
            ValueError: too much is told.
        """
        self._unlist(number)
        self._count(number, len(job_id) + len(about))
        self._about[number] = {"id": job_id, "about": about, "since": time.time(), "ended": None, "status": None}
        self._followed.add(number)
        if len(self._about) > 2 * _REMEMBERED:
            kept = self._kept()
            for old in [old for old in self._about if old not in kept][:-_REMEMBERED]:
                self._unlist(old)

    def _unlist(self, number: int) -> None:
        """Nothing is there any more of what the application has told of an execution."""
        for kept in (self._about, self._notes, self._told):
            kept.pop(number, None)

    def had(self, number: int, positions: list[tuple[int, list[int], int]], notes: dict[str, int]) -> None:
        """The application has had so many tokens of these series. Of an execution that has not begun it has none.

        Raises:
            ValueError: too much is told.
        """
        if number not in self._about:
            return
        for transition, frame, total in positions:
            self._keeper.acknowledge(number, transition, frame, total)
        self._let_go()
        noted = self._notes.setdefault(number, {})
        if size := sum(len(name) + _NOTE for name in notes if name not in noted):
            self._count(number, size)
        noted.update(notes)

    def end(self, number: int, status: str) -> None:
        """The application says that an execution is at its end. Of a cancelled one, nothing is kept."""
        if about := self._about.get(number):
            about |= {"status": status, "ended": time.time()} | self._progress(number)
        if status == "ABORTED":
            self.forget(number)

    def forget(self, number: int) -> None:
        """Nobody will ask for an execution's tokens any more."""
        self._keeper.forget(number)
        notes = self._notes.pop(number, {})
        if number in self._told:
            self._told[number] -= sum(len(name) + _NOTE for name in notes)
        self._followed.discard(number)

    def leave(self, number: int | None = None) -> None:
        """The application does not follow an execution, or any, any more."""
        if number is None:
            self._followed.clear()
        else:
            self._followed.discard(number)

    def follow(self, number: int) -> tuple[dict[str, Any], list[Packet]] | None:
        """The application follows an execution from now on: what is kept of it; None if there is none."""
        if not self.knows(number):
            return None
        self._followed.add(number)
        about = self._about[number] | self._progress(number)
        told = {"about": about, "had": self._keeper.had(number), "notes": self._notes.get(number, {})}
        return told, [
            Packet(sender, PAST if body is not None else PAST_HEAD, head, body or b"")
            for sender, head, body in self._keeper.history(number)
        ]

    def follows(self, number: int) -> bool:
        """Whether the application follows an execution."""
        return number in self._followed

    def close(self) -> None:
        """The application goes and wants nothing of what it follows to be kept."""
        for number in list(self._followed):
            self.forget(number)

    def knows(self, number: int) -> bool:
        """Whether there is such an execution. One of which no more than its name came has never begun."""
        return number in self._about and (self._about[number]["status"] is not None or number in self._kept())

    def kept(self) -> bool:
        """Whether anything is kept."""
        return bool(self._kept())

    def waiting(self, number: int) -> list[str]:
        """The sites that an execution waits for."""
        progress = self._keeper.progress(number)
        return progress.waiting if progress else []

    def ask(self, number: int) -> None:
        """The sites are asked what they have not done of an execution."""
        self._keeper.ask(number)

    def told(self, number: int) -> dict[str, Sealed]:
        """What the sites have answered that were asked last."""
        return {site: _text(head, body) for site, head, body in self._keeper.told(number)}

    def plan(self, number: int) -> Sealed | None:
        """An execution's plan, as the application has recorded it."""
        first = next(iter(self._keeper.history(number)), None)
        return None if first is None else _text(first[1], first[2])

    def listed(self, lost: Collection[str]) -> list[dict[str, Any]]:
        """Every execution, for people; `lost` are the sites that are gone."""
        kept = self._kept()
        listed: list[dict[str, Any]] = []
        for number, about in self._about.items():
            if not self.knows(number):
                continue
            one: dict[str, Any] = {key: about[key] for key in ("id", "about", "status", "since", "ended")}
            one["number"] = number
            one |= {key: about.get(key, 0) for key in ("frames", "tokens", "errors")}
            one |= {"waiting": [], "input_open": False} | self._progress(number)
            gone = [site for site in one["waiting"] if site in lost]
            one["errors"] += len(gone)
            one["waiting"] = [site for site in one["waiting"] if site not in lost]
            if one["status"] is None:
                over = not one["waiting"] and not one["input_open"]
                one["status"] = "RUNNING" if not over else "FAILED" if one["errors"] else "FINISHED"
            one |= {"kept": number in kept, "followed": number in self._followed}
            listed.append(one)
        return listed

    def _kept(self) -> set[int]:
        return set(self._keeper.jobs())

    def _progress(self, number: int) -> dict[str, Any]:
        if (progress := self._keeper.progress(number)) is None:
            return {}
        found: dict[str, Any] = {"frames": progress.frames, "tokens": progress.tokens, "errors": progress.errors}
        return found | {"waiting": progress.waiting, "input_open": not progress.stopped}


def _text(head: bytes, body: bytes | None) -> Sealed:
    return [base64.b64encode(part).decode() for part in (head, body or b"")]
