"""Does the wheel that `make wheel` builds work in an environment that has nothing else?"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from served_page import served
from small_federation import Small

ROOT = Path(__file__).parents[2]
WHEELS = sorted((ROOT / "target" / "wheels").glob("data_federation_mesh-*.whl"))

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an empty environment into which only the wheel was installed, with what it asks for."""
    assert len(WHEELS) == 1, "there has to be one wheel: run `make wheel`"
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", WHEELS[0]]
    subprocess.run(pip, check=True, env=plain_environment(), stdin=subprocess.DEVNULL)
    return folder / "bin"


@pytest.fixture(scope="module")
def small(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A federation made with the installed command."""
    small = Small(tmp_path_factory.mktemp("federation"), environment / "dfm")
    small.create()
    return small


def plain_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "DFM_"))}


def test_little_comes_with_it(environment: Path) -> None:
    listed = subprocess.run(
        [environment / "pip", "list", "--format=json"], check=True, capture_output=True, env=plain_environment()
    )
    names = {package["name"].lower() for package in json.loads(listed.stdout)} - {"pip", "setuptools", "wheel"}
    assert "data-federation-mesh" in names and "nvflare" not in names
    assert len(names - {"data-federation-mesh"}) <= 5, names


def test_its_command_works(small: Small) -> None:
    version = small.run("--version")
    assert version.stdout.startswith("dfm ") and version.returncode == 0
    listed = json.loads(small.run("fed", "config", "list-all", "--json").stdout)
    assert "small" in json.dumps(listed)
    assert small.run("fed", "config", "show", "small").returncode == 0
    assert small.run("fed", "gen", "code", "small", "--check").returncode == 0


def test_it_runs_a_pipeline_over_two_sites(small: Small) -> None:
    small.write(
        "two.py",
        """\
from dfm.api import Pipeline, Yield
from small.fed.api import text


def get_pipeline(args=None):
    with Pipeline() as pipeline:
        Yield(value=text.Join(site="right", first=text.Join(site="left", first=args[0]), second="x"))
    return pipeline
""",
    )
    done = small.run("fed", "submit", "small", "--target", "local", "pipeline", "two.py", "--", "hello")
    assert (done.returncode, done.stdout) == (0, "yield [0]: hello+nothing@left+x@right\n"), done.stderr


def test_its_page_is_within_it(small: Small, tmp_path: Path) -> None:
    with served(small, tmp_path) as page:
        for path in ("/", "/page.css", "/page.js"):
            status, body = page.ask(path)
            assert status == 200 and body
        (federation,) = page.get("/api/federations")["federations"]
        assert [site["name"] for site in federation["sites"]] == ["home", "left", "right"]
