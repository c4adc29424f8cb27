"""Does a session on the local target keep what its reference promises, whatever happens to its sites?"""
# pyright: basic, reportMissingImports=false

import asyncio
import functools
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import pytest
from dfm.api import BestOf, ErrorToken, Pipeline, PlaceParam, StopToken, Yield, well_known_id
from dfm.errors import JobError, ParameterError, PipelineError, PlanError, SessionError, UnknownPlaceError
from dfm.exec import Frame
from dfm.session import STATUS_PLACE, AsyncioDispatcher, DirectDispatcher, JobStatus, ManualDispatcher, _dispatch
from dfm.session._callbacks import check_callbacks
from eventually import until
from processes import gone

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def session(small):
    """A session of the test's own."""
    from small.fed.runtime.home import get_session

    with get_session(target="local") as session:
        yield session


def written(build):
    with Pipeline() as pipeline:
        build()
    return pipeline


def workers(session) -> dict[str, int]:
    return {site: worker._process.pid for site, worker in session._home._links._workers.items()}


def test_a_chain_over_all_sites(shared, fed):
    def build():
        value = PlaceParam(place="start")
        for site in ["east", "west", "home", "west", "east", "home"] * 3:
            value = fed.Add(a=value, site=site)
        Yield(value=value)

    assert shared.run(written(build), start=5) == {"yield": [5 + 18]}


def test_sessions_and_jobs_say_what_they_are(small, fed):
    from small.fed.runtime.home import get_session

    session = get_session(target="local")
    assert repr(session) == "<Session of 'small' at 'home' on local: not connected>"
    with session:
        job = session.execute(written(lambda: Yield(value=fed.Wait(seconds=600, site="east"))))
        assert repr(session) == "<Session of 'small' at 'home' on local: 1 open job>"
        job.cancel()
        assert repr(job) == f"<Job {job.job_id}: ABORTED, 0 tokens, 0 errors>"
        assert repr(session) == "<Session of 'small' at 'home' on local: 0 open jobs>"


def test_frames_keep_apart_and_in_order(shared, fed):
    def build():
        Yield(value=fed.Add(a=PlaceParam(place="a"), b=fed.Add(a=PlaceParam(place="b"), site="west"), site="east"))

    job = shared.execute(written(build), [{"a": n, "b": 1000 * n} for n in range(50)])
    assert job.results() == [1001 * n + 1 for n in range(50)]
    assert job.get_status() is JobStatus.FINISHED


def test_several_jobs_at_once_in_one_session(shared, fed):
    prepared = shared.prepare(written(lambda: Yield(value=fed.Add(a=PlaceParam(place="a"), site="east"))))
    jobs = [shared.execute(prepared, {"a": n}) for n in range(20)]
    assert [job.results() for job in jobs] == [[n + 1] for n in range(20)]
    assert len({job.job_id for job in jobs}) == 20


@pytest.mark.parametrize("site", ["home", "east"])
@pytest.mark.parametrize("kind", ["Count", "CountAsync"])
def test_a_generators_items_come_one_by_one_and_as_a_list(shared, fed, site, kind):
    def build():
        items = getattr(fed, kind)(to=5000, site=site)
        Yield(value=items, place="items")
        Yield(value=fed.Total(items=items, site="west"), place="total")

    results = shared.run(written(build))
    assert results == {"items": list(range(5000)), "total": [sum(range(5000))]}


def test_a_slow_consumer_slows_the_producer(session, fed, tmp_path):
    """While the first item is being looked at, the producer gets only so far ahead."""
    log, seen = tmp_path / "made", []

    def made():
        return len(log.read_text().splitlines())

    def slow(site, node, frame, place, data):
        seen.append(data)
        if len(seen) == 1:
            until(lambda: made() >= 1024)
            threading.Event().wait(0.3)
            assert made() < 6000

    pipeline = written(lambda: Yield(value=fed.CountInto(to=20_000, path=str(log), site="east")))
    job = session.execute(pipeline, place_callbacks={"yield": slow})
    assert job.wait_until_finished(30)
    assert seen == list(range(20_000)) and made() == 20_000


def test_bodies_on_threads_overlap(shared, fed):
    def build():
        for place in "abc":
            Yield(value=fed.AddOnThread(a=1, site="east"), place=place)

    assert shared.run(written(build)) == {"a": [2], "b": [2], "c": [2]}


def test_an_adapter_gets_what_its_site_is_configured_with(shared, small):
    from small.fed.site.east import work

    def build():
        Yield(value=work.WhoAmI(), place="default")
        Yield(value=work.WhoAmI(limit=0), place="zero")

    results = shared.run(written(build))
    (default,), (zero,) = results["default"], results["zero"]
    assert default["site"] == "east" and default["secret"] == "sesame" and default["extra"] == 7
    assert default["limit"] == 5 and zero["limit"] == 0
    assert default["pid"] == zero["pid"] == workers(shared)["east"] != os.getpid()


