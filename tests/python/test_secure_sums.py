"""Do sites add up what they have, and does nobody see what one of them has?"""
# pyright: basic, reportMissingImports=false

import numpy as np
import pytest
from dfm.api import (
    EachSite,
    ErrorToken,
    ForEach,
    If,
    Pipeline,
    PlaceParam,
    Repeat,
    SecureMean,
    SecureSum,
    TryFromCache,
    Yield,
)
from dfm.errors import JobError, PipelineError, PlanError
from dfm.session import JobStatus
from dfm.testing import Federation
from written import run, written

pytestmark = pytest.mark.timeout(60)
SITES = ["home", "server", "east", "west"]


@pytest.fixture(scope="module")
def session(shared):
    return shared


def at_each(fed, value, **options):
    """Has a value at four sites."""
    with EachSite(sites=SITES, **options) as here:
        found = fed.Echo(site=here, value=value)
    return here, found


def test_numbers_arrays_and_dictionaries_are_added(session, fed):
    value = {"n": 3, "mean": {"x": 0.25, "y": -1e5}, "counts": np.arange(6).reshape(2, 3), "w": np.array([0.1, 7.0])}

    def build():
        here, found = at_each(fed, PlaceParam("value"))
        Yield(value=SecureSum(here, found, bound=1e6), place="sum")
        Yield(value=SecureMean(here, found, bound=1e6), place="mean")
        Yield(value=SecureSum(here, found["n"], bound=10), place="part")
        total = SecureSum(here, found["mean"], bound=1e6, precision=1e-3)
        Yield(value=fed.Echo(site="east", value=total["x"]), place="used")

    job = run(session, build, {"value": value})
    assert not job.errors and job.get_status() is JobStatus.FINISHED
    (total,), (mean,) = job.results("sum"), job.results("mean")
    assert total["n"] == 12 and type(total["n"]) is int
    assert total["mean"] == {"x": pytest.approx(1, abs=1e-6), "y": pytest.approx(-4e5, abs=1e-6)}
    assert total["counts"].dtype == "int64" and (total["counts"] == 4 * value["counts"]).all()
    assert np.allclose(total["w"], [0.4, 28], atol=1e-6, rtol=0)
    assert np.allclose(mean["counts"], value["counts"], atol=1e-6) and mean["n"] == 3.0
    assert job.results("part") == [12]
    assert job.results("used") == [pytest.approx(1, abs=1e-3)]


def test_a_loop_has_a_sum_in_each_of_its_frames(session, fed):
    def build():
        with ForEach(seq=[1, 2.5, -3]) as number:
            here, found = at_each(fed, number)
            total = SecureSum(here, found, bound=10)
        Yield(value=number.collect(total))

    assert run(session, build).results("yield") == [[4, 10.0, -12]]


def test_what_rounds_leave_is_added(session, fed):
    def build():
        with EachSite(sites=SITES) as here:
            with Repeat(start={"w": 0, "both": {"n": 1}}, at_most=3) as rounds:
                more = fed.Add(site=here, a=rounds["w"], b=1)
                rounds.next(w=more, both={"n": more})
            w, n = rounds.result("w"), rounds.result("both")["n"]
        Yield(value=SecureSum(here, w, bound=100))
        Yield(value=SecureSum(here, n, bound=100), place="nested")

    job = run(session, build)
    assert not job.errors and job.results("yield") == [12] and job.results("nested") == [12]


def test_what_no_operation_of_the_site_has_made_is_refused_before_anything_runs(session, fed):
    """Sites would refuse it."""

    def cached(here):
        with TryFromCache(key="k") as kept:
            kept.cache(fed.Echo(site=here, value=1))
        return kept

    def of_another(here):
        return fed.Add(site="server", a=fed.Echo(site=here, value=1), b=1)

    def rounds(take):
        def build(here):
            with Repeat(start={"w": 0, "same": 5}, at_most=3) as rounds:
                rounds.next(w=fed.Add(site=here, a=rounds["w"], b=1), same=rounds["same"])
            return take(rounds)

        return build

    count, start = rounds(lambda rounds: rounds.count), rounds(lambda rounds: rounds.result("same"))
    for make in (cached, of_another, count, start):

        def build(make=make, wanted=lambda here, value: value):
            with EachSite(sites=SITES) as here:
                value = wanted(here, make(here))
            Yield(value=SecureSum(here, value, bound=10))

        with pytest.raises(PlanError, match="adds a value that no operation of that site has made") as caught:
            session.prepare(written(build))
        (problem,) = caught.value.problems
        assert problem["code"] == "plan-secure-sum" and "statement " in str(caught.value)
        assert "pass it through an operation of the site first" in str(problem["help"])
        as_it_says = written(lambda build=build: build(wanted=lambda here, value: fed.Echo(site=here, value=value)))
        assert len(session.run(as_it_says)["yield"]) == 1


