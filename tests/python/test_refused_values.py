"""Does each value that cannot be sent say its type, where it stands and what to do?"""
# pyright: basic, reportArgumentType=false, reportAttributeAccessIssue=false, reportAssignmentType=false

import ast
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import pathlib
import re
import sys
import threading
import types

import numpy
import pandas
import pyarrow
import pytest
import xarray
from dfm import _values, values
from dfm.api import PickledObject
from dfm.values import _form
from PIL import Image

LIMIT = 1 << 16
PLAINER = "return plain data, an array, a table"


class Opaque:
    pass


class Unencoded:
    """Its encoding, which is registered below, fails."""


class Unsayable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("it has no text")


@dataclasses.dataclass
class Shy:
    """What it holds cannot be had."""

    field: int

    def __getattribute__(self, name):
        if name == "field":
            raise Unsayable
        return super().__getattribute__(name)


class Many(enum.Flag):
    LAST = 1 << 80


class Level(enum.Enum):
    LOW = 1


class Pair(collections.namedtuple("Pair", "left right")):
    """It has attributes, as it has no slots."""


class Nowhere(datetime.tzinfo):
    def utcoffset(self, when):
        return datetime.timedelta(0)

    def tzname(self, when):
        return None

    def dst(self, when):
        return None


class OwnType(pandas.api.extensions.ExtensionDtype):
    name, type = "own", float


class OwnArray(pandas.api.extensions.ExtensionArray):
    dtype = OwnType()

    def __len__(self):
        return 2

    def copy(self):
        return self


class OwnIndex(xarray.indexes.Index):
    pass


def of_a_function():
    @dataclasses.dataclass
    class Inner:
        x: int

    return Inner(1)


def no_member():
    made = object.__new__(Level)
    made._name_, made._value_ = "HIGH", 2
    return made


def pair():
    made = Pair(1, 2)
    made.more = 3
    return made


def endless():
    made = []
    made.append(made)
    return made


def of_mode(mode):
    made = Image.new("L", (1, 1))
    made._mode = mode
    return made


def unnamed():
    """A column whose name has no hash, which a frame may have."""
    frame = pandas.DataFrame([[1]])
    frame.columns = pandas.Index(pandas.array([[1]], pandas.ArrowDtype(pyarrow.list_(pyarrow.int8()))))
    return frame.iloc[:, 0]


def with_holidays():
    return pandas.date_range("2020-01-01", periods=3, freq=pandas.offsets.CustomBusinessDay(holidays=["2020-01-02"]))


def with_own_index():
    return xarray.Dataset(coords=xarray.Coordinates({"x": ("x", [1, 2])}, indexes={"x": OwnIndex()}))


