"""Is what a job took told beside what was expected, and does it lead to costs that foretell it?"""
# pyright: basic, reportMissingImports=false

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from dfm.api import ForEach, Pipeline, PlaceParam, Yield
from dfm.errors import JobError
from small_federation import Small

pytestmark = pytest.mark.timeout(60)


def measured(session, build, params=None):
    with Pipeline(name="measured") as pipeline:
        build()
    job = session.execute(pipeline, {} if params is None else params, measure=True)
    return job.measured()


def test_times_and_sizes_are_told_for_each_operation_and_way(shared, fed):
    def build():
        waited = fed.Wait(seconds=0.05, site="east")
        Yield(value=fed.Echo(value=PlaceParam("x", multiuse=True), site="west", dfm_after=waited))

    run = measured(shared, build, [{"x": b"1" * 5000}, {"x": b"1" * 7000}])
    wait, echo = run.nodes
    assert (wait["operation"], wait["site"], wait["calls"], echo["calls"]) == ("work.Wait", "east", 2, 2)
    assert wait["compute"] >= 0.05
    assert echo["finish"] >= wait["finish"] >= wait["compute"]
    assert echo["bytes"] == pytest.approx(6000, abs=100)
    assert echo["expected_bytes"] == 0
    text = str(run)
    assert "measured in 2 frames" in text
    assert "work.Wait at east: 2 calls" in text
    assert "work.Wait from east to west: on its way for" in text
    assert ET.fromstring(run._repr_svg_()).tag.endswith("svg")


def test_loops_failures_and_streams_are_measured_too(shared, fed):
    def build():
        with ForEach(seq=fed.Echo(value=PlaceParam("all"), site="east")) as one:
            doubled = fed.Add(a=one, b=one, site="west")
        Yield(value=one.collect(doubled, errors="skip"))
        Yield(value=fed.Count(to=10, site="east"), place="items")

    run = measured(shared, build, {"all": [1, 2, "x", None]})
    calls = {node["operation"]: (node["calls"], node["bytes"] is not None) for node in run.nodes}
    assert calls == {"work.Echo": (1, True), "work.Add": (4, False), "work.Count": (1, True)}
    assert "result of no known size" in run.explain()


def test_a_job_that_is_not_measured_says_so(shared, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=1, site="east"))
    with pytest.raises(JobError, match="measure=True"):
        shared.execute(pipeline).measured()


PIPELINE = """\
from dfm.api import Pipeline, PlaceParam, Yield
from small.fed.api import text

def get_pipeline(args=None):
    with Pipeline(name="joined") as p:
        Yield(value=text.Join(first=text.Join(first=PlaceParam("who"), site="left"), site="right"))
    return p

def get_pipeline_parameters(args=None):
    return [{"who": "x" * length} for length in (1, 1000, 5000)]
"""


def test_the_command_measures_draws_and_suggests_costs(own: Small, tmp_path: Path):
    file, svg, costs = own.write("joined.py", PIPELINE), tmp_path / "run.svg", tmp_path / "costs.yaml"
    submit = ["fed", "submit", "small", "--target", "local", "pipeline", str(file)]
    done = own.run(*submit, "--svg", str(svg), "--save-costs", str(costs))
    assert done.returncode == 0, done.stderr
    assert "text.Join at left: 3 calls" in done.stdout
    assert ET.parse(svg).getroot().tag.endswith("svg")
    # What was measured can be planned with, and simulated with.
    for command in ("plan", "simulate"):
        done = own.run("--json", "fed", command, "small", str(file), "--network", str(costs))
        assert done.returncode == 0, done.stderr + done.stdout
    planned = own.run("--json", "fed", "plan", "small", str(file), "--network", str(costs))
    first, second, _ = json.loads(planned.stdout)["estimate"]["nodes"]
    assert first["compute"] > 0
    assert second["bytes"] > first["bytes"] > 0
    # Every entry fits the same place of the configuration.
    config = own.folder / "small/configs/federation.dfm.yaml"
    before = config.read_text()
    binding = '"#/operations/text.Join": {adapter: small.lib.Join, is-async: false, args: from-operation'
    measured = next(line for line in costs.read_text().splitlines() if "text.Join" in line)
    cost = measured.partition("{compute_cost: ")[2].removesuffix("}")
    config.write_text(before.replace(binding, f"{binding}, compute_cost: {cost}"))
    try:
        done = own.run("fed", "check", "small")
        assert done.returncode == 0, done.stderr
        again = own.run("--json", "fed", "plan", "small", str(file))
        assert json.loads(again.stdout)["estimate"]["nodes"][0]["compute"] == first["compute"]
    finally:
        config.write_text(before)


def test_json_has_what_was_measured_as_a_last_line(own: Small):
    file = own.write("joined.py", PIPELINE)
    done = own.run("--json", "fed", "submit", "small", "--target", "local", "pipeline", str(file), "--measure")
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert [node["calls"] for node in last["measured"]] == [3, 3]


def test_a_script_is_not_measured(own: Small):
    script = own.write("script.sh", "exit 0\n")
    done = own.run("fed", "submit", "small", "--target", "local", "script", str(script), "--measure")
    assert done.returncode == 2
    assert "only a pipeline can be measured" in done.stderr
