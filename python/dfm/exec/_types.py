"""Is a value what the site's configuration declares for it, whatever way it came?

The rules are those of the generated classes, which the user's own process can only be asked to keep: a JSON Schema's
types, enumerations and bounds, and the classes that it names. What a schema leaves open costs nothing here.
"""

from __future__ import annotations

import builtins
import datetime
import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, Union, cast

from pydantic import BaseModel, BeforeValidator, Field, InstanceOf, Strict, TypeAdapter, ValidationError

from dfm.errors import Public

Check = Callable[[Any], Any]
"""Returns the value, in which what was plain data may have become a model.

Raises:
    DeclarationError: it is not what was declared.
"""

_BOUNDS = {
    "minLength": "min_length",
    "maxLength": "max_length",
    "minimum": "ge",
    "exclusiveMinimum": "gt",
    "maximum": "le",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minItems": "min_length",
    "maxItems": "max_length",
}
_OF_TEXTS, _OF_NUMBERS, _OF_LISTS = ("minLength", "maxLength"), tuple(list(_BOUNDS)[2:7]), ("minItems", "maxItems")
_TOLD = 3
"""Of more faults in one value the first are told."""


class DeclarationError(Public):
    """A value is not what the site's configuration declares for it. Nothing of the value is in the text."""


def check_of(schema: Any, what: str, import_class: Callable[[str], type[Any]]) -> Check | None:
    """How values of a type are checked, as `site.json` has it; None for a type that anything is of.

    Args:
        schema: a JSON Schema in which `{"class": path}` stands for a class.
        what: what the value is called where it is told.
        import_class: gives the class of a path.
    """
    if schema is None:
        return None
    builder = _Builder(import_class)
    kind = builder.of(schema)
    if kind is Any:
        return None
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    validate = adapter.validator.validate_python
    rebuilds = builder.rebuilds

    def check(value: Any) -> Any:
        try:
            checked = validate(value)
            if rebuilds:
                _check_models(value)
        except ValidationError as error:
            raise DeclarationError(f"{what} is not what is declared: {_told(error, value)}") from None
        return checked if rebuilds else value

    return check


def _check_models(value: Any) -> None:
    """Has each model in a value say whether it is one: where it was rebuilt from what came, nothing has asked it. What
    its validators would make of it is nobody's: they have run where it was made."""
    if isinstance(value, BaseModel):
        held = vars(value)
        fields = {name: held[name] for name in type(value).model_fields if name in held}
        fields |= value.__pydantic_extra__ or {}
        type(value).model_validate(fields, by_name=True)
        for part in fields.values():
            _check_models(part)
    elif isinstance(value, list | tuple):
        for part in cast("list[Any]", value):
            _check_models(part)
    elif isinstance(value, dict):
        for part in cast("dict[Any, Any]", value).values():
            _check_models(part)


def _told(error: ValidationError, value: Any) -> str:
    faults: dict[str, None] = {}
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        place = "".join(f"[{part!r}]" if isinstance(part, int) else "" for part in one["loc"])
        # What a validator of the federation's own says may be made of the value.
        own = one["type"] in ("value_error", "assertion_error")
        message = "it is not valid" if own else one["msg"].replace("Input should be", "it should be")
        faults[f"{message} (at {place})" if place else message] = None
    told = "; ".join(list(faults)[:_TOLD])
    return f"{told}; a value of type {type(value).__name__} came"


