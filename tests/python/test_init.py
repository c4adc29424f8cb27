"""Does what `dfm fed init` writes run, and pass its own tests, at once?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("template", "result"),
    [
        ("minimal", "greeting [0]: Hello World, this is the office."),
        ("arrays", "smooth [0]: <array of float64, shape (976,)>"),
        ("tables", "visits [0]: <table of 3 rows, 2 columns>"),
    ],
)
def test_a_new_federation_runs_and_passes_its_tests(template: str, result: str, command: Path, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("DFM_", "PYTEST_"))}
    environment |= {"HOME": str(tmp_path / "home"), "PATH": f"{command.parent}:{environment['PATH']}", "NO_COLOR": "1"}

    def run(words: list[str]) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    said = run([str(command), "fed", "init", "my-shop", "--template", template])
    submit, test, check = (line.split() for line in said.splitlines())
    assert run(submit).splitlines() == [result]
    assert "2 passed" in run([sys.executable, *test[1:]])
    assert run(check) == ""
    ruff = str(Path(sys.executable).parent / "ruff")
    run([ruff, "check", "--extend-select", "I,UP,B", "my-shop"])
    run([ruff, "format", "--check", "my-shop"])


@pytest.mark.parametrize(
    ("name", "message", "remedy"),
    [
        ("json", "its Python package would be `json`", "choose another name"),
        ("numpy", "its package would hide the `numpy` of Python's", "has that installed; choose another name"),
        ("x" * 101, "cannot be the name of a federation", "use at most 100 letters"),
    ],
)
def test_a_name_that_cannot_be_a_new_federations_is_refused(
    name: str, message: str, remedy: str, command: Path, tmp_path: Path
) -> None:
    words = [str(command), "--config", "federations.yaml", "fed", "init", name]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert message in done.stderr and remedy in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_too_long_is_told_as_that(command: Path, tmp_path: Path) -> None:
    deep = tmp_path
    while len(str(deep)) < 3900:
        deep /= "d" * 40
    deep.mkdir(parents=True)
    words = [str(command), "--config", str(tmp_path / "federations.yaml"), "fed", "init", "x" * 100]
    done = subprocess.run(words, cwd=deep, capture_output=True, text=True)
    assert done.returncode == 1
    assert "choose shorter names, or a folder with a shorter path" in done.stderr
