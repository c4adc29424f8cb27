"""Which values do people pass, and when is one the same as another?

The table of docs/values.md is made of these, and every one of them goes from site to site in tests of both targets.
"""
# pyright: basic, reportMissingImports=false

import array
import collections
import datetime
import decimal
import fractions
import io
import os
import pathlib
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any

import numpy
import pandas
import pyarrow
import scipy.sparse
import xarray
from dfm.api import Pipeline, PlaceParam, Yield
from PIL import Image

TIMES = pandas.date_range("2020-01-31", periods=3, freq="ME", tz="Europe/Berlin")
FRAME = pandas.DataFrame(
    {
        "n": [1, 2, 3],
        "mixed": pandas.Series([1, "a", (None, [2.5])], dtype=object),
        "when": TIMES,
        "bin": pandas.cut([1, 5, 2], [0, 3, 6]),
        "may be": pandas.array([1, None, 3], "Int64"),
        4: ["x", None, "z"],
    },
    index=pandas.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["word", None]),
)
WEATHER = xarray.Dataset(
    {"t": (("x", "time"), numpy.arange(6.0).reshape(2, 3), {"unit": "K"})},
    {"x": ["a", "b"], "time": TIMES.tz_localize(None), "height": ("x", [2, 10])},
    {"source": "a model"},
)
STRUCTURED = numpy.array([(1, 2.5), (3, 4.5)], numpy.dtype([("a", "i1"), ("b", "f8")], align=True))

PLAIN: dict[str, dict[str, list[Any]]] = {
    "Python": {
        "`None`, `bool`, `int`, `float`, `str`, `bytes`, `bytearray`": [
            None,
            True,
            2**200,
            -0.0,
            os.fsdecode(b"a name \xff"),
            b"x" * 5000,
            bytearray(b"y"),
        ],
        "`list`, `tuple`, `dict`, `set`, `frozenset`": [[(1, [2])], {(1, "a"): None, 2: {3}}, frozenset({4})],
        "`complex`, `range`, `slice`, `Ellipsis`, `NotImplemented`": [1 - 2j, range(1, 9, 3), slice(None, 3), ...],
        "`OrderedDict`, `defaultdict`, `Counter`, `deque`": [
            collections.OrderedDict(b=1, a=2),
            collections.defaultdict(list, a=[1]),
            collections.Counter("abra"),
            collections.deque([1, 2], maxlen=3),
        ],
        "`datetime`, `date`, `time`, `timedelta`, `timezone`, `ZoneInfo`": [
            datetime.datetime(2020, 10, 25, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1),
            datetime.datetime(2020, 10, 25, 2, 30, fold=1),
            datetime.date(2020, 2, 29),
            datetime.time(1, 2, 3, 4, datetime.UTC),
            datetime.timedelta(-1, 2, 3),
            datetime.timezone(datetime.timedelta(hours=1), "here"),
            zoneinfo.ZoneInfo("Asia/Tokyo"),
        ],
        "`Decimal`, `Fraction`, `UUID`": [decimal.Decimal("1.50"), fractions.Fraction(1, 3), uuid.UUID(int=5)],
        "`Path`, `PurePosixPath`, `PureWindowsPath`": [pathlib.Path("a/b"), pathlib.PureWindowsPath("c:/a")],
        "`BytesIO`, `array.array`": [array.array("d", [1.5]), io.BytesIO(b"abc")],
        "exceptions of Python's": [ValueError("no", 3), FileNotFoundError(2, "No such file", "a.txt")],
    },
    "NumPy": {
        "`ndarray` of numbers, texts, times, objects, fields (padding and alignment as they were)": [
            numpy.arange(20_000.0).reshape(100, 200),
            numpy.asfortranarray(numpy.arange(6).reshape(2, 3)),
            numpy.zeros((0, 3)),
            numpy.array(["2020-01-01", "NaT"], "M8[D]"),
            numpy.array(["a", "bc"]),
            numpy.array([1, "a", (None,)], object),
            STRUCTURED,
        ],
        "`MaskedArray`, `recarray`, `matrix`": [
            numpy.ma.MaskedArray([1, 2], [False, True], fill_value=9),
            STRUCTURED.view(numpy.recarray),
        ],
        "scalars, `dtype`": [numpy.float32(1.5), numpy.datetime64("NaT"), numpy.str_(""), numpy.dtype("f4")],
    },
    "pandas": {
        "`DataFrame`, with any columns, indexes and names, and its `attrs`": [FRAME, pandas.DataFrame()],
        "`Series`, `Index` and its kinds, arrays such as `Categorical`": [
            FRAME["may be"],
            FRAME.index,
            TIMES,
            pandas.Categorical(["x", "y", None], ordered=True),
        ],
        "`Timestamp`, `Timedelta`, `Period`, `Interval`, `NaT`, `NA`": [
            TIMES[0],
            pandas.Timedelta("1ns"),
            pandas.Period("2020-03", "M"),
            pandas.Interval(0, 1),
            pandas.NaT,
            pandas.NA,
        ],
    },
    "xarray": {
        "`Dataset`, `DataArray`, `Variable`, `DataTree`": [
            WEATHER,
            WEATHER.t,
            WEATHER.t.variable,
            xarray.DataTree.from_dict({"/": WEATHER, "/a": xarray.Dataset({"z": 5})}),
        ],
    },
    "SciPy": {
        "sparse matrices and arrays of each format": [
            scipy.sparse.csr_matrix(numpy.eye(3)),
            scipy.sparse.coo_array(numpy.eye(2)),
        ],
    },
    "PyArrow": {
        "`Table`, `RecordBatch`, `Array`, `ChunkedArray`, `Scalar`, `Schema`, `DataType`": [
            pyarrow.table({"a": [1, None], "b": [["x"], []]}),
            pyarrow.record_batch({"a": pyarrow.array([], pyarrow.int64())}),
            pyarrow.array([1.5, None]),
            pyarrow.scalar("a"),
        ],
    },
    "Pillow": {"`Image` of any mode; what its file said beside the pixels stays behind": [Image.new("RGB", (4, 3), 7)]},
}
"""By package, what a user calls them: some of each."""


