"""Does a value that went to another process and came back equal the one that left?"""
# pyright: basic, reportArgumentType=false

import array
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import os
import pathlib
import random
import sys
import threading
import types
import typing
import uuid
import zoneinfo

import numpy
import pydantic
import pytest
from dfm import _values, values
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


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(typing.NamedTuple):
    left: int
    right: object


@dataclasses.dataclass
class Scaled:
    """What its constructor does is not done twice, and what it is given need not be kept."""

    size: float
    by: dataclasses.InitVar[float]

    def __post_init__(self, by: float) -> None:
        self.size *= by
        self.how = by

    @functools.cached_property
    def area(self) -> float:
        return self.size**2


@dataclasses.dataclass(frozen=True, slots=True)
class Fixed:
    x: int


class Counted(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    n: int
    name: str = pydantic.Field("", alias="title")
    _seen: int = pydantic.PrivateAttr(0)

    @pydantic.field_validator("n")
    @classmethod
    def more(cls, n: int) -> int:
        return n + 1


class FittingError(Exception):
    def __init__(self, step: int, *, why: str) -> None:
        super().__init__(f"step {step}: {why}")
        self.step = step


@pytest.fixture(autouse=True)
def _policy(monkeypatch):
    monkeypatch.setattr(_values, "policy", _values.Policy(packages=(__name__.partition(".")[0],)))


def there_and_back(value):
    return _values.loads(_values.dumps(value))


texts = st.text() | st.text(st.characters(categories=["Cs", "Ll"]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(max_size=9000),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
)


@given(plain)
def test_plain_data(value):
    back = there_and_back(value)
    assert back == value and type(back) is type(value)


@pytest.mark.parametrize("size", [(4 << 20) - 1, 4 << 20, (4 << 20) + 1, 13_579_135])
def test_many_bytes(size):
    value = random.Random(size).randbytes(size)
    assert there_and_back(value) == value


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
        datetime.datetime(2025, 10, 26, 2, 30, fold=1),
        datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC),
        datetime.time(2, 30, tzinfo=datetime.UTC, fold=1),
        datetime.timezone(datetime.timedelta(hours=2, seconds=1)),
        zoneinfo.ZoneInfo("Asia/Tokyo"),
        slice(1, None, 3),
        ...,
        pathlib.Path("a/b"),
        pathlib.PureWindowsPath("c:/a/b"),
        pathlib.PurePosixPath("a"),
        os.fsdecode(b"name \xff"),
        array.array("d", [1.5, 2.5]),
        array.array("u", "añ"),
        collections.OrderedDict(b=1, a=[2]),
        collections.defaultdict(list, a=[1]),
        collections.defaultdict(None, a=1),
        collections.Counter("abra"),
        collections.deque([1, (2,)], maxlen=5),
        Pair(1, [2]),
        Mode.READ | Mode.WRITE,
        Mode(0),
        Fixed(3),
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
    # Equality does not see all of a time, nor an order.
    assert repr(back) == repr(value) or isinstance(value, set | frozenset)


def test_a_zone_that_pydantic_has_read_becomes_pythons_own():
    read = pydantic.TypeAdapter(datetime.datetime).validate_python
    for text in ("2020-01-01T12:00:00Z", "2020-01-01T12:00:00.5+05:30"):
        assert repr(_values.loads(_values.dumps(read(text)))) == repr(datetime.datetime.fromisoformat(text))


def test_a_zone_is_kept_with_its_fold():
    back = there_and_back(ZONED)
    assert back.utcoffset() == ZONED.utcoffset() and back.tzinfo.key == "Europe/Berlin"
    named = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "here"))
    assert there_and_back(named).tzname() == "here"


def test_a_constructor_runs_once():
    back = there_and_back(Scaled(2.0, 3.0))
    assert back == Scaled(2.0, 3.0) and back.how == 3.0
    made = Scaled(2.0, 1.0)
    assert made.area == 4.0
    back = there_and_back(made)
    assert "area" not in vars(back) and back.area == 4.0


def test_a_validator_runs_once():
    made = Counted.model_validate({"n": 1, "title": "a", "more_of_it": (1,)})
    made._seen = 7
    back = there_and_back(there_and_back(made))
    assert back == made and (back.n, back._seen, back.more_of_it) == (2, 7, (1,))
    assert back.model_fields_set == made.model_fields_set
    unchecked = Person.model_construct(name=5)
    assert there_and_back(unchecked).__dict__ == {"name": 5}


