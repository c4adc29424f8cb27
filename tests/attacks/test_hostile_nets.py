"""What does a site make of a net that no planner has made?"""
# pyright: basic, reportMissingImports=false

import msgpack
import pytest
from dfm.api import Pipeline, PlaceParam, Yield
from eventually import until
from flare_federation import opened
from hostile import changed, opened_with

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare


def nested(levels):
    value = {"slot": 0}
    for _ in range(levels):
        value = {"built": ["list", [value]]}
    return value


SETS = [[0, 0, 0, {"param": "v"}], [0, 1, 0, {"param": "k"}]]
HOME = [["app", 0, {"value": []}, False]]
CALL = {"call": [0, "work.Echo", None, [["value", {"slot": 0}]], [0, 0.0, None]]}
NETS = {
    # Would write a parameter's value to the path in another one.
    "a key from a parameter": [[None, False], SETS, [{"store": [0]}, 0, []]],
    "a yield at another site": [[None, False], SETS[:1], [{"yield": [0, "x", {"slot": 0}]}, 0, []]],
    "an input that is not there": [[None, False], SETS[:1], [{"split": [0, {"slot": 5}]}, 0, HOME]],
    "a call that waits for itself": [
        [None, False],
        [[0, 0, 0, "here"]],
        [CALL, 0, [[None, 0, {"value": []}, False]]],
    ],
    "a backoff of a thousand years": [
        [None, False],
        SETS[:1],
        [{"call": [*CALL["call"][:4], [9, 3e10, None]]}, 0, []],
    ],
    # Would answer with a value many times as large as what came.
    "an input that is used twice": [
        [None, False],
        SETS[:1],
        [{"split": [0, {"built": ["list", [{"slot": 0}, {"slot": 0}]]}]}, 0, HOME],
    ],
    "a key without a value": [[None, False], SETS[:1], [{"split": [0, {"built": ["dict", [{"slot": 0}]]}]}, 0, HOME]],
    "a value of more levels than any": [[None, False], SETS[:1], [{"split": [0, nested(120)]}, 0, HOME]],
    "more sites than inputs": [[None, False], SETS[:1], [{"gather": [0, ["a", "b"], 1, False, False]}, 0, HOME]],
    "a join of nothing": [[None, False], [[0, 0, 0, {"param": "v"}]], [{"join": [0]}, 0, HOME]],
}


def packed(part):
    return bytes(msgpack.packb(part) or b"")


def built(kind):
    if kind == "a condition without end":
        # The packet itself is written by hand, as nothing that writes such packets goes so deep.
        condition = b"\x81\xa3not" * 300_000 + b"\x81\xa5truth\x81\xa7literal\x01"
        decide = b"\x91\x93\x81\xa6decide\x92\x00" + condition + b"\x00\x90"
        head = [packed(part) for part in ("east", [[None, False]], [[0, 0, 0, "start"]])]
        return lambda job, name: b"\x81\xa4Open\x93" + packed(job) + packed(name) + b"\x94" + b"".join(head) + decide
    block, places, *transitions = NETS[kind]
    return ["east", [block], places, transitions]


@pytest.mark.parametrize("kind", [*NETS, "a condition without end"])
def test_a_net_that_no_planner_makes_is_refused(federation, fed, tmp_path, kind):
    target = tmp_path / "written"
    with Pipeline() as pipeline:
        fed.Echo(value=PlaceParam(place="k"), site="east")
        Yield(value=fed.Echo(value=PlaceParam(place="v"), site="east"), place="out")
    with changed(opened_with(built(kind))), opened(federation) as session:
        job = session.execute(pipeline, {"v": "written by an attacker", "k": str(target)})
        until(lambda: job.errors, 60)
        assert job.errors[0].errors[0].type in ("PlanRefusedError", "SiteLostError")
        job.cancel()
        # The site goes on with what others ask.
        with Pipeline() as pipeline:
            Yield(value=fed.Add(a=1, site="west"), place="out")
        assert session.run(pipeline) == {"out": [2]}
    assert not target.exists()
