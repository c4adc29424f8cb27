"""What is in a table that leaves, or in a column of one?

Beside its cells there are the categories that they could be, the levels of its index, what its schema says, and what
was laid beside it; all of that travels.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false, reportAttributeAccessIssue=false

from __future__ import annotations

import datetime
import itertools
import json
import sys
from collections.abc import Iterator
from typing import Any, cast

from dfm.exec._looking import Look, beside, labels, look, together

_SCALARS = {"Timestamp", "Timedelta", "Period", "NaTType", "NAType"}
_MASKED = {"boolean": "boolean", "Boolean": "boolean"}
_LABELS = (str, bytes, int, float, bool, tuple, type(None), datetime.date, datetime.timedelta)
"""What a column's label may be and say nothing more than its text."""
_PANDAS = b"pandas"
"""Under which pandas says in a schema what its columns were."""


def look_at(value: Any, kind: type[Any]) -> Look | None:
    """A value of pandas, PyArrow, Polars or GeoPandas; None for what else is in these packages."""
    match kind.__module__.partition(".")[0]:
        case "pandas":
            return _of_pandas(value, kind)
        case "pyarrow":
            return _of_arrow(value, kind)
        case "polars":
            return _of_polars(value, kind)
        case _:
            return _of_geopandas(value, kind)


def counts(value: Any, column: str) -> list[Any] | None:
    """The cells of all columns of a table with this name, of its index too; None if it has none."""
    if type(value).__module__.partition(".")[0] in ("pandas", "geopandas"):
        index = value.index
        found = [index.get_level_values(at) for at, name in enumerate(index.names) if str(name) == column]
        if hasattr(value, "columns"):
            found += [value.iloc[:, at] for at, name in enumerate(value.columns) if column in labels(name)]
        elif column in labels(value.name):
            found.append(value)
    elif type(value).__module__.startswith("pyarrow"):
        found = [one for name, one in zip(value.schema.names, value.columns, strict=True) if name == column]
    else:
        table = value if hasattr(value, "columns") else value.to_frame()
        found = [table[column]] if column in table.columns else []
    return [cell for one in found for cell in one] if found else None


# pandas


def _of_pandas(value: Any, kind: type[Any]) -> Look | None:
    pandas = cast(Any, sys.modules["pandas"])
    match kind.__name__:
        case "DataFrame":
            looks = [_of_array(value.iloc[:, at].array) for at in range(value.shape[1])]
            looks += [_of_index(value.index), _of_labels(value.columns), beside(value.attrs, rows=len(value.attrs))]
            return together("table", looks, rows=len(value))
        case "Series":
            looks = [_of_array(value.array), _of_index(value.index), beside(value.attrs, rows=len(value.attrs))]
            return together("table", looks, labels(value.name), len(value))
        case "Interval":
            return Look("object", parts=[value.left, value.right])
        case name if name in _SCALARS:
            return Look("object")
        case _:
            if isinstance(value, pandas.Index):
                return together("array", [_of_index(value)], rows=len(value))
            if isinstance(value, pandas.api.extensions.ExtensionArray):
                return together("array", [_of_array(value)], rows=len(value))
            return None


def _of_array(array: Any) -> Look:
    """A column's values."""
    dtype = array.dtype
    if type(array).__name__ == "NumpyExtensionArray" or type(dtype).__module__.partition(".")[0] == "numpy":
        return look(array.to_numpy())
    match type(dtype).__name__:
        case "StringDtype":
            return Look(held={"text"})
        case "CategoricalDtype":
            return _of_index(dtype.categories)
        case "DatetimeTZDtype" | "PeriodDtype":
            return Look(held={"number"})
        case "IntervalDtype":
            return together(None, [_of_index(array.left), _of_index(array.right)])
        case "SparseDtype":
            return together(None, [look(array.sp_values), Look(parts=[array.fill_value])])
        case "ArrowDtype":
            return look(array.__arrow_array__())
        case "GeometryDtype":
            return _of_geometries(array)
        case name if hasattr(dtype, "numpy_dtype") and type(dtype).__module__.partition(".")[0] == "pandas":
            return Look(held={_MASKED.get(name.removesuffix("Dtype"), "number")})
        case _:
            return Look(untold=True)


