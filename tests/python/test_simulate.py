"""Does `dfm fed simulate` say what a run would be like, at sizes that nobody has here?"""
# pyright: basic

import json
from pathlib import Path

import pytest
from small_federation import Small

pytestmark = pytest.mark.timeout(60)

PIPELINE = """\
from dfm.api import Pipeline, PlaceParam, Yield
from small.fed.api import text

def get_pipeline(args=None):
    with Pipeline(name="small") as p:
        first = text.Join(first=PlaceParam("who"), site="left")
        Yield(value=text.Join(first=first, site="right"))
    return p
"""

NETWORK = """\
dfm-network: 1
send_cost: {fixed_time: 0.5, bandwidth: 1000}
sites:
  left:
    at_once: 1
    send_cost: {right: {fixed_time: 0.5, bandwidth: 1000}}
    interface:
      "#/operations/text.Join": {compute_cost: {fixed_time: 1, fixed_size: 500}}
"""


@pytest.fixture(scope="module")
def small(own: Small) -> Small:
    own.write("flow.py", PIPELINE)
    own.write("network.yaml", NETWORK)
    return own


def simulate(small: Small, *args: str) -> dict:
    done = small.run("--json", "fed", "simulate", "small", str(small.folder / "flow.py"), *args)
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_a_chain_takes_what_its_costs_say(small: Small):
    plain = simulate(small)
    assert plain["simulated"]["seconds"] == pytest.approx(0.003) == plain["estimated_seconds"]
    slow = simulate(small, "--network", str(small.folder / "network.yaml"))
    # The parameter's way to left, its call, 500 bytes over the link, and the way home.
    assert slow["simulated"]["seconds"] == pytest.approx(0.001 + 1 + 0.5 + 0.5 + 0.001)
    links = {(link["from"], link["to"]): link["bytes"] for link in slow["simulated"]["links"]}
    assert links == {("left", "right"): 500, ("right", "home"): 0}


def test_rounds_come_one_after_the_other_and_what_is_after_them_waits(small: Small):
    rounds = """\
from dfm.api import Pipeline, Repeat, Yield
from small.fed.api import text

def get_pipeline(args=None):
    with Pipeline(name="rounds") as p:
        with Repeat(start={"w": "x"}, at_most=5) as rounds:
            there = text.Join(first=rounds["w"], site="left")
            rounds.next(w=there)
            rounds.until(there == "good")
        Yield(value=text.Join(first=rounds.result("w"), site="left"))
    return p
"""
    path = small.write("rounds.py", rounds)
    done = small.run("--json", "fed", "simulate", "small", str(path), "--network", str(small.folder / "network.yaml"))
    assert done.returncode == 0, done.stderr + done.stdout
    told = json.loads(done.stdout)
    # No condition of a run that only is simulated holds, so there are all rounds, and one call after them.
    assert told["simulated"]["seconds"] == pytest.approx(6 + 0.001)
    assert told["estimated_seconds"] == pytest.approx(6 + 0.001)
    assert {site["site"]: site["firings"] for site in told["simulated"]["sites"]} == {"home": 0, "left": 6}


def test_frames_queue_at_a_site_that_runs_one_call_at_a_time(small: Small):
    network = str(small.folder / "network.yaml")
    many = simulate(small, "--network", network, "--frames", "20")["simulated"]
    assert many["seconds"] == pytest.approx(0.001 + 20 + 0.5 + 0.5 + 0.001)
    assert many["values"] == 20
    left = next(site for site in many["sites"] if site["site"] == "left")
    assert left == {"site": "left", "firings": 20, "busy": pytest.approx(20), "most_at_once": 1}
    assert [step["waiting"] for step in many["chain"]] == [pytest.approx(19), 0]


def test_a_saved_pipeline_may_use_copies_of_sites_and_losses_are_told(small: Small, tmp_path: Path):
    operation = {"kind": "operation", "operation": "text.Join"}
    statements = []
    for number in range(1, 301):
        arguments = {"first": {"param": "who", "multiuse": True}}
        statements.append({**operation, "node": number, "site": f"left-{number}", "arguments": arguments})
        value = {"node": number}
        statements.append({"kind": "yield", "node": -1 - number, "place": "all", "multiuse": True, "value": value})
    statements[-1]["node"] = "last"
    statements[-2]["site"] = "right"
    for statement in statements:
        if statement["node"] != "last" and statement["node"] < 0:
            statement["node"] = f"y{-statement['node']}"
    saved = tmp_path / "many.json"
    saved.write_text(json.dumps({"dfm_pipeline": 1, "mode": "execute", "statements": statements}))
    network = tmp_path / "network.yaml"
    network.write_text(
        "dfm-network: 1\nsites:\n  left: {copies: 299}\n"
        "  right:\n    lost_at: 1\n    interface:\n"
        '      "#/operations/text.Join": {compute_cost: {fixed_time: 2}}\n'
    )
    done = small.run("fed", "simulate", "small", str(saved), "--network", str(network), "--frames", "3")
    assert done.returncode == 0, done.stderr
    assert "done after" in done.stdout
    assert "at 301 sites, 897 values" in done.stdout
    assert "right: the site was lost after 1 s (once)" in done.stdout
    assert "errors came in place of 3 values, in 3 frames" in done.stdout
    assert "and 280 more" in done.stdout


def test_what_is_wrong_is_said(small: Small, tmp_path: Path):
    wrong = tmp_path / "wrong.yaml"
    for text, words in (
        ("dfm-network: 1\nsites: {lft: {}}", "did you mean `left`?"),
        ("dfm-network: 1\nsites: {home: {lost_at: 1}}", "cannot be said of the homesite"),
    ):
        wrong.write_text(text)
        done = small.run("fed", "simulate", "small", str(small.folder / "flow.py"), "--network", str(wrong))
        assert done.returncode == 2
        assert words in done.stderr, done.stderr
