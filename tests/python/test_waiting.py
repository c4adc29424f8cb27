"""Can a job that waits say what waits for what?"""
# pyright: basic, reportMissingImports=false

import os
import re
import threading

import pytest
from dfm.api import ForEach, PlaceParam, Yield
from dfm.exec import Frame
from dfm.session import JobStatus, NodeAt, Others, Outside, Running, Silent, Waiting
from eventually import until
from flare_federation import opened, written

pytestmark = pytest.mark.timeout(60)

PATIENCE = 30.0
"""Seconds within which a site that nothing holds up answers, however busy the machine is."""


@pytest.fixture
def session(small):
    """A session of the test's own."""
    from small.fed.runtime.home import get_session

    with get_session(target="local") as session:
        yield session


def started(session, build, *arguments, **options):
    """A job that has begun."""
    job = session.execute(written(build), *arguments, **options)
    until(lambda: job.get_status() is JobStatus.RUNNING)
    return job


def test_a_job_says_what_runs_and_who_waits_for_that(shared, fed):
    def build():
        slow = fed.Wait(seconds=1000, site="east")
        Yield(value=fed.Add(a=slow, b=fed.Add(a=1, site="west"), site="west"), place="out")

    job = started(shared, build)
    until(lambda: len(job.waiting(PATIENCE)) == 3)
    running, yields, adds = job.waiting(PATIENCE)
    slow, frame = NodeAt("east", 0, "work.Wait"), Frame([0])
    line = f"{__file__}:{build.__code__.co_firstlineno + 1}"
    assert running == Running("east", 0, "work.Wait", frame, line, running.seconds, False)
    assert 0 <= running.seconds < 60
    assert re.fullmatch(
        rf"node 0 \(work\.Wait\) at site 'east' has been running for \d+\.\d s, frame \[0\], from {line}", str(running)
    )
    last = NodeAt("west", adds.node, "work.Add")
    assert (adds.site, adds.operation, adds.waits_for, adds.more) == ("west", "work.Add", (slow,), 0)
    assert (yields.site, yields.operation, yields.waits_for) == ("home", "yield out", (last,))
    assert str(yields).startswith(f"node {yields.node} (yield out) at site 'home' waits for {last}, frame [0], from ")
    assert str(NodeAt("east", "slow", "work.Wait")) == "node 'slow' (work.Wait) at site 'east'"
    job.cancel()
    assert job.waiting() == []


def test_elements_wait_in_their_own_frames(shared, fed, tmp_path):
    os.mkfifo(fifo := tmp_path / "fifo")

    def build():
        with ForEach(seq=fed.CountUntil(fifo=str(fifo), site="east")) as number:
            later = fed.Wait(seconds=1000, site="east")
            total = fed.Add(a=number, b=later, site="west")
        Yield(value=number.collect(total))

    job = started(shared, build)
    until(lambda: any(wait.operation == "work.Add" for wait in job.waiting(PATIENCE)))
    told = {(wait.site, wait.operation, tuple(wait.frame.frame)): wait for wait in job.waiting(PATIENCE)}
    assert isinstance(told["east", "work.CountUntil", (0,)], Running), "it has made one item and waits for its FIFO"
    assert isinstance(told["east", "work.Wait", (0, 0)], Running)
    sums = told["west", "work.Add", (0, 0)]
    assert [(one.site, one.operation) for one in sums.waits_for] == [("east", "work.Wait")]
    bodies = told["west", "body", (0,)]
    assert [(one.site, one.operation) for one in bodies.waits_for] == [("east", "for each")]
    job.cancel()
    fifo.write_text("1")


def test_a_long_answer_names_the_first_and_counts_the_others(shared, fed):
    def build():
        Yield(value=fed.Add(a=fed.Wait(seconds=PlaceParam(place="s"), site="east"), site="home"))

    job = started(shared, build, [{"s": 1000}] * 2000)
    until(lambda: len(job.waiting(PATIENCE)) == 26)
    waits = job.waiting(PATIENCE)
    assert [type(wait) for wait in waits] == [Running] * 12 + [Waiting] * 12 + [Others] * 2
    assert [wait.frame for wait in waits[:12]] == [Frame([at]) for at in range(12)]
    assert waits[24:] == [Others("east", 1988), Others("home", 3988)]
    assert str(waits[25]) == "3,988 more at site 'home'"
    job.cancel()


