"""Is a job that was recorded run again from its file alone, and is it told where that goes otherwise?"""
# pyright: basic

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from small_federation import ADAPTERS, Small

pytestmark = pytest.mark.timeout(120)

PIPELINES = """\
from dfm.api import Pipeline, PlaceParam, Yield
from small.fed.api import fail, make, text

def get_pipeline(args):
    with Pipeline(name=args[0]) as p:
        if args[0] == "joining":
            first = text.Join(site="left", first=PlaceParam(place="word"))
            Yield(value=text.Join(site="home", first=first, second="here"), place="out")
            Yield(value=text.Count(to=1500), place="numbers")
        elif args[0] == "elsewhere":
            Yield(value=text.Join(site="left", first=PlaceParam(place="word")), place="out")
            Yield(value=make.Value(kind="array"), place="large")
        elif args[0] == "failing":
            Yield(value=text.Join(site="home", first=fail.Raise(message="no luck"), second="x"), place="out")
        else:
            Yield(value=fail.Wait(fifo=args[1]), place="out")
    return p
"""


class Recorded:
    """The federation, and recordings of its jobs."""

    def __init__(self, small: Small) -> None:
        self.small = small
        self.pipelines = str(small.write("pipelines.py", PIPELINES))

    def submit(self, file: str, *words: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        line = ["fed", "submit", "small", "--target", "local", "--record", file, *options, "pipeline", self.pipelines]
        return self.small.run(*line, *words)

    def replay(self, file: str, *options: str) -> subprocess.CompletedProcess[str]:
        return self.small.run("fed", "replay", file, *options)

    def path(self, file: str) -> Path:
        return self.small.folder / file

    def lines(self, file: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path(file).read_text().splitlines()]


@pytest.fixture(scope="module")
def recorded(own: Small) -> Recorded:
    """A job that worked and one that failed."""
    recorded = Recorded(own)
    done = recorded.submit("joining.jsonl", "--param", "word=secretive", "--", "joining")
    assert done.returncode == 0, done.stderr
    assert "recorded in joining.jsonl, with all values that came here: " in done.stderr
    assert recorded.submit("failing.jsonl", "--", "failing").returncode == 1
    return recorded


def test_the_applications_steps_run_again_and_the_others_are_what_they_had_sent(recorded: Recorded) -> None:
    done = recorded.replay("joining.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [re.sub(r"[\d.]+ s\b", "0 s", line) for line in done.stdout.splitlines()]
    assert re.fullmatch(r"job \w+-1, joining of small, recorded [-\d]+ [:\d]+Z at home on local: finished", told[0])
    assert "[0] begins  word='secretive'" in told and "left  text.Join [0] took 0 s" in told
    at = told.index("1 home  text.Join [0]  first='secretive+nothing@left'  second='here'")
    result = "secretive+nothing@left+here@home"
    assert told[at + 1] == f"    '{result}'  (as then)"
    assert f"out [0] from home: {result}" in told
    assert [line for line in told if line.startswith("numbers")] == [f"numbers [0] from left: {n}" for n in range(1500)]
    assert told[-1] == "as then: 1 call at home, 1 came to what it had come to; the job had finished"
    documents = [json.loads(line) for line in recorded.replay("joining.jsonl", "--json").stdout.splitlines()]
    call = {"site": "home", "operation": "text.Join", "frame": [0]}
    given = {"first": "secretive+nothing@left", "second": "here"}
    (made,) = [one for one in documents if "call" in one]
    assert made["call"] == {**call, "node": made["call"]["node"], "given": given}
    assert (made["now"], made["same"]) == ({"value": result}, True)
    assert documents[-1]["replayed"]["difference"] is None


def test_what_goes_otherwise_is_told(recorded: Recorded) -> None:
    library = recorded.path("small/lib.py")
    try:
        library.write_text(ADAPTERS.replace('return f"{first}+{second}', 'return f"{first}-{second}'))
        done = recorded.replay("joining.jsonl")
        then, now = "'secretive+nothing@left+here@home'", "'secretive+nothing@left-here@home'"
        assert done.returncode == 1, done.stderr
        assert f"    now   {now}\n    then  {then}\n" in done.stdout
        end = f"the first difference: text.Join [0] at home: then {then}, now {now}"
        assert done.stdout.splitlines()[-1] == f"differs: 1 call at home, 0 as then; {end}"
        library.write_text(ADAPTERS.replace('return f"{first}+{second}', 'raise KeyError(first) from None  # f"'))
        done = recorded.replay("joining.jsonl")
        assert done.returncode == 1 and "    now   KeyError: " in done.stdout
    finally:
        library.write_text(ADAPTERS)


def test_no_code_that_lies_beside_a_recording_is_imported(recorded: Recorded, tmp_path: Path) -> None:
    # As where somebody unpacks what a stranger has sent.
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "__init__.py").write_text("raise SystemExit('planted')")
    done = recorded.small.run("fed", "replay", str(recorded.path("joining.jsonl")), cwd=tmp_path, config=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_failure_comes_again(recorded: Recorded) -> None:
    done = recorded.replay("failing.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert "left  fail.Raise [0] error: ValueError: no luck" in lines
    assert lines[-1] == "as then: 0 calls at home, 0 came to what they had come to; the job had failed"
    assert "ended: failed, 1 token, 1 error\n" in recorded.replay("failing.jsonl", "--tell").stdout


def test_the_debugger_stops_in_each_adapter(recorded: Recorded) -> None:
    line = recorded.small.command("fed", "replay", "joining.jsonl", "--pdb")
    done = subprocess.run(
        line,
        cwd=recorded.small.folder,
        env=recorded.small.environment(),
        input="args\ncontinue\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"lib\.py\(\d+\)body\(\)", done.stdout) and "first = 'secretive+nothing@left'" in done.stdout
    assert "(as then)" in done.stdout


@pytest.mark.parametrize("values", ["hash", "none"])
def test_values_are_left_out(recorded: Recorded, values: str) -> None:
    pytest.importorskip("numpy")
    file = f"{values}.jsonl"
    done = recorded.submit(file, "--param", "word=secretive", "--", "elsewhere", options=("--record-values", values))
    assert done.returncode == 0 and "with all values" not in done.stderr, done.stderr
    lines = recorded.lines(file)
    packets = [line for line in lines if line.get("what") == "packet"]
    assert packets and not any("data" in one for one in packets)
    digests = [one["sha256"] for one in packets if "sha256" in one]
    assert bool(digests) == (values == "hash") and all(re.fullmatch("[0-9a-f]{64}", one) for one in digests)
    assert "secretive" not in recorded.path(file).read_text()
    told = recorded.replay(file)
    assert told.returncode == 0 and "the job is only told, not run: it has " in told.stderr, told.stderr
    assert re.search(r"^left  text\.Join \[0\] took [\d.]+ s$", told.stdout, re.MULTILINE)
    assert re.search(r"^left  value for '?\w+'? \[0\] \d+ bytes", told.stdout, re.MULTILINE), told.stdout


def test_a_recording_is_the_users_alone_and_nothing_is_left_beside_it(recorded: Recorded) -> None:
    assert recorded.path("joining.jsonl").stat().st_mode & 0o777 == 0o600
    assert list(recorded.small.folder.glob("*.part")) == []


def test_a_job_without_steps_of_its_own_is_told_with_its_values(recorded: Recorded) -> None:
    pytest.importorskip("numpy")
    assert recorded.submit("elsewhere.jsonl", "--param", "word=a", "--", "elsewhere").returncode == 0
    done = recorded.replay("elsewhere.jsonl", "--federation", "small")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "out [0] from left: a+nothing@left\n" in done.stdout and "array([[0, 1, 2]" in done.stdout
    told = recorded.replay("elsewhere.jsonl", "--tell").stdout
    assert "parameters" in told and "ended: finished, 2 tokens, 0 errors" in told


def test_a_job_that_was_cancelled_is_recorded_as_far_as_it_came(recorded: Recorded) -> None:
    os.mkfifo(fifo := recorded.path("waits"))
    words = ["pipeline", recorded.pipelines, "--", "waiting", str(fifo)]
    line = ["fed", "submit", "small", "--target", "local", "--record", "cancelled.jsonl", *words]
    small = recorded.small
    running = subprocess.Popen(small.command(*line), cwd=small.folder, env=small.environment(), stderr=subprocess.PIPE)
    fifo.read_text()
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=120)
    assert recorded.lines("cancelled.jsonl")[-1]["status"] == "ABORTED"
    assert "ended: aborted, 0 tokens, 0 errors\n" in recorded.replay("cancelled.jsonl", "--tell").stdout
    done = recorded.replay("cancelled.jsonl")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the job is not at its end where the recording is" in done.stdout
    # As where the application was killed while it wrote.
    text = recorded.path("joining.jsonl").read_text()
    recorded.path("cut.jsonl").write_text(text[: len(text) // 2])
    done = recorded.replay("cut.jsonl")
    assert done.returncode == 0 and ": cut short: " in done.stdout.splitlines()[0], done.stdout + done.stderr


def test_what_is_no_recording_is_refused_with_its_line_and_what_to_do(recorded: Recorded) -> None:
    first, *rest = recorded.path("joining.jsonl").read_text().splitlines()

    def refused(text: str | None, *options: str) -> str:
        if text is not None:
            recorded.path("bad.jsonl").write_text(text)
        done = recorded.replay("bad.jsonl" if text is not None else "nowhere.jsonl", *options)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    assert "error[replay-unreadable]: `nowhere.jsonl` cannot be replayed: " in refused(None)
    recorded.path("nowhere.jsonl.a1-1.part").write_text(first)
    assert "`nowhere.jsonl.a1-1.part` is what was recorded until" in refused(None)
    assert "error[replay-no-recording]: `bad.jsonl`, line 1: " in refused("no JSON")
    record = first.replace('"dfm_recording":1,', "")
    assert "it is a job's record, which tells what happened but not what to run again" in refused(record)
    newer = refused(first.replace('"dfm_recording":1', '"dfm_recording":2'))
    assert "error[replay-version]: `bad.jsonl`, line 1: it has version 2 of the format" in newer
    spoilt = refused("\n".join([first, rest[0], '{"what":"new"}', rest[1], ""]))
    assert "`bad.jsonl`, line 3: the line is nothing that a recording has: unknown variant `new`" in spoilt
    torn = "\n".join([first, rest[0][:-20], rest[1], ""])
    assert "error[replay-no-recording]: `bad.jsonl`, line 2: " in refused(torn)
    other = refused(first.replace('"federation":"small"', '"federation":"weather"'))
    assert "error[replay-other-federation]: `bad.jsonl` is of a job of the code package `weather`" in other
    moved = refused(first.replace('"homesite":"home"', '"homesite":"hom"'))
    assert "`hom`, which `small` does not have" in moved and "`home` may be it now" in moved
    script = recorded.small.run("fed", "submit", "small", "--record", "x", "script", "pipelines.py")
    assert script.returncode == 2 and "error[submit-record-script]: " in script.stderr
    nowhere = recorded.submit("no/folder.jsonl", "--", "failing")
    assert nowhere.returncode == 1 and "the job cannot be recorded in no/folder.jsonl: " in nowhere.stderr
