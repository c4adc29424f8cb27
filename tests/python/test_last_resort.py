"""Whatever escapes where a job's tokens are handed on, does the job still end, and say so?"""
# pyright: basic

import asyncio
import gc
import importlib
import socket
import struct
import threading
import weakref

import pytest
from dfm import _native
from dfm._running.loop import SiteLoop
from dfm.api import Pipeline, PlaceParam, Yield
from dfm.errors import JobError, SessionError
from dfm.session import STATUS_PLACE, AsyncioDispatcher, JobStatus

WAIT = 30


@pytest.fixture(scope="module")
def runtime(small):
    return importlib.import_module("small.fed.runtime.home")


@pytest.fixture
def echo(fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=PlaceParam(place="n"), site="home"), place="out")
    return pipeline


def sets(*numbers):
    return [{"n": number} for number in numbers]


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit])
def test_a_callback_that_raises_what_is_no_exception_strands_nothing(shared, echo, raised, caplog):
    had = []

    def callback(site, node, frame, place, data):
        had.append(data)
        raise raised("a callback's")

    job = shared.execute(echo, sets(1, 2, 3), place_callbacks={"out": callback})
    assert job.wait_until_finished(WAIT) and had == [1, 2, 3]
    assert job.get_status() is JobStatus.FINISHED
    assert "a callback raised" in caplog.text


@pytest.mark.parametrize("raised", [SystemExit, asyncio.CancelledError])
def test_a_coroutine_callback_that_raises_so_strands_nothing(runtime, echo, raised):
    had = []

    async def callback(site, node, frame, place, data):
        had.append(data)
        await asyncio.sleep(0)
        if data == 3:
            done.set_result(None)
        raise raised("a callback's")

    async def application():
        nonlocal done
        done = asyncio.get_running_loop().create_future()
        job = session.execute(echo, sets(1, 2, 3), place_callbacks={"out": callback})
        await asyncio.wait_for(done, WAIT)
        return job

    done: asyncio.Future
    with runtime.get_session(target="local", callback_dispatcher=AsyncioDispatcher()) as session:
        asyncio.run(application())
    assert had == [1, 2, 3]


def test_a_job_whose_callbacks_loop_is_closed_says_that_tokens_were_not_called_back(runtime, echo):
    loop = asyncio.new_event_loop()
    with runtime.get_session(target="local", callback_dispatcher=AsyncioDispatcher(loop)) as session:
        loop.close()
        job = session.execute(echo, sets(1, 2, 3), place_callbacks={"out": print})
        assert job.wait_until_finished(WAIT)
        assert job.get_status() is JobStatus.FAILED
        (error,) = job.errors
    (told,) = error.errors
    assert told.type == "CallbackError" and "event loop" in told.message and told.site == "home"


def test_an_iteration_whose_loop_is_closed_takes_nothing_from_others(shared, echo):
    job = shared.execute(echo, None, autostop=False)

    async def first():
        async for token in job:
            return token.data

    job.send_input_params(sets(1))
    loop = asyncio.new_event_loop()
    iteration = loop.create_task(first())
    assert loop.run_until_complete(iteration) == 1
    # Its watcher stays with the job: the generator is neither exhausted nor closed.
    abandoned = job.__aiter__()
    assert loop.run_until_complete(anext(abandoned)).data == 1
    loop.close()
    job.send_input_params(sets(2, 3))
    job.send_stop_frame()
    assert job.wait_until_finished(WAIT)
    assert job.results("out") == [1, 2, 3] and job.get_status() is JobStatus.FINISHED


def test_a_job_that_its_own_callback_waits_for_says_so_at_once(shared, echo):
    said = []

    def callback(site, node, frame, place, data):
        for wait in (job.wait_until_finished, lambda: job.results(STATUS_PLACE), lambda: job.wait_until_finished(1000)):
            with pytest.raises(JobError, match="own callback") as caught:
                wait()
            said.append(str(caught.value))

    begun = threading.Event()
    job = shared.execute(
        echo, None, autostop=False, place_callbacks={"out": lambda *token: begun.wait() and callback(*token)}
    )
    job.send_input_params(sets(1))
    job.send_stop_frame()
    begun.set()
    assert job.wait_until_finished(WAIT) and len(said) == 3


