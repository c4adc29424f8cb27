"""Does a site's policy allow a call?

Which rules are about a caller and an operation is known before the first call; what is left for each is to look at its
parameters. The policy's file is read again when it changes, and while it is broken nothing is allowed.
"""

from __future__ import annotations

import datetime
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, cast

from dfm import _native
from dfm.errors import RefusedError
from dfm.exec._policy import Constraint, PolicyError, Rule, SitePolicy, When
from dfm.exec._site import Asker
from dfm.exec._types import is_same

_MOST = 1 << 20
"""Of a longer list no item is looked at: it is refused."""
_FRESH = 0.001
"""Seconds for which a policy's file is taken for what it was: to look at it costs as much as all else for a call."""
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PLAIN = (str, int, float, bool)
_DOUBLE = 8
"""Bytes of a number of floating point as Python has it."""


class Judge(NamedTuple):
    """What a policy says of one operation, for one caller."""

    rules: list[Rule]
    """Those that may decide of a call; the first that fits its parameters does."""
    allow: bool
    """What holds if none does."""
    allows_any: bool
    """Whether there may be parameters and times with which it is allowed."""


class Deciding:
    """What a site's policy allows to those who ask in a session."""

    def __init__(
        self,
        policy: SitePolicy,
        site: str,
        asker: Asker,
        logger: logging.Logger,
        changed: Callable[[SitePolicy], None],
    ) -> None:
        """`changed` takes the policy that holds from then on when its file has changed; its limits hold for a whole
        session."""
        self._policy = policy
        self.site = site
        """Where it is decided."""
        self._where = f"site '{site}'"
        self._asker = asker
        self._logger = logger
        self._changed = changed
        self._broken = False
        self._judges: dict[str, Judge] = {}
        # As text, which is looked up in less time than a path.
        self._file = None if policy.path is None else os.fspath(policy.path)
        self._seen = _mark(self._file)
        self._fresh_until = 0.0

    def is_open(self) -> bool:
        """Whether all is allowed, for good: the site's processes are the application's own."""
        return self._policy.path is None

    def policy(self) -> SitePolicy:
        """What holds now.

        Raises:
            RefusedError: the policy is broken, and nothing is allowed.
        """
        self._look()
        return self.held()

    def held(self) -> SitePolicy:
        """What held when the policy was last looked at, which was for the same call or value.

        Raises:
            RefusedError: as `policy`.
        """
        if self._broken:
            raise RefusedError(
                f"{self._where} refuses everything, as its policy is broken; its log says what is wrong with it"
            )
        return self._policy

    def restricts(self) -> bool:
        """Whether some calls may be refused."""
        self._look()
        return self._broken or not self._policy.allow or any(rule.decision != "allow" for rule in self._policy.rules)

    def check(self, operation: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> Rule | None:
        """Judges a call.

        Args:
            operation: its operation.
            given: its parameters, each as it is declared.
            defaults: what holds for those that are not given.

        Returns:
            The rule that wants a person to approve it; None where it is allowed.

        Raises:
            RefusedError: it is not allowed.
        """
        judge = self._judge(operation)
        for rule in judge.rules:
            if _is_now(rule.when) and _is_about(rule, given, defaults):
                if rule.decision == "ask":
                    return rule
                if rule.decision == "allow":
                    return None
                raise self._refused(operation, f"by its rule '{rule.name}'")
        if not judge.allow:
            raise self._refused(operation, self._unless(judge))
        return None

    def problem(self, operation: str) -> str:
        """Why no call of an operation is allowed, whatever its parameters; an empty text if one may be."""
        try:
            judge = self._judge(operation)
        except RefusedError as error:
            return str(error)
        if judge.allows_any:
            return ""
        last = judge.rules[-1] if judge.rules else None
        by = self._unless(judge) if last is None or not last.is_final() else f"by its rule '{last.name}'"
        return str(self._refused(operation, by))

    def publishes_rules(self) -> bool:
        """Whether applications are told before anything runs what the rules refuse."""
        try:
            policy = self.policy()
        except RefusedError:
            return False
        return "rules" in policy.publish and bool(policy.rules)

    def problem_of(
        self, operation: str, given: Mapping[str, Any], open: frozenset[str], defaults: Mapping[str, Any]
    ) -> str:
        """Why a call is not allowed whatever its `open` parameters become and whenever it is made; an empty text if it
        may be."""
        try:
            judge = self._judge(operation)
        except RefusedError as error:
            return str(error)
        for rule in judge.rules:
            known = {name: one for name, one in rule.parameters.items() if name not in open}
            if not _are(known, given, defaults, every=rule.decision == "allow"):
                continue
            if rule.decision != "deny":
                return ""
            if len(known) == len(rule.parameters) and rule.when is None:
                return str(self._refused(operation, f"by its rule '{rule.name}'"))
        return "" if judge.allow else str(self._refused(operation, self._unless(judge)))

    def _unless(self, judge: Judge) -> str:
        names = ", ".join(f"'{rule.name}'" for rule in judge.rules if rule.decision != "deny")
        if not names:
            return "for none of its rules allows such a call, and `default` is `deny`"
        times = " at this time" if any(rule.when for rule in judge.rules if rule.decision != "deny") else ""
        return f"for the parameters are not what its rule {names} allows{times}, and `default` is `deny`"

    def _refused(self, operation: str, why: str) -> RefusedError:
        return RefusedError(f"{self._where} refuses '{operation}' to user '{self._asker.user}' {why}")

    def _judge(self, operation: str) -> Judge:
        policy, asker = self.policy(), self._asker
        if (judge := self._judges.get(operation)) is None:
            caller = asker.user, asker.organisation, asker.role
            judge = Judge([], policy.allow, policy.allow)
            if policy.rules:
                places, any_allowed = _native.deciding_rules(policy.text, *caller, operation)
                judge = Judge([policy.rules[place] for place in places], policy.allow, any_allowed)
            self._judges[operation] = judge
        return judge

    def _look(self) -> None:
        """Reads the policy again if its file has changed."""
        if self._file is None or (now := time.monotonic()) < self._fresh_until:
            return
        mark, self._fresh_until = _mark(self._file), now + _FRESH
        if mark == self._seen:
            return
        path = self._file
        self._seen = mark
        self._judges.clear()
        try:
            self._policy = self._policy.read_again()
            self._broken = False
        except PolicyError as error:
            self._broken = True
            self._logger.error("%s is broken, so that everything is refused:\n%s", path, error)
        else:
            self._logger.info("%s has changed and is in force", path)
            self._changed(self._policy)


def _mark(file: str | None) -> tuple[int, ...]:
    """What is another one when a file has been changed; empty for one that is not there."""
    if file is None:
        return ()
    try:
        facts = os.stat(file)
    except FileNotFoundError:
        # A link that leads nowhere is broken, and no file that is not there.
        return (0,) if os.path.islink(file) else ()
    except OSError:
        return (1,)
    return facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino


def _is_now(when: When | None, now: datetime.datetime | None = None) -> bool:
    if when is None:
        return True
    now = now or datetime.datetime.now(datetime.UTC)
    if when.days is not None and _DAYS[now.weekday()] not in when.days:
        return False
    time, day = f"{now:%H:%M}", f"{now:%Y-%m-%d}"
    return (
        (when.from_ is None or when.from_ <= time)
        and (when.to is None or time < when.to)
        and (when.since is None or when.since <= day)
        and (when.until is None or day <= when.until)
    )


def _is_about(rule: Rule, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Whether a rule's parameters are those of a call. Where that cannot be told, they are unless the rule allows."""
    return _are(rule.parameters, given, defaults, every=rule.decision == "allow")


def are_all(parameters: Mapping[str, Constraint], given: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """Whether a call's parameters are certainly what is wanted of them."""
    return _are(parameters, given, defaults, every=True)


def _are(
    parameters: Mapping[str, Constraint], given: Mapping[str, Any], defaults: Mapping[str, Any], every: bool
) -> bool:
    for name, constraint in parameters.items():
        # What is given as nothing is not given as the default: the adapter gets nothing.
        there = given if name in given else defaults
        fits = _fits(constraint, there[name], every=every) if name in there else None
        if fits is None:
            fits = not every
        if not fits:
            return False
    return True


def _fits(constraint: Constraint, value: Any, every: bool) -> bool | None:
    """Whether a value is what is wanted; of a list, whether all of its items are or, not `every`, one. None if it is of
    a kind of which that cannot be told."""
    if type(value) in _PLAIN:
        return _is_one(constraint, value)
    try:
        return _fits_told(constraint, _Telling().of(value), every)
    except (_TooManyError, RecursionError):
        return None


class _TooManyError(Exception):
    """A value has more items than are looked at."""


class _Untold:
    """Stands for what may be anything to the adapter that gets it."""


class _Short(NamedTuple):
    """A number with fewer digits than Python's have: who compares it may take it for either of these."""

    exact: float
    written: float


class _Unordered(list[Any]):
    """The members of a set."""


_LISTS: dict[type[Any], type[list[Any]]] = {list: list, tuple: list, set: _Unordered, frozenset: _Unordered}


class _Telling:
    """Brings a value to what rules are about: texts, numbers and truth values of Python's own types, nothing, and lists
    of these. A type made from one of them can compare as it likes, so that what a rule sees and what an adapter sees
    would be two things."""

    def __init__(self) -> None:
        self._left = _MOST

    def of(self, value: Any) -> Any:
        """The value so, with an `_Untold` for each part that is none of that.

        Raises:
            _TooManyError: it has more items than are looked at, the same one counted again wherever it is.
        """
        kind = cast("type[Any]", type(value))
        if value is None or kind in _PLAIN:
            return value
        if kind in _LISTS:
            self._count(len(value))
            return _LISTS[kind](map(self.of, value))
        if kind.__module__ != "numpy" or not hasattr(kind, "dtype"):
            return _Untold()
        if kind.__name__ in ("ndarray", "memmap"):
            return self._of_array(value)
        # Other arrays can be written to as well.
        return _Untold() if hasattr(kind, "__setitem__") else _of_element(value)

    def _of_array(self, value: Any) -> Any:
        self._count(value.size)
        if not value.ndim:
            return self.of(value[()])
        if value.dtype.kind in "biuUT" or value.dtype.char == "d":
            return value.tolist()
        return list(map(self.of, value)) if value.dtype.kind in "fO" else _Untold()

    def _count(self, many: int) -> None:
        self._left -= many
        if self._left < 0:
            raise _TooManyError


def _of_element(value: Any) -> Any:
    """A scalar of NumPy's as `_Telling` has it."""
    of, size = value.dtype.kind, value.dtype.itemsize
    if of in "biuU" or (of == "f" and size == _DOUBLE):
        return value.item()
    return _Short(value.item(), float(str(value))) if of == "f" and size < _DOUBLE else _Untold()


def _fits_told(constraint: Constraint, value: Any, every: bool) -> bool | None:
    if not isinstance(value, list):
        return _is_one(constraint, value)
    items = cast("list[Any]", value)
    is_listed = None if constraint.one_of is None else _any(_is_same(items, one) for one in constraint.one_of)
    if is_listed:
        return _is_one(constraint, items)
    found = (_fits_told(constraint, item, every) for item in items)
    if every:
        return _all(found)
    # Whether it is the list that a rule names may be what cannot be told.
    return _any((*found, None)) if constraint.one_of is not None and is_listed is None else _any(found)


def _is_one(constraint: Constraint, value: Any) -> bool | None:
    if isinstance(value, _Untold):
        return None
    if isinstance(value, _Short):
        exact, written = (_is_one(constraint, number) for number in value)
        return exact if exact == written else None
    found: list[bool | None] = []
    if constraint.one_of is not None:
        found.append(_any(_is_same(value, one) for one in constraint.one_of))
    if constraint.minimum is not None or constraint.maximum is not None:
        found.append(_is_within(constraint, value))
    if constraint.like is not None:
        found.append(isinstance(value, str) and any(_native.is_like(value, pattern) for pattern in constraint.like))
    return _all(found)


def _is_within(constraint: Constraint, value: Any) -> bool | None:
    if not isinstance(value, int | float) or math.isnan(value):
        return False
    if constraint.minimum is not None and value < constraint.minimum:
        return False
    if constraint.maximum is not None and value > constraint.maximum:
        return False
    # An adapter may count with a truth value.
    return None if isinstance(value, bool) else True


def _is_same(value: Any, one: Any) -> bool | None:
    """Whether a value is one that a rule names; None where an adapter may take it for that, or not."""
    if isinstance(value, _Untold):
        return None
    if isinstance(value, _Short):
        exact, written = (_is_same(number, one) for number in value)
        return exact if exact == written else None
    if isinstance(value, list) and isinstance(one, list):
        if isinstance(value, _Unordered):
            return None
        items, named = cast("list[Any]", value), cast("list[Any]", one)
        return len(items) == len(named) and _all(map(_is_same, items, named))
    if isinstance(value, bool) != isinstance(one, bool):
        # To Python they are the same.
        return None if value == one else False
    return is_same(value, one)


def _all(found: Iterable[bool | None]) -> bool | None:
    """Whether all are so; None if that depends on what is not known."""
    told = list(found)
    return False if False in told else None if None in told else True


def _any(found: Iterable[bool | None]) -> bool | None:
    """Whether one is so; None if that depends on what is not known."""
    told = list(found)
    return True if True in told else None if None in told else False