def _of_index(index: Any) -> Look:
    """An index, with all members of its levels, those that no row has too."""
    names = labels(tuple(index.names))
    if type(index).__name__ == "MultiIndex":
        return together(None, map(_of_index, index.levels), names, max(map(len, index.levels), default=0))
    if type(index).__name__ == "RangeIndex":
        return Look(held={"number"}, rows=len(index), names=names)
    return together(None, [_of_array(index.array)], names, len(index))


def _of_labels(columns: Any) -> Look:
    """What columns are called."""
    levels = columns.levels if type(columns).__name__ == "MultiIndex" else [columns]
    kept = [getattr(level.dtype, "categories", level) for level in levels]
    found = [label for level in kept for label in level]
    names = [name for label in found for name in labels(label)]
    odd = [one for one in found if not isinstance(one, _LABELS) and type(one).__module__ not in ("numpy", "pandas")]
    return Look(names=[*names, *labels(tuple(columns.names))], parts=odd)


# GeoPandas


def _of_geopandas(value: Any, kind: type[Any]) -> Look | None:
    pandas = cast(Any, sys.modules["pandas"])
    if kind.__name__ not in ("GeoDataFrame", "GeoSeries"):
        return None
    plain = pandas.DataFrame(value) if kind.__name__ == "GeoDataFrame" else pandas.Series(value)
    return _of_pandas(plain, type(plain))


def _of_geometries(array: Any) -> Look:
    """Geometries, each of which has as many rows as points, and in what system they are."""
    import numpy
    import shapely

    points = shapely.get_num_coordinates(numpy.asarray(array))
    told = [] if array.crs is None else [array.crs.to_json()]
    return Look(held={"object"}, rows=max(map(int, points), default=0), parts=told)


# PyArrow


def _of_arrow(value: Any, kind: type[Any]) -> Look | None:
    pyarrow = cast(Any, sys.modules["pyarrow"])
    if kind.__name__ in ("Table", "RecordBatch"):
        columns = [_of_chunks(one.type, getattr(one, "chunks", [one])) for one in value.columns]
        return together("table", [_of_schema(value.schema), *columns], rows=value.num_rows)
    if isinstance(value, pyarrow.Array | pyarrow.ChunkedArray):
        found = _of_chunks(value.type, getattr(value, "chunks", [value]))
        return together("array", [found], _names_in(value.type), len(value))
    if isinstance(value, pyarrow.Scalar):
        return together("array", [_of_chunks(value.type, [pyarrow.array([value], value.type)])], _names_in(value.type))
    if isinstance(value, pyarrow.Schema):
        return together("array", [_of_schema(value), Look(held={"object"})])
    if isinstance(value, pyarrow.DataType):
        return together("array", [*_said(value), Look(held={"object"})], _names_in(value))
    return None


def _of_chunks(of: Any, chunks: list[Any]) -> Look:
    """A column of this type."""
    pyarrow = cast(Any, sys.modules["pyarrow"])
    types: Any = pyarrow.types
    if hasattr(of, "storage_type"):
        return _of_chunks(of.storage_type, [chunk.storage for chunk in chunks])
    if types.is_dictionary(of):
        dictionaries = [chunk.dictionary for chunk in chunks]
        return together(None, [_of_chunks(of.value_type, dictionaries)], rows=max(map(len, dictionaries), default=0))
    if types.is_run_end_encoded(of):
        return _of_chunks(of.value_type, [chunk.values for chunk in chunks])
    if types.is_nested(of):
        if any(_is_loose(one) for one in _types_in(of)):
            return Look(untold=True)
        return Look(parts=_Cells(chunks))
    if types.is_boolean(of):
        return Look(held={"boolean"})
    if types.is_fixed_size_binary(of) and not types.is_decimal(of):
        return Look(held={"bytes"}, rows=of.byte_width)
    if types.is_binary(of) or types.is_large_binary(of) or types.is_binary_view(of):
        import pyarrow.compute as compute

        views = [chunk.cast(pyarrow.large_binary()) for chunk in chunks]
        longest = [compute.max(compute.binary_length(one)).as_py() or 0 for one in views]
        return Look(held={"bytes"}, rows=max(longest, default=0))
    is_number = types.is_primitive(of) or types.is_decimal(of) or types.is_null(of)
    return Look(held={"number" if is_number else "text"})


