"""Does a site hold what reaches its adapters, and what they return, against its own declarations, whatever way it came?

The user's own generated class checks literals alone, and the user may have changed it.
"""
# pyright: basic, reportMissingImports=false

import datetime
import importlib
import json
import logging
import subprocess
import sys
import zoneinfo

import pytest
from dfm.api import Pipeline, PlaceParam, Yield
from dfm.errors import Public
from dfm.exec._adapters import Adapters
from dfm.exec._types import as_texts, has_dates
from dfm.testing import Asker, Federation

CONFIG = """
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: declared, description: What is declared is enforced}
schemas:
  Column: {type: string, enum: [age, sex, dose]}
  Range:
    type: object
    properties: {low: {type: number}, high: {type: number, exclusiveMinimum: 0}}
    required: [low, high]
  Stay:
    type: object
    properties: {from: {type: string, format: date}, at: {type: string, format: date-time}}
    required: [from]
operations:
  ask.Anything: {parameters: {value: {type: object}}, required: [value], returns: object}
  ask.Enum: {parameters: {value: {$ref: "#/schemas/Column"}}, required: [value], returns: object}
  ask.Enums:
    parameters: {value: {type: array, items: {$ref: "#/schemas/Column"}, maxItems: 2}}
    required: [value]
    returns: object
  ask.Number: {parameters: {value: {type: number, minimum: 0}}, required: [value], returns: object}
  ask.Integer: {parameters: {value: {type: integer, maximum: 9}}, required: [value], returns: object}
  ask.Boolean: {parameters: {value: {type: boolean}}, required: [value], returns: object}
  ask.Text: {parameters: {value: {type: string, pattern: "^[a-z]*$", maxLength: 4}}, required: [value], returns: object}
  ask.Model: {parameters: {value: {$ref: "#/schemas/Range"}}, required: [value], returns: object}
  ask.Class: {parameters: {value: {type: datetime.date}}, required: [value], returns: object}
  ask.Marked: {parameters: {value: {type: declared.lib.Marked}}, required: [value], returns: object}
  ask.Ruled: {parameters: {value: {type: declared.lib.Ruled}}, required: [value], returns: object}
  ask.Held: {parameters: {value: {type: declared.lib.Held}}, required: [value], returns: object}
  ask.Fraction: {parameters: {value: {enum: [0.5, 2, [1, 2]]}}, required: [value], returns: object}
  ask.Whole: {parameters: {value: {type: integer, minimum: 2.5, multipleOf: 1.5}}, required: [value], returns: object}
  ask.Step: {parameters: {value: {type: number, multipleOf: 0.5}}, required: [value], returns: object}
  ask.Moment: {parameters: {value: {type: string, format: date-time}}, required: [value], returns: object}
  ask.Day: {parameters: {value: {type: string, format: date}}, required: [value], returns: object}
  ask.Days:
    parameters: {value: {type: array, items: {type: string, format: date}}}
    required: [value]
    returns: object
  ask.DaysByName:
    parameters: {value: {type: object, additionalProperties: {type: string, format: date}}}
    required: [value]
    returns: object
  ask.DayPair:
    parameters:
      value: {type: array, prefixItems: [{type: string, format: date}, {type: string}], minItems: 2, items: false}
    required: [value]
    returns: object
  ask.DayOrText:
    parameters: {value: {anyOf: [{type: string, format: date}, {type: string}]}}
    required: [value]
    returns: object
  ask.Since: {parameters: {value: {type: string, format: date, default: "2024-02-29"}}, returns: object}
  ask.Stay: {parameters: {value: {$ref: "#/schemas/Stay"}}, required: [value], returns: object}
  ask.Counts:
    parameters: {value: {type: object, additionalProperties: {type: integer}, maxProperties: 2}}
    required: [value]
    returns: object
  ask.Pair:
    parameters:
      value: {type: array, prefixItems: [{$ref: "#/schemas/Column"}, {type: integer}], minItems: 2, items: false}
    required: [value]
    returns: object
  ask.Optional: {parameters: {value: {type: integer}}, returns: object}
  tell.Day: {parameters: {value: {type: object}}, required: [value], returns: {type: string, format: date}}
  tell.Days:
    parameters: {value: {type: object}}
    required: [value]
    returns: {type: array, items: {type: string, format: date}}
  tell.Number: {parameters: {value: {type: object}}, required: [value], returns: number}
  tell.Numbers: {parameters: {value: {type: object}}, required: [value], returns: {type: array, items: {type: integer}}}
sites:
  home:
    interface: {"#/operations/ask.Anything": {adapter: declared.lib.Echo, args: from-operation}}
  data:
    interface:
"""
LIB = """
import dataclasses
import pydantic
import pydantic.dataclasses

class Part(pydantic.BaseModel, frozen=True):
    size: int = pydantic.Field(ge=0)

class Marked(pydantic.BaseModel):
    parts: set[Part]

@dataclasses.dataclass
class Held:
    part: Part

@pydantic.dataclasses.dataclass
class Ruled:
    size: int = pydantic.Field(ge=0)

class Echo:
    def __init__(self, site, provider): pass
    async def body(self, value=None): return value

class EchoOnThread(Echo):
    def body(self, value): return value

class Each(Echo):
    def body(self, value): yield from value
"""
ADAPTERS = {"tell.Day": "EchoOnThread", "tell.Days": "Each", "tell.Number": "EchoOnThread", "tell.Numbers": "Each"}