def test_an_event_that_cannot_be_handed_on_ends_its_job_alone(shared, echo, monkeypatch):
    other = shared.execute(echo, None, autostop=False)
    job = shared.execute(echo, None, autostop=False)

    def broken(*_):
        raise ZeroDivisionError("handing on")

    monkeypatch.setattr(job._delivery, "deliver", broken)
    job.send_input_params(sets(1, 2))
    other.send_input_params(sets(1, 2))
    other.send_stop_frame()
    assert job.wait_until_finished(WAIT) and job.get_status() is JobStatus.FAILED
    assert [(one.type, "handing on" in one.message) for error in job.errors for one in error.errors] == [
        ("ZeroDivisionError", True)
    ]
    assert other.wait_until_finished(WAIT) and other.results("out") == [1, 2]


def test_a_panic_at_the_applications_site_ends_every_job_and_says_so(runtime, echo):
    with runtime.get_session(target="local") as session:
        jobs = [session.execute(echo, None, autostop=False) for _ in range(2)]
        driver = session._home.driver
        driver.site = importlib.import_module("small.adapters").Panicking(driver.site)
        jobs[0].send_input_params(sets(1))
        for job in jobs:
            assert job.wait_until_finished(WAIT) and job.get_status() is JobStatus.FAILED
            (error,) = job.errors[0].errors
            assert "a fault of dfm, PanicException: index out of bounds" in error.message
        with pytest.raises(SessionError, match="open a new session"):
            session.execute(echo)


def test_a_panic_at_another_site_ends_its_process_and_is_told(runtime, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Fork(how="panic", site="east"))
    with Pipeline() as after:
        Yield(value=fed.Add(a=1, site="east"))
    with runtime.get_session(target="local") as session:
        job = session.execute(pipeline)
        assert job.wait_until_finished(WAIT) and job.get_status() is JobStatus.FAILED
        assert "the process of site 'east'" in job.errors[0].errors[0].message
        assert session.run(after) == {"yield": [2]}


def test_a_panic_while_planning_is_an_error_of_the_session(shared, echo, monkeypatch):
    def panics(*_):
        raise _native.Panic("index out of bounds")

    monkeypatch.setattr(_native, "plan", panics)
    with pytest.raises(SessionError, match="a fault of dfm: index out of bounds"):
        shared.prepare(echo)


def test_a_place_may_be_called_as_an_argument_of_run(shared, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=PlaceParam(place="pipeline"), site="home"), place="self")
    assert shared.run(pipeline, pipeline=5) == {"self": [5]}


def test_a_link_that_ends_while_it_takes_no_more_is_told():
    """The loop waits to write to it, and its descriptor is closed already where the loop leaves it."""
    told, failed = [], []

    async def serve():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context))
        one, other = socket.socketpair()
        site = _native.Site("home")
        site.add_link("east", one.detach())
        over = asyncio.Event()

        def on_event(event):
            told.append(event)
            over.set()

        driver = SiteLoop(site, on_event, pytest.fail)
        driver.watch()
        site.check("east", 1, [("work.Add", "a provider" * 100_000, None, [])], [])
        driver.turn()
        assert site.flush() == ["east"], "it takes all of that"
        # A packet of three bytes without a descriptor, which is no message.
        other.sendall(struct.pack("<IB", 3, 0) + b"\xff\xff\xff")
        with other:
            await asyncio.wait_for(over.wait(), WAIT)
        await driver.end()

    asyncio.run(serve())
    assert not failed
    (closed,) = told
    assert isinstance(closed, _native.Closed) and closed.site == "east"


def test_nothing_of_a_session_lives_when_it_is_closed(runtime, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=fed.Add(a=1, site="home"), site="east"))
    with runtime.get_session(target="local") as session:
        assert session.run(pipeline) == {"yield": [3]}
        home = weakref.ref(session._home)
    del session
    gc.collect()
    assert home() is None
