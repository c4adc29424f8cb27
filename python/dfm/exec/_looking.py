"""What is in a value that leaves, taken apart as it travels?

The encoder sends more of a value than its items: what lies beside a table, what a category could have been, how a
field is called. Whatever it sends is found here, or the value is said to be one that nobody can look into.
"""

from __future__ import annotations

import collections
import dataclasses
import numbers
import sys
from collections.abc import Iterable, Mapping
from typing import Any, cast

from dfm import _values
from dfm.exec._parts import TABLES, fields
from dfm.exec._types import scalar

LEAVES: dict[type[Any], str] = {
    type(None): "nothing",
    bool: "boolean",
    int: "number",
    float: "number",
    complex: "number",
    str: "text",
}
"""The kinds of what has nothing in it."""
_BYTES = (bytes, bytearray, memoryview)
_LISTS = (list, tuple, set, frozenset)
_DICTIONARIES = (dict, collections.OrderedDict, collections.defaultdict, collections.Counter)
_NUMBERS = ("decimal", "fraction")
_WHOLE = frozenset(
    ("datetime", "date", "time", "timedelta", "zone", "uuid", "path", "pure-path", "ellipsis", "not-implemented")
)
"""What objects of Python's travel as that have no parts."""
_ARRAYS = ("numpy", "torch", "jax", "jaxlib", "scipy", "xarray", "pyarrow", "pandas", "polars")
"""Packages whose values are arrays, where they are no tables."""
_OF_DTYPES = {"b": "boolean", "U": "text", "S": "text", "T": "text", "V": "bytes"}
"""What the elements of NumPy's types are that are no numbers and no objects."""
_OF_NUMPY = ("ndarray", "memmap", "matrix", "recarray", "MaskedArray")


@dataclasses.dataclass(slots=True)
class Look:
    """What a value shows of itself."""

    kind: str | None = None
    """Its kind, as policies name them; None for what only holds others."""
    held: set[str] = dataclasses.field(default_factory=set[str])
    """The kinds of its elements, where their types say them."""
    rows: int | None = None
    """Its rows or items, or of what is kept beside them: the most."""
    names: list[str] = dataclasses.field(default_factory=list[str])
    """What columns, axes, keys and fields are called."""
    named: list[tuple[str, Any]] = dataclasses.field(default_factory=list[tuple[str, Any]])
    """Those of them that a value belongs to."""
    parts: Iterable[Any] = ()
    """What else is in it, each to be looked at; what is named too."""
    untold: bool = False
    """Whether there may be more in it."""


