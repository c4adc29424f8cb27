"""What does a site's own `local/policy.yaml` decide?"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal

from dfm import _native

FILE = Path("local", "policy.yaml")
"""Where it is in a site's kit."""

_NONE = (1 << 64) - 1
"""As good as no limit."""


class PolicyError(Exception):
    """A site's policy is broken; its text, for the site's log alone, has everything that is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much one user may ask of a site. Without a word on it, nothing is bounded, as between one's own processes."""

    sessions_per_user: int = _NONE
    """Sessions that are open at the same time, over all processes of the site."""
    jobs_per_session: int = _NONE
    """Jobs that are not done at the same time."""
    frames_per_job: int = _NONE
    """Sets of parameters."""
    calls_at_once: int = _NONE
    """Calls of a session that run at the same time; more wait for their turn."""
    site_calls_at_once: int = _NONE
    """Calls that all sessions of the site run at the same time; more wait, but for one of each."""
    calls_per_job: int = _NONE
    """Every element of a loop and every retry is one."""
    seconds_per_call: int = _NONE
    """From its begin to its end, all its tries included."""
    items_per_call: int = _NONE
    """Items of a generator."""
    value_bytes: int = _NONE
    """Bytes of a value that is sent or taken."""
    buffered_bytes: int = _NONE
    """Bytes of the values of a session that came and are not used up."""


@dataclasses.dataclass(frozen=True)
class Constraint:
    """What a parameter has to be: all that is said."""

    one_of: list[Any] | None = None
    """One of these values."""
    minimum: float | None = None
    """A number of at least so much."""
    maximum: float | None = None
    """A number of at most so much."""
    like: list[str] | None = None
    """A text that fits one of these patterns."""


@dataclasses.dataclass(frozen=True)
class When:
    """At which times (UTC) a rule is about a call; None for what is not bounded. Times and days are texts that compare
    as what they stand for."""

    days: list[str] | None = None
    """Days of the week."""
    # The name of a key of the policy.
    from_: str | None = None
    """`HH:MM`."""
    to: str | None = None
    """`HH:MM`, and no longer."""
    since: str | None = None
    """`YYYY-MM-DD`."""
    until: str | None = None
    """`YYYY-MM-DD`, that day included."""


@dataclasses.dataclass(frozen=True)
class Rule:
    """A rule about calls, as far as it depends on their parameters; the native module knows for which calls it is."""

    name: str
    """Told to whom it refuses something."""
    decision: Literal["allow", "deny", "ask"]
    """Whether what it is about is allowed, or a person has to approve it."""
    parameters: dict[str, Constraint]
    """What parameters have to be for it to be about a call."""
    when: When | None = None
    """At which times it is about a call; None for always."""

    def is_final(self) -> bool:
        """Whether it decides whatever a call's parameters are, and whenever it comes."""
        return not self.parameters and self.when is None


@dataclasses.dataclass(frozen=True)
class Suppress:
    """Which small counts are left out."""

    below: int
    """Counts below this one are small."""
    counts: list[str] | None = None
    """Patterns of what is a count; None for each whole number."""


@dataclasses.dataclass(frozen=True)
class SumsPolicy:
    """Which sums numbers leave for, masked."""

    at_least: int = 2
    """The least number of sites."""
    dishonest: int = 1
    """How many of the sites may deceive, together with the application, and learn nothing of what this one adds."""


@dataclasses.dataclass(frozen=True)
class ReleasePolicy:
    """A class of the site's own that has the last word."""

    path: str
    """Its dotted path."""
    args: dict[str, Any]
    """What it is constructed with."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """How much all values together may cost that leave for one user."""

    epsilon: float
    delta: float


@dataclasses.dataclass(frozen=True)
class Noise:
    """What numbers get that leave, by differential privacy."""

    epsilon: float
    """What each value costs."""
    sensitivities: list[tuple[str, float]]
    """Patterns of operations, the first of which that fits holds, and by how much one record moves their results."""
    budget: Budget
    delta: float | None = None
    """What each value costs of this; None for the noise of Laplace, which costs none."""


@dataclasses.dataclass(frozen=True)
class Leaves:
    """What a value may be that leaves a site; None for what is not bounded."""

    kinds: list[str] | None = None
    """What it, and each of its parts, may be."""
    disclosures: list[str] | None = None
    """What the operations whose results it holds may be declared to tell."""
    bytes: int | None = None
    """Encoded."""
    rows: int | None = None
    """Of a table or an array; items of a list, entries of a dictionary."""
    never_columns: list[str] | None = None
    """Patterns of columns that it has not."""
    smallest_group: tuple[str, int] | None = None
    """The column with the counts of which each row is made, and the least of them."""
    suppress: Suppress | None = None
    """Small counts that are left out."""
    rounding: float | None = None
    """What numbers are multiples of."""
    sums: SumsPolicy | None = None
    """The sums that numbers leave for, masked; None for no such sum."""
    noise: Noise | None = None
    """What numbers get."""
    release: ReleasePolicy | None = None
    """Who has the last word."""

    def asks_who_made_it(self) -> bool:
        """Whether it matters which operations have made a value."""
        return self.disclosures is not None or self.release is not None or self.noise is not None


@dataclasses.dataclass(frozen=True)
class PerDay:
    """How much one user may ask for in a day; None for what is not bounded."""

    calls: int | None = None
    questions: int | None = None
    """Calls that differ in what is asked."""
    values: int | None = None
    """Values that leave."""
    bytes: int | None = None
    """Their bytes, encoded."""


@dataclasses.dataclass(frozen=True)
class AuditPolicy:
    """What a site writes down of what happens."""

    full: bool
    """Whether parameters are kept as they are, and not their digest."""
    goes_on: bool
    """Whether work goes on that cannot be written down."""
    folder: Path
    """The log's."""


