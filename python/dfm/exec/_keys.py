"""Which values are the same key of a cache?

The hash depends on a value's type and content alone: not on the process, the platform, a dictionary's or a set's order,
or how an array or a table lies in memory. `1`, `1.0`, `True` and `"1"` are different keys.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import enum
import hashlib
import math
import struct
from collections.abc import Callable
from typing import Any, cast

from dfm import _values


def key_of(parts: tuple[Any, ...]) -> str:
    """The key, in hexadecimal digits, that these values make together.

    Raises:
        TypeError: one of them cannot be part of a key.
    """
    try:
        return _hash(parts).hex()
    except RecursionError:
        raise TypeError("a value that contains itself, or is nested too deeply, cannot be a cache's key") from None


def _hash(value: Any) -> bytes:
    tag, *pieces = _pieces(value)
    digest = hashlib.blake2b(digest_size=32, person=b"dfm cache key 1")
    # Lengths keep pieces apart that would read the same when joined.
    for piece in (tag.encode(), *pieces):
        digest.update(struct.pack("<Q", memoryview(piece).nbytes))
        digest.update(piece)
    return digest.digest()


def _pieces(value: Any) -> tuple[Any, ...]:
    """A tag, and the bytes that tell the value from others with that tag."""
    if value is None or value is True or value is False:
        return (str(value),)
    kind = cast("type[Any]", type(value))
    if (plain := _PLAIN.get(kind)) is not None:
        return plain(value)
    module = kind.__module__.partition(".")[0]
    if (special := _FOREIGN.get(module)) is not None and (pieces := special(value)) is not None:
        return pieces
    if not issubclass(kind, enum.Enum):
        for base in _PLAIN:
            if issubclass(kind, base):
                return _PLAIN[base](value)
    return _reduced(value)


def _reduced(value: Any) -> tuple[Any, ...]:
    name, state = _values.reduce(value)
    if name == "pickle":
        kind = cast("type[Any]", type(value))
        raise TypeError(
            f"a value of type {kind.__module__}.{kind.__qualname__} cannot be a cache's key; use plain data, an array, "
            "a table, an image, a dataclass or a pydantic model"
        )
    if name == "model":  # which of its fields were given is no part of what it is
        path, fields, _, extra, _ = state
        state = [path, fields, extra]
    return name, _hash(state)


def _float(value: float) -> bytes:
    return struct.pack("<d", math.nan if math.isnan(value) else value)


def _pairs(value: dict[Any, Any]) -> tuple[Any, ...]:
    return "dict", *sorted(_hash(key) + _hash(item) for key, item in value.items())


_PLAIN: dict[type[Any], Callable[[Any], tuple[Any, ...]]] = {
    str: lambda value: ("str", value.encode("utf-8", "surrogatepass")),
    int: lambda value: ("int", b"%d" % value),
    float: lambda value: ("float", _float(value)),
    complex: lambda value: ("complex", _float(value.real), _float(value.imag)),
    bytes: lambda value: ("bytes", value),
    bytearray: lambda value: ("bytearray", value),
    memoryview: lambda value: ("memoryview", value.tobytes()),
    list: lambda value: ("list", *map(_hash, value)),
    tuple: lambda value: ("tuple", *map(_hash, value)),
    dict: _pairs,
    set: lambda value: ("set", *sorted(map(_hash, value))),
    frozenset: lambda value: ("frozenset", *sorted(map(_hash, value))),
}


def _numpy(value: Any) -> tuple[Any, ...] | None:
    import numpy

    if not isinstance(value, numpy.generic | numpy.ndarray):
        return None
    tag = "numpy" if isinstance(value, numpy.ndarray) else "numpy-scalar"
    array: Any = numpy.asarray(value)
    if array.dtype.names is not None:  # what lies between the fields is nobody's
        return tag, *(piece for name in array.dtype.names for piece in (_hash(name), _hash(array[name])))
    shape = _hash(array.shape)
    if array.dtype.hasobject:
        return tag, b"object", shape, *map(_hash, array.reshape(-1).tolist())
    array = numpy.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    data: Any = array.reshape(-1).view(numpy.uint8)
    return tag, array.dtype.str.encode(), shape, memoryview(data) if data.size else b""


def _arrow(value: Any) -> tuple[Any, ...] | None:
    import pyarrow

    if isinstance(value, pyarrow.RecordBatch):
        return "arrow-batch", _hash(pyarrow.Table.from_batches([value]))
    if isinstance(value, pyarrow.Table):
        columns = zip(value.schema, value.columns, strict=True)
        return "arrow", *(piece for field, column in columns for piece in (_hash(str(field)), _column(column)))
    return None


def _column(column: Any) -> bytes:
    import pyarrow

    if pyarrow.types.is_primitive(column.type) and not column.null_count:
        return _hash(column.to_numpy())
    return _hash(_cells(column.to_pylist))


def _cells(listed: Callable[[], Any]) -> Any:
    """A column's cells, where Arrow can make them Python's."""
    try:
        return listed()
    except ValueError as error:
        raise TypeError(
            f"a column whose cells have two fields of one name cannot be part of a cache's key: {error}"
        ) from None


def _pandas(value: Any) -> tuple[Any, ...] | None:
    import pandas

    if isinstance(value, pandas.DataFrame | pandas.Series):
        table = value.to_frame() if isinstance(value, pandas.Series) else value
        columns = [_pandas_column(table.iloc[:, at]) for at in range(table.shape[1])]
        head = _pandas_column(table.columns), _pandas_column(table.index), table.attrs
        return type(value).__name__, _hash(head), _hash(columns)
    if isinstance(value, pandas.Index):
        return "pandas-index", _hash(_pandas_column(value))
    return None


def _pandas_column(column: Any) -> list[Any]:
    """The values of a series or an index, their type, and their names."""
    kind: Any = getattr(column, "dtype", None)
    categories = getattr(kind, "categories", None)
    names = list(column.names) if hasattr(column, "names") else column.name
    kept = None if categories is None else [categories.tolist(), kind.ordered]
    storage = getattr(kind, "storage", None)
    # pandas' name of a type of texts does not say how they are held, which what is made of them may have as well.
    told = f"{kind}[{storage}]" if storage == "python" else str(kind)
    return [names, told, kept, _cells(column.tolist)]


def _polars(value: Any) -> tuple[Any, ...] | None:
    import polars

    return ("polars", _hash(value.to_arrow())) if isinstance(value, polars.DataFrame) else None


_FOREIGN: dict[str, Callable[[Any], tuple[Any, ...] | None]] = {
    "numpy": _numpy,
    "pyarrow": _arrow,
    "pandas": _pandas,
    "polars": _polars,
}
"""By top-level package, where the way a value travels says more of it than its content."""
