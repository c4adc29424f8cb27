"""Does the file of federations survive processes that edit it at once, and processes that are killed over it?"""

import resource
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

CONFIGURATION = "dfm: 1.0.0\ninfo: {api-version: 0.0.1, code-package: fed}\nsites: {home: {}}\n"
BEFORE = """\
# The federations of this office.
federations:
  first: # the one that began it all
    federation_dir: fed # beside this file
    config_path: f.dfm.yaml
  second: {federation_dir: fed, config_path: f.dfm.yaml} # in one line
  # below: what others add
"""


@pytest.fixture
def office(tmp_path: Path) -> Path:
    """A folder with a registry and a federation."""
    (tmp_path / "federations.yaml").write_text(BEFORE)
    (tmp_path / "fed").mkdir()
    (tmp_path / "fed" / "f.dfm.yaml").write_text(CONFIGURATION)
    return tmp_path


def edit(command: Path, office: Path, words: str, before: Callable[[], None] | None = None) -> subprocess.Popen[bytes]:
    """Starts `dfm fed config …`."""
    return subprocess.Popen(
        [command, "--quiet", "fed", "config", *words.split()],
        cwd=office,
        preexec_fn=before,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def added(name: str) -> str:
    return f"set {name} --federation-dir fed --config-path f.dfm.yaml"


def test_processes_that_edit_at_once_lose_nothing(command: Path, office: Path) -> None:
    def work(person: str) -> None:
        for number in range(20):
            assert edit(command, office, added(f"{person}{number}")).wait(60) == 0
            assert edit(command, office, f"set first --project-path {person}{number}.yaml").wait(60) == 0
            if number % 2:
                assert edit(command, office, f"delete {person}{number}").wait(60) == 0

    with ThreadPoolExecutor() as people:
        for done in [people.submit(work, person) for person in ("anna", "bert")]:
            done.result()
    lines = (office / "federations.yaml").read_text().splitlines()
    names = [line.strip(" :") for line in lines if line.startswith("  anna") or line.startswith("  bert")]
    assert sorted(names) == sorted(f"{person}{number}" for person in ("anna", "bert") for number in range(0, 20, 2))
    for person in ("anna", "bert"):
        own = [int(name.removeprefix(person)) for name in names if name.startswith(person)]
        assert own == sorted(own)
    project = next(line for line in lines if "project_path" in line)
    assert project in ("    project_path: anna19.yaml", "    project_path: bert19.yaml")
    kept = [line for line in lines if line in BEFORE.splitlines()]
    assert list(dict.fromkeys(kept)) == BEFORE.splitlines()


def test_two_that_make_a_registry_make_one(command: Path, tmp_path: Path) -> None:
    for number in range(10):
        office = tmp_path / str(number)
        office.mkdir()
        (office / "f.dfm.yaml").write_text(CONFIGURATION)
        registry = office / "federations.yaml"
        words = f"--config {registry} create-default", f"--config {registry} set one --federation-dir . --config-path f"
        both = [edit(command, office, each) for each in words]
        made, set_ = (process.wait(60) for process in both)
        assert set_ == 0
        assert "one:" in registry.read_text()
        assert made == (0 if registry.read_text().startswith("#") else 1)


@pytest.mark.parametrize("written", [0, 1, 100, len(BEFORE)])
def test_a_process_that_dies_while_it_writes_changes_nothing(command: Path, office: Path, written: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))

    registry = office / "federations.yaml"
    # Whoever writes beyond the limit is killed there.
    assert edit(command, office, added("third"), limit).wait(60) == -signal.SIGXFSZ
    assert registry.read_text() == BEFORE
    assert edit(command, office, added("third")).wait(60) == 0
    text = registry.read_text()
    assert text == BEFORE.replace(
        "  # below", "  third:\n    federation_dir: fed\n    config_path: f.dfm.yaml\n  # below"
    )
    # What the dead one left is gone.
    assert sorted(path.name for path in office.iterdir()) == ["fed", "federations.yaml"]


def test_a_process_that_is_killed_at_any_moment_leaves_a_whole_file(command: Path, office: Path) -> None:
    registry = office / "federations.yaml"
    assert edit(command, office, added("third") + " --project-path one.yaml").wait(60) == 0
    one = registry.read_text()
    versions = {project: one.replace("one.yaml", project) for project in ("one.yaml", "two.yaml")}
    killed = 0
    for number in range(60):
        before = registry.read_text()
        project = "one.yaml" if "two.yaml" in before else "two.yaml"
        process = edit(command, office, f"set third --project-path {project}")
        for _ in range(10 * number):
            # Each look takes some time, and shows whether another sees half of something.
            assert registry.read_text() in (before, versions[project])
        process.kill()
        killed += process.wait(60) == -signal.SIGKILL
        assert registry.read_text() in (before, versions[project])
    assert killed
    assert edit(command, office, "set third --project-path one.yaml").wait(60) == 0
    assert registry.read_text() == one
    assert sorted(path.name for path in office.iterdir()) == ["fed", "federations.yaml"]