def test_a_site_that_an_adapter_holds_up_is_told(session, fed, tmp_path):
    begun = tmp_path / "begun"

    def build():
        Yield(value=fed.Add(a=fed.Block(seconds=1000, path=str(begun), site="east"), site="west"))

    job = started(session, build)
    until(begun.exists)
    silent, *others = job.waiting(0.5)
    assert silent == Silent("east", 0.5)
    assert str(silent) == "site 'east' does not answer within 0.5 s: an adapter may hold it up"
    assert [(wait.site, wait.waits_for[0].site) for wait in others if wait.site == "home"] == [("home", "west")]


def test_so_is_the_homesite(session, fed, tmp_path):
    begun = tmp_path / "begun"
    job = started(session, lambda: Yield(value=fed.Block(seconds=2, path=str(begun), site="home")))
    until(begun.exists)
    assert job.waiting(0.1) == [Silent("home", 0.1)]
    assert job.results() == [2]


def test_a_generator_that_nobody_follows_rests(session, fed, tmp_path):
    read, seen = threading.Event(), threading.Event()

    def callback(*token):
        seen.set()
        read.wait()

    pipeline = written(lambda: Yield(value=fed.CountInto(to=5000, path=str(tmp_path / "made"), site="east")))
    job = session.execute(pipeline, place_callbacks={"yield": callback})
    assert seen.wait(60)
    until(lambda: any(isinstance(wait, Running) and wait.rests for wait in job.waiting(PATIENCE)))
    running, yields = job.waiting(PATIENCE)
    assert "(work.CountInto) at site 'east' rests until its items are taken, after" in str(running)
    assert yields.waits_for == (NodeAt("east", running.node, "work.CountInto"),)
    read.set()
    assert job.wait_until_finished(20)


def test_what_the_application_owes_is_told(shared, fed):
    answered = threading.Event()

    def build():
        Yield(value=fed.Add(a=PlaceParam(place="a"), site="east"))

    job = started(shared, build, None, autostop=False, default_callback=lambda *token: answered.wait())
    assert job.waiting(PATIENCE) == [Outside("input")]
    assert str(Outside("input")) == "the job's input is open: it ends after send_stop_frame()"
    job.send_input_params({"a": 1})
    job.send_stop_frame()
    until(lambda: job.get_status() is JobStatus.FINISHED)
    assert job.waiting() == [Outside("callbacks")]
    answered.set()
    assert job.wait_until_finished(20) and job.waiting() == []


@pytest.mark.flare
def test_flare_says_what_local_says_also_to_an_application_that_comes_back(shared, federation, fed):
    def build():
        slow = fed.Wait(seconds=1000, site="east")
        at_server = fed.Add(a=slow, site="server")
        Yield(value=fed.Add(a=at_server, b=slow, site="home"), place="out")

    def timeless(text):
        return re.sub(r"for \d+\.\d s", "for some time", text)

    def said(job):
        until(lambda: len(job.waiting(PATIENCE)) == 4)
        return [timeless(str(wait)) for wait in job.waiting(PATIENCE)]

    def shown(job):
        lines = federation.dfm("jobs", "show", "small", "--poc", job.job_id).splitlines()
        return [timeless(line.removeprefix("waiting").strip()) for line in lines if line.startswith("waiting")]

    local = started(shared, build)
    expected = said(local)
    local.cancel()
    with opened(federation) as session:
        job = started(session, build)
        assert said(job) == expected
        elsewhere = [text for text in expected if not re.match(r"node \d+ \([^)]*\) at site 'home'", text)]
        assert len(elsewhere) == 2
        until(lambda: shown(job) == elsewhere)
        job.detach()
        assert job.waiting() == []
        until(lambda: shown(job) == elsewhere)
        again = session.reattach(job.job_id)
        until(lambda: again.get_status() is JobStatus.RUNNING)
        assert said(again) == expected
        again.cancel()


@pytest.mark.flare
def test_a_site_that_is_held_up_is_told_on_flare(federation, fed, tmp_path):
    begun = tmp_path / "begun"

    def build():
        Yield(value=fed.Add(a=fed.Block(seconds=20, path=str(begun), site="east"), site="west"))

    with opened(federation) as session:
        job = started(session, build)
        until(begun.exists)
        until(lambda: [type(wait) for wait in job.waiting(2.0)] == [Silent, Waiting, Waiting])
        assert job.waiting(1.0)[0] == Silent("east", 1.0)
        job.cancel()
