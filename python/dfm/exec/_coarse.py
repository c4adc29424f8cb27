"""What is told of a value that leaves, where a site's policy rounds numbers or leaves out small counts?

A value is never changed where it is: what leaves is another one. What cannot be made coarse does not leave.
"""

from __future__ import annotations

import collections
import copy
import enum
import math
import numbers
import operator
import sys
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, cast

from dfm import _native
from dfm.exec._looking import LEAVES, Look, look
from dfm.exec._parts import DEEPEST, TABLES, fields, is_fewer, type_name
from dfm.exec._policy import Suppress
from dfm.exec._types import scalar
from dfm.exec._used import filtered, used, without_hidden

_LONGEST = 1 << 20
"""Items of a range that are made coarse."""
_EXACT = 2.0**53
"""From which on a number of floating point has no fraction to be rounded."""

_FAR = 2.0**30
"""So many multiples from 0 on, a quotient's fraction may be too coarse to tell which of two is nearer."""


class CoarseError(Exception):
    """Why a value cannot be made coarse; its text names nothing of the value but its type."""

    def __init__(self, rule: str, what: str) -> None:
        """`rule` is the policy's key."""
        super().__init__(what)
        self.rule = f"`leaves.{rule}`"


def rounded(value: Any, base: float) -> Any:
    """The value, with the nearest multiple of `base` for each number.

    Raises:
        CoarseError: it has numbers in it that cannot be rounded.
    """
    whole = int(base) if base == int(base) else None
    digits = max(0, -cast("int", Decimal(repr(base)).normalize().as_tuple().exponent))

    def one(number: float) -> float:
        if isinstance(number, int) and whole is not None:
            return (2 * number + whole) // (2 * whole) * whole
        # A whole number may be too large for one of floating point.
        if isinstance(number, int) and abs(number) >= _EXACT:
            return number
        times = number / base
        if not math.isfinite(times) or max(abs(times), abs(number)) >= _EXACT:
            return number
        multiple = round(round(times) * base, digits)
        if abs(times) >= _FAR and abs(off := number - multiple) > base / 2:
            multiple += math.copysign(base, off)
        return int(multiple) if isinstance(number, int) and multiple == int(multiple) else multiple

    def array(found: Any) -> Any:
        numpy = cast(Any, sys.modules["numpy"])
        if found.dtype.kind in "iu" and whole is not None:
            wide = found if found.dtype == numpy.uint64 else found.astype(numpy.int64)
            rest = wide % whole
            return wide - rest + numpy.where(2 * rest >= whole, whole, 0).astype(wide.dtype)
        with numpy.errstate(all="ignore"):
            times = found / base
            multiple = numpy.round(numpy.rint(times) * base, digits)
            off = found - multiple
            too_far = (abs(times) >= _FAR) & (abs(off) > base / 2)
            multiple = numpy.where(too_far, multiple + numpy.copysign(base, off), multiple)
        return numpy.where(numpy.maximum(abs(times), abs(found)) < _EXACT, multiple, found).astype(
            found.dtype if found.dtype.kind == "f" else "f8"
        )

    return _Numbers(one, array, "rounding", keys=True).of(value, 0)


def without_small(value: Any, suppress: Suppress) -> Any:
    """The value without what is counted by too small a count.

    Raises:
        CoarseError: it cannot be left out.
    """
    below = suppress.below
    if suppress.counts is not None:
        return _Counts(below, suppress.counts).of(value, 0)

    def one(number: float) -> float:
        return 0 if isinstance(number, int) and -below < number < below else number

    def array(found: Any) -> Any:
        if found.dtype.kind not in "iu":
            return found
        numpy = cast(Any, sys.modules["numpy"])
        small = (found < below) if found.dtype.kind == "u" else (found < below) & (found > -below)
        return numpy.where(small, numpy.zeros_like(found), found)

    return _Numbers(one, array, "suppress", keys=False).of(value, 0)