def test_order_without_data(shared, fed):
    def build():
        first = fed.Add(a=1, site="east")
        Yield(value=fed.Add(a=2, site="west", dfm_after=first))

    assert shared.run(written(build)) == {"yield": [3]}


def test_fieldref_takes_a_part_where_the_result_is(shared, fed):
    def build():
        value = fed.Echo(value={"rows": [10, 20]}, site="east")
        Yield(value=fed.Add(a=value.fieldref("rows", issubs=True).fieldref(1), site="west"))

    assert shared.run(written(build)) == {"yield": [21]}


def test_an_error_reaches_what_depends_on_it_and_nothing_else(shared, fed):
    tokens = []

    def build():
        bad = fed.Fail(value=PlaceParam(place="x"), site="east", dfm_node_id=well_known_id("bad"))
        Yield(value=fed.Add(a=bad, site="west"), place="bad")
        Yield(value=fed.Add(a=1, site="west"), place="good")

    job = shared.execute(written(build), {"x": 3}, default_callback=lambda *token: tokens.append(token))
    assert job.wait_until_finished(20)
    assert job.get_status() is JobStatus.FAILED
    by_place = {place: data for _, _, _, place, data in tokens if place != STATUS_PLACE}
    assert by_place["good"] == 2
    assert isinstance(by_place["bad"], ErrorToken)
    status = [(site, node, frame, data) for site, node, frame, place, data in tokens if place == STATUS_PLACE]
    (site, node, frame, token), (_, _, last, stop) = status
    assert (site, node, frame) == ("east", "bad", Frame([0]))
    assert isinstance(stop, StopToken) and last.is_stop_frame()
    (error,) = token.errors
    assert (error.type, error.message, error.operation) == ("ValueError", "no luck with 3", "work.Fail")
    assert error.line and error.line.startswith(__file__)
    assert "in refuse" in error.stack_trace and "/dfm/" not in error.stack_trace
    assert by_place["bad"].errors == token.errors
    assert job.errors == [token]
    with pytest.raises(JobError, match=r"ValueError: no luck with 3\n  in work.Fail at site 'east', frame \[0\]"):
        job.raise_for_errors()


def test_a_failed_frame_leaves_the_others_alone(shared, fed):
    def build():
        Yield(value=fed.Add(a=PlaceParam(place="a"), b=fed.Echo(value=PlaceParam(place="b"), site="east"), site="west"))

    job = shared.execute(written(build), [{"a": 1, "b": 1}, {"a": 1, "b": None}, {"a": 1, "b": 2}])
    first, second, third = job.results()
    assert (first, third) == (2, 3) and isinstance(second, ErrorToken)
    assert job.get_status() is JobStatus.FAILED


@pytest.mark.parametrize(("how", "cause"), [("exit", "exited with code 3"), ("kill", r"signal 9 \(SIGKILL\)")])
def test_a_dead_worker_is_an_error_that_names_its_site_and_the_next_job_gets_a_fresh_one(session, fed, how, cause):
    def build():
        Yield(value=fed.Die(how=how, site="west"), place="dead")
        Yield(value=fed.Add(a=1, site="east"), place="alive")

    job = session.execute(written(build))
    (dead,), (alive,) = job.results("dead"), job.results("alive")
    assert alive == 2
    assert dead.errors[0].site == "west" and dead.errors[0].type == "SiteLostError"
    assert job.get_status() is JobStatus.FAILED
    assert len(job.errors) == 1
    with pytest.raises(JobError, match=f"the process of site 'west' .*{cause}"):
        job.raise_for_errors()
    assert session.run(written(lambda: Yield(value=fed.Add(a=fed.Add(a=1, site="west"), site="east")))) == {
        "yield": [3]
    }


@pytest.mark.parametrize("site", ["home", "east"])
def test_a_body_is_in_one_task_before_and_after_it_waits(shared, fed, site):
    def build():
        for how in ["timeout", "group", "cancel", "group", "timeout"]:
            Yield(value=fed.OfATask(how=how, site=site), place=how, multiuse=True)

    job = shared.execute(written(build))
    assert job.wait_until_finished(20)
    assert job.results("timeout") == ["timeout"] * 2
    assert job.results("group") == ["group"] * 2
    assert [error.errors[0].type for error in job.errors] == ["CancelledError"]


def test_a_worker_that_is_killed_from_outside(session, fed):
    job = session.execute(written(lambda: Yield(value=fed.Wait(seconds=1000, site="east"))))
    until(lambda: job.get_status() is JobStatus.RUNNING and "east" in workers(session))
    os.kill(workers(session)["east"], signal.SIGKILL)
    assert job.wait_until_finished(10)
    assert job.get_status() is JobStatus.FAILED
    assert job.results()[0].errors[0].site == "east"


