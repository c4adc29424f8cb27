"""May a value leave its site, after the site's policy?

Every value that is sent to another process is judged here: before it is encoded, all of it, and with its size when it
is. What stays at the site is nobody's business. A refusal
is told to the application, so it names the policy's numbers and patterns, and none of the value's: else those would be
what leaves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from dfm import _native
from dfm._values import MOST_PARTS
from dfm.errors import RefusedError
from dfm.exec._coarse import CoarseError, rounded, without_small
from dfm.exec._counting import Counting
from dfm.exec._deciding import Deciding
from dfm.exec._looking import LEAVES, Look, kind_of, look
from dfm.exec._looking_tables import counts
from dfm.exec._noise import Noising
from dfm.exec._parts import DEEPEST, is_fewer, type_name
from dfm.exec._policy import Leaves, SumsPolicy
from dfm.exec._release import Releasing

NAMED = "secure-sum."
"""What the steps of a secure sum are called begins with it."""
MASKED = f"{NAMED}masked"
"""The step that gives a site's numbers, masked."""
_STEPS = frozenset(f"{NAMED}{step}" for step in ("keys", "shares", "masked", "agreed", "told"))
"""The steps whose results tell nothing of what they are given but its form. Others add up what anybody gives them."""
_FEW = 64
"""What has fewer parts is looked at again where it is met again."""
_CALLED = {
    "array": "an array",
    "bytes": "a value of bytes",
    "dictionary": "a dictionary",
    "image": "an image",
    "list": "a list",
    "table": "a table",
}
"""What has rows, by its kind."""
_OF_PARTS = ("rows", "never_columns", "smallest_group", "suppress", "kinds")
"""What is asked of all that is in a value."""


