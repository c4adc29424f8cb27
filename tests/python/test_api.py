"""Does the pipeline API build, refuse, save and load what its reference says?"""
# pyright: basic

import base64
import copy
import datetime
import importlib
import json
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import pytest
from dfm import api
from dfm.api import (
    Advise,
    BestOf,
    ForEach,
    If,
    Node,
    Operation,
    PickledObject,
    Pipeline,
    PlaceParam,
    Retry,
    Yield,
    well_known_id,
)
from dfm.errors import PipelineError, PlanError
from pydantic import BaseModel, Field
from written import refusal

HERE = Path(__file__)


class Area(BaseModel):
    """A schema's model."""

    north: float
    south: float = 0.0


class GreetMe(Operation, frozen=True):
    """Greets."""

    dfm_operation: ClassVar[str] = "users.GreetMe"
    dfm_package: ClassVar[str] = "examplefed"
    dfm_api_version: ClassVar[str] = "0.0.1"
    name: str | Node | PlaceParam | Advise
    greeting: str | Node | PlaceParam | Advise | None = None


class Find(Operation[Area], frozen=True):
    """Returns a schema's model."""

    dfm_operation: ClassVar[str] = "math.Find"
    dfm_package: ClassVar[str] = "examplefed"
    dfm_api_version: ClassVar[str] = "0.0.1"
    dfm_returns: ClassVar[type[Area]] = Area


class Count(Operation[int], frozen=True):
    """Returns a number."""

    dfm_operation: ClassVar[str] = "math.Count"
    dfm_package: ClassVar[str] = "examplefed"
    dfm_api_version: ClassVar[str] = "0.0.1"
    dfm_returns: ClassVar[type[Any]] = int


class Describe(Count, frozen=True):
    """Returns a dictionary."""

    dfm_operation: ClassVar[str] = "math.Describe"
    dfm_returns: ClassVar[type[Any]] = dict


class Title(Count, frozen=True):
    """Returns a text."""

    dfm_operation: ClassVar[str] = "math.Title"
    dfm_returns: ClassVar[type[Any]] = str


class Compute(Operation, frozen=True):
    """Takes anything."""

    dfm_operation: ClassVar[str] = "math.Compute"
    dfm_package: ClassVar[str] = "examplefed"
    dfm_api_version: ClassVar[str] = "0.0.1"
    value: Any
    area: Area | Node | PlaceParam | None = None
    items: list[Any] | Node | PlaceParam | None = None
    class_: str | Node | PlaceParam | None = Field(default=None, validation_alias="class")


greet_me: Any = GreetMe  # wrong parameters are what a type checker refuses
compute: Any = Compute


