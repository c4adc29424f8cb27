"""Does the page of `dfm ui` work in a real browser, and stay calm whatever sites have written?

`make test-ui` runs it; it needs `chromium` on the PATH and `pip install playwright`. With `SCREENSHOTS=FOLDER` it
leaves pictures there for somebody to look at.
"""
# pyright: basic

import fcntl
import http.server
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright  # pyright: ignore[reportMissingImports]
from small_federation import ADAPTERS, CONFIG, Small

# An operation whose parameters are objects and lists within each other.
NESTED = """\
schemas:
  Stop:
    type: object
    properties:
      name: {type: string, maxLength: 8}
      minutes: {type: integer, minimum: 0, default: 5}
      next: {type: array, items: {$ref: "#/schemas/Stop"}}
    required: [name]
operations:
  text.Route:
    description: A way and its stops
    parameters:
      way:
        type: object
        description: The way and all its stops
        properties:
          title: {type: string}
          by: {type: string, enum: [foot, train]}
          stops: {type: array, minItems: 2, items: {$ref: "#/schemas/Stop"}}
          note: {type: [string, "null"]}
        required: [title, stops]
      odd: {type: string, not: {enum: [x]}, default: y}
    required: [way]
    returns: string
"""
ROUTE = """

class Route(Adapter):
    def body(self, way: Any, odd: str) -> str:
        return odd
"""
OFFER = '      "#/operations/text.Route": {adapter: small.lib.Route, is-async: false, args: from-operation}\n'
# It answers for all pages of its name and port, for as long as the browser knows of it.
WORKER = """\
self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(clients.claim()));
const mine = () => new Response("<title>mine</title>", { headers: { "content-type": "text/html" } });
self.addEventListener("fetch", (event) => event.respondWith(mine()));
"""
LEAVES = """\
<script>
const told = () => { document.title = "left"; };
navigator.serviceWorker.register("/worker.js").then(() => navigator.serviceWorker.ready).then(told);
</script>
"""
HOSTILE = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "these tests need a browser: `apt-get install chromium`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("ui")
    small = Small(folder, Path(sys.executable).parent / "dfm")
    small.create()
    small.write("small/lib.py", ADAPTERS + ROUTE)
    first = '      "#/operations/text.Count"'
    config = CONFIG.replace("operations:\n", NESTED, 1).replace(first, OFFER + first, 1)
    small.write("small/configs/federation.dfm.yaml", config)
    small.run("fed", "gen", "code", "small").check_returncode()
    params = {name: {"param": name, "multiuse": False} for name in ("way", "odd")}
    small.save("route.json", "text.Route", params)
    more = {"XDG_STATE_HOME": str(folder / "state")}
    records(folder / "state" / "dfm" / "history" / "small")
    small.save_join()
    small.save("wait.json", "fail.Wait", {"fifo": {"param": "fifo", "multiuse": False}})
    process = subprocess.Popen(
        small.command("--json", "ui", "--no-open"),
        cwd=small.folder,
        env=small.environment(more),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield json.loads(process.stdout.readline())["address"], folder / "state" / "dfm" / "history" / "small"
    process.terminate()
    process.wait(30)


def records(folder: Path) -> None:
    """A job of 200 operations at as many sites, and one whose every text would act if it were markup."""
    folder.mkdir(parents=True)
    head = {"dfm_events": 1, "federation": "small", "target": "local", "homesite": "home", "params": []}
    for name, sites, text in (("large-1", 200, "calm"), ("hostile-1", 2, HOSTILE)):
        at = [text + str(number) for number in range(sites)]
        nodes = [{"node": n, "operation": f"{text}.Do", "site": site, "provider": None} for n, site in enumerate(at)]
        plan = outline(text, at, [{"from": n // 3, "to": n} for n in range(1, sites)])
        lines: list[dict[str, Any]] = [head | {"job": name, "pipeline": text, "at": 1e9, "nodes": nodes, "plan": plan}]
        for number, site in enumerate(at):
            fired = {"what": "fired", "site": site, "node": number, "frame": [0], "at": 1e9 + number}
            lines.append(fired | {"seconds": 1.5, "waited": 0.5, "failed": number == 1})
        told = {"kind": text, "message": text, "site": at[1], "node": 1, "operation": f"{text}.Do", "frame": [0]}
        lines.append({"what": "error", "at": 1e9 + 2} | told)
        said = {"what": "said", "site": at[1], "node": 1, "frame": [0], "at": 1e9, "level": "ERROR"}
        lines.append(said | {"logger": text, "text": text})
        ended = {"what": "ended", "at": 1e9 + sites, "status": "FAILED", "frames": 1, "tokens": 0, "errors": 1}
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, ended]))


def outline(text: str, sites: list[str], edges: list[dict[str, int]]) -> dict[str, Any]:
    steps = [{"node": n, "label": f"{text}.Do", "site": site, "kind": "call"} for n, site in enumerate(sites)]
    return {"steps": [step | {"levels": 1} for step in steps], "edges": edges}


@pytest.fixture
def running(served: Any) -> Iterator[Any]:
    """Adds lines to the record of a job that runs: 200 steps at 8 sites, in rows of 20."""
    _, folder = served
    sites = [f"site{number % 8}" for number in range(200)]
    nodes = [{"node": n, "operation": "calm.Do", "site": site, "provider": None} for n, site in enumerate(sites)]
    plan = outline("calm", sites, [{"from": n - 20 - n % 3, "to": n} for n in range(22, 200)])
    head = {"dfm_events": 1, "federation": "small", "target": "local", "homesite": "home", "params": []}
    with (folder / "runs-1.jsonl").open("w") as record:
        fcntl.flock(record, fcntl.LOCK_EX)

        def add(*lines: dict[str, Any]) -> None:
            record.write("".join(json.dumps(line) + "\n" for line in lines))
            record.flush()

        add(head | {"job": "runs-1", "pipeline": "runs", "at": time.time(), "nodes": nodes, "plan": plan})
        yield add, sites
    (folder / "runs-1.jsonl").unlink()


def fired(site: str, node: int, frame: int, failed: bool = False) -> dict[str, Any]:
    about = {"what": "fired", "site": site, "node": node, "frame": [frame], "at": time.time()}
    return about | {"seconds": 0.1, "waited": 0.0, "failed": failed}


def sent(site: str, node: int, frame: int, to: str) -> dict[str, Any]:
    about = {"what": "sent", "site": site, "node": node, "frame": [frame], "to": to}
    return about | {"at": time.time(), "bytes": 8}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360)])
