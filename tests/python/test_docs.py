"""Is what the documentation says of the project's own parts true?"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
CLAIMING = [page.name for page in PAGES if re.search(r"\| (checked|tested) by \|$", page.read_text(), re.MULTILINE)]


def tables(page: str) -> Iterator[list[list[str]]]:
    """Each table's rows, of which the first is its head, as their cells."""
    text = (ROOT / "docs" / page).read_text()
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in table.splitlines()]
        yield [head, *rows]


@pytest.mark.parametrize("page", CLAIMING)
def test_the_tests_behind_claims_exist(page: str) -> None:
    named: set[str] = set()
    for head, *rows in tables(page):
        if head[-1] in ("checked by", "tested by"):
            found = [set(re.findall(r"`([a-z0-9_]+_[a-z0-9_]+)(?:\.py)?`", row[-1])) for row in rows]
            named.update(*found)
    sources = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "crates").rglob("*.rs")]
    there = {name for path in sources for name in re.findall(r"\b(?:def|fn) (\w+)", path.read_text())}
    assert named and not named - there - {path.stem for path in sources}


def test_the_crates_and_what_they_use_are_those_that_the_architecture_names() -> None:
    manifests = {path.parent.name: tomllib.loads(path.read_text()) for path in ROOT.glob("crates/*/Cargo.toml")}
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert set(re.findall(r"^\| `crates/([a-z-]+)` \|", text, re.MULTILINE)) == set(manifests)
    arrows = re.findall(r"`([a-z]+) → ([a-z, ]+)`", text[text.index("Arrows between the crates") :].split("\n\n")[0])
    said = {of: set(uses.split(", ")) for of, uses in arrows}
    used = {
        crate.removeprefix("dfm-"): {name.removeprefix("dfm-") for name in manifest["dependencies"] if "dfm-" in name}
        for crate, manifest in manifests.items()
    }
    assert said == {crate: uses for crate, uses in used.items() if uses}
