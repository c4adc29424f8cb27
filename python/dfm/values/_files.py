"""Which encoding does a type have, and what decodes one with a name?

An encoding of a package's types is in a file of its own, which is read only where one of them is met: on the way out
the package is imported already, on the way in the encoding's name begins with the file's word.
"""

import importlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias, cast

from dfm.values._form import Unsent, malformed

Reduced: TypeAlias = tuple[str, Any]
"""An encoding's name, and the simpler value that its decoder needs."""

_FILES = {
    "numpy": "numpy",
    "pyarrow": "arrow",
    "pandas": "pandas",
    "polars": "polars",
    "PIL": "image",
    "scipy": "scipy",
    "xarray": "xarray",
    "torch": "torch",
    "jax": "jax",
    "jaxlib": "jax",
    "geopandas": "geopandas",
}
"""By a package whose types travel: the word that its encodings' names begin with, as its file's does."""


class _Registered(NamedTuple):
    kind: type[Any]
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


_read: dict[str, ModuleType] = {}
"""The files that have been needed, by their words."""
_by_type: dict[type[Any], str] = {}
_by_name: dict[str, _Registered] = {}


def register(kind: type[Any], encode: Callable[[Any], Any], decode: Callable[[Any], Any], name: str) -> None:
    """As `dfm.values.register`."""
    if "." not in name:
        raise ValueError(f"an encoding's name has a dot, such as 'shapes.Polygon', and {name!r} has none")
    new = _Registered(kind, encode, decode)
    # A module that is imported again, as a notebook does, brings its own class anew.
    if (known := _by_name.get(name)) is not None and _path(known.kind) != _path(kind):
        raise ValueError(f"the encoding {name!r} is that of {_path(known.kind)} already")
    if _by_type.get(kind, name) != name:
        raise ValueError(f"{_path(kind)} has the encoding {_by_type[kind]!r} already")
    _by_type[kind] = name
    _by_name[name] = new


def _path(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def reduced(value: Any) -> Reduced | None:
    """A value of a registered type, or of a package that has a file; None for another.

    Raises:
        Unsent: it is of a package that has a file, and why it does not travel.
    """
    kind = cast("type[Any]", type(value))
    if (name := _by_type.get(kind)) is not None:
        try:
            return name, _by_name[name].encode(value)
        except Exception as error:
            remedy = "have what dfm.values.register was given encode it"
            raise Unsent(f"the encoding {name!r}, which is registered for it, failed", remedy, error) from error
    if (word := _FILES.get(kind.__module__.partition(".")[0])) is None:
        return None
    return _file(word).reduce(value)


def restorer(name: str) -> Callable[[Any], Any] | None:
    """What decodes the encodings of this name; None if there is nothing.

    Raises:
        TypeError: the package that it needs is not installed.
    """
    if (registered := _by_name.get(name)) is not None:
        return registered.decode
    word = name.partition("-")[0]
    if word not in _read:
        package = next((package for package, of in _FILES.items() if of == word), None)
        if package is None:
            return None
        try:
            importlib.import_module(package)
        except ImportError:
            raise malformed(
                TypeError, f"a value of the package '{package}' came, which cannot be imported here; install it"
            ) from None
    return _file(word).RESTORE.get(name)


def place(name: str, value: Any, steps: Sequence[Any]) -> str:
    """What a user calls the part of a value that these steps through its simpler value lead to; empty if nothing."""
    if name in _by_name:
        return ""
    word = name.partition("-")[0]
    if word not in _FILES.values():
        return ""
    where = getattr(_file(word), "WHERE", {}).get(name)
    return "" if where is None else where(value, steps)


def _file(word: str) -> ModuleType:
    if (found := _read.get(word)) is None:
        found = _read[word] = importlib.import_module(f"dfm.values._{word}")
    return found
