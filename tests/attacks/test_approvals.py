"""Does what a site's policy wants a person to approve wait for that, and for nothing else than what they have seen?"""
# pyright: basic, reportMissingImports=false

import dataclasses
import json
import os
import stat
import subprocess
import threading

import flare_federation
import pytest
from dfm._command.audit import verify
from dfm._command.drawing import drawn
from dfm.api import ErrorToken, Pipeline, PlaceParam, Yield
from dfm.exec import _approvals
from dfm.exec._approvals import decide, decisions, requests, today
from dfm.exec._given import encoded
from dfm.flare._identity import read_credentials
from dfm.session import Asking
from dfm.testing import Asker, Federation
from eventually import until
from hypothesis import example, given, settings
from hypothesis import strategies as st

ADA = Asker("ada@u.example", "university", "lead")
POLICY = """default: allow
rules:
  people: {decision: ask, operations: [work.Echo], parameters: {value: {maximum: 100}}}
"""
FOREVER = "9999-12-31"


def echo(fed, more=0, name=None):
    with Pipeline(name=name) as pipeline:
        found = fed.Echo(value=PlaceParam(place="v"), site="east")
        Yield(value=fed.Add(a=found, b=more, site="east") if more else found)
    return pipeline


@pytest.fixture
def site(small, tmp_path, fed):
    """The folder of a site's policy that wants a person to approve small values."""
    (tmp_path / "policy.yaml").write_text(f"{POLICY}audit: {{folder: log}}\n")
    return tmp_path


def opened(site, asker=ADA, homesite="home"):
    return Federation("small", homesite=homesite, policies={"east": site / "policy.yaml"}, asker=asker)


def found(look):
    """What `look` finds, once it finds something."""
    last = []

    def is_there():
        last[:] = [look()]
        return last[0]

    until(is_there)
    return last[0]


def waiting(site):
    return [one for one in requests(site / "requests") if not one["decided"]]


def approve(site, like_this=False, day=FOREVER, approved=True, why=""):
    (request,) = found(lambda: waiting(site))
    return decide(site / "requests", request, approved, day, like_this, why)


def ended(job):
    assert job.wait_until_finished(30)
    values = [value for value in job.results() if not isinstance(value, ErrorToken)]
    return values, [error.message for token in job.errors for error in token.errors]


def test_a_call_waits_until_a_person_approves_it_and_the_application_is_told(site, fed, caplog):
    with opened(site) as running:
        assert ended(running.session.execute(echo(fed), {"v": 101})) == ([101], []), "no rule is about it"
        caplog.set_level("INFO", "dfm.testing")
        job = running.session.execute(echo(fed, name="for the study"), {"v": 5})
        (request,) = found(lambda: waiting(site))
        (asking,) = found(lambda: [one for one in job.waiting() if isinstance(one, Asking)])
        assert asking.request == request["request"] and "waits for a person there to approve" in str(asking)
        assert (request["user"], request["name"], request["given"]) == (ADA.user, "for the study", '{"value":5}')
        approve(site)
        assert ended(job) == ([5], [])
        assert "site 'east' waits for a person to approve 'work.Echo'" in caplog.text
        assert ended(running.session.execute(echo(fed, name="another name"), {"v": 5})) == ([5], [])
    with opened(site) as running:
        assert ended(running.session.execute(echo(fed), {"v": 5})) == ([5], []), "it outlasts the site's process"
    seen = [json.loads(line) for line in (site / "log" / "log.jsonl").read_text().splitlines()]
    told = [one["what"] for one in seen if one.get("request") == request["request"]]
    assert told == ["asked", "approved", "approved", "approved"]