class _Numbers:
    """Changes each number in a value."""

    def __init__(self, one: Callable[[float], float], array: Callable[[Any], Any], rule: str, keys: bool) -> None:
        """`one` and `array` give what stands for a number and for an array of them; `keys` says whether a number that
        is a key has to be one that stays as it is."""
        self._one = one
        self._array = array
        self._rule = rule
        self._keys = keys

    def of(self, value: Any, depth: int) -> Any:
        """The value as it leaves."""
        value = scalar(value)
        kind = cast("type[Any]", type(value))
        module = kind.__module__.partition(".")[0]
        if depth > DEEPEST:
            raise self._cannot(value)
        if value is None or isinstance(value, str | bytes | bytearray | memoryview | bool | enum.Enum):
            return cast(Any, value)
        if isinstance(value, int | float):
            return _unless_same(value, self._one(value))
        if isinstance(value, complex):
            return _unless_same(value, complex(self._one(value.real), self._one(value.imag)))
        if isinstance(value, dict):
            entries = cast("dict[Any, Any]", value)
            self._look_at_keys(entries)
            changed = {key: self.of(part, depth + 1) for key, part in entries.items()}
            return cast(Any, entries if all(map(operator.is_, entries.values(), changed.values())) else changed)
        if isinstance(value, range) and len(value) > _LONGEST:
            raise self._cannot(value)
        if isinstance(value, list | tuple | set | frozenset | range | collections.deque):
            items = list(cast("Iterable[Any]", value))
            parts = [self.of(part, depth + 1) for part in items]
            if all(map(operator.is_, items, parts)):
                return cast(Any, value)
            if isinstance(value, collections.deque):
                return collections.deque(parts, cast("collections.deque[Any]", value).maxlen)
            if isinstance(value, tuple):
                return kind(*parts) if hasattr(kind, "_fields") else tuple(parts)
            return frozenset(parts) if isinstance(value, frozenset) else set(parts) if isinstance(value, set) else parts
        if kind.__name__ in TABLES.get(module, ()):
            return self._table(value, module, depth)
        if module == "numpy" and getattr(value, "dtype", None) is not None:
            return self._numpy(value, depth)
        if isinstance(value, numbers.Number) or module in _OTHERS:
            raise self._cannot(value)
        return self._object(value, depth)

    def _numpy(self, value: Any, depth: int) -> Any:
        if type(value).__module__.startswith("numpy.ma"):
            return self._masked(value, depth)
        if value.dtype.kind in "bUSTmM":
            return value
        if value.dtype.kind in "iuf":
            made = self._array(value)
            return value if made.dtype == value.dtype and (made == value).all() else made
        if value.dtype.kind == "c":
            return self._array(value.real) + 1j * self._array(value.imag)
        if value.dtype.kind == "O":
            numpy = cast(Any, sys.modules["numpy"])
            made = numpy.empty(value.shape, object)
            for at in numpy.ndindex(value.shape):
                made[at] = self.of(value[at], depth + 1)
            return made
        raise self._cannot(value)

    def _masked(self, value: Any, depth: int) -> Any:
        """What is masked is in nobody's numbers, and stays masked."""
        numpy = cast(Any, sys.modules["numpy"])
        if value is numpy.ma.masked:
            return value
        made = self._numpy(without_hidden(value), depth)
        # What it would be filled with may be a number as well.
        return numpy.ma.MaskedArray(made, numpy.ma.getmaskarray(value).copy(), hard_mask=value.hardmask)

    def _table(self, value: Any, module: str, depth: int) -> Any:
        if module == "pandas":
            return self._pandas(value, depth)
        pyarrow = cast(Any, sys.modules["pyarrow"])
        if module == "polars":
            polars = cast(Any, sys.modules["polars"])
            if kept := type(value).__name__ == "Series":
                value = value.to_frame()
            made = polars.from_arrow(self._table(value.to_arrow(), "pyarrow", depth))
            return made.to_series() if kept else made
        columns = [self._column(column, pyarrow, depth) for column in value.columns]
        made = cast(Any, type(value))
        return made.from_arrays(columns, names=value.schema.names)

    def _pandas(self, value: Any, depth: int) -> Any:
        pandas = cast(Any, sys.modules["pandas"])
        index = used(value.index)
        for labels in (index, getattr(value, "columns", ())):
            if not isinstance(labels, pandas.RangeIndex):
                rows: list[Any] = list(labels)
                self._look_at_keys(label for row in rows for label in _levels(row))
        if not hasattr(value, "columns"):
            made = self._series(value, depth).copy(deep=False)
        else:
            columns = [self._series(value.iloc[:, at], depth) for at in range(value.shape[1])]
            made = pandas.concat(columns, axis=1) if columns else value.copy()
            made.columns = value.columns
        made.index, made.attrs = index, self.of(dict(value.attrs), depth + 1)
        return made

    def _series(self, column: Any, depth: int) -> Any:
        if column.dtype.kind in "bmM" or not len(column):
            return column
        cells = [cell if _is_missing(cell) else self.of(cell, depth + 1) for cell in column.tolist()]
        return cast(Any, sys.modules["pandas"]).Series(cells, index=column.index, name=column.name)

    def _column(self, column: Any, pyarrow: Any, depth: int) -> Any:
        types, of = pyarrow.types, column.type
        if types.is_boolean(of) or types.is_temporal(of) or types.is_string(of) or types.is_large_string(of):
            return column
        return pyarrow.array([self.of(cell, depth + 1) for cell in column.to_pylist()])

    def _object(self, value: Any, depth: int) -> Any:
        changed = {name: (part, self.of(part, depth + 1)) for name, part in fields(value)}
        changed = {name: after for name, (part, after) in changed.items() if after is not part}
        made = value
        if changed:
            try:
                made = copy.copy(value)
                for name, part in changed.items():
                    object.__setattr__(made, name, part)
            except Exception:
                raise self._cannot(value) from None
        own, seen = {id(part) for _, part in fields(made)}, look(made)
        # What travels of it beside its fields, nobody can change.
        others = [part for part in seen.parts if id(part) not in own]
        if seen.untold or "number" in seen.held or any(self.of(part, depth + 1) is not part for part in others):
            raise self._cannot(value)
        return made

    def _look_at_keys(self, keys: Iterable[Any]) -> None:
        """A number that is a key cannot become another one, for two of them could become the same."""
        for key in keys if self._keys else ():
            plain = scalar(key)
            if isinstance(plain, str | bytes | bool | None | enum.Enum) or getattr(key, "dtype", None) is not None:
                continue
            if isinstance(plain, int | float) and self._one(plain) != plain and not _is_missing(plain):
                raise CoarseError(
                    self._rule, "a number that is a key, or labels a row, and is not round: make it a text"
                )

    def _cannot(self, value: object) -> CoarseError:
        return CoarseError(self._rule, f"a value of type {type_name(value)}, whose numbers cannot be changed")


