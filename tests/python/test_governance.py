"""Does a site do what its own policy says of calls and of values that leave, and nothing else?"""
# pyright: basic, reportMissingImports=false

from __future__ import annotations

import array
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import importlib.util
import io
import json
import logging
import os
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from dfm import _values, values
from dfm.api import (
    Advise,
    EachSite,
    ErrorToken,
    ForEach,
    PickledObject,
    Pipeline,
    PlaceParam,
    Retry,
    TryFromCache,
    Yield,
)
from dfm.api.discovery import ErrorFieldAdvice
from dfm.errors import RefusedError, SessionError
from dfm.exec import Release
from dfm.exec._adapters import _held_for
from dfm.exec._bound import Bound
from dfm.exec._counting import Counting
from dfm.exec._deciding import _FRESH, Deciding, _fits, _is_now
from dfm.exec._leaving import Leaving
from dfm.exec._noise import Noising
from dfm.exec._policy import Constraint, Leaves, PerDay, SitePolicy, Suppress, When, read_file
from dfm.exec._release import Releasing
from dfm.session import Session
from dfm.testing import Asker, Federation
from eventually import until
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

ADA = Asker("ada@u.example", "university", "lead")
POLICY = """
default: deny
rules:
  not-zero: {decision: deny, operations: [work.Add], parameters: {a: {one-of: [0]}}}
  small-sums:
    decision: allow
    organisations: [univ*]
    roles: [lead]
    operations: [work.Add]
    parameters: {a: {minimum: -5, maximum: 5}, b: {one-of: [1, 2]}}
  looks: {decision: allow, users: ["ada@*"], operations: [work.Echo, work.Total, "work.R*"]}
"""


def written(build):
    with Pipeline() as pipeline:
        build()
    return pipeline


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY.lstrip())
    return path


@pytest.fixture
def federation(small, file):
    importlib.import_module("small.fed.api.work")
    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:
        yield running


def change(file: Path, text: str) -> None:
    """Writes another policy, and waits until a site that has just looked at the file looks again."""
    file.write_text(text)
    written = time.monotonic()
    until(lambda: time.monotonic() > written + _FRESH)


def answer(federation, build, **parameters):
    job = federation.session.execute(written(build), parameters)
    assert job.wait_until_finished(30)
    return [value for value in job.results() if not isinstance(value, ErrorToken)], [
        (error.type, error.message) for token in job.errors for error in token.errors
    ]


def test_the_first_rule_that_is_about_a_call_decides(federation, fed):
    def add(**more):
        return answer(
            federation, lambda: Yield(value=fed.Add(a=PlaceParam(place="a"), site="east", **more)), a=more.pop("at")
        )

    assert add(at=5) == ([6], [])
    assert add(at=-5, b=2) == ([-3], [])
    for at, more, rule in ((6, {}, "'small-sums'"), (1, {"b": 3}, "'small-sums'"), (0, {}, "its rule 'not-zero'")):
        results, ((kind, message),) = add(at=at, **more)
        assert (results, kind) == ([], "RefusedError")
        assert "site 'east' refuses 'work.Add' to user 'ada@u.example'" in message and rule in message


def test_what_no_parameters_allow_is_told_before_anything_runs(federation, fed):
    with pytest.raises(SessionError, match="refuses 'work.Wait' to user .* none of its rules allows"):
        federation.session.prepare(written(lambda: Yield(value=fed.Wait(seconds=1, site="east"))))
    assert answer(federation, lambda: Yield(value=fed.Wait(seconds=0, site="server")))[1] == []


def test_a_call_that_published_rules_never_allow_is_refused_before_anything_runs(small, file, fed, command, tmp_path):
    def prepared(**given):
        build = lambda: Yield(value=fed.Add(site="east", **given))  # noqa: E731
        return running.session.prepare(written(build))

    open = PlaceParam(place="open")
    file.write_text(f"{POLICY}publish: [rules]\naudit: {{folder: {tmp_path / 'log'}}}\n")
    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:
        for given, rule in (
            ({"a": 6}, "rule 'small-sums' allows"),
            ({"a": 9, "b": open}, "rule 'small-sums' allows"),
            ({"a": open, "b": 3}, "rule 'small-sums' allows"),
            ({"a": 0}, "by its rule 'not-zero'"),
        ):
            with pytest.raises(SessionError, match=rf"test_governance.py:\d+: site 'east' refuses 'work.Add' .*{rule}"):
                prepared(**given)
        for given in ({"a": 5}, {"a": open}, {"a": 1, "b": open}, {"a": 1, "b": 2}):
            prepared(**given)
        assert answer(running, lambda: Yield(value=fed.Add(a=5, site="east"))) == ([6], [])
        change(file, POLICY)
        prepared(a=6)
    lines = dfm(command, "--json", "site", "audit", "show", tmp_path / "log").stdout.splitlines()
    told = [one["what"] for one in map(json.loads, lines) if one.get("operation") == "work.Add"]
    assert told == ["refused"] * 4 + ["call", "left"]


@pytest.mark.parametrize(
    ("rule", "refused"),
    [
        ("decision: deny", True),
        ("decision: deny, when: {until: 2000-01-01}", False),
        ("decision: ask", False),
        ("decision: allow", False),
    ],
)
def test_only_what_can_never_be_allowed_is_refused_beforehand(small, file, fed, rule, refused):
    rules = f"rules: {{one: {{operations: [work.Add], parameters: {{a: {{one-of: [1]}}}}, {rule}}}}}"
    file.write_text(f"default: allow\npublish: [rules]\n{rules}\n")
    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:
        pipeline = written(lambda: Yield(value=fed.Add(a=1, site="east")))
        if not refused:
            running.session.prepare(pipeline)
            return
        with pytest.raises(SessionError, match="by its rule 'one'"):
            running.session.prepare(pipeline)


def test_who_asks_decides(small, file, fed):
    for asker in (dataclasses.replace(ADA, role="member"), dataclasses.replace(ADA, organisation="company")):
        with (
            Federation("small", homesite="home", policies={"east": file}, asker=asker) as running,
            pytest.raises(SessionError, match="refuses 'work.Add' .* none of its rules allows such a call"),
        ):
            answer(running, lambda: Yield(value=fed.Add(a=1, site="east", b=1)))


def test_a_refused_operation_gives_no_advice(federation, file, fed):
    file.write_text("default: deny\n")
    with Pipeline(mode="discovery") as pipeline:
        report = fed.Report(city=Advise(), month=Advise())
    found = federation.session.discover(pipeline)[report]
    assert isinstance(found["east", None], ErrorFieldAdvice) and "refuses 'work.Report'" in str(found["east", None])