def test_what_a_site_has_not_is_not_in_the_sum(session, fed):
    def build():
        with EachSite(sites=SITES, at_least=3) as here:
            one = fed.Echo(site=here, value=5)
            with If(cond=PlaceParam("so")):
                two = fed.Add(site=here, a=one, b=1)
        Yield(value=SecureSum(here, two, bound=10))

    assert run(session, build, {"so": True}).results("yield") == [24]


def test_a_lost_site_costs_its_own_part_only(fed):
    for lost, expected in [(["west"], 33), (["west", "east"], None)]:
        with Federation("small", homesite="home") as federation:

            def build():
                with EachSite(sites=SITES, at_least=3) as here:
                    ten = fed.Echo(site=here, value=10)
                    sums = fed.Add(site=here, a=1, b=ten)
                Yield(value=SecureSum(here, sums, bound=100))
                Yield(value=SecureMean(here, sums, bound=100), place="mean")

            federation.session.prepare(written(build))
            for site in lost:
                federation.lose(site)
            job = run(federation.session, build)
            if expected is None:
                assert all(isinstance(token.data, ErrorToken) for token in job.tokens("yield"))
                continue
            assert job.results("yield") == [expected] and job.results("mean") == [11]
            assert [error.site for token in job.errors for error in token.errors] == lost


def fail(value):
    raise ValueError("no data")


def test_a_site_whose_operation_fails_is_left_out(fed):
    def build(at_least):
        here, found = at_each(fed, 2, at_least=at_least)
        Yield(value=SecureSum(here, found, bound=10))

    with Federation("small", homesite="home", fakes={"east": {"work.Echo": fail}}) as federation:
        job = run(federation.session, lambda: build(3))
        assert job.results("yield") == [6]
        assert [error.message for token in job.errors for error in token.errors] == ["no data"], "once, and alone"
        assert federation.session.run(written(lambda: build(3))) == {"yield": [6]}
        with pytest.raises(JobError, match="no data"):
            federation.session.run(written(lambda: build(None)))


@pytest.mark.parametrize(
    "value, told",
    [
        ("text", "builtins.str"),
        ([1, 2], "builtins.list"),
        (True, "builtins.bool"),
        ({"a": None}, "builtins.NoneType"),
        ({(1, 2): 3}, "neither texts nor whole numbers"),
        (np.array(["x"]), "numpy.ndarray"),
    ],
)
def test_what_is_no_number_is_refused_at_the_site(session, fed, value, told):
    def build():
        here, found = at_each(fed, PlaceParam("value"))
        Yield(value=SecureSum(here, found, bound=10))

    job = run(session, build, {"value": value})
    errors = [error for token in job.errors for error in token.errors]
    assert {error.site for error in errors} == set(SITES)
    assert all(error.type.endswith("RefusedError") and told in error.message for error in errors), errors


@pytest.mark.parametrize("value", [11.0, -(10**400), float("nan"), np.array([1.0, np.inf])])
def test_of_a_number_beyond_the_bound_nobody_is_told_whose_it_is(fed, value):
    def build():
        here, found = at_each(fed, PlaceParam("value"), at_least=3)
        Yield(value=SecureSum(here, found, bound=10))

    ones = np.ones(2) if isinstance(value, np.ndarray) else 1
    with Federation("small", homesite="home", fakes={"east": {"work.Echo": lambda value: ones}}) as federation:
        job = run(federation.session, build, {"value": value})
    (error,) = [error for token in job.errors for error in token.errors]
    assert error.site == "home" and "east" not in error.message
    assert "a number is none, or farther from 0 than bound=10 says that all are" in error.message


@pytest.mark.parametrize(
    "one, other", [({"a": 1}, {"b": 1}), (1, np.zeros(1)), (np.zeros(2), np.zeros((2, 1))), ({"a": {}}, {"a": 1})]
)
def test_sites_that_have_other_forms_have_no_sum(fed, one, other):
    def build():
        here, found = at_each(fed, PlaceParam("value"))
        Yield(value=SecureSum(here, found, bound=10))

    with Federation("small", homesite="home", fakes={"east": {"work.Echo": lambda value: other}}) as federation:
        job = run(federation.session, build, {"value": one})
        (error,) = [error for token in job.errors for error in token.errors]
        assert "at site 'east' it is of another kind, or has other keys or axes, than at 'home'" in error.message


def test_whole_numbers_and_others_are_others(fed):
    def build():
        here, found = at_each(fed, PlaceParam("value"))
        Yield(value=SecureSum(here, found, bound=10))

    with Federation("small", homesite="home", fakes={"east": {"work.Echo": lambda value: 0.5}}) as federation:
        assert run(federation.session, build, {"value": 1}).results("yield") == [3.5]


