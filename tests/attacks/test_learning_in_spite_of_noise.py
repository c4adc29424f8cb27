"""A user who wants to know a number that leaves with noise alone: by conditions, loops, caches, and asking again."""
# pyright: basic, reportMissingImports=false

import importlib

import pytest
from dfm.api import ErrorToken, ForEach, If, Pipeline, PlaceParam, Repeat, TryFromCache, Yield
from dfm.testing import Asker, Federation

EVE = Asker("eve@u.example", "university", "lead")
POLICY = """
default: allow
leaves:
  noise:
    epsilon: 0.5
    sensitivities: {work.Total: 1000, work.Add: 1000, work.Count: 1}
    budget: {epsilon: 5}
"""


@pytest.fixture
def federation(small, tmp_path):
    importlib.import_module("small.fed.api.work")
    (path := tmp_path / "policy.yaml").write_text(POLICY)
    with Federation("small", homesite="home", policies={"east": path}, asker=EVE) as running:
        yield running


def told(federation, build, **parameters):
    """What the application got in the place of the secret number, 5."""
    with Pipeline() as pipeline:
        build()
    job = federation.session.execute(pipeline, parameters)
    assert job.wait_until_finished(60)
    values = [value for value in job.results() if not isinstance(value, ErrorToken)]
    errors = [error.message for token in job.errors for error in token.errors]
    return values, errors


def secret(fed):
    return fed.Total(items=fed.Echo(value=[2, 3], site="east"), site="east")


def test_one_answer_is_far_from_the_number(federation, fed):
    values, errors = told(federation, lambda: Yield(value=secret(fed)))
    assert errors == [] and len(values) == 1 and isinstance(values[0], int)
    # Less than one of 4,000 is as near as this.
    assert values != [5]


def test_a_condition_does_not_tell_it(federation, fed):
    def build():
        with If(cond=secret(fed) > 4):
            Yield(value=PlaceParam("x"))

    values, errors = told(federation, build, x=1)
    assert values == [] and any("a condition, a loop or rounds" in error for error in errors)


def test_how_often_a_loop_or_rounds_go_on_does_not_tell_it(federation, fed):
    def loop():
        with ForEach(seq=fed.Count(to=5, site="east")):
            Yield(value=PlaceParam("x"))

    def rounds():
        with Repeat(start={"n": 0}, at_most=10) as repeat:
            more = fed.Add(a=repeat["n"], b=1, site="east")
            repeat.next(n=more)
            repeat.until(more >= 5)
        Yield(value=repeat.count)

    for build, given in ((loop, {"x": 1}), (rounds, {})):
        values, errors = told(federation, build, **given)
        assert values == [] and any("a condition, a loop or rounds" in error for error in errors), build


def test_many_in_one_value_do_not_share_its_noise(federation, fed):
    def collected():
        with ForEach(seq=PlaceParam("x")) as x:
            more = fed.Add(a=x, b=1, site="east")
        Yield(value=x.collect(more))

    values, errors = told(federation, collected, x=[4, 4, 4, 4])
    assert values == [] or all(value != 5 for value in values[0]), "each has left by itself"
    values, errors = told(federation, lambda: Yield(value=[secret(fed), secret(fed)]))
    assert all(5 not in value for value in values), errors


def test_what_another_step_makes_of_it_and_what_has_no_sensitivity_do_not_leave(federation, fed):
    values, errors = told(federation, lambda: Yield(value=fed.Echo(value=secret(fed), site="east")))
    assert values == [] and "a result of 'work.Echo', of which it says no sensitivity" in errors[0]


def test_a_cache_does_not_give_it_without_noise(federation, fed):
    def build():
        with TryFromCache(key="mine") as value:
            value.cache(fed.Add(a=2, b=3, site="east"))
        Yield(value=value)

    for _ in range(3):
        values, _ = told(federation, build)
        assert values != [5]


def test_asking_again_and_again_comes_to_an_end(federation, fed):
    answers = [told(federation, lambda: Yield(value=secret(fed))) for _ in range(12)]
    assert [len(values) for values, _ in answers] == [1] * 10 + [0] * 2
    assert "is used up" in answers[-1][1][0]
