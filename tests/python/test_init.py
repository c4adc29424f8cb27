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
