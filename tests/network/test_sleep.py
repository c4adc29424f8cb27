"""What becomes of a job on Flare whose application sleeps, as on a laptop that is shut?"""
# pyright: basic, reportMissingImports=false

import json
import os
import signal
import time

import pytest
from application import EXPECTED, ITEMS
from eventually import until
from link import through
from sessions import Application, patient

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
PATIENCE = 8
LONG = 4 * PATIENCE
"""Seconds after which an answer has been waited for again and again, for longer each time, and beyond that patience."""


@pytest.fixture(scope="module")
def federation(command, small):
    with patient(command, small, PATIENCE) as federation:
        yield federation


def sleep(application, seconds):
    """In the middle of a job, which has something more for it before it wakes."""
    until(lambda: len(application.tokens()["yield"]) > 100)
    os.kill(application.process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    assert len(application.tokens()["yield"]) < ITEMS
    os.kill(application.process.pid, signal.SIGCONT)


def test_a_job_outlives_a_sleep_that_is_shorter_than_its_patience(federation, tmp_path):
    with through(federation.kit("home@*"), tmp_path, delay=0.05, rate=100_000) as (kit, _):
        application = Application(federation, kit, tmp_path / "tokens")
        sleep(application, PATIENCE / 2)
        assert application.end() == ("FINISHED", [])
        assert application.tokens() == EXPECTED


@pytest.mark.parametrize("patience", [PATIENCE, 600])
def test_what_has_slept_too_long_is_told_at_once_and_has_the_rest_when_it_comes_back(federation, tmp_path, patience):
    """Whatever patience it has itself, and so whether or not its clock went on meanwhile."""
    with through(federation.kit("home@*"), tmp_path, delay=0.05, rate=100_000) as (kit, _):
        application = Application(federation, kit, tmp_path / "tokens", DFM_FLARE_PATIENCE=str(patience))
        sleep(application, LONG)
        begin = time.monotonic()
        status, errors = application.end()
        print(f"\nawake, it was told after {time.monotonic() - begin:.1f} s: {status} {json.dumps(errors, indent=1)}")
        assert status == "FAILED" and time.monotonic() - begin < PATIENCE / 2
        assert all("the session's job at the server cannot be reached" in one for one in errors) and errors
        again = Application(federation, kit, tmp_path / "tokens", application.job)
        assert again.end() == ("FINISHED", [])
        assert again.tokens() == EXPECTED