def test_a_worker_that_dies_while_importing(session, fed):
    job = session.execute(written(lambda: Yield(value=fed.DieOnImport(site="west"))))
    with pytest.raises(JobError, match="the process of site 'west' exited with code 4"):
        job.wait_until_finished(20)
        job.raise_for_errors()
    assert session.run(written(lambda: Yield(value=fed.Add(a=1, site="west")))) == {"yield": [2]}


def test_a_misspelt_adapter_is_an_error_at_prepare(session, fed):
    with pytest.raises(
        SessionError, match=r"small.adapters.Ad of 'work.Misspelt' at site 'west'.*no class 'Ad'.*'Add'"
    ):
        session.prepare(written(lambda: Yield(value=fed.Misspelt(site="west"))))


def test_what_the_federation_does_not_offer_is_said_with_the_users_line(shared, fed):
    with pytest.raises(PlanError, match=rf"{__file__}:\d+: .*work.Misspelt") as caught:
        shared.prepare(written(lambda: Yield(value=fed.Misspelt(site="east"))))
    assert "west" in str(caught.value)


def test_best_of_may_be_restricted(shared, fed):
    pipeline = written(lambda: Yield(value=fed.Add(a=1, site=BestOf())))
    assert shared.prepare(pipeline, restrict_to_sites=["west"]).placements[0]["site"] == "west"
    assert shared.prepare(pipeline, restrict_to_sites="homesite").placements[0]["site"] == "home"
    assert "work.Add at" in shared.prepare(pipeline).explain()
    assert shared.prepare(pipeline)._repr_svg_().startswith("<svg")


@pytest.mark.parametrize("site", ["home", "east"])
def test_cancelling_ends_a_job_at_once_and_leaves_the_site_usable(session, fed, site):
    pids = session.run(written(lambda: Yield(value=fed.Add(a=1, site="east"))))
    before = workers(session)
    job = session.execute(written(lambda: Yield(value=fed.Wait(seconds=1000, site=site))))
    until(lambda: job.get_status() is JobStatus.RUNNING)
    job.cancel()
    assert job.get_status() is JobStatus.ABORTED
    assert job.wait_until_finished(0)
    with pytest.raises(JobError, match="cancelled"):
        job.results()
    assert session.run(written(lambda: Yield(value=fed.Add(a=1, site="east")))) == pids
    assert workers(session) == before


def test_a_site_that_an_adapter_blocks_is_ended_after_cancelling(session, fed, tmp_path):
    session.run(written(lambda: Yield(value=fed.Add(a=1, site="east"))))
    blocked = workers(session)["east"]
    begun = tmp_path / "begun"
    job = session.execute(written(lambda: Yield(value=fed.Block(seconds=1000, path=str(begun), site="east"))))
    until(begun.exists)
    job.cancel()
    assert job.get_status() is JobStatus.ABORTED
    until(lambda: gone(blocked))
    assert session.run(written(lambda: Yield(value=fed.Add(a=1, site="east")))) == {"yield": [2]}


def test_as_many_jobs_run_at_the_same_time_as_the_application_says(small, fed):
    from small.fed.runtime.home import get_session

    pipeline = written(lambda: Yield(value=fed.Add(a=PlaceParam(place="a"), site="home")))
    with get_session(target="local", max_concurrent_jobs=1) as session:
        first = session.execute(pipeline, {"a": 1}, autostop=False)
        second, third, last = (session.execute(pipeline, {"a": a}) for a in (2, 3, 4))
        for a in (5, 6):
            first.send_input_params({"a": a})
        until(lambda: len(first.tokens("yield")) == 3)
        assert first.get_status() is JobStatus.RUNNING
        assert [job.get_status() for job in (second, third, last)] == [JobStatus.SUBMITTED] * 3
        third.cancel()
        assert third.wait_until_finished(0) and third.get_status() is JobStatus.ABORTED
        assert not second.wait_until_finished(0)
        first.send_stop_frame()
        assert [job.results() for job in (first, second, last)] == [[2, 6, 7], [3], [5]]
        failing = session.execute(written(lambda: Yield(value=fed.Fail(value=1, site="home"))))
        held = session.execute(pipeline, None, autostop=False)
        assert failing.wait_until_finished(30)
        until(lambda: held.get_status() is JobStatus.RUNNING)
        waiting = session.execute(pipeline, {"a": 1})
        held.cancel()
        assert waiting.results() == [2]
        session.execute(pipeline, None, autostop=False)
        left = session.execute(pipeline, {"a": 1})
    assert left.get_status() is JobStatus.ABORTED
    with pytest.raises(SessionError, match="max_concurrent_jobs is a number from 1 on, not 0"):
        get_session(target="local", max_concurrent_jobs=0)