def test_an_exception_is_a_value():
    cause = ValueError("because", 3)
    error = FittingError(4, why="too far")
    error.__cause__ = cause
    error.add_note("see the log")
    back = there_and_back(error)
    assert type(back) is FittingError and (str(back), back.step) == ("step 4: too far", 4)
    assert back.__notes__ == ["see the log"] and back.__cause__ and back.__cause__.args == ("because", 3)
    missing = there_and_back(FileNotFoundError(2, "No such file", "a.txt"))
    assert (missing.errno, missing.filename, str(missing)) == (2, "a.txt", "[Errno 2] No such file: 'a.txt'")
    group = there_and_back(ExceptionGroup("several", [KeyError("k"), OSError("x")]))
    assert [type(one) for one in group.exceptions] == [KeyError, OSError]


def test_a_stream_of_bytes_is_kept_where_it_was():
    stream = io.BytesIO(b"abcdef")
    stream.seek(2)
    back = there_and_back(stream)
    assert back.read() == b"cdef" and back.getvalue() == b"abcdef"


class Circle:
    def __init__(self, radius: float) -> None:
        self.radius = radius


def _circle(state: object) -> Circle:
    if type(state) is not float:
        raise ValueError("a circle is a number")
    return Circle(state)


@pytest.fixture
def circles():
    values.register(Circle, lambda circle: circle.radius, _circle, "test_values.Circle")


def test_a_type_of_a_federation_is_registered(circles):
    assert there_and_back([Circle(2.5)])[0].radius == 2.5
    with pytest.raises(ValueError, match=r"the encoding 'test_values.Circle' is that of test_values.Circle already"):
        values.register(Point, vars, dict, "test_values.Circle")
    with pytest.raises(ValueError, match="has a dot"):
        values.register(Point, vars, dict, "point")
    with pytest.raises(ValueError, match="has the encoding 'test_values.Circle' already"):
        values.register(Circle, vars, dict, "other.Circle")


def test_a_registered_encoding_that_fails_says_which(circles):
    broken = Circle(1.0)
    del broken.radius
    with pytest.raises(
        TypeError, match=r"value\[1\]: .*Circle cannot be sent: the encoding 'test_values.Circle'.*'radius'"
    ):
        _values.dumps([0, broken])
    with pytest.raises(ValueError, match="a circle is a number"):
        there_and_back(Circle("far"))


@pytest.mark.parametrize(
    ("value", "where"),
    {
        "a list in a dictionary": ({"a": [0, 1, 2, None]}, "value['a'][3]"),
        "a field": ([Point(1.0, None)], "value[0].tags"),
        "a field of a model": (Person.model_construct(name=None), "value.name"),
        "an argument": (ValueError(1, None), "value.args[1]"),
        "a named tuple's field": ((Pair(1, None),), "value[0].right"),
        "an ordered dictionary": (collections.OrderedDict(k=None), "value['k']"),
        "a default dictionary": (collections.defaultdict(list, k=[None]), "value['k'][0]"),
        "a key": ({None: 1}, "value[Opaque]"),
        "a cell of an array": (numpy.array([[1, None]], object), "value[0, 1]"),
    }.values(),
)
def test_an_error_says_where_in_the_value_it_is(value, where):
    with pytest.raises(TypeError) as raised:
        _values.dumps(_with_opaque(value))
    assert str(raised.value).startswith(f"{where}: a value of type test_values.Opaque cannot be sent")


def _with_opaque(value):
    """The value with something that has no encoding where it has None."""
    opaque = Opaque()
    match value:
        case None:
            return opaque
        case dict():
            items = {_with_opaque(key): _with_opaque(one) for key, one in value.items()}
            return items if type(value) is dict else _filled(value, items)
        case list():
            return [_with_opaque(one) for one in value]
        case Pair():
            return Pair(*map(_with_opaque, value))
        case tuple():
            return tuple(map(_with_opaque, value))
        case Point():
            return Point(value.x, opaque)
        case Person():
            return Person.model_construct(name=opaque)
        case ValueError():
            return ValueError(1, opaque)
        case numpy.ndarray():
            filled = value.copy()
            filled[0, 1] = opaque
            return filled
        case _:
            return value


def _filled(value, items):
    value.clear()
    value.update(items)
    return value


