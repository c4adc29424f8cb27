"""Does a site end what takes too long, and say what never began?"""
# pyright: basic

import importlib
import os
import subprocess
import sys
import threading

import pytest
from dfm._running.ended import how_ended
from dfm.api import Retry, Yield
from dfm.errors import SessionError
from dfm.exec._policy import Limits, SitePolicy
from dfm.exec._telling import Telling
from eventually import until
from flare_federation import written


def error_of(session, build):
    seen = []
    job = session.execute(written(build), [{}], default_callback=lambda *token: seen.append(token[-1]))
    assert job.wait_until_finished(30), job
    (error,) = {(error.type, error.message) for data in seen for error in getattr(data, "errors", [])}
    return error


@pytest.fixture
def runtime(small):
    return importlib.import_module("small.fed.runtime.home")


@pytest.fixture
def home(runtime):
    """A session whose own site is looked into."""
    with runtime.get_session(target="local") as session:
        yield session


def bounded(session, **limits):
    """Has the homesite keep to limits, as another site does to those of its policy."""
    adapters = session._home.driver.adapters
    adapters.policy = SitePolicy(limits=Limits(**limits))

    async def take():
        session._home.driver.take_on(adapters)

    session._home.run(take())


@pytest.mark.parametrize("retry", [None, Retry(0)])
def test_a_body_that_never_began_is_another_error_than_one_that_took_too_long(home, fed, retry):
    free = threading.Event()
    threads = home._home.driver.threads
    threads._limit = 1
    threads.run(free.wait)
    try:
        if retry is None:
            bounded(home, seconds_per_call=1)
        options = {} if retry is None else {"timeout": 0.2}
        kind, message = error_of(home, lambda: Yield(value=fed.AddOnThread(a=1, site="home", **options)))
        assert kind == "BusyError"
        assert "it never began: the 1 threads" in message
        assert ("its timeout of 0.2 s" if retry else "`seconds-per-call`") in message
    finally:
        free.set()
    kind, message = error_of(home, lambda: Yield(value=fed.Wait(seconds=1000, timeout=0.2, site="home")))
    assert (kind, message) == ("TimeoutError", "it took longer than its timeout of 0.2 s")


def test_a_body_that_never_began_is_not_run_later(home, fed, tmp_path):
    free = threading.Event()
    threads = home._home.driver.threads
    threads._limit = 1
    threads.run(free.wait)
    path = tmp_path / "fifo"
    kind, _ = error_of(home, lambda: Yield(value=fed.Tell(fifo=str(path), value=1, timeout=0.1, site="home")))
    assert kind == "BusyError"
    free.set()
    assert home.run(written(lambda: Yield(value=fed.AddOnThread(a=1, site="home"), place="sum")))["sum"] == [2]
    assert not path.exists()


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_bodies_that_were_given_up_keep_no_other_from_running(home, fed, tmp_path, how):
    """They cannot be ended, but their threads do not count."""
    threads = home._home.driver.threads
    threads._limit = 2
    fifos = [tmp_path / str(number) for number in range(4)]
    for fifo in fifos:
        os.mkfifo(fifo)
    timeout = {"timeout": 2.0} if how == "timeout" else {}
    opened = []

    def is_read(fifo):
        try:
            opened.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:
            return False
        return True

    try:
        for two in (fifos[:2], fifos[2:]):
            jobs = [
                home.execute(
                    written(lambda fifo=fifo: Yield(value=fed.CountUntil(fifo=str(fifo), site="home", **timeout)))
                )
                for fifo in two
            ]
            for fifo in two:
                until(lambda fifo=fifo: is_read(fifo))
            for job in jobs:
                if how == "cancel":
                    job.cancel()
                assert job.wait_until_finished(30)
        build = lambda: Yield(value=fed.AddOnThread(a=1, timeout=20, site="home"), place="sum")  # noqa: E731
        assert home.run(written(build))["sum"] == [2]
        until(lambda: "beside 4 that go on with bodies that were given up" in threads.busy())
    finally:
        for writer in opened:
            os.write(writer, b"1")
            os.close(writer)
    until(lambda: "given up" not in threads.busy())
    assert (threads._beside, threads._given_up) == (0, 0)