@pytest.fixture(scope="module")
def session(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("declared")
    (folder / "declared").mkdir()
    operations = [line.split(":")[0].strip() for line in CONFIG.splitlines() if line.startswith(("  ask.", "  tell."))]
    interface = "".join(
        f'      "#/operations/{one}": {{adapter: declared.lib.{ADAPTERS.get(one, "Echo")}, args: from-operation}}\n'
        for one in operations
    )
    for path, text in {"__init__.py": "", "lib.py": LIB, "federation.dfm.yaml": CONFIG.lstrip() + interface}.items():
        (folder / "declared" / path).write_text(text)
    registry = folder / "federations.yaml"
    registry.write_text("federations:\n  declared: {federation_dir: declared, config_path: federation.dfm.yaml}\n")
    subprocess.run([command, "--config", registry, "fed", "gen", "code", "declared", "--quiet"], check=True)
    sys.path.insert(0, str(folder))
    runtime = importlib.import_module("declared.fed.runtime.home")
    with runtime.get_session(target="local") as session:
        yield session
    sys.path.remove(str(folder))


def operation(name):
    namespace, _, kind = name.partition(".")
    return getattr(importlib.import_module(f"declared.fed.api.{namespace}"), kind)


def as_parameter(name):
    with Pipeline() as pipeline:
        Yield(value=operation(name)(value=PlaceParam(place="v"), site="data"))
    return pipeline


def as_result(name):
    with Pipeline() as pipeline:
        value = operation("ask.Anything")(value=PlaceParam(place="v"), site="home")
        Yield(value=operation(name)(value=value, site="data"))
    return pipeline


def answer(session, pipeline, value):
    return answered(session, pipeline, v=value)


def answered(session, pipeline, **given):
    job = session.execute(pipeline, given)
    assert job.wait_until_finished(30)
    return [error.errors[0] for error in job.errors], job.results()


def as_literal(name, value):
    with Pipeline() as pipeline:
        Yield(value=operation(name)(value=value, site="data"))
    return pipeline


DAY = datetime.date(2020, 1, 1)
ADA = Asker("ada@u.example", "university", "lead")
NOON = datetime.datetime(2020, 1, 1, 12)
UTC, INDIA = datetime.UTC, datetime.timezone(datetime.timedelta(hours=5, minutes=30))

GOOD = {
    "ask.Enum": ["age"],
    "ask.Enums": [["age", "dose"], []],
    "ask.Number": [0, 1.5],
    "ask.Integer": [9, -3],
    "ask.Boolean": [True],
    "ask.Text": ["abc", ""],
    "ask.Optional": [None, 3],
    "ask.Fraction": [0.5, 2, [1, 2]],
    "ask.Whole": [3, 6],
    "ask.Step": [1, 1.5],
    "ask.Counts": [{}, {"a": 1, "b": 2}],
    "ask.Pair": [["age", 3]],
    "tell.Number": [1, 2.5],
    "tell.Numbers": [[1, 2]],
}
BAD = {
    "ask.Enum": ["hiv", 5, None, ["age"]],
    "ask.Enums": [["age", "hiv"], ["age"] * 3, "age", {"age": 1}],
    "ask.Number": ["0", True, -1, None, [1]],
    "ask.Integer": ["1", True, 10, 1.0],
    "ask.Boolean": [1, "true"],
    "ask.Text": ["ABC", "abcde", b"abc", 3],
    "ask.Model": [5, {"low": 1}, {"low": 1, "high": -2}, "x", [1, 2]],
    "ask.Class": [5, [2020, 1, 1]],
    "ask.Optional": ["3"],
    "ask.Fraction": [0.7, True, "0.5", 3, [1, 3], [1]],
    "ask.Whole": [0, 2, 4, True],
    "ask.Step": [0.7, float("nan"), float("inf")],
    "ask.Moment": [5, "5", "1e9", "yesterday", b"2020-01-01"],
    "ask.Day": [5, "5", "2020-02-30", "2020-01-01T10:00:00", b"2020-01-01", [DAY]],
    "ask.Days": ["2020-01-01", ["2020-01-01", "then"]],
    "ask.DayPair": [["then", "x"]],
    "tell.Day": ["secret", 5],
    "tell.Days": [["2020-01-01", "secret"]],
    "ask.Counts": [{"a": "1"}, {"a": 1, "b": 2, "c": 3}],
    "ask.Pair": [["hiv", 3], ["age", "3"], ["age"], ["age", 3, 3]],
    "tell.Number": ["secret", None, [1.0]],
    "tell.Numbers": [["secret"], [1, True]],
}


@pytest.mark.parametrize("way", [as_parameter, as_result])
@pytest.mark.parametrize("name", GOOD)
def test_what_is_declared_passes(session, name, way):
    for value in GOOD[name]:
        errors, results = answer(session, way(name), value)
        assert errors == [] and results == (value if name == "tell.Numbers" else [value])


def test_what_is_declared_as_a_text_or_a_number_reaches_an_adapter_as_pythons_own(session):
    numpy = pytest.importorskip("numpy")
    for name, value in (("ask.Text", numpy.str_("abc")), ("ask.Enum", numpy.str_("age")), ("ask.Step", numpy.int8(2))):
        for way in (as_parameter, as_result):
            errors, (result,) = answer(session, way(name), value)
            assert errors == [] and result == value and type(result) is type(value.item())
    errors, (result,) = answer(session, as_parameter("tell.Number"), numpy.float32(1))
    assert errors == [] and type(result) is numpy.float32, "a result is what the adapter has made"


DATES = {
    "ask.Day": [("2020-01-01", DAY), (DAY, DAY)],
    "ask.Moment": [
        ("2020-01-01T12:00:00", NOON),
        ("2020-01-01T12:00:00Z", NOON.replace(tzinfo=UTC)),
        ("2020-01-01T12:00:00+05:30", NOON.replace(tzinfo=INDIA)),
        (NOON.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),) * 2,
    ],
    "ask.Days": [(["2020-01-01", DAY], [DAY, DAY]), ([], [])],
    "ask.DaysByName": [({"a": "2020-01-01"}, {"a": DAY})],
    "ask.DayPair": [(("2020-01-01", "2020-01-01"), (DAY, "2020-01-01"))],
    "ask.DayOrText": [("2020-01-01", "2020-01-01"), ("then", "then"), (DAY, DAY)],
    "ask.Since": [("2020-01-01", DAY), (DAY, DAY)],
    "tell.Day": [("2020-01-01", DAY), (DAY, DAY)],
}


