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
audit: {folder: log}
"""
DEEP = 100_000


@pytest.fixture
def federation(small, fed, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    with Federation("small", homesite="home", policies={"east": path}, asker=ADA) as running:
        yield running


def adds(fed, a):
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=a, site="east"))
    return pipeline


def adds_more(fed, a):
    """What is known only when it runs."""
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=fed.Add(a=a, site="home"), site="east"))
    return pipeline


def wrong(federation, *calls):
    """What the site says of calls that no planner has made."""
    found, _ = federation.session._home.check({"east": [(call, number) for number, call in enumerate(calls)]}, {})
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
    assert federation.session.run(adds(fed, 2)) == {"yield": [3]}


def test_a_question_of_many_calls_is_answered_and_allows_nothing(federation, fed, tmp_path):
    calls = [("work.Add", None, json.dumps({"a": number}), []) for number in range(20_000)]
    told = wrong(federation, *calls)
    assert set(told) == set(range(6, 10_000)), "what is more is not looked at"
    # Nobody fills the site's log with it.
    federation.session.prepare(adds(fed, 1))
    lines = [json.loads(line) for line in (tmp_path / "log" / "log.jsonl").read_text().splitlines()]
    assert [line["what"] for line in lines] == ["session", "refused"]
    # What was asked about is not what is then called: the call itself is judged.
    job = federation.session.execute(adds_more(fed, 8))
    assert job.wait_until_finished(60)
    assert [error.type for token in job.errors for error in token.errors] == ["RefusedError"]


def test_what_a_call_is_asked_of_without_an_operation_is_wrong_with_it(federation):
    told = wrong(federation, ("work.Nothing", None, "{}", []), ("work.Add", "nobody", "{}", []), ("", "", None, []))
    assert set(told) == {0, 1, 2}
