"""A user makes a site fail in every way there is, to read in its errors what no operation returns."""
# pyright: basic, reportMissingImports=false

import base64
import re

import pytest
from dfm.api import Advise, Pipeline, Retry, Yield
from dfm.errors import SessionError
from flare_federation import opened, written

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

ROW = "patient-4711"
SECRET = "sesame"


@pytest.fixture(scope="module", params=["full", "message", "type"])
def strict(federation, request):
    """The policy of site east, and a session under it."""
    with federation.policy("east", f"errors: {request.param}\n"), opened(federation) as session:
        yield request.param, session


def error_of(session, build):
    """The only error of a pipeline, and all that its application is told."""
    seen = []
    job = session.execute(written(build), {}, default_callback=lambda *token: seen.append(token))
    assert job.wait_until_finished(60)
    errors = [error for *_, data in seen for error in getattr(data, "errors", [])]
    assert errors, seen
    return errors[0], repr(seen) + repr(job)


HOW = ["raise", "cause", "group", "unsayable", "key", "exit", "cancelled"]


def told(policy, error, text):
    """Whether it is what the policy lets an application know."""
    assert SECRET not in text
    assert base64.b64encode(SECRET.encode()).decode().rstrip("=") not in text
    if policy == "type":
        assert ROW not in text
        assert re.search(r"E-[0-9a-f]{8}", error.message)
    if policy != "full":
        assert not error.stack_trace
    return True


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("operation", ["Leak", "LeakOnThread", "LeakItems"])
def test_what_a_body_raises(strict, fed, operation, how):
    policy, session = strict
    error, text = error_of(session, lambda: Yield(value=getattr(fed, operation)(how=how, site="east")))
    assert told(policy, error, text)


@pytest.mark.parametrize("how", ["raise", "unsayable"])
def test_what_is_raised_at_every_try(strict, fed, how):
    policy, session = strict

    def build():
        Yield(value=fed.LeakOnThread(how=how, retry=Retry(1), site="east"))

    error, text = error_of(session, build)
    assert told(policy, error, text)


def test_what_an_adapter_says_while_it_is_made(strict, fed):
    policy, session = strict
    with pytest.raises(SessionError, match="could not be constructed") as raised:
        session.run(written(lambda: Yield(value=fed.LeakWhenMade(how="raise", site="east"))))
    assert SECRET not in str(raised.value)
    assert (ROW in str(raised.value)) == (policy == "full")


def test_a_result_that_cannot_be_sent(strict, fed):
    _, session = strict
    error, text = error_of(session, lambda: Yield(value=fed.Leak(how="object", site="east")))
    assert error.type == "EncodingError"
    assert "small.leaky.Shy" in error.message
    assert SECRET not in text
    assert ROW not in text


def test_a_part_that_cannot_be_read(strict, fed):
    policy, session = strict
    error, text = error_of(
        session, lambda: Yield(value=fed.Add(a=fed.Leak(how="object", site="east").fieldref("size"), site="east"))
    )
    assert told(policy, error, text)


def test_what_is_public_is_told_and_its_cause_is_not(strict, fed):
    _, session = strict
    error, text = error_of(session, lambda: Yield(value=fed.Leak(how="public", site="east")))
    assert (error.type, error.message, error.stack_trace) == ("Public", "only 3 rows match", "")
    assert ROW not in text


def test_an_advisor_that_fails(strict, fed):
    policy, session = strict
    with Pipeline(mode="discovery") as pipeline:
        leak = fed.Leak(how="raise", note=Advise(), site="east")
    advice = repr(session.discover(pipeline)[leak]["east", None])
    assert "its advisor failed with LookupError" in advice
    assert SECRET not in advice
    assert (ROW in advice) == (policy != "type")


def test_the_sites_log_has_what_is_not_told_but_no_secret(strict, federation, fed):
    policy, session = strict
    error, _ = error_of(session, lambda: Yield(value=fed.Leak(how="raise", site="east")))
    if policy == "full":
        return
    (reference,) = re.findall(r"E-[0-9a-f]{8}", error.message)
    kit = federation.kit("east")
    logs = [path.read_text() for path in kit.rglob("*.txt")] + [path.read_text() for path in kit.rglob("*.log")]
    found = [text for text in logs if reference in text]
    assert found
    assert all(f"ValueError: row-of-{ROW} ***" in text and SECRET not in text for text in found)


def test_no_log_of_a_site_has_a_secret_or_a_forged_entry(strict, federation, fed):
    _, session = strict
    job = session.execute(written(lambda: Yield(value=fed.Leak(how="log", site="east"))))
    assert job.wait_until_finished(60) and job.results() == [1]
    kit = federation.kit("east")
    logs = [path.read_text() for path in kit.rglob("*.txt")] + [path.read_text() for path in kit.rglob("*.log")]
    for said in ("logged: row-of-", "logged by a child: ***", "logged by the site"):
        assert any(said in text for text in logs), said
    for text in logs:
        assert SECRET not in text and "\x1b" not in text
        assert not [line for line in text.splitlines() if line.startswith("2026-01-01 00:00:00,000")]
