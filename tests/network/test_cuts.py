"""What becomes of a job on Flare while a link is cut?"""
# pyright: basic, reportMissingImports=false

import threading

import pytest
from dfm.api import Yield
from dfm.session import JobStatus
from eventually import until
from flare_federation import written
from link import beyond
from sessions import patient, reached, took

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def federation(command, small):
    with patient(command, small) as federation:
        yield federation


def outlived(session, fed, link, how, seconds):
    """Holds a link in the middle of a job: each token comes once, and in order."""

    def build():
        items = fed.Count(to=3000, site="east")
        Yield(value=items)
        Yield(value=fed.Total(items=items, site="west"), place="total")

    had = []
    job = session.execute(written(build), place_callbacks={"yield": lambda *token: had.append(token[-1])})
    until(lambda: len(had) > 100)
    if how == "cut":
        link.cut()
    link.hold()
    threading.Timer(seconds, link.go_on).start()
    assert took(job) > seconds
    assert had == list(range(3000)) and job.results("total") == [sum(range(3000))]


@pytest.mark.parametrize(
    ("how", "seconds"), [pytest.param("hold", 2, marks=pytest.mark.short), ("hold", 10), ("cut", 2), ("cut", 10)]
)
def test_a_job_outlives_a_cut_that_is_shorter_than_its_patience(federation, fed, tmp_path, how, seconds):
    """Whether the connections are ended or only nothing passes."""
    with reached(federation, tmp_path, delay=0.02, rate=200_000) as (session, link):
        outlived(session, fed, link, how, seconds)


def test_a_cut_that_is_longer_than_the_patience_is_told(federation, fed, tmp_path, monkeypatch):
    """The application's; the federation's processes have another."""
    monkeypatch.setenv("DFM_FLARE_PATIENCE", "8")
    with reached(federation, tmp_path) as (session, link):
        job = session.execute(written(lambda: Yield(value=fed.Wait(seconds=60, site="east"))))
        link.hold()
        assert job.wait_until_finished(60)
        assert job.get_status() is JobStatus.FAILED
        assert "the session's job at the server cannot be reached" in str(job.errors)
        link.go_on()


@pytest.fixture(scope="module")
def longer(federation):
    """The same, with a patience of 90 s in all processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DFM_FLARE_PATIENCE", "90")
        federation.restart()
        yield federation
    federation.restart()


@pytest.mark.parametrize("how", ["hold", "cut"])
def test_a_job_outlives_a_minute_with_a_patience_that_is_longer(longer, fed, tmp_path, how):
    with reached(longer, tmp_path, delay=0.02, rate=200_000) as (session, link):
        outlived(session, fed, link, how, 60)


@pytest.mark.parametrize("how", ["hold", "cut"])
def test_a_job_outlives_that_a_site_is_cut_off_for_a_minute(longer, fed, tmp_path, how):
    with beyond(longer, "east", delay=0.02, rate=200_000) as link, reached(longer, tmp_path) as (session, _):
        outlived(session, fed, link, how, 60)