def test_a_body_whose_thread_cannot_start_is_an_error_that_says_so(home, fed, monkeypatch):
    started = threading.Thread.start

    def start(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(
        threading.Thread, "start", lambda self: started(self) if "body" not in self.name else start(self)
    )
    kind, message = error_of(home, lambda: Yield(value=fed.AddOnThread(a=1, site="home")))
    assert kind == "RuntimeError"
    assert message.startswith("this site cannot start a thread for it: the system")


def test_a_coroutine_that_does_not_wait_is_late_all_the_same(home, fed):
    kind, message = error_of(home, lambda: Yield(value=fed.Block(seconds=0.3, timeout=0.1, site="home")))
    assert (kind, message) == ("TimeoutError", "it took longer than its timeout of 0.1 s")


def test_a_coroutine_that_takes_no_notice_of_being_cancelled_is_late(home, fed):
    kind, message = error_of(home, lambda: Yield(value=fed.OfATask(how="go on", timeout=0.1, site="east")))
    assert (kind, message) == ("TimeoutError", "it took longer than its timeout of 0.1 s")


class Faceless:
    @property
    def __class__(self):
        raise RuntimeError("it has none")


def on_thread(self, value):
    return Faceless()


async def as_coroutine(self, value):
    return Faceless()


@pytest.mark.parametrize(("body", "error"), [(on_thread, "RuntimeError"), (as_coroutine, "EncodingError")])
def test_a_result_that_does_not_tell_its_class_is_an_error(home, fed, body, error, monkeypatch):
    monkeypatch.setattr("small.adapters.Echo.body", body)
    assert error_of(home, lambda: Yield(value=fed.Echo(value=fed.Echo(value=1, site="home"), site="east")))[0] == error


def test_every_kind_of_call_ends_after_its_time(home, fed):
    bounded(home, seconds_per_call=1)
    for build in (
        lambda: Yield(value=fed.Wait(seconds=1000, site="home")),
        lambda: Yield(value=fed.Wait(seconds=1000, retry=Retry(3), site="home")),
    ):
        kind, message = error_of(home, build)
        assert kind == "TimeoutError"
        assert "`seconds-per-call`" in message
    assert home.run(written(lambda: Yield(value=fed.Add(a=1, site="home"), place="sum")))["sum"] == [2]


def test_the_check_of_an_operation_tells_what_any_error_tells(home):
    """A vault that fails in its own way must not end the site's loop."""
    adapters = home._home.driver.adapters
    secrets = adapters.telling.secrets
    adapters.telling = Telling(secrets, adapters.logger, "type")
    adapters._bound.pop(("work.WhoAmI", None), None)

    class Vault:
        def secret_for_key(self, key):
            raise ConnectionError("vault.internal:8200 refused the token s3cr3t")

    vars(adapters.site())["_vault"] = Vault()
    problem = adapters.problem("work.WhoAmI", None)
    assert problem.startswith("ConnectionError: this site tells no more")


@pytest.mark.parametrize("name", ["dfm-home", "dfm-callbacks"])
def test_an_application_that_gets_no_thread_is_told_so(runtime, fed, monkeypatch, name):
    started = threading.Thread.start

    def start(self):
        if self.name == name:
            raise RuntimeError("can't start new thread")
        started(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    pipeline = written(lambda: Yield(value=fed.Add(a=1, site="home")))
    told = "^dfm cannot start a thread: the system, or its container, allows no more"
    with pytest.raises(SessionError, match=told), runtime.get_session(target="local") as session:
        session.execute(pipeline, default_callback=lambda *token: None)


WITHOUT_THREADS = """
import sys
from dfm import _native
def end_with_parent(fd):
    raise BlockingIOError(11, "Resource temporarily unavailable")
_native.end_with_parent = end_with_parent
from dfm._running.worker import main
sys.argv[1:] = ["east", "home"]
main()
"""


def test_a_site_that_gets_no_thread_says_so_by_its_exit_code():
    done = subprocess.run([sys.executable, "-c", WITHOUT_THREADS], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.stderr == b""
    assert "(it could start no thread: the system, or its container, allows no more" in how_ended(done.returncode)
