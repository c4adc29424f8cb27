"""Does a site survive what an application asks it before a job, whatever is in the question?"""
# pyright: basic, reportMissingImports=false

import json

import pytest
from dfm.api import Pipeline, Yield
from dfm.testing import Asker, Federation

ADA = Asker("ada@u.example", "university", "lead")
POLICY = """default: deny
rules:
  small: {decision: allow, operations: [work.Add], parameters: {a: {maximum: 5}}}
publish: [rules]
"""
DEEP = 100_000


@pytest.fixture
def federation(small, fed, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    with Federation("small", homesite="home", policies={"east": path}, asker=ADA) as running:
        yield running


def wrong(federation, *calls):
    """What the site says of calls that no planner has made."""
    found, _ = federation.session._home.check({"east": [(call, number) for number, call in enumerate(calls)]}, [])
    return dict(found)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "no JSON",
        "null",
        "[1]",
        "[" * DEEP,
        '{"a": ' + "[" * DEEP + "]" * DEEP + "}",
        json.dumps({"a": "x" * (1 << 20)}),
        json.dumps({"a": {"b": 1}}),
        '{"a": 1e999}',
        '{"a": NaN}',
        json.dumps({"b": 1, "surplus": [None]}),
        '{"a": 1' + "0" * 60_000 + "}",
    ],
    ids=range(12),
)
def test_what_is_no_parameter_gets_an_answer_and_nothing_else(federation, fed, given):
    told = wrong(federation, ("work.Add", None, given, ["a"]), ("work.Add", None, given, []))
    assert all("refuses 'work.Add' to user 'ada@u.example'" in text for text in told.values())
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=2, site="east"))
    assert federation.session.run(pipeline) == {"yield": [3]}


def test_a_question_of_many_calls_is_answered_and_allows_nothing(federation, fed):
    calls = [("work.Add", None, json.dumps({"a": number}), []) for number in range(20_000)]
    told = wrong(federation, *calls)
    assert set(told) == set(range(6, 20_000))
    # What was asked about is not what is then called: the call itself is judged.
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=fed.Add(a=8, site="home"), site="east"))
    job = federation.session.execute(pipeline)
    assert job.wait_until_finished(60)
    assert [error.type for token in job.errors for error in token.errors] == ["RefusedError"]


def test_what_a_call_is_asked_of_without_an_operation_is_wrong_with_it(federation):
    told = wrong(federation, ("work.Nothing", None, "{}", []), ("work.Add", "nobody", "{}", []), ("", "", None, []))
    assert set(told) == {0, 1, 2}
