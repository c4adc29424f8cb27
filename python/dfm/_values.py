"""How do objects that are not plain data travel between sites?

The native codec carries what JSON knows, bytes, tuples and buffers. Everything else comes here: `reduce` names a
safe way to rebuild the object and the simpler value that it needs; `restore` does it. No name leads to code that the
receiving site has not already configured: classes are rebuilt only from the packages that the site allows.

What arrives may be from somebody who does not mean well. So each of the ways to rebuild something looks at the state
that it is given before it makes anything, and makes nothing that is much larger than what came, or takes long.
"""

import base64
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import importlib
import itertools
import os
import pathlib
import pickle
import re
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, cast

from dfm import _foreign, _native
from dfm._shown import clean_logger
from dfm.errors import LimitError

MAX_VALUE = "DFM_MAX_VALUE"
"""The environment variable with the most bytes that a value may have which a site sends or takes."""
_MAX_VALUE = 1 << 30
"""NVFlare holds a message several times in each process that it passes."""
_LEAST_MAX_VALUE = 1 << 16
_BECOMES = 4
"""A value may become so many times as large in memory as the largest one that a site takes."""
MOST_ELEMENTS = 1 << 20
"""A loop goes through at most so many elements of one sequence, as the engine has it: each costs memory at once."""
_MOST_DIGITS = 100_000
"""Of a number that is a fraction or a decimal one: to compute with longer ones takes minutes."""
_MOST_ALIKE = 64
"""So many members of a set or a dictionary may have the same hash: looking one up tries all of them."""


def harmless(error: Exception) -> Exception:
    """The error of dfm's own, marked as one whose text has nothing of a value but its type and size."""
    error.__dict__["dfm_public"] = True
    return error


class Policy(threading.local):
    """What the site of this thread sends, and takes from others. A thread without a site has the default."""

    def __init__(self, lenient: bool = False, packages: tuple[str, ...] = (), max_value: int = _MAX_VALUE) -> None:
        self.lenient = lenient
        """Whether it takes what Flare's sites refuse: objects without an encoding, as pickles, which run code where
        they are opened; classes of any package; values of any size."""
        self.packages = packages
        """Top-level packages whose pydantic models, dataclasses and enums may be rebuilt here."""
        self.modules: tuple[str, ...] = ()
        """Modules of these packages that may be imported for that, beside those that are imported already."""
        self.max_value = max_value
        """The most bytes of a value."""
        self.doubts: dict[str, str] = {}
        """What Flare's sites would refuse of the value that is being encoded, by what is told once."""
        self.told: set[str] = set()
        """What has been told."""


policy = Policy()

_OUR_OWN = ("dfm.api._tokens", "dfm._answers", "dfm._advice")
"""Modules of dfm whose classes are rebuilt everywhere."""


def set_policy(
    lenient: bool, packages: Iterable[str], modules: Iterable[str] = (), most_bytes: int | None = None
) -> None:
    """Says what the site of this thread takes. `modules` may be imported for a value, as the site's configuration names
    them, and so may the generated ones. No value is larger than `most_bytes`, whatever the environment says.

    Raises:
        ValueError: the environment does not say how large values may be.
    """
    policy.lenient = lenient
    policy.packages = tuple(packages)
    policy.modules = tuple(modules)
    policy.max_value = max_value() if most_bytes is None else min(max_value(), most_bytes)


@contextlib.contextmanager
def acting_for(lenient: bool, packages: tuple[str, ...], modules: tuple[str, ...]) -> Generator[None]:
    """Lets this thread take for a while what a site takes whose own thread is another one."""
    before = vars(policy).copy()
    vars(policy).update(lenient=lenient, packages=packages, modules=modules, doubts={})
    try:
        yield
    finally:
        vars(policy).update(before)


def max_value() -> int:
    """The most bytes that a value may have, as the environment says.

    Raises:
        ValueError: it says something else.
    """
    text = os.environ.get(MAX_VALUE, str(_MAX_VALUE))
    if not text.isdecimal() or int(text) < _LEAST_MAX_VALUE:
        raise ValueError(f"{MAX_VALUE} is a number of bytes from {_LEAST_MAX_VALUE} on, not {text!r}")
    return int(text)


