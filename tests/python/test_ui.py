"""Does `dfm ui` show federations and jobs to who has its address, and nothing to anybody else?"""
# pyright: basic

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from eventually import until
from served_page import Page, served, start
from small_federation import Small

pytestmark = pytest.mark.timeout(60)

PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import fail, text

def get_pipeline(args):
    with Pipeline(name=args[0]) as p:
        if args[0] == "joining":
            first = text.Join(site="left", first="a", second="b")
            Yield(value=text.Join(site="right", first=first), place="out")
        else:
            Yield(value=fail.Raise(message="<script>alert(1)</script>"), place="out")
    return p
"""


STREAM = """\
from dfm.api import Pipeline, PlaceParam, Yield
from small.fed.api import text
from small.fed.runtime.home import get_session

with Pipeline(name="streaming") as pipeline:
    first = text.Join(site="left", first=PlaceParam(place="word"), second="b")
    Yield(value=text.Join(site="right", first=first), place="out")
with get_session(target="local") as session:
    job = session.execute(pipeline, [{"word": "a"}] * 20_000)
    assert job.wait_until_finished(150)
"""


@pytest.fixture(scope="module")
def state(own: Small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a job that worked and of one that failed."""
    state = tmp_path_factory.mktemp("state")
    pipeline = str(own.write("pages.py", PIPELINE))
    for name in ("joining", "failing"):
        line = ["fed", "submit", "small", "--target", "local", "pipeline", pipeline, "--", name]
        own.run(*line, more={"XDG_STATE_HOME": str(state)})
    return state


@pytest.fixture(scope="module")
def page(own: Small, state: Path) -> Iterator[Page]:
    with served(own, state) as page:
        yield page


def test_federations_are_shown_with_their_sites_and_operations(page: Page) -> None:
    (federation,) = page.get("/api/federations")["federations"]
    assert federation["name"] == "small" and not federation["poc"]
    sites = {site["name"]: [one["name"] for one in site["operations"]] for site in federation["sites"]}
    assert "text.Join" in sites["left"] and "text.Join" in sites["right"]


def test_jobs_are_shown_with_how_they_ended_and_why(page: Page) -> None:
    failed, worked = page.get("/api/jobs")["jobs"]
    assert (worked["name"], worked["status"], worked["federation"]) == ("joining", "FINISHED", "small")
    assert (failed["name"], failed["status"], failed["errors"]) == ("failing", "FAILED", 1)
    whole = page.get(f"/api/jobs/small/{failed['id']}")
    assert whole["summary"]["failures"][0]["operation"] == "fail.Raise"
    # A text that a site made is no markup in a drawing either.
    timeline = page.get(f"/api/jobs/small/{failed['id']}/drawings")["timeline"]
    assert "<script" not in timeline and "&lt;script" in timeline
    # What was seen is not told again.
    assert page.ask(f"/api/jobs/small/{failed['id']}?seen={whole['seen']}")[0] == 204


def test_a_jobs_plan_is_drawn_and_told_how_far_it_is(page: Page) -> None:
    failed, worked = page.get("/api/jobs")["jobs"]
    whole = page.get(f"/api/jobs/small/{worked['id']}")
    steps = [(step["label"], step["site"], step["kind"]) for step in whole["plan"]["steps"]]
    assert steps == [("text.Join", "left", "call"), ("text.Join", "right", "call"), ("yield out", "home", "yield")]
    assert [step["done"] for step in whole["flow"]["steps"]] == [1, 1, 1]
    assert [(edge["moved"], edge["bytes"] > 0) for edge in whole["flow"]["edges"]] == [(1, True), (1, True)]
    svg = page.get(f"/api/jobs/small/{worked['id']}/drawings")["plan"]
    assert svg.count("data-step") == 3 and "text.Join at right" in svg
    lost = page.get(f"/api/jobs/small/{failed['id']}")["flow"]["steps"]
    assert [(step["done"], step["failed"], step["without"]) for step in lost] == [(0, 1, 0), (0, 0, 1)]


