"""One user asks a site for more than it gives; what does another user at the same site notice of it?"""
# pyright: basic, reportMissingImports=false

import contextlib

import pytest
from dfm.api import PlaceParam, Retry, Yield
from dfm.errors import SessionError
from eventually import until
from flare_federation import opened, written

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

POLICY = """
errors: type
limits:
  sessions-per-user: 2
  jobs-per-session: 3
  frames-per-job: 50
  calls-at-once: 4
  calls-per-job: 200
  seconds-per-call: 2
  items-per-call: 5000
  value-bytes: 100000
  buffered-bytes: 300000
"""


@pytest.fixture(scope="module")
def bounded(federation):
    """The federation, with a site that gives everybody little."""
    with federation.policy("east", POLICY):
        yield federation


@pytest.fixture(scope="module")
def flood(bounded):
    with opened(bounded) as session:
        yield session


@pytest.fixture(scope="module")
def work(bounded):
    with opened(bounded, admin_package=bounded.kit("other@*")) as session:
        yield session


def told(session, build, frames=({},)):
    """Whether a job ends, and its tokens for the application."""
    seen = []
    job = session.execute(written(build), list(frames), default_callback=lambda *token: seen.append(token))
    assert job.wait_until_finished(60), job
    return [data for *_, data in seen]


def messages(tokens):
    return {(error.type, error.message) for data in tokens for error in getattr(data, "errors", [])}


def beyond(tokens, limit, kind="LimitError"):
    """Whether what was too much is told, with the limit's name and where it is decided."""
    assert any(limit in text[1] for text in messages(tokens)), messages(tokens)
    (error,) = [text for text in messages(tokens) if limit in text[1]]
    assert error[0] == kind
    assert "local/policy.yaml" in error[1]
    return error[1]


def works(session, fed):
    """Another user's work at the same site."""
    assert session.run(written(lambda: Yield(value=fed.Add(a=1, site="east"), place="sum")))["sum"] == [2]


def test_more_frames_than_a_site_takes(flood, work, fed):
    def build():
        Yield(value=fed.Add(a=PlaceParam(place="a"), site="east"))

    text = beyond(told(flood, build, [{"a": number} for number in range(300)]), "frames-per-job")
    assert "no more than 50 sets of parameters" in text
    works(work, fed)
    works(flood, fed)


def test_more_calls_than_a_site_makes_for_a_job(flood, work, fed):
    def build():
        for number in range(201):
            Yield(value=fed.Add(a=number, site="east"), place=f"p{number}")

    assert "no more than 200 calls" in beyond(told(flood, build), "calls-per-job")
    works(work, fed)


def test_tries_count_as_calls(flood, fed, tmp_path):
    def build():
        flaky = fed.Flaky(path=str(tmp_path / "tries"), fails=1000, retry=Retry(1000), site="east")
        Yield(value=flaky)

    assert "retries included" in beyond(told(flood, build), "calls-per-job")
    assert (tmp_path / "tries").stat().st_size == 200


@pytest.mark.parametrize("retry", [None, Retry(2)])
@pytest.mark.parametrize("operation", ["a generator", "an adapter that sends"])
def test_items_without_an_end(bounded, work, fed, operation, retry):
    def build():
        endless = {
            "a generator": lambda: fed.Endless(site="east", retry=retry),
            "an adapter that sends": lambda: fed.Send(to=6000, site="east", retry=retry),
        }
        Yield(value=endless[operation]())

    # How long so many take is no matter here, nor that the session of the test before may not have ended there.
    patient = POLICY.replace("seconds-per-call: 2", "seconds-per-call: 60").replace("per-user: 2", "per-user: 9")
    with bounded.policy("east", patient), opened(bounded) as session:
        tokens = told(session, build)
    assert "no more than 5000 items" in beyond(tokens, "items-per-call")
    assert sum(isinstance(token, int) for token in tokens) == 5000
    works(work, fed)


def test_values_that_are_too_large(flood, work, fed):
    tokens = told(flood, lambda: Yield(value=fed.Echo(value={"x": "x" * 200_000}, site="west")))
    assert not messages(tokens), "another site has its own policy"
    tokens = told(
        flood, lambda: Yield(value=fed.Echo(value=PlaceParam(place="x"), site="east")), [{"x": b"x" * 200_000}]
    )
    assert any("takes no more than 100000" in text for _, text in messages(tokens))
    works(work, fed)


def test_values_that_fill_the_memory(flood, work, fed):
    def build():
        Yield(value=fed.Add(a=PlaceParam(place="x"), b=fed.Wait(seconds=3600, site="server"), site="east"), place="sum")

    seen = []
    job = flood.execute(
        written(build), [{"x": b"x" * 90_000}] * 5, default_callback=lambda *token: seen.append(token[-1])
    )
    until(lambda: messages(seen))
    assert "300000 in all" in beyond(seen, "buffered-bytes", "DecodingError")
    works(work, fed)
    job.cancel()
    assert job.wait_until_finished(60)
    assert flood.run(written(lambda: Yield(value=fed.Echo(value={"x": "x" * 90_000}, site="east"), place="same")))


def test_calls_that_do_not_end(flood, work, fed):
    tokens = told(flood, lambda: Yield(value=fed.Wait(seconds=3600, site="east")))
    assert "took longer than the 2 s" in beyond(tokens, "seconds-per-call", "TimeoutError")
    works(work, fed)


def test_bodies_on_threads_that_do_not_end(flood, work, fed):
    def build():
        for number in range(8):
            Yield(value=fed.LeakOnThread(how="wait", site="east"), place=f"p{number}")

    assert "took longer than the 2 s" in beyond(told(flood, build), "seconds-per-call", "TimeoutError")
    works(work, fed)


def test_many_calls_at_the_same_time_wait_for_their_turn(flood, work, fed):
    def build():
        Yield(value=fed.Gauge(number=PlaceParam(place="n"), site="east"))

    tokens = told(flood, build, [{"n": number} for number in range(40)])
    assert not messages(tokens)
    assert max(token for token in tokens if isinstance(token, int)) == 2, "two of it may run at the same time"
    works(work, fed)


def test_more_jobs_than_a_site_runs_for_a_session(flood, work, fed):
    wait = written(lambda: Yield(value=fed.Wait(seconds=3600, site="east")))
    jobs = [flood.execute(wait, [{}]) for _ in range(4)]
    seen = []
    last = flood.execute(wait, [{}], default_callback=lambda *token: seen.append(token))
    assert last.wait_until_finished(60)
    assert "no more than 3 jobs" in beyond([data for *_, data in seen], "jobs-per-session")
    works(work, fed)
    for job in jobs:
        job.cancel()
        assert job.wait_until_finished(60)
    works(flood, fed)


def test_more_sessions_than_a_user_may_have(bounded, work, fed):
    add = written(lambda: Yield(value=fed.Add(a=1, site="east"), place="sum"))
    with contextlib.ExitStack() as stack:
        with pytest.raises(SessionError, match=r"site 'east' .*2 sessions open there: `sessions-per-user`"):
            for _ in range(3):
                stack.enter_context(opened(bounded)).run(add)
        works(work, fed)


def test_a_broken_policy_lets_nobody_in_and_says_so(bounded, fed):
    with (
        bounded.policy("east", "errors: fully\n"),
        opened(bounded, admin_package=bounded.kit("other@*")) as session,
    ):
        with pytest.raises(SessionError, match="its policy .* is broken, and it lets nobody in"):
            works(session, fed)
        assert session.run(written(lambda: Yield(value=fed.Add(a=1, site="west"), place="sum")))["sum"] == [2]
