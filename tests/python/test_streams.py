"""Do a generator's items go into a loop one by one, as they come, and no faster than that takes them?"""
# pyright: basic, reportMissingImports=false

import os
import threading

import pytest
from dfm._running.threads import Threads
from dfm.api import ErrorToken, ForEach, If, Yield
from dfm.session import JobStatus
from written import run, written

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def session(shared):
    return shared


@pytest.mark.parametrize("site", ["east", "home", "server"])
def test_the_body_begins_while_the_generator_runs(session, fed, tmp_path, site):
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)

    def build():
        with ForEach(seq=fed.CountUntil(fifo=fifo, site="east")) as x:
            told = fed.Tell(fifo=fifo, value=fed.Add(a=x, b=1, site="west"), site=site)
            Yield(value=told, place="each")
        Yield(value=x.collect(x), place="items")

    job = run(session, build, seconds=50)
    job.raise_for_errors()
    assert (job.results("each"), job.results("items")) == ([2, 3], [[1, 2]])


@pytest.mark.parametrize("sites", ["east west", "east east", "home server"])
def test_a_generator_waits_for_its_loop(session, fed, tmp_path, sites):
    there, body = sites.split()
    log, fifo = tmp_path / "log", str(tmp_path / "fifo")
    os.mkfifo(fifo)

    def build():
        gate = fed.Total(items=fed.CountUntil(fifo=fifo, site="server"), site=body)
        items = fed.CountInto(to=6000, path=str(log), site=there)
        with ForEach(seq=items) as x:
            more = fed.Add(a=x, b=gate, site=body)
        Yield(value=x.collect(more))

    job = session.execute(written(build))
    while not log.exists() or log.read_bytes().count(b"\n") < 1000:
        assert not threading.Event().wait(0.01)
    threading.Event().wait(0.3)
    made = log.read_bytes().count(b"\n")
    with open(fifo, "wb") as told:
        told.write(b"9")
    assert job.wait_until_finished(50)
    assert made < 3000
    assert job.results() == [[number + 10 for number in range(6000)]]


def test_loops_in_loops_take_items_one_by_one(session, fed):
    def build():
        with ForEach(seq=fed.Count(to=3, site="east")) as outer:
            with ForEach(seq=fed.Count(to=outer, site="server")) as inner, If(cond=fed.Add(a=inner, site="west") > 1):
                kept = fed.Add(a=inner, b=outer, site="west")
            row = inner.collect(kept)
            Yield(value=row, place="row")
        Yield(value=outer.collect(row), place="all")

    job = run(session, build, seconds=50)
    job.raise_for_errors()
    assert job.results("row") == [[], [], [3]]
    assert job.results("all") == [[[], [], [3]]]


def test_an_error_in_mid_stream_leaves_what_came_before(session, fed):
    def build():
        with ForEach(seq=fed.CountThenFail(to=3, site="east")) as x:
            more = fed.Add(a=x, b=10, site="west")
            Yield(value=more, place="each")
        for errors in ("fail", "skip"):
            Yield(value=fed.Echo(value=x.collect(more, errors=errors), site="east"), place=errors)

    job = run(session, build, seconds=50)
    assert job.get_status() is JobStatus.FAILED
    tokens = sorted(((token.frame.frame, token.data) for token in job.tokens("each")), key=str)
    assert [(frame, isinstance(data, ErrorToken)) for frame, data in tokens] == [
        ([0, 0], False),
        ([0, 1], False),
        ([0, 2], False),
        ([0], True),
    ]
    assert [isinstance(job.results(place)[0], ErrorToken) for place in ("fail", "skip")] == [True, True]
    assert [error.message for token in job.errors for error in token.errors] == ["no more than 3"]


def test_a_body_that_needs_the_end_does_not_hold_the_generator_up(session, fed):
    def build():
        items = fed.Count(to=3000, site="east")
        total = fed.Total(items=items, site="west")
        with ForEach(seq=items) as x:
            more = fed.Add(a=x, b=total, site="west")
        Yield(value=x.collect(more))

    assert run(session, build, seconds=50).results() == [[number + 4498500 for number in range(3000)]]


def test_a_thread_that_waits_for_room_leaves_its_place_to_others():
    threads, over, done = Threads(limit=1), threading.Event(), threading.Event()

    def wait():
        with threads.waiting():
            assert over.wait(60)
        done.set()

    threads.run(wait)
    threads.run(over.set)
    assert done.wait(60)
    threads.close()
