"""What may an adapter send by itself?"""
# pyright: basic, reportMissingImports=false

import pytest
from dfm.api import ForEach, Pipeline, Retry, Yield
from dfm.session import JobStatus

pytestmark = pytest.mark.timeout(60)

WINDOW = 1024
"""Values that may be under way to an application that has had none of them."""


def yielded(*nodes, place="yield"):
    for node in nodes:
        Yield(value=node, place=place)


@pytest.mark.parametrize("site", ["home", "east"])
@pytest.mark.parametrize("operation", ["Send", "SendOnThread"])
def test_what_an_adapter_sends_comes_before_its_result(shared, fed, operation, site):
    with Pipeline() as pipeline:
        sent = getattr(fed, operation)(to=3, site=site)
        yielded(sent)
        yielded(fed.Echo(value=sent, site="west"), place="result")
    job = shared.execute(pipeline, [{}, {}])
    assert job.results() == [0, 1, 2, "3 were sent"] * 2, "each in its own frame"
    assert job.results("result") == ["3 were sent"] * 2, "another operation takes the result alone"
    assert job.get_status() == JobStatus.FINISHED


@pytest.mark.parametrize("operation", ["Send", "SendOnThread"])
def test_an_adapter_that_sends_waits_for_who_is_behind(shared, fed, operation):
    with Pipeline() as pipeline:
        yielded(getattr(fed, operation)(to=3 * WINDOW, site="east"))
    assert shared.execute(pipeline).results() == [*range(3 * WINDOW), f"{3 * WINDOW} were sent"]


@pytest.mark.parametrize(
    "more, words",
    [
        (
            {"to_place": "others"},
            "'others', but the result of node 0 of the pipeline is yielded at 'own'",
        ),
        ({"to_place": "_dfm_status_"}, "a body sends to places of its own node"),
        ({"is_yield": False}, "a body sends only to the place of a `Yield`"),
        ({"to_site": "east"}, "a `Yield`'s place is at the application's site: 'home'"),
        ({"to_job": "another"}, "a body sends only within its own job"),
        ({"frame": [7]}, "but this call is of node 0 of the pipeline in Frame([0])"),
        ({"node_id": 2}, "but this call is of node 0"),
    ],
)
def test_an_adapter_sends_nowhere_else(shared, fed, more, words):
    with Pipeline() as pipeline:
        yielded(fed.Send(to=1, place="own", more=more, site="east"), place="own")
        yielded(fed.Add(a=1, site="east"), place="others")
    job = shared.execute(pipeline)
    job.wait_until_finished()
    (error,) = (one for token in job.errors for one in token.errors)
    assert error.type == "SendingError" and words in error.message
    assert job.results("others") == [2]
    assert job.results("own")[:-1] == [0]


def test_a_place_is_one_and_no_loop(shared, fed):
    with Pipeline() as pipeline:
        one, other, alone = (fed.Send(to=1, place="a", site="east") for _ in range(3))
        yielded(one, place="a")
        yielded(one, place="b")
        with ForEach(seq=other) as each:
            yielded(each, place="each")
        yielded(fed.Echo(value=alone), place="alone")
    job = shared.execute(pipeline)
    job.wait_until_finished()
    told = {one.node: one.message for token in job.errors for one in token.errors}
    assert "is yielded at 'a', 'b': a body sends where there is one place" in told[0]
    assert "a `ForEach` takes the result of node 1" in told[1]
    assert "is not yielded" in told[2]


def test_nothing_is_sent_for_a_call_that_is_over(shared, fed):
    with Pipeline() as pipeline:
        yielded(fed.SendLate(site="east"))
    assert shared.execute(pipeline).results() == ["early"]
    (told,) = shared.execute(pipeline).results()
    assert "the call is over" in told


def test_a_try_that_failed_has_sent_nothing(shared, fed):
    with Pipeline() as pipeline:
        yielded(fed.SendTwice(site="east", retry=Retry(times=1)))
    assert shared.execute(pipeline).results() == ["try 2", "done"]