@pytest.mark.parametrize("name", DATES)
def test_what_is_declared_as_a_date_reaches_an_adapter_as_pythons_own_whatever_way_it_came(session, name):
    for value, expected in DATES[name]:
        ways = answer(session, as_parameter(name), value), answer(session, as_result(name), value)
        for errors, results in (*ways, answered(session, as_literal(name, value))):
            assert errors == [] and repr(results) == repr([expected])


def test_pandas_times_reach_an_adapter_as_pythons_own(session):
    pandas = pytest.importorskip("pandas")
    for way in (as_parameter, as_result):
        errors, (result,) = answer(session, way("ask.Moment"), pandas.Timestamp("2020-01-01T12:00:00Z"))
        assert errors == [] and repr(result) == repr(NOON.replace(tzinfo=UTC))
        for name in ("ask.Day", "ask.Moment"):
            (error,), _ = answer(session, way(name), pandas.NaT)
            assert (error.type, error.site) == ("DeclarationError", "data")


def test_a_default_that_is_declared_as_a_date_reaches_an_adapter_as_one(session):
    with Pipeline() as pipeline:
        Yield(value=operation("ask.Since")(site="data"))
    errors, results = answered(session, pipeline)
    assert errors == [] and results == [datetime.date(2024, 2, 29)]