@dataclasses.dataclass(frozen=True)
class SitePolicy:
    """What a site allows."""

    allow: bool = True
    """Whether what no rule is about is allowed."""
    rules: list[Rule] = dataclasses.field(default_factory=list[Rule])
    """In the order in which they decide."""
    leaves: Leaves | None = None
    """What values may leave."""
    per_day: PerDay = PerDay()
    """How much one user may ask for in a day."""
    audit: AuditPolicy | None = None
    """What is written down; None for nothing."""
    publish: list[str] = dataclasses.field(default_factory=list[str])
    """Which parts of it applications are told before anything runs."""
    errors: Literal["full", "message", "type"] = "full"
    """What an application learns of an error: all with the traceback, without it, or the kind alone."""
    logs: Literal["all", "none"] = "all"
    """What it learns of what its calls log and print."""
    traces: Literal["joined", "own"] = "joined"
    """Whether what is exported of a job is in the application's trace, or in one of the site's own."""
    limits: Limits = Limits()
    """How much may be asked of the site."""
    calls: Path | None = None
    """Where the site's processes keep how many calls they run; None where each is bounded alone."""
    counts: Path | None = None
    """Where they keep what each user has asked for in a day; None where each process counts alone."""
    requests: Path | None = None
    """Where they keep what a person has to approve; None where nobody can."""
    learnt: Path | None = None
    """Where they keep what each user has learnt, of what has noise; None where each process keeps it alone."""
    path: Path | None = None
    """Its file, whether it is there or not; None for a site without one."""
    text: str = ""
    """All of it, for the native module."""
    digest: str | None = None
    """The SHA-256 of its file; None for the defaults."""

    def read_again(self) -> SitePolicy:
        """What its file says now.

        Raises:
            PolicyError: it is broken.
        """
        assert self.path is not None
        kept = {name: getattr(self, name) for name in ("calls", "counts", "requests", "learnt")}
        return dataclasses.replace(read_file(self.path), **kept)


OWN = SitePolicy()
"""That of a site whose processes are the application's own."""


def read_policy(kit: Path) -> SitePolicy:
    """The policy of a kit's site; the defaults, if it has no file.

    Raises:
        PolicyError: it is broken.
    """
    folder = kit / "sessions"
    kept = {"calls": folder / ".calls", "counts": folder, "requests": kit / "requests", "learnt": kit / "learnt"}
    return dataclasses.replace(read_file(kit / FILE, kit / "audit"), **kept)


def read_file(path: Path, audit: Path | None = None) -> SitePolicy:
    """The policy in a file; the defaults, if it is not there. `audit` is where a log is whose folder it does not say;
    without, there is none then.

    Raises:
        PolicyError: it is broken.
    """
    # A link that leads nowhere is broken, and no policy that is not there.
    there = path.is_symlink() or path.exists()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
        text = _native.read_policy(str(path) if there else None)
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error}") from None
    except ValueError as error:
        raise PolicyError(str(error)) from None
    decided: dict[str, Any] = json.loads(text)
    leaves = decided["leaves"]
    return SitePolicy(
        allow=decided["allow"],
        rules=[_rule(one) for one in decided["rules"]],
        leaves=None if leaves is None else _leaves(leaves),
        per_day=PerDay(**decided["per_day"]),
        audit=_audit(decided["audit"], path, audit),
        publish=decided["publish"],
        errors=decided["errors"],
        logs=decided["logs"],
        traces=decided["traces"],
        limits=Limits(**decided["limits"]),
        requests=path.absolute().parent / "requests",
        path=path,
        text=text,
        digest=digest,
    )


def _leaves(decided: dict[str, Any]) -> Leaves:
    parts = {"suppress": Suppress, "sums": SumsPolicy, "noise": _noise, "release": ReleasePolicy}
    made: dict[str, Any] = {name: kind(**decided[name]) for name, kind in parts.items() if decided[name] is not None}
    return Leaves(**decided | made)


def _noise(budget: dict[str, float], sensitivities: list[tuple[str, float]], **decided: Any) -> Noise:
    return Noise(budget=Budget(**budget), sensitivities=[(pattern, by) for pattern, by in sensitivities], **decided)


def _audit(decided: dict[str, Any] | None, path: Path, folder: Path | None) -> AuditPolicy | None:
    if decided is None:
        return None
    if (said := decided["folder"]) is not None:
        folder = path.absolute().parent / said
    return None if folder is None else AuditPolicy(decided["full"], decided["goes_on"], folder)


def _rule(decided: dict[str, Any]) -> Rule:
    parameters = {name: Constraint(**one) for name, one in decided["parameters"].items()}
    when: dict[str, Any] | None = decided["when"]
    return Rule(
        decided["name"],
        decided["decision"],
        parameters,
        None if when is None else When(**{"from_" if key == "from" else key: said for key, said in when.items()}),
    )
