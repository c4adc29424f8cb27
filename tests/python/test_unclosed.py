"""Does an application end that does not close its session, by its last line as by an exception?"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flare_federation import Federation

APPLICATION = Path(__file__).with_name("unclosed_application.py")


def ended(folder: Path, *words: object) -> list[str]:
    """What an application told until it ended."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, str(APPLICATION), *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    failed = "error" in words
    assert done.returncode == (1 if failed else 0), done.stderr
    assert ("RuntimeError: the application is wrong" in done.stderr) == failed, done.stderr
    assert "_session.py" not in done.stderr and "could not be closed" not in done.stderr, done.stderr
    return done.stdout.split()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", ["line", "error", "open"])
def test_on_the_local_target(small: Path, how: str) -> None:
    assert ended(small, "local", how)[0] == "[2]"


@pytest.mark.flare
@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["line", "error", "open"])
def test_on_flare(federation: Federation, how: str) -> None:
    pytest.importorskip("nvflare")
    value, job = ended(federation.registry.parent, "flare", how, federation.kit("home@*"))
    assert value == "[2]"
    # Closing a session cancels what runs in it.
    status = federation.dfm("jobs", "list", "small", "--poc")
    assert job not in status or "RUNNING" not in next(line for line in status.splitlines() if job in line), status
