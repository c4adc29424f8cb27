"""May a value leave its site, after the site's policy?

Every value that is sent to another process is judged here: before it is encoded, all of it, and with its size when it
is. What stays at the site is nobody's business. A refusal
is told to the application, so it names the policy's numbers and patterns, and none of the value's: else those would be
what leaves.
"""

from __future__ import annotations

import enum
import itertools
import numbers
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, cast

from dfm import _native
from dfm.errors import RefusedError
from dfm.exec._coarse import CoarseError, rounded, without_small
from dfm.exec._counting import Counting
from dfm.exec._deciding import Deciding
from dfm.exec._noise import Noising
from dfm.exec._parts import DEEPEST, TABLES, fields, is_fewer, type_name
from dfm.exec._policy import Leaves
from dfm.exec._release import Releasing
from dfm.exec._types import scalar

NAMED = "secure-sum."
"""What the steps of a secure sum are called begins with it."""
MASKED = f"{NAMED}masked"
"""The step that gives a site's numbers, masked."""
_STEPS = frozenset(f"{NAMED}{step}" for step in ("keys", "shares", "masked", "agreed", "told"))
"""The steps whose results tell nothing of what they are given but its form. Others add up what anybody gives them."""
_KINDS: dict[type[Any], str] = {
    type(None): "nothing",
    bool: "boolean",
    int: "number",
    float: "number",
    complex: "number",
    str: "text",
    bytes: "bytes",
    bytearray: "bytes",
    memoryview: "bytes",
    list: "list",
    tuple: "list",
    set: "list",
    frozenset: "list",
    range: "list",
    dict: "dictionary",
}
_ARRAYS = ("numpy", "torch", "jax", "jaxlib", "scipy", "xarray", "pyarrow", "pandas", "polars")
"""Packages whose values are arrays, where they are no tables."""
_OF_DTYPES = {"b": "boolean", "U": "text", "S": "text", "T": "text", "V": "bytes"}
"""What the elements of NumPy's types are that are no numbers and no objects."""


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
                self._audit.left(job, to, operation, _looked_at(value)[0] or "object", size, digest)
        except RefusedError as error:
            if self._audit is not None:
                self._audit.refused(job, operation, str(error))
            raise
        return value

    def check_sum(self, sites: int, value: object = None) -> None:
        """Judges whether a site's numbers, masked, may leave for a sum over so many sites at least. Its form is seen.

        Raises:
            RefusedError: they may not.
        """
        if (leaves := self._deciding.policy().leaves) is None:
            return
        where = f"{self._where} lets no numbers leave for a secure sum, by `leaves"
        if leaves.sums is None:
            raise RefusedError(f"{where}` of its policy, which says no `sums`")
        if sites < leaves.sums:
            raise RefusedError(f"{where}.sums` of its policy, over {sites} sites: it wants {leaves.sums}")
        self._check(Leaves(rows=leaves.rows, never_columns=leaves.never_columns), value, 0)

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
        try:
            if leaves.suppress is not None:
                value = without_small(value, leaves.suppress)
            if leaves.release is not None:
                value = self._releasing.released(leaves.release, value, to, operation, makers)
            self._check(leaves, value, 0)
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
        kind = _looked_at(value)[0]
        own = _columns(value, kind) if kind in ("table", "dictionary") else []
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

    def _check(self, leaves: Leaves, value: Any, depth: int) -> None:
        if depth > DEEPEST:
            raise self._refused("kinds", f"a value of more than {DEEPEST} levels")
        value = scalar(value)
        kind, held, parts = _looked_at(value)
        for one in (*([kind] if kind else ()), *sorted(held)):
            if leaves.kinds is not None and one and one not in leaves.kinds:
                raise self._refused("kinds", f"a value that is, or has in it, {one}; it is of type {type_name(value)}")
        rows = _rows(value, kind) if kind in ("list", "dictionary", "array", "table") else None
        if rows is not None and leaves.rows is not None and rows > leaves.rows:
            raise self._refused("rows", f"a {kind} of more than {leaves.rows} rows")
        if leaves.never_columns is not None:
            columns = _columns(value, kind)
            for pattern in leaves.never_columns:
                if any(_native.is_like(column, pattern) for column in columns):
                    raise self._refused("never-columns", f"a column like '{pattern}'")
        if leaves.smallest_group is not None:
            self._check_group(*leaves.smallest_group, value, kind)
        for part in parts:
            self._check(leaves, part, depth + 1)

    def _check_group(self, column: str, least: int, value: Any, kind: str | None) -> None:
        counts: list[Any] = []
        if kind == "table":
            if column not in _columns(value, kind):
                raise self._refused("smallest-group", f"a table without the column '{column}', which has to count")
            counts = list(value[column])
        elif kind == "dictionary" and column in value:
            found: Any = value[column]
            counts = [*found] if isinstance(found, list | tuple) else [found]
        for count in counts:
            if is_fewer(count, least):
                raise self._refused("smallest-group", f"a group of fewer than {least}, by the column '{column}'")

    def _refused(self, rule: str, what: str) -> RefusedError:
        return RefusedError(f"{self._where} lets not leave, by `leaves.{rule}` of its policy, {what}")


