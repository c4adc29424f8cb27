"""Does a site that its owner has given a policy keep to it, whatever an application asks for or says of itself?"""
# pyright: basic, reportMissingImports=false

import json

import pytest
from dfm._command.audit import verify
from dfm.api import Advise, ErrorToken, Pipeline, PlaceParam, StopToken, Yield
from dfm.api.discovery import ErrorFieldAdvice
from dfm.errors import SessionError
from eventually import until
from flare_federation import opened, written
from hostile import changed

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

from dfm.flare._identity import read_credentials  # noqa: E402

POLICY = """
default: deny
rules:
  small: {decision: allow, organisations: [university], operations: [work.Add], parameters: {a: {maximum: 5}}}
  looks: {decision: allow, operations: [work.Echo]}
leaves: {kinds: [number]}
per-day: {calls: 12}
audit: {parameters: digest}
errors: message
"""


@pytest.fixture(scope="module")
def governed(federation):
    """The federation, whose site east has a policy, and the policy's file."""
    with federation.policy("east", POLICY) as path:
        yield federation, path


def told(session, build, *frames):
    seen = []
    job = session.execute(written(build), list(frames) or [{}], default_callback=lambda *token: seen.append(token[-1]))
    assert job.wait_until_finished(60), job
    return [one for one in seen if not isinstance(one, ErrorToken | StopToken)], {
        error.message for one in seen for error in getattr(one, "errors", [])
    }


def test_a_sites_policy_is_enforced_by_the_site(governed, fed):
    federation, path = governed

    def add():
        Yield(value=fed.Add(a=PlaceParam(place="a"), site="east"))

    with opened(federation) as session:
        values, errors = told(session, add, {"a": 5}, {"a": 6})
        assert values == [6] and len(errors) == 1
        assert "site 'east' refuses 'work.Add' to user 'home@small.example' for the parameters" in errors.pop()
        values, errors = told(session, lambda: Yield(value=fed.Echo(value="row", site="east")))
        assert values == [] and any("by `leaves.kinds` of its policy" in error for error in errors)
        values, errors = told(
            session, lambda: Yield(value=fed.Echo(value=fed.Echo(value="row", site="east"), site="west"))
        )
        assert values == [] and any("by `leaves.kinds` of its policy" in error for error in errors)
        with pytest.raises(SessionError, match="refuses 'work.Wait' to user"):
            session.run(written(lambda: Yield(value=fed.Wait(seconds=0, site="east"))))
        path.write_text(f"{POLICY}publish: [rules]\n")
        with pytest.raises(SessionError, match=r"calls.py:\d+: site 'east' refuses 'work.Add' .* rule 'small' allows"):
            session.prepare(written(lambda: Yield(value=fed.Add(a=6, site="east"))))
        path.write_text(POLICY)
        with Pipeline(mode="discovery") as pipeline:
            report = fed.Report(city=Advise(), month=Advise(), site="east")
        advice = session.discover(pipeline)[report]["east", None]
        assert isinstance(advice, ErrorFieldAdvice)
    with (
        opened(federation, admin_package=federation.kit("other@*")) as session,
        pytest.raises(SessionError, match="refuses 'work.Add' to user 'other@small.example'"),
    ):
        session.run(written(add), a=1)


def instead_of_echo(site, message):
    """What an application would send that puts another operation into the net which it has asked about."""
    if site != "east" or not (isinstance(message, dict) and "Open" in message):
        return None

    def other(part):
        if isinstance(part, list):
            return [other(one) for one in part]
        if isinstance(part, dict):
            return {key: other(one) for key, one in part.items()}
        return "work.Fail" if part == "work.Echo" else part

    return [other(message)]


def test_an_application_that_asks_about_one_operation_and_sends_another_is_refused(governed, fed):
    federation, _ = governed
    with changed(instead_of_echo), opened(federation) as session:
        _, errors = told(session, lambda: Yield(value=fed.Echo(value=1, site="east")))
        assert any("site 'east' refuses 'work.Fail' to user 'home@small.example'" in error for error in errors), errors


def test_what_a_user_asks_for_in_a_day_is_counted_over_sessions(governed, fed):
    federation, _ = governed

    def echo():
        Yield(value=fed.Echo(value=PlaceParam(place="v"), site="east"))

    with opened(federation) as session:
        told(session, echo, *[{"v": 1}] * 9)
    with opened(federation) as session:
        values, errors = told(session, echo, *[{"v": 1}] * 9)
        assert len(values) < 9 and any("`per-day.calls` of its policy is 12" in error for error in errors)
    with opened(federation, admin_package=federation.kit("other@*")) as session:
        assert told(session, echo, {"v": 1}) == ([1], set())


def test_a_change_holds_for_what_runs(governed, fed):
    federation, path = governed
    with opened(federation, admin_package=federation.kit("other@*")) as session:
        build = lambda: Yield(value=fed.Echo(value=PlaceParam(place="v"), site="east"))  # noqa: E731
        seen = []
        job = session.execute(
            written(build), [{"v": 1}], default_callback=lambda *token: seen.append(token[-1]), autostop=False
        )
        until(lambda: 1 in seen)
        path.write_text("default: dony\n")
        try:
            job.send_input_params({"v": 2})
            job.send_stop_frame()
            assert job.wait_until_finished(60)
        finally:
            path.write_text(POLICY)
        assert 2 not in seen
        (error,) = {error.message for one in seen for error in getattr(one, "errors", [])}
        assert "site 'east' refuses everything, as its policy is broken" in error and "dony" not in error


def test_what_happened_is_in_the_sites_log_and_signed_by_its_key(governed, fed):
    federation, path = governed
    with opened(federation, admin_package=federation.kit("other@*")) as session:
        assert told(session, lambda: Yield(value=fed.Echo(value=7, site="east"))) == ([7], set())
        told(session, lambda: Yield(value=fed.Echo(value="row", site="east")))
    kit = path.parent.parent
    lines = [json.loads(line) for line in (kit / "audit" / "log.jsonl").read_text().splitlines()]
    mine = [one for one in lines if one["user"] == "other@small.example" and one["session"] == lines[-1]["session"]]
    assert {"session", "job", "call", "left", "refused", "signed"} <= {one["what"] for one in mine}
    assert sum(one.get("how") == "done" and one["seconds"] >= 0 for one in mine) == 2
    assert all(len(one["pipeline"]) == 64 for one in mine if one["what"] == "job")
    assert all("parameters" not in one and one["parameters-digest"] for one in mine if one["what"] == "call")
    found = verify(kit / "audit", read_credentials(kit))
    assert found.faults == [] and found.signed == found.records