@pytest.mark.parametrize("way", [as_parameter, as_result])
def test_a_date_in_a_model_is_pythons_own(session, way):
    errors, (stay,) = answer(session, way("ask.Stay"), {"from": "2020-01-01", "at": "2020-01-01T12:00:00Z"})
    assert errors == [] and repr((stay.from_, stay.at)) == repr((DAY, NOON.replace(tzinfo=UTC)))
    errors, again = answer(session, way("ask.Stay"), stay)
    assert errors == [] and again == [stay]


def test_what_is_streamed_of_dates_is_pythons_own(session):
    errors, results = answer(session, as_parameter("tell.Days"), ["2020-01-01", DAY])
    assert errors == [] and results == [DAY, DAY]


POLICY = """
default: deny
rules:
  this-year:
    decision: allow
    operations: [ask.Day, ask.Days, ask.Since, ask.Moment]
    parameters: {value: {like: ["2024-*"]}}
  a-moment: {decision: allow, operations: [ask.Moment], parameters: {value: {one-of: ["2025-01-01T00:00:00Z"]}}}
publish: [rules]
"""


def test_a_rule_and_the_audit_have_a_date_as_its_text_whatever_way_it_came(session, command, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"{POLICY.lstrip()}audit: {{parameters: full, folder: {tmp_path / 'log'}}}\n")
    day, new_year = datetime.date(2024, 5, 1), datetime.datetime(2025, 1, 1)
    with Federation("declared", homesite="home", policies={"data": policy}, asker=ADA) as federation:
        for name, allowed, refused in (
            ("ask.Day", [day, "2024-05-01"], [DAY, "2020-01-01"]),
            ("ask.Days", [[day, "2024-05-01"]], [[day, DAY], ["2020-01-01"]]),
            (
                "ask.Moment",
                ["2025-01-01T00:00:00+00:00", new_year.replace(tzinfo=UTC)],
                [new_year, new_year.replace(tzinfo=INDIA), "2025-01-01T00:00:00+05:30"],
            ),
        ):
            for way in (as_parameter, as_result):
                for value in allowed:
                    assert answer(federation.session, way(name), value)[0] == []
                for value in refused:
                    (error,), _ = answer(federation.session, way(name), value)
                    assert error.type == "RefusedError", value
        with Pipeline() as pipeline:
            Yield(value=operation("ask.Since")(site="data"))
        assert answered(federation.session, pipeline) == ([], [datetime.date(2024, 2, 29)])
    shown = subprocess.run(
        [command, "--json", "site", "audit", "show", tmp_path / "log"], check=True, capture_output=True, text=True
    )
    calls = [one for one in map(json.loads, shown.stdout.splitlines()) if one["what"] == "call"]
    told = {(one["operation"], json.dumps(one["parameters"])) for one in calls}
    assert told == {
        ("ask.Day", '{"value": "2024-05-01"}'),
        ("ask.Days", '{"value": ["2024-05-01", "2024-05-01"]}'),
        ("ask.Moment", '{"value": "2025-01-01T00:00:00Z"}'),
        ("ask.Since", "{}"),
    }