def test_a_policy_is_read_again_when_it_changes_and_a_broken_one_refuses_everything(federation, file, fed):
    def echo():
        return answer(federation, lambda: Yield(value=fed.Echo(value=PlaceParam(place="v"), site="east")), v=1)

    assert echo() == ([1], [])
    prepared = written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="v"), site="east")))
    job = federation.session.execute(prepared, {"v": 1}, autostop=False)
    until(lambda: job.tokens("yield"))
    for text, refused in {
        "default: deny\n": "none of its rules allows",
        "default: dony\n": "its policy is broken",
        "rules: {}\n": "its policy is broken",
    }.items():
        change(file, text)
        with pytest.raises(SessionError, match=refused):
            echo()
    job.send_input_params({"v": 2})
    job.send_stop_frame()
    assert job.wait_until_finished(30)
    (message,) = {error.message for token in job.errors for error in token.errors}
    assert "its policy is broken" in message
    file.write_text("default: allow\n")
    assert echo() == ([1], [])
    file.unlink()
    assert echo() == ([1], []), "without a file the defaults hold"


def test_what_stays_at_the_site_is_free_and_what_leaves_is_judged(federation, file, fed):
    file.write_text("default: allow\nleaves: {kinds: [number]}\n")
    assert answer(
        federation, lambda: Yield(value=fed.Total(items=fed.Echo(value=[1, 2], site="east"), site="east"))
    ) == (
        [3],
        [],
    )
    for build in (
        lambda: Yield(value=fed.Echo(value=[1, 2], site="east")),
        lambda: Yield(value=fed.Total(items=fed.Echo(value=[1, 2], site="east"), site="west")),
    ):
        results, errors = answer(federation, build)
        assert results == [] and {kind for kind, _ in errors} == {"RefusedError"}
        assert "site 'east' lets not leave, by `leaves.kinds` of its policy" in errors[0][1]
    file.write_text("default: allow\nleaves: {bytes: 100}\n")
    _, ((kind, message),) = answer(federation, lambda: Yield(value=fed.Echo(value="x" * 200, site="east")))
    assert kind == "RefusedError" and "`leaves.bytes`" in message


def test_what_happens_is_written_down_where_a_policy_says_so(federation, file, fed, command, tmp_path):
    policy = (
        "default: allow\nrules: {never: {decision: deny, operations: [work.Fail]}}\nleaves: {kinds: [number, list]}\n"
    )
    file.write_text(f"{policy}audit: {{parameters: full, folder: {tmp_path / 'log'}}}\n")
    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:
        build = lambda: Yield(value=fed.Total(items=fed.Echo(value=[1, 2], site="east"), site="east"))  # noqa: E731
        assert answer(running, build) == ([3], [])
        assert answer(running, lambda: Yield(value=fed.Echo(value="row", site="east")))[0] == []
        assert answer(running, lambda: Yield(value=fed.Echo(value=[5], site="east"))) == ([[5]], [])
        with pytest.raises(SessionError, match="its rule 'never'"):
            running.session.run(written(lambda: Yield(value=fed.Fail(value=1, site="east"))))
        with Pipeline(mode="discovery") as pipeline:
            fed.Report(city=Advise(), month=Advise(), site="east")
        running.session.discover(pipeline)
    done = dfm(command, "--json", "site", "audit", "show", tmp_path / "log")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    seen = [(one["what"], one.get("operation")) for one in records]
    assert seen[0] == ("session", None)
    assert [one for one in seen if one[0] != "ended"][1:4] == [
        ("call", "work.Echo"),
        ("call", "work.Total"),
        ("left", "work.Total"),
    ]
    assert [one["how"] for one in records if one.get("operation") == "work.Total" and "how" in one] == ["done"]
    assert all(one["user"] == ADA.user for one in records)
    assert sum("how" in one for one in records) == sum(one["what"] == "call" for one in records)
    assert records[1]["parameters"] == {"value": [1, 2]}
    (left, *_) = (one for one in records if one["what"] == "left")
    assert (left["to"], left["kind"]) == ("home", "number") and left["bytes"] > 0 and len(left["digest"]) == 64
    refused = [(one["operation"], one["why"]) for one in records if one["what"] == "refused"]
    left_not, called_not, *discovered_not = refused
    assert discovered_not and all("`leaves.kinds`" in why for _, why in discovered_not), "an answer is a value too"
    assert left_not[0] == "work.Echo" and "`leaves.kinds`" in left_not[1]
    assert called_not[0] == "work.Fail" and "its rule 'never'" in called_not[1]
    done = dfm(command, "site", "audit", "verify", tmp_path / "log")
    assert (done.returncode, "each record follows" in done.stdout) == (0, True), done
    log = tmp_path / "log" / "log.jsonl"
    log.write_text(log.read_text().replace("[1,2]", "[1,3]"))
    done = dfm(command, "site", "audit", "verify", tmp_path / "log")
    assert done.returncode == 1 and "fault: line 3: the record before it is not the one" in done.stdout
    assert dfm(command, "site", "audit", "verify", tmp_path).returncode == 2


def test_each_try_is_a_call_of_the_day(federation, file, fed, tmp_path):
    file.write_text("default: allow\nper-day: {calls: 3, values: 9}\n")
    flaky = tmp_path / "tries"
    retry = Retry(2)
    build = lambda: Yield(value=fed.Flaky(path=str(flaky), fails=2, retry=retry, site="east"))  # noqa: E731
    assert answer(federation, build)[1] == []
    _, ((kind, message),) = answer(federation, lambda: Yield(value=fed.Echo(value=1, site="east")))
    assert kind == "RefusedError" and "`per-day.calls` of its policy is 3" in message


@pytest.mark.parametrize(
    ("text", "why"),
    [("default: deni\n", "did you mean `deny`"), ("rules: {}\ndefault: deny\n", "not the file's first key")],
)
def test_a_broken_policy_is_told_when_it_is_tried(small, tmp_path, text, why):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(SessionError, match=why):
        Federation("small", homesite="home", policies={"east": tmp_path / "p.yaml"})
    for site in ("home", "nowhere"):
        with pytest.raises(SessionError, match=site):
            Federation("small", homesite="home", policies={site: tmp_path / "p.yaml"})


def test_a_policy_to_be_tried_that_is_not_there_is_an_error_and_no_policy_that_allows_everything(small, tmp_path):
    missing = {"east": tmp_path / "nothere.yaml"}
    with pytest.raises(
        SessionError, match=r"cannot read the policy \S+nothere.yaml of site 'east': there is no such file"
    ):
        Federation("small", homesite="home", policies=missing)
    with pytest.raises(SessionError, match="cannot read the policy"):
        Session("small", "home", "local", policies=missing)


FITS = [
    (Constraint(one_of=["a", 1]), ["a", 1, 1.0], ["b", False, "1", 2, None]),
    (Constraint(minimum=0), [0, 2.5], [-1, "1", float("nan")]),
    (Constraint(minimum=0, maximum=1), [0.5], [2]),
    (Constraint(like=["chr*", "x?"]), ["chr1", "xy"], ["x", "achr1", 3]),
    (Constraint(one_of=[None]), [None], [0]),
    (Constraint(one_of=[[1, 2]]), [[1, 2], (1, 2)], [[1], 1]),
]


