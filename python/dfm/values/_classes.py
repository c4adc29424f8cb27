"""How do objects of the federation's own classes travel, and exceptions?

A class is named, and rebuilt only where its package may be; its constructor and its validators do not run again, so an
object does not depend on how often it has travelled.
"""

import builtins
import dataclasses
import enum
import functools
from collections.abc import Callable, Iterable
from typing import Any, cast

from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_dict, as_list, malformed, one_of, text

_MOST_FLAGS = 64
"""Bits of a combination of flags: each that is met is kept for good."""

Named = Callable[[type[Any]], str]
"""A class's path; raises if it is not found by it."""
Found = Callable[[str], type[Any]]
"""A path's class; raises if it may not be used here."""


def reduced(value: Any, path: Named) -> Reduced | None:
    """An object of a class that is made of named parts; None for another."""
    kind = cast("type[Any]", type(value))
    if issubclass(kind, enum.Enum):
        return _of_enum(value, path)
    if dataclasses.is_dataclass(kind):
        return "dataclass", [
            path(kind),
            _of_fields(value, [field.name for field in dataclasses.fields(cast(Any, kind))]),
        ]
    if hasattr(kind, "__pydantic_fields__"):
        return "model", [path(kind), *_of_model(value)]
    if issubclass(kind, tuple) and _is_named_tuple(cast("type[Any]", kind)):
        if getattr(value, "__dict__", None):
            raise Unsent("a named tuple travels without attributes beside its fields", "return a dataclass")
        return "named-tuple", [path(cast("type[Any]", kind)), dict(zip(cast(Any, kind)._fields, value, strict=True))]
    if issubclass(kind, BaseException):
        return "exception", _of_exception(cast(BaseException, value), path)
    return None


def restored(name: str, state: Any, found: Found) -> Any:
    """The object that `reduced` took apart; `name` is one of `NAMES`."""
    return _RESTORE[name](state, found)


# Models of pydantic


def _of_model(value: Any) -> list[Any]:
    held = cast("dict[str, Any]", vars(value))
    kind: Any = cast("type[Any]", type(value))
    fields = {name: held[name] for name in kind.__pydantic_fields__ if name in held}
    private = value.__pydantic_private__
    if private is not None:
        private = {name: one for name, one in private.items() if type(one).__name__ != "PydanticUndefinedType"}
    return [fields, sorted(value.__pydantic_fields_set__), value.__pydantic_extra__, private]


def _model(state: Any, found: Found) -> Any:
    path, fields, given, extra, private = as_list(state, 5)
    kind: Any = found(text(path))
    if not hasattr(kind, "__pydantic_fields__") or not hasattr(kind, "model_validate"):
        raise malformed(TypeError, f"{path} is not a pydantic model here")
    _check_names(path, as_dict(fields), kind.__pydantic_fields__)
    if extra is not None:
        if kind.model_config.get("extra") != "allow":
            raise malformed(TypeError, f"{path} takes no fields beside its own here")
        _check_extra(kind, as_dict(extra))
    if private is not None:
        _check_names(path, as_dict(private), kind.__private_attributes__)
    if not set(map(text, as_list(given))) <= set(fields) | set(extra or {}):
        raise malformed()
    made: Any = object.__new__(kind)
    for name, one in {
        "__dict__": fields,
        "__pydantic_fields_set__": set(given),
        "__pydantic_extra__": extra,
        "__pydantic_private__": private,
    }.items():
        object.__setattr__(made, name, one)
    return made


# Dataclasses, and what else has attributes


