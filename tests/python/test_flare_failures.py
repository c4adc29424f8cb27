"""What does a session on a real NVFlare federation say when something fails, and does it go on afterwards?

All tests share one federation that runs; each leaves it as it found it.
"""
# pyright: basic, reportMissingImports=false

import contextlib
import json
import os
import queue
import signal
import sys
import threading

import pytest
from dfm.api import ErrorToken, ForEach, PlaceParam, Yield
from dfm.errors import SessionError
from dfm.session import JobStatus
from eventually import until
from flare_federation import opened, written
from pipelines import chain

pytestmark = [pytest.mark.flare, pytest.mark.timeout(300)]


@pytest.fixture
def session(federation):
    with opened(federation) as session:
        yield session


def job_of(session):
    return session._home._links._connection.job


def works(session, fed):
    """Whether a pipeline that needs every site gives what it should."""
    return session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}


def lost(job):
    """The sites whose loss a job tells."""
    return [(one.site, one.type) for token in job.errors for one in token.errors]


def test_what_does_not_need_a_dead_site_goes_on_to_its_end(session, fed):
    """NVFlare would end the whole job after some ten seconds."""

    def build():
        Yield(value=fed.Die(how="kill", site="west"), place="dead")
        Yield(value=fed.Wait(seconds=20, site="east"), place="alive")

    prepared = session.prepare(written(build))
    in_job = job_of(session)
    told = threading.Event()
    job = session.execute(prepared, place_callbacks={"dead": lambda *token: told.set()})
    assert told.wait()
    assert lost(job) == [("west", "SiteLostError")] and job.get_status() is JobStatus.RUNNING
    assert "it was ended by signal 9 (SIGKILL)" in job.errors[0].errors[0].message
    with pytest.raises(SessionError, match="site 'west' cannot be used: .*; it takes part again when no other"):
        session.prepare(written(lambda: chain(fed)))
    assert job.wait_until_finished()
    assert job.get_status() is JobStatus.FAILED
    assert job.results("alive") == [20] and lost(job) == [("west", "SiteLostError")]
    assert job_of(session) == in_job
    assert works(session, fed)


def test_a_process_that_is_killed_before_it_joins_is_told_and_replaced(session, federation, fed):
    session.connect()
    links = session._home._links

    def process():
        with contextlib.suppress(AssertionError):
            return federation.process("west", links._connection.job) if links._connection.job else 0
        return 0

    until(process, 60)
    os.kill(process(), signal.SIGKILL)
    until(lambda: "west" in links._reasons, 40)
    assert "SIGKILL" in links._reasons["west"] and works(session, fed)


def test_a_process_that_is_killed_before_its_step_is_told_and_replaced(session, federation, fed):
    """The job runs, as one that begins after the loss was told would get a new process."""
    had = queue.SimpleQueue()
    prepared = session.prepare(written(lambda: chain(fed)))
    job = session.execute(
        prepared, {"start": 0}, autostop=False, place_callbacks={"yield": lambda *token: had.put(token[-1])}
    )
    assert had.get(timeout=60) == 24
    os.kill(federation.process("west", job_of(session)), signal.SIGKILL)
    job.send_input_params({"start": 1})
    job.send_stop_frame()
    assert job.wait_until_finished()
    assert job.get_status() is JobStatus.FAILED and set(lost(job)) == {("west", "SiteLostError")}
    assert isinstance(had.get(), ErrorToken) and works(session, fed)


def test_a_process_that_is_killed_after_its_step_takes_nothing_away(session, federation, fed):
    def build():
        Yield(value=fed.Add(a=fed.Add(a=1, site="west"), site="east"), place="done")
        Yield(value=fed.Wait(seconds=8, site="east"), place="later")

    done = threading.Event()
    job = session.execute(session.prepare(written(build)), place_callbacks={"done": lambda *token: done.set()})
    assert done.wait()
    os.kill(federation.process("west", job_of(session)), signal.SIGKILL)
    assert job.wait_until_finished()
    assert job.get_status() is JobStatus.FINISHED and job.results("later") == [8]


@pytest.mark.parametrize("site", ["east", "server"])
def test_a_panic_at_a_site_is_told_and_the_site_takes_part_again(session, fed, site):
    job = session.execute(written(lambda: Yield(value=fed.Fork(how="panic", site=site))))
    assert job.wait_until_finished() and job.get_status() is JobStatus.FAILED
    assert lost(job) == [(site, "SiteLostError")]
    assert "a fault of dfm, PanicException: index out of bounds" in job.errors[0].errors[0].message
    assert works(session, fed)


def test_a_client_that_is_killed_is_told_and_comes_back(session, federation, fed):
    prepared = session.prepare(written(lambda: Yield(value=fed.Wait(seconds=60, site="east"))))
    job = session.execute(prepared)
    os.kill(federation.process("east"), signal.SIGKILL)
    assert job.wait_until_finished()
    assert job.get_status() is JobStatus.FAILED and lost(job) == [("east", "SiteLostError")]
    not_there = r"site 'east' has no part in the session: it is not connected to .*; `dfm poc status -f small` shows"
    with pytest.raises(SessionError, match=not_there):
        session.prepare(written(lambda: chain(fed)))
    with opened(federation) as other:
        with pytest.raises(SessionError, match=not_there):
            other.prepare(written(lambda: chain(fed)))
        job = other.execute(written(lambda: Yield(value=fed.Add(a=1, site="west"))))
        assert job.wait_until_finished() and job.get_status() is JobStatus.FINISHED
    federation.dfm("poc", "start", "-f", "small")
    federation.wait()
    assert works(session, fed)