def test_terms_on_which_nothing_is_hidden_are_refused_before_anything_runs(session, fed):
    def refused(options, **terms):
        with pytest.raises(PlanError) as caught:
            session.prepare(written(lambda: Yield(value=SecureSum(*at_each(fed, 1, **options), **terms))))
        (problem,) = caught.value.problems
        assert problem["code"] == "plan-secure-sum"
        return str(caught.value)

    told = refused({"at_least": 2}, bound=10)
    assert "at_least=2 of 4 sites: more than half" in told and "statement 2:" in told
    assert "say EachSite(at_least=…)" in refused({"errors": "skip"}, bound=10)
    assert "too many digits" in refused({}, bound=1e12, precision=1e-9)


def test_where_it_is_written_wrongly_the_line_is_told(fed):
    def written_wrongly(**terms):
        with Pipeline():
            here, found = at_each(fed, 1)
            return SecureSum(here, found, **terms)

    with pytest.raises(PipelineError, match=r"test_secure_sums.py:\d+: SecureSum: bound takes a number above 0, not 0"):
        written_wrongly(bound=0)
    with pytest.raises(PipelineError, match="precision takes a number above 0, not inf"):
        written_wrongly(bound=1, precision=float("inf"))
    with Pipeline(), EachSite(sites=SITES) as here:
        found = fed.Echo(site=here, value=1)
        with pytest.raises(PipelineError, match="SecureMean is called inside the body"):
            SecureMean(here, found, bound=1)


def test_it_is_saved_and_read_back(session, fed, tmp_path):
    def build():
        here, found = at_each(fed, 2, at_least=3)
        Yield(value=SecureMean(here, found, bound=10, precision=0.5), place="mean")

    pipeline = written(build)
    again = Pipeline.model_validate_json(pipeline.model_dump_json())
    assert again.model_dump() == pipeline.model_dump()
    session.prepare(pipeline).save_to_file(tmp_path / "plan.json")
    assert session.run(Pipeline.load_from_file(tmp_path / "plan.json")) == {"mean": [2.0]}


@pytest.fixture
def policies(tmp_path):
    """A policy that lets nothing leave but for sums, at the sites east and west."""
    path = tmp_path / "policy.yaml"
    path.write_text(
        "leaves: {disclosures: [public], kinds: [text], never-columns: [name], sums: {at-least: 3}}\n"
        "audit: {folder: log}\n"
    )
    return {"east": path, "west": path}


def test_a_policy_lets_numbers_leave_for_sums_alone(fed, policies, tmp_path):
    def sums(value, at_least):
        here, found = at_each(fed, value, at_least=at_least)
        Yield(value=SecureSum(here, found, bound=10))

    def single(value):
        here, found = at_each(fed, value)
        Yield(value=here.collect(found))

    with Federation("small", homesite="home", policies=policies) as federation:
        assert run(federation.session, lambda: sums({"n": 2}, 3)).results("yield") == [{"n": 8}]
        for build, why in [
            (lambda: single({"n": 2}), "leaves.disclosures"),
            (lambda: sums({"name": 2}, None), "leaves.never-columns"),
        ]:
            errors = [error for token in run(federation.session, build).errors for error in token.errors]
            assert {error.site for error in errors} == {"east", "west"}
            assert all(why in error.message for error in errors), errors
    log = (tmp_path / "log" / "log.jsonl").read_text()
    assert '"what":"left","job":1,"to":"home","operation":"secure-sum.masked"' in log
    assert '"operation":"secure-sum.shares"' not in log


def test_a_policy_wants_a_sum_over_so_many_sites(fed, policies):
    def build():
        with EachSite(sites=["home", "east", "west"], at_least=2) as here:
            found = fed.Echo(site=here, value=1)
        Yield(value=SecureSum(here, found, bound=10))

    with Federation("small", homesite="home", policies=policies) as federation:
        errors = [error.message for token in run(federation.session, build).errors for error in token.errors]
        assert any("by `leaves.sums` of its policy, over 2 sites: it wants 3" in error for error in errors), errors


def test_where_one_site_that_deceives_suffices_sites_refuse_unless_their_policies_allow_it(fed, tmp_path, caplog):
    def build():
        with EachSite(sites=["server", "east", "west"], at_least=2) as here:
            found = fed.Echo(site=here, value=1)
        Yield(value=SecureSum(here, found, bound=10))

    path = tmp_path / "policy.yaml"
    for policies, results in [({}, []), (dict.fromkeys(["server", "east", "west"], path), [3])]:
        path.write_text("leaves: {sums: {at-least: 2, dishonest: 0}}\n")
        with Federation("small", homesite="home", policies=policies) as federation:
            told = "2 of 3 sites suffice: one of them that deceives could learn, with the application, what another one"
            assert told in federation.session.prepare(written(build)).explain()
            assert f"{told} adds; sites refuse that unless" in caplog.text and "say at_least=3" in caplog.text
            job = run(federation.session, build)
            assert [one for one in job.results("yield") if not isinstance(one, ErrorToken)] == results
            errors = [error for token in job.errors for error in token.errors]
            assert {error.site for error in errors} == (set() if results else {"server", "east", "west"})
            assert all("by `leaves.sums.dishonest` of its policy" in error.message for error in errors)
