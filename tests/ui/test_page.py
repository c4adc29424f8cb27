"""Does the page of `dfm ui` work in a real browser, and stay calm whatever sites have written?

`make test-ui` runs it; it needs `chromium` on the PATH and `pip install playwright`. With `SCREENSHOTS=FOLDER` it
leaves pictures there for somebody to look at.
"""
# pyright: basic

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright  # pyright: ignore[reportMissingImports]
from small_federation import Small

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
