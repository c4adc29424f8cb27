"""Is every job found again when it is over, with nothing running and none of its values?"""
# pyright: basic

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from eventually import until
from small_federation import Small

pytestmark = pytest.mark.timeout(60)

PIPELINES = """\
from dfm.api import Pipeline, PlaceParam, Yield
from small.fed.api import fail, text

def get_pipeline(args):
    with Pipeline(name=args[0]) as p:
        if args[0] == "joining":
            first = text.Join(site="left", first=PlaceParam(place="word"), second=PlaceParam(place="other"))
            Yield(value=text.Join(site="right", first=first), place="out")
            Yield(value=text.Count(to=3), place="numbers")
        elif args[0] == "failing":
            Yield(value=fail.Raise(message="no \\x1b[2J luck"), place="out")
        else:
            Yield(value=fail.Wait(fifo=args[1]), place="out")
    return p
"""


class Recorded:
    """The federation, with records of its own."""

    def __init__(self, small: Small, state: Path) -> None:
        self.small, self.state = small, {"XDG_STATE_HOME": str(state)}
        self.folder = state / "dfm" / "history" / "small"
        self.pipelines = str(small.write("pipelines.py", PIPELINES))

    def dfm(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.small.run(*words, more=self.state)

    def submit(self, *words: str, more: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        line = ["fed", "submit", "small", "--target", "local", "pipeline", self.pipelines, *words]
        return self.small.run(*line, more=self.state | (more or {}))

    def jobs(self, *words: str) -> Any:
        done = self.dfm("--json", "jobs", words[0], "small", *words[1:])
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def recorded(own: Small, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """One job that worked, then one that failed, then one that was interrupted."""
    recorded = Recorded(own, tmp_path_factory.mktemp("state"))
    done = recorded.submit("--param", "word=secretive", "--param", "other=hidden", "--", "joining")
    assert done.returncode == 0, done.stderr
    assert recorded.submit("--", "failing").returncode == 1
    os.mkfifo(fifo := own.folder / "waits")
    line = ["fed", "submit", "small", "--target", "local", "pipeline", recorded.pipelines, "--", "waiting", str(fifo)]
    running = subprocess.Popen(
        own.command(*line), cwd=own.folder, env=own.environment(recorded.state), stderr=subprocess.PIPE
    )
    fifo.read_text()
    states = ["FINISHED", "FAILED", "RUNNING"]
    until(lambda: [job["status"] for job in recorded.jobs("list")["jobs"]] == states)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    return recorded


def test_jobs_that_are_over_are_listed_with_how_they_ended(recorded: Recorded) -> None:
    worked, failed, cancelled = recorded.jobs("list")["jobs"]
    told = [(job["name"], job["status"], job["frames"], job["tokens"], job["errors"]) for job in (worked, failed)]
    assert told == [("joining", "FINISHED", 1, 4, 0), ("failing", "FAILED", 1, 1, 1)]
    assert (cancelled["name"], cancelled["status"]) == ("waiting", "ABORTED")
    assert (worked["params"], worked["sites"]) == (["other", "word"], ["left", "right"])
    assert worked["ended"] > worked["since"]
    shown = recorded.dfm("jobs", "list", "small")
    assert shown.returncode == 0 and shown.stderr == ""
    assert [re.sub(r"[\d.]+ (µs|ms|s)\b", "0 s", line) for line in shown.stdout.splitlines()] == [
        f"{worked['id']:<12} finished  joining              1 frame, 4 tokens, 0 errors, 0 s long, ended 0 s ago",
        f"{failed['id']:<12} failed    failing              1 frame, 1 token, 1 error, 0 s long, ended 0 s ago",
        f"{cancelled['id']:<12} aborted   waiting              1 frame, 0 tokens, 0 errors, 0 s long, ended 0 s ago",
    ]


def test_a_job_that_is_over_is_shown_with_its_sites_errors_and_what_each_operation_took(recorded: Recorded) -> None:
    worked, failed, _ = recorded.jobs("list")["jobs"]
    nodes = recorded.jobs("show", worked["id"])["nodes"]
    calls = {(one["operation"], one["site"]): one["calls"] for one in nodes}
    assert calls == {("text.Join", "left"): 1, ("text.Join", "right"): 1, ("text.Count", "left"): 1}
    assert sum(one["sent"] for one in nodes) > 0 and all(one["longest"] < 60 for one in nodes)
    shown = recorded.dfm("jobs", "show", "small", failed["id"]).stdout
    error = r"error          site left, fail.Raise, frame 0, from \S+\.py:\d+: ValueError: no \\x1b\[2J luck\n"
    assert re.search(error, shown), shown
    assert "operation      fail.Raise at left: 1 call, 1 failed, " in shown
    assert "parameters     none\nsites          left\n" in shown


def test_a_jobs_calls_are_told_drawn_and_written_for_viewers(recorded: Recorded, tmp_path: Path) -> None:
    worked, failed, _ = recorded.jobs("list")["jobs"]
    lines = recorded.dfm("jobs", "trace", "small", worked["id"]).stdout.splitlines()
    what = [line.split(None, 3)[3] for line in lines]
    assert what[0] == "frame 0 began" and what[-1] == "the job was over: FINISHED"
    assert sum("text.Join, frame 0: " in line for line in lines) == 2
    svg, chrome = tmp_path / "job.svg", tmp_path / "job.json"
    drawn = recorded.dfm("jobs", "trace", "small", failed["id"], "--svg", str(svg), "--chrome", str(chrome))
    assert (drawn.returncode, drawn.stdout) == (0, "")
    assert ">left<" in svg.read_text() and "ValueError at left: no [2J luck" in svg.read_text()
    events = json.loads(chrome.read_text())["traceEvents"]
    assert {event["name"] for event in events if event["ph"] == "X"} == {"fail.Raise"}
    document = recorded.jobs("trace", failed["id"])
    assert document["job"]["pipeline"] == "failing" and document["entries"][-1]["what"] == "ended"
    refused = recorded.dfm("jobs", "trace", "small", failed["id"], "--svg", str(svg / "job.svg"))
    assert refused.returncode == 1 and "error[jobs-not-written]: " in refused.stderr
    refused = recorded.dfm("jobs", "trace", "small", "../../secret")
    assert refused.returncode == 1 and "there is no job `../../secret` here" in refused.stderr


def test_before_the_first_job_there_are_none_yet(own: Small, tmp_path: Path) -> None:
    none = Recorded(own, tmp_path)
    listed = none.dfm("jobs", "list", "small")
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "there are no jobs yet\n")
    assert none.jobs("list") == {"jobs": []}
    # Whoever asks for a federation that runs is told that it does not.
    running = none.dfm("jobs", "list", "small", "--poc")
    assert running.returncode == 2 and "has no startup kits" in running.stderr
    shown = none.dfm("jobs", "show", "small", "some-1")
    assert shown.returncode == 1
    first, second = shown.stderr.split("error[")[1:]
    assert "there is no job `some-1` here" in first and "there are no jobs yet" in first
    assert "has no startup kits" in second


@pytest.mark.parametrize("what", ["show", "logs", "cancel", "results"])
def test_a_job_that_is_not_there_is_told_before_that_no_federation_runs(recorded: Recorded, what: str) -> None:
    ids = [job["id"] for job in recorded.jobs("list")["jobs"]]
    refused = recorded.dfm("--json", "jobs", what, "small", f"{ids[0]}0")
    problems = json.loads(refused.stdout)["problems"]
    assert refused.returncode == 1
    assert [one["code"] for one in problems] == ["jobs-no-record", "submit-not-provisioned"]
    assert problems[0]["message"] == f"there is no job `{ids[0]}0` here"
    assert problems[0]["help"] == f"did you mean `{ids[0]}`? There are: {', '.join(ids)}"


def test_a_job_that_is_over_cannot_be_cancelled(recorded: Recorded) -> None:
    worked, failed, _ = recorded.jobs("list")["jobs"]
    for job, status in ((worked, "finished"), (failed, "failed")):
        refused = recorded.dfm("jobs", "cancel", "small", job["id"])
        told = rf"error\[jobs-over\]: `{job['id']}` is over, so that there is nothing to cancel: {status} \d+ \w+ ago\n"
        assert refused.returncode == 1 and re.match(told, refused.stderr), refused.stderr


def test_two_jobs_are_set_beside_each_other(recorded: Recorded) -> None:
    worked, failed, _ = recorded.jobs("list")["jobs"]
    both = recorded.jobs("compare", worked["id"], failed["id"])
    assert (both["a"]["id"], both["b"]["id"]) == (worked["id"], failed["id"])
    sides = {(pair["operation"], pair["a"] is None, pair["b"] is None) for pair in both["nodes"]}
    assert sides == {("text.Join", False, True), ("text.Count", False, True), ("fail.Raise", True, False)}
    shown = recorded.dfm("jobs", "compare", "small", worked["id"], failed["id"]).stdout
    assert "status\n  a  finished\n  b  failed\n" in shown
    assert re.search(r"fail\.Raise\n  a  none\n  b  at left: 1 call, 1 failed, ", shown)


def test_a_record_has_no_values_and_is_for_the_user_alone(recorded: Recorded) -> None:
    files = list(recorded.folder.iterdir())
    assert len(files) == 3
    assert recorded.folder.stat().st_mode & 0o777 == 0o700
    for file in files:
        text = file.read_text()
        assert "secretive" not in text and "hidden" not in text
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_record_that_somebody_has_spoilt_acts_on_no_terminal_and_hides_no_other(
    recorded: Recorded, tmp_path: Path
) -> None:
    worked, *_ = recorded.jobs("list")["jobs"]
    spoilt = Recorded(recorded.small, tmp_path)
    spoilt.folder.mkdir(parents=True)
    text = (recorded.folder / f"{worked['id']}.jsonl").read_text()
    (spoilt.folder / "good-1.jsonl").write_text(text)
    (spoilt.folder / "newer-1.jsonl").write_text(text.replace('"dfm_events":1', '"dfm_events":7', 1))
    (spoilt.folder / "cut-1.jsonl").write_text(text.replace('"joining"', r'"\u001b[2J\n"')[:-5])
    (spoilt.folder / "none-1.jsonl").write_text("\x1b[2J")
    listed = spoilt.dfm("jobs", "list", "small")
    assert listed.returncode == 0 and "\x1b" not in listed.stdout + listed.stderr
    assert len(listed.stdout.splitlines()) == 2
    assert "job `newer-1` is left out: its record has version 7 of the format, and this dfm reads version 1" in (
        listed.stderr
    )
    assert "job `none-1` is left out: its record does not begin as one does" in listed.stderr
    shown = spoilt.dfm("jobs", "show", "small", "cut-1")
    assert "\x1b" not in shown.stdout and "record         not whole" in shown.stdout
    refused = spoilt.dfm("jobs", "show", "small", "newer-1")
    assert refused.returncode != 0 and "version 7 of the format" in refused.stderr


def test_no_record_is_kept_where_that_is_not_wanted(own: Small, tmp_path: Path) -> None:
    quiet = Recorded(own, tmp_path)
    assert quiet.submit("--", "failing", more={"DFM_HISTORY": "0"}).returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_a_job_whose_record_cannot_be_written_does_its_work_all_the_same(own: Small, tmp_path: Path) -> None:
    (tmp_path / "dfm").write_text("a file where a folder should be")
    done = Recorded(own, tmp_path).submit("--param", "word=a", "--param", "other=b", "--", "joining")
    assert done.returncode == 0 and "out [0]: a+b@left+nothing@right\n" in done.stdout
    assert done.stderr.count("warning: not every job of this session has its record: ") == 1
