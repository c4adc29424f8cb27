"""How do Python's own types travel that are not plain data?"""

from __future__ import annotations

import array
import collections
import datetime
import decimal
import fractions
import io
import pathlib
import uuid
from collections.abc import Callable
from typing import Any, cast

from dfm.values import _times
from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_dict, as_list, fair, malformed, numbers, one_of, text

_MOST_DIGITS = 100_000
"""Of a number that is a fraction or a decimal one: to compute with longer ones takes minutes."""
_FACTORIES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        bool,
        bytes,
        collections.Counter,
        collections.OrderedDict,
        collections.deque,
        dict,
        float,
        int,
        list,
        set,
        str,
        tuple,
    )
}
"""What a `defaultdict` may make of a key that it has not: code of the sender's does not travel."""


def _set(kind: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def rebuild(state: Any) -> Any:
        members = as_list(state)
        fair(members)
        return kind(members)

    return rebuild


_TOO_LONG = f"a fraction or a decimal number of more than {_MOST_DIGITS} digits does not travel"


def _is_long_fraction(*of: int) -> bool:
    return any(number.bit_length() > 4 * _MOST_DIGITS for number in of)


def _is_long_decimal(value: decimal.Decimal) -> bool:
    return value.is_finite() and max(abs(value.adjusted()), len(value.as_tuple().digits)) > _MOST_DIGITS


def _of_fraction(value: fractions.Fraction) -> list[int]:
    if _is_long_fraction(value.numerator, value.denominator):
        raise Unsent(_TOO_LONG, "return value.limit_denominator(), or float(value)")
    return [value.numerator, value.denominator]


def _fraction(state: Any) -> fractions.Fraction:
    found = numbers(state, 2)
    if _is_long_fraction(*found):
        raise malformed(why=_TOO_LONG)
    return fractions.Fraction(*found)


def _of_decimal(value: decimal.Decimal) -> str:
    if _is_long_decimal(value):
        raise Unsent(_TOO_LONG, "round it, or return str(value)")
    return str(value)


def _decimal(state: Any) -> decimal.Decimal:
    if len(text(state)) > _MOST_DIGITS + 32:
        raise malformed(why=_TOO_LONG)
    try:
        value = decimal.Decimal(state)
    except decimal.InvalidOperation:
        raise malformed() from None
    if _is_long_decimal(value):
        raise malformed(why=_TOO_LONG)
    return value


def _uuid(state: Any) -> uuid.UUID:
    if type(state) is not bytes:
        raise malformed()
    return uuid.UUID(bytes=state)


def _of_deque(value: collections.deque[Any]) -> list[Any]:
    return [list(value), value.maxlen]


def _deque(state: Any) -> collections.deque[Any]:
    items, most = as_list(state, 2)
    if most is not None and (type(most) is not int or most < len(as_list(items))):
        raise malformed()
    return collections.deque(as_list(items), most)


def _of_default_dict(value: collections.defaultdict[Any, Any]) -> list[Any]:
    factory: Any = value.default_factory
    name = getattr(factory, "__name__", "")
    if factory is not None and _FACTORIES.get(name) is not factory:
        raise Unsent(
            f"a defaultdict travels with one of {', '.join(sorted(_FACTORIES))} or None as its factory, as others are "
            "code",
            "return dict(value)",
        )
    return [None if factory is None else name, dict(value)]


def _default_dict(state: Any) -> collections.defaultdict[Any, Any]:
    name, items = as_list(state, 2)
    factory = None if name is None else _FACTORIES[one_of(name, *_FACTORIES)]
    return collections.defaultdict(factory, as_dict(items))


def _counter(state: Any) -> collections.Counter[Any]:
    # Its constructor would count, and take no values that are no numbers.
    counted = collections.Counter[Any]()
    dict[Any, Any].update(counted, as_dict(state))
    return counted


def _bytes_io(state: Any) -> io.BytesIO:
    at, content = as_list(state, 2)
    if type(at) is not int or not 0 <= at < 1 << 62 or type(content) is not bytes:
        raise malformed()
    made = io.BytesIO(content)
    made.seek(at)
    return made


def _of_array(value: array.array[Any]) -> list[Any]:
    return [value.typecode, value.itemsize, bytearray(value)]


def _array(state: Any) -> array.array[Any]:
    code, size, content = as_list(state, 3)
    make: Any = array.array
    made = make(one_of(code, *"bBuhHiIlLqQfd"))
    # `l` has another length on other systems, and so has `u`.
    if size != made.itemsize or type(content) is not bytearray or len(content) % made.itemsize:
        raise malformed()
    if code == "u":
        made.extend(make("u", content.decode("utf-32-le")))
    else:
        made.frombytes(content)
    return made


_PURE = {"posix": pathlib.PurePosixPath, "windows": pathlib.PureWindowsPath}


def _pure_path(state: Any) -> pathlib.PurePath:
    flavour, path = as_list(state, 2)
    return _PURE[one_of(flavour, *_PURE)](text(path))


_REDUCE: dict[type[Any], tuple[str, Callable[[Any], Any]]] = {
    set: ("set", list),
    frozenset: ("frozenset", list),
    complex: ("complex", lambda value: [value.real, value.imag]),
    range: ("range", lambda value: [value.start, value.stop, value.step]),
    slice: ("slice", lambda value: [value.start, value.stop, value.step]),
    datetime.datetime: ("datetime", _times.of_time),
    datetime.date: ("date", lambda value: value.isoformat()),
    datetime.time: ("time", _times.of_time),
    datetime.timedelta: ("timedelta", lambda value: [value.days, value.seconds, value.microseconds]),
    datetime.timezone: ("zone", _times.of_zone),
    decimal.Decimal: ("decimal", _of_decimal),
    fractions.Fraction: ("fraction", _of_fraction),
    uuid.UUID: ("uuid", lambda value: value.bytes),
    collections.OrderedDict: ("ordered-dict", dict),
    collections.defaultdict: ("default-dict", _of_default_dict),
    collections.Counter: ("counter", dict),
    collections.deque: ("deque", _of_deque),
    io.BytesIO: ("bytes-io", lambda value: [value.tell(), value.getvalue()]),
    array.array: ("array", _of_array),
    pathlib.PosixPath: ("path", str),
    pathlib.WindowsPath: ("path", str),
    pathlib.PurePosixPath: ("pure-path", lambda value: ["posix", str(value)]),
    pathlib.PureWindowsPath: ("pure-path", lambda value: ["windows", str(value)]),
    type(Ellipsis): ("ellipsis", lambda _: None),
    type(NotImplemented): ("not-implemented", lambda _: None),
}

RESTORE: dict[str, Callable[[Any], Any]] = {
    "set": _set(set),
    "frozenset": _set(frozenset),
    "complex": lambda state: complex(*numbers(state, 2, float)),
    "range": lambda state: range(*numbers(state, 3)),
    "slice": lambda state: slice(*as_list(state, 3)),
    "datetime": lambda state: _times.time(state, datetime.datetime),
    "date": lambda state: datetime.date.fromisoformat(text(state)),
    "time": lambda state: _times.time(state, datetime.time),
    "timedelta": lambda state: datetime.timedelta(*numbers(state, 3)),
    "zone": _times.zone,
    "decimal": _decimal,
    "fraction": _fraction,
    "uuid": _uuid,
    "ordered-dict": lambda state: collections.OrderedDict(as_dict(state)),
    "default-dict": _default_dict,
    "counter": _counter,
    "deque": _deque,
    "bytes-io": _bytes_io,
    "array": _array,
    "path": lambda state: pathlib.Path(text(state)),
    "pure-path": _pure_path,
    "ellipsis": lambda _: ...,
    "not-implemented": lambda _: NotImplemented,
}


def reduced(value: Any) -> Reduced | None:
    """A value of one of these types, exactly; None for another."""
    kind = cast("type[Any]", type(value))
    if (known := _REDUCE.get(kind)) is None:
        if issubclass(kind, datetime.tzinfo) and (state := _times.of_zone(value)) is not None:
            return "zone", state
        return None
    name, simpler = known
    return name, simpler(value)
