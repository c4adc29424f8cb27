"""How do pandas' frames, series, indexes and scalars travel?

Column by column, each as its own kind of array, so that a name, a null, a unit or a category is what it was. Columns of
one type of NumPy's travel together: many small parts cost more than one large one.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy
import pandas
from pandas.tseries.frequencies import to_offset

from dfm import _values
from dfm.values import _times
from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_dict, as_list, fair, malformed, numbers, one_of, text

_ALONE = 1 << 20
"""A column of so many bytes travels by itself, without a copy that brings it together with others."""
_MOST_ALONE = 32
_FEW = 256
"""So many texts travel one by one: Arrow's stream of them takes longer to make, and to look at."""


def reduce(value: Any) -> Reduced | None:
    """A value of one of pandas' types, exactly; None for another."""
    kind: type[Any] = type(value)
    if kind is pandas.DataFrame:
        return "pandas-frame", of_frame(value)
    if kind is pandas.Series:
        try:
            hash(value.name)
        except TypeError:
            raise Unsent("its name has no hash", "use rename(None)") from None
        return "pandas-series", [_of_column(value.array), _of_index(value.index), value.name, *_beside(value)]
    if isinstance(value, pandas.Index) and kind.__module__.partition(".")[0] == "pandas":
        return "pandas-index", _of_index(value)
    if kind is pandas.Timestamp:
        return "pandas-timestamp", [value.to_datetime64(), _times.of_zone(value.tzinfo)]
    if kind is pandas.Timedelta:
        return "pandas-timedelta", value.to_timedelta64()
    if kind is pandas.Period:
        return "pandas-period", [value.ordinal, value.freq.freqstr]
    if kind is pandas.Interval:
        return "pandas-interval", [value.left, value.right, value.closed]
    if value is pandas.NaT:
        return "pandas-nat", None
    if value is pandas.NA:
        return "pandas-na", None
    if isinstance(value, pandas.api.extensions.ExtensionArray):
        return "pandas-array", _of_column(value)
    return None


# Frames and series


def of_frame(value: Any) -> list[Any]:
    """A frame's columns' index, its index, its columns, and what it says of itself."""
    groups = [[positions, _of_group(value, positions)] for positions in _groups(value)]
    return [_of_index(value.columns), _of_index(value.index), groups, *_beside(value)]


def _groups(frame: Any) -> list[list[int]]:
    """The columns' positions, those together that travel as one array."""
    groups: list[list[int]] = []
    together: dict[Any, list[int]] = {}
    alone = 0
    for at, dtype in enumerate(frame.dtypes):
        if not isinstance(dtype, numpy.dtype) or dtype.hasobject:
            groups.append([at])
        elif dtype.itemsize * len(frame) >= _ALONE and alone < _MOST_ALONE:
            alone += 1
            groups.append([at])
        elif dtype in together:
            together[dtype].append(at)
        else:
            groups.append(together.setdefault(dtype, [at]))
    return groups


def _of_group(frame: Any, positions: list[int]) -> Any:
    if len(positions) == 1:
        at = positions[0]
        try:
            return _of_column(frame.iloc[:, at].array)
        except Unsent as why:
            column = f"the column [{_values.shown_key(frame.columns[at])}]"
            raise Unsent(f"{column}: {why}", why.remedy, why.cause) from None
    made = numpy.empty((len(positions), len(frame)), frame.dtypes.iloc[positions[0]])
    for row, at in enumerate(positions):
        made[row] = frame.iloc[:, at].to_numpy()
    return made


def _beside(value: Any) -> list[Any]:
    return [dict(value.attrs), value.flags.allows_duplicate_labels]


def frame_of(state: Any) -> Any:
    """The frame that `of_frame` took apart."""
    columns, index, groups, attrs, duplicates = as_list(state, 5)
    columns, index = _index(columns), _index(index)
    made: dict[int, Any] = {}
    for group in as_list(groups):
        positions, form = as_list(group, 2)
        if len(numbers(positions)) == 1:
            parts = [_column(form)]
        elif type(form) is numpy.ndarray and form.ndim == 2:
            parts = list(form)
        else:
            raise malformed()
        if len(parts) != len(positions) or any(len(part) != len(index) for part in parts):
            raise malformed()
        made |= dict(zip(positions, parts, strict=True))
    if made.keys() != set(range(len(columns))):
        raise malformed()
    held = {at: _held(made[at], index) for at in range(len(columns))}
    frame = pandas.DataFrame(held, index=index, copy=False)
    frame.columns = columns
    return _said(frame, attrs, duplicates)


