"""What is left of a value that still lists what it has no more?

A table without a row still has that row's category, level or text among those that its cells could be, and a masked
array has the numbers under its mask.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false, reportAttributeAccessIssue=false

from __future__ import annotations

import sys
from typing import Any, cast

from dfm.values._hidden import blanked


def without_hidden(value: Any) -> Any:
    """A masked array's elements as an array of NumPy's, in which nothing is left under the mask."""
    numpy = cast(Any, sys.modules["numpy"])
    return blanked(numpy.asarray(value.data), numpy.ma.getmaskarray(value))


def filtered(table: Any, keep: list[bool]) -> Any:
    """The rows of a table that are kept."""
    match type(table).__module__.partition(".")[0]:
        case "pyarrow":
            return table.filter(cast(Any, sys.modules["pyarrow"]).array(keep, "bool"))
        case "pandas":
            return table[cast(Any, sys.modules["numpy"]).array(keep, bool)]
        case _:
            polars = cast(Any, sys.modules["polars"])
            return table.filter(polars.Series(keep, dtype=polars.Boolean))


def used(value: Any) -> Any:
    """A table, or an index of pandas', without the categories, levels and texts that none of its rows has."""
    match type(value).__module__.partition(".")[0]:
        case "pyarrow":
            return _of_arrow(value)
        case "pandas":
            return _of_pandas(value) if hasattr(value, "iloc") else _of_index(value)
        case _:
            return _of_polars(value)


def _of_pandas(value: Any) -> Any:
    made = value.copy(deep=False)
    if not hasattr(value, "columns"):
        array = _of_column(value.array)
        made = made if array is value.array else type(value)(array, index=value.index, name=value.name)
        made.attrs = value.attrs
    for at in range(value.shape[1]) if hasattr(value, "columns") else ():
        array = value.iloc[:, at].array
        if (left := _of_column(array)) is not array:
            made.isetitem(at, left)
    made.index = _of_index(value.index)
    return made


def _of_column(array: Any) -> Any:
    if type(array).__name__ == "Categorical":
        return array.remove_unused_categories()
    if type(array).__name__ == "ArrowExtensionArray":
        chunks = array.__arrow_array__()
        if cast(Any, sys.modules["pyarrow"]).types.is_dictionary(chunks.type):
            return type(array)(_of_chunks(chunks))
    return array


def _of_index(index: Any) -> Any:
    match type(index).__name__:
        case "MultiIndex":
            index = index.remove_unused_levels()
            return index.set_levels([_of_index(level) for level in index.levels], verify_integrity=False)
        case "CategoricalIndex":
            return index.remove_unused_categories()
        case _:
            return index


def _of_arrow(table: Any) -> Any:
    types = cast(Any, sys.modules["pyarrow"]).types
    for at, column in enumerate(table.columns):
        if types.is_dictionary(column.type):
            table = table.set_column(at, table.schema.field(at), _of_chunks(column))
    return table


def _of_chunks(column: Any) -> Any:
    pyarrow = cast(Any, sys.modules["pyarrow"])
    if not hasattr(column, "chunks"):
        return _of_dictionary(column)
    return pyarrow.chunked_array([_of_dictionary(chunk) for chunk in column.chunks], column.type)


def _of_dictionary(array: Any) -> Any:
    """The same texts in their order, and no others."""
    import pyarrow
    import pyarrow.compute as compute

    there = compute.unique(array.indices.drop_null())
    there = there.take(compute.sort_indices(there))
    places = compute.index_in(array.indices, value_set=there).cast(array.indices.type)
    return pyarrow.DictionaryArray.from_arrays(places, array.dictionary.take(there), ordered=array.type.ordered)


def _of_polars(table: Any) -> Any:
    """Its categories are those of the whole process: what is left of them is texts."""
    polars = cast(Any, sys.modules["polars"])
    of = (polars.Categorical, polars.Enum)
    if hasattr(table, "columns"):
        return table.with_columns(
            polars.col(name).cast(polars.String) for name, one in table.schema.items() if one in of
        )
    return table.cast(polars.String) if table.dtype in of else table
