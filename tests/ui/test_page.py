"""Does the page of `dfm ui` work in a real browser, and stay calm whatever sites have written?

`make test-ui` runs it; it needs `chromium` on the PATH and `pip install playwright`. With `SCREENSHOTS=FOLDER` it
leaves pictures there for somebody to look at.
"""
# pyright: basic

import json
import os
import shutil
import subprocess
import sys
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
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    folder = tmp_path_factory.mktemp("ui")
    small = Small(folder, Path(sys.executable).parent / "dfm")
    small.create()
    more = {"XDG_STATE_HOME": str(folder / "state")}
    records(folder / "state" / "dfm" / "history" / "small")
    small.save_join()
    process = subprocess.Popen(
        small.command("--json", "ui", "--no-open"),
        cwd=small.folder,
        env=small.environment(more),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    yield json.loads(process.stdout.readline())["address"], process
    process.terminate()
    process.wait(30)


def records(folder: Path) -> None:
    """A job of 200 operations at as many sites, and one whose every text would act if it were markup."""
    folder.mkdir(parents=True)
    head = {"dfm_events": 1, "federation": "small", "target": "local", "homesite": "home", "params": []}
    for name, sites, text in (("large-1", 200, "calm"), ("hostile-1", 2, HOSTILE)):
        at = [text + str(number) for number in range(sites)]
        nodes = [{"node": n, "operation": f"{text}.Do", "site": site, "provider": None} for n, site in enumerate(at)]
        lines: list[dict[str, Any]] = [head | {"job": name, "pipeline": text, "at": 1e9, "nodes": nodes}]
        for number, site in enumerate(at):
            fired = {"what": "fired", "site": site, "node": number, "frame": [0], "at": 1e9 + number}
            lines.append(fired | {"seconds": 1.5, "waited": 0.5, "failed": number == 1})
        told = {"kind": text, "message": text, "site": at[1], "node": 1, "operation": f"{text}.Do", "frame": [0]}
        lines.append({"what": "error", "at": 1e9 + 2} | told)
        said = {"what": "said", "site": at[1], "node": 1, "frame": [0], "at": 1e9, "level": "ERROR"}
        lines.append(said | {"logger": text, "text": text})
        ended = {"what": "ended", "at": 1e9 + sites, "status": "FAILED", "frames": 1, "tokens": 0, "errors": 1}
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, ended]))


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
        expect(page.locator(".drawing svg")).to_be_visible()
        expect(page.locator(".story")).to_have_count(1)
        look(name)
    page.goto(address.partition("#")[0] + "#/federations")
    expect(page.locator(".site")).to_have_count(3)
    look("federations")
    page.goto(address.partition("#")[0] + "#/submit")
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
    page.get_by_label("word").focus()
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    expect(page.locator("a.row").first).to_contain_text("join", timeout=30_000)
    expect(page.locator("a.row .status").first).to_have_text("finished", timeout=30_000)
    page.locator("a.row").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("join")
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