@pytest.mark.parametrize(("constraint", "good", "bad"), FITS)
def test_a_constraint_is_of_a_value_or_of_all_or_one_of_a_lists_items(constraint, good, bad):
    for every in (True, False):
        assert all(_fits(constraint, value, every) is True for value in good)
        assert all(_fits(constraint, value, every) is False for value in bad)
    assert _fits(constraint, [[good[0]], [bad[0]]], every=True) is False
    assert _fits(constraint, [[good[0]], [bad[0]]], every=False) is True
    assert _fits(constraint, {"x": good[0]}, every=True) is None


class City(enum.StrEnum):
    BONN = "bonn"


class Level(enum.IntEnum):
    ONE = 1


class Text(str):
    pass


def test_numpys_texts_and_numbers_are_held_against_a_rule_as_what_they_are():
    numpy = pytest.importorskip("numpy")
    text, whole, real = Constraint(one_of=["bonn"]), Constraint(one_of=[1, 2.5]), Constraint(minimum=0.5, maximum=9)
    cells = numpy.empty(1, object)
    cells[0] = numpy.str_("bonn")
    texts = [numpy.str_("bonn"), numpy.array("bonn"), numpy.array(["bonn"]), cells, [numpy.str_("bonn")], {"bonn"}]
    numbers = [numpy.int8(1), numpy.uint64(1), numpy.float64(2.5), numpy.float32(2.5), numpy.array([1, 2.5]), 1.0]
    for every in (True, False):
        assert [value for value in texts if _fits(text, value, every) is not True] == []
        assert [value for value in numbers for one in (whole, real) if _fits(one, value, every) is not True] == []
        for other in (numpy.str_("aachen"), numpy.int64(0), numpy.array([["aachen"]]), numpy.float32(0.25)):
            assert _fits(text, other, every) is False and _fits(real, other, every) is False


def test_of_what_may_be_another_thing_to_an_adapter_nothing_can_be_told():
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    of_texts = Constraint(one_of=["bonn"])
    of_numbers = (Constraint(one_of=[1]), Constraint(minimum=0))
    texts: list[object] = [City.BONN, Text("bonn"), b"bonn", pyarrow.scalar("bonn"), pandas.Series(["bonn"])]
    texts += [pandas.Timestamp(0), numpy.bytes_(b"bonn"), numpy.ma.masked_array(["bonn"], [True]), {"x": "bonn"}]
    texts += [
        numpy.array([("bonn",)], [("x", "U4")]),
        numpy.array(["1970"], "M8[ns]"),
        numpy.zeros((1, 1)).view(numpy.matrix),
    ]
    numbers: list[object] = [True, numpy.True_, Level.ONE, decimal.Decimal(1), numpy.longdouble(1), pyarrow.scalar(1)]
    for one, found in ((of_texts, texts), *((one, numbers) for one in of_numbers)):
        for value in found:
            for every in (True, False):
                assert _fits(one, value, every) is None, (one, value)
                assert _fits(one, [value], every) is None and _fits(one, ("aachen", [value]), every) is not True
    assert _fits(Constraint(one_of=[True]), 1, False) is None and _fits(Constraint(one_of=[0.1]), True, False) is False
    # To who compares it with 0.1, NumPy's short number is that.
    assert _fits(Constraint(one_of=[0.1]), numpy.float32(0.1), False) is None
    assert _fits(Constraint(minimum=0.7), numpy.array([0.7], "f4"), False) is None
    for value in ([City.BONN, "b"], [numpy.str_("bonn"), Text("b")], {"bonn", "b"}):
        assert _fits(Constraint(one_of=[["bonn", "b"]]), value, False) is None
    assert _fits(Constraint(one_of=[["bonn", "b"]]), [numpy.str_("bonn"), "b"], False) is True


def test_a_parameter_that_has_the_same_list_again_and_again_is_not_looked_at_for_good():
    value: list[object] = ["bonn"]
    for _ in range(60):
        value = [value, value]
    assert _fits(Constraint(one_of=["aachen"]), value, False) is None
    value.append(value)
    assert _fits(Constraint(one_of=["aachen"]), value, False) is None


def test_what_a_rule_refuses_is_refused_whatever_type_it_has(federation, file, fed):
    numpy = pytest.importorskip("numpy")
    rule = "{{decision: deny, operations: [work.{}], parameters: {{{}: {{one-of: [bonn, 0]}}}}}}"
    rules = f"echo: {rule.format('Echo', 'value')}, report: {rule.format('Report', 'city')}"
    file.write_text(f"default: allow\nrules: {{{rules}}}\n")
    echo = lambda: Yield(value=fed.Echo(value=PlaceParam("v"), site="east"))  # noqa: E731
    report = lambda: Yield(value=fed.Report(city=PlaceParam("v"), month="may", site="east"))  # noqa: E731
    refused = ["bonn", numpy.str_("bonn"), numpy.array(["bonn", "x"]), numpy.int64(0), False, ["x", [0.0]]]
    for build, value in (*((echo, value) for value in refused), (report, numpy.str_("bonn"))):
        _, ((kind, _),) = answer(federation, build, v=value)
        assert kind == "RefusedError", value
    assert answer(federation, report, v=numpy.str_("aachen"))[1] == []
    file.write_text(file.read_text().replace("deny", "ask"))
    asking = Deciding(read_file(file), "east", ADA, logging.getLogger("east"), lambda _: None)
    assert all(asking.check("work.Echo", {"value": value}, {}) is not None for value in refused)
    assert asking.check("work.Echo", {"value": numpy.str_("x")}, {}) is None


EXPOSED = {"arguments": {"c": {"const": "bonn", "exposed": "city"}}, "defaults": {"city": "aachen", "month": "may"}}


def test_an_exposed_parameter_that_is_not_given_is_judged_as_what_the_adapter_gets():
    assert _held_for(EXPOSED) == {"city": "bonn", "month": "may"}
    assert _held_for(EXPOSED | {"arguments": {"c": {"secret": "s", "exposed": "city"}}}) == {"month": "may"}
    judged: list[dict[str, object]] = []
    bound = Bound(lambda **_: None, "thread")
    bound.accepted, bound.exposed, bound.fixed = {"city"}, [("c", "city")], {"c": "bonn"}
    bound.judge = lambda given, _: judged.append(dict(given))
    assert bound.arguments({"city": None}) == {"c": "bonn"} and bound.arguments({"city": "ulm"}) == {"c": "ulm"}
    assert judged == [{}, {"city": "ulm"}]


def test_what_cannot_be_told_is_refused_by_either_kind_of_rule(federation, file, fed):
    """A parameter that is a dictionary fits no allowing rule and every refusing one."""
    for text in (
        "default: deny\nrules: {r: {decision: allow, parameters: {value: {one-of: [1]}}}}\n",
        "default: allow\nrules: {r: {decision: deny, parameters: {value: {one-of: [1]}}}}\n",
    ):
        change(file, text)
        for value in ({"value": 1}, [2, {"x": 1}]):
            _, ((kind, _),) = answer(
                federation, lambda: Yield(value=fed.Echo(value=PlaceParam(place="v"), site="east")), v=value
            )
            assert kind == "RefusedError", (text, value)


