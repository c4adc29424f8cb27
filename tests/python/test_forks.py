"""Does a session hold where a process of it is forked, or its descriptors are closed by somebody else?"""
# pyright: basic, reportMissingImports=false

import os
import signal
import subprocess
import sys

import pytest
from dfm.api import Pipeline, Yield
from dfm.errors import SessionError
from dfm.session import JobStatus
from eventually import until
from processes import gone

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def session(small):
    from small.fed.runtime.home import get_session

    with get_session(target="local") as session:
        yield session


def one(operation, **arguments):
    with Pipeline() as pipeline:
        Yield(value=operation(site="east", **arguments))
    return pipeline


@pytest.mark.parametrize("operation", ["Fork", "ForkOnThread"])
@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_forked_process_that_comes_out_of_an_adapter_ends(session, fed, how, operation):
    ((worker, child),) = session.run(one(getattr(fed, operation), how=how))["yield"]
    until(lambda: gone(child))
    assert session.run(one(fed.Echo, value=3)) == {"yield": [3]}
    assert not gone(worker)


def test_a_worker_whose_child_outlives_it_is_seen_to_die(session, fed):
    ((worker, child),) = session.run(one(fed.Fork, how="stay"))["yield"]
    try:
        job = session.execute(one(fed.Wait, seconds=1000))
        until(lambda: job.get_status() is JobStatus.RUNNING)
        os.kill(worker, signal.SIGKILL)
        assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
        assert job.errors[0].errors[0].type == "SiteLostError"
        assert session.run(one(fed.Echo, value=3)) == {"yield": [3]}
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("operation", ["Fork", "ForkOnThread"])
def test_a_site_whose_descriptors_are_closed_is_lost(session, fed, operation):
    job = session.execute(one(getattr(fed, operation), how="close"))
    assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
    assert job.errors[0].errors[0].type == "SiteLostError"
    assert session.run(one(fed.Echo, value=3)) == {"yield": [3]}


CHILD = """
import os, sys
from dfm.api import Pipeline, Yield
from dfm.session import DirectDispatcher
from small.fed.api.work import Echo, Wait
from small.fed.runtime.home import get_session

def one(value):
    with Pipeline() as pipeline:
        Yield(value=Echo(value=value, site="east"))
    return pipeline

def told(session, value):
    seen = []
    job = session.execute(one(value), default_callback=lambda *token: seen.append(token[4]))
    return job.wait_until_finished(20) and seen[0]

dispatcher = DirectDispatcher()
session = get_session(target="local", callback_dispatcher=dispatcher)
session.connect()
print(session.run(one(1)), flush=True)
with Pipeline() as pipeline:
    Yield(value=Wait(seconds=1000, site="east"))
job = session.execute(pipeline)
print(told(session, 2), flush=True)
child = os.fork()
if child == 0:
    for use in (lambda: session.run(one(2)), job.wait_until_finished, job.cancel):
        try:
            use()
        except Exception as error:
            print(type(error).__name__, flush=True)
    session.close()
    with get_session(target="local", callback_dispatcher=dispatcher) as own:
        print(told(own, 3), flush=True)
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
print(session.run(one(4)), flush=True)
"""


def test_an_application_that_forks_keeps_its_session_and_its_child_is_told(small):
    done = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=small, capture_output=True, text=True, timeout=120, env=os.environ
    )
    assert done.stdout.splitlines() == [
        "{'yield': [1]}",
        "2",
        *["SessionError"] * 3,
        "3",
        "7",
        "{'yield': [4]}",
    ], done.stderr


def test_a_site_whose_process_cannot_be_started_is_told(session, fed, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(SessionError, match="site 'east' could not be started.*/nowhere/python"):
        session.run(one(fed.Echo, value=1))
    monkeypatch.undo()
    assert session.run(one(fed.Echo, value=3)) == {"yield": [3]}
