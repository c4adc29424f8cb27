"""What else do tests of networks share?"""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What gives a process another clock and other addresses, by its LD_PRELOAD."""
    built = tmp_path_factory.mktemp("world") / "world.so"
    source = Path(__file__).with_name("world.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o", built, source], check=True)
    return built