# Values that leave


class Person(BaseModel):
    name: str = "x"
    age: int = 1


RELEASING = Releasing("east", ADA, logging.getLogger("east"), {})


def leaving(**leaves) -> Leaving:
    deciding = Deciding(SitePolicy(leaves=Leaves(**leaves)), "east", ADA, logging.getLogger("east"), lambda _: None)
    return Leaving(
        "east", deciding, Counting("east", "u", None, PerDay()), RELEASING, Noising("east", "u", lambda: None)
    )


def tables(columns):
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    made = [pandas.DataFrame(columns), pyarrow.table(columns)]
    if importlib.util.find_spec("polars"):
        made.append(importlib.import_module("polars").DataFrame(columns))
    return made


def refuses(judge: Leaving, value: object) -> bool:
    try:
        judge.judge(value, 1, "home", None, [])
    except RefusedError:
        return True
    return False


def test_kinds_are_of_a_value_and_all_that_is_in_it():
    numpy = pytest.importorskip("numpy")
    numbers = leaving(kinds=["number", "list", "dictionary", "array", "table"])
    good = [1, [1.5, 2], {"mean": 1}, numpy.zeros(3), numpy.float32(1), range(3), *tables({"a": [1], "b": [2.0]})]
    bad = ["x", None, True, b"x", [["x"]], {"a": "x"}, {1: {2: "x"}}, {("x",): 1}, Person(), numpy.array(["x"])]
    bad += [numpy.array([1, "x"], object), numpy.array([True]), *tables({"a": ["x"]}), *tables({"a": [{"n": "x"}]})]
    bad += [table.set_index("n") for table in tables({"a": [1], "n": ["x"]})[:1]]
    assert [value for value in good if refuses(numbers, value)] == []
    assert [value for value in bad if not refuses(numbers, value)] == []


def test_rows_are_of_tables_arrays_and_lists():
    numpy = pytest.importorskip("numpy")
    two = leaving(rows=2)
    for many in (
        [1] * 3,
        {n: 1 for n in range(3)},
        numpy.zeros((3, 1)),
        range(3),
        [[1, 2, 3]],
        numpy.zeros((0, 3)),
        *tables({"a": [1] * 3}),
    ):
        assert refuses(two, many), many
    for few in ([1, 2], numpy.zeros((2, 9)), numpy.zeros(()), numpy.zeros((0, 2)), "long text", *tables({"a": [1, 2]})):
        assert not refuses(two, few), few


def test_columns_that_never_leave_do_not_leave_by_whatever_name_they_have_there():
    numpy = pytest.importorskip("numpy")
    never = leaving(never_columns=["name", "ssn*"])
    named = [{"name": 1}, [{"x": {"ssn_2": 1}}], Person(), numpy.zeros(1, [("name", "f8")])]
    named += [*tables({"ssn": [1]}), *tables({"a": [{"name": 1}]}), tables({"name": [1]})[0].set_index("name")]
    named += [tables({"name": [1]})[0]["name"]]
    for value in named:
        assert refuses(never, value), value
    for value in ({"names": 1}, *tables({"age": [1]})):
        assert not refuses(never, value), value


def test_a_table_leaves_only_with_groups_that_are_large_enough():
    group = leaving(smallest_group=("n", 5))
    numpy, xarray = pytest.importorskip("numpy"), pytest.importorskip("xarray")
    good = [3, {"mean": 2.0}, {"n": 5}, {"n": [5, 9]}, {"n": numpy.array([[5]])}, Sample(5), Row(1, 5)]
    good += [
        numpy.array([5], [("n", "i4")]),
        xarray.Dataset({"n": ("x", [5, 9])}),
        tables({"n": [5]})[0].set_index("n"),
    ]
    good += [tables({"n": [5]})[0]["n"]]
    for value in (*good, *tables({"n": [5, 6], "mean": [1.0, 2.0]})):
        assert not refuses(group, value), value
    bad: list[Any] = [
        Sample(4),
        [Row(1, 4)],
        numpy.array([5, 4], [("n", "i4")]),
        xarray.Dataset({"n": ("x", [5, 4])}),
        {"n": numpy.array([[5, 4]])},
        tables({"n": [4]})[0].set_index("n"),
        tables({"n": [4]})[0]["n"],
        {"n": 4},
        [{"n": True}],
        {"n": ["7"]},
        *tables({"mean": [1.0]}),
        *tables({"n": [5, 4]}),
        *tables({"n": [5, None]}),
    ]
    for value in bad:
        assert refuses(group, value), value


@dataclasses.dataclass
class Sample:
    n: int


class Row(NamedTuple):
    ssn: int
    n: int = 10


class Parted:
    """Of a type that is registered, which its module says how to take apart."""

    def __init__(self, parts):
        self.parts = parts


class Closed:
    """Of a type that does not travel."""


def kept_in(records):
    """Values that have these records in them, and send them, each by another way."""
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    xarray = pytest.importorskip("xarray")
    table, array = pandas.DataFrame({"a": [1]}), xarray.DataArray(1.0, attrs={"records": records})
    noted = ValueError("no")
    noted.add_note("a note")
    noted.__dict__["records"] = records
    beside = table.copy()
    beside.attrs["records"] = records
    cells = numpy.empty(1, object)
    cells[0] = records
    masked = numpy.ma.MaskedArray(cells, [False])
    series = table["a"].copy()
    series.attrs["records"] = records
    made = [records, tuple(records), collections.deque(records), ValueError(records), noted, slice(records, None)]
    made += [beside, series, array, array.variable, xarray.Dataset({"x": array}), xarray.Dataset(attrs={"r": records})]
    made += [xarray.DataTree.from_dict({"/": xarray.Dataset(), "/deep": xarray.Dataset({"x": array})})]
    made += [cells, masked, pandas.DataFrame({"a": cells})]
    made += [pyarrow.table({"a": [records]}), pyarrow.array([records]), pyarrow.scalar(records), Parted(records)]
    made += [pandas.DataFrame({"a": pandas.Series([records], dtype=pandas.ArrowDtype(pyarrow.array([records]).type))})]
    made += [pyarrow.table(beside.assign(b=1)), Sample(records), Row(1, records), collections.Counter({"a": records})]
    made += [collections.defaultdict(list, a=records), {"a": {("b", 1): records}}]
    return made


def test_records_do_not_leave_in_whatever_they_are_kept():
    records = [{"ssn": number} for number in range(20)]
    with contextlib.suppress(ValueError):
        values.register(Parted, lambda parted: [parted.parts], Parted, "governance.Parted")
    few = leaving(rows=9)
    assert [value for value in kept_in(records) if not refuses(few, value)] == []
    never = leaving(never_columns=["ssn*"])
    assert [value for value in kept_in(records) if not refuses(never, value)] == []
    assert [value for value in kept_in([{"a": 1}]) if not isinstance(value, Row) and refuses(never, value)] == []
    kinds = leaving(kinds=["number", "list", "dictionary", "array", "table", "object", "text"])
    assert [value for value in kept_in([{"a": True}]) if not refuses(kinds, value)] == []


