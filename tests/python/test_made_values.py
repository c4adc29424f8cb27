"""May nodes stand anywhere in a value, and what does that value come to?"""
# pyright: basic, reportMissingImports=false

import uuid
from typing import Any, ClassVar

import pytest
from dfm.api import Equal, ForEach, If, Node, Operation, Pipeline, PlaceParam, Yield
from dfm.session import JobStatus
from pydantic import BaseModel, Field
from written import refusal

pytestmark = pytest.mark.timeout(60)


class Pair(BaseModel):
    """A model of the test."""

    first: Any
    second: Any = 0


class Number(BaseModel):
    """Another one, which is particular."""

    number: int


@pytest.fixture(scope="module")
def session(shared):
    return shared


def run(session, build, params=None):
    """A job of the pipeline as it is when read again."""
    with Pipeline() as pipeline:
        build()
    job = session.execute(Pipeline.model_validate_json(pipeline.model_dump_json()), params or {})
    assert job.wait_until_finished(30)
    return job


def test_a_parameter_takes_nodes_places_and_literals_in_any_value(session, fed):
    def build():
        one, two = fed.Add(a=1, b=0, site="east"), fed.Echo(value={"n": [7, 8]}, site="west")
        value = {"list": [one, 2, [PlaceParam("p")]], 5: (two.fieldref("n", issubs=True).fieldref(1), None), "k": "v"}
        Yield(value=fed.Echo(value=value, site="east"))

    job = run(session, build, {"p": "given"})
    assert job.results("yield") == [{"list": [1, 2, ["given"]], 5: (8, None), "k": "v"}]
    assert type(job.results("yield")[0][5]) is tuple


def test_a_model_is_made_where_it_is_used(session, fed):
    def build():
        made = Pair(first=[fed.Add(a=1, site="east")], second=PlaceParam("p"))
        Yield(value=fed.Echo(value=made, site="home"))

    with Pipeline() as pipeline:
        build()
    job = session.execute(pipeline, {"p": 3})
    assert job.wait_until_finished(30)
    assert job.results("yield") == [Pair(first=[2], second=3)]


def test_a_model_that_cannot_be_made_is_an_error_of_its_node(session, fed):
    """Also where nothing else happens at the site, whose job would otherwise not be told to be over."""
    with Pipeline() as pipeline:
        made = Number.model_construct(number=PlaceParam("p"))
        Yield(value=fed.Echo(value=made, site="home"))
    job = session.execute(pipeline, {"p": "none"})
    assert job.wait_until_finished(30)
    (error,) = (error for token in job.errors for error in token.errors)
    assert (error.type, error.operation) == ("ValidationError", "work.Echo")


def test_a_yield_a_sequence_a_key_and_a_condition_take_them_too(session, fed):
    def build():
        three = fed.Add(a=1, b=2, site="east")
        with ForEach(seq=[three, 4, fed.Add(a=3, b=2, site="west")]) as x:
            Yield(value={"x": x, "double": fed.Add(a=x, b=x, site="east")}, place="each")
        with If(cond=Equal([three, 1], [3, 1])):
            Yield(value=(three, "holds"), place="if")

    job = run(session, build)
    assert job.results("each") == [{"x": n, "double": 2 * n} for n in (3, 4, 5)]
    assert job.results("if") == [(3, "holds")]


def test_an_error_in_one_part_is_the_error_of_the_whole_and_told_once(session, fed):
    def build():
        parts = [fed.Fail(value=1, site="east"), fed.Add(a=1, site="west"), {"k": fed.Fail(value=2, site="server")}]
        Yield(value=fed.Echo(value=parts, site="home"), place="whole")
        Yield(value=parts, place="direct")

    job = run(session, build)
    assert job.get_status() is JobStatus.FAILED
    told = sorted(error.message for token in job.errors for error in token.errors)
    assert told == ["no luck with 1", "no luck with 2"]
    for place in ("whole", "direct"):
        (token,) = job.tokens(place)
        assert sorted(error.message for error in token.data.errors) == told


def test_what_cannot_be_put_together_is_refused_where_it_is_written(fed):
    itself: list[Any] = []
    itself.append(itself)
    assert "has a node inside a set" in refusal(lambda: fed.Echo(value={fed.Add(a=1)}))
    assert "a node as a dictionary's key" in refusal(lambda: fed.Echo(value={fed.Add(a=1): [fed.Add(a=2)]}))
    assert "contains itself" in refusal(lambda: fed.Echo(value=[itself, 1]))

    def too_deep():
        deep = fed.Add(a=1)
        for _ in range(30):
            deep = [deep]
        fed.Echo(value=deep)

    assert "more than 20 values deep" in refusal(too_deep)

    def out_of_its_block():
        with ForEach(seq=[1]) as x:
            inner = fed.Add(a=x)
        fed.Echo(value=[inner])

    assert "outside of that body" in refusal(out_of_its_block)


class Fresh(Pair):
    """A model with a default that is never the same."""

    key: object = Field(default_factory=lambda: str(uuid.uuid4()))


class Keep(Operation, frozen=True):
    """An operation that takes these models."""

    dfm_operation: ClassVar[str] = "work.Echo"
    dfm_package: ClassVar[str] = "small"
    dfm_api_version: ClassVar[str] = "1.2.0"

    value: Pair | Fresh | Node


def test_a_literal_model_says_what_it_was_given_as_any_other_does():
    def said(value):
        with Pipeline() as pipeline:
            Keep(value=value)
        (statement,) = pipeline.model_dump()["statements"]
        return statement["arguments"]["value"]["literal"]

    assert said(Pair(first=1)) == {"first": 1}
    assert said(Pair(first=[Pair(first=2)], second=0)) == {"first": [{"first": 2}], "second": 0}
    fresh = Fresh(first=1)
    assert said(fresh) == {"first": 1, "second": 0, "key": fresh.key}, "another site would make another one"
    assert said(Fresh(first=1, key="k")) == {"first": 1, "key": "k"}


def test_a_model_with_nodes_in_it_says_what_it_was_given_too(fed):
    with Pipeline() as pipeline:
        node = fed.Add(a=1)
        Keep(value=Pair(first=[node]))
        Keep(value=Fresh(first=[node]))
    _, plain, fresh = (one["arguments"] for one in pipeline.model_dump()["statements"])
    assert [key["literal"] for key, _ in plain["value"]["dict"]] == ["first"]
    assert [key["literal"] for key, _ in fresh["value"]["dict"]] == ["first", "second", "key"]
