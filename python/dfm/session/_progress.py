"""How far is a job?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

from dfm import _native
from dfm._html import Markup, bar, cell, table
from dfm._shown import one_line
from dfm.session._status import OPEN, JobStatus

_ENOUGH = 0.1
"""Of the known steps so many have to be done before the rest of the time is foretold."""


@dataclasses.dataclass(frozen=True, slots=True)
class SiteProgress:
    """How far one site is with a job, as it has told last."""

    site: str
    known: int
    """Calls of operations that are known to be needed. Blocks and loops add theirs when they are entered."""
    done: int
    """Those of them that are over."""
    failed: int
    """Those that ended with an error."""
    elements: int
    """Elements and rounds of loops that have begun there."""
    sent: int
    """Bytes of values that it has sent to other sites."""


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is at one moment."""

    job_id: str
    status: JobStatus
    seconds: float
    """Since it was executed, until its end."""
    frames: int
    """Parameter sets so far."""
    input_open: bool
    """Whether there may be more of them."""
    tokens: int
    """Values that have come to the application."""
    errors: int
    """Errors that it was told."""
    sites: tuple[SiteProgress, ...]
    """Each site that calls something; none of a job that leaves no record or was taken up again."""

    @property
    def known(self) -> int:
        """Calls of operations that are known to be needed, at all sites."""
        return sum(one.known for one in self.sites)

    @property
    def done(self) -> int:
        """Those of them that are over."""
        return sum(one.done for one in self.sites)

    @property
    def elements(self) -> int:
        """Elements and rounds of loops that have begun, at the site that is furthest."""
        return max((one.elements for one in self.sites), default=0)

    @property
    def sent(self) -> int:
        """Bytes of values that went from site to site."""
        return sum(one.sent for one in self.sites)

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The sites that have not done all that is known to be needed; `Job.waiting` says why."""
        if self.status not in OPEN:
            return ()
        return tuple(one.site for one in self.sites if one.done < one.known)

    @property
    def left(self) -> float | None:
        """Seconds that it may still take if it goes on as until now; `None` where nobody can know: with its input open,
        in loops, and at its beginning."""
        if self.status not in OPEN:
            return 0.0
        known, done = self.known, self.done
        if self.input_open or self.elements or done < max(1.0, _ENOUGH * known):
            return None
        return self.seconds * (known - done) / done

    def __str__(self) -> str:
        return one_line(", ".join(self._parts()))

    def as_html(self) -> Markup:
        """For a notebook: in a line, and a bar for each site."""
        rows = [(one.site, bar(one.done, one.known), one.failed or "") for one in self.sites]
        line = cell(str(self))
        return (
            Markup(f"<div>{line}</div>")
            if not rows
            else Markup(f"<div>{line}</div>{table(('site', 'steps', 'failed'), rows)}")
        )

    def _repr_html_(self) -> str:
        """For notebooks, which show it."""
        return self.as_html()

    def _parts(self) -> Iterator[str]:
        yield self.status.value.lower()
        if self.sites:
            each = ", ".join(f"{one.site} {one.done:,}/{one.known:,}" for one in self.sites)
            yield f"{self.done:,} of {_counted(self.known, 'step')}" + (f" ({each})" if len(self.sites) > 1 else "")
        if self.elements:
            yield _counted(self.elements, "element")
        yield _counted(self.tokens, "value")
        if self.errors:
            yield _counted(self.errors, "error")
        if self.sent:
            yield f"{shown_bytes(self.sent)} moved"
        yield f"{self.seconds:.0f} s"
        if self.left:
            yield f"about {self.left:.0f} s left"


def sites_of(calls: Iterable[tuple[str, int]], frames: int, told: dict[str, _native.Notes]) -> tuple[SiteProgress, ...]:
    """Each site that calls something, by what is known of a plan and what the site has told last."""
    found: list[SiteProgress] = []
    for site, body in calls:
        notes = told.get(site)
        known, done, failed = notes.calls if notes is not None else (0, 0, 0)
        known = max(known, frames * body)
        if known:
            elements, sent = (notes.elements, notes.sent) if notes is not None else (0, 0)
            found.append(SiteProgress(site, known, min(done, known), min(failed, known), elements, sent))
    return tuple(found)


def shown_bytes(count: int) -> str:
    """A number of bytes for people."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