class Leaving:
    """Judges what leaves a site in a session."""

    def __init__(
        self,
        site: str,
        deciding: Deciding,
        counting: Counting,
        releasing: Releasing,
        noising: Noising,
        audit: _native.Audit | None = None,
    ) -> None:
        """`deciding` has the policy; `counting` what the user has been given today; `releasing` the class that has the
        last word; `noising` what the user has learnt; `audit` gets what leaves."""
        self._releasing = releasing
        self._noising = noising
        self._audit = audit
        self._where = f"site '{site}'"
        self._deciding = deciding
        self._counting = counting

    def judge(
        self,
        value: object,
        job: int,
        to: str,
        operation: str | None,
        makers: list[str],
        size: int | None = None,
        digest: str | None = None,
        parts: Sequence[str] = (),
    ) -> Any:
        """Judges a value before it is encoded, and again when it is, with where it goes, whose result it is, which
        operations made what is in it, and the names of the parts of their results that it was taken out of.

        Returns:
            What leaves for it.

        Raises:
            RefusedError: it may not leave.
        """
        if makers and _STEPS.issuperset(makers) and (size is None or MASKED not in makers):
            return value
        try:
            if size is None:
                return self._fit(value, to, operation, makers, parts)
            self._judge(size)
            if self._audit is not None:
                self._audit.left(job, to, operation, kind_of(value), size, digest)
        except RefusedError as error:
            if self._audit is not None:
                self._audit.refused(job, operation, str(error))
            raise
        return value

    def check_sum(self, sites: int, dishonest: int, value: object = None) -> None:
        """Judges whether a site's numbers, masked, may leave for a sum that so many sites suffice for, and of which so
        many may deceive. Its form is seen.

        Raises:
            RefusedError: they may not.
        """
        leaves = self._deciding.policy().leaves
        wanted = SumsPolicy() if leaves is None else leaves.sums
        where = f"{self._where} lets no numbers leave for a secure sum, by `leaves"
        if wanted is None:
            raise RefusedError(f"{where}` of its policy, which says no `sums`")
        if sites < wanted.at_least:
            raise RefusedError(f"{where}.sums` of its policy, over {sites} sites: it wants {wanted.at_least}")
        if (more := wanted.dishonest - dishonest) > 0:
            raise RefusedError(
                f"{where}.sums.dishonest` of its policy ({wanted.dishonest}), where {sites} sites suffice: as many "
                "that deceive could learn, with the application, what this one adds; say at_least="
                f"{sites + (more + 1) // 2}"
            )
        if leaves is not None:
            _Checking(Leaves(rows=leaves.rows, never_columns=leaves.never_columns), self._where).check(value)

    def count_sum(self, terms: Mapping[str, Any], form: object, numbers: bytes) -> None:
        """Counts that numbers of a form are asked for a sum. On other terms it is another question: whether numbers are
        within a bound, and what they are rounded to, tells something of them.

        Raises:
            RefusedError: it is one too many.
        """
        self._counting.call()
        if self._counting.wants_questions():
            asked = [terms, form, hashlib.sha256(numbers).hexdigest()]
            self._counting.question(MASKED, None, json.dumps(asked, sort_keys=True))

    def note(self, job: int | None, operation: str, why: str) -> None:
        """Writes down that a step of a sum is refused, or spoilt."""
        if self._audit is not None:
            self._audit.refused(job, operation, why)

    def problem(self, makers: list[str]) -> str:
        """Why no value may leave in which there is something of these operations' results, as far as the policy is
        published; an empty text if one may, or that is not said."""
        try:
            policy = self._deciding.policy()
            if policy.leaves is not None and "disclosures" in policy.publish and not _STEPS.issuperset(makers):
                self._check_declared(policy.leaves, makers)
        except RefusedError as error:
            return str(error)
        return ""

    def _fit(self, value: object, to: str, operation: str | None, makers: list[str], names: Sequence[str]) -> Any:
        """What may leave for a value. What is counted in it is looked at as it was counted: noise and rounding
        come last."""
        if (leaves := self._deciding.policy().leaves) is None:
            return value
        self._check_declared(leaves, makers)
        if names:
            self._check_part(leaves, names, value)
        if leaves.suppress is not None or leaves.release is not None:
            # Whoever goes through a value without an end goes on without one.
            _Checking(Leaves(), self._where).check(value)
        try:
            if leaves.suppress is not None:
                value = without_small(value, leaves.suppress)
            if leaves.release is not None:
                value = self._releasing.released(leaves.release, value, to, operation, makers)
            _Checking(leaves, self._where).check(value)
            if leaves.noise is not None:
                value = self._noising.noised(leaves.noise, value, operation, makers)
            return value if leaves.rounding is None else rounded(value, leaves.rounding)
        except CoarseError as error:
            raise RefusedError(f"{self._where} lets not leave, by {error.rule} of its policy, {error}") from None

    def _check_declared(self, leaves: Leaves, makers: list[str]) -> None:
        for operation in makers if leaves.disclosures is not None else ():
            kind = self._releasing.declared(operation).kind
            if kind != "public" and kind not in (leaves.disclosures or ()):
                raise self._refused(
                    "disclosures", f"a result of '{operation}', which tells, as it is declared, `{kind}`"
                )

    def _check_part(self, leaves: Leaves, names: Sequence[str], value: Any) -> None:
        """A part that a pipeline takes out of a result has neither the names that it had there nor what stood beside
        it, by which the whole would have been judged."""
        for pattern in leaves.never_columns or ():
            if any(_native.is_like(name, pattern) for name in names):
                raise self._refused("never-columns", f"a column like '{pattern}'")
        seen = look(value)
        own = seen.names if seen.kind in ("table", "dictionary") else ()
        by = f"a part of a result by itself, {', '.join(map(repr, names[:3]))}, without"
        if leaves.smallest_group is not None and leaves.smallest_group[0] not in own:
            raise self._refused("smallest-group", f"{by} the column '{leaves.smallest_group[0]}', which has to count")
        counts = leaves.suppress.counts if leaves.suppress is not None else None
        if counts and not any(_native.is_like(name, pattern) for name in own for pattern in counts):
            raise self._refused("suppress", f"{by} its counts")

    def _judge(self, size: int) -> None:
        leaves = self._deciding.held().leaves
        if leaves is not None and leaves.bytes is not None and size > leaves.bytes:
            raise self._refused("bytes", f"a value of more than {leaves.bytes} bytes")
        self._counting.leave(size)

    def _refused(self, rule: str, what: str) -> RefusedError:
        return _refused(self._where, rule, what)


