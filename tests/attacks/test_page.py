"""Does what a site has written act on the page of `dfm ui`, or on a terminal that tells of the same job?

What a browser makes of it is tried in `tests/ui`.
"""
# pyright: basic

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from served_page import served
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