def _held(part: Any, index: Any) -> Any:
    """A column's values as they are: pandas would guess a type for objects."""
    is_object = isinstance(part.dtype, numpy.dtype) and part.dtype.hasobject
    return pandas.Series(part, index=index, dtype=object, copy=False) if is_object else part


def _said(made: Any, attrs: Any, duplicates: Any) -> Any:
    made.attrs = as_dict(attrs)
    if not one_of(duplicates, True, False):
        made.flags.allows_duplicate_labels = False
    return made


def _series(state: Any) -> Any:
    column, index, name, attrs, duplicates = as_list(state, 5)
    array, index = _column(column), _index(index)
    if len(array) != len(index):
        raise malformed()
    made = pandas.Series(_held(array, index), index=index, name=_hashed(name), copy=False)
    return _said(made, attrs, duplicates)


def _hashed(name: Any) -> Any:
    hash(name)
    return name


def _where_frame(value: Any, steps: Sequence[Any]) -> str:
    if steps[:1] == [0]:
        return ".columns"
    if steps[:1] == [1]:
        return ".index"
    if steps[:1] == [3]:
        return ".attrs"
    positions = _groups(value)[steps[1]]
    return f"[{_values.shown_key(value.columns[positions[0]])}]"


# Columns


def _of_column(array: Any) -> Any:
    """A column's values: an array of NumPy's, or a form of an extension's."""
    dtype = array.dtype
    if isinstance(dtype, numpy.dtype) or type(array) is pandas.arrays.NumpyExtensionArray:
        return array.to_numpy()
    match dtype:
        case pandas.StringDtype():
            missing = "nan" if dtype.na_value is not pandas.NA else "NA"
            if dtype.storage == "pyarrow" and len(array) > _FEW:
                return ["texts", dtype.storage, missing, array.__arrow_array__()]
            gone = array.isna()
            cells = [None if none else text for text, none in zip(array, gone, strict=True)]
            return ["texts", dtype.storage, missing, cells]
        case pandas.CategoricalDtype():
            return ["categories", numpy.asarray(array.codes), _of_index(dtype.categories), dtype.ordered]
        case pandas.DatetimeTZDtype():
            return ["times", array.tz_convert("UTC").tz_localize(None).to_numpy(), _times.of_zone(dtype.tz)]
        case pandas.PeriodDtype():
            return ["periods", array.asi8, dtype.freq.freqstr]
        case pandas.IntervalDtype():
            return ["intervals", _of_index(array.left), _of_index(array.right), array.closed]
        case pandas.SparseDtype():
            return ["sparse", array.sp_values, array.sp_index.indices, len(array), array.fill_value]
        case pandas.ArrowDtype():
            return ["arrow", array.__arrow_array__()]
        case _ if type(dtype).__name__ in _MASKED and type(dtype).__module__.partition(".")[0] == "pandas":
            values = array.to_numpy(dtype.numpy_dtype, na_value=dtype.numpy_dtype.type(0))
            return ["masked", dtype.name, values, array.isna()]
        case _:
            raise Unsent(
                f"it has the type {type(dtype).__name__}", "use astype with one of NumPy's, Arrow's or pandas' own"
            )


_MASKED = {
    f"{kind}Dtype"
    for kind in (
        "Boolean",
        "Float32",
        "Float64",
        *(f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)),
    )
}


def _column(form: Any) -> Any:
    """The array that `_of_column` took apart."""
    if type(form) is numpy.ndarray:
        if form.ndim != 1:
            raise malformed()
        return form
    if type(form) is not list or not form:
        raise malformed()
    name, *state = cast("list[Any]", form)
    if (make := _COLUMNS.get(text(name))) is None:
        raise malformed()
    return make(state)