class _Counts:
    """Leaves out what small counts count."""

    def __init__(self, below: int, patterns: list[str]) -> None:
        self._below = below
        self._patterns = patterns

    def of(self, value: Any, depth: int) -> Any:
        """The value as it leaves."""
        if depth > DEEPEST:
            raise CoarseError("suppress", f"a value of more than {DEEPEST} levels")
        kind = cast("type[Any]", type(value))
        if kind in LEAVES:
            return value
        module = kind.__module__.partition(".")[0]
        if isinstance(value, dict):
            return self._dictionary(cast("dict[Any, Any]", value), depth)
        if issubclass(kind, list | tuple | collections.deque) and not hasattr(cast(Any, kind), "_fields"):
            return self._sequence(value, depth)
        if kind.__name__ in TABLES.get(module, ()):
            made = self._table(value, module)
            self._look_into(made, look(made), depth)
            return made
        seen = look(value)
        of_values = {name for name, _ in seen.named}
        if any(self._is_count(name) for name in seen.names if name not in of_values):
            raise CoarseError("suppress", f"counts in a value of type {type_name(value)}")
        self._look_into(value, seen, depth)
        return value

    def _sequence(self, value: Any, depth: int) -> Any:
        items = list(value)
        parts = [self.of(part, depth + 1) for part in items]
        if all(map(operator.is_, items, parts)):
            return value
        if isinstance(value, collections.deque):
            return collections.deque(parts, cast("collections.deque[Any]", value).maxlen)
        return tuple(parts) if isinstance(value, tuple) else parts

    def _look_into(self, value: Any, seen: Look, depth: int) -> None:
        """Has nothing left out that is within a value as nobody can leave it out."""
        if seen.untold:
            raise CoarseError("suppress", f"a value of type {type_name(value)}, into which nobody can look here")
        if any(self._is_count(name) and self._is_small(part) for name, part in seen.named):
            raise CoarseError("suppress", f"a small count, a field of a value of type {type_name(value)}")
        if any(self.of(part, depth + 1) is not part for part in seen.parts):
            raise CoarseError("suppress", f"a value of type {type_name(value)} with a small count in it")

    def _dictionary(self, value: dict[Any, Any], depth: int) -> Any:
        out: set[int] = set()
        length = -1
        for key, count in value.items():
            if not self._is_count(key):
                continue
            if not isinstance(count, list | tuple):
                if self._is_small(count):
                    return dict.fromkeys(value)
                continue
            counts = cast("list[Any]", count)
            if length not in (-1, len(counts)):
                raise CoarseError("suppress", "a dictionary whose counts are lists of different lengths")
            length = len(counts)
            out |= {place for place, one in enumerate(counts) if self._is_small(one)}

        def kept(part: Any) -> Any:
            if not out or isinstance(part, str | bytes) or not hasattr(part, "__len__"):
                return part
            if not isinstance(part, list | tuple) or len(cast("list[Any]", part)) != length:
                raise CoarseError("suppress", "a dictionary of small counts and of what has no item for each of them")
            return [one for place, one in enumerate(cast("list[Any]", part)) if place not in out]

        parts = {key: part if self._is_count(key) else self.of(part, depth + 1) for key, part in value.items()}
        if not out and all(after is value[key] for key, after in parts.items()):
            return value
        return {key: kept(part) for key, part in parts.items()}

    def _table(self, value: Any, module: str) -> Any:
        if not hasattr(value, "columns"):  # one column
            counts = [list(value)] if value.name is not None and self._is_count(value.name) else []
        elif module == "pyarrow":
            named = zip(value.schema.names, value.columns, strict=True)
            counts = [column.to_pylist() for name, column in named if self._is_count(name)]
        elif module == "pandas":
            places = [at for at, name in enumerate(value.columns) if self._is_count(name)]
            counts = [value.iloc[:, at].tolist() for at in places]
            names = value.index.names
            counts += [
                value.index.get_level_values(at).tolist() for at, name in enumerate(names) if self._is_count(name)
            ]
        else:
            counts = [value[name].to_list() for name in value.columns if self._is_count(name)]
        if not counts:
            return value
        keep = [not any(map(self._is_small, row)) for row in zip(*counts, strict=True)]
        return used(value if all(keep) else filtered(value, keep))

    def _is_count(self, name: Any) -> bool:
        return any(_native.is_like(str(level), pattern) for level in _levels(name) for pattern in self._patterns)

    def _is_small(self, count: Any) -> bool:
        return is_fewer(count, self._below)


_OTHERS = ("torch", "jax", "jaxlib", "scipy", "xarray", "pyarrow", "pandas", "polars", "PIL")
"""Packages, whose values these are that are made coarse by nobody."""


def _levels(label: Any) -> tuple[Any, ...]:
    """The parts of a column's or a row's label, which may have several."""
    return cast("tuple[Any, ...]", label) if isinstance(label, tuple) else (label,)


def _is_missing(cell: Any) -> bool:
    """Whether it is what pandas has where there is nothing."""
    return type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, float) and math.isnan(cell))


def _unless_same(value: Any, made: Any) -> Any:
    """What a number has become; itself, if that is no other."""
    return value if made == value else made