@pytest.mark.timeout(180)
def test_the_counts_of_a_stream_stay_exact_beyond_what_a_record_tells_one_by_one(
    own: Small, page: Page, state: Path
) -> None:
    own.write("stream.py", STREAM)
    environment = own.environment({"XDG_STATE_HOME": str(state), "PYTHONPATH": str(own.folder)})
    subprocess.run([sys.executable, "stream.py"], cwd=own.folder, env=environment, check=True)
    (job,) = [job for job in page.get("/api/jobs")["jobs"] if job["name"] == "streaming"]
    assert (job["status"], job["frames"], job["tokens"]) == ("FINISHED", 20_000, 20_000)
    whole = page.get(f"/api/jobs/small/{job['id']}")
    assert whole["summary"]["left_out"] > 0 and whole["summary"]["whole"]
    assert [step["done"] for step in whole["flow"]["steps"]] == [20_000] * 3
    left, right = whole["summary"]["nodes"]
    assert [(edge["moved"], edge["bytes"]) for edge in whole["flow"]["edges"]] == [
        (20_000, left["sent"]),
        (20_000, right["sent"]),
    ]
    assert left["calls"] == right["calls"] == 20_000 > left["timed"] > 1000
    # Each value is as long as the others.
    assert left["sent"] % 20_000 == 0 < left["sent"]
    record = state / "dfm" / "history" / "small" / f"{job['id']}.jsonl"
    more = [line for line in map(json.loads, record.read_text().splitlines()) if line.get("what") == "more"]
    keys = [(one["site"], one["of"], one.get("node"), one.get("to")) for one in more]
    assert len(set(keys)) == len(keys) and {one["of"] for one in more} >= {"started", "done", "sent", "came"}
    record.unlink()


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": ""},
        {"Authorization": "Bearer " + "0" * 64},
        {"Host": "evil.example"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_who_has_not_the_address_or_comes_from_another_page_is_refused(page: Page, headers: dict[str, str]) -> None:
    for path in ("/api/jobs", "/api/federations", "/api/nothing"):
        status, body = page.ask(path, headers)
        assert status == 403 and list(json.loads(body)) == ["error"]


def test_who_opens_connections_and_says_nothing_keeps_nobody_from_the_page(page: Page) -> None:
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(("127.0.0.1", page.port))) for _ in range(100)]
        assert page.get("/api/federations")
        silent[0].settimeout(60)
        assert silent[0].recv(1) == b"", "the oldest has given way"


def test_the_page_asks_nobody_else_and_runs_nothing_else(page: Page) -> None:
    for path, kind in (
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/drawing.js", "text/javascript"),
        ("/form.js", "text/javascript"),
    ):
        status, body = page.ask(path, {"Authorization": ""})
        assert status == 200 and page.headers["Content-Type"].startswith(kind)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert page.headers["Cache-Control"] == "no-store" and page.token.encode() not in body
        assert b"//" not in body.replace(b"http://www.w3.org/2000/svg", b"") or kind == "text/javascript"
    assert page.ask("/", {"Host": "evil.example"})[0] == 403
    assert page.ask("/../page.js")[0] == 404


def test_jobs_are_not_found_outside_of_the_records(page: Page) -> None:
    for path in ("/api/jobs/small/..%2f..%2fx", "/api/jobs/small/..", "/api/jobs/none/x", "/api/jobs/small/x"):
        assert page.ask(path)[0] == 404


def test_a_record_that_is_cut_short_or_newer_is_told(own: Small, page: Page, state: Path) -> None:
    folder = state / "dfm" / "history" / "small"
    whole = next(folder.glob("*.jsonl")).read_bytes()
    newer, cut = folder / "newer-1.jsonl", folder / "cut-1.jsonl"
    newer.write_text('{"dfm_events": 2}\n')
    cut.write_bytes(whole[: len(whole) - 20])
    try:
        jobs = page.get("/api/jobs")["jobs"]
        (told,) = [job["problem"] for job in jobs if job["id"] == "newer-1"]
        assert "version 2" in told
        status, body = page.ask("/api/jobs/small/newer-1")
        assert status == 404 and b"version 2" in body
        assert not page.get("/api/jobs/small/cut-1")["summary"]["whole"]
    finally:
        newer.unlink()
        cut.unlink()