def test_whatever_has_many_numbers_has_rows():
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    xarray, image = pytest.importorskip("xarray"), pytest.importorskip("PIL.Image")
    few, many = leaving(rows=9), range(20)
    words = [str(number) for number in many]
    dataset = xarray.Dataset({"a": (("one", "x"), numpy.zeros((1, 20)))})
    made = [array.array("d", many), bytes(many), bytearray(many), memoryview(bytes(many)), io.BytesIO(bytes(many))]
    made += [dataset, xarray.DataTree.from_dict({"/deep": dataset}), xarray.Dataset(coords={"x": list(many)})]
    made += [
        numpy.zeros(1, [("a", "f8", 20)]),
        numpy.void(bytes(many)),
        image.new("L", (1, 20)),
        collections.deque(many),
    ]
    made += [pandas.Categorical(["1"], words), pandas.DataFrame({"a": pandas.Categorical(["1"], words)})]
    made += [
        pandas.MultiIndex.from_product([words])[:1],
        pandas.Series([1], pandas.MultiIndex.from_product([words])[:1]),
    ]
    made += [pandas.DataFrame({"a": [bytes(many)]}), pyarrow.table({"a": [bytes(many)]}), range(10**30)]
    made += [pyarrow.table({"a": pyarrow.array(words).dictionary_encode()[:1]}), pyarrow.table({"a": [list(many)]})]
    made += [
        pyarrow.array([bytes(many)], pyarrow.binary(20)),
        pyarrow.array([list(many)], pyarrow.list_(pyarrow.int8(), 20)),
    ]
    assert [value for value in made if not refuses(few, value)] == []
    good = [array.array("d", [1]), bytes(3), io.BytesIO(b"x"), dataset.isel(x=slice(3)), numpy.void(b"x")]
    good += [numpy.zeros(1, [("a", "f8", 3)]), pandas.Categorical(["1"]), pyarrow.table({"a": [[1], None]})]
    assert [value for value in good if refuses(few, value)] == []


def test_names_are_seen_wherever_a_value_has_them():
    numpy, pandas, pyarrow = (pytest.importorskip(name) for name in ("numpy", "pandas", "pyarrow"))
    xarray = pytest.importorskip("xarray")
    never = leaving(never_columns=["ssn*"])
    frame = pandas.DataFrame({"a": [1]})
    field = pyarrow.field("a", pyarrow.int64(), metadata={"ssn": "1"})
    inner = pyarrow.dictionary(pyarrow.int32(), pyarrow.struct([("ssn", pyarrow.int64())]))
    made = [frame.rename_axis(columns="ssn"), frame.rename_axis(index="ssn"), frame.rename(columns={"a": ("x", "ssn")})]
    made += [frame.index.rename("ssn"), pandas.MultiIndex.from_tuples([(1, 2)], names=["a", "ssn"]), Row(1)]
    made += [pandas.DataFrame([[1, 2]], columns=pandas.MultiIndex.from_product([["x"], ["a", "ssn"]]))[[("x", "a")]]]
    made += [pandas.DataFrame([[1, 2]], columns=pandas.CategoricalIndex(["a", "ssn"])).iloc[:, :1]]
    made += [pyarrow.table({"a": [1]}).replace_schema_metadata({"ssn": "1"}), pyarrow.schema([field]), inner]
    made += [
        pyarrow.table({"a": [1]}, pyarrow.schema([field])),
        pyarrow.map_(pyarrow.string(), inner),
    ]
    made += [pyarrow.table(pandas.DataFrame({"a": [1], "ssn": [2]})).select(["a"]), {b"ssn": 1}, {("ssn", 1): 2}]
    made += [xarray.DataArray([1], dims="ssn"), xarray.DataArray(1, attrs={"ssn": 1}), xarray.Dataset({"ssn": 1})]
    made += [
        xarray.DataTree.from_dict({"/ssn": xarray.Dataset()}),
        xarray.DataTree(name="ssn"),
        numpy.dtype([("ssn", "i4")]),
    ]
    made += [xarray.DataTree.from_dict({"/": xarray.Dataset(), "/c": xarray.Dataset({"ssn": ("x", [1, 2])})})]
    made += [numpy.zeros(1, [("a", [("ssn", "i4")])]), numpy.zeros(1, [(("ssn", "a"), "i4")]), numpy.zeros(1, "i4,i4")]
    *made, fine = made
    assert [value for value in made if not refuses(never, value)] == []
    assert (
        not refuses(never, fine) and not refuses(never, pyarrow.table(frame)) and not refuses(never, xarray.Dataset())
    )


def test_frames_of_places_and_of_polars_are_looked_into():
    few, never = leaving(rows=9), leaving(never_columns=["ssn*"])
    polars = pytest.importorskip("polars")
    for value in (
        polars.DataFrame({"a": [list(range(20))]}),
        polars.Series("a", [{"x": [0] * 20}]),
        polars.DataFrame({"a": [b"x" * 20]}),
    ):
        assert refuses(few, value), value
    assert refuses(never, polars.Series("ssn", [1])) and refuses(never, polars.DataFrame({"a": [{"ssn": 1}]}))
    assert not refuses(few, polars.DataFrame({"a": [[1]]})) and not refuses(never, polars.DataFrame({"a": [1]}))
    geopandas, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")
    line = shapely.LineString([(number, 0) for number in range(20)])
    frame = geopandas.GeoDataFrame({"ssn": [1]}, geometry=[shapely.Point(1, 2)], crs="EPSG:4326")
    assert refuses(few, geopandas.GeoSeries([line])) and not refuses(few, frame)
    assert refuses(never, frame) and not refuses(never, frame[["geometry"]])
    assert refuses(leaving(kinds=["table", "number"]), frame)


def test_what_nobody_can_look_into_does_not_leave_where_that_matters(monkeypatch):
    numpy, pyarrow = pytest.importorskip("numpy"), pytest.importorskip("pyarrow")
    loose = pyarrow.UnionArray.from_sparse(pyarrow.array([0], "i1"), [pyarrow.array([1])])
    unknown = [Closed(), [Closed()], PickledObject(value=1), numpy.empty(1, [("a", object)]), {"a": {1: loose}}]
    for rule, said in (("rows", 9), ("never_columns", ["x"]), ("smallest_group", ("n", 5)), ("suppress", Suppress(5))):
        for lenient in (False, True):
            monkeypatch.setattr(_values, "policy", _values.Policy(lenient=lenient, packages=()))
            for value in unknown:
                with pytest.raises(RefusedError, match=f"`leaves.{rule.replace('_', '-')}` .* of type") as refused:
                    leaving(**{rule: said}).judge(value, 1, "home", None, [])
                assert "nobody can look" in str(refused.value) or rule == "suppress"
    for value in unknown:
        assert refuses(leaving(kinds=["object", "list", "dictionary", "array", "number", "text"]), value)
        assert not refuses(leaving(bytes=1000), value)


