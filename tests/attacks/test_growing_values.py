"""Does a site hold values that are small in memory and have no end for whoever goes through them?

A list that has another one twice, which has a third one twice, and so on: each step of a pipeline doubles it.
"""
# pyright: basic, reportMissingImports=false

import pytest
from dfm.api import ErrorToken, If, Pipeline, TryFromCache, Yield
from dfm.testing import Federation

TIMES = 60
POLICIES = {
    "none": None,
    "leaves": "default: allow\nleaves: {bytes: 1000}\nlimits: {value-bytes: 65536}\n",
    "rules": (
        "default: allow\nrules:\n  few: {decision: deny, operations: [work.Add], parameters: {a: {one-of: [1]}}}\n"
        "leaves: {never-columns: [name], smallest-group: {column: n, at-least: 5}}\naudit: {folder: log}\n"
        "limits: {value-bytes: 65536}\n"
    ),
}


@pytest.fixture(params=POLICIES)
def federation(request, small, tmp_path):
    policies = {}
    if (text := POLICIES[request.param]) is not None:
        policies["east"] = tmp_path / "policy.yaml"
        policies["east"].write_text(text)
    with Federation("small", homesite="home", policies=policies) as running:
        yield running


def doubled(fed, value, times=TIMES):
    for _ in range(times):
        value = fed.Echo(value=[value, value], site="east")
    return value


def sends(fed):
    Yield(value=doubled(fed, fed.Echo(value=7, site="east")))


def hands_on(fed):
    Yield(value=fed.Total(items=doubled(fed, fed.Echo(value=7, site="east")), site="east"))


def compares(fed):
    with If(cond=doubled(fed, fed.Echo(value=7, site="east")) == doubled(fed, fed.Echo(value=7, site="east"))):
        Yield(value=fed.Add(a=1, site="east"))


def keys(fed):
    with TryFromCache(key=doubled(fed, fed.Echo(value=7, site="east")), site="east") as kept:
        kept.cache(fed.Add(a=1, site="east"))
    Yield(value=kept)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("build", [sends, hands_on, compares, keys])
def test_a_value_that_doubles_at_each_step_is_refused(federation, fed, build):
    with Pipeline() as pipeline:
        build(fed)
    job = federation.session.execute(pipeline, {})
    assert job.wait_until_finished(100)
    assert not [value for value in job.results("yield") if not isinstance(value, ErrorToken)]
    assert any("too large" in error.message for token in job.errors for error in token.errors)
    # The site goes on.
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=3, site="east"))
    assert federation.session.run(pipeline) == {"yield": [4]}


def test_a_value_that_has_a_large_one_often_may_stay_at_its_site(federation, fed):
    with Pipeline() as pipeline:
        Yield(
            value=fed.Echo(value=doubled(fed, fed.Echo(value=7, site="east"), 10), site="east")
            .fieldref(0)
            .fieldref(1)
            .fieldref(0)
        )
    (value,) = federation.session.run(pipeline)["yield"]
    for _ in range(7):
        value = value[0]
    assert value == 7
