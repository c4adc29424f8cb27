"""Does a Repeat go through its rounds until it may end, and is it told what cannot be?"""
# pyright: basic, reportMissingImports=false

import pytest
from dfm.api import EachSite, ErrorToken, ForEach, If, PlaceParam, Repeat, Yield
from dfm.session import JobStatus
from dfm.testing import Federation
from written import refusal, run, written

pytestmark = pytest.mark.timeout(60)
HERE = __file__


@pytest.fixture(scope="module")
def session(shared):
    return shared


def frames(job, place):
    return sorted(token.frame.frame for token in job.tokens(place))


def test_rounds_go_on_until_the_condition_holds(session, fed):
    def build():
        with Repeat(start={"n": PlaceParam("n"), "seen": []}, at_most=100) as rounds:
            more = fed.Add(a=rounds["n"], b=rounds["n"], site="east")
            Yield(value=more, place="each")
            rounds.next(n=more, seen=[rounds["seen"], more])
            rounds.until(more > 20)
        Yield(value=rounds.result("n"), place="end")
        Yield(value=rounds.result("seen"), place="seen")
        Yield(value=fed.Echo(value=[rounds.count, rounds.collect(more)], site="west"), place="count")

    job = session.execute(written(build), [{"n": 3}, {"n": 30}])
    assert job.wait_until_finished(30)
    assert job.get_status() is JobStatus.FINISHED
    assert frames(job, "each") == [[0, 0], [0, 1], [0, 2], [1, 0]]
    assert sorted(job.results("end")) == [24, 60]
    assert sorted(job.results("seen"), key=str) == [[[[[], 6], 12], 24], [[], 60]]
    assert sorted(job.results("count")) == [[1, [60]], [3, [6, 12, 24]]]


def test_so_many_rounds_are_no_error(session, fed):
    def build():
        with Repeat(start={"n": 1}, at_most=300) as rounds:
            rounds.next(n=fed.Add(a=rounds["n"], b=1, site="west"))
        Yield(value=[rounds.result("n"), rounds.count])

    job = run(session, build)
    assert job.results("yield") == [[301, 300]]
    assert job.get_status() is JobStatus.FINISHED


def test_rounds_hold_and_stand_in_other_blocks(session, fed):
    def build():
        with ForEach(seq=[1, 2]) as n:
            with Repeat(start={"sum": n}, at_most=3) as rounds:
                with EachSite(sites=["home", "east"]) as here:
                    one = fed.Add(site=here, a=rounds["sum"], b=0)
                with ForEach(seq=[here.collect(one)["east"], 5]) as x:
                    inner = fed.Add(a=x, b=1, site="west")
                total = fed.Total(items=x.collect(inner), site="east")
                with If(cond=total > 10):
                    Yield(value=total, place="large")
                rounds.next(sum=total)
            Yield(value=rounds.result("sum"), place="end")
        Yield(value=n.collect(rounds.result("sum")), place="all")

    job = run(session, build)
    assert sorted(job.results("end")) == [22, 23]
    assert job.results("all") == [[22, 23]]
    assert frames(job, "large") == [[0, 0, 1], [0, 0, 2], [0, 1, 1], [0, 1, 2]]


def test_a_round_that_fails_is_the_last_one(session, fed):
    def build():
        with Repeat(start={"n": 0}, at_most=9) as rounds:
            bad = fed.Fail(value=rounds["n"], site="east")
            Yield(value=fed.Add(a=rounds["n"], b=7, site="west"), place="beside")
            rounds.next(n=bad)
        Yield(value=rounds.result("n"), place="end")
        Yield(value=rounds.collect(bad, errors="skip"), place="all")

    job = run(session, build)
    assert job.results("beside") == [7]
    assert isinstance(job.results("end")[0], ErrorToken)
    assert job.results("all") == [[]]
    assert [error.message for token in job.errors for error in token.errors] == ["no luck with 0"]


def test_rounds_that_cannot_begin_are_told_once(session, fed):
    def build():
        with Repeat(start={"n": fed.Fail(value=1, site="east")}, at_most=9) as rounds:
            more = fed.Add(a=rounds["n"], b=1, site="west")
            Yield(value=more, place="each")
            rounds.next(n=more)
        Yield(value=rounds.count, place="count")

    job = run(session, build)
    assert frames(job, "each") == [[0]]
    assert all(isinstance(job.results(place)[0], ErrorToken) for place in ("each", "count"))
    assert len(job.errors) == 1


def test_a_lost_site_ends_the_rounds_that_need_it(fed):
    def build():
        with Repeat(start={"n": 1}, at_most=9) as rounds:
            rounds.next(n=fed.Add(a=rounds["n"], b=1, site="west"))
            rounds.until(fed.Add(a=rounds["n"], b=1, site="east") > 100)
        Yield(value=rounds.result("n"))

    with Federation("small", homesite="home") as federation:
        federation.session.prepare(written(build))
        federation.lose("west")
        job = run(federation.session, build)
        assert isinstance(job.results("yield")[0], ErrorToken)
        assert {error.site for token in job.errors for error in token.errors} == {"west"}


def test_what_cannot_be_written_is_refused_with_both_lines(fed):
    def no_next():
        with Repeat(start={"n": 1}, at_most=9):
            fed.Add(a=1, site="east")

    def later_round():
        with Repeat(start={"n": 1}, at_most=9) as rounds:
            rounds.next(n=2)
            rounds.until(rounds.result("n") > 3)

    def after_the_body():
        with Repeat(start={"n": 1}, at_most=9) as rounds:
            rounds.next(n=2)
        fed.Echo(value=rounds["n"], site="east")

    def twice():
        with Repeat(start={"n": 1}, at_most=9) as rounds:
            rounds.next(n=2)
            rounds.next(n=3)

    def in_a_block():
        with Repeat(start={"n": 1}, at_most=9) as rounds, If(cond=fed.Add(a=1, site="east") > 1):
            rounds.next(n=2)

    def out_of_its_body():
        with Repeat(start={"n": 1}, at_most=9) as rounds:
            more = fed.Add(a=rounds["n"], site="east")
            rounds.next(n=more)
        fed.Echo(value=more, site="east")

    for build, said in [
        (no_next, "does not say what the next round begins with; call its next(…) there"),
        (later_round, "is there after its body; in it, rounds[…] is what the current round begins with"),
        (after_the_body, "has a current round only in its body; after it, result('n')"),
        (twice, "has its next() already, at"),
        (in_a_block, "is called outside of its body, or in a block inside it"),
        (out_of_its_body, "outside of that body; what is given to its next(…) can be had after it, as its result(…)"),
    ]:
        told = refusal(build)
        assert said in told
        assert told.count(HERE) >= 2, told

    def misspelt():
        with Repeat(start={"weights": 1}, at_most=9) as rounds:
            rounds.next(weight=2)

    assert "carries nothing called 'weight'; did you mean 'weights'?" in refusal(misspelt)
    told = refusal(lambda: Repeat(start={"n": 1}))  # pyright: ignore
    assert told.startswith(f"{HERE}:") and "'at_most'; it takes start, at_most, dfm_after=None" in told
    assert "from 1 to 65536, not 0" in refusal(lambda: Repeat(start={"n": 1}, at_most=0))
    assert "not {}" in refusal(lambda: Repeat(start={}, at_most=1))