def sent(value: object, size: int) -> str | None:
    """Judges a value that was encoded: what its user should hear of it, once for each type.

    Raises:
        ValueError: it is too large.
    """
    doubts, policy.doubts = policy.doubts, {}
    if size > policy.max_value:
        kind = _name(type(value))
        too_large = _too_large(f"this value, of type {kind}, has {size} bytes")
        if not policy.lenient:
            raise harmless(ValueError(too_large))
        doubts[f"size of {kind}"] = too_large
    return _told(doubts)


def _told(doubts: dict[str, str]) -> str | None:
    new = [text for about, text in doubts.items() if about not in policy.told]
    policy.told.update(doubts)
    if not new:
        return None
    return f"{'; '.join(new)}. Flare's sites refuse that; strict=True, or --strict, makes it an error here"


def received(size: int) -> int | None:
    """Judges a value that has arrived, before it is decoded.

    Returns:
        The most bytes that it may become; None for as many as it likes.

    Raises:
        ValueError: it is too large.
    """
    if policy.lenient:
        return None
    if size > policy.max_value:
        raise harmless(ValueError(_too_large(f"a value of {size} bytes came")))
    return _BECOMES * policy.max_value


def check_growth(size: int) -> None:
    """Judges a part of a value, before it is made.

    Raises:
        ValueError: it would become too large.
    """
    if size > _BECOMES * policy.max_value and not policy.lenient:
        raise harmless(ValueError(_too_large(f"a value came that would become {size} bytes")))


def _too_large(what: str) -> str:
    return f"{what}, and this site takes no more than {policy.max_value}; the environment variable {MAX_VALUE} says so"


def _doubt(kind: type[Any], why: str) -> None:
    if policy.lenient:
        policy.doubts[_name(kind)] = f"a value of type {_name(kind)} {why}"


def _name(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def dumps(value: object) -> bytes:
    """The value as one piece of bytes.

    Raises:
        TypeError, ValueError: what cannot be encoded, and what to do.
    """
    return _native.dumps(value)


def loads(data: bytes) -> Any:
    """The value that `dumps` turned into bytes.

    Raises:
        ValueError, TypeError: what does not fit, or what this process does not accept.
    """
    return _native.loads(data)


def from_text(text: str) -> Any:
    """The value whose bytes a pipeline has as base64.

    Raises:
        ValueError, TypeError: as `loads`.
    """
    data = base64.b64decode(text)
    if policy.lenient:
        policy.lenient = False
        try:
            return loads(data)
        except TypeError as error:
            if (warning := _told({text: str(error)})) is not None:
                clean_logger("dfm.session").warning("a literal of the pipeline: %s", warning)
        finally:
            policy.lenient = True
    return loads(data)


def elements(value: Any) -> list[Any]:
    """A sequence's elements: a table's are its rows as dictionaries, a dictionary's its (key, value) pairs.

    Raises:
        TypeError: the value is no sequence.
        LimitError: it has too many.
    """
    kind = cast("type[Any]", type(value))
    module = kind.__module__.partition(".")[0]
    rows = getattr(value, "num_rows", None) if module == "pyarrow" else None
    if isinstance(rows, int) or hasattr(kind, "__len__"):
        _check_elements(rows if isinstance(rows, int) else len(value))
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value).items())
    if module == "pandas" and hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict("records")
    if module == "polars" and hasattr(value, "to_dicts"):
        return value.to_dicts()
    if module == "pyarrow" and hasattr(value, "to_pylist"):
        return value.to_pylist()
    if isinstance(value, str | bytes | bytearray | memoryview) or hasattr(kind, "__pydantic_fields__"):
        raise harmless(TypeError(f"a ForEach goes through a sequence, and a value of type {kind.__name__} is none"))
    try:
        found = list(itertools.islice(cast("Iterable[Any]", value), MOST_ELEMENTS + 1))
    except TypeError:
        raise harmless(
            TypeError(f"a ForEach goes through a sequence, and a value of type {kind.__name__} is none")
        ) from None
    _check_elements(len(found))
    return found


