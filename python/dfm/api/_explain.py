"""How is a statement that pydantic refuses explained to the user who wrote it?"""

import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from dfm.api._graph import inside
from dfm.api._references import Advise, Node, PlaceParam

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


def explain(title: str, statement: type[BaseModel], data: dict[str, Any], error: ValidationError) -> str:
    """One sentence for each thing that is wrong with the statement."""
    names = [field.alias or name for name, field in statement.model_fields.items()]
    wrong: dict[str, str] = {}
    for found in error.errors(include_url=False):
        name = str(found["loc"][0]) if found["loc"] else ""
        if name in wrong:
            continue
        if found["type"] == "missing" and len(found["loc"]) == 1:
            wrong[name] = f"{title}: the parameter '{name}' is missing"
        elif found["type"] == "extra_forbidden":
            wrong[name] = _unknown(title, name, names)
        elif any(inside(data[name])) and not isinstance(data[name], Node | PlaceParam | Advise):
            wrong[name] = nested(title, name)
        else:
            field = next(field for key, field in statement.model_fields.items() if name in (key, field.alias))
            wrong[name] = f"{title}: {name} takes {_expected(field.annotation)}, not {_short(data[name])}"
            choices = [argument for argument in get_args(field.annotation) if argument not in _NAMES]
            if any(isinstance(choice, type) and issubclass(choice, BaseModel) for choice in choices):
                wrong[name] += f" ({'.'.join(map(str, found['loc'][2:]))}: {found['msg']})"
    return "\n".join(wrong.values())


def nested(title: str, name: str) -> str:
    """Why a literal that contains nodes is refused."""
    return (
        f"{title}: {name} has a node or a place inside a list or a dictionary, which is not available yet; "
        "give it to an operation as a parameter of its own"
    )


def _unknown(title: str, name: str, names: list[str]) -> str:
    import difflib  # slow to import, and rarely needed

    near = difflib.get_close_matches(name, names, 1)
    if near:
        return f"{title}: there is no parameter '{name}'; did you mean '{near[0]}'?"
    own = [name for name in names if not name.startswith("dfm_")]
    return f"{title}: there is no parameter '{name}'; there are {', '.join(own)}"


def _expected(annotation: Any) -> str:
    options = list(get_args(annotation)) if get_origin(annotation) in (Union, types.UnionType) else [annotation]
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
