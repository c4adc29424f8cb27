"""Does the body of an EachSite run at each site that offers what it asks, and is it told who is missing?"""
# pyright: basic, reportMissingImports=false

import json
import re

import pytest
from dfm import _native
from dfm.api import BestOf, EachSite, Equal, ErrorToken, ForEach, If, Pipeline, PlaceParam, Repeat, Yield
from dfm.errors import JobError, PipelineError, PlanError
from dfm.session import JobStatus
from dfm.testing import Federation
from written import refusal, run, written

pytestmark = pytest.mark.timeout(60)
HERE = __file__


@pytest.fixture(scope="module")
def session(shared):
    return shared


def test_a_body_runs_at_each_site_that_offers_all_of_it(session, fed):
    def build():
        offset = fed.Add(a=9, b=1, site="west")
        with EachSite(offers=[fed.Echo, fed.Total]) as here:
            one = fed.Add(site=here, a=PlaceParam("n"), b=offset)
            two = fed.Echo(site=here, value=[one, "x"])
        Yield(value=here.collect(two), place="all")
        Yield(value=here.missing(two), place="missing")
        Yield(value=fed.Echo(value=[here.collect(two.fieldref(0))], site="east"), place="sent")

    job = run(session, build, {"n": 5})
    assert job.results("all") == [{site: [15, "x"] for site in ("home", "server", "east", "west")}]
    assert list(job.results("all")[0]) == ["home", "server", "east", "west"], "in the configuration's order"
    assert job.results("missing") == [[]]
    assert job.results("sent") == [[{site: 15 for site in ("home", "server", "east", "west")}]]
    assert job.get_status() is JobStatus.FINISHED


def test_only_sites_that_offer_it_are_asked_and_explained(session, fed):
    def build():
        with EachSite(offers=[fed.AddOnThread, "work.Ask"]) as here:
            n = fed.Add(site=here, a=1)
        Yield(value=here.collect(n))

    prepared = session.prepare(written(build))
    told = prepared.explain()
    assert "the body of this EachSite runs at 1 site: east" in told
    assert "'1@east'  work.Add at east: an EachSite runs it at each of its sites" in told
    assert run(session, build).results("yield") == [{"east": 2}]


def test_a_saved_plan_runs_at_the_same_sites(session, fed, tmp_path):
    def build():
        with EachSite(offers=[fed.AddOnThread]) as here:
            n = fed.Add(site=here, a=1)
        Yield(value=here.collect(n))

    session.prepare(written(build)).save_to_file(tmp_path / "plan.json")
    saved = Pipeline.load_from_file(tmp_path / "plan.json")
    assert saved.model_dump()["statements"][0]["sites"] == ["home", "server", "east"]
    assert session.run(saved) == {"yield": [{"home": 2, "server": 2, "east": 2}]}


def at_three(fed, **options):
    """Adds at three sites."""
    with EachSite(sites=["home", "east", "west"], **options) as here:
        ten = fed.Echo(site=here, value=10)
        sums = fed.Add(site=here, a=1, b=ten)
    return here, sums


def test_a_lost_site_fails_the_whole_unless_fewer_suffice(fed):
    for options, expected in [
        ({}, ErrorToken),
        ({"at_least": 3}, ErrorToken),
        ({"at_least": 2}, {"home": 11, "east": 11}),
        ({"errors": "skip"}, {"home": 11, "east": 11}),
    ]:
        with Federation("small", homesite="home") as federation:

            def build(options=options):
                here, sums = at_three(fed, **options)
                Yield(value=here.collect(sums), place="all")
                Yield(value=here.missing(sums), place="missing")

            federation.session.prepare(written(build))
            federation.lose("west")
            job = run(federation.session, build)
            (told,) = (token.data for token in job.tokens("all"))
            assert isinstance(told, expected) if expected is ErrorToken else told == expected
            assert job.results("missing") == [["west"]]
            assert [error.site for token in job.errors for error in token.errors] == ["west"]


def test_a_run_does_without_what_an_each_site_leaves_out_and_nothing_else(session, fed):
    def build(at_least, also=False):
        with EachSite(sites=["home", "east"], errors="skip") as here:
            one = fed.Fail(site=here, value=1)
        with EachSite(sites=["home", "east"], at_least=at_least) as there:
            two = fed.Fail(site=there, value=2)
        if also:
            fed.Fail(site="home", value=3)
        Yield(value=here.collect(one), place="some")
        Yield(value=[here.missing(one), there.missing(two)], place="missing")

    gone = ["home", "east"]
    assert session.run(written(lambda: build(1))) == {"some": [{}], "missing": [[gone, gone]]}
    with pytest.raises(JobError, match="2"):
        session.run(written(lambda: build(None)))
    with pytest.raises(JobError, match="3"):
        session.run(written(lambda: build(1, also=True)))