def _check_elements(count: int) -> None:
    if count > MOST_ELEMENTS:
        raise LimitError(f"a loop goes through at most {MOST_ELEMENTS} elements of one sequence, and this has {count}")


def error_token(errors: list[dict[str, Any]]) -> Any:
    """What stands in a list for an element that failed."""
    from dfm.api import ErrorToken

    for error in errors:
        error["frame"] = error["frame"] and list(error["frame"])
    return ErrorToken.model_validate({"errors": errors})


def reduce(value: Any) -> tuple[str, Any]:
    """A name for `restore`, and a simpler value for it.

    Raises:
        TypeError: the value's type has no encoding.
    """
    kind = cast("type[Any]", type(value))
    if (simple := _SIMPLE.get(kind)) is not None:
        name, to_plain = simple
        return name, to_plain(value)
    module = kind.__module__.partition(".")[0]
    if (special := _foreign.REDUCE.get(module)) is not None and (reduced := special(value)) is not None:
        return reduced
    if module == "dfm" and kind.__name__ == "PickledObject":  # its user asked for it; the receiver still may refuse
        return _pickled(value.value)
    if isinstance(value, enum.Enum):
        return "enum", [_path(kind), value.name]
    if hasattr(kind, "__pydantic_fields__"):
        fields = {name: getattr(value, name) for name in kind.__pydantic_fields__}
        return "model", [_path(kind), fields | (value.__pydantic_extra__ or {})]
    if dataclasses.is_dataclass(kind):
        return "dataclass", [
            _path(kind),
            {field.name: getattr(value, field.name) for field in dataclasses.fields(kind)},
        ]
    if isinstance(value, pathlib.PurePath):
        return "path", str(value)
    if policy.lenient:
        return _pickled(value)
    raise harmless(
        TypeError(
            f"a value of type {_name(kind)} has no encoding that is safe to send; return plain "
            "data, an array, a table, an image, a dataclass or a pydantic model, or allow pickle at the sites concerned"
        )
    )


def restore(name: str, state: Any) -> Any:
    """The object that `reduce` took apart.

    Raises:
        ValueError: no such name.
        TypeError: this process does not accept it.
    """
    if (rebuild := _RESTORE.get(name)) is None:
        raise harmless(ValueError(f"no encoding is called {name!r} here; the other site runs another version of dfm"))
    return rebuild(state)


def _path(kind: type[Any]) -> str:
    if not _is_known(kind.__module__):
        _doubt(kind, "is of a package that is not the federation's")
    return f"{kind.__module__}:{kind.__qualname__}"


def _is_known(module: str) -> bool:
    return module.partition(".")[0] in policy.packages or module in _OUR_OWN


def _class(path: str) -> type[Any]:
    module, _, name = path.partition(":")
    package = module.partition(".")[0]
    if not policy.lenient and not _is_known(module):
        raise harmless(
            TypeError(
                f"this site does not rebuild objects of package '{package}' ({path}); its federation names only "
                f"{', '.join(policy.packages) or 'no packages'}"
            )
        )
    found: Any = _module(module)
    for part in name.split("."):
        # A class is one of its own module's: to go through what that has imported leads anywhere.
        found = vars(found).get(part)
        if not isinstance(found, type):
            raise TypeError(
                f"there is no class {name} in module {module} here; a class that crosses to another site must be in a "
                "module that can be imported there"
            )
        if found.__module__ != module and not policy.lenient:
            raise TypeError(f"this site does not rebuild {path}, which is defined in another module")
    return cast("type[Any]", found)


def _module(name: str) -> Any:
    """A module, which a message's choice alone must not import: it may do things when it is imported."""
    if (found := sys.modules.get(name)) is not None:
        return found
    generated = any(name.startswith(f"{package}.fed.") for package in policy.packages)
    if not (policy.lenient or generated or name in policy.modules or name in _OUR_OWN):
        raise TypeError(
            f"the module {name} is not imported here, and the site's configuration does not name it; import it in the "
            "application, or have the configuration name the class as the type of an operation"
        )
    return importlib.import_module(name)