@pytest.mark.parametrize("site", ["east", "home"])
def test_a_site_that_is_held_up_holds_up_no_caller(session, fed, tmp_path, monkeypatch, site):
    pipeline = written(lambda: Yield(value=fed.Add(a=1, site=site)))
    unknown = written(lambda: Yield(value=fed.Total(items=[1, 1], site=site)))
    session.run(pipeline)
    monkeypatch.setattr("dfm.session._home._PATIENCE", 0.1)
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held = session.execute(written(lambda: Yield(value=fed.Hold(fifo=str(fifo), site=site))))
    with open(fifo, "wb") as release:
        # Each returns while the site can answer nobody; the second asks what it never said.
        jobs = [session.execute(pipeline), session.execute(unknown)]
        assert not any(job.wait_until_finished(0) for job in jobs)
        release.write(b".")
    assert held.wait_until_finished(30)
    assert [job.results() for job in jobs] == [[2], [2]]


def test_an_interrupt_ends_a_worker_without_a_traceback(session, fed, capfd):
    job = session.execute(written(lambda: Yield(value=fed.Die(how="interrupt", site="west"))))
    assert job.wait_until_finished(30)
    (error,) = job.errors
    assert "SIGINT" in error.errors[0].message
    assert "Traceback" not in capfd.readouterr().err


