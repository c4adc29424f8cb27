"""Is there a test of each name that the documentation gives?"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = sorted(path.name for path in (ROOT / "docs").glob("*.md") if "checked by |" in path.read_text())


@pytest.mark.parametrize("document", NAMED)
def test_the_tests_behind_claims_exist(document: str) -> None:
    rows = [line.split("|") for line in (ROOT / "docs" / document).read_text().splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`([a-z0-9_]*_[a-z0-9_]{8,})`", row[2])}
    sources = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "crates").rglob("*.rs")]
    there = {name for path in sources for name in re.findall(r"\b(?:def|fn) (\w+)", path.read_text())}
    assert named and not named - there