NUMPY, PANDAS, XARRAY = "numpy.ndarray", "pandas.DataFrame", "xarray.core.dataset.Dataset"
REFUSED = {
    "no encoding": (Opaque(), "", "test_refused_values.Opaque", PLAINER),
    "a function": (lambda: 0, "", "builtins.function", PLAINER),
    "a lock": (threading.Lock(), "", "_thread.lock", PLAINER),
    "a generator": ((one for one in ()), "", "builtins.generator", PLAINER),
    "a part": ([0, {"k": (Opaque(),)}], r"\[1\]\['k'\]\[0\]", "test_refused_values.Opaque", PLAINER),
    "a key": ({Opaque(): 1}, r"\[Opaque\]", "test_refused_values.Opaque", PLAINER),
    "what pickle refuses too": (PickledObject(value=lambda: 0), "", "builtins.function", PLAINER),
    "another package's": (types.SimpleNamespace(), "", "types.SimpleNamespace", PLAINER),
    "an unknown package's": (ast.Store, "", "builtins.type", PLAINER),
    "a class of an unknown package": (
        dataclasses.dataclass(type("Made", (), {"__module__": "elsewhere"}))(),
        "",
        "elsewhere.Made",
        r"name that in `values: \{packages: \[…\]\}`",
    ),
    "a class within a function": (
        of_a_function(),
        "",
        r"test_refused_values.of_a_function.*Inner",
        "define its class in",
    ),
    "what cannot be taken apart": (Shy(1), "", "test_refused_values.Shy", PLAINER),
    "what contains itself": (endless(), r"(\[0\]){7}…", "builtins.list", "return data of fewer levels"),
    "a long integer": (1 << 500_000, "", "builtins.int", "return its bytes"),
    "a memoryview of numbers": (memoryview(numpy.zeros(2)), "", "builtins.memoryview", r"return value.tobytes\(\)"),
    "too much": (bytes(LIMIT + 1), None, "builtins.dict", "send less at once, or set .* DFM_MAX_VALUE"),
    "a long fraction": (
        fractions.Fraction(1, 1 << 500_000),
        "",
        "fractions.Fraction",
        "return value.limit_denominator",
    ),
    "a long decimal": (decimal.Decimal("1e200000"), "", "decimal.Decimal", "round it"),
    "a factory": (collections.defaultdict(lambda: 0), "", "collections.defaultdict", r"return dict\(value\)"),
    "a zone": (datetime.datetime(2020, 1, 1, tzinfo=Nowhere()), "", "datetime.datetime", "use zoneinfo"),
    "many flags": (Many.LAST, "", "test_refused_values.Many", "return their value"),
    "no member": (no_member(), "", "test_refused_values.Level", "return its value"),
    "a tuple with attributes": (pair(), "", "test_refused_values.Pair", "return a dataclass"),
    "the end of a program": (SystemExit(3), "", "builtins.SystemExit", "return an Exception"),
    "a registered type": (Unencoded(), "", "test_refused_values.Unencoded", "have what dfm.values.register was given"),
    "an image's mode": (of_mode("XYZ"), "", "PIL.Image.Image", r"return value.convert\('RGBA'\)"),
    "objects in fields": (numpy.zeros(1, [("a", "i4"), ("b", "O")]), "", NUMPY, "return its fields one by one"),
    "a scalar of objects": (numpy.zeros(1, [("b", "O")])[0], "", "numpy.void", r"return value.item\(\)"),
    "a type of objects": (numpy.dtype(object), "", "numpy.dtypes.ObjectDType", "use value.astype"),
    "texts of another kind": (
        numpy.array(["a"], numpy.dtypes.StringDType(na_object=numpy.nan)).astype(
            numpy.dtypes.StringDType(na_object="gone")
        ),
        "",
        NUMPY,
        "use value.astype",
    ),
    "an array's cell": (numpy.array([[1, Opaque()]], object), r"\[0, 1\]", "test_refused_values.Opaque", PLAINER),
    "a mixed column's cell": (
        pandas.DataFrame({"m": pandas.Series([1, Opaque()], dtype=object)}),
        r"\['m'\]\[1\]",
        "test_refused_values.Opaque",
        PLAINER,
    ),
    "a column's type": (pandas.DataFrame({"m": OwnArray()}), "", "pandas.DataFrame", "use astype"),
    "an index of lists": (pandas.Index(pandas.Series([[1], [2]])), "", "pandas.Index", r"use reset_index\(\)"),
    "a name of a list": (unnamed(), "", "pandas.Series", r"use rename\(None\)"),
    "a frequency": (with_holidays(), "", "pandas.*DatetimeIndex", "set its freq to None"),
    "what is not computed": (
        xarray.Dataset({"t": ("x", [1, 2])}).chunk(),
        "",
        "xarray.*Dataset",
        r"return value.compute\(\)",
    ),
    "an index of another kind": (with_own_index(), "", "xarray.*Dataset", "return value.drop_indexes"),
}
"""By what is sent at `value['it']`: it, where in it the fault is, the type of that and what to do about it. What is
too large is all of the value."""


@pytest.fixture(autouse=True)
def _policy(monkeypatch):
    monkeypatch.setattr(_values, "policy", _values.Policy(packages=(__name__,), max_value=LIMIT))
    values.register(Unencoded, lambda value: value.content, lambda state: Unencoded(), "test_refused_values.Unencoded")


@pytest.mark.parametrize(("value", "where", "kind", "remedy"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_names_the_type_the_place_and_the_remedy(value, where, kind, remedy):
    with pytest.raises(TypeError) as raised:
        _values.dumps({"it": value})
    place = "" if where is None else rf"value\['it'\]{where}: "
    assert re.fullmatch(rf"{place}a value of type {kind} cannot be sent: [^;]+; {remedy}.*", str(raised.value))


def test_every_refusal_is_one_of_these(monkeypatch):
    told = set()
    keep = _form.Unsent.__init__

    def noting(self, *args):
        told.add((sys._getframe(1).f_code.co_filename, sys._getframe(1).f_lineno))
        keep(self, *args)

    monkeypatch.setattr(_form.Unsent, "__init__", noting)
    for value, *_ in REFUSED.values():
        with pytest.raises(TypeError):
            _values.dumps({"it": value})
    there_are = {
        (module.__file__, node.lineno)
        for name, module in list(sys.modules.items())
        if name.startswith("dfm.values._") or name == "dfm._values"
        for node in ast.walk(ast.parse(pathlib.Path(module.__file__).read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Unsent"
    }
    assert there_are - told == set()


def test_what_has_no_encoding_and_no_pickle_says_both_where_pickles_are_sent():
    _values.policy.lenient = True
    with pytest.raises(
        TypeError, match=rf"^value\[1\]: a value of type builtins.function .*safe to send, and .*lambda.*; {PLAINER}"
    ):
        _values.dumps([0, lambda: 0])