def test_a_run_fails_where_a_yield_says_so(session, fed):
    def build():
        with EachSite(sites=["home", "east"], at_least=1) as here:
            one = fed.Fail(site=here, value=1)
        Yield(value=here.collect(one))

    with pytest.raises(JobError):
        session.run(written(build))


def test_an_error_stands_where_it_is_kept(session, fed):
    def build():
        with EachSite(sites=["home", "east"], errors="keep") as here:
            with ForEach(seq=[1, 2]) as n:
                one = fed.Fail(site=here, value=n)
            bad = fed.Echo(site=here, value=n.collect(one))
        Yield(value=here.collect(bad))

    job = run(session, build)
    (kept,) = job.results("yield")
    assert list(kept) == ["home", "east"]
    assert all(isinstance(one, ErrorToken) and len(one.errors) == 2 for one in kept.values())
    errors = [error for token in job.errors for error in token.errors]
    assert {error.site for error in errors} == {"home", "east"}
    assert {error.line for error in errors} == {"the pipeline's JSON: statement 2"}, "of what it is a copy of"


def test_it_stands_in_loops_and_branches_and_has_them_in_its_body(session, fed):
    def build():
        with ForEach(seq=[1, 2]) as n:
            with EachSite(sites=["home", "west"], errors="skip") as here, If(cond=Equal(n, 1)):
                one = fed.Add(site=here, a=n, b=10)
            Yield(value=here.collect(one), place="each")

    assert run(session, build).results("each") == [{"home": 11, "west": 11}, {}]


def planned(session, build) -> str:
    """What is told of it, with the lines here."""
    with Pipeline() as pipeline:
        build()
    with pytest.raises(PlanError) as caught:
        session.prepare(pipeline)
    return str(caught.value)


def test_sites_that_do_not_fit_are_told_when_it_is_planned(session, fed):
    def nobody():
        with EachSite(offers=[fed.Fork, fed.Die]) as here:
            n = fed.Add(site=here, a=1)
        Yield(value=here.collect(n))

    told = planned(session, nobody)
    assert "no site offers all that it asks for: 'work.Fork', 'work.Die', 'work.Add'" in told
    assert "'work.Fork' is offered by home, server, east; 'work.Die' is offered by west" in told
    asks = r"\n  .*test_each_site.py:\d+: asks for 'work.{}'\n"
    assert re.search(asks.format("Add"), told) and told.count(HERE) == 2, told

    def too_few():
        with EachSite(offers=[fed.AddOnThread], at_least=4) as here:
            n = fed.Add(site=here, a=1)
        Yield(value=here.collect(n))

    told = planned(session, too_few)
    assert "only home, server, east offer all that it asks for, and it needs at least 4 sites: 'work.AddO" in told
    assert re.search(asks.format("Add"), told), told

    def lacks():
        with EachSite(sites=["west", "east"]) as here:
            n = fed.AddOnThread(site=here, a=1)
        Yield(value=here.collect(n))

    told = planned(session, lacks)
    assert "'west', one of its sites, does not offer 'work.AddOnThread'" in told
    assert re.search(asks.format("AddOnThread"), told), told

    def parameters():
        with EachSite(sites=["east", "west"]) as here:
            n = fed.Report(site=here, city="Oslo", month="May")
        Yield(value=here.collect(n))

    document = written(parameters).model_dump()
    document["statements"][1]["arguments"]["language"] = {"literal": "no"}
    with pytest.raises(ValueError, match="the sites need other parameters") as caught:
        _native.plan(session._fed_info, json.dumps(document), "home", None)
    (problem,) = json.loads(str(caught.value))["problems"]
    assert "for 'work.Report': 'west' does not take 'language'" in problem["message"]
    assert (problem["node"], problem["also"]) == (1, [{"node": 0, "message": "its sites are found here"}])


def test_what_an_each_site_does_not_take_is_told_with_what_it_takes(fed):
    def collected(**more):
        with EachSite() as here:
            n = fed.Add(site=here, a=1)
        here.collect(n, **more)

    for build, said in [
        (
            lambda: collected(errors="skip"),
            "unexpected keyword argument 'errors'; it takes node; `errors` is what EachSite(errors=…) takes",
        ),
        (lambda: EachSite(error="skip"), "unexpected keyword argument 'error'"),  # pyright: ignore[reportCallIssue]
        (
            lambda: EachSite(error="skip"),  # pyright: ignore[reportCallIssue]
            "it takes offers=(), sites=None, at_least=None, errors='fail', dfm_after=None",
        ),
    ]:
        told = refusal(build)
        assert said in told and told.startswith(f"{HERE}:"), told