def test_a_time_whose_text_says_less_than_it_is_can_be_told_by_no_rule():
    """Its zone's name, or which of two it is at the end of summer, would be another question with the same text."""
    berlin = datetime.datetime(2024, 5, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    for value in (
        berlin,
        berlin.replace(tzinfo=None, fold=1),
        berlin.replace(tzinfo=datetime.timezone(datetime.timedelta(0), "x")),
    ):
        assert as_texts(value) is value
    assert as_texts({"a": (DAY, [NOON])}) == {"a": ("2020-01-01", ["2020-01-01T12:00:00"])}


def test_what_may_be_a_date_or_a_text_is_not_taken_for_the_other():
    date, text = {"type": "string", "format": "date"}, {"type": "string"}
    assert has_dates({"anyOf": [date, {"type": "null"}]}, no_class) and has_dates({"items": date}, no_class)
    assert not has_dates(text, no_class) and not has_dates({"anyOf": [{"anyOf": [date, text]}, date]}, no_class)


def no_class(path):
    raise AssertionError(path)


def test_numpys_numbers_are_numbers(session):
    numpy = pytest.importorskip("numpy")
    for name, value in {
        "ask.Integer": numpy.int64(3),
        "ask.Number": numpy.float32(1),
        "ask.Boolean": numpy.bool_(True),
    }.items():
        errors, (result,) = answer(session, as_parameter(name), value)
        assert errors == [] and result == value and type(result) is type(value.item())

    others = [numpy.float64(3), numpy.array(3), numpy.array([3]), numpy.timedelta64(3, "ns")]
    for value in others:
        (error,), _ = answer(session, as_parameter("ask.Integer"), value)
        assert error.type == "DeclarationError"


@pytest.mark.parametrize("way", [as_parameter, as_result])
@pytest.mark.parametrize("name", BAD)
def test_what_is_not_declared_is_refused_and_not_told(session, name, way):
    for value in BAD[name]:
        (error,), _ = answer(session, way(name), value)
        assert (error.type, error.site) == ("DeclarationError", "data"), value
        assert name in error.message and "secret" not in error.message and "hiv" not in error.message


def test_what_has_to_be_given_is_asked_for(session):
    """No planner sends a call without it, but an adapter may have a default of its own that nobody else may choose."""
    package = importlib.import_module("declared.fed.runtime.data").__path__[0]
    with open(f"{package}/site.json") as file:
        adapters = Adapters(json.load(file), "home", "s", logging.getLogger("declared"))
    with pytest.raises(Public, match="'value' has to be given"):
        adapters.bound("ask.Enum", None).arguments({})
    assert adapters.bound("ask.Optional", None).arguments({}) == {}


@pytest.mark.parametrize("way", [as_parameter, as_result])
def test_a_model_within_another_value_is_asked(session, way):
    lib = importlib.import_module("declared.lib")
    good, bad = lib.Part(size=1), lib.Part.model_construct(size=-1)
    for name, kind in {
        "ask.Marked": lambda part: lib.Marked.model_construct(parts={part}),
        "ask.Held": lib.Held,
    }.items():
        assert answer(session, way(name), kind(good)) == ([], [kind(good)])
        (error,), _ = answer(session, way(name), kind(bad))
        assert (error.type, error.site) == ("DeclarationError", "data")
    ruled = lib.Ruled(size=1)
    assert answer(session, way("ask.Ruled"), ruled) == ([], [ruled])
    object.__setattr__(ruled, "size", -1)
    (error,), _ = answer(session, way("ask.Ruled"), ruled)
    assert (error.type, error.site) == ("DeclarationError", "data")


@pytest.mark.parametrize("way", [as_parameter, as_result])
def test_a_model_that_nobody_has_checked_is_asked(session, way):
    _, (good,) = answer(session, way("ask.Model"), {"low": 1, "high": 2})
    errors, results = answer(session, way("ask.Model"), good)
    assert errors == [] and results == [good]
    (error,), _ = answer(session, way("ask.Model"), type(good).model_construct(low="secret", high=-2.0))
    assert (error.type, error.site) == ("DeclarationError", "data")
    assert "ask.Model" in error.message and "secret" not in error.message