def test_a_plan_is_followed_by_keyboard_while_its_job_runs(
    browser: Browser, served: Any, running: Any, scheme: Any, width: int
) -> None:
    add, sites = running
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(served[0])
    page.goto(f"{served[0].partition('#')[0]}#/job/small/runs-1")
    first = page.locator("[data-step='0']")
    expect(first).to_be_visible()
    add(*({"what": "started", "frame": [number], "at": time.time()} for number in range(3000)))
    expect(first).to_have_class("busy")
    expect(page.locator("[data-told='0']")).to_have_text("3000 at work")
    expect(page.locator("[data-step='25']")).to_have_class("waiting")
    expect(page.locator(".plan")).to_contain_text("waited for by")
    # Many at once are one change of the page.
    add(*(line for n in range(3000) for line in (fired(sites[1], 1, n), sent(sites[1], 1, n, sites[22]))))
    add(*(fired(sites[5], 5, n, failed=True) for n in range(4)))
    expect(page.locator("path.moving")).not_to_have_count(0)
    expect(page.locator("[data-told='1']")).to_have_text("3000 done")
    expect(page.locator("[data-step='5']")).to_have_class("failed")
    # What has come to its place moves no more.
    expect(page.locator("path.moving")).to_have_count(0)
    first.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    chosen = page.evaluate("Number(document.activeElement.dataset.step)")
    assert chosen > 0
    expect(page.locator(".about")).to_contain_text(f"calm.Do at {sites[chosen]}")
    # Where one looks stays, whatever is told.
    before = page.evaluate("document.querySelector('.drawing').scrollLeft")
    add(fired(sites[2], 2, 0))
    expect(page.locator("[data-told='2']")).to_have_text("1 done, 2999 at work")
    assert page.evaluate("Number(document.activeElement.dataset.step)") == chosen
    assert page.evaluate("document.querySelector('.drawing').scrollLeft") == before
    # However many values there are, the numbers go on.
    more: dict[str, Any] = {"what": "more", "count": 997_000}
    add(more | {"site": "home", "of": "started"})
    add(*(more | {"site": site, "of": "done", "node": n, "count": 900_000} for n, site in enumerate(sites)))
    expect(page.locator("[data-told='1']")).to_have_text("903.0k done, 97.0k at work")
    page.locator("[data-step='1']").focus()
    expect(page.locator(".about")).to_contain_text("903,000 done, 97,000 at work")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=f"{os.environ['SCREENSHOTS']}/runs-{scheme}-{width}.png")
        page.screenshot(path=f"{os.environ['SCREENSHOTS']}/runs-whole-{scheme}-{width}.png", full_page=True)
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 360)])
def test_pages_fit_and_run_nothing_that_a_site_wrote(browser: Browser, served: Any, scheme: Any, width: int) -> None:
    address, _ = served
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    page.on("request", lambda asked: faults.append(asked.url) if not asked.url.startswith(address[:20]) else None)

    def look(name: str) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the page"
        assert page.title() != "run" and not page.locator("main script, main img, main [onerror]").count()
        if "SCREENSHOTS" in os.environ:
            page.screenshot(path=f"{os.environ['SCREENSHOTS']}/{name}-{scheme}-{width}.png", full_page=True)

    page.goto(address)
    assert address.partition("#")[2] not in page.url
    rows = page.locator("a.row")
    expect(rows).to_have_count(2)
    look("jobs")
    for name in ("large-1", "hostile-1"):
        page.goto(f"{address.partition('#')[0]}#/job/small/{name}")
        expect(page.locator(".drawing svg").first).to_be_visible()
        expect(page.locator("[data-step]")).to_have_count(200 if name == "large-1" else 2)
        expect(page.locator(".story")).to_have_count(1)
        look(name)
    page.goto(address.partition("#")[0] + "#/federations")
    expect(page.locator(".site")).to_have_count(3)
    look("federations")
    page.goto(address.partition("#")[0] + "#/submit")
    page.locator("summary", has_text="join").click()
    expect(page.get_by_label("word")).to_be_visible()
    look("submit")
    assert not faults
    context.close()