def document(pipeline: Pipeline) -> list[dict[str, Any]]:
    return json.loads(pipeline.model_dump_json())["statements"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A generated package `apifed`, importable."""
    folder = tmp_path / "apifed" / "fed" / "api"
    folder.mkdir(parents=True)
    for path in (folder, folder.parent, folder.parent.parent):
        (path / "__init__.py").touch()
    (folder.parent / "fed_info.json").write_text("{}")
    (folder / "users.py").write_text(
        "from typing import ClassVar\n"
        "from dfm.api import Node, Operation, PlaceParam\n"
        "class GreetMe(Operation, frozen=True):\n"
        "    dfm_operation: ClassVar[str] = 'users.GreetMe'\n"
        "    dfm_package: ClassVar[str] = 'apifed'\n"
        "    dfm_api_version: ClassVar[str] = '1.2.3'\n"
        "    name: str | Node | PlaceParam\n"
        "class Keep(GreetMe, frozen=True):\n"
        "    dfm_operation: ClassVar[str] = 'users.Keep'\n"
        "    value: object\n"
    )
    (tmp_path / "evil.py").write_text("raise SystemExit('it was imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("apifed.fed.api.users")
    for name in [name for name in sys.modules if name.partition(".")[0] == "apifed"]:
        del sys.modules[name]


def test_a_pipeline_is_plain_data() -> None:
    with Pipeline(name="greet") as pipeline:
        first = GreetMe(site="reception", name=PlaceParam(place="who"), dfm_node_id=well_known_id("first"))
        second = GreetMe(name=first.fieldref("parts").fieldref(0).fieldref("k", issubs=True), site=BestOf(sites=["a"]))
        Yield(value=second, place="greetings", dfm_after=[first])
    assert json.loads(pipeline.model_dump_json()) == {
        "dfm_pipeline": 1,
        "name": "greet",
        "mode": "execute",
        "package": "examplefed",
        "api_version": "0.0.1",
        "statements": [
            {
                "kind": "operation",
                "node": "first",
                "operation": "users.GreetMe",
                "class": f"{__name__}.GreetMe",
                "site": "reception",
                "provider": None,
                "block": None,
                "after": [],
                "retry": None,
                "timeout": None,
                "arguments": {"name": {"param": "who", "multiuse": False}},
            },
            {
                "kind": "operation",
                "node": 0,
                "operation": "users.GreetMe",
                "class": f"{__name__}.GreetMe",
                "site": {"best_of": ["a"]},
                "provider": None,
                "block": None,
                "after": [],
                "retry": None,
                "timeout": None,
                "arguments": {"name": {"node": "first", "path": [{"attribute": "parts"}, {"index": 0}, {"key": "k"}]}},
            },
            {
                "kind": "yield",
                "node": 1,
                "place": "greetings",
                "multiuse": False,
                "block": None,
                "after": ["first"],
                "value": {"node": 0, "path": []},
            },
        ],
    }


def test_each_node_knows_the_users_line() -> None:
    with Pipeline() as pipeline:
        GreetMe(name="a")
        Yield(value=GreetMe(name="b"))
    lines = [int(where.rpartition(":")[2]) for where in pipeline.dfm_lines().values()]
    assert [line - lines[0] for line in lines] == [0, 1, 1]
    assert all(where.startswith(f"{HERE}:") for where in pipeline.dfm_lines().values())


def test_literals_are_json_where_json_gives_them_back_and_encoded_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    values = types.ModuleType("dfm._values")
    setattr(values, "dumps", lambda value: repr(value).encode())  # noqa: B010
    monkeypatch.setitem(sys.modules, "dfm._values", values)
    monkeypatch.setattr("dfm._values", values, raising=False)
    plain: list[Any] = [None, True, 1.5, 2**64 - 1, "x", ["a", {"k": [1]}], {}]
    odd: list[Any] = [b"x", (1,), {1: 2}, {"$dfm": 1}, float("nan"), 2**64, datetime.date(2025, 4, 17), {1}, [b"x"]]
    odd += [Area(north=1.0), PickledObject(value=3)]
    with Pipeline() as pipeline:
        for value in plain + odd:
            Compute(value=value)
        compute(value=1, area=Area(north=90.0), **{"class": "c"})
        Compute(value=1, class_="c")
    arguments = [statement["arguments"] for statement in document(pipeline)]
    assert [found["value"] for found in arguments[: len(plain)]] == [{"literal": value} for value in plain]
    encoded = [found["value"] for found in arguments[len(plain) : -2]]
    assert encoded == [{"encoded": base64.b64encode(repr(value).encode()).decode()} for value in odd]
    assert arguments[-2]["area"] == {"literal": {"north": 90.0}}, "a default is none of what was given"
    assert [found["class"] for found in arguments[-2:]] == [{"literal": "c"}] * 2


def test_literals_that_no_reader_of_json_takes_are_encoded_or_refused() -> None:
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    endless: list[Any] = deep
    for _ in range(200):
        endless = [endless]
    with Pipeline() as pipeline:
        Compute(value=deep)
        Compute(value="\ud800")
    assert [list(one["arguments"]["value"]) for one in document(pipeline)] == [["encoded"], ["encoded"]]
    with Pipeline() as pipeline:
        Compute(value=endless)
    with pytest.raises(
        PipelineError, match=r"math.Compute: value cannot be saved or sent: .*more than 200 levels deep"
    ):
        pipeline.model_dump_json()


def test_wrong_parameters_are_explained() -> None:
    assert refusal(lambda: greet_me(name="x", greting="y")).endswith(
        "users.GreetMe: there is no parameter 'greting'; did you mean 'greeting'?"
    )
    assert refusal(lambda: greet_me()).endswith("users.GreetMe: the parameter 'name' is missing")
    assert refusal(lambda: greet_me(name=5)).endswith(
        "users.GreetMe: name takes a string, another node's result or a PlaceParam, not 5 (int)"
    )
    assert refusal(lambda: greet_me(name="x", retry=3)).endswith("users.GreetMe: retry takes Retry, not 3 (int)")
    assert "area takes Area" in refusal(lambda: compute(value=1, area={"south": 3}))
    assert "area needs the key 'north'" in refusal(lambda: compute(value=1, area={"south": 3}))
    assert refusal(lambda: greet_me()).startswith(f"{HERE}:")


def test_nodes_stand_anywhere_in_a_value() -> None:
    with Pipeline() as pipeline:
        value = {"k": (PlaceParam("p"), [greet_me(name="a").fieldref("x")]), 2: Area(north=1)}
        compute(value=value, area={"north": greet_me(name="b")})
        Yield(value=[greet_me(name="c"), Area.model_construct(north=greet_me(name="d"))])
    by_id = {statement["node"]: statement for statement in document(pipeline)}
    assert by_id[2]["arguments"]["area"] == {"dict": [[{"literal": "north"}, {"node": 1, "path": []}]]}
    assert [pair[0] for pair in by_id[2]["arguments"]["value"]["dict"]] == [{"literal": "k"}, {"literal": 2}]
    assert by_id[5]["value"]["list"][1]["model"].endswith(":Area")


def test_what_is_executed_asks_for_nothing() -> None:
    for build in (lambda: greet_me(name=Advise()), lambda: greet_me(name="a", site=Advise())):
        assert "which only a Pipeline(mode='discovery') does" in refusal(build)
    with Pipeline(mode="discovery"):
        assert greet_me(name=Advise(), site=Advise()).name == Advise()


def test_a_node_stays_in_its_pipeline() -> None:
    with Pipeline():
        foreign = GreetMe(name="a")
    where = f"{HERE}:{sys._getframe().f_lineno - 1}"
    for build in (
        lambda: GreetMe(name=foreign),
        lambda: GreetMe(name=foreign.fieldref("x")),
        lambda: GreetMe(name="a", dfm_after=foreign),
        lambda: Yield(value=foreign),
    ):
        message = refusal(build)
        assert where in message and message.startswith(f"{HERE}:") and "another pipeline" in message
    with pytest.raises(PipelineError, match="outside of any pipeline") as caught:
        GreetMe(name=foreign)
    assert where in str(caught.value)


def test_one_pipeline_is_entered_at_a_time_in_a_thread() -> None:
    assert "already" in refusal(lambda: Pipeline().__enter__())
    seen: list[int] = []

    def build() -> None:
        with Pipeline() as pipeline:
            GreetMe(name="a")
        seen.append(len(document(pipeline)))

    with Pipeline() as pipeline:
        thread = threading.Thread(target=build)
        thread.start()
        thread.join()
    assert (seen, document(pipeline)) == ([1], [])


def test_places_and_ids_are_unique_unless_they_say_otherwise() -> None:
    assert "multiuse=True" in refusal(lambda: [GreetMe(name=PlaceParam("p", multiuse=m)) for m in (True, False)])
    assert "multiuse=True" in refusal(lambda: GreetMe(name=PlaceParam("p"), greeting=PlaceParam("p")))
    assert "multiuse=True" in refusal(lambda: [Yield(value=GreetMe(name="a")) for _ in range(2)])
    assert "share a name" in refusal(lambda: Yield(value=GreetMe(name=PlaceParam("p")), place="p"))
    assert "share a name" in refusal(lambda: [Yield(value=GreetMe(name="a")), GreetMe(name=PlaceParam("yield"))])
    assert "taken already" in refusal(lambda: [GreetMe(name="a", dfm_node_id=well_known_id("i")) for _ in range(2)])
    assert "dfm's own" in refusal(lambda: PlaceParam(place="_dfm_status_"))
    with Pipeline() as pipeline:
        for _ in range(2):
            Yield(GreetMe(name=PlaceParam("p", multiuse=True)), multiuse=True)
    assert len(document(pipeline)) == 4


def test_a_saved_pipeline_loads(package: Any, tmp_path: Path) -> None:
    with Pipeline(name="greet") as pipeline:
        first = package.GreetMe(site="a", provider="p", name=PlaceParam("who"), dfm_node_id=well_known_id("first"))
        second = package.GreetMe(name=first.fieldref("x"), dfm_after=first)
        Yield(value=second)
        Yield(value=PlaceParam("echo"), place="back")
    path = tmp_path / "greet.json"
    pipeline.save_to_file(path)
    loaded = Pipeline.load_from_file(str(path))
    assert loaded == pipeline
    assert loaded.dfm_lines()["first"] == f"{path}: statement 0"
    assert Pipeline.model_validate_json(pipeline.model_dump_json()) == pipeline
    with loaded:
        Yield(value=package.GreetMe(name="more"), place="more")
    assert [statement["node"] for statement in document(loaded)] == ["first", 0, 1, 2, 3, 4]


def test_what_json_cannot_hold_loads_too(package: Any, tmp_path: Path) -> None:
    values = [b"x", (1, 2), datetime.date(2025, 4, 17), {1: "a"}, 2**70, {"$dfm": 1}]
    with Pipeline() as pipeline:
        for value in values:
            package.Keep(name="a", value=value)
    pipeline.save_to_file(tmp_path / "keep.json")
    loaded = Pipeline.load_from_file(tmp_path / "keep.json")
    assert loaded == pipeline
    with pytest.raises(PipelineError, match="value cannot be saved or sent"), Pipeline() as pipeline:
        package.Keep(name="a", value=[threading.Lock()])
        pipeline.model_dump_json()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ('"class":"evil.GreetMe"', "is not the generated class"),
        ('"class":"evil.fed.api.users.GreetMe"', "is not the generated class"),
        ('"class":"apifed.fed.api.users.Nothing"', "is not the generated class"),
        ('"operation":"users.Other"', "is not the generated class"),
        ('"kind":"while"', "a statement of kind 'while' is not available yet"),
        ('"site":3', "'site' is missing or of the wrong type"),
        ('"after":[7]', "there is no node with the id 7"),
        ('"arguments":{"nme":{"literal":1}}', "did you mean 'name'"),
        ('"arguments":{"name":{"ltral":1}}', "neither a literal"),
        ('"arguments":{"name":{"node":9}}', "there is no node with the id 9"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(package: Any, tmp_path: Path, edit: str, message: str) -> None:
    with Pipeline() as pipeline:
        package.GreetMe(name="a")
    content = json.loads(pipeline.model_dump_json())
    content["statements"][0].update(json.loads("{" + edit + "}"))
    path = tmp_path / "pipeline.json"
    path.write_text(json.dumps(content))
    with pytest.raises(PipelineError) as caught:
        Pipeline.load_from_file(path)
    assert message in str(caught.value) and str(caught.value).startswith(f"{path}: statement 0: ")


def test_a_file_that_is_no_pipeline_is_refused(package: Any, tmp_path: Path) -> None:
    path = tmp_path / "pipeline.json"
    for text, message in (("{", "is not JSON"), ("[]", "not a saved pipeline"), ('{"dfm_pipeline": 2}', "format 1")):
        path.write_text(text)
        with pytest.raises(PipelineError, match=message):
            Pipeline.load_from_file(path)
    with pytest.raises(PipelineError, match="No such file"):
        Pipeline.load_from_file(tmp_path / "none.json")
    with Pipeline() as pipeline:
        package.GreetMe(name="a")
    path.write_text(pipeline.model_dump_json().replace('"1.2.3"', '"2.0.0"'))
    with pytest.raises(PipelineError, match="was written for version 2"):
        Pipeline.load_from_file(path)


def damaged(value: Any) -> Iterator[Any]:
    """Every document that has something else, or nothing, in one place of this one."""
    yield from (None, True, -1, 1.5, "?", [], [[]], {}, {"node": 0})
    if isinstance(value, dict):
        entries = cast(dict[str, Any], value)
        for key, inner in entries.items():
            yield {other: entries[other] for other in entries if other != key}
            yield from ({**entries, key: wrong} for wrong in damaged(inner))
    elif isinstance(value, list):
        items = cast(list[Any], value)
        for index, inner in enumerate(items):
            yield items[:index] + items[index + 1 :]
            yield from ([*items[:index], wrong, *items[index + 1 :]] for wrong in damaged(inner))


def test_a_damaged_file_is_a_pipeline_or_a_clear_error(package: Any, tmp_path: Path) -> None:
    with Pipeline(name="all") as pipeline:
        with ForEach(seq=package.Keep(name="a", value=[1])) as loop:
            with If(cond=~(loop > 1) & (loop.fieldref("x") > 2)) as test:
                seen = package.GreetMe(site="a", name=loop, retry=Retry(1, 0.5), timeout=2)
                Yield(value=seen)
            with test.otherwise():
                package.Keep(name=PlaceParam("p"), value=b"x", dfm_after=loop)
        Yield(value=loop.collect(seen), place="all")
    whole = json.loads(pipeline.model_dump_json())
    refused = 0
    for number, document in enumerate(damaged(whole)):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(document))
        try:
            assert isinstance(Pipeline.load_from_file(path), Pipeline)
        except PipelineError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 500


def test_plan_errors_name_the_users_lines() -> None:
    problem = {"code": "plan-x", "node": 0, "message": "wrong", "help": "right"}
    error = PlanError(json.dumps({"problems": [problem]}), {0: "app.py:7"})
    assert error.problems == [problem]
    assert str(error) == "app.py:7: wrong\n  help: right"


def calls_of(nodes: int) -> int:
    """How many functions are called to write a chain of so many nodes and to save it: its cost, on any machine."""
    called = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal called
        called += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with Pipeline() as pipeline:
            node = GreetMe(name="x")
            for _ in range(nodes):
                node = GreetMe(name=node, greeting="hello", site="reception")
        assert len(pipeline.model_dump_json()) > 100 * nodes
    finally:
        sys.setprofile(None)
    return called


def test_a_node_costs_the_same_however_many_there_are() -> None:
    calls_of(10)
    assert calls_of(4000) < 4.1 * calls_of(1000)


def test_a_part_that_a_schemas_model_cannot_have_is_refused_where_it_is_written() -> None:
    with Pipeline():
        found = Find()
        Compute(value=[found.fieldref("north"), found.fieldref("south").fieldref("real"), found[0]])
        with pytest.raises(PipelineError) as caught:
            found.fieldref("nort")
        told = str(caught.value)
        assert told.startswith(f"{HERE}:") and f"math.Find made at {HERE}:" in told
        assert told.endswith("is of the schema Area, which has no attribute 'nort'; did you mean 'north'?")
        with pytest.raises(PipelineError, match="no attribute 'x'; it has 'north', 'south'"):
            found.fieldref("x")
        with pytest.raises(PipelineError, match=r"whose fields are attributes: write fieldref\('north'\)"):
            found["north"]
        with pytest.raises(PipelineError, match=r"the part \.north of the result .* is a number, which has no parts"):
            found.fieldref("north")["x"]
        with pytest.raises(PipelineError, match=r"the part \[0\]\.north of the result .* is a number, which has no"):
            found[0].fieldref("north").fieldref("x")
        with pytest.raises(PipelineError, match=r"the part \[0\] of the result .* is of the schema Area, which has no"):
            found[0].fieldref("x")


def test_an_attribute_that_a_node_has_not_is_refused_with_what_there_is() -> None:
    with Pipeline():
        found, made = cast("Any", Find()), cast("Any", Compute(value=1))
        with pytest.raises(PipelineError, match=r"schema Area, which has no attribute 'nort'; did you mean 'north'\?"):
            _ = found.nort
        with pytest.raises(PipelineError, match=r"Count made at .* is a number, which has no parts"):
            _ = cast("Any", Count()).mean
        with pytest.raises(
            PipelineError, match=r"math.Compute made at .*'mean'; of what .* fieldref\('mean'\) is that"
        ) as caught:
            _ = made.mean
        assert str(caught.value).startswith(f"{HERE}:")
        with pytest.raises(PipelineError, match=r"'aera'; did you mean 'area'\?"):
            _ = made.aera
        with pytest.raises(
            PipelineError, match=r"the part \.rows of the math.Compute made at .* no attribute 'mean'; of what it "
        ):
            _ = made.fieldref("rows").mean
        # As Python asks.
        assert not hasattr(made, "mean") and getattr(made, "mean", None) is None and not hasattr(made, "_mean")
        assert copy.deepcopy(made.fieldref("rows")).path == (("attribute", "rows"),)


def test_a_part_that_a_plain_result_cannot_have_is_refused_where_it_is_written() -> None:
    with Pipeline():
        count, title, described = Count(), Title(), Describe()
        # What an operation sends item by item is a list of such.
        Compute(value=[count[3], title[0], title[0][1], described["mean"], described[0]["mean"].fieldref("real")])
        for refused in (lambda: count["x"], lambda: count.fieldref("mean"), lambda: count[0]["x"]):
            with pytest.raises(
                PipelineError, match=r"the result of the math\.Count made at .* a number, which has no parts"
            ):
                refused()
        with pytest.raises(PipelineError, match="is a text, whose parts are numbered"):
            title["x"]
        with pytest.raises(PipelineError, match=r"is a dictionary, whose parts have keys: write \['mean'\]"):
            described.fieldref("mean")


def test_what_is_not_there_yet_is_put_into_no_text() -> None:
    with Pipeline():
        count, found = Count(), Find()
        with ForEach(seq=[1]) as x:
            for write in (
                lambda: f"total {count}",
                lambda: f"{count:>5}",
                lambda: f"{found.fieldref('north')}",
                lambda: f"{PlaceParam('year')}",
                lambda: f"{count == 3}",
                lambda: f"{x}",
            ):
                with pytest.raises(PipelineError, match="cannot be put into a text; have an operation make") as caught:
                    write()
                assert str(caught.value).startswith(f"{HERE}:")
        # To look at one is no use of its value.
        assert f"{count!r}" == str(count) and "math.Count" in str(count)


class Bounded(Operation, frozen=True):
    """Takes what is within bounds."""

    dfm_operation: ClassVar[str] = "math.Bounded"
    dfm_package: ClassVar[str] = "examplefed"
    dfm_api_version: ClassVar[str] = "0.0.1"
    year: Annotated[int, Field(ge=2000, lt=2030)] | Node | PlaceParam | Advise | None = None
    code: Annotated[str, Field(min_length=2, max_length=3, pattern="^[a-z]+$")] | Node | PlaceParam | None = None
    days: Annotated[list[int], Field(max_length=2)] | Node | PlaceParam | None = None
    share: Annotated[float, Field(gt=0, multiple_of=0.25)] | None = None


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"year": 1999}, "year should be greater than or equal to 2000, not 1999 (int)"),
        ({"year": 2030}, "year should be less than 2030, not 2030 (int)"),
        ({"code": "x"}, "code should have at least 2 characters, not 'x' (str)"),
        ({"code": "xxxx"}, "code should have at most 3 characters, not 'xxxx' (str)"),
        ({"code": "X1"}, "code should match pattern '^[a-z]+$', not 'X1' (str)"),
        ({"days": [1, 2, 3]}, "days should have at most 2 items, not [1, 2, 3] (list)"),
        ({"share": 0.3}, "share should be a multiple of 0.25, not 0.3 (float)"),
        ({"share": -1}, "share should be greater than 0, not -1 (int)"),
        ({"year": "x"}, "year takes an integer, another node's result or a PlaceParam, not 'x' (str)"),
    ],
)
def test_a_literal_beyond_a_bound_is_told_the_bound(given: dict[str, Any], told: str) -> None:
    bounded: Any = Bounded
    assert refusal(lambda: bounded(**given)).endswith(f": math.Bounded: {told}")


def test_a_condition_is_no_value_and_a_node_no_key() -> None:
    with Pipeline():
        count: Any = Count()
        for build in (
            lambda: Yield(value=count == 3),
            lambda: compute(value=[{"a": count > 3}]),
            lambda: greet_me(name=count == 3),
            lambda: compute(value=1, items=[count == 3]),
            lambda: If(cond=count == (count > 3)),
        ):
            with pytest.raises(
                PipelineError, match=r"the condition \w+\(left=.*, which is no value; give it to If\("
            ) as e:
                build()
            assert str(e.value).startswith(f"{HERE}:")
        for keys in ({count: 1}, {(count, 1): 1}, {PlaceParam("p"): 1}):
            with pytest.raises(PipelineError, match="Yield: value has a node as a dictionary's key; keys are literals"):
                Yield(value=[keys])


def test_nothing_is_calculated_or_decided_with_a_node_while_the_pipeline_is_written() -> None:
    with Pipeline():
        count: Any = Count()
        described: Any = Describe()
        for calculate in (
            lambda: count + 1,
            lambda: 1 + count,
            lambda: "a" + count,
            lambda: -described["mean"],
            lambda: sum([count, count]),
            lambda: int(count),
            lambda: round(count / 2),
        ):
            with pytest.raises(PipelineError, match="nothing can be calculated with it there; have an operation"):
                calculate()
        for decide in (lambda: not count, lambda: count or 1, lambda: count in [1]):
            with pytest.raises(PipelineError, match=rf"^{HERE}.*give it to If\(cond=…\), and use &"):
                decide()


def test_a_value_that_contains_itself_is_refused_whatever_the_parameter_takes() -> None:
    loop: list[Any] = []
    loop.append(loop)
    for build in (lambda: compute(value=loop), lambda: compute(value=1, items=loop), lambda: greet_me(name=loop)):
        assert "contains itself, or is nested too deep" in refusal(build)


def test_an_operations_parameters_are_given_by_name() -> None:
    assert "users.GreetMe takes its parameters by name" in refusal(lambda: greet_me("Ada"))
    assert "it takes name, greeting: write GreetMe(name='Ada', …)" in refusal(lambda: greet_me("Ada"))
    assert "write GreetMe(name='Ada', greeting='Hi')" in refusal(lambda: greet_me("Ada", "Hi"))
    find: Any = Find
    assert "it takes none" in refusal(lambda: find(1))


WRITTEN = [one for one in api.__all__ if isinstance(kind := getattr(api, one), type) and one[0].isupper()]
NOT_WRITTEN = {"Node", "NodeParam", "NodeRef", "Part", "ErrorInfo", "ErrorRecord", "ErrorToken", "StopToken"}
"""What dfm makes itself."""


@pytest.mark.parametrize("name", sorted({*WRITTEN} - NOT_WRITTEN))
@pytest.mark.parametrize("given", [{"nonsense": 1}, range(20)], ids=["by name", "by position"])
def test_whatever_is_written_says_with_the_users_line_that_it_is_given_something_else(
    name: str, given: dict[str, int] | range
) -> None:
    written = getattr(api, name)
    told = refusal(lambda: written(**given) if isinstance(given, dict) else written(*given))
    assert told.startswith(f"{HERE}:") and name in told, told


def test_what_a_dataclass_refuses_is_told_with_the_users_line() -> None:
    place, retry = cast("Any", PlaceParam), cast("Any", Retry)
    for build in (lambda: place(2025), lambda: retry(times=-1), lambda: Retry(times=1, backoff=-1)):
        assert refusal(build).startswith(f"{HERE}:")
    # The user's own code may be in no file, too.
    with pytest.raises(PipelineError, match="^<string>:1: PlaceParam"):
        exec(compile("place('')", "<string>", "exec"), {"place": place})
