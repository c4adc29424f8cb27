"""What do sites' texts and other users of the machine do to the page of `dfm ui`, and such texts to a terminal?

What a browser makes of it is tried in `tests/ui`.
"""
# pyright: basic

import errno
import json
import os
import re
import signal
import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest
from eventually import until
from served_page import Page, served, start
from small_federation import Small

TEXTS = (
    "<img src=x onerror=alert(1)>",
    "</title></svg><script>alert(1)</script>",
    "]]><!--&#60;script&#62;",
    "\x1b]0;mine\x07\x1b[2J",
    "\u202egnp.exe\u2066",
    "\"' onload='alert(1)",
    "javascript:alert(1)//\r\nX-Header: mine",
)
DRAWN = {"svg", "g", "rect", "path", "text", "title", "defs", "marker"}


def record(text: str) -> str:
    """A job whose every text is this one."""
    node = {"node": text, "operation": text, "site": text, "provider": text}
    step = {"node": text, "label": text, "site": text, "kind": "call", "levels": 1}
    out = {"node": 1, "label": text, "site": "home", "kind": "yield", "levels": 1}
    about = {"federation": text, "pipeline": text, "target": text, "homesite": text, "params": [text]}
    plan = {"steps": [step, out], "edges": [{"from": 0, "to": 1}]}
    at = {"site": text, "node": text, "frame": [0], "at": 1e9}
    told = {"operation": text, "kind": text, "message": text, "line": text, "trace": text}
    lines = [
        {"dfm_events": 1, "job": "evil-1", "at": 1e9, "nodes": [node], "plan": plan} | about,
        {"what": "started", "frame": [0], "at": 1e9},
        {"what": "fired", "seconds": 1.0, "waited": 0.0, "failed": True} | at,
        {"what": "sent", "to": text, "bytes": 1} | at,
        {"what": "said", "level": text, "logger": text, "text": text} | at,
        {"what": "error"} | at | told,
        {"what": "ended", "at": 1e9 + 1, "status": text, "frames": 1, "tokens": 0, "errors": 1},
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("text", TEXTS)
def test_what_a_record_says_is_text_on_the_page_and_on_a_terminal(own: Small, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "dfm" / "history" / "small"
    folder.mkdir(parents=True)
    (folder / "evil-1.jsonl").write_text(record(text))
    with served(own, tmp_path) as page:
        (job,) = page.get("/api/jobs")["jobs"]
        whole = page.get("/api/jobs/small/evil-1")
        assert job["name"] == text and whole["summary"]["failures"][0]["message"] == text
        for drawing in page.get("/api/jobs/small/evil-1/drawings").values():
            # Any parser of XML reads it, and finds nothing but what is drawn.
            for piece in ElementTree.fromstring(drawing).iter():
                assert piece.tag.rpartition("}")[2] in DRAWN
                assert not [name for name in piece.attrib if name.startswith("on") or "href" in name]
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", drawing)
        assert "X-Header" not in page.headers
    for words in (
        ["list", "small"],
        ["show", "small", "evil-1"],
        ["logs", "small", "evil-1"],
        ["trace", "small", "evil-1"],
    ):
        told = own.run("jobs", *words, more={"XDG_STATE_HOME": str(tmp_path)})
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", told.stdout + told.stderr)


def test_the_page_has_no_way_to_make_markup_of_text() -> None:
    page = Path(__file__).parents[2] / "crates" / "dfm-cli" / "src" / "ui" / "page"
    for way in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "srcdoc",
        "createContextualFragment",
    ):
        assert way not in (page / "page.js").read_text(), way
    assert not re.search(r"\son\w+=", (page / "index.html").read_text())


def test_what_had_the_pages_port_before_is_asked_nothing(own: Small, tmp_path: Path) -> None:
    """What a browser keeps, such as a worker that answers for all pages of a name, is kept by name and port."""
    with served(own, tmp_path) as page:
        before, port = page.host, page.port
    process = start(own, tmp_path, "--port", str(port))
    try:
        page = Page(process)
        assert page.port == port and page.host != before
        assert all(re.fullmatch(r"dfm-[0-9a-f]{16}\.localhost:[0-9]+", host) for host in (before, page.host))
        assert page.ask("/api/jobs")[0] == 200
        assert page.ask("/", {"Host": before})[0] == 403
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)


def test_nobody_else_answers_where_a_browser_looks_for_the_page(own: Small, tmp_path: Path) -> None:
    """A name that means this machine has two addresses, of which browsers try either."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
            process = start(own, tmp_path, "--port", str(taken.getsockname()[1]))
            out, _ = process.communicate(timeout=120)
    except OSError as error:
        assert error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
        pytest.skip("this machine has one address alone")
    (problem,) = json.loads(out)["problems"]
    assert process.returncode == 1 and problem["code"] == "ui-port"
    with served(own, tmp_path) as page, pytest.raises(OSError, match="in use"):
        socket.create_server(("::1", page.port), family=socket.AF_INET6)


def test_no_other_user_sees_what_is_typed_into_the_page(own: Small, tmp_path: Path) -> None:
    fifo = tmp_path / "typed-in"
    os.mkfifo(fifo)
    own.save("wait.json", "fail.Wait", {"fifo": {"param": "fifo", "multiuse": False}})
    with served(own, tmp_path) as page:
        (saved,) = [one for one in page.get("/api/pipelines")["pipelines"] if one["name"] == "wait"]
        wanted = {"federation": "small", "file": saved["file"], "target": "local", "params": {"fifo": str(fifo)}}
        status, body = page.ask("/api/submit", method="POST", body=json.dumps(wanted))
        assert status == 200, body
        # It runs, and does not end by itself.
        assert Path(f"/proc/{int(fifo.read_text())}").exists()
        lines = [line for line in map(begun_with, os.listdir("/proc")) if b"wait.json" in line]
        assert len(lines) >= 2 and not [line for line in lines if fifo.name.encode() in line]
        page.ask(f"/api/submitted/{json.loads(body)['id']}/cancel", method="POST")
        until(lambda: page.get("/api/submitted")["submitted"][0]["ended"] is not None)
    (own.folder / "wait.json").unlink()


def begun_with(process: str) -> bytes:
    """What every user of the machine sees of a process."""
    try:
        return Path("/proc", process, "cmdline").read_bytes() if process.isdecimal() else b""
    except OSError:
        return b""