def test_only_a_saved_pipeline_is_submitted(own: Small, page: Page) -> None:
    own.save_join()
    (saved,) = page.get("/api/pipelines")["pipelines"]
    assert saved["params"]["word"]["schema"] == {"type": "string"}
    wanted = {"federation": "small", "file": saved["file"], "target": "local", "params": {"word": "--json"}}
    for wrong, status in (
        ({"file": str(own.folder / "pages.py")}, 404),
        ({"params": {"other": 1}}, 400),
        ({"target": "elsewhere"}, 400),
        ({"more": 1}, 400),
    ):
        assert page.ask("/api/submit", method="POST", body=json.dumps(wanted | wrong))[0] == status
    assert page.ask("/api/submit", {"Authorization": ""}, "POST", json.dumps(wanted))[0] == 403
    assert page.get("/api/submitted")["submitted"] == []
    assert page.ask("/api/submit", method="POST", body=json.dumps(wanted))[0] == 200
    until(lambda: page.get("/api/submitted")["submitted"][0]["ended"] is not None)
    (done,) = page.get("/api/submitted")["submitted"]
    assert done["ended"] == 0 and "--json" in done["said"], done["said"]


def test_what_was_submitted_is_cancelled_with_its_job(own: Small, page: Page, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    own.save("wait.json", "fail.Wait", {"fifo": {"param": "fifo", "multiuse": False}})
    try:
        (saved,) = [one for one in page.get("/api/pipelines")["pipelines"] if one["name"] == "wait"]
        wanted = {"federation": "small", "file": saved["file"], "target": "local", "params": {"fifo": str(fifo)}}
        status, body = page.ask("/api/submit", method="POST", body=json.dumps(wanted))
        assert status == 200, body
        begun = json.loads(body)["id"]
        # It runs, and does not end by itself.
        worker = int(fifo.read_text())
        until(lambda: [job["status"] for job in page.get("/api/jobs")["jobs"][:1]] == ["RUNNING"])
        assert page.ask("/api/submitted/99/cancel", method="POST")[0] == 404
        assert page.ask(f"/api/submitted/{begun}/cancel", {"Authorization": ""}, "POST")[0] == 403
        assert page.ask(f"/api/submitted/{begun}/cancel", method="POST")[0] == 200
        until(lambda: page.get("/api/submitted")["submitted"][0]["ended"] is not None)
        assert page.get("/api/submitted")["submitted"][0]["ended"] != 0
        assert page.get("/api/jobs")["jobs"][0]["status"] in ("ABORTED", "UNKNOWN")
        until(lambda: not Path(f"/proc/{worker}").exists())
    finally:
        (own.folder / "wait.json").unlink()


def test_a_port_that_is_taken_is_told(own: Small, state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(own, state, "--port", str(taken.getsockname()[1]))
        out, _ = process.communicate(timeout=120)
    (problem,) = json.loads(out)["problems"]
    assert process.returncode == 1 and problem["code"] == "ui-port" and "--port" in problem["help"]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_asked_to_and_leaves_nothing(own: Small, state: Path, tmp_path: Path, sign: int) -> None:
    opener = tmp_path / "xdg-open"
    opener.write_text(f"#!/bin/sh\nmkdir {tmp_path}/opened\n")
    opener.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    environment = own.environment({"XDG_STATE_HOME": str(state), "XDG_RUNTIME_DIR": str(tmp_path), "PATH": path})
    process = subprocess.Popen(
        own.command("--json", "ui"), cwd=own.folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    page = Page(process)
    # The browser gets a file that only the user can read, and not the address, which all would see among its arguments.
    until((tmp_path / "opened").exists)
    (left,) = list(tmp_path.glob("dfm-ui-*.html"))
    assert left.stat().st_mode & 0o777 == 0o600 and page.address in left.read_text()
    process.send_signal(sign)
    process.communicate(timeout=120)
    assert process.returncode == 0 and not list(tmp_path.glob("dfm-ui-*"))
    with pytest.raises(ConnectionRefusedError):
        page.ask("/")
