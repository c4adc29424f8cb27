"""How is a value held against a JSON Schema that says more of it than which of Python's own types it has?

By pydantic, which takes a tenth of a second and 8 MB of a process: what needs none of it does not import this.
"""

from __future__ import annotations

import builtins
import dataclasses
import datetime
import functools
import math
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from types import NoneType
from typing import Annotated, Any, Literal, Union, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    InstanceOf,
    RootModel,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import is_pydantic_dataclass
from pydantic_core import PydanticCustomError

from dfm.exec._types import PLAIN, Check, DeclarationError, is_same, listed, plain, scalar
from dfm.values._times import own_zone

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
    "minProperties": "min_length",
    "maxProperties": "max_length",
}
_OF_TEXTS, _OF_NUMBERS, _OF_LISTS = ("minLength", "maxLength"), tuple(list(_BOUNDS)[2:7]), ("minItems", "maxItems")
_OF_OBJECTS = ("minProperties", "maxProperties")
_STAMP = re.compile(r"\s*[+-]?[\d.]+\s*")
"""What is taken for the seconds since 1970, and is no date as it is written."""
_TOLD = 3
"""Of more faults in one value the first are told."""


def check_against(
    schema: Any, what: str, import_class: Callable[[str], type[Any]], *, plainly: bool = False
) -> Check | None:
    """As `check_of`, of any schema."""
    builder = _Builder(import_class)
    kind = builder.of(schema)
    if kind is Any:
        return None
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    validate = adapter.validator.validate_python
    has_models, classes = builder.has_models, tuple(builder.classes)
    rebuilds = has_models or builder.has_dates

    def check(value: Any) -> Any:
        try:
            checked = validate(value)
            if has_models:
                _check_models(value)
        except ValidationError as error:
            raise DeclarationError(f"{what} is not what is declared: {_told(error, value)}") from None
        found = checked if rebuilds else value
        return plain(found) if plainly and not isinstance(found, classes) else found

    return check


def has_dates(schema: Any, import_class: Callable[[str], type[Any]]) -> bool:
    """As the one of `_types`, of any schema."""
    builder = _Builder(import_class)
    builder.of(schema)
    return builder.has_dates and not builder.has_texts_for_dates


def _check_models(value: Any) -> None:
    """Has each model in a value say whether it is one: where it was rebuilt from what came, nothing has asked it. What
    its validators would make of it is nobody's: they have run where it was made."""
    for part in _asked(value):
        _check_models(part)


def _asked(value: Any) -> Iterator[Any]:
    """Has a value that is a model say whether it is one. Gives what it holds, and what another one holds."""
    kind: Any = cast(Any, type(value))
    is_model = issubclass(kind, BaseModel)
    if is_model or is_pydantic_dataclass(kind):
        held = cast("dict[str, Any]", vars(value))
        fields: dict[str, Any] = {name: held[name] for name in kind.__pydantic_fields__ if name in held}
        fields |= getattr(value, "__pydantic_extra__", None) or {}
        if issubclass(kind, RootModel):
            kind.model_validate(*fields.values())
        elif is_model:
            kind.model_validate(fields, by_name=True)
        else:
            _adapter_of(kind).validate_python(fields, by_name=True)
        return iter(fields.values())
    if dataclasses.is_dataclass(kind):
        return iter(_fields_of(value))
    if issubclass(kind, dict):
        pairs = cast("dict[Any, Any]", value)
        return iter((*pairs, *pairs.values()))
    return iter(value) if issubclass(kind, list | tuple | set | frozenset | deque) else iter(())