def test_a_value_that_has_the_same_part_again_and_again_does_not_leave():
    value: Any = [1]
    for _ in range(60):
        value = [value, {"a": value}]
    for leaves in (
        {"bytes": 9},
        {"rows": 9},
        {"suppress": Suppress(5, ["n"])},
        {"rounding": 5},
        {"disclosures": ["model"]},
    ):
        with pytest.raises(RefusedError, match="a value of more than 16777216 parts"):
            leaving(**leaves).judge(value, 1, "home", None, [])
    assert not refuses(leaving(rows=9), [[[0]] * 9] * 9)


def test_a_refusal_tells_nothing_of_the_value():
    numpy = pytest.importorskip("numpy")
    for leaves, value in (
        ({"rows": 2}, [0] * 981),
        ({"rows": 2}, {number: 0 for number in range(981)}),
        ({"rows": 2}, numpy.zeros((0, 981))),
        ({"kinds": ["number"]}, "981"),
        ({"never_columns": ["ssn*"]}, {"ssn 981": 1}),
        ({"smallest_group": ("n", 1000)}, {"n": 981}),
        ({"suppress": Suppress(10, ["n*"])}, numpy.zeros(1, [("n981", "f8")])),
    ):
        with pytest.raises(RefusedError) as refused:
            leaving(**leaves).judge(value, 1, "home", None, [])
        assert "`leaves." in str(refused.value) and "981" not in str(refused.value)
    with pytest.raises(RefusedError, match="a value of more than 100 bytes"):
        leaving(bytes=100).judge(b"", 1, "home", None, [], size=981)


def test_a_value_of_many_levels_does_not_leave_unseen():
    value: list = []
    for _ in range(250):
        value = [value]
    assert refuses(leaving(kinds=["list"]), value)


@given(
    st.recursive(
        st.integers() | st.text() | st.booleans() | st.none(), lambda of: st.lists(of) | st.dictionaries(st.text(), of)
    )
)
def test_what_leaves_as_numbers_alone_has_nothing_else_in_it(value):
    def held(one):
        parts = one if isinstance(one, list) else one.values() if isinstance(one, dict) else None
        return [one] if parts is None else [leaf for part in parts for leaf in held(part)]

    has_others = any(isinstance(leaf, bool) or not isinstance(leaf, int) for leaf in held(value))
    assert refuses(leaving(kinds=["number", "list", "dictionary"]), value) == has_others


# Counts of a day


def test_what_there_is_no_more_of_today_is_told_with_the_rule(tmp_path):
    """How it is counted, over processes and days, is tried beside the code that counts."""
    most = PerDay(calls=2, values=2, bytes=100, questions=1)
    counting = Counting("east", "u", tmp_path / "sessions", most)
    counting.call()
    counting.close()
    one = Counting("east", "u", tmp_path / "sessions", most)
    one.call()
    one.leave(60)
    one.question("work.Add", None, '{"a":1}')
    with pytest.raises(
        RefusedError, match=r"site 'east' gives user 'u' no more today: `per-day.calls` of its policy is 2"
    ):
        one.call()
    with pytest.raises(RefusedError, match=r"gives user 'u' no more today: `per-day.bytes` of its policy is 100"):
        one.leave(60)
    one.leave(40)
    with pytest.raises(RefusedError, match=r"gives user 'u' no more today: `per-day.values` of its policy is 2"):
        one.leave(0)
    with pytest.raises(
        RefusedError, match=r"no other questions of user 'u' today: `per-day.questions` of its policy is 1"
    ):
        one.question("work.Add", None, '{"a":2}')
    one.allow(PerDay())
    one.call()
    one.close()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "sessions").iterdir()} == {0o600}


def test_the_same_question_with_other_filters_is_another_one(federation, file, fed):
    file.write_text("default: allow\nper-day: {questions: 3}\n")
    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:

        def add(a):
            return answer(running, lambda: Yield(value=fed.Add(a=PlaceParam(place="a"), site="east", b=1)), a=a)

        assert [add(a)[0] for a in (1, 2, 1, 2, 3)] == [[2], [3], [2], [3], [4]]
        results, ((kind, message),) = add(4)
        assert (results, kind) == ([], "RefusedError") and "`per-day.questions` of its policy is 3" in message
        assert add(3)[0] == [4], "what was asked may be asked again"


def test_a_rule_is_about_calls_at_its_times(federation, file, fed):
    at = datetime.datetime(2026, 2, 27, 12, 30, tzinfo=datetime.UTC)  # a friday
    for good in (
        When(),
        When(days=["thursday", "friday"]),
        When(from_="12:30", to="12:31"),
        When(to="24:00"),
        When(since="2026-02-27", until="2026-02-27"),
    ):
        assert _is_now(good, at)
    for bad in (
        When(days=["monday"]),
        When(from_="12:31"),
        When(to="12:30"),
        When(since="2026-02-28"),
        When(until="2026-02-26"),
        When(days=["friday"], from_="13:00"),
    ):
        assert not _is_now(bad, at)
    rules = "rules:\n  later: {decision: allow, when: {since: '9000-01-01'}}\n"
    change(file, "default: deny\n" + rules)
    echo = lambda: Yield(value=fed.Echo(value=1, site="east"))  # noqa: E731
    results, ((kind, message),) = answer(federation, echo)
    assert (results, kind) == ([], "RefusedError") and "what its rule 'later' allows at this time" in message
    change(file, "default: allow\n" + rules.replace("later: {decision: allow", "never: {decision: deny"))
    assert answer(federation, echo) == ([1], [])
    change(file, file.read_text().replace("since", "until"))
    results, ((kind, message),) = answer(federation, echo)
    assert (results, kind) == ([], "RefusedError") and "its rule 'never'" in message


RELEASE = """
from dfm.errors import RefusedError
from dfm.exec import Release

class Checked(Release):
    def __init__(self, most):
        self.most = most

    def release(self, value, request):
        if value == "fail":
            raise ValueError("a row of Ada's")
        if isinstance(value, int) and value > self.most:
            raise RefusedError(f"more than {self.most} for {request.user} of {request.organisation}, a {request.role}")
        told = [request.disclosure, request.min_group] if request.operation == "work.Total" else []
        return [request.site, request.to, request.operation, *told, value]

class Other:
    pass
"""