def _texts(state: list[Any]) -> Any:
    storage, missing, cells = as_list(state, 3)
    na: Any = numpy.nan if one_of(missing, "nan", "NA") == "nan" else pandas.NA
    dtype = pandas.StringDtype(one_of(storage, "python", "pyarrow"), na_value=na)
    if type(cells) is not list:
        return pandas.array(_chunks_of_texts(cells), dtype=dtype)
    if any(cell is not None and type(cell) is not str for cell in cells):
        raise malformed()
    found = numpy.empty(len(cells), object)
    found[:] = [na if cell is None else cell for cell in cells]
    return pandas.array(found, dtype=dtype)


def _chunks_of_texts(state: Any) -> Any:
    import pyarrow

    if not isinstance(state, pyarrow.Array | pyarrow.ChunkedArray):
        raise malformed()
    if not (pyarrow.types.is_large_string(state.type) or pyarrow.types.is_string(state.type)):
        raise malformed()
    return state


def _categories(state: list[Any]) -> Any:
    codes, categories, ordered = as_list(state, 3)
    one_of(ordered, True, False)
    return pandas.Categorical.from_codes(_integers(codes), _index(categories), ordered=ordered)


def _times_of(state: list[Any]) -> Any:
    moments, zone = as_list(state, 2)
    if type(moments) is not numpy.ndarray or moments.dtype.kind != "M" or moments.ndim != 1:
        raise malformed()
    return pandas.DatetimeIndex(moments).tz_localize("UTC").tz_convert(_times.zone(zone)).array


def _periods(state: list[Any]) -> Any:
    ordinals, frequency = as_list(state, 2)
    dtype = pandas.PeriodDtype(_frequency(frequency))
    return pandas.arrays.PeriodArray(_integers(ordinals, "i8"), dtype=dtype)


def _intervals(state: list[Any]) -> Any:
    left, right, closed = as_list(state, 3)
    one_of(closed, "left", "right", "both", "neither")
    return pandas.arrays.IntervalArray.from_arrays(_index(left), _index(right), closed)


def _sparse(state: list[Any]) -> Any:
    values, indices, length, fill = as_list(state, 4)
    if type(values) is not numpy.ndarray or values.ndim != 1 or values.dtype.hasobject:
        raise malformed()
    if type(length) is not int or length < 0:
        raise malformed()
    _values.check_growth(values.dtype.itemsize * length)
    places = _integers(indices, "i4")
    # Its own check is of what it needs itself, and not that places are in order.
    if (
        len(places) != len(values)
        or (numpy.diff(places) <= 0).any()
        or (len(places) and not 0 <= places[0] <= places[-1] < length)
    ):
        raise malformed()
    return pandas.arrays.SparseArray.from_indices(values, places, length, fill_value=fill)


def _arrow(state: list[Any]) -> Any:
    (chunks,) = as_list(state, 1)
    import pyarrow

    if not isinstance(chunks, pyarrow.Array | pyarrow.ChunkedArray):
        raise malformed()
    return pandas.arrays.ArrowExtensionArray(chunks)


def _masked(state: list[Any]) -> Any:
    name, values, mask = as_list(state, 3)
    dtype = pandas.api.types.pandas_dtype(one_of(name, *(_masked_names())))
    if any(type(one) is not numpy.ndarray or one.ndim != 1 for one in (values, mask)):
        raise malformed()
    if values.dtype != dtype.numpy_dtype or mask.dtype != bool or len(values) != len(mask):
        raise malformed()
    return dtype.construct_array_type()(values, mask)


def _masked_names() -> list[str]:
    return [name.removesuffix("Dtype") if name != "BooleanDtype" else "boolean" for name in sorted(_MASKED)]


def _integers(state: Any, kind: str = "") -> Any:
    if type(state) is not numpy.ndarray or state.ndim != 1 or state.dtype.kind != "i":
        raise malformed()
    if kind and state.dtype != numpy.dtype(kind):
        raise malformed()
    return state


_COLUMNS: dict[str, Callable[[list[Any]], Any]] = {
    "texts": _texts,
    "categories": _categories,
    "times": _times_of,
    "periods": _periods,
    "intervals": _intervals,
    "sparse": _sparse,
    "arrow": _arrow,
    "masked": _masked,
}


# Indexes


