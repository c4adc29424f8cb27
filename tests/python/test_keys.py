"""Do different values make different keys of a cache, and equal ones the same, however they came about?"""
# pyright: basic, reportMissingImports=false

import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
import zoneinfo
from collections import OrderedDict

import numpy
import pyarrow
import pytest
from dfm.exec._keys import key_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel


class Station(BaseModel):
    name: str
    height: float = 0.0


class Town(BaseModel):
    name: str
    height: float = 0.0


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    ONE = 1


UTC = datetime.UTC
NOON = datetime.datetime(2026, 1, 2, 12)
PADDED = numpy.dtype({"names": ["a", "b"], "formats": ["u1", "<u4"], "offsets": [0, 4], "itemsize": 8})


def different():
    """Values of which each has a key of its own."""
    yield from (None, True, False, 0, 1, 1.0, -1, "1", b"1", bytearray(b"1"), 2**70, 0.1, float("inf"), 1j, "", b"")
    yield from ([], (), {}, set(), frozenset(), [1], (1,), [[1]], [1, 2], [12], ["1", "2"], ["12"], {1}, frozenset({1}))
    yield from ({"a": 1}, {"a": "1"}, {1: "a"}, {"a": 1, "b": 2}, {"a": 2, "b": 1}, {"a": {"b": 1}}, range(3))
    yield from (NOON, NOON.date(), NOON.time(), NOON.replace(tzinfo=UTC), datetime.timedelta(hours=12), "2026-01-02")
    yield from (NOON.replace(tzinfo=zoneinfo.ZoneInfo(name)) for name in ("Europe/Paris", "Europe/Berlin"))
    yield from (decimal.Decimal("1"), decimal.Decimal("1.0"), fractions.Fraction(1), uuid.UUID(int=1))
    yield from (pathlib.PurePosixPath("a"), Colour.RED, Colour.BLUE, Level.ONE, Point(1, 2), Point(2, 1))
    yield from (Station(name="a"), Station(name="a", height=1), Town(name="a"), {"name": "a", "height": 0.0})
    for kind in ("i1", "<i4", "<i8", "<u8", "<f4", "<f8", "<c16", "?", "<U1", "S1", "<M8[D]", "<m8[s]"):
        yield numpy.array([1, 0]).astype(kind)
        yield numpy.array([1, 0]).astype(kind)[0]
    yield from (numpy.arange(6.0), numpy.arange(6.0).reshape(2, 3), numpy.arange(6.0).reshape(3, 2), numpy.zeros(0))
    yield from (numpy.array(1.0), numpy.array([None, "a"]), numpy.array(["a", None]), numpy.zeros(2, PADDED))
    yield from (pyarrow.table({"x": [1, 2]}), pyarrow.table({"y": [1, 2]}), pyarrow.table({"x": [1, None]}))
    yield from (pyarrow.table({"x": [1.0, 2.0]}), pyarrow.table({"x": ["1", "2"]}), pyarrow.table({"x": [[1], [2]]}))
    yield from (
        Image.new("RGB", (2, 1)),
        Image.new("RGB", (1, 2)),
        Image.new("L", (2, 1)),
        Image.new("RGB", (2, 1), "red"),
    )


def all_keys():
    return [key_of((value,)) for value in different()]


def same():
    """Pairs of values that have one key."""
    yield {"a": 1, "b": 2}, {"b": 2, "a": 1}
    yield {"a": 1}, OrderedDict(a=1)
    yield set("abcdef"), set("fedcba")
    yield float("nan"), -float("nan")
    yield Station(name="a", height=0), Station(name="a")
    numbers = numpy.arange(12.0).reshape(3, 4)
    yield numbers, numpy.asfortranarray(numbers)
    yield numbers[::2, 1:], numbers[::2, 1:].copy()
    yield numbers, numbers.astype(">f8")
    yield numpy.int64(7), numpy.int64(7).astype(">i8")
    one, other = numpy.zeros(2, PADDED), numpy.frombuffer(b"\xff" * 16, PADDED).copy()
    other["a"] = other["b"] = 0
    yield one, other
    table = pyarrow.table({"x": [1, 2, 3, 4], "s": ["a", None, "c", "d"]})
    chunks = pyarrow.concat_tables([table.slice(0, 1), table.slice(1, 3)])
    assert chunks.column("x").num_chunks == 2
    yield table, chunks
    yield table, pyarrow.concat_tables([chunks, chunks]).slice(4)
    yield table.replace_schema_metadata({"a": "b"}), table


def test_different_values_have_different_keys():
    values = list(different())
    keys = all_keys()
    clashes = [(values[at], values[keys.index(key)]) for at, key in enumerate(keys) if keys.index(key) != at]
    assert clashes == []


@pytest.mark.parametrize("pair", [*same()], ids=lambda pair: type(pair[0]).__name__)
def test_equal_values_have_the_same_key(pair):
    assert key_of((pair[0],)) == key_of((pair[1],))


def test_a_keys_parts_are_told_apart():
    keys = [key_of(parts) for parts in [("a", "b"), ("ab",), (("a", "b"),), (["a", "b"],), ("a", "b", None)]]
    assert len(set(keys)) == 5


def test_keys_stay_what_they_are():
    """A key that changes makes every cache there is useless."""
    value = {"s": "é", "n": [1, -2, 3.5, None, True], "a": numpy.arange(3, dtype="i4"), "d": datetime.date(2026, 1, 2)}
    assert key_of((value,)) == "ae8f88168cb7885cfe61b785ae4535f1194ecc55d4087bf1c9ccb30650ce09b2"


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
)


def exactly(value):
    """A text that tells plain values apart, types and the sign of zero included."""
    if isinstance(value, dict):
        return "{" + ",".join(sorted(f"{exactly(key)}:{exactly(item)}" for key, item in value.items())) + "}"
    if isinstance(value, list | tuple):
        return type(value).__name__ + "(" + ",".join(map(exactly, value)) + ")"
    return repr(value)


@given(PLAIN, PLAIN)
def test_plain_values_have_one_key_if_they_are_the_same(one, other):
    assert (key_of((one,)) == key_of((other,))) == (exactly(one) == exactly(other))


def test_what_cannot_be_a_key_is_refused():
    around = []
    around.append(around)
    with pytest.raises(TypeError, match="contains itself"):
        key_of((around,))
    with pytest.raises(TypeError, match="has no encoding|cannot be a cache's key"):
        key_of((object(),))
