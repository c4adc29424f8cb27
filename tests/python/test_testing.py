"""Does `dfm.testing` run a whole federation in a test's own process, as a real target would?"""
# pyright: basic, reportMissingImports=false

import asyncio
import json
import os
import socket
import threading
from pathlib import Path
from textwrap import dedent

import pytest
from dfm.api import Advise, BestOf, Pipeline, PlaceParam, Retry, TryFromCache, Yield
from dfm.api.discovery import DISCOVERY_PLACE, ErrorFieldAdvice
from dfm.errors import JobError, SessionError
from dfm.session import JobStatus
from dfm.testing import Clock, Federation, assert_plan


@pytest.fixture
def federation(small):
    with Federation("small", homesite="home") as running:
        yield running


def children():
    return Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split()


def test_a_pipeline_runs_over_all_sites_without_another_process(federation, fed):
    before = children()
    with Pipeline() as pipeline:
        value = PlaceParam(place="start")
        for site in ["home", "server", "east", "west"] * 3:
            value = fed.Add(a=value, site=site)
        Yield(value=value)
        Yield(value=fed.Total(items=fed.Count(to=3000, site="east"), site="west"), place="total")
        Yield(value=fed.AddOnThread(a=1, site="server"), place="thread")
        Yield(value=fed.WhoAmI(site="east"), place="who")
    results = federation.session.run(pipeline, start=1)
    who = results["who"][0]
    assert (results["yield"], results["total"], results["thread"]) == ([13], [sum(range(3000))], [2])
    assert (who["pid"], who["site"], who["secret"]) == (os.getpid(), "east", "sesame")
    assert children() == before


def test_errors_come_as_on_every_target(federation, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=fed.Fail(value=7, site="east"), site="west"))
    with pytest.raises(JobError, match=r"no luck with 7"):
        federation.session.run(pipeline)


def test_a_pipeline_without_a_yield_is_told_once_with_its_line(small, fed, caplog):
    with Federation("small", homesite="home") as federation:
        session = federation.session
        with Pipeline(name="sales") as forgotten:
            fed.Add(a=1, site="east")
        for _ in range(2):
            assert session.run(forgotten) == {}
        (told,) = [record.getMessage() for record in caplog.records if "Yield" in record.getMessage()]
        line = test_a_pipeline_without_a_yield_is_told_once_with_its_line.__code__.co_firstlineno + 3
        assert told.startswith(f"{__file__}:{line}: the pipeline 'sales' has no Yield, so that its job gives")

        with Pipeline() as kept, TryFromCache(key=1, site="east") as cached:
            cached.cache(fed.Add(a=1, site="east"))
        with Pipeline(mode="discovery") as asked:
            fed.Add(a=Advise(), site="east")
        caplog.clear()
        session.run(kept)
        session.prepare(asked)
        assert caplog.records == []


def test_a_pipeline_of_an_operation_that_declares_no_result_needs_no_yield(federation, fed):
    session = federation.session
    info = json.loads(session._fed_info)
    info["operations"]["work.Add"]["returns"] = None
    session._fed_info = json.dumps(info)
    with Pipeline() as pipeline:
        fed.Add(a=1, site="east")
    assert session.prepare(pipeline).warnings == []


def test_a_cost_that_is_not_known_is_told_once_and_only_where_a_site_was_chosen(federation, fed, caplog):
    def sent(site, server):
        with Pipeline() as pipeline:
            Yield(value=fed.Echo(value=fed.Echo(value=1, site=site), site=server))
        return pipeline

    session = federation.session
    for _ in range(2):
        assert session.run(sent("east", "west")) == {"yield": [1]}
    assert session.prepare(sent("east", "west")).warnings == []
    assert caplog.records == []
    for _ in range(2):
        session.run(sent(BestOf(["east", "west"]), "server"))
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("sites were chosen without knowing a cost: ") and "name the site in the pipeline" in told