@pytest.mark.parametrize("name", ["large-1", "hostile-1"])
def test_drawings_are_saved_as_they_look(browser: Browser, served: Any, name: str) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(served[0])
    page.goto(f"{served[0].partition('#')[0]}#/job/small/{name}")
    for kind, drawn in [("plan", 0), ("timeline", 1)]:
        saved: dict[str, bytes] = {}
        for how in ("SVG", "PNG"):
            button = page.get_by_role("button", name=f"Save as {how}").nth(drawn)
            with page.expect_download() as download:
                button.click()
            assert download.value.suggested_filename == f"{name}-{kind}.{how.lower()}"
            saved[how] = Path(download.value.path()).read_bytes()
            expect(button).to_be_enabled()
        svg = xml.etree.ElementTree.fromstring(saved["SVG"])
        looks = {one.get("fill") for one in svg.iter()}
        assert svg.tag == "{http://www.w3.org/2000/svg}svg" and not any("script" in one.tag for one in svg.iter())
        # A step that was done is green on the page, by its style.
        assert "rgb(233, 246, 236)" in looks or kind == "timeline"
        assert saved["PNG"].startswith(b"\x89PNG")
        width, height = struct.unpack(">II", saved["PNG"][16:24])
        assert width / height == pytest.approx(float(svg.get("width", 0)) / float(svg.get("height", 1)), rel=0.02)
        if "SCREENSHOTS" in os.environ:
            Path(os.environ["SCREENSHOTS"], f"saved-{name}-{kind}.png").write_bytes(saved["PNG"])
    context.close()