def test_what_a_site_may_not_tell_is_not_in_the_way_to_a_value(monkeypatch):
    from dfm.exec import _telling

    telling = _telling.Telling(_telling.Secrets(), _telling.clean_logger("test"), "message")
    monkeypatch.setattr(_telling._here, "telling", telling)
    with pytest.raises(TypeError, match=r"^value\[…\]\[0\]: a value of type"):
        _values.dumps({"Mrs Smith": [Opaque()]})


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (collections.defaultdict(lambda: 0), r"as others are code; return dict\(value\)"),
        (memoryview(array.array("d", [1.0])), "if it is of bytes that follow each other"),
        (numpy.array([(1, None)], dtype=[("a", "i4"), ("b", "O")]), "return its fields one by one"),
        (type("Local", (Point,), {}), "no encoding that is safe"),
        (dataclasses.make_dataclass("Made", ["x"])(1), "one of package 'types'|there is no class Made"),
        (SystemExit(3), "ends a program"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_travel_exactly_is_refused_where_it_is_sent(value, why):
    with pytest.raises(TypeError, match=why):
        _values.dumps(value)


def test_a_package_that_the_configuration_names_is_rebuilt(tmp_path, monkeypatch):
    (tmp_path / "shapes_of_ours").mkdir()
    (tmp_path / "shapes_of_ours" / "round.py").write_text(
        "import dataclasses\n@dataclasses.dataclass\nclass Circle:\n    radius: float\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    site = {"federation": "fed", "impl": None, "providers": {}, "bindings": []}
    named = site | {"packages": ["shapes_of_ours"]}

    def policy(site):
        _values.set_policy(False, _values.packages_of(site), _values.modules_of(site))

    policy(named)
    from shapes_of_ours.round import Circle  # pyright: ignore

    data = _values.dumps(Circle(2.5))
    for name in ("shapes_of_ours.round", "shapes_of_ours"):
        monkeypatch.delitem(sys.modules, name)
    assert _values.loads(data).radius == 2.5
    policy(site)
    with pytest.raises(TypeError, match="does not rebuild objects of package 'shapes_of_ours'"):
        _values.loads(data)


def test_a_class_of_another_package_is_refused_where_it_is_sent():
    _values.policy.packages = ("elsewhere",)
    with pytest.raises(TypeError, match=r"one of package 'test_values'; name that in `values: \{packages: \[…\]\}`"):
        _values.dumps(Point(1.0))


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
        numpy.array([(1, 2.5)], dtype=numpy.dtype([("a", "i1"), ("b", "f8")], align=True)),
        numpy.zeros(2, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0], "itemsize": 16}),
        numpy.zeros(2, [(("title", "a"), "i4"), ("b", "f4", (2, 2)), ("c", [("d", "u1")])]),
        numpy.zeros(3, [("a", "i4"), ("b", "f8")])[["b"]],
        numpy.zeros(3, "U0"),
        numpy.zeros(2, "V5"),
        numpy.array([], dtype="M8[25s]"),
        numpy.array([[1, "a"], [None, (1, [2])]], dtype=object),
        numpy.array(["a", "bcd" * 20], dtype=numpy.dtypes.StringDType()),
        numpy.broadcast_to(numpy.arange(3), (4, 3)),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays(array):
    back = there_and_back(array)
    assert back.dtype == array.dtype and back.shape == array.shape and (back == array).all()
    assert repr(back.dtype) == repr(array.dtype)
    assert back.flags.f_contiguous == array.flags.f_contiguous or not array.flags.c_contiguous
    assert back.flags.writeable


SECRET = b"a row of Ada's"


@pytest.mark.parametrize(
    "value",
    [
        numpy.ma.MaskedArray([b"x", SECRET], [False, True]),
        numpy.ma.MaskedArray(numpy.array([["x"], [SECRET.decode()]], object), [[False], [True]]),
        numpy.ma.MaskedArray(numpy.array([(1, SECRET)], "i4,S14"), [(False, True)]),
        numpy.array([(1, SECRET)], "i4,S14")[["f0"]],
        numpy.array([(1, SECRET)], "i4,S14")[["f0"]][0],
        numpy.array([((1, SECRET), 2)], [("a", "i4,S14"), ("b", "i4")])["a"][["f0"]],
        [numpy.asfortranarray(numpy.array([[(1, SECRET)] * 2] * 2, "i4,S14"))[["f0"]]],
    ],
)
def test_what_is_masked_or_lies_between_fields_does_not_travel(value):
    back = there_and_back(value)
    assert repr(back) == repr(value)
    assert SECRET not in _values.dumps(value) and SECRET.decode().encode("utf-32-le") not in _values.dumps(value)


def test_an_array_that_hides_nothing_travels_from_where_it_is():
    plain, masked = numpy.arange(5000), numpy.ma.MaskedArray(numpy.arange(5000), numpy.zeros(5000, bool))
    assert numpy.shares_memory(numpy.asarray(_values.reduce(plain)[1][3]), plain)
    assert numpy.shares_memory(_values.reduce(masked)[1][0], masked.data)


def test_masked_arrays_records_and_matrices():
    masked = numpy.ma.MaskedArray([1.0, 2.0], [False, True], fill_value=9.0, hard_mask=True)
    back = there_and_back(masked)
    assert back.tolist() == [1.0, None] and back.fill_value == 9.0 and back.hardmask and back.data[1] == 0.0
    assert there_and_back(numpy.ma.MaskedArray([1])).mask is numpy.ma.nomask
    assert there_and_back([numpy.ma.masked])[0] is numpy.ma.masked
    records = numpy.rec.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])
    back = there_and_back(records)
    assert type(back) is numpy.recarray and back.dtype == records.dtype and back.b[0] == 2.5
    assert there_and_back(records[0]).a == 1 and type(there_and_back(records[0])) is numpy.record
    with pytest.warns(PendingDeprecationWarning):
        assert type(there_and_back(numpy.matrix([[1]]))) is numpy.matrix
    assert there_and_back(numpy.dtype("f4")) == numpy.dtype("f4")