def modules_of(site: Mapping[str, Any]) -> list[str]:
    """The modules that a site's configuration names, `site` being the content of its `site.json`."""
    parts: list[Any] = [site["impl"], *(provider["impl"] for provider in site["providers"].values())]
    paths = [part["path"] for part in parts if part is not None]
    for binding in site["bindings"]:
        paths += [binding["adapter"]["path"], *binding["models"].values()]
        paths += [path for of in (*binding["types"].values(), binding["returns"]) for path in _classes_in(of)]
    return sorted({path.rpartition(".")[0] for path in paths if "." in path})


def _classes_in(schema: Any) -> Iterator[str]:
    """The paths of the classes that a type names, as `site.json` has it."""
    if isinstance(schema, list):
        for one in cast("list[Any]", schema):
            yield from _classes_in(one)
    elif isinstance(schema, dict):
        keys = cast("dict[str, Any]", schema)
        if isinstance(path := keys.get("class"), str):
            yield path
        for key in ("anyOf", "oneOf", "allOf", "items", "additionalProperties"):
            yield from _classes_in(keys.get(key))


def _pair(state: Any) -> tuple[str, Any]:
    path, rest = _as_list(state, 2)
    return _text(path), rest


def _restore_model(state: Any) -> Any:
    path, fields = _pair(state)
    kind = _class(path)
    if not hasattr(kind, "__pydantic_fields__") or not isinstance(fields, dict):
        raise TypeError(f"{path} is not a pydantic model here")
    return kind.model_validate(fields, by_name=True)


def _restore_dataclass(state: Any) -> Any:
    path, fields = _pair(state)
    kind = _class(path)
    if not dataclasses.is_dataclass(kind) or not isinstance(fields, dict):
        raise TypeError(f"{path} is not a dataclass here")
    inits = {field.name: field.init for field in dataclasses.fields(kind)}
    fields = cast("dict[Any, Any]", fields)
    if unknown := fields.keys() - inits.keys():
        raise TypeError(f"{path} has no field {next(iter(unknown))!r} here")
    made = kind(**{name: value for name, value in fields.items() if inits[name]})
    for name, value in fields.items():
        if not inits[name]:
            object.__setattr__(made, name, value)
    return made


def _restore_enum(state: Any) -> Any:
    path, member = _pair(state)
    kind = _class(path)
    if not issubclass(kind, enum.Enum) or not isinstance(member, str):
        raise TypeError(f"{path} is not an enumeration here")
    return kind[member]


def _pickled(value: Any) -> tuple[str, Any]:
    buffers: list[pickle.PickleBuffer] = []
    kind = cast("type[Any]", type(value))
    _doubt(kind, "has no encoding but as a pickle")
    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    except Exception as error:
        raise TypeError(f"a value of type {_name(kind)} cannot be sent: {error}") from None
    return "pickle", [data, [memoryview(buffer.raw()) for buffer in buffers]]


def _restore_pickle(state: Any) -> Any:
    if not policy.lenient:
        raise harmless(TypeError("this site does not accept pickled objects"))
    return pickle.loads(state[0], buffers=state[1])


def _time_with_zone(value: datetime.datetime | datetime.time) -> Any:
    zone = getattr(value.tzinfo, "key", None)
    return [value.replace(tzinfo=None).isoformat(), zone, value.fold] if zone else value.isoformat()


def _restore_time(kind: type[Any]) -> Callable[[Any], Any]:
    def rebuild(state: Any) -> Any:
        if isinstance(state, str):
            return kind.fromisoformat(state)
        import zoneinfo

        text, zone, fold = cast("list[Any]", state)
        if not isinstance(zone, str) or not _ZONE.fullmatch(zone):
            raise ValueError("a time zone is a name such as Europe/Berlin")
        return kind.fromisoformat(text).replace(tzinfo=zoneinfo.ZoneInfo(zone), fold=fold)

    return rebuild


_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}")


def _as_list(state: Any, length: int | None = None) -> list[Any]:
    if not isinstance(state, list) or (length is not None and len(cast("list[Any]", state)) != length):
        raise ValueError("an object's encoding is not of its form")
    return cast("list[Any]", state)


