"""What does a path in a pipeline find in a value?

What the value holds, and nothing else: its fields, elements, entries and columns. What a class computes or inherits,
its methods above all, is no part of a value: a path comes from a user, and a method's own attributes lead to all that
the site's process has.
"""

from __future__ import annotations

import array
import collections
import dataclasses
import datetime
import enum
import functools
import numbers
import pathlib
import types
from collections.abc import Iterator
from typing import Any, cast

from dfm.values._form import harmless

_NO_PARTS = (
    type,
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.CodeType,
    types.FrameType,
    types.TracebackType,
)
"""What is neither a part nor has any."""

_DATE = ("year", "month", "day")
_TIME = ("hour", "minute", "second", "microsecond")
_PLAIN: tuple[tuple[type[Any], tuple[str, ...]], ...] = (
    (datetime.datetime, (*_DATE, *_TIME)),
    (datetime.date, _DATE),
    (datetime.time, _TIME),
    (datetime.timedelta, ("days", "seconds", "microseconds")),
    (numbers.Complex, ("real", "imag")),
    (numbers.Rational, ("numerator", "denominator")),
    (pathlib.PurePath, ("name", "stem", "suffix")),
    (range, ("start", "stop", "step")),
    (slice, ("start", "stop", "step")),
    (enum.Enum, ("name", "value")),
    (BaseException, ("args",)),
)
"""Attributes of Python's own types, and of those that count as such, that are what their values say."""

_SIZES = ("shape", "ndim", "size", "num_rows", "num_columns", "height", "width")
"""Attributes that say how large an array, a table or an image is."""

_INDEXED = (list, tuple, dict, str, bytes, bytearray, memoryview, range, collections.deque, array.array)
_LIBRARIES = ("numpy", "pandas", "geopandas", "xarray", "polars", "pyarrow", "torch", "jax", "jaxlib", "scipy", "PIL")
"""Whose arrays and tables give an element or a column for a number or a name. What else their objects hold, as an image
the name of its file, is not what they say."""


def attribute(value: Any, name: str) -> Any:
    """The field of this name.

    Raises:
        AttributeError: it holds none.
    """
    for found in _held(value, name):
        if not isinstance(found, _NO_PARTS):
            return found
    raise harmless(AttributeError("a path finds only what a value holds: fields, elements, entries and columns"))


def entry(value: Any, key: str | int) -> Any:
    """The element at this index, or what stands under this key.

    Raises:
        LookupError: there is none.
        TypeError: it has no elements.
    """
    kind = cast("type[Any]", type(value))
    if not issubclass(kind, _INDEXED) and not _is_of_library(kind):
        raise harmless(TypeError("only sequences, dictionaries, arrays and tables have elements and entries"))
    if kind.__name__ == "DataTree" and isinstance(key, str) and ".." in key.split("/"):
        raise harmless(KeyError("a path leads to no value around the one that it begins at"))
    if issubclass(kind, dict) and key not in value:
        raise harmless(KeyError(key))  # a default would be made of it
    found = value[key]
    if isinstance(found, _NO_PARTS):
        raise harmless(TypeError("what stands there is no value"))
    return found


def _held(value: Any, name: str) -> Iterator[Any]:
    """What goes by this name; first what the class declares."""
    kind = cast("type[Any]", type(value))
    if name.startswith("_") or isinstance(value, _NO_PARTS):
        return
    if any(issubclass(kind, one) and name in names for one, names in _PLAIN):
        yield getattr(value, name)
    if _is_of_library(kind):
        if _has_column(value, name):
            yield value[name]
        elif name in _SIZES and _is_size(size := getattr(value, name, None)):
            yield size
        return
    if name in _declared(kind) and hasattr(value, name):
        yield getattr(value, name)
    for more in (getattr(value, "__dict__", None), getattr(value, "__pydantic_extra__", None)):
        computed = isinstance(getattr(kind, name, None), functools.cached_property)
        if isinstance(more, dict) and name in more and not computed:
            yield cast("dict[str, Any]", more)[name]


@functools.lru_cache(256)
def _declared(kind: Any) -> frozenset[str]:
    """The fields that a class says itself."""
    names = {name for each in kind.__mro__ for name in _slots(each)}
    if tuple in kind.__mro__:
        names.update(getattr(kind, "_fields", ()))
    if dataclasses.is_dataclass(kind):
        names.update(field.name for field in dataclasses.fields(kind))
    names.update(getattr(kind, "__pydantic_fields__", ()))
    return frozenset(names)


def _slots(kind: type[Any]) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _is_of_library(kind: type[Any]) -> bool:
    return any(each.__module__.partition(".")[0] in _LIBRARIES for each in kind.__mro__)


def _has_column(value: Any, name: str) -> bool:
    """Whether a table has a column, or a dataset a variable, of this name."""
    for names in ("column_names", "columns", "variables", "coords"):
        if (has := getattr(value, names, None)) is not None and not callable(has):
            return name in has
    return False


def _is_size(size: Any) -> bool:
    sizes = cast("tuple[Any, ...]", size) if isinstance(size, tuple) else (size,)
    return all(isinstance(one, int) for one in sizes)