@pytest.mark.parametrize(
    "scalar",
    [numpy.float32(1.5), numpy.str_(""), numpy.datetime64("NaT"), numpy.bytes_(b"ab"), numpy.bool_(True)],
    ids=lambda scalar: type(scalar).__name__,
)
def test_a_numpy_scalar_stays_one(scalar):
    back = there_and_back(scalar)
    assert type(back) is type(scalar) and repr(back) == repr(scalar)


def test_images():
    Image = pytest.importorskip("PIL.Image")
    for mode in ("RGB", "L", "RGBA", "1", "P", "PA", "LA", "La", "I;16", "RGBX", "F", "I"):
        for size in ((9, 3), (0, 3)):
            image = Image.new(mode, size)
            if mode == "P":
                image.putpalette([1, 2, 3, 4, 5, 6])
            back = there_and_back(image)
            assert (back.mode, back.size, back.tobytes()) == (mode, size, image.tobytes())
            assert back.getpalette() == image.getpalette()


def test_an_image_is_its_pixels_whatever_file_it_was_read_from():
    Image = pytest.importorskip("PIL.Image")
    for kind in ("PNG", "BMP", "TIFF", "GIF"):
        file = io.BytesIO()
        Image.new("L", (9, 3), 7).save(file, kind)
        image = Image.open(file)
        back = there_and_back(image)
        assert (back.format, back.tobytes()) == (None, image.tobytes())


class Meanwhile:
    """What happens while it is encoded is not its own doing."""

    happens = staticmethod(lambda: None)


def encode_meanwhile(_):
    thread = threading.Thread(target=Meanwhile.happens)
    thread.start()
    thread.join()
    return "encoded"


values.register(Meanwhile, encode_meanwhile, lambda state: state, "test_values.Meanwhile")


def test_a_dictionary_that_another_thread_changes_while_it_is_encoded_travels_as_it_was(monkeypatch):
    value = {"first": Meanwhile(), "last": 1}

    def happens():
        for number in range(1000):
            value[str(number)] = number
        del value["last"]

    monkeypatch.setattr(Meanwhile, "happens", happens)
    assert there_and_back(value) == {"first": "encoded", "last": 1}
    assert "last" not in value and len(value) == 1001


def test_a_list_that_another_thread_changes_while_it_is_encoded_travels_as_it_was(monkeypatch):
    value = [Meanwhile(), 1, 2]
    monkeypatch.setattr(Meanwhile, "happens", value.clear)
    assert there_and_back(value) == ["encoded", 1, 2] and not value


class Opaque:
    pass


class Faceless:
    @property
    def __class__(self):
        raise RuntimeError("it has none")


def test_what_does_not_tell_its_class_is_refused_as_anything_else():
    with pytest.raises(
        TypeError, match=r"value\[1\]: .*Faceless cannot be sent: it has no encoding that is safe to send"
    ):
        _values.dumps([1, Faceless()])


def test_what_has_no_encoding_is_named():
    with pytest.raises(
        TypeError, match=r"Opaque cannot be sent: it has no encoding that is safe to send; return plain data"
    ):
        _values.dumps([Opaque()])


def test_a_class_of_another_package_is_not_rebuilt():
    data = _values.dumps(Point(1.0))
    _values.policy.packages = ("elsewhere",)
    with pytest.raises(TypeError, match="does not rebuild objects of package 'test_values'.*only elsewhere"):
        _values.loads(data)


def test_a_pickled_object_is_pickled_anywhere_but_opened_only_where_that_is_allowed():
    data = _values.dumps(PickledObject(value=types.SimpleNamespace(a=1)))
    with pytest.raises(TypeError, match="does not accept pickled objects"):
        _values.loads(data)
    _values.policy.lenient = True
    assert _values.loads(data) == types.SimpleNamespace(a=1)


def test_a_pickle_is_opened_only_where_the_site_allows_it():
    value = types.SimpleNamespace(a=1)
    _values.policy.lenient = True
    data = _values.dumps(value)
    assert _values.loads(data) == value
    _values.policy.lenient = False
    with pytest.raises(TypeError, match="does not accept pickled objects"):
        _values.loads(data)


def test_what_contains_itself_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(TypeError, match="nested more than 200 levels deep, or contains itself"):
        _values.dumps(endless)