def test_what_cannot_be_written_is_refused_with_both_lines(fed):
    def out_of_block():
        with EachSite() as here:
            n = fed.Add(site=here, a=1)
        fed.Echo(value=n, site="home")

    def placed_outside():
        with EachSite() as here:
            fed.Add(site=here, a=1)
        fed.Echo(value=1, site=here)

    def nested():
        with EachSite(), EachSite():
            pass

    def yields():
        with EachSite() as here:
            Yield(value=fed.Add(site=here, a=1))

    def no_site():
        with EachSite():
            fed.Add(a=1, site=BestOf())

    def inside():
        with EachSite() as here:
            here.collect(fed.Add(site=here, a=1))

    def not_its_own():
        with EachSite() as here:
            fed.Add(site=here, a=1)
        here.collect(fed.Add(a=1, site="home"))

    def a_value():
        with EachSite() as here:
            fed.Add(site=here, a=1)
        fed.Echo(value=[1, {"x": here}], site="home")

    def a_sequence():
        with EachSite() as here:
            fed.Add(site=here, a=1)
        with ForEach(seq=here):  # pyright: ignore
            pass

    def a_branch():
        with If(cond=Equal(1, 1)) as test:
            pass
        Yield(value=test)

    for build, said in [
        (a_value, "work.Echo: value is or contains the EachSite made at"),
        (a_sequence, "ForEach: seq is or contains the EachSite made at"),
        (a_branch, "Yield: value is or contains the If made at"),
        (out_of_block, "outside of that body; its collect(node) puts its results together"),
        (placed_outside, "its site is that of the EachSite made at"),
        (nested, "stands in the body of another one, made at"),
        (yields, "would not say which site it is of"),
        (no_site, "says no site; place it by that, site=here"),
        (inside, "is called inside the body of the EachSite made at"),
        (not_its_own, "is not made once at each site of the EachSite made at"),
    ]:
        told = refusal(build)
        assert said in told
        assert told.count(HERE) == 2 or told.count(HERE) == 3, told
    assert "at_least=3, but sites names only 2" in refusal(lambda: EachSite(sites=["a", "b"], at_least=3))
    assert "1 or more, not 0" in refusal(lambda: EachSite(at_least=0))


def test_parts_of_an_aggregation_meet_where_a_saved_plan_says_so(session, fed, tmp_path):
    def build():
        with Repeat(start={"n": 1}, at_most=3) as rounds:
            with EachSite(sites=["home", "server", "east", "west"]) as here:
                one = fed.Add(site=here, a=rounds["n"], b=1)
            sums = fed.Sum(site="server", parts=here.collect(one))
            rounds.next(n=sums)
        Yield(value=rounds.result("n"))

    assert "its parts go straight to it" in session.prepare(written(build)).explain()
    saved = tmp_path / "plan.json"
    session.prepare(written(build)).save_to_file(saved)
    document = json.loads(saved.read_text())
    (sums,) = (one for one in document["statements"] if one.get("operation") == "work.Sum")
    assert sums["meets"] == [], "the plan leaves nothing open"
    sums["meets"] = [{"site": "east", "of": ["east", "west"]}]
    saved.write_text(json.dumps(document))
    pipeline = Pipeline.load_from_file(saved)
    assert [one.get("meets") for one in pipeline.model_dump()["statements"]].count(sums["meets"]) == 1
    told = session.prepare(pipeline).explain()
    assert "its parts are put together on their way: east, west at east" in told
    assert "work.Sum at east: parts of an aggregation meet here on their way" in told
    assert session.run(pipeline) == session.run(written(build)) == {"yield": [148]}

    sums["meets"] = [{"site": "east"}]
    with pytest.raises(PipelineError, match="where parts meet"):
        Pipeline.model_validate_json(json.dumps(document))
    sums["meets"] = [{"site": "west", "of": ["east", "home"]}]
    with pytest.raises(PlanError, match="that of west is not among them"):
        session.prepare(Pipeline.model_validate_json(json.dumps(document)))


def test_an_error_on_the_way_is_told_once_with_the_line_of_the_aggregation(session, fed):
    def build():
        with EachSite(sites=["home", "east", "west"]) as here:
            word = fed.Echo(site=here, value="no number")
        Yield(value=fed.Sum(site="server", parts=here.collect(word)))

    document = written(build).model_dump()
    (at,) = (n for n, one in enumerate(document["statements"]) if one.get("operation") == "work.Sum")
    document["statements"][at]["meets"] = [{"site": "east", "of": ["east", "west"]}]
    job = session.execute(Pipeline.model_validate_json(json.dumps(document)), {})
    assert job.wait_until_finished(30)
    (error,) = (error for token in job.errors for error in token.errors)
    assert (error.site, error.type) == ("east", "TypeError")
    assert error.line == f"the pipeline's JSON: statement {at}"