def test_what_was_approved_is_one_question_of_one_user_in_one_pipeline(site, fed):
    with opened(site) as running:
        job = running.session.execute(echo(fed), {"v": 5})
        approve(site)
        ended(job)
        jobs = [running.session.execute(echo(fed), {"v": 6}), running.session.execute(echo(fed, more=1), {"v": 5})]
        until(lambda: len(waiting(site)) == 2)
        for job in jobs:
            job.cancel()
    with opened(site, dataclasses.replace(ADA, user="eve@u.example")) as running:
        job = running.session.execute(echo(fed), {"v": 5})
        until(lambda: len(waiting(site)) == 3)
        job.cancel()
    assert {one["user"] for one in waiting(site)} == {ADA.user, "eve@u.example"}


class Cohort:
    """What one step at a site hands to the next, and nobody else can look into, such as a cursor."""

    def __init__(self, where):
        self.where, self.lock = where, threading.Lock()


def test_what_nobody_can_tell_from_other_data_is_not_asked_about(site, fed, monkeypatch):
    async def chosen_or_told(self, value):
        return value.where if isinstance(value, Cohort) else Cohort(value)

    monkeypatch.setattr("small.adapters.Echo.body", chosen_or_told)
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=fed.Echo(value=PlaceParam(place="v"), site="east"), site="east"))
    with opened(site) as running:
        results, (message,) = ended(running.session.execute(pipeline, {"v": 140}))
        assert results == [] and "its rule 'people' wants a person to approve it" in message
        assert "nobody can tell what its parameter 'value' is" in message
        assert requests(site / "requests") == []
        (site / "policy.yaml").write_text("default: allow\nper-day: {questions: 5}\naudit: {folder: log}\n")
        told = [ended(running.session.execute(pipeline, {"v": 140})) for _ in range(5)]
    assert told[:4] == [([140], [])] * 4, "its number is one question, and each cohort another one"
    assert "`per-day.questions` of its policy is 5" in told[4][1][0]


def test_what_was_to_go_to_a_site_does_not_go_to_an_application_that_calls_itself_that_site(site, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=fed.Echo(value=5, site="east"), site="west"))
    with opened(site) as running:
        job = running.session.execute(pipeline, {})
        (request,) = found(lambda: waiting(site))
        assert '→ site "west": result of 0' in "\n".join(drawn(request["net"], request["homesite"]))
        approve(site)
        assert ended(job) == ([5], [])
    with opened(site, homesite="west") as running:
        job = running.session.execute(pipeline, {})
        (request,) = found(lambda: waiting(site))
        assert '→ the application at site "west": result of 0' in "\n".join(drawn(request["net"], request["homesite"]))
        job.cancel()


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["$", "1", "tuple", "dict"]),
    lambda of: (
        st.lists(of, max_size=2)
        | st.tuples(of)
        | st.frozensets(st.integers(0, 2), max_size=2)
        | st.dictionaries(st.sampled_from(["$", "items", "sha256", "1", 1, None, (1,)]), of, max_size=2)
    ),
    max_leaves=4,
)


def typed(value):
    """A value as one that equals another one of the same types alone."""
    if isinstance(value, dict):
        return "dictionary", frozenset((typed(key), typed(one)) for key, one in value.items())
    if isinstance(value, list | tuple):
        return type(value), tuple(map(typed, value))
    return type(value), repr(value) if isinstance(value, float) else value


@given(PLAIN, PLAIN)
@settings(max_examples=500, deadline=None)
@example({1: "a"}, {"1": "a"})
@example([1], (1,))
@example((1,), {"$": "tuple", "items": [1]})
@example({1: "a"}, {"$": "dict", "items": [[1, "a"]]})
@example({1: 2, "a": 3}, {"a": 3, 1: 2})
@example(True, 1)
def test_other_parameters_are_never_written_alike(one, other):
    told, others = encoded({"x": one}), encoded({"x": other})
    assert (told.text == others.text) is (typed(one) == typed(other))
    assert told.unknown == [] and json.loads(told.text)


