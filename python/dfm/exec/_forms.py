"""What is the form of a value that sites add up, and which numbers are in it?

A form is plain data: `integer` or `number`, `["array", kind, shape]`, or `["dictionary", [[key, form], …]]` with the
keys in an order that all sites have. Values of one form are added number by number.
"""

from __future__ import annotations

import array
import math
from collections.abc import Mapping
from typing import Any, cast

from dfm.exec._parts import type_name

_DEEPEST = 20
"""So deep may dictionaries lie in each other."""
_SCALARS = ("integer", "number")


class FormError(Exception):
    """What a value is that cannot be added up, or where two are different."""


def flat(value: object) -> tuple[bytes, Any]:
    """A value's numbers, as floats as the machine has them, and its form.

    Raises:
        FormError: it is no number, array of numbers or dictionary of these.
    """
    parts: list[bytes] = []
    form = _form(value, parts, _DEEPEST)
    return b"".join(parts), form


def _form(value: Any, parts: list[bytes], levels: int) -> Any:
    if levels == 0:
        raise FormError(f"has dictionaries more than {_DEEPEST} deep")
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value)
        if not all(type(key) in (str, int) for key in items):
            raise FormError("is a dictionary with keys that are neither texts nor whole numbers")
        keys = sorted(items, key=lambda key: (type(key) is int, key))
        return ["dictionary", [[key, _form(items[key], parts, levels - 1)] for key in keys]]
    kind = cast("type[Any]", type(value))
    if kind is int or kind is float:
        try:
            parts.append(array.array("d", [value]).tobytes())
        except OverflowError:
            parts.append(array.array("d", [math.inf]).tobytes())
        return "integer" if kind is int else "number"
    if kind.__module__.partition(".")[0] == "numpy" and getattr(value, "dtype", None) is not None:
        of = value.dtype.kind
        if of in "iuf":
            parts.append(value.astype("float64").tobytes())
            named = "number" if of == "f" else "integer"
            return ["array", named, list(value.shape)] if kind.__name__ in ("ndarray", "memmap") else named
    raise FormError(f"is, or has in it, a value of type {type_name(value)}: no number, array of these or dictionary")


def merged(forms: Mapping[str, Any]) -> Any:
    """The one form that sites' values have; whole numbers and others are others.

    Raises:
        FormError: theirs are different.
    """
    (first, form), *rest = forms.items()
    for site, other in rest:
        form = _both(form, other, first, site, _DEEPEST)
    return form


def _both(one: Any, other: Any, first: str, site: str, levels: int) -> Any:
    if isinstance(one, str) and one in _SCALARS and isinstance(other, str) and other in _SCALARS:
        return one if one == other else "number"
    match one, other:
        case ["array", kind, shape], ["array", of, same] if shape == same:
            return ["array", _both(kind, of, first, site, levels), shape]
        case ["dictionary", items], ["dictionary", others] if levels and _keys(items) == _keys(others):
            pairs = zip(items, others, strict=True)
            return ["dictionary", [[key, _both(at, of, first, site, levels - 1)] for (key, at), (_, of) in pairs]]
        case _:
            raise FormError(f"at site '{site}' it is of another kind, or has other keys or axes, than at '{first}'")


def _keys(items: Any) -> list[Any]:
    try:
        return [key for key, _ in items]
    except (TypeError, ValueError):
        raise FormError("it has no form") from None


def made(form: Any, numbers: bytes, count: int | None) -> Any:
    """The value of a form with these numbers; with a count, each parted by that.

    Raises:
        FormError: they are not as many as it has.
    """
    floats = memoryview(numbers).cast("d")
    taken = _Taken(floats, count)
    try:
        value = _made(form, taken, _DEEPEST)
    except (TypeError, ValueError):
        raise FormError("it has no form") from None
    if taken.at != len(floats):
        raise FormError("there are more numbers than it has")
    return value


class _Taken:
    """Numbers, of which some have been taken."""

    def __init__(self, floats: memoryview[float], count: int | None) -> None:
        self.floats = floats
        self.count = count
        self.at = 0

    def take(self, many: int) -> memoryview[float]:
        if not 0 <= many <= len(self.floats) - self.at:
            raise FormError("there are fewer numbers than it has")
        self.at += many
        return self.floats[self.at - many : self.at]


def _made(form: Any, taken: _Taken, levels: int) -> Any:
    count = taken.count
    match form:
        case "integer" | "number":
            (number,) = taken.take(1)
            if count is not None:
                return number / count
            return round(number) if form == "integer" else number
        case ["array", "integer" | "number", shape] if all(type(axis) is int and axis >= 0 for axis in shape):
            import numpy  # pyright: ignore[reportMissingImports]

            known: Any = numpy
            found = known.array(taken.take(math.prod(shape))).reshape(shape)
            if count is not None:
                return found / count
            return known.rint(found).astype("int64") if form[1] == "integer" else found
        case ["dictionary", items] if levels:
            return {key: _made(of, taken, levels - 1) for key, of in items}
        case _:
            raise FormError("it has no form")
