"""Does all that the tutorial and the README have somebody write do what they say?

Of a page, `sh` is run, what is `text` has to be the output of the block before it, and what begins with a file's name
in a comment becomes that file.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FLARE = "## On NVIDIA FLARE"


class Block(NamedTuple):
    line: int
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    found = re.finditer(r"^( *)```(\w+)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [Block(text[: one.start()].count("\n") + 1, one[2], textwrap.dedent(one[3])) for one in found]


class Reader:
    """Somebody who does what a page says, in a folder and with a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / ".venv").symlink_to(Path(sys.executable).parents[1])
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("DFM_", "PYTEST_"))}
        self.environment = environment | {"HOME": str(folder / "home"), "NO_COLOR": "1", "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, text: str) -> str:
        # What `make` would do has been done for the tests; here, only that it knows how.
        shell = (
            f'make() {{ command make --silent --dry-run -C "{ROOT}" "$@" >/dev/null; }}\n. .venv/bin/activate\n{text}'
        )
        done = subprocess.run(
            ["bash", "-ec", shell], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def follow(self, some: list[Block]) -> None:
        said = ""
        for block in some:
            name = re.match(r"# (\S+/\S+\.\w+)\n", block.text)
            if block.language == "sh":
                said = self.run(block.text)
            elif block.language == "text":
                assert said.splitlines()[-block.text.count("\n") :] == block.text.splitlines(), f"line {block.line}"
            else:
                assert name, f"the block in line {block.line} has no file's name"
                (self.folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
                (self.folder / name[1]).write_text(block.text)


TUTORIAL = ROOT / "docs" / "tutorial.md"


@pytest.fixture(scope="module")
def reader(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Who has read the tutorial as far as Flare."""
    reader = Reader(tmp_path_factory.mktemp("tutorial"))
    last = TUTORIAL.read_text().split(FLARE)[0].count("\n")
    reader.follow([block for block in blocks(TUTORIAL) if block.line <= last])
    yield reader


def test_the_tutorial_does_what_it_says(reader: Reader) -> None:
    assert (
        "nothing is wrong"
        in subprocess.run(
            ["bash", "-c", ". .venv/bin/activate; dfm fed check sales 2>&1"],
            cwd=reader.folder,
            env=reader.environment,
            capture_output=True,
            text=True,
        ).stdout
    )


@pytest.mark.flare
def test_the_tutorial_does_on_flare_what_it_says(reader: Reader) -> None:
    pytest.importorskip("nvflare")
    before = TUTORIAL.read_text().split(FLARE)[0].count("\n")
    rest = [block for block in blocks(TUTORIAL) if block.line > before]
    assert rest
    try:
        reader.follow(rest)
    finally:
        reader.run("dfm poc stop -f sales")


def test_the_readme_does_what_it_says(command: Path, tmp_path: Path) -> None:
    for name in ("examplefed", "clinics"):
        shutil.copytree(ROOT / "examples" / name, tmp_path / "examples" / name, ignore=shutil.ignore_patterns("data"))
    shutil.copy(ROOT / "examples" / "federations.yaml", tmp_path / "examples")
    Reader(tmp_path).follow(blocks(ROOT / "README.md"))