@functools.lru_cache(256)
def _adapter_of(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _fields_of(value: Any) -> list[Any]:
    names = [field.name for field in dataclasses.fields(value)]
    return [getattr(value, name) for name in names if hasattr(value, name)]


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
        self.has_models = False
        """Whether checking makes models of what was plain data."""
        self.has_dates = False
        """Whether it makes dates or times of texts."""
        self.has_texts_for_dates = False
        """Whether what may be a date or a time may be something else that JSON has a text for."""
        self.classes: list[type[Any]] = []
        """Those of Python's that it names, whose objects stay what they are."""

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
                return self._union([self.of(one) for one in cast("list[Any]", choices)])
        if isinstance(every := keys.get("allOf"), list) and len(cast("list[Any]", every)) == 1:
            return self.of(every[0])
        match keys.get("type"):
            case str(name):
                return self._named(name, keys)
            case [*names]:
                return self._union([self._named(name, keys) for name in names])
            case _ if "properties" in keys:
                return self._named("object", keys)
            case _ if "items" in keys:
                return self._named("array", keys)
            case _:
                return Any

    def _union(self, kinds: list[Any]) -> Any:
        if not kinds or Any in kinds:
            return Any
        union = Union[tuple(kinds)]  # noqa: UP007
        members = get_args(union)
        dates = [one for one in members if one in _DATES.values()]
        self.has_texts_for_dates |= bool(dates) and not {*members} <= {*dates, NoneType}
        return union

    def _class(self, path: str) -> Any:
        kind = self._import_class(path) if "." in path else getattr(builtins, path, None)
        if not isinstance(kind, type) or kind is object:
            return Any
        if kind not in PLAIN:
            self.classes.append(kind)
        if issubclass(kind, BaseModel):
            self.has_models = True
            return kind
        # What a dataclass holds may be a model, or it has rules of its own.
        self.has_models |= dataclasses.is_dataclass(cast("type[Any]", kind))
        return InstanceOf[cast(Any, kind)]

    def _named(self, name: str, keys: Mapping[str, Any]) -> Any:
        match name:
            case "string":
                if (date := _DATES.get(cast(str, keys.get("format")))) is not None:
                    self.has_dates = True
                    return date
                pattern = keys.get("pattern")
                more = {"pattern": pattern} if isinstance(pattern, str) and _is_portable(pattern) else {}
                return _bounded(Annotated[str, Strict()], keys, _OF_TEXTS, more)
            case "integer":
                return _number(_bounded(Annotated[int, Strict()], _whole(keys), _OF_NUMBERS))
            case "number":
                # What is no number is no multiple of one either.
                more = {"allow_inf_nan": False} if "multipleOf" in keys else {}
                return _number(_bounded(Annotated[float, Strict()], keys, _OF_NUMBERS, more))
            case "boolean":
                return _number(Annotated[bool, Strict()])
            case "null":
                return None
            case "array":
                if (parts := _of_tuple(keys)) is not None:
                    return Annotated[tuple[tuple(map(self.of, parts))], BeforeValidator(listed)]
                items = self.of(keys.get("items"))
                return Annotated[_bounded(list[items], keys, _OF_LISTS), BeforeValidator(listed)]
            case "object":
                value = keys.get("additionalProperties")
                if value is None and not any(key in keys for key in ("properties", *_OF_OBJECTS)):
                    return Any
                each: Any = Any if "properties" in keys else self.of(value)
                return _bounded(dict[str, each], keys, () if "properties" in keys else _OF_OBJECTS)
            case path if "." in path:
                return self._class(path)
            case _:
                return Any


def _one_of(values: list[Any]) -> Any:
    """One of these values, and of its kind: 1 is neither `True` nor "1"."""
    if all(isinstance(value, str) for value in values):
        return Literal[tuple(values)]

    def check(value: Any) -> Any:
        own = plain(value)
        if any(is_same(own, one) for one in values):
            return value
        named = ", ".join(map(repr, values[:_TOLD])) + (", …" if len(values) > _TOLD else "")
        raise PydanticCustomError("one_of", "Input should be one of {named}", {"named": named})

    return Annotated[Any, BeforeValidator(check)]


def _whole(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The bounds of whole numbers: what is at least 2.5 is at least 3, what is a multiple of 1.5 is one of 3."""
    rounds = {
        "minimum": math.ceil,
        "exclusiveMaximum": math.ceil,
        "maximum": math.floor,
        "exclusiveMinimum": math.floor,
    }
    whole = dict(keys)
    for key, to_whole in rounds.items():
        if isinstance(bound := keys.get(key), float):
            whole[key] = to_whole(bound)
    if isinstance(step := keys.get("multipleOf"), float):
        whole["multipleOf"] = Fraction(str(step)).numerator
    return whole


def _of_tuple(keys: Mapping[str, Any]) -> list[Any] | None:
    """The types of a list's items, where each has its own and there are so many."""
    named, beyond = ("prefixItems", "items") if "prefixItems" in keys else ("items", "additionalItems")
    if not isinstance(parts := keys.get(named), list):
        return None
    length = len(cast("list[Any]", parts))
    ends = keys.get(beyond) is False or keys.get("maxItems") == length
    return cast("list[Any]", parts) if ends and keys.get("minItems") == length else None


def _written(value: Any) -> Any:
    """A date that pydantic takes, but no number of seconds, no bytes, and none of pandas' that is missing."""
    is_missing = isinstance(value, datetime.date) and value != value
    if isinstance(value, int | float | bytes) or is_missing or (isinstance(value, str) and _STAMP.fullmatch(value)):
        raise PydanticCustomError("date_type", "Input should be a valid date")
    return value


def _own_date(value: datetime.date) -> datetime.date:
    """Of Python's own type, as which pandas' times, among others, count too."""
    return value if type(value) is datetime.date else datetime.date(value.year, value.month, value.day)


def _own_time(value: datetime.datetime) -> datetime.datetime:
    """So as well, and in a zone of Python's where it was read from a text."""
    zone = own_zone(value.tzinfo)
    if type(value) is datetime.datetime and zone is value.tzinfo:
        return value
    time = value.hour, value.minute, value.second, value.microsecond
    return datetime.datetime(value.year, value.month, value.day, *time, zone, fold=value.fold)


_DATES: dict[str, Any] = {
    "date": Annotated[datetime.date, BeforeValidator(_written), AfterValidator(_own_date)],
    "date-time": Annotated[datetime.datetime, BeforeValidator(_written), AfterValidator(_own_time)],
}
"""What becomes of a text of such a format."""


def _bounded(kind: Any, keys: Mapping[str, Any], names: tuple[str, ...], more: Mapping[str, Any] | None = None) -> Any:
    bounds: dict[str, Any] = {}
    for name in names:
        if isinstance(bound := keys.get(name), int | float):
            bounds[_BOUNDS[name]] = int(bound) if _BOUNDS[name].endswith("_length") else bound
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
    return Annotated[Union[kind, Annotated[kind, BeforeValidator(scalar)]], Field(union_mode="left_to_right")]  # noqa: UP007
