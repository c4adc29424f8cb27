"""Does a path in a pipeline, which a user writes, lead to anything but what a value holds?"""
# pyright: basic, reportMissingImports=false

import collections
import dataclasses
import datetime
import enum
import os
import pathlib
import subprocess

import numpy
import pandas
import pyarrow
import pydantic
import pytest
import xarray
from dfm.api import ErrorToken, Pipeline, PlaceParam, Yield
from dfm.testing import Federation
from PIL import Image


class Model(pydantic.BaseModel, extra="allow"):
    count: int


@dataclasses.dataclass
class Station:
    height: float

    @property
    def secret(self):
        return "what its class computes"


class Slotted:
    __slots__ = ("depth",)

    def __init__(self):
        self.depth = 3


class Opaque:
    """What an adapter hands on at its own site."""

    def __init__(self):
        self.weights = [1.0]
        self.tool = subprocess
        self.kind = dict


class Colour(enum.Enum):
    RED = 1


Pair = collections.namedtuple("Pair", ["left", "right"])
FRAME = pandas.DataFrame({"t": [1.0, 2.0], "mean": [3, 4]})
GRID = xarray.Dataset({"t2m": (("x",), [1.0, 2.0])}, coords={"x": [0, 1]})
IMAGE = Image.new("L", (4, 3))
IMAGE.__dict__["filename"] = "/records/ada.png"
TREE = xarray.DataTree.from_dict({"open": GRID, "secret": GRID})

HELD = [
    (Model.model_validate({"count": 1, "more": 2}), "count", 1),
    (Model.model_validate({"count": 1, "more": 2}), "more", 2),
    (Station(9.5), "height", 9.5),
    (Slotted(), "depth", 3),
    (Opaque(), "weights", [1.0]),
    (Pair(1, 2), "right", 2),
    (Colour.RED, "value", 1),
    (FRAME, "shape", (2, 2)),
    (numpy.zeros((2, 3)), "shape", (2, 3)),
    (IMAGE, "size", (4, 3)),
    (pyarrow.table({"a": [1]}), "num_rows", 1),
    (3 + 4j, "imag", 4.0),
    (numpy.int64(3), "real", 3),
    (numpy.float32(1.5), "imag", 0.0),
    (True, "numerator", 1),
    (datetime.date(2024, 5, 1), "month", 5),
    (pathlib.PurePath("a/b.nc"), "stem", "b"),
    (ValueError("told"), "args", ("told",)),
]
NOT_HELD = [
    (pathlib.PurePath("x"), "exists"),
    (pathlib.PurePath("x"), "__class__"),
    (pathlib.PurePath("x"), "_raw_paths"),
    (ValueError("x"), "__traceback__"),
    (ValueError("x"), "with_traceback"),
    (numpy.zeros(3), "ctypes"),
    (numpy.zeros(3), "mean"),
    (FRAME, "values"),
    (FRAME, "to_csv"),
    (FRAME, "_mgr"),
    (GRID, "encoding"),
    (IMAGE, "filename"),
    (IMAGE, "info"),
    (Station(9.5), "secret"),
    (Station(9.5), "__dict__"),
    (Model(count=1), "model_dump"),
    (Model(count=1), "model_fields"),
    (Opaque(), "tool"),
    (Opaque(), "kind"),
    (Pair(1, 2), "_asdict"),
    (Pair(1, 2), "count"),
    ([1], "append"),
    ({"x": 1}, "x"),
    (print, "__self__"),
    (subprocess, "Popen"),
    (Station, "height"),
]


def part(value, *path):
    from dfm import _path

    for kind, name in path:
        value = getattr(_path, kind)(value, name)
    return value


@pytest.mark.parametrize(("value", "name", "expected"), HELD, ids=lambda one: str(one)[:20])
def test_what_a_value_holds_is_found(value, name, expected):
    assert part(value, ("attribute", name)) == expected


@pytest.mark.parametrize(("value", "name"), NOT_HELD, ids=lambda one: str(one)[:20])
def test_what_a_class_has_is_no_part_of_its_values(value, name):
    with pytest.raises(AttributeError, match="only what a value holds"):
        part(value, ("attribute", name))


def test_columns_variables_and_entries_are_found_by_name():
    assert list(part(FRAME, ("attribute", "mean"))) == list(part(FRAME, ("entry", "mean"))) == [3, 4]
    assert part(GRID, ("attribute", "t2m")).equals(part(GRID, ("entry", "t2m")))
    assert part(TREE, ("entry", "open"), ("entry", "t2m"), ("entry", 1)) == 2.0
    assert part({"a": [5, 6]}, ("entry", "a"), ("entry", 1)) == 6
    with pytest.raises(KeyError):
        part(part(TREE, ("entry", "open")), ("entry", "../secret"))
    made = collections.defaultdict(list)
    with pytest.raises(KeyError):
        part(made, ("entry", "new"))
    assert not made
    for value in (os.environ, Station(1.0), {1, 2}, {"f": print}):
        with pytest.raises((TypeError, LookupError)):
            part(value, ("entry", "f"))


@pytest.fixture(scope="module")
def federation(small):
    with Federation("small", homesite="home") as running:
        yield running


def told(federation, build, **params):
    with Pipeline() as pipeline:
        build()
    job = federation.session.execute(pipeline, params)
    assert job.wait_until_finished(30)
    values = [value for value in job.results("yield") if not isinstance(value, ErrorToken)]
    return values, [error.message for token in job.errors for error in token.errors]


@pytest.mark.parametrize("site", ["east", "home"])
def test_no_way_leads_from_a_value_to_its_sites_environment(federation, fed, monkeypatch, site):
    monkeypatch.setenv("DFM_SECRET_WORD", "sesame")

    def build():
        way = fed.Echo(value=PlaceParam("v"), site=site)
        for name in ("exists", "__globals__"):
            way = way.fieldref(name)
        way = way.fieldref("os", issubs=True).fieldref("environ").fieldref("DFM_SECRET_WORD", issubs=True)
        Yield(value=way)

    values, errors = told(federation, build, v=pathlib.Path("x"))
    assert values == [] and len(errors) == 1
    assert "has no attribute 'exists': a path finds only what a value holds" in errors[0]
