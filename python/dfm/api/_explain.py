"""How is a statement that pydantic refuses explained to the user who wrote it?"""

from __future__ import annotations

import re
import types
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from dfm.api._graph import has_inside
from dfm.api._references import Advise, Node, PlaceParam, Unmade

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NAMES: dict[object, str] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    tuple: "a list",
    dict: "a dictionary",
    bytes: "bytes",
    type(None): "None",
    Node: "another node's result",
    PlaceParam: "a PlaceParam",
    Advise: "Advise()",
}
_BOUNDS = frozenset(
    (
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "multiple_of",
        "finite_number",
        "string_too_short",
        "string_too_long",
        "string_pattern_mismatch",
        "too_short",
        "too_long",
    )
)
"""How pydantic calls it that a value is of the right type, and beyond what the type allows."""


def explain(title: str, statement: type[BaseModel], data: dict[str, Any], error: ValidationError) -> str:
    """One sentence for each thing that is wrong with the statement."""
    names = [field.alias or name for name, field in statement.model_fields.items()]
    found: dict[str, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        found.setdefault(str(details["loc"][0]) if details["loc"] else "", []).append(details)
    wrong: list[str] = []
    for name, errors in found.items():
        kind = errors[0]["type"] if len(errors[0]["loc"]) == 1 else ""
        if kind == "missing":
            wrong.append(f"{title}: the parameter '{name}' is missing")
        elif kind == "extra_forbidden":
            wrong.append(_unknown(title, name, names))
        elif has_inside(data[name]) and not isinstance(data[name], Unmade | Advise):
            wrong.append(f"{title}: {name} takes a literal only, and this value has a node or a place inside")
        else:
            field = next(field for key, field in statement.model_fields.items() if name in (key, field.alias))
            if bounds := _bounds(field.annotation, errors):
                wrong.append(f"{title}: {name} {bounds}, not {_short(data[name])}")
                continue
            within = _within(name, field.annotation, errors) if isinstance(data[name], dict | BaseModel | list) else []
            takes = f"{title}: {name} takes {_expected(field.annotation)}"
            wrong.append(f"{takes}: {'; '.join(within)}" if within else f"{takes}, not {_short(data[name])}")
    return "\n".join(wrong)


def _bounds(annotation: Any, errors: list[ErrorDetails]) -> str:
    """The bounds that a value as a whole is beyond; nothing where it is of another type."""
    deep = 2 if len(_choices(annotation)) > 1 else 1
    beyond = [details for details in errors if details["type"] in _BOUNDS and len(details["loc"]) <= deep]
    # "List should have at most 2 items after validation, not 3"
    texts = (re.sub(r"^\w+ | after validation.*$", "", details["msg"]) for details in beyond)
    return " or ".join(dict.fromkeys(texts))


def _within(name: str, annotation: Any, errors: list[ErrorDetails]) -> list[str]:
    """What is wrong inside a value, at each of its places, for the choice that it comes nearest to."""
    choices = _choices(annotation)
    branches: dict[object, list[ErrorDetails]] = {}
    for details in errors:
        branches.setdefault(details["loc"][1] if len(choices) > 1 and len(details["loc"]) > 1 else "", []).append(
            details
        )
    skipped = 2 if len(choices) > 1 else 1
    inner = [branch for branch in branches.values() if all(len(details["loc"]) > skipped for details in branch)]
    if not inner:
        return []
    nearest = min(inner, key=len)
    model = next(
        (choice for choice in choices if getattr(choice, "__name__", "") == nearest[0]["loc"][skipped - 1]), None
    )
    texts: list[str] = []
    for details in nearest:
        *way, last = (str(step) for step in details["loc"][skipped:])
        place = ".".join([name, *way])
        if details["type"] == "extra_forbidden":
            keys = _keys(model) if not way else []
            there = f"; it has: {', '.join(keys)}" if keys else ""
            texts.append(f"{place} has no key '{last}'{there}")
        elif details["type"] == "missing":
            texts.append(f"{place} needs the key '{last}'")
        else:
            text = details["msg"][:1].lower() + details["msg"][1:]
            texts.append(f"{place}.{last}: {text}, not {_short(details['input'])}")
    return texts


def _choices(annotation: Any) -> list[Any]:
    return list(get_args(annotation)) if get_origin(annotation) in (Union, types.UnionType) else [annotation]


def _keys(model: Any) -> list[str]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return []
    return [str(field.validation_alias or field.alias or name) for name, field in model.model_fields.items()]


def _unknown(title: str, name: str, names: list[str]) -> str:
    import difflib  # slow to import, and rarely needed

    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"{title}: there is no parameter '{name}'; did you mean '{near[0]}'?"
    own = [name for name in names if not name.startswith("dfm_")]
    return f"{title}: there is no parameter '{name}'; there are {', '.join(own)}"


def _expected(annotation: Any) -> str:
    options = _choices(annotation)
    if len(options) > 1:
        options = [option for option in options if option not in (type(None), Advise)]
    texts = list(dict.fromkeys(_type_name(option) for option in options))
    return " or ".join(([", ".join(texts[:-1])] if len(texts) > 1 else []) + texts[-1:])


def _type_name(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return " or ".join(repr(value) for value in get_args(annotation))
    if (origin or annotation) in _NAMES:
        return _NAMES[origin or annotation]
    if origin is not None and hasattr(annotation, "__metadata__"):
        return _type_name(get_args(annotation)[0])
    return str(getattr(annotation, "__name__", annotation))


def _short(value: object) -> str:
    text = repr(value)
    kind = type(value).__name__
    return f"{text if len(text) <= 60 else f'{text[:57]}...'} ({kind})"