def test_sessions_that_connect_at_once_leave_the_standard_output_alone(federation, fed):
    before = sys.stdout
    with opened(federation) as one, opened(federation) as other:
        assert works(one, fed) and works(other, fed)
    assert sys.stdout is before


def test_a_loss_in_one_session_is_none_in_another(session, federation, fed):
    with opened(federation) as other:
        assert works(session, fed) and works(other, fed)
        job = other.execute(other.prepare(written(lambda: Yield(value=fed.Wait(seconds=8, site="east")))))
        os.kill(federation.process("east", job_of(session)), signal.SIGKILL)
        assert job.wait_until_finished() and job.get_status() is JobStatus.FINISHED
        assert works(other, fed)
    assert works(session, fed)


def test_a_value_that_is_too_large_is_an_error_where_it_is_sent_or_taken(federation, fed, monkeypatch):
    def big():
        part = fed.Echo(value=PlaceParam(place="x"), site="east")
        with ForEach(seq=[1, 2]) as item:
            copy = fed.Echo(value=part, site="east")
        Yield(value=item.collect(copy), place="big")
        Yield(value=fed.Add(a=1, site="west"), place="other")

    monkeypatch.setenv("DFM_MAX_VALUE", str(1 << 20))
    with opened(federation) as session:
        for size, message in (
            (1 << 21, "'x' cannot be sent to site 'east': a value of type builtins.bytes cannot be sent: it has 2097"),
            (700_000, "a value of 1400"),
        ):
            job = session.execute(written(big), {"x": bytes(size)})
            assert job.wait_until_finished() and job.get_status() is JobStatus.FAILED
            text = job.errors[0].errors[0].message
            assert message in text and "no more than 1048576; send less at once, or set the env" in text
            assert job.results("other") == [2]


def test_an_adapter_that_hangs_costs_its_site_and_not_the_session(federation, fed, tmp_path):
    begun = tmp_path / "begun"
    with opened(federation) as session:
        job = session.execute(written(lambda: Yield(value=fed.Block(seconds=100_000, path=str(begun), site="east"))))
        until(begun.exists)
        job.cancel()
        assert job.get_status() is JobStatus.ABORTED
        # The site does not answer, so a new job takes the old one's place.
        assert session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}


def test_a_version_that_does_not_match_is_told_before_anything_runs(federation, fed):
    runtime = federation.kit("east") / "dfm" / "site.json"
    before = runtime.read_text()
    runtime.write_text(json.dumps(json.loads(before) | {"api_version": "9.0.0"}))
    try:
        with opened(federation) as session, pytest.raises(SessionError, match=r"speaks version 9\.0\.0 of 'small'"):
            session.prepare(written(lambda: chain(fed)))
    finally:
        runtime.write_text(before)


def test_a_component_that_the_allow_list_refuses_is_told(federation, fed):
    resources = federation.kit("server") / "local" / "resources.json"
    before = resources.read_text()
    resources.write_text(before.replace("dfm.flare.", "elsewhere."))
    try:
        with opened(federation) as session, pytest.raises(SessionError, match="ended before it began"):
            session.prepare(written(lambda: chain(fed)))
    finally:
        resources.write_text(before)


def test_an_adapter_that_ends_its_process_is_an_error_of_what_needs_it(federation, fed):
    with opened(federation) as session:

        def build():
            Yield(value=fed.Die(how="exit", site="west"), place="dead")
            Yield(value=fed.Add(a=1, site="east"), place="alive")

        prepared = session.prepare(written(build))
        job = session.execute(prepared)
        assert job.wait_until_finished()
        assert job.get_status() is JobStatus.FAILED
        assert job.results("alive") == [2]
        (error,) = job.errors[0].errors
        assert (error.site, error.type) == ("west", "SiteLostError") and "it exited with code 3" in error.message
        # A new job takes its place.
        assert session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}


def test_a_server_that_dies_is_told_and_a_restarted_one_serves_again(federation, fed):
    with opened(federation) as session:
        prepared = session.prepare(written(lambda: Yield(value=fed.Wait(seconds=60, site="east"))))
        job = session.execute(prepared)
        os.kill(federation.process("server"), signal.SIGKILL)
        assert job.wait_until_finished()
        assert job.get_status() is JobStatus.FAILED
        (error,) = job.errors[0].errors
        assert (error.site, error.type) == ("east", "SiteLostError")
        with pytest.raises(SessionError, match="the federation's server does not answer"):
            session.prepare(written(lambda: chain(fed)))
        federation.dfm("poc", "start", "-f", "small")
        federation.wait()
        assert works(session, fed)
    with opened(federation) as session:
        assert works(session, fed)