class _Checking:
    """Holds all that is in one value against a policy."""

    def __init__(self, leaves: Leaves, where: str) -> None:
        """`where` is the site that it leaves."""
        self._leaves = leaves
        self._where = where
        self._kinds = None if leaves.kinds is None else frozenset(leaves.kinds)
        self._sizes: dict[int, tuple[Any, int]] = {}
        """Parts that were looked at, kept so that no other has their place, and how many parts are in each."""

    def check(self, value: Any, depth: int = 0) -> int:
        """Judges a value.

        Returns:
            How many parts it has.

        Raises:
            RefusedError: it may not leave.
        """
        if depth > DEEPEST:
            raise self._refused("kinds", f"a value of more than {DEEPEST} levels")
        if (known := self._sizes.get(id(value))) is not None:
            return known[1]
        seen, size = look(value), 1
        self._judge(value, seen)
        for part in seen.parts:
            if (leaf := LEAVES.get(cast("type[Any]", type(part)))) is None:
                size += self.check(part, depth + 1)
            else:
                size += 1
                if self._kinds is not None and leaf not in self._kinds:
                    raise self._of_kind(part, leaf)
            if size > MOST_PARTS:
                raise RefusedError(
                    f"{self._where} lets not leave, by `leaves` of its policy, a value of more than {MOST_PARTS} "
                    "parts, of which one that is there more than once counts as often; send an array, or less at once"
                )
        if size >= _FEW:
            self._sizes[id(value)] = value, size
        return size

    def _judge(self, value: Any, seen: Look) -> None:
        leaves = self._leaves
        if self._kinds is not None:
            for one in (*([seen.kind] if seen.kind else ()), *sorted(seen.held)):
                if one not in self._kinds:
                    raise self._of_kind(value, one)
        if leaves.rows is not None and seen.rows is not None and seen.rows > leaves.rows:
            raise self._refused("rows", f"{_CALLED.get(seen.kind or '', 'a value')} of more than {leaves.rows} rows")
        for pattern in leaves.never_columns or ():
            if any(_native.is_like(name, pattern) for name in seen.names):
                raise self._refused("never-columns", f"a column like '{pattern}'")
        if leaves.smallest_group is not None:
            self._check_group(*leaves.smallest_group, value, seen)
        if seen.untold and (rule := next((one for one in _OF_PARTS if getattr(leaves, one) is not None), None)):
            raise self._refused(
                rule.replace("_", "-"),
                f"a value that is, or has in it, one of type {type_name(value)}, into which nobody can look here: make "
                "it plain data, an array or a table",
            )

    def _check_group(self, column: str, least: int, value: Any, seen: Look) -> None:
        found: list[Any] | None
        if seen.kind == "table":
            if (found := counts(value, column)) is None:
                raise self._refused("smallest-group", f"a table without the column '{column}', which has to count")
        else:
            found = [one for name, part in seen.named if name == column for one in _counts_in(part)]
        if any(is_fewer(count, least) for count in found):
            raise self._refused("smallest-group", f"a group of fewer than {least}, by the column '{column}'")

    def _of_kind(self, value: Any, kind: str) -> RefusedError:
        what = f"a value that is, or has in it, {kind}; it is of type {type_name(value)}"
        return self._refused("kinds", what)

    def _refused(self, rule: str, what: str) -> RefusedError:
        return _refused(self._where, rule, what)


def _refused(where: str, rule: str, what: str) -> RefusedError:
    return RefusedError(f"{where} lets not leave, by `leaves.{rule}` of its policy, {what}")


def _counts_in(part: Any) -> list[Any]:
    """What counts: a number, each item of a list, or each element of an array."""
    if isinstance(part, list | tuple):
        return [*cast("list[Any]", part)]
    if type(part).__module__.partition(".")[0] in ("numpy", "xarray") and getattr(part, "shape", ()):
        return getattr(part, "values", part).reshape(-1).tolist()
    return [part]
