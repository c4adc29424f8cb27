"""Is a link that is slow, or cut for a moment, taken for what it is and not for a lost site?"""
# pyright: basic, reportMissingImports=false

import contextlib
import threading

import pytest
from dfm.api import PlaceParam, Yield
from dfm.session import JobStatus
from eventually import until
from flare_federation import opened, written
from link import through

pytestmark = [pytest.mark.flare, pytest.mark.timeout(180)]


@contextlib.contextmanager
def reached(federation, folder, rate):
    """A session through a link, and that link."""
    with (
        through(federation.kit("home@*"), folder, rate=rate) as (kit, link),
        opened(federation, admin_package=kit) as session,
    ):
        session.connect()
        yield session, link


def test_a_slow_link_is_no_lost_one(federation, fed, tmp_path):
    """A value that takes longer than the patience, there and back."""
    numpy = pytest.importorskip("numpy")
    pipeline = written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="value"), site="west")))
    value = numpy.random.default_rng(1).bytes(2_800_000)
    with reached(federation, tmp_path, 400_000) as (session, link):
        before = link.passed
        job = session.execute(pipeline, {"value": value})
        assert job.wait_until_finished(120), job.waiting()
        assert job.get_status() is JobStatus.FINISHED, job.errors
        assert job.results() == [value]
        assert link.passed - before > 2 * len(value)


@pytest.mark.parametrize("how", ["hold", "cut"])
def test_a_job_outlives_a_short_cut(federation, fed, tmp_path, how):
    """Each token once, and in order, though the link is gone while they come."""

    def build():
        items = fed.Count(to=3000, site="east")
        Yield(value=items)
        Yield(value=fed.Total(items=items, site="west"), place="total")

    with reached(federation, tmp_path, 200_000) as (session, link):
        had = []
        job = session.execute(written(build), place_callbacks={"yield": lambda *token: had.append(token[-1])})
        until(lambda: len(had) > 100)
        getattr(link, how)()
        if how == "hold":
            threading.Timer(3.0, link.go_on).start()
        assert job.wait_until_finished(120), job.waiting()
        assert job.get_status() is JobStatus.FINISHED, job.errors
        assert had == list(range(3000)) and job.results("total") == [sum(range(3000))]
