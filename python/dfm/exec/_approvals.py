"""What waits at a site for a person to decide, and what have they decided?

A call that a rule of the policy says `ask` of becomes a request: a file in the folder `requests` of the site's kit,
named by a digest of who asks for what, so that the same question is the same request. A person's decision is a file
beside it. Both are read again by all processes of the site, and outlast them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from dfm._private import private_folder
from dfm.errors import RefusedError
from dfm.exec._given import Given
from dfm.exec._own_files import locked, read_own, write_own
from dfm.exec._policy import Constraint, Rule
from dfm.exec._site import Asker

MOST_OF_A_USER = 16
"""Requests of one user that wait at the same time."""
MOST = 256
"""Requests of all users that do."""
LONGEST = 1 << 16
"""Characters of a pipeline, and of a call's parameters, that a person is asked to look at."""
FORGOTTEN = 30 * 86_400
"""Seconds after which a request is removed that nobody has decided."""
_NAME = re.compile(r"[0-9a-f]{16}")
_SAID = {"at", "user", "operation", "provider", "pipeline", "parameters", "like", "name", "net", "given"}
"""What each request says, among others."""


class WaitsForApproval(Exception):
    """A person has to decide, and has not."""

    def __init__(self, request: str) -> None:
        super().__init__(request)
        self.request = request


@dataclasses.dataclass(frozen=True)
class Question:
    """What is asked: a call, in a pipeline."""

    user: str
    operation: str
    provider: str | None
    pipeline: str
    """The SHA-256 of the pipeline's net at this site, as JSON."""
    parameters: str
    """The SHA-256 of the call's parameters, as JSON."""
    homesite: str
    """The application's site: what the pipeline sends there, its user has."""

    def name(self) -> str:
        """That of its request."""
        return _digest(json.dumps(dataclasses.astuple(self)))[:16]


@dataclasses.dataclass(frozen=True)
class Decision:
    """What a person has decided, of one pipeline of one user."""

    request: str
    """Which they had before them."""
    approve: bool
    user: str
    operation: str
    provider: str | None
    pipeline: str
    parameters: str | None
    """Of calls whose parameters have this digest; None for all that `like` allows."""
    like: dict[str, Constraint]
    """What parameters have to be."""
    until: str
    """The last day for which it holds, `YYYY-MM-DD` (UTC)."""
    why: str
    """What they tell the user."""
    homesite: str | None = None
    """The application's site; None in one that an earlier dfm has written, which is of no question."""

    def is_of(self, question: Question, fits: Callable[[Mapping[str, Constraint]], bool]) -> bool:
        """Whether it decides of a call today, whose parameters are held against `like` by `fits`."""
        same = ("user", "operation", "provider", "pipeline", "homesite")
        if any(getattr(self, key) != getattr(question, key) for key in same) or self.until < today():
            return False
        return fits(self.like) if self.parameters is None else self.parameters == question.parameters


