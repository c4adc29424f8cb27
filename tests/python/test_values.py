"""Does a value that went to another process and came back equal the one that left?"""
# pyright: basic

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import uuid
import zoneinfo

import numpy
import pydantic
import pytest
from dfm import _values
from dfm.api import PickledObject
from hypothesis import given
from hypothesis import strategies as st


class Colour(enum.Enum):
    RED = "r"


@dataclasses.dataclass
class Point:
    x: float
    tags: list[str] = dataclasses.field(default_factory=list)
    size: int = dataclasses.field(init=False, default=7)


class Person(pydantic.BaseModel):
    name: str
    born: datetime.date


@pytest.fixture(autouse=True)
def _policy(monkeypatch):
    monkeypatch.setattr(_values, "policy", _values.Policy(packages=(__name__.partition(".")[0],)))


def there_and_back(value):
    return _values.loads(_values.dumps(value))


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=9000),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
)


@given(plain)
def test_plain_data(value):
    back = there_and_back(value)
    assert back == value and type(back) is type(value)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_an_error(data):
    with contextlib.suppress(ValueError, TypeError):
        _values.loads(data)


ZONED = datetime.datetime(2025, 10, 26, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"), fold=1)


@pytest.mark.parametrize(
    "value",
    [
        {1, "a"},
        frozenset({2}),
        1 + 2j,
        range(1, 9, 2),
        2**200,
        -(2**64),
        datetime.datetime(2025, 4, 17, 10, 12),
        ZONED,
        datetime.date(2025, 4, 17),
        datetime.time(1, 2, 3, 4),
        datetime.timedelta(-1, 2, 3),
        decimal.Decimal("1.10"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        pathlib.Path("a/b"),
        bytearray(b"xy"),
        Colour.RED,
        Point(1.5, ["a"]),
        Person(name="Ada", born=datetime.date(1815, 12, 10)),
        {"nested": [(1, {"x": decimal.Decimal(2)})]},
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects(value):
    back = there_and_back(value)
    assert back == value and type(back) is type(value)


def test_a_zone_is_kept_with_its_fold():
    back = there_and_back(ZONED)
    assert back.utcoffset() == ZONED.utcoffset() and back.tzinfo.key == "Europe/Berlin"


@pytest.mark.parametrize(
    "array",
    [
        numpy.arange(6).reshape(2, 3),
        numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4)),
        numpy.arange(100)[::3],
        numpy.zeros((0, 3)),
        numpy.array(5.0),
        numpy.array(["ab", "c"]),
        numpy.array(["2025-01-01"], dtype="datetime64[D]"),
        numpy.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        numpy.random.default_rng(0).random(50_000),
        numpy.array([True, False]),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays(array):
    back = there_and_back(array)
    assert back.dtype == array.dtype and back.shape == array.shape and (back == array).all()
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.c_contiguous
    if back.size:
        back.reshape(-1)[0] = back.reshape(-1)[0]  # it can be written to


def test_a_numpy_scalar_stays_one():
    assert type(there_and_back(numpy.float32(1.5))) is numpy.float32


def test_images():
    Image = pytest.importorskip("PIL.Image")
    for mode in ("RGB", "L", "RGBA", "1", "P"):
        image = Image.new(mode, (5, 3))
        back = there_and_back(image)
        assert back.size == image.size and back.convert("RGB").tobytes() == image.convert("RGB").tobytes()


def test_tables():
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table({"a": [1, 2, None], "b": ["x", "y", "z"]})
    assert there_and_back(table) == table
    assert there_and_back(table.to_batches()[0]) == table.to_batches()[0]


class Opaque:
    pass


def test_what_has_no_encoding_is_named():
    with pytest.raises(TypeError, match=r"Opaque has no encoding that is safe to send; return plain data"):
        _values.dumps([Opaque()])


def test_a_class_of_another_package_is_not_rebuilt():
    data = _values.dumps(Point(1.0))
    _values.policy.packages = ("elsewhere",)
    with pytest.raises(TypeError, match="does not rebuild objects of package 'test_values'.*only elsewhere"):
        _values.loads(data)


def test_a_pickled_object_is_pickled_anywhere_but_opened_only_where_that_is_allowed():
    data = _values.dumps(PickledObject(value=collections.deque([1, 2])))
    with pytest.raises(TypeError, match="does not accept pickled objects"):
        _values.loads(data)
    _values.policy.lenient = True
    assert _values.loads(data) == collections.deque([1, 2])


def test_a_pickle_is_opened_only_where_the_site_allows_it():
    value = collections.deque([1, 2])
    _values.policy.lenient = True
    data = _values.dumps(value)
    assert _values.loads(data) == value
    _values.policy.lenient = False
    with pytest.raises(TypeError, match="does not accept pickled objects"):
        _values.loads(data)


def test_what_contains_itself_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 200 levels deep, or contains itself"):
        _values.dumps(endless)