def test_input_may_come_later(shared, fed):
    pipeline = written(lambda: Yield(value=fed.Add(a=PlaceParam(place="a"), site="east")))
    job = shared.execute(pipeline, None, autostop=False)
    job.send_input_params({"a": 1})
    job.send_input_params([{"a": 2}, {"a": 3}])
    assert not job.wait_until_finished(0.05)
    job.send_stop_frame()
    assert job.results() == [2, 3, 4]
    with pytest.raises(JobError, match="the job's input has ended"):
        job.send_input_params({"a": 4})


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "parameter set 0 has no value for the parameter place 'a'"),
        ([{"a": 1}, {"b": 1}], "parameter set 1 has 'b', which the pipeline does not take; it takes: 'a'"),
        ([3], "parameter set 0 is not a dictionary but int"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_before_anything_runs(shared, fed, params, message):
    pipeline = written(lambda: Yield(value=fed.Add(a=PlaceParam(place="a"), site="east")))
    with pytest.raises(JobError, match=message):
        shared.execute(pipeline, params)


def test_place_callbacks_get_their_place_and_the_default_all_others(shared, fed):
    ours, others = [], []

    def build():
        Yield(value=fed.Add(a=1, site="east"), place="ours")
        Yield(value=fed.Add(a=2, site="east"), place="theirs")

    job = shared.execute(
        written(build),
        default_callback=lambda *token: others.append(token[3]),
        place_callbacks={"ours": lambda *token: ours.append(token)},
    )
    assert job.wait_until_finished(20)
    assert [(token[0], token[2:]) for token in ours] == [("east", (Frame([0]), "ours", 2))]
    assert others == ["theirs", STATUS_PLACE]
    with pytest.raises(SessionError, match="'our', which is not a yield place.*'ours', 'theirs'"):
        shared.execute(written(build), place_callbacks={"our": print})


def test_a_callback_that_raises_is_logged_and_stops_nothing(shared, fed, caplog):
    seen = []

    def broken(*token):
        seen.append(token[4])
        raise RuntimeError("in the callback")

    job = shared.execute(written(lambda: Yield(value=fed.Count(to=3, site="east"))), place_callbacks={"yield": broken})
    assert job.wait_until_finished(20)
    assert seen == [0, 1, 2] and job.get_status() is JobStatus.FINISHED
    assert "RuntimeError: in the callback" in caplog.text and f"{Path('dfm', 'session')}" not in caplog.text


class Unsayable(Exception):
    def __str__(self):
        raise LookupError


@pytest.mark.parametrize(
    ("raised", "told"),
    [(ValueError("told \udcff"), r"told \udcff"), (Unsayable(), "its text cannot be had: str() raised LookupError")],
)
def test_what_a_callback_raises_is_found_though_its_text_cannot_be_sent(shared, fed, raised, told):
    def broken(*token):
        raise raised

    job = shared.execute(written(lambda: Yield(value=fed.Add(a=1, site="east"))), place_callbacks={"yield": broken})
    assert job.wait_until_finished(20)
    ((error,),) = (token.errors for token in job.errors)
    assert error.message == f"{told} (raised by the callback of place 'yield')"


def test_what_callbacks_raise_is_found_in_the_jobs_errors_once_with_the_users_frames_alone(shared, fed):
    def broken(from_site, node, frame, place, data):
        raise RuntimeError(f"no room for {min(data, 1)}")

    job = shared.execute(
        written(lambda: Yield(value=fed.Count(to=300, site="east"))), place_callbacks={"yield": broken}
    )
    assert job.wait_until_finished(20)
    first, second = (error for token in job.errors for error in token.errors)
    assert first.message == "no room for 0 (raised by the callback of place 'yield')"
    assert second.message == "no room for 1 (raised by the callback of place 'yield')"
    assert (first.type, first.site, first.frame) == ("RuntimeError", "home", [0])
    assert first.line.startswith(f"{__file__}:")
    assert "in broken" in first.stack_trace and f"{Path('dfm', 'session')}" not in first.stack_trace
    with pytest.raises(JobError, match="no room for 0"):
        job.raise_for_errors()


def test_what_coroutine_callbacks_raise_is_found_too(small, fed):
    from small.fed.runtime.home import get_session

    async def broken(*token):
        await asyncio.sleep(0)
        raised.set()
        raise RuntimeError("no room")

    async def application(session):
        nonlocal raised
        raised = asyncio.Event()
        prepared = await asyncio.to_thread(session.prepare, written(lambda: Yield(value=fed.Add(a=1, site="east"))))
        job = session.execute(prepared, place_callbacks={"yield": broken})
        await asyncio.wait_for(raised.wait(), 20)
        await asyncio.sleep(0)
        return job

    raised: asyncio.Event
    with get_session(target="local", callback_dispatcher=AsyncioDispatcher()) as session:
        (token,) = asyncio.run(application(session)).errors
    assert token.errors[0].message.startswith("no room")


def test_what_cannot_be_called_back_with_a_token_is_refused_before_anything_runs(shared, fed):
    pipeline = written(lambda: Yield(value=fed.Add(a=1, site="east")))

    def show(value): ...

    async def later(*token): ...

    for callback, why in [
        (5, r"not 5$"),
        (show, r"five arguments, \(from_site, node, frame, place, data\), which .*show\(value\) of .*test_session.py:"),
        (later, r"coroutine function .*later.*AsyncioDispatcher"),
    ]:
        with pytest.raises(SessionError, match=f"^default_callback.*{why}"):
            shared.execute(pipeline, default_callback=callback)
        with pytest.raises(SessionError, match=f"^the callback of place 'yield'.*{why}"):
            shared.execute(pipeline, place_callbacks={"yield": callback})
        with pytest.raises(SessionError, match="^default_callback"):
            shared.reattach("a1b2c3d4-1", default_callback=callback)


def test_whatever_can_be_called_with_a_token_may_be_a_callback_however_it_is_written():
    class Receiver:
        def takes(self, site, node, frame, place, data): ...
        def too_much(self, site, node, frame, place, data, more): ...
        @staticmethod
        def by_itself(site, node, frame, place, data): ...
        def __call__(self, site, node, frame, place, data=None): ...

    def five(site, node, frame, place, data): ...
    def named(site, node, frame, place, data, *, unit): ...
    def half(site, node, frame, /, place="x", *rest): ...

    @functools.wraps(Receiver.too_much)
    def wrapped(site, node, frame, place, data): ...

    takes = [five, half, Receiver().takes, Receiver.by_itself, Receiver(), functools.partial(named, unit="K"), print]
    for callback in takes:
        check_callbacks(callback, None, DirectDispatcher())
    for callback in (named, wrapped, Receiver.takes, Receiver().too_much, functools.partial(five, 1)):
        with pytest.raises(SessionError, match="is called with five arguments"):
            check_callbacks(callback, None, DirectDispatcher())


def callback_threads():
    return {thread for thread in threading.enumerate() if thread.name == "dfm-callbacks"}


def test_a_thread_of_callbacks_stays_for_the_next_job_and_keeps_nothing_of_the_last(session, fed, monkeypatch):
    """One that is busy is nobody else's: a callback may run a job of its own."""
    monkeypatch.setattr(_dispatch, "_STAYS", 20.0)
    pipeline = session.prepare(written(lambda: Yield(value=fed.Add(a=1, site="home"))))
    threads, kept = set(), []

    class Callback:
        def __call__(self, site, node, frame, place, data):
            threads.add(threading.current_thread())
            if place == "yield":
                inner = session.execute(pipeline, default_callback=lambda *_: threads.add(threading.current_thread()))
                assert inner.wait_until_finished(30)

    for _ in range(10):
        callback = Callback()
        kept.append(weakref.ref(callback))
        assert session.execute(pipeline, default_callback=callback).wait_until_finished(30)
    assert 2 <= len(threads) < 10
    callback = None
    until(lambda: not any(one() for one in kept))


def test_a_thread_of_callbacks_ends_when_no_job_comes(session, fed):
    before = callback_threads()
    session.run(written(lambda: Yield(value=fed.Add(a=1, site="home"))))
    until(lambda: not callback_threads() - before)


def test_callbacks_on_the_applications_own_loop(small, fed):
    from small.fed.runtime.home import get_session

    with get_session(target="local", callback_dispatcher=ManualDispatcher()) as session:
        seen = []
        job = session.execute(
            written(lambda: Yield(value=fed.Add(a=1, site="east"))),
            default_callback=lambda *token: seen.append(token[4]),
        )
        assert job.wait_until_finished(20)
        assert seen == [] and job.callback_runner.has_pending()
        assert job.callback_runner.process_pending() == 2
        assert seen == [2, StopToken()]


def test_callbacks_on_an_event_loop(small, fed):
    from small.fed.runtime.home import get_session

    async def application():
        seen = asyncio.Queue()

        async def callback(*token):
            await asyncio.sleep(0)
            seen.put_nowait(token[4])

        with get_session(target="local", callback_dispatcher=AsyncioDispatcher()) as session:
            prepared = session.prepare(written(lambda: Yield(value=fed.Count(to=3, site="east"))))
            session.execute(prepared, default_callback=callback)
            return [await seen.get() for _ in range(4)]

    assert asyncio.run(application()) == [0, 1, 2, StopToken()]


def test_tokens_in_an_async_loop(shared, fed):
    async def application():
        job = shared.execute(written(lambda: Yield(value=fed.Count(to=3, site="east"))))
        return [(token.place, token.data) async for token in job]

    assert asyncio.run(application()) == [("yield", 0), ("yield", 1), ("yield", 2)]


def test_large_values_and_objects_cross_between_sites(shared, fed):
    numpy = pytest.importorskip("numpy")
    array = numpy.arange(1_000_000.0).reshape(1000, 1000)

    def build():
        Yield(value=fed.Echo(value=fed.Echo(value=PlaceParam(place="x"), site="east"), site="west"))

    (back,) = shared.run(written(build), x={"array": array, "pair": (1, b"x" * 100_000)})["yield"]
    assert (back["array"] == array).all() and back["pair"] == (1, b"x" * 100_000)


def test_what_cannot_be_sent_is_an_error_of_its_node(shared, fed):
    job = shared.execute(
        written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="x"), site="east"))), {"x": threading.Lock()}
    )
    with pytest.raises(JobError, match="parameter place 'x' cannot be sent to site 'east': .*lock"):
        job.wait_until_finished(20)
        job.raise_for_errors()
    told = {record.type for error in [*job.errors, *job.results()] for record in error.errors}
    assert (told, len(job.errors)) == ({"EncodingError"}, 1)