class _Cells:
    """The cells of a nested column, made when they are looked at."""

    def __init__(self, chunks: list[Any]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(chunk.to_pylist() for chunk in self._chunks)


def _types_in(of: Any) -> Iterator[Any]:
    yield of
    for at in range(of.num_fields):
        yield from _types_in(of.field(at).type)


def _is_loose(of: Any) -> bool:
    """Whether there may be more in its arrays than their cells have, or two fields of one name."""
    types = cast(Any, sys.modules["pyarrow"]).types
    if types.is_struct(of) and len({of.field(at).name for at in range(of.num_fields)}) < of.num_fields:
        return True
    return types.is_dictionary(of) or types.is_union(of) or "view" in str(of) or hasattr(of, "storage_type")


def _names_in(of: Any) -> list[str]:
    """The names of the fields within a type."""
    if hasattr(of, "storage_type"):
        return _names_in(of.storage_type)
    if hasattr(of, "value_type") and not of.num_fields:
        return _names_in(of.value_type)
    inner = [of.field(at) for at in range(of.num_fields)]
    return [name for one in inner for name in (one.name, *_names_in(one.type))]


def _of_schema(schema: Any) -> Look:
    names = [name for field in schema for name in (field.name, *_names_in(field.type))]
    said = [_of_metadata(schema.metadata), *(one for field in schema for one in _of_field(field))]
    return together(None, said, names)


def _of_field(field: Any) -> list[Look]:
    return [_of_metadata(field.metadata), *_said(field.type)]


def _said(of: Any) -> list[Look]:
    """What the fields within a type have beside them."""
    return [one for at in range(of.num_fields) for one in _of_field(of.field(at))]


def _of_metadata(metadata: Any) -> Look:
    """What a schema or a field has beside it: texts, each under a name."""
    found = Look()
    for key, text in (metadata or {}).items():
        if key == _PANDAS and (told := _of_pandas_metadata(text)) is not None:
            found.names += told.names
            found.parts = [*found.parts, *told.parts]
            continue
        found.names += labels(key)
        # Files of Parquet number their fields so.
        found.parts = [*found.parts, 0 if text.isdigit() and len(text) < _SHORT else text.decode("utf-8", "replace")]
    return found


_SHORT = 10
"""Digits of a number that a file of Parquet has for a field."""


def _of_pandas_metadata(text: bytes) -> Look | None:
    """What pandas says of the columns of a table that was its own, and what lay beside it; None if it is not that."""
    try:
        said = json.loads(text)
        columns = [*said["columns"], *said.get("column_indexes", ())]
        names = [name for one in columns for key in ("name", "field_name") for name in labels(one.get(key))]
        attributes = said.get("attributes") or {}
        more = {key: one for key, one in said.items() if key not in _OF_PANDAS}
        return together(None, [beside(one, rows=len(one)) for one in (attributes, more)], names)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


_OF_PANDAS = {
    "columns",
    "column_indexes",
    "index_columns",
    "attributes",
    "creator",
    "pandas_version",
    "partition_columns",
}
"""The keys of what pandas says."""


# Polars


def _of_polars(value: Any, kind: type[Any]) -> Look | None:
    if kind.__name__ not in ("DataFrame", "Series"):
        return None
    try:
        table = (value if kind.__name__ == "DataFrame" else value.to_frame()).to_arrow()
    except Exception:  # of objects of Python's
        return Look("table", untold=True)
    return _of_arrow(table, type(table))
