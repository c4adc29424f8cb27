"""Is a value what the site's configuration declares for it, whatever way it came?

The rules are those of the generated classes, which the user's own process can only be asked to keep: a JSON Schema's
types, enumerations and bounds, and the classes that it names. What a schema leaves open costs nothing here.
"""

from __future__ import annotations

import datetime
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

from dfm._values import check_columns
from dfm.errors import Public
from dfm.exec._bodies import is_awaited

Check = Callable[[Any], Any]
"""Returns the value, in which what was plain data may have become a model, and a text a date.

Raises:
    DeclarationError: it is not what was declared.
"""

PLAIN = (str, int, float, bool)
"""What a text, a number or a truth value is in Python, exactly."""
_NAMED: dict[str, set[type]] = {
    "string": {str},
    "integer": {int},
    "number": {float, int},
    "boolean": {bool},
    "null": {type(None)},
    "array": {list},
    "object": {object},
}
"""Of which of Python's own types a value is, exactly, that is surely of a schema's; `object` for any."""
_BITS = 1023
"""Whole numbers of more may be none that a `number` can be."""


class DeclarationError(Public):
    """A value is not what the site's configuration declares for it. Nothing of the value is in the text."""


def check_of(
    schema: Any, what: str, import_class: Callable[[str], type[Any]], *, plainly: bool = False
) -> Check | None:
    """How values of a type are checked, as `site.json` has it; None for a type that anything is of.

    Args:
        schema: a JSON Schema in which `{"class": path}` stands for a class.
        what: what the value is called where it is told.
        import_class: gives the class of a path.
        plainly: whether what is declared as a text, a number or a truth value becomes Python's own, as a site's policy
            judges it: of another type, it could compare otherwise for who uses it.
    """
    kinds = {object} if schema is None else _named_alone(schema)
    if kinds is not None and object in kinds:
        return None

    @functools.cache
    def whole() -> Check | None:
        from dfm.exec._schemas import check_against  # pydantic's, which many sites do without

        return check_against(schema, what, import_class, plainly=plainly)

    if kinds is None:
        return whole()

    def check(value: Any) -> Any:
        if type(value) in kinds and not (type(value) is int and value.bit_length() > _BITS):
            return value
        return cast(Check, whole())(value)

    return check


def has_dates(schema: Any, import_class: Callable[[str], type[Any]]) -> bool:
    """Whether values of a type have dates or times where JSON has texts, and no texts that could be taken for these."""
    if schema is None or _named_alone(schema) is not None:
        return False
    from dfm.exec import _schemas  # as above

    return _schemas.has_dates(schema, import_class)


def as_texts(value: Any) -> Any:
    """A value with its dates and times as JSON has them: as texts, where these say all of them, which they do not of a
    zone's name."""
    kind = cast("type[Any]", type(value))
    if kind is datetime.date:
        return value.isoformat()
    if kind is datetime.datetime:
        text = value.isoformat()
        text = f"{text[:-6]}Z" if text.endswith("+00:00") else text
        return text if repr(datetime.datetime.fromisoformat(text)) == repr(value) else value
    if kind is list or kind is tuple:
        return cast(Any, kind)(map(as_texts, value))
    return {key: as_texts(part) for key, part in value.items()} if kind is dict else value


def _named_alone(schema: Any) -> set[type] | None:
    """As `_NAMED`, for a schema that names types and says nothing else; None for any other."""
    match schema:
        case {"type": str(name), **more} if not more:
            return _NAMED.get(name)
        case {"anyOf": [_, *_] as choices, **more} if not more:
            found = [_named_alone(one) for one in cast("list[Any]", choices)]
            return None if None in found else set[type]().union(*(one for one in found if one is not None))
        case _:
            return None


def is_same(value: Any, one: Any) -> bool:
    """Whether a value is one that a configuration has, as JSON means it."""
    if isinstance(one, bool) or isinstance(value, bool):
        return value is one
    if isinstance(one, int | float):
        return isinstance(value, int | float) and value == one
    if isinstance(one, list):
        parts = cast("list[Any]", one)
        alike = isinstance(value, list | tuple) and len(cast("list[Any]", value)) == len(parts)
        return alike and all(map(is_same, cast("list[Any]", value), parts))
    if isinstance(one, dict):
        keys, given = cast("dict[str, Any]", one), cast("dict[Any, Any]", value)
        return isinstance(value, dict) and given.keys() == keys.keys() and all(is_same(given[k], keys[k]) for k in keys)
    return type(value) is type(one) and value == one


def scalar(value: Any) -> Any:
    """NumPy's number as Python has it. An array is none, even of a single one; a time span is none either."""
    if type(value).__module__ != "numpy" or not hasattr(value, "item") or hasattr(value, "__setitem__"):
        return value
    return value.item() if value.dtype.kind in "biuf" else value


def plain(value: Any) -> Any:
    """A text, a number or a truth value as Python has it, whichever type made from these it is of, NumPy's included;
    anything else as it is."""
    if type(value) in PLAIN:
        return value
    found = scalar(value)
    if type(found) in PLAIN:
        return found
    # As the type itself does it: one made from it may say something else.
    if isinstance(found, str):
        return str.__str__(found)
    if isinstance(found, int):
        return int.__int__(found)
    return float.__float__(found) if isinstance(found, float) else found


def listed(value: Any) -> Any:
    """What is a sequence to `ForEach` is an array; its items are looked at as Python has them."""
    if isinstance(value, list | tuple | str | bytes | dict):
        return cast(Any, value)
    check_columns(value)
    for name in ("tolist", "to_pylist", "to_list"):
        if callable(to_list := getattr(value, name, None)):
            return to_list()
    return value


def checked_body(
    body: Callable[..., Any], kind: str, returns: Any, what: str, made: Callable[..., Check | None]
) -> Any:
    """A body whose results are held against what its operation returns, before anybody has them.

    A generator's items are what it returns or, where that is an array, the array's items.
    """
    whole = made(returns, f"what {what} returned")
    of_items: Any = returns
    if isinstance(returns, dict) and (keys := cast("dict[str, Any]", returns)).get("type") == "array":
        of_items = keys.get("items")
    each = made(of_items, f"an item of what {what} returned")
    if whole is None and each is None:
        return body

    def of(check: Check | None, value: Any) -> Any:
        return value if check is None else check(value)

    async def awaited(value: Any) -> Any:
        return of(whole, await value)

    def streamed(items: Iterator[Any]) -> Iterator[Any]:
        for item in items:
            yield of(each, item)

    def called(**arguments: Any) -> Any:
        value = body(**arguments)
        if inspect.isgenerator(value):
            return streamed(value)
        if is_awaited(value):
            return awaited(value)
        return of(whole, value)

    async def called_later(**arguments: Any) -> Any:
        return of(whole, await body(**arguments))

    def generated(**arguments: Any) -> Iterator[Any]:
        for item in body(**arguments):
            yield of(each, item)

    async def generated_later(**arguments: Any) -> AsyncIterator[Any]:
        async for item in body(**arguments):
            yield of(each, item)

    bodies = {"coroutine": called_later, "generator": generated, "async generator": generated_later}
    return bodies.get(kind, called)