def test_a_saved_pipeline_runs_like_the_one_it_was(shared, fed, tmp_path):
    pipeline = written(lambda: Yield(value=fed.Add(a=PlaceParam(place="a"), site="east")))
    pipeline.save_to_file(tmp_path / "p.json")
    assert shared.run(Pipeline.load_from_file(tmp_path / "p.json"), a=1) == {"yield": [2]}


def test_a_saved_plan_is_a_pipeline_that_names_its_sites(shared, fed, tmp_path):
    def build():
        Yield(value=fed.Add(a=PlaceParam(place="a"), site=BestOf(["east", "west"])))

    prepared = shared.prepare(written(build))
    prepared.save_to_file(tmp_path / "plan.json")
    again = shared.prepare(Pipeline.load_from_file(tmp_path / "plan.json"))
    assert [one["site"] for one in again.placements] == [one["site"] for one in prepared.placements]
    assert again.placements[0]["why"] == "the pipeline names this site"
    assert shared.run(again, a=1) == {"yield": [2]}


def test_closing_a_session_ends_its_jobs_and_processes(small, fed):
    from small.fed.runtime.home import get_session

    with get_session(target="local") as session:
        job = session.execute(written(lambda: Yield(value=fed.Wait(seconds=1000, site="east"))))
        until(lambda: "east" in workers(session))
        pids = workers(session)
    assert job.get_status() is JobStatus.ABORTED
    assert all(gone(pid) for pid in pids.values())
    with pytest.raises(SessionError, match="the session is not connected"):
        session.run(written(lambda: Yield(value=fed.Add(a=1, site="east"))))


APPLICATION = """
import sys
sys.path.insert(0, {folder!r})
from dfm.api import Pipeline, Yield
from small.fed.api.work import Block, WhoAmI
from small.fed.runtime.home import get_session

session = get_session(target="local")
session.connect()
with Pipeline() as pipeline:
    Yield(value=WhoAmI(site="east"))
print(session.run(pipeline)["yield"][0]["pid"], flush=True)
with Pipeline() as pipeline:
    Yield(value=Block(seconds=1000, site="east"))
session.execute(pipeline)
{end}
"""


@pytest.mark.parametrize(
    "end",
    ["", "input()", "import os; os._exit(0)", "raise SystemExit(3)"],
    ids=["exits", "is killed", "_exit", "raises"],
)
def test_an_application_leaves_no_process_behind(small, end):
    """Neither when it ends without closing its session, nor when it is killed, with a site that is blocked."""
    code = APPLICATION.format(folder=str(small), end=end)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as app:
        assert app.stdout
        pid = int(app.stdout.readline())
        if end == "input()":
            app.kill()
        app.wait(60)
    until(lambda: gone(pid))


def test_a_plain_script_finds_its_package_and_needs_no_main_guard(small, tmp_path):
    """Run from anywhere; its folder is inside the federation's."""
    script = small / "small" / "apps" / "script.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(
        "from dfm.api import Pipeline, Yield\n"
        "from small.fed.api.work import Add\n"
        "from small.fed.runtime.home import get_session\n"
        "with Pipeline() as p:\n    Yield(value=Add(a=1, site='east'))\n"
        "with get_session(target='local') as session:\n    print(session.run(p))\n"
    )
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (run.stdout, run.stderr) == ("{'yield': [2]}\n", "")


