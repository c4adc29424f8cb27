"""Does a person who has to approve a pipeline see which part of a result leaves, whatever is called what?"""
# pyright: basic, reportMissingImports=false

import copy
import json

import pytest
from dfm._command.drawing import drawn
from dfm.api import EachSite, ForEach, If, Pipeline, PlaceParam, Repeat, TryFromCache, Yield
from dfm.exec._approvals import requests
from dfm.testing import Federation
from eventually import until
from hypothesis import given, settings
from hypothesis import strategies as st


def arc(carry, place=0, site=None):
    return {"site": site, "place": place, "carry": carry, "inward": False}


def call(operation, *arguments, outputs=(), provider=None):
    limits = {"retries": 0, "backoff": 0.0, "timeout": None}
    step = {"node": 0, "operation": operation, "provider": provider, "arguments": list(arguments), "limits": limits}
    return {"step": {"call": step}, "block": 0, "outputs": list(outputs)}


def net(leaves=(), within=(), source: object = "here"):
    """One step's result, a part of which goes to another site and a part to the next step."""
    describe = call(
        "clinic.Describe",
        ["column", {"literal": "age"}],
        outputs=[arc({"value": list(within)}), arc({"value": list(leaves)}, 3, "home")],
    )
    told = call("stats.Round", ["of", {"slot": 0}], outputs=[arc({"value": []}, 1, "home")])
    places = [
        {"transition": 0, "slot": 0, "block": 0, "source": "start"},
        {"transition": 1, "slot": 0, "block": 0, "source": source},
    ]
    describe["outputs"][0]["place"] = 1
    body = {"parent": None, "each": False}
    return {"site": "east", "blocks": [body], "places": places, "transitions": [describe, told]}


def lines(of):
    return list(drawn(json.dumps(of), "home"))


def test_what_leaves_and_what_goes_on_is_drawn_with_its_path():
    assert lines(net([{"key": "mean"}], [{"attribute": "rows"}, {"index": -1}])) == [
        '   0  clinic.Describe(column="age")',
        '      → the application at site "home": result of 0["mean"]',
        "   1  stats.Round(of=result of 0.rows[-1])",
        '      → the application at site "home": result of 1',
    ]


CARRIES = [
    *({"value": path} for path in ([], [{"key": "mean"}], [{"key": "rows"}], [{"attribute": "rows"}], [{"index": 0}])),
    {"value": [{"key": '"]["rows'}]},
    {"value": [{"attribute": 'x["rows"]'}]},
    {"value": [{"attribute": "x"}, {"key": "rows"}]},
    {"stream": None},
    {"stream": "out"},
    "signal",
    "key",
]


def test_what_is_not_the_same_is_not_drawn_alike():
    for change in (
        lambda one, carry: one["transitions"][0]["outputs"][0].update(carry=carry),
        lambda one, carry: one["transitions"][0]["outputs"][1].update(carry=carry),
    ):
        told = set()
        for carry in CARRIES:
            one = net()
            change(one, carry)
            told.add("\n".join(lines(one)))
        assert len(told) == len(CARRIES)
    assert not any("cannot be drawn" in one for one in told)


NAMES = [
    "day'), result of 7 → site 'nobody",
    'day"), result of 7\n   1  stats.Round(of="',
    "day" + " " * 200 + "1  stats.Round(of=result of 0)",
    'parameter "day"',
    "\x1b[2Kday",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["parameter", "site", "to", "argument", "operation", "provider", "key"])
def test_a_name_is_a_name_and_nothing_more(name, where):
    one = net(source={"param": "day"})
    step = one["transitions"][1]
    match where:
        case "parameter" | "site":
            one["places"][1]["source"] = {"param" if where == "parameter" else "site": name}
        case "to":
            step["outputs"][0]["site"] = name
        case "argument":
            step["step"]["call"]["arguments"][0][0] = name
        case "operation" | "provider":
            step["step"]["call"][where] = name
        case "key":
            step["outputs"][0]["carry"] = {"value": [{"key": name}]}
    honest = lines(net(source={"param": "day"}))
    told = lines(one)
    assert len(told) == len(honest)
    quoted = json.dumps(name).replace("  ", " \\u0020")
    assert "".join(told).count(quoted) == 1 and "  1  " not in quoted


