"""Is what earlier versions of dfm wrote still read, as docs/compatibility.md says?

`tests/golden` has a file of each format. A file there is never changed: a format that is read no more is a
new line of that page.
"""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from dfm.flare._kit import find_kit

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


@pytest.fixture(scope="module")
def folder(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A federation whose generated JSON is that of the golden files."""
    folder = tmp_path_factory.mktemp("golden")
    package = folder / "golden"
    (package / "lib").mkdir(parents=True)
    (package / "__init__.py").touch()
    shutil.copy(GOLDEN / "lib.py", package / "lib" / "__init__.py")
    for name in ("golden.dfm.yaml", "project.yaml"):
        shutil.copy(GOLDEN / name, package)
    record = {"federation_dir": "golden", "config_path": "golden.dfm.yaml", "project_path": "project.yaml"}
    (folder / "federations.yaml").write_text(json.dumps({"federations": {"golden": record}}))
    run(command, folder, "fed", "gen", "code", "golden")
    shutil.copy(GOLDEN / "fed_info.json", package / "fed")
    for site in ("app", "orchard"):
        shutil.copy(GOLDEN / f"{site}.site.json", package / "fed" / "runtime" / site / "site.json")
    return folder


def run(command: Path, folder: Path, *words: str) -> str:
    done = subprocess.run([command, *words], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_saved_pipeline_runs_with_generated_files_of_then(command: Path, folder: Path) -> None:
    said = run(
        command, folder, "fed", "submit", "golden", "--target", "local", "pipeline", str(GOLDEN / "pipeline.json")
    )
    # Values of different places come in the order in which they are there.
    assert sorted(said.splitlines()) == ["all [0]: [5, 15]", "old [0, 1]: 15", "young [0, 0]: 5"]


def test_a_configuration_a_project_and_a_network_of_then_are_read(command: Path, folder: Path) -> None:
    assert run(command, folder, "fed", "check", "golden") == ""
    words = ("golden", str(GOLDEN / "pipeline.json"), "--network", str(GOLDEN / "network.yaml"), "--json")
    nodes = json.loads(run(command, folder, "fed", "plan", *words))["estimate"]["nodes"]
    assert next(one["fixed"] for one in nodes if one["label"] == "trees.Trees") == 2


def test_a_policy_of_then_is_read(command: Path, tmp_path: Path) -> None:
    said = json.loads(run(command, tmp_path, "site", "policy", "check", str(GOLDEN / "policy.yaml"), "--json"))
    assert said["policy"]["errors"] == "message"
    assert said["policy"]["limits"]["sessions_per_user"] == 2


def test_a_kit_of_then_is_read(tmp_path: Path) -> None:
    kit = tmp_path / "somewhere"
    (kit / "startup").mkdir(parents=True)
    (kit / "startup" / "fed_admin.json").touch()
    (kit / "dfm").mkdir()
    shutil.copy(GOLDEN / "kit.json", kit / "dfm")
    assert find_kit(str(kit), None, None).user == "app"


def test_each_format_of_the_page_has_its_file() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text()
    files = {path.name for path in GOLDEN.iterdir()} - {"lib.py"}
    assert {name for name in files if f"`{name}`" not in page} == set()