IDLE = """
import os
import threading
import weakref
from pathlib import Path

from dfm.api import Pipeline, Yield
from processes import read
from small.fed.api.work import Add
from small.fed.runtime.home import get_session

with Pipeline() as pipeline:
    Yield(value=Add(a=1, site="east"))


def done():
    children = [int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in read(path).split()]
    folders = [Path(f"/proc/{pid}") for pid in (os.getpid(), *children)]
    used = [folder.joinpath("stat").read_text().rpartition(")")[2].split()[11:13] for folder in folders]
    said = [one for folder in folders for path in folder.glob("task/*/status") if (one := read(path).decode())]
    woken = sum(int(one.rpartition("voluntary_ctxt_switches:")[0].split()[-2]) for one in said)
    return len(folders), sum(int(ticks) for both in used for ticks in both), woken


with get_session(target="local") as session:
    session.run(pipeline)
    before = done()
    threading.Event().wait(1.0)
    print(*before, *done())
"""


def test_an_idle_session_uses_no_processor_time(small):
    """In processes of its own, as this one may have threads of what other tests have left."""
    helpers = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", IDLE]
    run = subprocess.run(command, cwd=small, env=helpers, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    processes, used, woken, same, used_then, woken_then = map(int, run.stdout.split())
    assert (processes, same) == (2, 2)
    assert used_then - used <= 2  # ticks of 10 ms, of which the script itself takes some
    # The waiting itself, and the job's record being written; what looks ten times a second is more.
    assert woken_then - woken < 8


def test_a_native_module_of_other_sources_is_told_at_import(tmp_path):
    from dfm._running.built import check_built

    check_built()
    stub = tmp_path / "_native.pyi"
    stub.write_text("def other() -> None: ...\n")
    with pytest.raises(ImportError, match="was built from other sources than these: run `make generated`"):
        check_built(stub)


def test_a_place_that_no_yield_names_is_an_error_with_those_there_are(shared, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=1, site="east"), place="reports")
    job = shared.execute(pipeline)
    with pytest.raises(UnknownPlaceError, match="names the place 'report'; did you mean 'reports'?"):
        job.results("report")
    with pytest.raises(JobError, match="names the place 'yield'; there is 'reports'"):
        job.results()
    assert job.results("reports") == [2]
    with pytest.raises(KeyError, match="did you mean 'reports'?"):
        shared.run(pipeline)["report"]


def test_a_result_that_cannot_be_sent_is_one_error_however_many_wait_for_it(shared, fed):
    with Pipeline() as pipeline:
        made = fed.Echo(value=PlaceParam(place="x"), site="home")
        for number in range(3):
            Yield(value=fed.Echo(value=made, site="east"), place=f"r{number}")
    job = shared.execute(pipeline, [{"x": threading.Lock()}, {"x": threading.Lock()}])
    job.wait_until_finished(20)
    assert len(job.errors) == 2


def test_a_detached_job_is_received_again_while_its_session_lives(shared, fed):
    pipeline = written(lambda: Yield(value=fed.Add(a=PlaceParam(place="x"), site="east")))
    first, again = [], []
    job = shared.execute(pipeline, {"x": 1}, autostop=False, default_callback=lambda *token: first.append(token[-1]))
    until(lambda: first == [2])
    job.detach()
    job.send_input_params([{"x": 2}, {"x": 3}])
    with pytest.raises(SessionError, match="not a yield place"):
        shared.reattach(job.job_id, place_callbacks={"typo": print})
    back = shared.reattach(job.job_id, default_callback=lambda *token: again.append(token[-1]))
    back.send_input_params({"x": 4})
    back.send_stop_frame()
    assert back.wait_until_finished() and back.get_status() is JobStatus.FINISHED
    assert first == [2] and sorted(again[:-1]) == [3, 4, 5] and isinstance(again[-1], StopToken)
    with pytest.raises(SessionError, match="none that this session has detached"):
        shared.reattach(job.job_id)


def test_a_detached_job_that_has_ended_still_has_its_results(shared, fed):
    pipeline = written(lambda: Yield(value=fed.Add(a=PlaceParam(place="x"), site="east")))
    job = shared.execute(pipeline, [{"x": 1}, {"x": 2}])
    job_id = job.job_id
    job.detach()
    assert job.wait_until_finished()
    del job
    assert shared.reattach(job_id).results() == [2, 3]