UNKNOWN = {
    "a field of a step": lambda one: one["transitions"][0]["step"]["call"].update(more=1),
    "a field of an arc": lambda one: one["transitions"][0]["outputs"][1].update(more=1),
    "a field of a place": lambda one: one["places"][0].update(more=1),
    "a field of the net": lambda one: one.update(more=1),
    "a step": lambda one: one["transitions"][0].update(step={"send": {"node": 0}}),
    "what an arc carries": lambda one: one["transitions"][0]["outputs"][1].update(carry={"slice": []}),
    "a part of a path": lambda one: one["transitions"][0]["outputs"][1].update(carry={"value": [{"slice": [0, 1]}]}),
    "where a place's tokens come from": lambda one: one["places"][0].update(source={"file": "x"}),
    "an argument": lambda one: one["transitions"][1]["step"]["call"]["arguments"][0].__setitem__(1, {"file": "x"}),
    "a result of no step": lambda one: one["transitions"][0]["outputs"].pop(0),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_a_net_with_what_is_not_known_is_not_drawn_in_part(what):
    one = copy.deepcopy(net())
    UNKNOWN[what](one)
    (line,) = lines(one)
    assert "cannot be drawn" in line


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_any_json_is_drawn_or_said_not_to_be(data):
    odd = st.recursive(
        st.none() | st.integers() | st.text(max_size=3), lambda of: st.lists(of, max_size=2), max_leaves=3
    )
    one = net()
    of = data.draw(st.sampled_from([one, one["places"][0], one["transitions"][0], one["transitions"][0]["outputs"][0]]))
    of[data.draw(st.sampled_from(sorted(of)))] = data.draw(odd)
    assert all(isinstance(line, str) for line in lines(one))


def test_each_kind_of_step_that_a_pipeline_has_is_drawn(small, fed, tmp_path):
    (tmp_path / "policy.yaml").write_text("default: allow\nrules:\n  all: {decision: ask, operations: ['work.*']}\n")
    with Pipeline() as pipeline:
        first = fed.Echo(value=PlaceParam(place="v"), site="east")
        with If(cond=(first == 1) & ~(first > 2)):
            fed.Echo(value=[first, {"a": first}], site="east")
        with ForEach(seq=first) as item:
            made = fed.Echo(value=item, site="east")
        with Repeat(start={"w": first}, at_most=3) as rounds:
            step = fed.Echo(value=rounds["w"], site="east")
            rounds.next(w=step["w"])
            rounds.until(step["change"] < 1)
        with TryFromCache(key=("k", first), site="east") as kept:
            kept.cache(fed.Echo(value=first, site="east"))
        with EachSite(sites=["east", "west"]) as each:
            of_each = fed.Echo(value=first, site=each)
        total = fed.Sum(parts=each.collect(of_each), site="east")
        for value in (item.collect(made), rounds.result("w"), kept, total, first["mean"]):
            Yield(value=value, multiuse=True)
    with Federation("small", homesite="home", policies={"east": tmp_path / "policy.yaml"}) as running:
        job = running.session.execute(pipeline, {"v": [1]})
        until(lambda: requests(tmp_path / "requests"))
        job.cancel()
    (request,) = requests(tmp_path / "requests")
    told = list(drawn(request["net"], request["homesite"]))
    kinds = {next(iter(one["step"])) for one in json.loads(request["net"])["transitions"]}
    assert kinds >= {
        "call",
        "split",
        "decide",
        "enter",
        "look-up",
        "store",
        "join",
        "repeat",
        "again",
        "gather",
        "collect",
    }
    assert "cannot be drawn" not in told[0] and any(
        '→ the application at site "home": result of 0["mean"]' in line for line in told
    )