def test_adapters_can_be_faked_at_some_sites(small, fed):
    calls = []

    def add(a, b):
        calls.append((a, b))
        return 100

    with (
        Federation("small", homesite="home", fakes={"east": {"work.Add": add}}) as federation,
        Pipeline() as pipeline,
    ):
        Yield(value=fed.Add(a=fed.Add(a=1, site="east"), site="west"))
    with Federation("small", homesite="home", fakes={"east": {"work.Add": add}}) as federation:
        assert federation.session.run(pipeline) == {"yield": [101]}
    assert calls == [(1, 1)]


def test_what_dask_has_not_computed_is_a_value_and_not_awaited(small, fed):
    array = pytest.importorskip("dask.array")
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=1, site="east"))
    fakes = {"east": {"work.Echo": lambda value: array.ones((3, 3))}}
    with (
        Federation("small", homesite="home", fakes=fakes) as federation,
        pytest.raises(JobError, match=r"type dask\.array\S* cannot be sent"),
    ):
        federation.session.run(pipeline)


def test_a_fake_of_what_a_site_does_not_offer_is_refused(small):
    with pytest.raises(SessionError, match=r"site 'west' does not offer 'work\.Wait', so it cannot be faked there"):
        Federation("small", homesite="home", fakes={"west": {"work.Wait": print}})
    with pytest.raises(SessionError, match=r"no site 'nowhere' to fake; it has: 'east', 'home', 'server', 'west'"):
        Federation("small", homesite="home", fakes={"nowhere": {}})


@pytest.mark.parametrize(
    ("fake", "told"),
    [
        (lambda: 1, "takes no argument 'a', 'b'; the binding gives it 'a', 'b'"),
        (lambda a, b, /: 1, "takes no argument 'a', 'b'; "),
        (lambda a, b, c: 1, "needs 'c'; "),
        (lambda a, c: 1, "takes no argument 'b' and needs 'c'; "),
    ],
)
def test_a_fake_that_does_not_take_what_the_adapter_is_given_is_blamed_itself(small, fake, told):
    line = fake.__code__.co_firstlineno
    with pytest.raises(SessionError) as raised:
        Federation("small", homesite="home", fakes={"east": {"work.Add": fake}})
    assert str(raised.value).startswith(f"the fake of 'work.Add' at site 'east' ({__file__}:{line}) {told}")


@pytest.mark.parametrize("fake", [None, 7])
def test_a_fake_that_cannot_be_called_is_refused(small, fake):
    with pytest.raises(
        SessionError, match=rf"^the fake of 'work.Add' at site 'east' is {fake}, which cannot be called"
    ):
        Federation("small", homesite="home", fakes={"east": {"work.Add": fake}})


def test_one_adapter_is_called_by_its_binding(small):
    with Federation("small", homesite="home", secrets={"pass-word": "open"}) as federation:
        assert federation.call("east", "work.WhoAmI", limit=6)["limit"] == 6
        assert federation.call("east", "work.WhoAmI")["secret"] == "open"
        assert federation.call("home", "work.Count", to=3) == [0, 1, 2]
        with pytest.raises(ValueError, match="no luck with 1"):
            federation.call("home", "work.Fail", value=1)
        with pytest.raises(SessionError, match="'west' does not offer 'work.Wait'"):
            federation.call("west", "work.Wait", seconds=1)
        with pytest.raises(SessionError, match="has no class 'Ad'; did you mean 'Add'"):
            federation.call("west", "work.Misspelt")


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt])
def test_an_adapter_that_exits_ends_its_own_call_alone(small, raised):
    def fake(**given):
        raise raised("no licence")

    with Federation("small", homesite="home", fakes={"east": {"work.Fail": fake}}) as federation:
        with pytest.raises(raised, match="no licence"):
            federation.call("east", "work.Fail", value=1)
        assert federation.call("home", "work.Count", to=3) == [0, 1, 2]