def test_a_session_says_what_it_runs_when_it_is_given_something_else(shared, fed):
    def get_pipeline():
        return written(lambda: Yield(value=fed.Add(a=1, site="east")))

    pipeline = get_pipeline()
    with Pipeline():
        node = fed.Add(a=1)
    for given, hint in [
        (node, "the p of `with Pipeline\\(\\) as p:`"),
        (get_pipeline, r"give what it returns: get_pipeline\(\)"),
        ("x.json", r"Pipeline\.load_from_file\('x.json'\)"),
        (None, "write one"),
    ]:
        for take in (shared.run, shared.execute, shared.prepare, shared.discover, shared.narrow):
            with pytest.raises(PipelineError, match=f"^{__file__}:.*a session takes a Pipeline, not .*{hint}"):
                take(given)
    with pytest.raises(PipelineError, match="it is prepared already"):
        shared.prepare(shared.prepare(pipeline))


def test_how_parameters_and_sites_are_given_is_said_when_they_are_given_otherwise(shared, fed):
    from small.fed.runtime.home import get_session

    pipeline = written(lambda: Yield(value=fed.Add(a=PlaceParam("a"), site="east")))
    with pytest.raises(ParameterError, match=r"by name, not \{.a.: 1\} alone: .*run\(pipeline, \*\*parameters\)"):
        shared.run(pipeline, {"a": 1})
    for wrong in (2024, "abc", b"abc"):
        with pytest.raises(ParameterError, match=r"takes a parameter set, which is a dictionary .*, or a list of them"):
            shared.execute(pipeline, wrong)
    with pytest.raises(SessionError, match=r"sites takes a list .*, not 'north'; write \['north'\]"):
        get_session(target="local", sites="north")
    with pytest.raises(SessionError, match="restrict_to_sites takes a list of sites, or 'homesite', not 'east'"):
        shared.prepare(pipeline, restrict_to_sites="east")


def test_what_opens_a_session_says_what_it_takes_where_it_is_given_something_else(small, tmp_path, monkeypatch):
    from dfm.session import ManualDispatcher
    from small.fed.runtime.home import get_session

    takes = "It takes: target, logger, callback_dispatcher, admin_package, .*, max_concurrent_jobs"
    for given, told in [
        ({"homesite": "east"}, "'homesite', as .* says it: this is of the site 'home'; .* small.fed.runtime.east$"),
        ({"fed_package": "small.fed"}, "takes no 'fed_package', as the generated code"),
        ({"api_version": "1"}, "takes no 'api_version', as the generated code"),
        ({"options": {}}, "takes no 'options'; it takes: target, logger"),
        ({"admin_pakage": "x"}, f"takes no 'admin_pakage'; did you mean 'admin_package'\\? {takes}"),
        ({"target": "poc"}, "there is no target 'poc'; choose 'local', .*, or 'flare', .* POC"),
        ({"target": None}, "there is no target None; choose"),
        ({"target": ["local"]}, r"there is no target \['local'\]; choose"),
        ({"logger": print}, "logger takes a logger, as .*, not a value of type builtin_function_or_method"),
        (
            {"callback_dispatcher": ManualDispatcher},
            r"such as ManualDispatcher\(\), not the class ManualDispatcher itself",
        ),
        ({"callback_dispatcher": print}, "takes a dispatcher, such as"),
        ({"sites": 5}, "sites takes a list .*, not 5"),
        ({"sites": [5]}, r"sites takes the names of sites as texts, not \[5\]"),
        ({"policies": "policy.yaml"}, "policies takes a dictionary of sites and .* policies, not 'policy.yaml'"),
        ({"max_concurrent_jobs": "3"}, "max_concurrent_jobs takes a number from 1 on, not '3'"),
        ({"max_concurrent_jobs": True}, "max_concurrent_jobs takes a number from 1 on, not True"),
        ({"max_concurrent_jobs": 0}, "max_concurrent_jobs is a number from 1 on, not 0"),
        ({"strict": "no"}, "strict takes True or False, not 'no'"),
        ({"admin_package": 5}, "admin_package takes a folder's path, not 5"),
        ({"user": 5}, "user takes the name of a user, not 5"),
    ]:
        with pytest.raises(SessionError, match=told):
            get_session(**{"target": "local", **given})
    with get_session("local", None, strict=None, sites=None, callback_dispatcher=ManualDispatcher()):
        pass


def test_a_kit_that_is_not_there_is_told_with_where_it_is_looked_for(tmp_path):
    from dfm.flare._kit import find_kit

    gone, empty = tmp_path / "gone", tmp_path / "empty"
    empty.mkdir()
    for given, told in [
        ((str(gone), None, None), f"there is no {gone}; give admin_package, or DFM_FLARE_ADMIN_PACKAGE, the folder"),
        ((str(empty), None, None), "it has no startup/fed_admin.json; give admin_package"),
        ((None, str(gone), "ada"), f"no user's startup kit in {gone}: there is no such folder; flare_workspace, or"),
        ((None, str(empty), "ada"), f"no user's startup kit in {empty}: provision the federation first; flare_work"),
    ]:
        with pytest.raises(SessionError, match=told):
            find_kit(*given)