def test_a_job_is_submitted_and_found_by_keyboard_alone(browser: Browser, served: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(served[0])
    page.get_by_role("link", name="Submit").focus()
    page.keyboard.press("Enter")
    page.locator("summary", has_text="join").focus()
    page.keyboard.press("Enter")
    page.get_by_label("word").focus()
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect(page.locator("a.row").first).to_contain_text("join", timeout=30_000)
    expect(page.locator("a.row .status").first).to_have_text("finished", timeout=30_000)
    page.locator("a.row").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("join")
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_what_is_nested_is_typed_in_by_its_schema_and_checked_before_it_is_sent(
    browser: Browser, served: Any, scheme: Any, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[Any] = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.method == "POST" else None)
    page.goto(served[0])
    page.get_by_role("link", name="Submit").click()
    page.locator("summary", has_text="route").focus()
    page.keyboard.press("Enter")
    form = page.locator("details[open] form")
    amiss = form.get_by_role("alert")
    keys = page.keyboard

    def refused(why: str, types: str) -> None:
        """Submitting from anywhere says what is wrong where that is, and there something else is typed."""
        keys.press("Enter")
        expect(amiss).to_have_text(why)
        assert page.evaluate("document.activeElement.getAttribute('aria-invalid')") == "true"
        keys.press("ControlOrMeta+A")
        keys.type(types)

    # With nothing but keys, and no field is named by a test: one leads to the next.
    form.get_by_label("title").focus()
    refused("way.title: a value is needed", "home")
    refused("stops 1.name: a value is needed", "far beyond")
    refused("stops 1.name: at most 8 characters", "a")
    keys.press("Tab")
    keys.type("1.5")
    refused("stops 1.minutes: a whole number", "-1")
    refused("stops 1.minutes: at least 0", "7")
    refused("stops 2.name: a value is needed", "b")
    keys.press("Tab")
    keys.press("Tab")
    keys.press("Space")
    keys.press("Tab")
    keys.press("Enter")
    keys.type("c")
    third = form.get_by_role("group", name="stops 2").get_by_role("group", name="next 1")
    expect(third.get_by_label("name")).to_have_value("c")
    form.locator("label", has_text=re.compile("^by")).locator("select").select_option("train")
    form.get_by_label("note, which kind").select_option("string")
    form.get_by_label("note string").fill("late")
    form.get_by_role("button", name="Add to stops").press("Enter")
    form.get_by_role("button", name="Remove stops 3").press("Enter")
    expect(form.get_by_role("button", name="Add to stops")).to_be_focused()
    # What no field is made for is JSON.
    form.get_by_label("odd").fill("{")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if "SCREENSHOTS" in os.environ:
        page.screenshot(path=f"{os.environ['SCREENSHOTS']}/form-{scheme}-{width}.png", full_page=True)
    form.get_by_label("title").focus()
    refused('odd: write a value as JSON, such as 7, "text" or [1, 2]', '"z"')
    assert not asked
    form.get_by_label("title").focus()
    keys.press("Enter")
    expect(page.locator("a.row").first).to_contain_text("route", timeout=30_000)
    (sent,) = asked
    stops = [{"name": "a", "minutes": 7}, {"name": "b", "next": [{"name": "c"}]}]
    way = {"title": "home", "by": "train", "stops": stops, "note": "late"}
    assert sent["params"] == {"way": way, "odd": "z"}
    expect(page.locator("a.row .status").first).to_have_text("finished", timeout=30_000)
    context.close()


def test_what_was_submitted_is_cancelled_on_the_page(browser: Browser, served: Any, tmp_path: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(served[0])
    page.get_by_role("link", name="Submit").click()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    page.locator("summary", has_text="wait").click()
    page.get_by_label("fifo").fill(str(fifo))
    page.get_by_label("fifo").press("Enter")
    assert int(fifo.read_text()) > 0
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=30_000)
    expect(page.locator("a.row .status").first).to_have_text(re.compile("aborted|unknown"))
    context.close()


def test_a_page_without_its_token_shows_nothing_and_says_why(browser: Browser, served: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(served[0].partition("#")[0])
    expect(page.get_by_role("status")).to_contain_text("open the address that `dfm ui` has printed")
    assert page.locator("main").inner_text() == ""
    context.close()


def test_a_page_that_lost_its_server_says_so_and_catches_up(browser: Browser, served: Any) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(served[0])
    expect(page.locator("a.row").first).to_be_visible()
    context.set_offline(True)
    expect(page.get_by_role("status")).to_contain_text("does not answer", timeout=10_000)
    context.set_offline(False)
    expect(page.get_by_role("status")).to_be_hidden(timeout=20_000)
    context.close()


class Before(http.server.BaseHTTPRequestHandler):
    """What had the port before, and leaves something in the browser."""

    def do_GET(self) -> None:
        kind, text = ("text/javascript", WORKER) if self.path == "/worker.js" else ("text/html", LEAVES)
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_what_had_the_port_before_does_not_answer_for_the_page(browser: Browser, served: Any) -> None:
    before = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Before)
    thread = threading.Thread(target=before.serve_forever)
    thread.start()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{before.server_port}/")
    expect(page).to_have_title("left")
    before.shutdown()
    before.server_close()
    thread.join()
    small = Small(served[1].parents[3], Path(sys.executable).parent / "dfm")
    line = small.command("--json", "ui", "--no-open", "--port", str(before.server_port))
    process = subprocess.Popen(line, cwd=small.folder, env=small.environment({}), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        page.goto(json.loads(process.stdout.readline())["address"])
        expect(page.get_by_role("link", name="Federations")).to_be_visible()
        # It is there all the same.
        page.goto(f"http://127.0.0.1:{before.server_port}/")
        expect(page).to_have_title("mine")
    finally:
        process.terminate()
        process.wait(30)
    context.close()