def _of_index(index: Any) -> list[Any]:
    """An index's kind, its names, and what it is of."""
    if isinstance(index, pandas.MultiIndex):
        levels = [_of_index(level) for level in index.levels]
        return ["levels", list(index.names), levels, [numpy.asarray(codes) for codes in index.codes]]
    if isinstance(index, pandas.RangeIndex):
        return ["range", index.name, index.start, index.stop, index.step]
    if isinstance(index.dtype, numpy.dtype) and index.dtype.hasobject:
        try:
            fair(index)
        except TypeError:
            raise Unsent("an index has members that have no hash", "use reset_index()") from None
    frequency = (
        getattr(index, "freq", None) if isinstance(index, pandas.DatetimeIndex | pandas.TimedeltaIndex) else None
    )
    if frequency is not None and to_offset(frequency.freqstr) != frequency:
        raise Unsent(
            f"an index has a frequency of type {type(frequency).__name__}, which has no name", "set its freq to None"
        )
    return ["of", index.name, _of_column(index.array), frequency and frequency.freqstr]


def _index(state: Any) -> Any:
    """The index that `_of_index` took apart."""
    if type(state) is not list or not state:
        raise malformed()
    kind, name, *rest = cast("list[Any]", state)
    if kind == "range":
        start, stop, step = numbers(rest, 3)
        if step == 0:
            raise malformed()
        _values.check_growth(8 * len(range(start, stop, step)))
        return pandas.RangeIndex(start, stop, step, name=_hashed(name))
    if kind == "levels":
        levels, codes = as_list(rest, 2)
        names = [_hashed(one) for one in as_list(name)]
        made = [_index(level) for level in as_list(levels)]
        found = [_integers(one) for one in as_list(codes)]
        if not made or not len(made) == len(found) == len(names):
            raise malformed()
        return pandas.MultiIndex(made, found, names=names, verify_integrity=True)
    if kind != "of":
        raise malformed()
    form, frequency = as_list(rest, 2)
    column = _column(form)
    # An index looks its values up, whatever they are.
    if isinstance(column, numpy.ndarray) and column.dtype.hasobject:
        fair(column)
    if frequency is not None:
        column = pandas.Index(column, copy=False)
        if not isinstance(column, pandas.DatetimeIndex | pandas.TimedeltaIndex):
            raise malformed()
        return type(column)(column, freq=_frequency(frequency), name=_hashed(name))
    dtype = column.dtype if isinstance(column, numpy.ndarray) and column.dtype.hasobject else None
    return pandas.Index(column, dtype=dtype, name=_hashed(name), copy=False, tupleize_cols=False)


def _frequency(state: Any) -> Any:
    if len(text(state)) > 64:
        raise malformed()
    return to_offset(state)


# Scalars


def _timestamp(state: Any) -> Any:
    moment, zone = as_list(state, 2)
    if type(moment) is not numpy.datetime64:
        raise malformed()
    made = pandas.Timestamp(moment)
    return made if zone is None else made.tz_localize("UTC").tz_convert(_times.zone(zone))


def _timedelta(state: Any) -> Any:
    if type(state) is not numpy.timedelta64:
        raise malformed()
    return pandas.Timedelta(state)


def _period(state: Any) -> Any:
    ordinal, frequency = as_list(state, 2)
    return pandas.Period(ordinal=numbers([ordinal])[0], freq=_frequency(frequency))


def _interval(state: Any) -> Any:
    left, right, closed = as_list(state, 3)
    return pandas.Interval(left, right, one_of(closed, "left", "right", "both", "neither"))


def _array(state: Any) -> Any:
    column = _column(state)
    return pandas.arrays.NumpyExtensionArray(column) if type(column) is numpy.ndarray else column


RESTORE: dict[str, Callable[[Any], Any]] = {
    "pandas-frame": frame_of,
    "pandas-series": _series,
    "pandas-index": _index,
    "pandas-array": _array,
    "pandas-timestamp": _timestamp,
    "pandas-timedelta": _timedelta,
    "pandas-period": _period,
    "pandas-interval": _interval,
    "pandas-nat": lambda _: pandas.NaT,
    "pandas-na": lambda _: pandas.NA,
}

WHERE: dict[str, Callable[[Any, Sequence[Any]], str]] = {"pandas-frame": _where_frame}
