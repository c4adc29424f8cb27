"""Does an application see how far its job is, and does a terminal, with nobody who waits for it?"""
# pyright: basic, reportMissingImports=false

import dataclasses
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from dfm._command.screen import showing
from dfm.api import ForEach, PlaceParam, Yield
from dfm.session import JobStatus, SiteProgress
from eventually import until
from flare_federation import written
from small_federation import Small

pytestmark = pytest.mark.timeout(60)

PATIENCE = 30.0


def test_a_job_that_runs_says_how_many_of_its_steps_are_done_and_which_sites_have_more(shared, fed):
    def build():
        first = fed.Add(a=PlaceParam(place="n"), b=1, site="west")
        Yield(value=fed.Add(a=first, b=fed.Wait(seconds=1000, site="east"), site="west"), place="out")
        Yield(value=first, place="first")

    job = shared.execute(written(build), [{"n": 1}, {"n": 2}])
    until(lambda: job.progress.tokens == 2)
    progress = job.progress
    assert (progress.status, progress.frames, progress.input_open, progress.errors) == (JobStatus.RUNNING, 2, False, 0)
    known = {one.site: (one.known, one.failed, one.elements) for one in progress.sites}
    assert known == {"west": (4, 0, 0), "east": (2, 0, 0)}
    assert (progress.known, set(progress.waits_for), progress.left) == (6, {"west", "east"}, None)
    assert 0 < progress.seconds < 60
    with pytest.raises(dataclasses.FrozenInstanceError):
        progress.tokens = 3
    assert "running, " in str(progress) and " of 6 steps (" in str(progress) and "east 0/2" in str(progress)
    job.cancel()
    assert (job.progress.status, job.progress.waits_for) == (JobStatus.ABORTED, ())


def test_a_job_that_is_over_has_done_all_its_steps_and_its_time_stands_still(shared, fed):
    def build():
        Yield(value=fed.Add(a=fed.Add(a=1, b=1, site="west"), b=1, site="east"), place="out")

    job = shared.execute(written(build), [{}] * 3)
    assert job.wait_until_finished(PATIENCE)
    progress = job.progress
    assert [(one.site, one.done, one.known) for one in progress.sites] == [("east", 3, 3), ("west", 3, 3)]
    assert progress.sent > 0 and (progress.tokens, progress.left) == (3, 0.0)
    assert job.progress == progress


def test_elements_of_loops_are_counted_with_their_steps_as_they_begin(shared, fed):
    def build():
        with ForEach(seq=[1, 2, 3, 4, 5]) as number:
            added = fed.Add(a=number, b=1, site="west")
        Yield(value=number.collect(added))

    job = shared.execute(written(build))
    assert job.wait_until_finished(PATIENCE)
    west = next(one for one in job.progress.sites if one.site == "west")
    assert west == SiteProgress("west", 5, 5, 0, 5, west.sent)
    assert "5 of 5 steps, 5 elements, 1 value" in str(job.progress)


def test_steps_that_fail_or_are_not_made_as_an_error_has_come_are_done(shared, fed):
    def build():
        Yield(value=fed.Add(a=fed.Add(a=PlaceParam(place="n"), b=1, site="west"), b=1, site="east"), place="out")

    job = shared.execute(written(build), {"n": "no number"})
    assert job.wait_until_finished(PATIENCE) and job.get_status() is JobStatus.FAILED
    sites = [(one.site, one.done, one.known, one.failed) for one in job.progress.sites]
    assert sites == [("east", 1, 1, 0), ("west", 1, 1, 1)]


def test_more_happens_than_a_site_notes_and_all_of_it_is_counted(shared, fed):
    def build():
        Yield(value=fed.Add(a=PlaceParam(place="n"), b=1, site="west"), place="out")

    job = shared.execute(written(build), [{"n": n} for n in range(3000)])
    assert job.wait_until_finished(PATIENCE)
    assert (job.progress.done, job.progress.known, job.progress.tokens) == (3000, 3000, 3000)


def test_where_no_record_is_wanted_the_sites_tell_nothing(small, fed, monkeypatch):
    from small.fed.runtime.home import get_session

    def build():
        Yield(value=fed.Add(a=1, b=1, site="west"), place="out")

    monkeypatch.setenv("DFM_HISTORY", "0")
    with get_session(target="local") as session:
        job = session.execute(written(build))
        assert job.wait_until_finished(PATIENCE)
        assert (job.progress.sites, job.progress.tokens, session.usual_start()) == ((), 1, None)


def test_records_say_how_long_a_session_usually_takes_to_start(small, fed, monkeypatch, tmp_path):
    from small.fed.runtime.home import get_session

    def build():
        Yield(value=fed.Add(a=1, b=1, site="west"), place="out")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with get_session(target="local") as session:
        assert session.usual_start() is None
        for _ in range(2):
            assert session.execute(written(build)).wait_until_finished(PATIENCE)
    heads = [json.loads(file.read_text().splitlines()[0]) for file in tmp_path.glob("dfm/history/*/*.jsonl")]
    reached = [head["reached"] for head in heads if "reached" in head]
    assert len(heads) == 2 and len(reached) == 1, "the first job says it"
    with get_session(target="local") as session:
        assert session.usual_start() == reached[0]


def test_nobody_is_asked_for_what_is_not_to_be_shown():
    def text(seconds: float) -> str:
        raise AssertionError

    with showing(False, text):
        pass


def until_shown(leader: int, text: str) -> str:
    seen, deadline = b"", time.monotonic() + PATIENCE
    while text.encode() not in seen:
        ready, _, _ = select.select([leader], [], [], deadline - time.monotonic())
        assert ready, f"{text!r} has not appeared in: {seen.decode()}"
        seen += os.read(leader, 65536)
    return seen.decode()


def test_a_terminal_shows_in_one_line_how_far_a_job_is_and_what_it_waits_for(own: Small, tmp_path: Path) -> None:
    pipeline = own.write(
        "waits.py",
        "from dfm.api import Pipeline, Yield\nfrom small.fed.api import fail\n\n"
        "def get_pipeline(args):\n"
        "    with Pipeline() as p:\n"
        "        Yield(value=fail.Wait(fifo=args[0]), place='out')\n"
        "    return p\n",
    )
    os.mkfifo(fifo := tmp_path / "fifo")
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
    line = ["fed", "submit", "small", "--target", "local", "pipeline", str(pipeline), "--", str(fifo)]
    process = subprocess.Popen(
        own.command(*line), cwd=own.folder, env=own.environment(), stdin=subprocess.DEVNULL, stderr=follower
    )
    os.close(follower)
    try:
        fifo.read_text()
        until_shown(leader, "\r\x1b[Krunning, 0 of 1 step, 0 values, ")
        until_shown(leader, "s; node 0 (fail.Wait) at site 'left' has been running for ")
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
    finally:
        os.close(leader)
        process.kill()
