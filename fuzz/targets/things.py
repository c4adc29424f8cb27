"""Whose classes do values of the targets have?"""
# pyright: basic, reportMissingImports=false

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import io
import pathlib
import uuid
import zoneinfo
from typing import Any, NamedTuple

import pydantic


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Bits(enum.Flag):
    ONE = 1
    TWO = 2


@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.5
    sum: float = dataclasses.field(init=False, default=0)


@dataclasses.dataclass(frozen=True, slots=True)
class Named:
    name: str
    at: Point | None = None


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")

    count: int = pydantic.Field(ge=0, alias="Count", default=0)
    of: "list[Model]" = []
    at: datetime.datetime | None = None


class Pair(NamedTuple):
    one: int
    other: str = "x"


class Outer:
    class Inner(enum.IntEnum):
        A = 1


def plain() -> list[Any]:
    """A value of each kind that needs no other package."""
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    return [
        None,
        [True, False, 0, -1, 127, -33, 1 << 40, -(1 << 40), (1 << 64) - 1, 1 << 200, -(1 << 70), 1.5, float("nan")],
        {"a": [1, (2, "x", ())], 5: {"b": b"bytes"}, (1, 2): "tuple", None: 1.0},
        ["text", "\u00e9\U0001f600", b"", b"x" * 5000, bytearray(b"array"), memoryview(b"view")],
        {"set": {1, 2, 3}, "frozen": frozenset({"a"}), "complex": 1 + 2j, "range": range(3, 9, 2)},
        [datetime.datetime(2020, 1, 2, 3, 4, 5, 6), datetime.datetime(2020, 10, 25, 2, 30, tzinfo=zone, fold=1)],
        [
            datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
            datetime.date(2020, 1, 1),
            datetime.time(1, 2, tzinfo=zone),
        ],
        [datetime.timedelta(-1, 2, 3), decimal.Decimal("1.50"), decimal.Decimal("NaN"), fractions.Fraction(-3, 7)],
        [uuid.UUID(int=5), pathlib.PurePosixPath("/a/b")],
        [collections.OrderedDict(a=1), collections.Counter("aab"), collections.deque([1, 2], 5), slice(1, None, 2)],
        [collections.defaultdict(list, a=[1]), array.array("i", [1, 2]), io.BytesIO(b"file"), ..., Pair(1, "y")],
        [ValueError("no", 5), KeyError("k"), OSError(2, "no", "file")],
        [Colour.RED, Bits.ONE, Outer.Inner.A],
        [Point(1, 2.0), Named("n", Point(3))],
        Model(Count=3, of=[Model.model_validate({"Count": 1, "more": "extra"})], at=datetime.datetime(2020, 1, 1)),
    ]


def arrays() -> list[Any]:
    """Arrays of numpy."""
    import numpy

    return [
        numpy.arange(6, dtype="<f8").reshape(2, 3),
        numpy.asfortranarray(numpy.arange(6, dtype=">i2").reshape(2, 3)),
        numpy.array(5, "u1"),
        numpy.zeros((0, 3), "?"),
        numpy.array(["ab", "c"], "U3"),
        numpy.array([b"ab"], "S2"),
        numpy.array(["2020-01-01"], "M8[D]"),
        numpy.array([(1, 2.5, [1, 2])], [("a", "<i4"), ("b", "<f8"), ("c", "<u2", (2,))]),
        numpy.float32(1.5),
        numpy.datetime64("2020-01-01T00:00:00", "us"),
    ]


def tables() -> list[Any]:
    """Tables of Arrow, with columns of all kinds."""
    import pyarrow as pa

    of = pa.array
    strings = of(["a", None, "abc"])
    columns = [
        {"i": of([1, None, 3], pa.int8()), "f": of([1.5, 2.5, None], pa.float64()), "b": of([True, None, False])},
        {"s": strings, "l": of(["x", "y", None], pa.large_string()), "y": of([b"1", b"", None], pa.binary())},
        {"n": of([[1, 2], None, []], pa.list_(pa.int32())), "g": of([[1], [2, 3], None], pa.large_list(pa.int16()))},
        {"d": strings.dictionary_encode(), "m": of([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64()))},
        {"t": of([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}])},
        {"x": of([b"abc", None, b"def"], pa.binary(3)), "z": of([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2))},
        {"w": of([1, 2, None], pa.timestamp("us", "Europe/Berlin")), "c": of([1, 2, 3], pa.date32())},
        {"e": of([1, 2, None], pa.decimal128(10, 2)), "k": of([1, None, 2], pa.duration("s")), "o": pa.nulls(3)},
        {"r": pa.RunEndEncodedArray.from_arrays(of([2, 3], pa.int32()), of(["p", "q"]))},
        {"v": of(["short", "a string that is longer than twelve", None], pa.string_view())},
        {"u": pa.UnionArray.from_dense(of([0, 1, 0], pa.int8()), of([0, 0, 1], pa.int32()), [of([1, 2]), of(["x"])])},
        {"p": pa.UnionArray.from_sparse(of([0, 1, 0], pa.int8()), [of([1, 2, 3]), of(["x", "y", "z"])])},
        {"q": of([[[1], []], [[2, 3]], None], pa.list_(pa.list_(pa.uint8())))},
    ]
    tables = [pa.table(one) for one in columns]
    return [*tables, pa.table({}), pa.concat_tables([tables[0], tables[0].slice(1)]), tables[3].to_batches()[0]]


def images() -> list[Any]:
    """Images of Pillow, in all modes that travel."""
    from PIL import Image

    modes = ("1", "L", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "P", "LA")
    return [Image.new(mode, (9, 2)) for mode in modes]


def frames() -> list[Any]:
    """What pandas, SciPy and xarray have."""
    import numpy
    import pandas
    import scipy.sparse
    import xarray

    when = pandas.date_range("2020-01-01", periods=3, freq="D", tz="Europe/Berlin")
    frame = pandas.DataFrame(
        {
            "i": [1, 2, 3],
            "s": ["a", None, "c"],
            "c": pandas.Categorical(["x", "y", "x"]),
            "n": pandas.array([1, None, 3]),
        },
        index=when,
    )
    levels = pandas.DataFrame(
        {"v": [1.0, 2.0]}, index=pandas.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["k", "l"])
    )
    sparse = pandas.Series(pandas.arrays.SparseArray([0, 0, 1.5]))
    odd = [pandas.Timestamp("2020-01-01", tz="UTC"), pandas.Timedelta("1s"), pandas.Period("2020-01", "M"), pandas.NaT]
    matrix = numpy.array([[0, 1.5], [2, 0]])
    matrices = [scipy.sparse.csr_array(matrix), scipy.sparse.coo_matrix(matrix), scipy.sparse.dia_array(matrix)]
    cells = xarray.DataArray(matrix, dims=("x", "y"), coords={"x": [1, 2]}, name="cells", attrs={"unit": "K"})
    return [
        frame,
        levels,
        frame["c"],
        sparse,
        pandas.IntervalIndex.from_breaks([0, 1, 2]),
        odd,
        *matrices,
        cells,
        cells.to_dataset(),
    ]
