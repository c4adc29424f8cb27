"""Does a policy hold for a part of a result that shows not what the whole counts, and for the sizes of what stays?"""
# pyright: basic, reportMissingImports=false

import pandas
import pytest
from dfm.api import ErrorToken, Pipeline, PlaceParam, Yield
from dfm.testing import Federation

POLICY = """default: allow
leaves: {never-columns: [name], smallest-group: {column: n, at-least: 20}, suppress: {below: 10, counts: [n]}}
"""


@pytest.fixture
def federation(small, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    with Federation("small", homesite="home", policies={"east": path}) as running:
        yield running


def told(federation, fed, value, *path, measure=False):
    with Pipeline() as pipeline:
        node = fed.Echo(value=PlaceParam("v"), site="east")
        for name in path:
            node = node[name]
        Yield(value=node)
    job = federation.session.execute(pipeline, {"v": value}, measure=measure)
    assert job.wait_until_finished(30)
    values = [value for value in job.results("yield") if not isinstance(value, ErrorToken)]
    return values, [error.message for token in job.errors for error in token.errors], job


LARGE, SMALL = {"n": 30, "mean": 44.5, "name": "Ada"}, {"n": 3, "mean": 44.5}
GROUPS = {"groups": [{"n": 30, "mean": 1.0}, {"n": 40, "mean": 2.0}], "name": "Ada"}
FRAME = pandas.DataFrame({"n": [30, 40], "mean": [1.0, 2.0]})


@pytest.mark.parametrize(
    ("value", "path", "rule"),
    [
        (SMALL, ("mean",), "smallest-group"),
        ({"n": 30, "mean": 44.5}, ("mean",), "smallest-group"),
        (LARGE, ("name",), "never-columns"),
        (GROUPS, ("groups", 0, "mean"), "smallest-group"),
        (FRAME, ("mean",), "smallest-group"),
    ],
)
def test_a_part_without_what_it_counts_does_not_leave(federation, fed, value, path, rule):
    values, (message,), _ = told(federation, fed, value, *path)
    assert not values and f"`leaves.{rule}`" in message and "44.5" not in message


def test_a_part_that_counts_leaves_as_a_whole_result_does(federation, fed):
    assert told(federation, fed, GROUPS, "groups", 1)[0] == [{"n": 40, "mean": 2.0}]
    assert told(federation, fed, [GROUPS["groups"][0], SMALL], 0)[0] == [{"n": 30, "mean": 1.0}]


def test_what_is_measured_where_a_policy_holds_tells_no_size(federation, fed):
    for site, known in (("east", False), ("west", True)):
        with Pipeline() as pipeline:
            Yield(value=fed.Total(items=fed.Echo(value=[5, 6], site=site), site=site))
        job = federation.session.execute(pipeline, {}, measure=True)
        assert job.wait_until_finished(30)
        sizes = [node["bytes"] for node in job.measured().nodes]
        assert len(sizes) == 2 and all((size is not None) == known for size in sizes)