def look(value: Any) -> Look:
    """Looks at a value, and not yet at its parts."""
    value = scalar(value)
    kind = cast("type[Any]", type(value))
    if (leaf := LEAVES.get(kind)) is not None:
        return Look(leaf)
    if kind in _BYTES:
        # Whatever they are of, each may say something.
        return Look("bytes", rows=memoryview(value).nbytes)
    if kind in _LISTS:
        return Look("list", rows=len(value), parts=value)
    if kind in _DICTIONARIES:
        return beside(value, "dictionary", len(value))
    if kind is range:
        # One of any length is as small, and Python has no length for the longest.
        return Look("list", {"number"}, (value[-1] - value[0]) // value.step + 1 if value else 0)
    module = kind.__module__.partition(".")[0]
    if (of_package := _OF_PACKAGES.get(module)) is not None and (found := of_package(value, kind)) is not None:
        return found
    return _of_object(value, kind, module)


def kind_of(value: Any) -> str:
    """A value's kind alone."""
    value = scalar(value)
    kind = cast("type[Any]", type(value))
    module = kind.__module__.partition(".")[0]
    if kind.__name__ in TABLES.get(module, ()) or module == "geopandas":
        return "table"
    if module in _ARRAYS and not isinstance(value, str | bytes | tuple | numbers.Number):
        return "array"
    return look(value).kind or "object"


def labels(name: object) -> list[str]:
    """The texts of a name, which may have several levels; nothing for none."""
    if isinstance(name, tuple):
        return [label for level in cast("tuple[object, ...]", name) for label in labels(level)]
    if isinstance(name, bytes):
        return [name.decode("utf-8", "replace")]
    return [] if name is None else [str(name)]


def beside(entries: Mapping[Any, Any], kind: str | None = None, rows: int | None = None) -> Look:
    """A dictionary's entries, as such or as what is kept beside a value. A text that is a key is part of them."""
    parts: list[Any] = list(entries.values())
    if all(type(key) is str for key in entries):
        return Look(kind, set(), rows, list(entries), list(entries.items()), parts)
    others = [key for key in entries if not isinstance(key, str)]
    names = [label for key in entries if isinstance(key, str | bytes | tuple) for label in labels(cast(Any, key))]
    of_texts = [(key, part) for key, part in entries.items() if isinstance(key, str)]
    return Look(kind, set(), rows, names, of_texts, [*others, *parts])


def together(kind: str | None, looks: Iterable[Look], names: Iterable[str] = (), rows: int = 0) -> Look:
    """One value that has all of these in it."""
    found = Look(kind, rows=rows, names=list(names))
    parts: list[Iterable[Any]] = []
    for one in looks:
        found.held |= one.held
        found.rows = max(found.rows or 0, one.rows or 0)
        found.names += one.names
        found.named += one.named
        parts.append(one.parts)
        found.untold |= one.untold
    found.parts = (part for some in parts for part in some)
    return found


def _of_object(value: Any, kind: type[Any], module: str) -> Look:
    if module == "PIL":
        return Look("image", rows=value.size[1]) if hasattr(value, "size") else Look("image", untold=True)
    # dfm's own are what an advisor's answers are in.
    called = None if module == "dfm" else "number" if issubclass(kind, numbers.Number) else "object"
    name, state = cast("tuple[str, Any]", _values.taken_apart(value) or ("", None))
    if name in _NUMBERS or name in ("enum", "flags") or name in _WHOLE:
        return Look(called)
    match name:
        case "dataclass":
            return beside(state[1], called)
        case "model":
            more: list[dict[Any, Any]] = [state[1], state[3] or {}, state[4] or {}]
            return beside({name: part for some in more for name, part in some.items()}, called)
        case "named-tuple":
            return beside(state[1], "list", len(value))
        case "exception":
            _, args, own, attributes, cause = state
            found = beside(attributes)
            return Look(
                called, rows=None, names=found.names, named=found.named, parts=[*args, own, *found.parts, cause]
            )
        case "deque":
            return Look("list", rows=len(value), parts=state[0])
        case "slice":
            return Look(called, parts=state)
        case "bytes-io":
            return Look("bytes", rows=len(state[1]))
        case "array":
            return Look("array", {"text" if value.typecode in "uw" else "number"}, len(value))
        case _:
            names = [name for name, _ in fields(value)]
            if "." in name:
                return Look(called, names=names, parts=[state])
            return Look(called, names=names, parts=[part for _, part in fields(value)], untold=True)


# NumPy, and what is an array of numbers elsewhere


def _of_numpy(value: Any, kind: type[Any]) -> Look | None:
    numpy = cast(Any, sys.modules["numpy"])
    if isinstance(value, numpy.dtype):
        return Look("array", {"object"}, names=_names_of(value))
    if value is numpy.ma.masked:
        return Look("array", {"number"}, 1)
    dtype: Any = getattr(value, "dtype", None)
    if isinstance(value, numpy.generic) and dtype.kind not in "mMV":
        if dtype.kind == "S":
            return Look("bytes", rows=len(value))
        return Look("text" if dtype.kind == "U" else "number")
    if not isinstance(value, numpy.generic) and kind.__name__ not in _OF_NUMPY:
        return None
    found = Look("array", _kinds_of(dtype), _rows_of(value), _names_of(dtype))
    if dtype.names is not None:
        found.named = [(name, numpy.asarray(value)[name]) for name in dtype.names]
        # With objects in fields, it does not travel.
        found.untold = dtype.hasobject
    if dtype.char == "O":
        cells = numpy.asarray(value).reshape(-1).tolist()
        hidden = numpy.ma.getmaskarray(value).reshape(-1).tolist() if kind.__name__ == "MaskedArray" else ()
        found.parts = (
            [cell for cell, is_hidden in zip(cells, hidden, strict=True) if not is_hidden] if hidden else cells
        )
    if kind.__name__ == "MaskedArray" and value._fill_value is not None:
        found.parts = [*found.parts, numpy.asarray(value._fill_value)[()]]
    return found


def _kinds_of(dtype: Any) -> set[str]:
    if dtype.subdtype is not None:
        return _kinds_of(dtype.subdtype[0])
    if dtype.names is not None:
        return {kind for name in dtype.names for kind in _kinds_of(dtype.fields[name][0])}
    return set() if dtype.kind == "O" else {_OF_DTYPES.get(dtype.kind, "number")}


def _names_of(dtype: Any) -> list[str]:
    if dtype.subdtype is not None:
        return _names_of(dtype.subdtype[0])
    found: list[str] = []
    for name in dtype.names or ():
        of, _, *title = dtype.fields[name]
        found += [name, *labels(tuple(title)), *_names_of(of)]
    return found


def _rows_of(value: Any) -> int:
    """The length of an array's first axis, or within one of its elements. Where no elements are sent, axes of any
    length cost nothing, and may be what the value tells."""
    shape = cast("tuple[int, ...]", tuple(value.shape))
    within = _rows_within(value.dtype) if hasattr(value.dtype, "subdtype") else 0
    return max(within, (*shape, 1)[0] if getattr(value, "nbytes", 0) else max(shape, default=1))


def _rows_within(dtype: Any) -> int:
    if dtype.subdtype is not None:
        return max(dtype.subdtype[1][0], _rows_within(dtype.subdtype[0]))
    if dtype.names is not None:
        return max((_rows_within(dtype.fields[name][0]) for name in dtype.names), default=0)
    return dtype.itemsize if dtype.kind == "V" else 0


def _of_numbers(value: Any, kind: type[Any]) -> Look | None:
    """A tensor, a sparse matrix, or an array of JAX's."""
    if isinstance(value, tuple):  # a tensor's size
        lengths = cast("tuple[Any, ...]", value)
        return Look("list", rows=len(lengths), parts=lengths)
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return Look("array", {"number"}) if kind.__name__ == "dtype" else None
    of = getattr(value.dtype, "kind", "b" if str(value.dtype) == "torch.bool" else "")
    return Look("array", {_OF_DTYPES.get(of, "number")}, _rows_of(value))


# xarray


def _of_xarray(value: Any, kind: type[Any]) -> Look | None:
    match kind.__name__:
        case "Dataset":
            return _of_dataset(value)
        case "DataArray":
            looks = [_of_variable(value.variable), *_of_coords(value)]
            names = [name for one in (value.name, *value.coords, *value.dims) for name in labels(one)]
            return together("array", looks, names)
        case "Variable" | "IndexVariable":
            return together("array", [_of_variable(value)], [name for one in value.dims for name in labels(one)])
        case "DataTree":
            sets = {node.path: node.to_dataset(inherit=False) for node in value.subtree}
            ways = [step for path in sets for step in str(path).split("/") if step]
            return together("array", map(_of_dataset, sets.values()), [*labels(value.name), *ways])
        case _:
            return None


def _of_dataset(value: Any) -> Look:
    looks = [_of_variable(one) for one in value.data_vars.variables.values()]
    names = [name for one in (*value.variables, *value.dims) for name in labels(one)]
    found = together(
        "array",
        [*looks, *_of_coords(value), beside(value.attrs, rows=len(value.attrs))],
        names,
        max(value.sizes.values(), default=1),
    )
    found.named += [(name, one.variable) for name, one in value.data_vars.items() if isinstance(name, str)]
    return found


def _of_variable(variable: Any) -> Look:
    if variable.chunks is not None:
        return Look("array", untold=True)
    found = look(variable.data)
    return together(
        "array",
        [
            found if found.kind == "array" else Look(parts=[variable.data]),
            beside(variable.attrs, rows=len(variable.attrs)),
        ],
    )


def _of_coords(value: Any) -> list[Look]:
    """The coordinates, and the indexes of those that have one, with all that these could have had."""
    looks: list[Look] = []
    for name, one in value.coords.items():
        index = getattr(value.xindexes.get(name), "index", None)
        looks += [_of_variable(one.variable) if index is None else look(index), beside(one.attrs, rows=len(one.attrs))]
    return looks


def _of_table(value: Any, kind: type[Any]) -> Look | None:
    from dfm.exec._looking_tables import look_at  # which needs this module

    return look_at(value, kind)


_OF_PACKAGES = {
    "numpy": _of_numpy,
    "torch": _of_numbers,
    "jax": _of_numbers,
    "jaxlib": _of_numbers,
    "scipy": _of_numbers,
    "xarray": _of_xarray,
    "pandas": _of_table,
    "pyarrow": _of_table,
    "polars": _of_table,
    "geopandas": _of_table,
}