def alike(one: Any, other: Any) -> bool:
    """Whether two values are the same, their types and what equality does not see included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple | collections.deque):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict):
        return alike(list(one.items()), list(other.items()))
    for kind, compare in _BY.items():
        if isinstance(one, kind):
            return compare(one, other)
    return repr(one) == repr(other)


def _arrays(one: Any, other: Any) -> bool:
    same = repr(one.dtype) == repr(other.dtype) and one.shape == other.shape and other.flags.writeable
    return same and alike(one.tolist(), other.tolist())


def _frames(one: Any, other: Any) -> bool:
    pandas.testing.assert_frame_equal(one, other, check_freq=True, check_exact=True)
    return one.attrs == other.attrs and alike(one.to_numpy(object).tolist(), other.to_numpy(object).tolist())


_BY: dict[Any, Callable[[Any, Any], bool]] = {
    numpy.ma.MaskedArray: lambda one, other: repr(one) == repr(other) and one.fill_value == other.fill_value,
    numpy.ndarray: _arrays,
    pandas.DataFrame: _frames,
    pandas.Series: lambda one, other: _frames(one.to_frame(), other.to_frame()),
    pandas.Index: lambda one, other: one.identical(other) and one.dtype == other.dtype,
    (xarray.Dataset, xarray.DataArray, xarray.Variable, xarray.DataTree): lambda one, other: one.identical(other),
    scipy.sparse.sparray: lambda one, other: _arrays(one.toarray(), other.toarray()),
    scipy.sparse.spmatrix: lambda one, other: _arrays(one.toarray(), other.toarray()),
    (pyarrow.Table, pyarrow.RecordBatch, pyarrow.Array, pyarrow.Scalar): lambda one, other: one.equals(other),
    Image.Image: lambda one, other: (one.mode, one.size, one.tobytes()) == (other.mode, other.size, other.tobytes()),
    io.BytesIO: lambda one, other: (one.tell(), one.getvalue()) == (other.tell(), other.getvalue()),
    (set, frozenset): lambda one, other: one == other,
    OSError: lambda one, other: (one.args, one.filename) == (other.args, other.filename),
}


def world() -> list[Any]:
    """All of them, and objects of classes of the federation `small`."""
    from small.adapters import Mode, NoValueError, Pair, Reading, Sample

    own = [Mode.READ | Mode.WRITE, Mode(0), Pair(1, (2,)), Sample(2.0, 3.0), Reading(value=1), NoValueError(4, why="x")]
    return [value for of in PLAIN.values() for values in of.values() for value in values] + own


def passed_on(session: Any, fed: Any, value: Any) -> Any:
    """What comes back of a value that goes to a site, from there to another, and from there home."""
    with Pipeline() as pipeline:
        there = fed.Echo(value=PlaceParam(place="x"), site="east")
        Yield(value=fed.Echo(value=there, site="west"))
    return session.run(pipeline, x=value)["yield"][0]


def check(session: Any, fed: Any) -> None:
    """Passes all of them on, and holds what comes back against them."""
    value = world()
    for before, after in zip(value, passed_on(session, fed, value), strict=True):
        assert same(before, after), (before, after)


def same(one: Any, other: Any) -> bool:
    """As `alike`, of objects of the federation's own too."""
    if type(one).__module__ == "small.adapters":
        return (
            type(one) is type(other)
            and str(one) == str(other)
            and getattr(one, "__dict__", 0) == getattr(other, "__dict__", 0)
        )
    return alike(one, other)