def test_a_class_of_the_sites_own_has_the_last_word(federation, file, fed, tmp_path, monkeypatch, caplog):
    (tmp_path / "released_here.py").write_text(RELEASE)
    monkeypatch.syspath_prepend(tmp_path)
    policy = "default: allow\nleaves:\n  release: {class: released_here.Checked, args: {most: 9}}\n"
    file.write_text(f"{policy}audit: {{folder: {tmp_path / 'log'}}}\n")
    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:

        def echo(value):
            return answer(running, lambda: Yield(value=fed.Echo(value=PlaceParam("v"), site="east")), v=value)

        assert echo(5) == ([["east", "home", "work.Echo", 5]], [])
        mean = lambda: Yield(value=fed.Total(items=[3], site="east"))  # noqa: E731
        assert answer(running, mean) == ([["east", "home", "work.Total", "aggregate", 10, 3]], [])
        results, ((kind, message),) = echo(10)
        assert (results, kind) == ([], "RefusedError")
        assert (
            "by `leaves.release` of its policy, a value: more than 9 for ada@u.example of university, a lead" in message
        )
        results, ((kind, message),) = echo("fail")
        assert results == [] and "`leaves.release`" in message and "Ada" not in message
        assert "a row of Ada's" in caplog.text, "the site's own log has it"
        for wrong in ("Nowhere", "Other"):
            file.write_text(file.read_text().replace("Checked", wrong).replace("Nowhere", wrong))
            results, ((kind, message),) = echo(5)
            assert (results, kind) == ([], "RefusedError") and "the site's log says why" in message
    log = (tmp_path / "log" / "log.jsonl").read_text()
    assert sum("`leaves.release`" in line for line in log.splitlines() if '"what":"refused"' in line) == 4
    assert "Ada's" not in log


def test_what_operations_are_declared_to_tell_is_held_against_the_policy(federation, file, fed):
    file.write_text("default: allow\nleaves: {disclosures: [aggregate, model]}\n")

    def total(items):
        return fed.Total(items=items, site="east")

    def echo(value):
        return fed.Echo(value=value, site="east")

    assert answer(federation, lambda: Yield(value=total([1, 2]))) == ([3], [])
    assert answer(federation, lambda: Yield(value=total(echo([1, 2])))) == ([3], []), "what was made of it is told"

    def each(sequence, of):
        with ForEach(sequence) as item:
            found = of(item)
        Yield(value=item.collect(found))

    assert answer(federation, lambda: each([[1], [2, 3]], total)) == ([[1, 5]], [])
    for build, operation in (
        (lambda: Yield(value=echo([1, 2])), "work.Echo"),
        (lambda: Yield(value=echo([1, 2])[0]), "work.Echo"),
        (lambda: Yield(value=fed.Total(items=echo([1, 2]), site="west")), "work.Echo"),
        (lambda: each(echo([1, 2]), lambda item: fed.Echo(value=item, site="west")), "work.Echo"),
        (lambda: each([1, 2], echo), "work.Echo"),
    ):
        results, errors = answer(federation, build)
        assert results == [] and {kind for kind, _ in errors} == {"RefusedError"}
        assert (
            f"by `leaves.disclosures` of its policy, a result of '{operation}', which tells, as it is declared, `rec"
            in errors[0][1]
        )
    with Pipeline(mode="discovery") as pipeline:
        report = fed.Report(city=Advise(), month=Advise(), site="east")
    assert "refuses" not in str(federation.session.discover(pipeline)[report])


class TotalsOnly(Release):
    def release(self, value, request):
        if request.operation == "work.Echo":
            raise RefusedError("no total")
        return value


@pytest.mark.parametrize("leaves", ["disclosures: [aggregate]", "release: {class: test_governance.TotalsOnly}"])
def test_what_a_cache_keeps_is_not_taken_for_another_operations_result(
    federation, file, fed, tmp_path, monkeypatch, leaves
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    file.write_text(f"default: allow\nleaves: {{{leaves}}}\n")

    def kept(body):
        with TryFromCache(key="k") as value:
            value.cache(body(site="east"))
        return value

    def records(site):
        return fed.Echo(value=[1, 2], site=site)

    def total(site):
        return fed.Total(items=[4], site=site)

    assert answer(federation, lambda: Yield(value=fed.Total(items=kept(records), site="east"))) == ([3], [])
    assert answer(federation, lambda: Yield(value=kept(total))) == ([4], [])


def test_what_a_site_publishes_is_held_against_a_pipeline_before_anything_runs(small, file, fed, command, tmp_path):
    policy = "default: allow\nleaves: {disclosures: [aggregate]}\n"
    file.write_text(f"{policy}publish: [disclosures]\naudit: {{folder: {tmp_path / 'log'}}}\n")

    def echoed(**to):
        return fed.Total(items=fed.Echo(value=[1, 2], site="east"), **to)

    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:
        for build, to in (
            (lambda: Yield(value=fed.Echo(value=[1], site="east")), "home"),
            (lambda: Yield(value=echoed(site="west")), "west"),
            (lambda: Yield(value=fed.Count(to=3, site="east")), "home"),
        ):
            with pytest.raises(SessionError, match=r"test_governance.py:\d+: what node \d+ gives") as refused:
                running.session.prepare(written(build))
            assert f"cannot go to site '{to}'" in str(refused.value) and "`leaves.disclosures`" in str(refused.value)
        assert answer(running, lambda: Yield(value=echoed(site="east"))) == ([3], []), "an aggregate may leave"
        change(file, policy)
        running.session.prepare(written(lambda: Yield(value=fed.Echo(value=[1], site="east"))))
    lines = dfm(command, "--json", "site", "audit", "show", tmp_path / "log").stdout.splitlines()
    told = [(one["what"], one.get("operation")) for one in map(json.loads, lines)]
    assert [one for one in told if one[0] in ("call", "refused")] == [
        ("refused", "work.Echo"),
        ("refused", "work.Echo"),
        ("refused", "work.Count"),
        ("call", "work.Echo"),
        ("call", "work.Total"),
    ]


def test_parts_go_straight_where_the_site_at_which_they_would_meet_refuses_that(small, file, fed):
    def build():
        with EachSite(sites=["east", "west"]) as here:
            one = fed.Add(site=here, a=1, b=1)
        Yield(value=fed.Sum(site="home", parts=here.collect(one)))

    with Federation("small", homesite="home", policies={"west": file}, asker=ADA) as running:
        info = json.loads(running.session._fed_info)
        near, far = {"fixed_time": 0.001}, {"fixed_time": 9}
        info["sites"]["east"]["send_cost"] = {"west": near, "home": far}
        info["sites"]["west"]["send_cost"] = {"home": near}
        running.session._fed_info = json.dumps(info)
        for policy, is_tree in (
            ("", True),
            ("rules: {never: {decision: deny, operations: [work.Sum]}}\n", False),
            ("leaves: {disclosures: [aggregate]}\npublish: [disclosures]\n", None),
        ):
            file.write_text(f"default: allow\n{policy}")
            if is_tree is None:
                with pytest.raises(SessionError, match="cannot go to site 'home'"):
                    running.session.prepare(written(build))
                continue
            told = running.session.prepare(written(build)).explain()
            assert ("put together on their way: east, west at west" in told) == is_tree
            assert answer(running, build) == ([4], [])


def test_items_of_a_stream_are_judged_as_what_they_are_and_measuring_sends_nothing(small, file, fed, command, tmp_path):
    policy = "default: allow\nleaves: {disclosures: [aggregate]}\n"
    file.write_text(f"{policy}per-day: {{values: 1}}\naudit: {{folder: {tmp_path / 'log'}}}\n")
    with Federation("small", homesite="home", policies={"east": file}, asker=ADA) as running:
        # A generator makes more items than may wait for who takes them; nobody takes these.
        for items in (3, 3000):
            _, errors = answer(running, lambda: Yield(value=fed.Count(to=items, site="east")))  # noqa: B023
            assert {kind for kind, _ in errors} == {"RefusedError"} and "`leaves.disclosures`" in errors[0][1]
        change(file, file.read_text().replace("aggregate", "records"))
        one = written(lambda: Yield(value=fed.Echo(value=1, site="east")))
        job = running.session.execute(one, {}, measure=True)
        assert (job.results(), job.errors) == ([1], [])
    lines = dfm(command, "--json", "site", "audit", "show", tmp_path / "log").stdout.splitlines()
    left = [record for record in map(json.loads, lines) if record["what"] == "left"]
    assert [(one["to"], one["operation"]) for one in left] == [("home", "work.Echo")]


def test_numbers_leave_rounded_and_small_counts_do_not_leave(federation, file, fed):
    file.write_text("default: allow\nleaves: {rounding: 5, suppress: {below: 10, counts: [n]}}\n")

    def echo(value):
        return answer(federation, lambda: Yield(value=fed.Echo(value=PlaceParam("v"), site="east")), v=value)

    assert echo(12.3) == ([10.0], [])
    assert echo({"n": [9, 10, 33], "mean": [1, 2, 3]}) == ([{"n": [10, 35], "mean": [0, 5]}], [])
    assert echo({"n": 9, "mean": 1}) == ([{"n": None, "mean": None}], [])
    total = lambda: Yield(value=fed.Total(items=fed.Echo(value=[1, 1, 1], site="east"), site="east"))  # noqa: E731
    assert answer(federation, total) == ([5], []), "what stays at the site is as it is"
    results, ((kind, message),) = echo({12: 1})
    assert (results, kind) == (
        [],
        "RefusedError",
    ) and "by `leaves.rounding` of its policy, a number that is a key" in message


# The command


def dfm(command: Path, *words: str | Path):
    return subprocess.run([command, *words], capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})