def test_a_text_of_a_type_of_its_own_is_not_taken_for_the_text():
    class Filter(str):
        __slots__ = ("more",)

    plain, hidden = encoded({"x": "age"}), encoded({"x": [Filter("age")], "y": 1})
    assert plain.unknown == [] and hidden.unknown == ["x"]
    assert encoded({"x": [Filter("age")], "y": 1}) != hidden, "nobody can tell whether it is the same"
    stand_in = json.loads(encoded({"x": b"age"}).text)["x"]
    assert encoded({"x": stand_in}) != encoded({"x": b"age"}), "what stands for a value is not to be had as a value"
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert json.loads(encoded({"x": deep}).text)["x"]["$"] == "builtins.list"
    many = [0] * 5000
    assert json.loads(encoded({"x": many}).text)["x"]["$"] == "builtins.list", "nobody reads so many"
    assert encoded({"x": many}) == encoded({"x": list(many)}) != encoded({"x": [*many[1:], False]})
    assert encoded({"x": many}) != encoded({"x": tuple(many)})


def test_what_is_like_it_is_what_the_rule_was_about(site, fed):
    with opened(site) as running:
        job = running.session.execute(echo(fed), [{"v": 5}])
        approve(site, like_this=True)
        assert ended(job) == ([5], [])
        assert ended(running.session.execute(echo(fed), [{"v": 6}, {"v": -7}])) == ([6, -7], [])
        # A wider rule asks of more than the person has seen.
        (site / "policy.yaml").write_text(POLICY.replace("100", "1000"))
        job = running.session.execute(echo(fed), {"v": 500})
        until(lambda: waiting(site))
        job.cancel()


def test_who_is_denied_or_waits_too_long_is_refused(site, fed):
    with opened(site) as running:
        job = running.session.execute(echo(fed), {"v": 5})
        denied = approve(site, approved=False, why="not without a contract")
        _, (message,) = ended(job)
        assert f"its request {denied.request} was denied: not without a contract" in message
        _, (message,) = ended(running.session.execute(echo(fed), {"v": 5}))
        assert "was denied" in message
        with Pipeline() as hurried:
            Yield(value=fed.Echo(value=6, site="east", timeout=1))
        _, (message,) = ended(running.session.execute(hurried))
        assert "nobody at site 'east' has decided of the request" in message and "within 1 s" in message


def test_what_was_decided_ends_with_its_day(site, fed):
    with opened(site) as running:
        job = running.session.execute(echo(fed), {"v": 5})
        approve(site, day="2020-01-01")
        until(lambda: decisions(site / "requests"))
        until(lambda: waiting(site))
        assert not job.wait_until_finished(0)
        approve(site, day=today())
        assert ended(job) == ([5], [])


def test_nobody_fills_the_folder(site, fed, monkeypatch):
    monkeypatch.setattr(_approvals, "MOST_OF_A_USER", 3)
    monkeypatch.setattr(_approvals, "MOST", 4)
    with opened(site) as running:
        job = running.session.execute(echo(fed), [{"v": number} for number in range(20)])
        until(lambda: len(job.errors) == 17)
        assert len(waiting(site)) == 3
        assert all("3 requests of this user wait already" in str(token.errors[0].message) for token in job.errors)
        same = running.session.execute(echo(fed), [{"v": 0}] * 20)
        until(lambda: any(isinstance(one, Asking) for one in same.waiting()))
        assert len(waiting(site)) == 3, "the same question is the same request"
        same.cancel()
        job.cancel()
    with opened(site, dataclasses.replace(ADA, user="eve@u.example")) as running:
        job = running.session.execute(echo(fed), [{"v": number} for number in range(5)])
        until(lambda: len(job.errors) == 4)
        job.cancel()
    monkeypatch.setattr(_approvals, "LONGEST", 100)
    with opened(site, dataclasses.replace(ADA, user="bob@u.example")) as running:
        _, (message,) = ended(running.session.execute(echo(fed), {"v": 5}))
        assert "nobody reads a pipeline or parameters of more than 100 characters" in message
    assert len(waiting(site)) == 4