def test_time_passes_when_the_test_says_so(small, fed):
    clock = Clock()
    with Federation("small", homesite="home", clock=clock) as federation:
        with Pipeline() as pipeline:
            Yield(value=fed.Wait(seconds=1000.0, site="east"), place="waited")
            Yield(value=fed.Wait(seconds=1000.0, site="server", timeout=600), place="late")
        job = federation.session.execute(pipeline)
        clock.advance(599)
        assert not job.errors
        clock.advance(1)
        assert [error.errors[0]["message"] for error in job.errors] == ["it took longer than its timeout of 600.0 s"]
        clock.advance(400)
        assert job.wait_until_finished(10)
        assert (job.results("waited"), clock.now) == ([1000.0], 1000.0)


def test_a_call_whose_adapter_waits_has_time_pass(small, fed):
    clock = Clock()
    with Federation("small", homesite="home", clock=clock) as federation:
        with Pipeline() as pipeline:
            Yield(value=fed.Wait(seconds=1500.0, site="east"))
        job = federation.session.execute(pipeline)
        clock.advance(100)
        assert (federation.call("east", "work.Wait", seconds=1000.0), clock.now) == (1000.0, 1100.0)
        clock.advance(300)
        assert job.get_status() is not JobStatus.FINISHED
        clock.advance(100)
        assert job.wait_until_finished(10) and clock.now == 1500.0


def test_no_time_passes_while_a_call_waits_for_a_thread_or_a_socket(small):
    clock = Clock()

    async def from_a_thread(value):
        async with asyncio.timeout(5):
            return await asyncio.to_thread(threading.Event().wait, 0.05)

    async def from_a_socket(value):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            threading.Timer(0.05, theirs.send, [b"there"]).start()
            async with asyncio.timeout(5):
                return await asyncio.get_running_loop().sock_recv(ours, 5)

    for fake, expected in ((from_a_thread, False), (from_a_socket, b"there")):
        with Federation("small", homesite="home", clock=clock, fakes={"east": {"work.Echo": fake}}) as federation:
            assert federation.call("east", "work.Echo", value=1) == expected
    assert clock.now == 0


def test_tries_wait_for_the_clock(small, fed, tmp_path):
    clock = Clock()
    log = tmp_path / "tries"
    with Federation("small", homesite="home", clock=clock) as federation:
        with Pipeline() as pipeline:
            Yield(value=fed.Flaky(path=str(log), fails=3, site="east", retry=Retry(times=3, backoff=100)))
        job = federation.session.execute(pipeline)
        tries = []
        for _ in range(8):
            clock.advance(99)
            tries.append(len(log.read_text()))
        assert job.wait_until_finished(10)
    assert tries == [1, 2, 2, 3, 3, 3, 3, 4]


def test_time_has_passed_once_it_was_let_even_if_the_loop_ran_out_of_work_just_before(monkeypatch):
    clock = Clock()
    loop = clock.new_loop()
    schedule = loop.call_soon_threadsafe
    scheduled, seen = threading.Event(), []

    def out_of_work_then_schedule(*args):
        schedule(*args)
        clock.idle(None, awaited=False)
        scheduled.set()

    monkeypatch.setattr(loop, "call_soon_threadsafe", out_of_work_then_schedule)
    passing = threading.Thread(target=lambda: (clock.advance(5), seen.append(clock.now)))
    passing.start()
    scheduled.wait()
    passing.join(0.2)
    running = threading.Thread(target=loop.run_forever)
    running.start()
    passing.join()
    schedule(loop.stop)
    running.join()
    loop.close()
    assert seen == [5.0]