class _Builder:
    """Makes Python's types of schemas."""

    def __init__(self, import_class: Callable[[str], type[Any]]) -> None:
        self._import_class = import_class
        self.rebuilds = False
        """Whether checking makes models of what was plain data."""

    def of(self, schema: Any) -> Any:
        """A schema's type; `Any` where it leaves it open."""
        if not isinstance(schema, dict):
            return Any
        keys = cast("dict[str, Any]", schema)
        if "class" in keys:
            return self._class(keys["class"])
        if "const" in keys:
            return _one_of([keys["const"]])
        if isinstance(values := keys.get("enum"), list):
            return _one_of(cast("list[Any]", values))
        for choice in ("anyOf", "oneOf"):
            if isinstance(choices := keys.get(choice), list):
                return _union([self.of(one) for one in cast("list[Any]", choices)])
        if isinstance(every := keys.get("allOf"), list) and len(cast("list[Any]", every)) == 1:
            return self.of(every[0])
        match keys.get("type"):
            case str(name):
                return self._named(name, keys)
            case [*names]:
                return _union([self._named(name, keys) for name in names])
            case _ if "properties" in keys:
                return self._named("object", keys)
            case _ if "items" in keys:
                return self._named("array", keys)
            case _:
                return Any

    def _class(self, path: str) -> Any:
        kind = self._import_class(path) if "." in path else getattr(builtins, path, None)
        if not isinstance(kind, type) or kind is object:
            return Any
        if issubclass(kind, BaseModel):
            self.rebuilds = True
            return kind
        return InstanceOf[cast(Any, kind)]

    def _named(self, name: str, keys: Mapping[str, Any]) -> Any:
        match name:
            case "string":
                if (form := keys.get("format")) in ("date", "date-time"):
                    return datetime.date if form == "date" else datetime.datetime
                pattern = keys.get("pattern")
                more = {"pattern": pattern} if isinstance(pattern, str) and _is_portable(pattern) else {}
                return _bounded(Annotated[str, Strict()], keys, _OF_TEXTS, more)
            case "integer":
                return _number(_bounded(Annotated[int, Strict()], keys, _OF_NUMBERS))
            case "number":
                return _number(_bounded(Annotated[float, Strict()], keys, _OF_NUMBERS))
            case "boolean":
                return _number(Annotated[bool, Strict()])
            case "null":
                return None
            case "array":
                items = self.of(keys.get("items"))
                return Annotated[_bounded(list[items], keys, _OF_LISTS), BeforeValidator(_listed)]
            case "object":
                value = keys.get("additionalProperties")
                if "properties" not in keys and value is None:
                    return Any
                each: Any = Any if "properties" in keys else self.of(value)
                return dict[str, each]
            case path if "." in path:
                return self._class(path)
            case _:
                return Any


def _union(kinds: list[Any]) -> Any:
    if not kinds or Any in kinds:
        return Any
    return Union[tuple(kinds)]  # noqa: UP007


def _one_of(values: list[Any]) -> Any:
    literal = [value for value in values if isinstance(value, str | int | bool)]
    rest = [value for value in values if not isinstance(value, str | int | bool)]
    kinds: list[Any] = [Literal[tuple(literal)]] if literal else []
    for value in rest:
        if value is None:
            kinds.append(None)
        elif isinstance(value, float):
            kinds.append(_number(Annotated[float, Strict()]))
        else:
            return Any
    return _union(kinds)


def _bounded(kind: Any, keys: Mapping[str, Any], names: tuple[str, ...], more: Mapping[str, Any] | None = None) -> Any:
    bounds = {_BOUNDS[name]: keys[name] for name in names if isinstance(keys.get(name), int | float)}
    bounds |= dict(more or {})
    return Annotated[kind, Field(**bounds)] if bounds else kind


def _is_portable(pattern: str) -> bool:
    """Whether pydantic's regular expressions take it, which know neither look-around nor back references."""
    try:
        TypeAdapter(Annotated[str, Field(pattern=pattern)])
    except Exception:
        return False
    return True


def _number(kind: Any) -> Any:
    """NumPy's numbers count as the numbers that they are; Python's, of which a list may have many, are tried first, as
    that needs no function of Python's."""
    return Annotated[Union[kind, Annotated[kind, BeforeValidator(_scalar)]], Field(union_mode="left_to_right")]  # noqa: UP007


def _scalar(value: Any) -> Any:
    return value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value


def _listed(value: Any) -> Any:
    """What is a sequence to `ForEach` is an array; its items are looked at as Python has them."""
    if isinstance(value, list | tuple | str | bytes | dict):
        return cast(Any, value)
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

    async def streamed_later(items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            yield of(each, item)

    def called(**arguments: Any) -> Any:
        value = body(**arguments)
        if inspect.isgenerator(value):
            return streamed(value)
        if inspect.isawaitable(value):
            return awaited(value)
        return of(whole, value)

    async def called_later(**arguments: Any) -> Any:
        return of(whole, await body(**arguments))

    def generated(**arguments: Any) -> Iterator[Any]:
        yield from streamed(body(**arguments))

    async def generated_later(**arguments: Any) -> AsyncIterator[Any]:
        async for item in streamed_later(body(**arguments)):
            yield item

    bodies = {"coroutine": called_later, "generator": generated, "async generator": generated_later}
    return bodies.get(kind, called)