def test_what_others_have_put_there_is_no_decision(site, fed):
    with opened(site) as running:
        job = running.session.execute(echo(fed), {"v": 5})
        (request,) = found(lambda: waiting(site))
        folder = site / "requests"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        real = folder / f"{request['request']}.decision"
        approve(site)
        forged = real.read_bytes()
        ended(job)
        real.unlink()
        (site / "elsewhere").write_bytes(forged)
        for make in (
            lambda: real.symlink_to(site / "elsewhere"),
            lambda: (real.write_bytes(forged), real.chmod(0o666)),
            lambda: real.write_text('{"approve": true}'),
            lambda: real.write_text("[" * 100_000),
            lambda: (folder / "..decision").write_bytes(forged),
        ):
            real.unlink(missing_ok=True)
            make()
            assert decisions(folder) == []
        again = running.session.execute(echo(fed), {"v": 5})
        until(lambda: any(isinstance(one, Asking) for one in again.waiting()))
        again.cancel()


def test_the_sites_admin_sees_what_is_asked_and_decides(site, fed, command):
    def dfm(*words):
        return subprocess.run([command, *words], capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})

    kit = str(site)
    assert "nothing waits" in dfm("site", "requests", "list", kit).stderr
    for nowhere in (site / "none", site.parent):
        done = dfm("site", "requests", "list", str(nowhere))
        assert (done.returncode, "is no site's startup kit" in done.stderr) == (2, True), "no site would ask there"
    with opened(site) as running:
        job = running.session.execute(echo(fed, more=2, name="study\x1b[2J"), {"v": 5})
        (request,) = found(lambda: waiting(site))
        name = request["request"]
        listed = dfm("site", "requests", "list", kit).stdout
        assert listed.startswith(name) and ADA.user in listed and "\x1b" not in listed
        shown = dfm("site", "requests", "show", kit, name[:6]).stdout
        assert 'work.Echo(value=parameter "v")' in shown and "work.Add(a=result of" in shown and "\x1b" not in shown
        assert 'site "home": result of' in shown and '{"value":5}' in shown
        for words in (("show", "../policy"), ("approve", "zz"), ("approve", name, "--until", "2020-01-01")):
            assert dfm("site", "requests", words[0], kit, *words[1:]).returncode == 2
        done = dfm("site", "requests", "approve", kit, name, "--until", FOREVER)
        assert done.returncode == 0 and f"{name} is approved until {FOREVER}" in done.stdout, done.stderr
        assert ended(job) == ([7], [])
    (told,) = json.loads(dfm("--json", "site", "requests", "list", kit).stdout)["requests"]
    assert (told["request"], told["approved"]) == (name, True)
    explained = dfm("site", "policy", "explain", str(site / "policy.yaml"), "work.Echo", "--user", ADA.user).stdout
    assert explained.startswith("rule `people` has a person asked to approve it if `value` is at most 100")


@pytest.mark.flare
def test_an_approval_in_a_sites_kit_is_of_the_user_that_its_certificate_names(federation, fed):
    kit = federation.kit("east")
    with federation.policy("east", f"{POLICY}audit: {{parameters: digest}}\n"):
        with flare_federation.opened(federation) as session:
            job = session.execute(echo(fed, name="study 12"), {"v": 5})
            (request,) = found(lambda: waiting(kit))
            assert (request["user"], request["organisation"]) == ("home@small.example", "university")
            federation.dfm("site", "requests", "approve", str(kit), request["request"])
            assert ended(job) == ([5], [])
        with flare_federation.opened(federation, admin_package=federation.kit("other@*")) as session:
            job = session.execute(echo(fed), {"v": 5})
            (request,) = found(lambda: waiting(kit))
            assert request["user"] == "other@small.example"
            federation.dfm("site", "requests", "deny", str(kit), request["request"], "--why", "not theirs")
            assert "was denied: not theirs" in ended(job)[1][0]
    assert stat.S_IMODE((kit / "requests").stat().st_mode) == 0o700
    assert verify(kit / "audit", read_credentials(kit)).faults == []