def test_the_command_shows_and_explains_what_is_in_force(command: Path, file: Path, tmp_path: Path) -> None:
    kit = tmp_path / "kit"
    (kit / "local").mkdir(parents=True)
    done = dfm(command, "site", "policy", "show", kit)
    assert done.returncode == 0 and "default: allow" in done.stdout and "these defaults hold" in done.stderr
    (kit / "local" / "policy.yaml").write_text(file.read_text() + "leaves: {rows: 3}\nper-day: {calls: 9}\n")
    done = dfm(command, "site", "policy", "show", kit)
    assert done.stdout.startswith(
        "default: deny\nrule not-zero: deny operations work.Add; if `a` is one of 0\nrule small-sums: allow"
    )
    assert "leaves rows: 3\n" in done.stdout and "per-day calls: 9\n" in done.stdout
    who = ["--user", "ada@u.example", "--organisation", "university"]
    done = dfm(command, "site", "policy", "explain", kit, "work.Add", *who)
    assert done.stdout.splitlines() == [
        "rule `not-zero` refuses it if `a` is one of 0",
        "rule `small-sums` allows it if `a` is at least -5 and is at most 5 and `b` is one of 1, 2",
        "`default` refuses all others",
    ]
    assert dfm(command, "site", "policy", "explain", file, "work.Echo", *who).stdout == "rule `looks` allows it\n"
    told = json.loads(dfm(command, "--json", "site", "policy", "explain", file, "work.Wait", *who).stdout)
    assert (told["rules"], told["default"]) == ([], "deny")
    done = dfm(command, "site", "policy", "show", tmp_path / "nowhere")
    assert done.returncode == 2 and "is no startup kit" in done.stderr
    assert read_file(file).allow is False
    (kit / "local" / "policy.yaml").write_text(
        "default: deny\nrules:\n  hours: {decision: allow, when: {days: [monday], from: '08:00', until: 2026-12-31}}\n"
        "leaves: {rounding: 5, suppress: {below: 3}, release: {class: a.B}}\nper-day: {questions: 7}\n"
    )
    assert dfm(command, "site", "policy", "explain", kit, "work.Add", *who).stdout.splitlines() == [
        "rule `hours` allows it if it is on monday from 08:00 until 2026-12-31 (UTC)",
        "`default` refuses all others",
    ]
    shown = dfm(command, "site", "policy", "show", kit).stdout
    assert "per-day questions: 7\n" in shown and "leaves rounding: 5" in shown


def test_the_schema_takes_what_the_site_takes(command: Path, file: Path) -> None:
    jsonschema, yaml = pytest.importorskip("jsonschema"), pytest.importorskip("yaml")
    schema = json.loads(dfm(command, "site", "policy", "schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema).is_valid
    clinics = Path(__file__).parents[2] / "examples" / "clinics" / "policy.yaml"
    good = [file.read_text(), clinics.read_text(), "{}", "default: allow\nper_day: {calls: 1}\nlimits:\n"]
    good += ["default: deny\nleaves: {release: {class: a.B, args: {x: 1}}, suppress: {below: 5}, rounding: 0.5}"]
    bad = ["defaults: deny", "rules: {a: {users: [x]}}", "leaves: {suppress: {counts: [n]}}", "leaves: {rounding: 0}"]
    bad += ["rules: {a: {decision: allow, when: {day: [monday]}}}", "$ref: x", "per-day: {calls: 0}"]
    for text, is_good in [*((one, True) for one in good), *((one, False) for one in bad)]:
        file.write_text(text)
        assert check(yaml.safe_load(text)) is is_good, text
        assert (dfm(command, "site", "policy", "check", file).returncode == 0) is is_good, text


def test_submit_tries_a_policy(command: Path, small: Path, file: Path, tmp_path: Path) -> None:
    code = "from dfm.api import Pipeline, Yield\nfrom small.fed.api.work import Echo\n\n\ndef get_pipeline(args):\n"
    code += "    with Pipeline() as pipeline:\n        Yield(value=Echo(value=1, site='east'))\n    return pipeline\n"
    (tmp_path / "p.py").write_text(code)
    words = [
        "--config",
        small / "federations.yaml",
        "fed",
        "submit",
        "small",
        "--target",
        "local",
        "--homesite",
        "home",
    ]

    def submitted(policy: str, *more: str):
        file.write_text(policy)
        return dfm(command, *words, *more, "pipeline", tmp_path / "p.py")

    assert submitted("default: allow\n", "--policy-of", f"east={file}").returncode == 0
    done = submitted("default: deny\n", "--policy-of", f"east={file}")
    assert done.returncode == 1 and "site 'east' refuses 'work.Echo' to user" in done.stderr
    done = submitted("default: dony\n", "--policy-of", f"east={file}")
    assert done.returncode == 2 and "did you mean `deny`?" in done.stderr
    assert "no site `eats`" in submitted("default: deny\n", "--policy-of", f"eats={file}").stderr
    assert "application may do anything" in submitted("default: deny\n", "--policy-of", f"home={file}").stderr