def _looked_at(value: Any) -> tuple[str | None, set[str], Iterable[Any]]:
    """A value's kind, None for what only holds others; the kinds of the elements that it says the types of; and what
    else it holds."""
    kind: Any = cast(Any, type(value))
    plain = _KINDS.get(kind) or next((name for base, name in _KINDS.items() if issubclass(kind, base)), None)
    module, name = kind.__module__.partition(".")[0], kind.__name__
    if issubclass(kind, enum.Enum) or plain is None:
        pass
    elif plain == "dictionary":
        # A text that is a key is part of the dictionary.
        return plain, set(), (*(key for key in value if not isinstance(key, str)), *value.values())
    else:
        return plain, {"number"} if kind is range else set(), value if plain == "list" and kind is not range else ()
    if issubclass(kind, numbers.Number):
        return "number", set(), ()
    if name in TABLES.get(module, ()):
        return "table", *_cells(value, module)
    if module in _ARRAYS:
        return "array", _elements(value), value.reshape(-1).tolist() if _holds_objects(value) else ()
    if module == "PIL":
        return "image", set(), ()
    # dfm's own are what an advisor's answers are in.
    return None if module == "dfm" else "object", set(), [part for _, part in fields(value)]


def _elements(value: Any) -> set[str]:
    """The kinds of an array's elements."""
    of = getattr(getattr(value, "dtype", None), "kind", None)
    if getattr(getattr(value, "dtype", None), "names", None):
        return {"text", "number"}
    if of is None and type(value).__module__.partition(".")[0] not in ("torch", "jax", "jaxlib"):
        return {"object"}
    if of == "O":
        return set() if _holds_objects(value) else {"object"}
    return {_OF_DTYPES.get(of or "", "number")}


def _holds_objects(value: Any) -> bool:
    return bool(getattr(getattr(value, "dtype", None), "hasobject", False)) and hasattr(value, "reshape")


def _cells(value: Any, module: str) -> tuple[set[str], Iterable[Any]]:
    """The kinds of a table's cells as its columns' types say them, and the cells whose column does not."""
    if module != "pandas":
        schema = _arrow_schema(value)
        return {_arrow_kind(field.type) for field in schema}, ()
    columns = [value.iloc[:, at] for at in range(value.shape[1])] if hasattr(value, "columns") else [value]
    columns.append(value.index.to_series())
    kinds = {"boolean" if one.dtype.kind == "b" else "number" for one in columns if one.dtype.kind in "biufcmM"}
    return kinds, itertools.chain.from_iterable(one for one in columns if one.dtype.kind not in "biufcmM")


def _arrow_schema(value: Any) -> Any:
    return value.schema if type(value).__module__.startswith("pyarrow") else _frame(value).head(0).to_arrow().schema


def _frame(value: Any) -> Any:
    """A table of polars, which a series is the only column of."""
    return value.to_frame() if hasattr(value, "to_frame") else value


def _arrow_kind(of: Any) -> str:
    import pyarrow.types as types  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]

    known: Any = types
    if known.is_boolean(of):
        return "boolean"
    return "number" if known.is_primitive(of) or known.is_decimal(of) or known.is_null(of) else "text"


def _rows(value: Any, kind: str | None) -> int | None:
    shape = cast("tuple[int, ...] | None", getattr(value, "shape", None))
    if isinstance(shape, tuple):
        # Where no elements are sent, axes of any length cost nothing, and may be what the value tells.
        is_free = kind == "array" and not getattr(value, "nbytes", 0)
        return max(shape, default=1) if is_free else (*shape, 1)[0]
    return len(value) if hasattr(value, "__len__") else None


def _columns(value: Any, kind: str | None) -> list[str]:
    """The names of a table's columns and of its index, of a dictionary's keys, of an object's fields."""
    if kind == "dictionary":
        return [key for key in value if isinstance(key, str)]
    if kind == "array":
        of = getattr(getattr(value, "dtype", None), "names", None) or ()
        named = (of, getattr(value, "data_vars", ()), getattr(value, "coords", ()), [getattr(value, "name", None)])
        return [str(name) for names in named for name in names if name is not None]
    if kind != "table":
        return [name for name, _ in fields(value)] if kind in ("object", None) else []
    if not type(value).__module__.startswith("pandas"):
        return list(_arrow_names(_arrow_schema(value)))
    found: list[Any] = [*getattr(value, "columns", ()), *value.index.names, getattr(value, "name", None)]
    names: list[Any] = []
    for name in found:
        # Of several levels, each is a name.
        names += cast("tuple[Any, ...]", name) if isinstance(name, tuple) else (name,)
    return [str(name) for name in names if name is not None]


def _arrow_names(fields: Any) -> Iterator[str]:
    """The names of columns, and of the fields within them."""
    for field in fields:
        yield field.name
        inner = field.type
        yield from _arrow_names(inner.field(at) for at in range(inner.num_fields))