def _of_fields(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """An object's fields, and what it holds beside them; what is computed on demand is computed again."""
    kind = cast("type[Any]", type(value))
    found = {name: getattr(value, name) for name in names if hasattr(value, name)}
    for name, one in getattr(value, "__dict__", {}).items():
        if name not in found and not isinstance(getattr(kind, name, None), functools.cached_property):
            found[name] = one
    return found


def _dataclass(state: Any, found: Found) -> Any:
    path, fields = as_list(state, 2)
    kind = found(text(path))
    if not dataclasses.is_dataclass(kind):
        raise malformed(TypeError, f"{path} is not a dataclass here")
    names = {field.name for field in dataclasses.fields(kind)}
    beside = {name: one for name, one in as_dict(fields).items() if name not in names}
    made: Any = object.__new__(kind)
    if beside:
        if not hasattr(made, "__dict__"):
            raise malformed(TypeError, f"{path} has no field {_shown(next(iter(beside)))} here")
        _check_extra(kind, beside)
    for name, one in fields.items():
        object.__setattr__(made, name, one)
    return made


def _check_names(path: str, given: dict[Any, Any], known: Iterable[str]) -> None:
    if unknown := given.keys() - set(known):
        raise malformed(TypeError, f"{path} has no field {_shown(next(iter(unknown)))} here")


def _check_extra(kind: type[Any], given: dict[Any, Any]) -> None:
    """What a class does not declare may not take the place of what it is made of."""
    for name in given:
        own = getattr(kind, text(name), None)
        if name.startswith("__") or callable(own) or hasattr(own, "__get__"):
            raise malformed(TypeError, f"{kind.__qualname__} cannot be given an attribute {_shown(name)} here")


def _shown(name: Any) -> str:
    return repr(name)[:60]


# Enumerations


def _of_enum(value: enum.Enum, path: Named) -> Reduced:
    kind = type(value)
    if isinstance(value, enum.Flag):
        if not 0 <= value.value < 1 << _MOST_FLAGS:
            raise Unsent(f"flags with more than {_MOST_FLAGS} bits do not travel", "return their value")
        return "flags", [path(kind), value.value]
    if kind.__members__.get(value.name) is not value:
        raise Unsent("it is no member of its enumeration", "return its value")
    return "enum", [path(kind), value.name]


def _enum(state: Any, found: Found) -> Any:
    path, name = as_list(state, 2)
    kind = found(text(path))
    if not issubclass(kind, enum.Enum) or (member := kind.__members__.get(text(name))) is None:
        raise malformed(TypeError, f"{path} is not an enumeration with such a member here")
    return member


def _flags(state: Any, found: Found) -> Any:
    path, bits = as_list(state, 2)
    kind = found(text(path))
    if not issubclass(kind, enum.Flag) or type(bits) is not int or not 0 <= bits < 1 << _MOST_FLAGS:
        raise malformed(TypeError, f"{path} is not an enumeration with such flags here")
    made = kind(bits)
    if made.value != bits:
        raise malformed(TypeError, f"{path} has not all of these flags here")
    return made


# Named tuples


def _is_named_tuple(kind: type[Any]) -> bool:
    return isinstance(getattr(kind, "_fields", None), tuple) and hasattr(kind, "_make")


def _named_tuple(state: Any, found: Found) -> Any:
    path, fields = as_list(state, 2)
    kind = found(text(path))
    if not (issubclass(kind, tuple) and _is_named_tuple(cast(Any, kind))):
        raise malformed(TypeError, f"{path} is not a named tuple here")
    if tuple(as_dict(fields)) != cast(Any, kind)._fields:
        raise malformed(TypeError, f"{path} has other fields here")
    make: Any = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return make(kind, fields.values())


# Exceptions

_OWN = {
    OSError: ("errno", "strerror", "filename", "filename2"),
    ImportError: ("name", "path"),
    NameError: ("name",),
    AttributeError: ("name",),
    StopIteration: ("value",),
}
"""What exceptions of Python's have beside their arguments, and nobody sets again."""
_PUBLIC = "dfm_public"
"""What `harmless` sets: an exception's text is judged where it is raised, not where it comes from."""


def _of_exception(value: BaseException, path: Named) -> list[Any]:
    kind = type(value)
    if not isinstance(value, Exception):
        raise Unsent("it is an exception that ends a program", "return an Exception")
    own = {name: getattr(value, name) for base in _OWN if isinstance(value, base) for name in _OWN[base]}
    return [
        f"builtins:{kind.__name__}" if _is_pythons(kind) else path(kind),
        list(value.args),
        {name: one for name, one in own.items() if one is not None},
        {name: one for name, one in vars(value).items() if name != _PUBLIC},
        value.__cause__,
    ]


def _is_pythons(kind: type[Any]) -> bool:
    return kind.__module__ == "builtins" and getattr(builtins, kind.__name__, None) is kind


def _exception(state: Any, found: Found) -> Any:
    path, args, own, attributes, cause = as_list(state, 5)
    module, _, name = text(path).partition(":")
    kind: Any = getattr(builtins, name, None) if module == "builtins" else found(path)
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise malformed(TypeError, f"{path} is not an exception here")
    if cause is not None and not isinstance(cause, BaseException):
        raise malformed()
    # An exception's own constructor may want what nobody has kept; Python's only keep what they are given.
    base: Any = next(one for one in kind.__mro__ if _is_pythons(one))
    made = base(*as_list(args)) if kind is base else base.__new__(kind, *as_list(args))
    made.args = tuple(args)
    for name, one in as_dict(own).items():
        setattr(made, one_of(name, *(name for known in _OWN if isinstance(made, known) for name in _OWN[known])), one)
    notes = as_dict(attributes).pop("__notes__", None)
    if notes is not None:
        made.__notes__ = list(map(text, as_list(notes)))
    attributes.pop(_PUBLIC, None)
    _check_extra(kind, attributes)
    made.__dict__.update(attributes)
    made.__cause__ = cause
    return made


_RESTORE: dict[str, Callable[[Any, Found], Any]] = {
    "model": _model,
    "dataclass": _dataclass,
    "enum": _enum,
    "flags": _flags,
    "named-tuple": _named_tuple,
    "exception": _exception,
}
NAMES = frozenset(_RESTORE)
"""The encodings' names."""
