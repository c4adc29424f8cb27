"""Does a site run with the Python that the configuration gives it, and find the packages of that alone?"""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import dfm
import pytest

ADAPTER = """
import sys
import only_there
from dfm.exec import Site

class Greet:
    def __init__(self, site: Site) -> None: ...

    async def body(self, name: str, words: str) -> str:
        return f"{only_there.NAME} {name}, {sys.prefix}"
"""


class Shop:
    """A new federation whose site `office` has an environment of its own, with a package that no other has."""

    def __init__(self, command: Path, folder: Path) -> None:
        self.command, self.folder = command, folder
        self.environment = os.environ | {"DFM_WORKSPACE": str(folder / "workspace"), "NO_COLOR": "1"}
        self.run("fed", "init", "shop")
        self.own = folder / "shop" / "own"
        venv.create(self.own, symlinks=True)
        (packages,) = self.own.glob("lib/python3*/site-packages")
        (packages / "only_there.py").write_text("NAME = 'Hello'\n")
        # What the tests' environment has is there too: dfm and what it needs.
        here = [str(Path(dfm.__file__).parents[1]), *(one for one in sys.path if one.endswith("site-packages"))]
        (packages / "here.pth").write_text("\n".join(here))
        (folder / "shop/shop/lib/adapters.py").write_text(ADAPTER)
        self.configure("../own/bin/python")

    def configure(self, python: str) -> None:
        path = self.folder / "shop/shop/configs/federation.dfm.yaml"
        text = "".join(line for line in path.read_text().splitlines(keepends=True) if "    python:" not in line)
        path.write_text(text.replace("  office:\n", f"  office:\n    python: {python}\n", 1))
        self.run("fed", "gen", "code", "shop")

    def run(self, *words: str, exit: int = 0) -> str:
        done = subprocess.run(
            [self.command, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == exit, done.stdout + done.stderr
        return done.stdout + done.stderr

    def submit(self, *words: str, exit: int = 0) -> str:
        return self.run("fed", "submit", "shop", *words, "pipeline", "shop/shop/apps/pipeline.py", exit=exit)


@pytest.fixture
def shop(command: Path, tmp_path: Path) -> Shop:
    return Shop(command, tmp_path)


def test_a_site_runs_with_its_own_python(shop: Shop) -> None:
    assert f"greeting [0]: Hello World, {shop.own}" in shop.submit("--target", "local")


def test_its_adapters_are_checked_with_it(shop: Shop) -> None:
    assert "nothing is wrong" in shop.run("fed", "check", "shop", "--adapters")
    shop.configure("../other/bin/python")
    said = json.loads(shop.run("--json", "fed", "check", "shop", "--adapters"))
    assert [(one["code"], one["severity"]) for one in said["problems"]] == [("check-python-of-site", "warning")]


@pytest.mark.parametrize(
    ("python", "told"),
    [
        ("../other/bin/python", "cannot be started: No such file or directory; make that environment"),
        ("/bin/false", "has no dfm; install the same dfm into its environment"),
        ("../old.sh", "has dfm 0.0.1, but this application dfm"),
    ],
)
def test_one_that_cannot_be_used_is_told(shop: Shop, python: str, told: str) -> None:
    old = shop.folder / "shop" / "old.sh"
    old.write_text("#!/bin/sh\necho 0.0.1\n")
    old.chmod(0o755)
    shop.configure(python)
    said = shop.submit("--target", "local", exit=1)
    assert "the Python of site 'office', " in said and told in said
    assert "Traceback" not in said


@pytest.mark.flare
def test_a_poc_runs_it_so(shop: Shop) -> None:
    pytest.importorskip("nvflare")
    shop.configure("../other/bin/python")
    assert "the Python of site `office`" in shop.run("poc", "start", "-f", "shop", exit=2)
    shop.configure("../own/bin/python")
    shop.run("poc", "start", "-f", "shop")
    try:
        shop.run("poc", "wait", "-f", "shop", "--timeout", "180")
        assert f"greeting [0]: Hello World, {shop.own}" in shop.submit("--poc")
    finally:
        shop.run("poc", "stop", "-f", "shop")
