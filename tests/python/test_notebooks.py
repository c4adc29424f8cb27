"""Do a federation's objects show themselves in a notebook, whatever others have written into them?"""
# pyright: basic, reportMissingImports=false

import asyncio
import os
import signal
import sys
import threading
from html.parser import HTMLParser

import pytest
from dfm._html import cell, table
from dfm.api import PlaceParam, Yield
from dfm.session import JobStatus
from dfm.session._notebook import wait_shown
from eventually import until
from flare_federation import written
from IPython.core.interactiveshell import InteractiveShell

pytestmark = pytest.mark.timeout(60)

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e'\"&<img src=x onerror=alert(1)>"
ALLOWED = {"div", "strong", "table", "thead", "tbody", "tr", "th", "td", "progress", "br"}


class Shell(InteractiveShell):
    """As that of a notebook's kernel."""

    kernel = None


@pytest.fixture
def shell(shared, fed):
    Shell.clear_instance()
    shell = Shell.instance(user_ns={"session": shared, "fed": fed, "written": written})
    shell.user_ns |= {"Yield": Yield, "PlaceParam": PlaceParam}
    yield shell
    Shell.clear_instance()


def shown(thing: object) -> str:
    """What a notebook shows of it: elements that act on nothing."""
    seen: list[tuple[str, list[tuple[str, str | None]]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append((tag, attrs))

    text = thing._repr_html_()  # type: ignore[attr-defined]
    Reader().feed(text)
    assert {tag for tag, _ in seen} <= ALLOWED
    assert {name for _, attrs in seen for name, _ in attrs} <= {"style", "max", "value", "colspan"}
    assert "\x1b" not in text and "\u202e" not in text
    return text


def test_text_of_others_is_text_and_no_page_grows_without_end():
    assert cell(HOSTILE).startswith("&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[2J\\u202e&#x27;&quot;&amp;&lt;img")
    assert len(cell("x" * 100_000)) < 600
    many = table(("a",), [(HOSTILE,)] * 10_000)
    assert many.count("<tr>") == 202 and "9,800 more" in many and "<script" not in many


def test_pipelines_sessions_jobs_and_results_show_themselves(shared, fed):
    def build():
        Yield(value=fed.Echo(value=PlaceParam(place="what"), site="west"), place="<b>out</b>")
        Yield(value=fed.Fail(value=1, site="east"), place="none")

    pipeline = written(build)
    text = shown(pipeline)
    assert "work.Echo" in text and "test_notebooks.py:" in text
    assert "<td style='text-align:left'>west</td>" in shown(shared) and "work.Add" in shown(shared)
    assert shared.prepare(pipeline)._repr_svg_().startswith("<svg")
    job = shared.execute(pipeline, {"what": HOSTILE})
    assert job.wait_until_finished(30)
    text = shown(job)
    assert text.count("<progress max='1' value='1.0000'>") == 2 and "failed" in text
    assert "work.Fail" in text
    assert shown(job.progress) in text


def test_results_show_each_place(shared, fed):
    def build():
        Yield(value=fed.Echo(value=PlaceParam(place="what"), site="west"), place="<b>out</b>")

    text = shown(shared.run(written(build), what=HOSTILE))
    assert "&lt;b&gt;out&lt;/b&gt;" in text and "&lt;script&gt;" in text


def test_a_cell_awaits_the_tokens_of_a_job(shell):
    cell = """
def build():
    Yield(value=fed.Add(a=1, b=2, site="west"), place="out")

async for token in session.execute(written(build)):
    last = token.data
"""
    shell.run_cell(cell).raise_error()
    assert shell.user_ns["last"] == 3


def waits_for_job(thread):
    frame = sys._current_frames()[thread]
    while frame is not None and frame.f_code is not wait_shown.__code__:
        frame = frame.f_back
    return frame is not None


@pytest.mark.parametrize("waits", ["job.wait_until_finished()", "job.results('out')"])
def test_a_cell_that_is_interrupted_cancels_its_job(shell, waits):
    cell = f"""
def build():
    Yield(value=fed.Wait(seconds=1000, site="east"), place="out")

job = session.execute(written(build))
{waits}
"""
    main = threading.get_ident()

    def interrupt():
        until(lambda: waits_for_job(main) and shell.user_ns["job"].get_status() is JobStatus.RUNNING)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = shell.run_cell(cell)
    thread.join()
    assert not result.success
    until(lambda: shell.user_ns["job"].get_status() is JobStatus.ABORTED)


def test_a_cell_that_awaits_tokens_and_is_interrupted_cancels_its_job(shell, shared, fed):
    def build():
        Yield(value=fed.Wait(seconds=1000, site="east"), place="out")

    job = shared.execute(written(build))

    async def cell():
        async for _ in job:
            pass

    async def interrupted():
        # As a notebook's kernel does it.
        task = asyncio.create_task(cell())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert job.get_status() is JobStatus.ABORTED


def test_a_cell_that_waits_shows_how_far_its_job_is(shell, monkeypatch):
    shown_so_far = []
    monkeypatch.setattr(
        shell.display_pub, "publish", lambda data, **more: shown_so_far.append((data, more.get("update", False)))
    )
    cell = """
def build():
    Yield(value=fed.Wait(seconds=1000, site="east"), place="out")

job = session.execute(written(build))
job.wait_until_finished(1.2)
job.cancel()
"""
    shell.run_cell(cell).raise_error()
    assert [update for _, update in shown_so_far][:2] == [False, True]
    assert all("<progress max='1' value='0.0000'>" in data["text/html"] for data, _ in shown_so_far)


def test_outside_of_notebooks_nobody_is_shown_anything_and_an_interrupt_is_the_users(shared, fed):
    def build():
        Yield(value=fed.Wait(seconds=1000, site="east"), place="out")

    job = shared.execute(written(build))
    assert not job.wait_until_finished(0.1)
    assert job.get_status() is not JobStatus.ABORTED
    job.cancel()


def test_an_interrupt_that_does_not_end_the_systems_wait_ends_the_jobs(shared, fed):
    def build():
        Yield(value=fed.Wait(seconds=1000, site="east"), place="out")

    job, main = shared.execute(written(build)), threading.get_ident()

    def interrupt():
        until(lambda: waits_for_job(main))
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    # Another thread takes it, as if it had come just before this one waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with pytest.raises(KeyboardInterrupt):
            job.wait_until_finished()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        thread.join()
        job.cancel()