def fair(keys: Iterable[Any]) -> None:
    """Judges what becomes the members of a set, or the keys of a dictionary, before that.

    Raises:
        ValueError: so many of them have the same hash that to look one up would take as long as to look at all.
    """
    alike = collections.Counter(map(hash, keys)).most_common(1)
    if alike and alike[0][1] > _MOST_ALIKE:
        raise ValueError("a set or a dictionary came whose members were chosen to be slow to look up")


def _restore_set(kind: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def rebuild(state: Any) -> Any:
        members = _as_list(state)
        fair(members)
        return kind(members)

    return rebuild


def _numbers(state: Any, length: int, kind: type[Any] = int) -> list[Any]:
    """So many numbers, and nothing that a constructor would take for something else."""
    numbers = _as_list(state, length)
    if any(type(number) is not kind for number in numbers):
        raise ValueError("an object's encoding is not of its form")
    return numbers


def _fraction(value: fractions.Fraction) -> list[int]:
    _check_digits(value.numerator, value.denominator)
    return [value.numerator, value.denominator]


def _check_digits(*numbers: int) -> None:
    if any(number.bit_length() > 4 * _MOST_DIGITS for number in numbers):
        raise ValueError(f"a fraction or a decimal number of more than {_MOST_DIGITS} digits does not travel")


def _restore_fraction(state: Any) -> fractions.Fraction:
    numbers = _numbers(state, 2)
    _check_digits(*numbers)
    return fractions.Fraction(*numbers)


def _decimal(value: decimal.Decimal) -> str:
    if value.is_finite() and (abs(value.adjusted()) > _MOST_DIGITS or len(value.as_tuple().digits) > _MOST_DIGITS):
        raise ValueError(f"a fraction or a decimal number of more than {_MOST_DIGITS} digits does not travel")
    return str(value)


def _restore_decimal(state: Any) -> decimal.Decimal:
    text = _text(state)
    if len(text) > _MOST_DIGITS + 32:
        raise ValueError(f"a fraction or a decimal number of more than {_MOST_DIGITS} digits does not travel")
    value = decimal.Decimal(text)
    _decimal(value)
    return value


def _text(state: Any) -> str:
    if not isinstance(state, str):
        raise ValueError("an object's encoding is not of its form")
    return state


def _restore_uuid(state: Any) -> uuid.UUID:
    if not isinstance(state, bytes):
        raise ValueError("an object's encoding is not of its form")
    return uuid.UUID(bytes=state)


def _span(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


_SIMPLE: dict[type[Any], tuple[str, Callable[[Any], Any]]] = {
    set: ("set", list),
    frozenset: ("frozenset", list),
    complex: ("complex", lambda value: [value.real, value.imag]),
    range: ("range", lambda value: [value.start, value.stop, value.step]),
    datetime.datetime: ("datetime", _time_with_zone),
    datetime.date: ("date", lambda value: value.isoformat()),
    datetime.time: ("time", _time_with_zone),
    datetime.timedelta: ("timedelta", _span),
    decimal.Decimal: ("decimal", _decimal),
    fractions.Fraction: ("fraction", _fraction),
    uuid.UUID: ("uuid", lambda value: value.bytes),
}

_RESTORE: dict[str, Callable[[Any], Any]] = {
    "set": _restore_set(set),
    "frozenset": _restore_set(frozenset),
    "complex": lambda state: complex(*_numbers(state, 2, float)),
    "range": lambda state: range(*_numbers(state, 3)),
    "datetime": _restore_time(datetime.datetime),
    "date": lambda state: datetime.date.fromisoformat(_text(state)),
    "time": _restore_time(datetime.time),
    "timedelta": lambda state: datetime.timedelta(*_numbers(state, 3)),
    "decimal": _restore_decimal,
    "fraction": _restore_fraction,
    "uuid": _restore_uuid,
    "path": lambda state: pathlib.Path(_text(state)),
    "enum": _restore_enum,
    "model": _restore_model,
    "dataclass": _restore_dataclass,
    "pickle": _restore_pickle,
    **_foreign.RESTORE,
}
