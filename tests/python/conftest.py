"""Which federation do the tests of sessions run?"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def command() -> Path:
    """The installed `dfm`."""
    return Path(sys.executable).parent / "dfm"


@pytest.fixture(scope="session")
def small(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated package `small`, which can be imported from now on."""
    folder = tmp_path_factory.mktemp("federations")
    shutil.copytree(HERE / "small", folder / "small")
    registry = folder / "federations.yaml"
    registry.write_text("federations:\n  small: {federation_dir: small, config_path: federation.dfm.yaml}\n")
    subprocess.run([command, "--config", registry, "fed", "gen", "code", "small", "--quiet"], check=True)
    sys.path.insert(0, str(folder))
    os.environ["DFM_SECRET_PASS_WORD"] = "sesame"
    return folder