class Asking:
    """What users of one session ask for, at a site."""

    def __init__(
        self, folder: Path | None, site: str, homesite: str, asker: Asker, session: str, logger: logging.Logger
    ) -> None:
        """Without a `folder` nobody can be asked; `homesite` is the application's site."""
        self._folder = folder
        self._homesite = homesite
        self._site = site
        self._asker = asker
        self._session = session
        self._logger = logger
        self._decisions: list[Decision] = []
        self._seen: tuple[int, ...] | None = None
        self._written: set[str] = set()
        self._pipelines: dict[int, str] = {}
        self.pipeline: Callable[[int], tuple[str, str] | None] = lambda _: None
        """A job's name, and its net at this site as JSON."""

    def forget(self, job: int) -> None:
        """A job is over."""
        self._pipelines.pop(job, None)

    def check(
        self,
        rule: Rule,
        operation: str,
        provider: str | None,
        given: Given,
        job: int | None,
        fits: Callable[[Mapping[str, Constraint]], bool],
    ) -> Decision:
        """What was decided of a call with the parameters `given`; `rule` is the one that asks.

        Raises:
            WaitsForApproval: nothing yet; the request is there.
            RefusedError: it was denied, or it cannot be asked for.
        """
        name, net = (None if job is None else self.pipeline(job)) or ("", "")
        if self._folder is None or job is None or not net:
            raise self._refused(operation, rule, "and there is nobody here to ask")
        if given.unknown:
            raise self._refused(
                operation,
                rule,
                f"and nobody can tell what its parameter '{given.unknown[0]}' is, as it cannot be encoded; hand on "
                "what can be sent, such as a table, or have the operation itself make it of what can be read",
            )
        if job not in self._pipelines:
            self._pipelines[job] = _digest(net)
        pipeline, parameters = self._pipelines[job], _digest(given.text)
        question = Question(self._asker.user, operation, provider, pipeline, parameters, self._homesite)
        request = question.name()
        for decision in self._decided(self._folder):
            if decision.is_of(question, fits):
                if decision.approve:
                    return decision
                told = f": {decision.why}" if decision.why else ""
                raise self._refused(operation, rule, f"and its request {decision.request} was denied{told}")
        if request not in self._written or not (self._folder / f"{request}.json").exists():
            if len(net) > LONGEST or len(given.text) > LONGEST:
                raise self._refused(
                    operation,
                    rule,
                    f"and nobody reads a pipeline or parameters of more than {LONGEST} characters",
                )
            self._write(
                self._folder, operation, rule, question, {"name": name, "net": net, "given": given.text, "job": job}
            )
        raise WaitsForApproval(request)

    def _refused(self, operation: str, rule: Rule, why: str) -> RefusedError:
        return RefusedError(
            f"site '{self._site}' refuses '{operation}' to user '{self._asker.user}': its rule '{rule.name}' wants a "
            f"person to approve it, {why}"
        )

    def _write(self, folder: Path, operation: str, rule: Rule, question: Question, about: dict[str, Any]) -> None:
        request = question.name()
        asker = self._asker
        said = {"request": request, "at": time.time(), "site": self._site, "session": self._session}
        said |= {"user": asker.user, "organisation": asker.organisation, "role": asker.role, "rule": rule.name}
        said |= {"like": {name: dataclasses.asdict(one) for name, one in rule.parameters.items()}}
        said |= {"operation": operation, "provider": question.provider, "pipeline": question.pipeline}
        said |= {"parameters": question.parameters, "homesite": self._homesite} | about
        try:
            private_folder(folder)
            with locked(folder / ".lock"):
                waiting = [one for one in requests(folder) if not one["decided"]]
                if request not in [one["request"] for one in waiting]:
                    if sum(one["user"] == asker.user for one in waiting) >= MOST_OF_A_USER:
                        raise self._refused(operation, rule, f"and {MOST_OF_A_USER} requests of this user wait already")
                    if len(waiting) >= MOST:
                        raise self._refused(operation, rule, f"and {MOST} requests wait already")
                    write_own(folder / f"{request}.json", json.dumps(said).encode())
        except OSError as error:
            self._logger.error("the request %s cannot be kept in %s: %s", request, folder, error)
            raise self._refused(operation, rule, "and it cannot keep the request; its log says why") from None
        self._written.add(request)

    def _decided(self, folder: Path) -> list[Decision]:
        """All decisions, read again when one was made."""
        try:
            facts = os.stat(folder)
            mark = (facts.st_mtime_ns, facts.st_ino)
        except OSError:
            mark = ()
        if mark != self._seen:
            self._seen, self._decisions = mark, decisions(folder)
        return self._decisions


def today() -> str:
    """The day, in UTC."""
    return f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"


def is_name(text: str) -> bool:
    """Whether it can be the name of a request."""
    return _NAME.fullmatch(text) is not None


def requests(folder: Path) -> list[dict[str, Any]]:
    """The requests in a folder, the oldest first, each with `decided`: whether a decision is beside it. Those that are
    forgotten are removed."""
    found: list[dict[str, Any]] = []
    over = {decision.request for decision in decisions(folder) if decision.until >= today()}
    for path in _files(folder, ".json"):
        said = _read(path)
        if said is None or said.get("request") != path.stem or not said.keys() >= _SAID:
            continue
        decided = path.stem in over
        if not decided and not time.time() - FORGOTTEN < float(said["at"]):
            path.unlink(missing_ok=True)
            continue
        found.append(said | {"decided": decided})
    return sorted(found, key=lambda one: (one["at"], one["request"]))


def decisions(folder: Path) -> list[Decision]:
    """The decisions in a folder, the newest first."""
    found: list[tuple[float, Decision]] = []
    for path in _files(folder, ".decision"):
        if (said := _read(path)) is None:
            continue
        with contextlib.suppress(TypeError, ValueError, AttributeError, LookupError):
            at = float(said.pop("at"))
            like = {name: Constraint(**one) for name, one in said.pop("like").items()}
            found.append((at, Decision(like=like, **said)))
    return [decision for _, decision in sorted(found, key=lambda one: one[0], reverse=True)]


def decide(folder: Path, request: dict[str, Any], approve: bool, until: str, like_this: bool, why: str) -> Decision:
    """Writes what a person has decided of a request, which `requests` gave.

    Raises:
        OSError: it cannot be written.
    """
    decision = Decision(
        request["request"],
        approve,
        request["user"],
        request["operation"],
        request["provider"],
        request["pipeline"],
        None if like_this else request["parameters"],
        {name: Constraint(**one) for name, one in request["like"].items()},
        until,
        why,
        request.get("homesite"),
    )
    said = dataclasses.asdict(decision) | {"at": time.time()}
    write_own(folder / f"{decision.request}.decision", json.dumps(said).encode())
    return decision


def _files(folder: Path, ending: str) -> list[Path]:
    with contextlib.suppress(OSError):
        return [path for path in folder.iterdir() if path.suffix == ending and is_name(path.stem)]
    return []


def _read(path: Path) -> dict[str, Any] | None:
    """What a file says; None for one that is none of this account's, or no object."""
    try:
        said: Any = json.loads(read_own(path))
    except (OSError, ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", said) if isinstance(said, dict) else None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
