"""What can an application be told of a job that is not at its end?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, assert_never

from dfm import _native
from dfm._results import as_json
from dfm.exec import Frame


@dataclasses.dataclass(frozen=True, slots=True)
class NodeAt:
    """A node of the pipeline, at the site that works for it."""

    site: str
    node: int | str
    operation: str
    """Its operation; of other nodes what they are, such as `yield PLACE`, `for each`, `if`, or `body` for a block's."""

    def __str__(self) -> str:
        return f"node {self.node!r} ({self.operation}) at site '{self.site}'"


@dataclasses.dataclass(frozen=True, slots=True)
class Running(NodeAt):
    """A call that has not ended."""

    frame: Frame
    line: str | None
    """The user's `file:line` that made the node."""
    seconds: float
    """How long it has been running, all tries included."""
    rests: bool
    """Whether it is a generator that rests until what it has made is taken."""

    def __str__(self) -> str:
        does = "rests until its items are taken, after" if self.rests else "has been running for"
        return f"{NodeAt.__str__(self)} {does} {self.seconds:.1f} s{_where(self.frame, self.line)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting(NodeAt):
    """A node that has not got all that it needs."""

    frame: Frame
    line: str | None
    """The user's `file:line` that made the node."""
    waits_for: tuple[NodeAt, ...]
    """The first of those that it needs and that have put out nothing yet, or of which there is more to come."""
    more: int
    """How many more inputs are missing."""

    def __str__(self) -> str:
        needs = [str(one) for one in self.waits_for] + ([f"{self.more:,} more"] if self.more else [])
        return f"{NodeAt.__str__(self)} waits for {' and '.join(needs)}{_where(self.frame, self.line)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Asking(NodeAt):
    """A call that waits for a person at its site to approve it, as the site's policy wants."""

    frame: Frame
    line: str | None
    """The user's `file:line` that made the node."""
    request: str
    """What it is called there; `dfm site requests` shows it to the site's admin."""

    def __str__(self) -> str:
        waits = f"waits for a person there to approve the request {self.request}"
        return f"{NodeAt.__str__(self)} {waits}{_where(self.frame, self.line)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Others:
    """What else is running or waiting at a site."""

    site: str
    count: int

    def __str__(self) -> str:
        return f"{self.count:,} more at site '{self.site}'"


@dataclasses.dataclass(frozen=True, slots=True)
class Silent:
    """A site that has not said what it waits for."""

    site: str
    patience: float
    """How many seconds it had."""

    def __str__(self) -> str:
        return f"site '{self.site}' does not answer within {self.patience:g} s: an adapter may hold it up"


@dataclasses.dataclass(frozen=True, slots=True)
class Outside:
    """Something beside the pipeline's nodes."""

    what: Literal["sites", "input", "callbacks"]

    def __str__(self) -> str:
        return {
            "sites": "the job has not begun: its sites are still being reached",
            "input": "the job's input is open: it ends after send_stop_frame()",
            "callbacks": "the application's callbacks have not returned",
        }[self.what]


Wait = Silent | Asking | Running | Waiting | Others | Outside
"""One thing that a job waits for; its `str()` is a sentence."""


def described(waits: Iterable[Wait]) -> list[dict[str, Any]]:
    """Each with its facts and its sentence, as JSON has them."""
    return [as_json(one) | {"text": str(one)} for one in waits]


def waits(
    found: Mapping[str, _native.Unfinished | None],
    lines: Mapping[int | str, str],
    patience: float,
    asked: Mapping[tuple[str, int | str, tuple[int, ...]], str] | None = None,
) -> list[Wait]:
    """What sites have told, None being a site's silence: what may be the cause first. `asked` are the calls, by site,
    node and frame, that wait for a person, each with its request."""
    told = [one for site in sorted(found) for one in _of_site(site, found[site], lines, patience, asked or {})]
    order = (Silent, Asking, Running, Waiting, Others)
    return sorted(told, key=lambda one: order.index(type(one)))


def _of_site(
    site: str,
    unfinished: _native.Unfinished | None,
    lines: Mapping[int | str, str],
    patience: float,
    asked: Mapping[tuple[str, int | str, tuple[int, ...]], str],
) -> Iterator[Silent | Asking | Running | Waiting | Others]:
    if unfinished is None:
        yield Silent(site, patience)
        return
    for wait in unfinished.waits:
        at, frame, line = wait.node, Frame(wait.frame), lines.get(wait.node.node)
        match wait:
            case _native.Runs() if request := asked.get((at.site, at.node, tuple(wait.frame))):
                yield Asking(at.site, at.node, at.label, frame, line, request)
            case _native.Runs():
                yield Running(at.site, at.node, at.label, frame, line, wait.seconds, wait.rests)
            case _native.Needs():
                needs = tuple(NodeAt(one.site, one.node, one.label) for one in wait.nodes)
                yield Waiting(at.site, at.node, at.label, frame, line, needs, wait.more)
            case _:
                assert_never(wait)
    if unfinished.more:
        yield Others(site, unfinished.more)


def _where(frame: Frame, line: str | None) -> str:
    return f", frame {frame.frame}" + (f", from {line}" if line else "")