def test_a_site_can_be_taken_away(small, fed):
    clock = Clock()
    with Federation("small", homesite="home", clock=clock) as federation:
        with Pipeline() as pipeline:
            Yield(value=fed.Wait(seconds=1000.0, site="east"), place="lost")
            Yield(value=fed.Add(a=1, site="west"), place="kept")
        job = federation.session.execute(pipeline)
        clock.advance(500)
        federation.lose("east", "a power cut")
        assert job.wait_until_finished(10)
        assert job.results("kept") == [2]
    assert [one["message"] for error in job.errors for one in error.errors] == ["site 'east' is lost: a power cut"]


def test_an_advisor_that_hangs_is_waited_for_no_longer_than_is_said(small, fed):
    clock = Clock()
    with Federation("small", homesite="home", clock=clock) as federation:
        with Pipeline(mode="discovery") as pipeline:
            fed.Ask(how="hang", value=Advise())
            fed.Ask(how="hang", value=Advise(), timeout=40, site="west")
        job = federation.session.execute(pipeline)
        clock.advance(29)
        assert job.tokens(DISCOVERY_PLACE) == []
        clock.advance(1)
        messages = [token.data.advice.edge.msg for token in job.tokens(DISCOVERY_PLACE)]
        assert messages == [f"'work.Ask' at site '{site}' has not answered within 30 s" for site in ("east", "west")]
        clock.advance(10)
        assert job.wait_until_finished(10) and job.get_status() is JobStatus.FINISHED


def test_discovery_goes_on_without_a_site_that_cannot_be_reached(federation, fed, monkeypatch):
    async def ensure(sites):
        if "west" in sites:
            raise SessionError("the road to the west is closed")

    monkeypatch.setattr(federation._links, "ensure", ensure)
    monkeypatch.setattr(federation._links, "ready", lambda sites: False)
    with Pipeline(mode="discovery") as pipeline:
        fed.Report(city=Advise(), month=Advise())
    found = federation.session.discover(pipeline)[0]
    assert found["west", None] == ErrorFieldAdvice("the road to the west is closed")
    assert [list(found["east", provider]) for provider in (None, "archive")] == [["Oslo", "Bergen"], ["Rome"]]


def test_a_clock_without_a_federation_says_so():
    with pytest.raises(RuntimeError, match="no federation has this clock now"):
        Clock().advance(1)


def test_a_plan_that_has_changed_is_shown(federation, fed, tmp_path, monkeypatch):
    def planned(site):
        with Pipeline() as pipeline:
            Yield(value=fed.Add(a=1, site=site))
        return federation.session.prepare(pipeline)

    file = tmp_path / "plans" / "add.txt"
    with pytest.raises(AssertionError, match="no plan in"):
        assert_plan(planned("east"), file)
    monkeypatch.setenv("DFM_UPDATE_PLANS", "1")
    assert_plan(planned("east"), file)
    monkeypatch.delenv("DFM_UPDATE_PLANS")
    assert_plan(planned("east"), file)
    with pytest.raises(AssertionError, match=r"(?s)-.*east.*\+.*west"):
        assert_plan(planned("west"), file)


def test_the_fixture_gives_each_test_a_federation_of_its_own(small, pytester):
    pytester.makeconftest(
        'from dfm.testing import federation_fixture\nfederation = federation_fixture("small", homesite="home")\n'
    )
    pytester.makepyfile(
        dedent("""
        from small.fed.api import work
        from dfm.api import Pipeline, Yield

        def test_sum(federation):
            with Pipeline() as pipeline:
                Yield(value=work.Add(a=1, site="east"))
            assert federation.session.run(pipeline) == {"yield": [2]}
        """)
    )
    pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_each_federation_has_empty_caches_of_its_own(small, fed, tmp_path):
    def run(federation):
        with Pipeline() as pipeline:
            with TryFromCache(key="k") as kept:
                kept.cache(fed.Flaky(path=str(tmp_path / "runs"), fails=0, site="east"))
            Yield(value=kept)
        return federation.session.run(pipeline)["yield"]

    for number in (1, 2):
        with Federation("small", homesite="home") as federation:
            assert [run(federation), run(federation)] == [[number], [number]]
