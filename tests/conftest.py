"""Which federation do the tests of sessions run?"""

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from dfm.session import Session
from flare_federation import Federation, running
from small_federation import Small
from small_package import generate

pytest_plugins = ["pytester"]

# Nothing that a test runs leaves a record with those of the user's own jobs.
_state = tempfile.TemporaryDirectory(prefix="dfm-state-")
os.environ["XDG_STATE_HOME"] = _state.name


@pytest.fixture(scope="session")
def command() -> Path:
    """The installed `dfm`."""
    installed = Path(sys.executable).parent / "dfm"
    assert installed.exists(), "the command is not installed in this environment: run `make generated`"
    return installed


@pytest.fixture(scope="session")
def small(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the generated package `small`, which can be imported from now on."""
    folder = tmp_path_factory.mktemp("federations")
    generate(command, folder)
    sys.path.insert(0, str(folder))
    os.environ["DFM_SECRET_PASS_WORD"] = "sesame"
    os.environ["XDG_CACHE_HOME"] = str(folder / "caches")
    return folder


@pytest.fixture(scope="session")
def fed(small: Path) -> ModuleType:
    """The operations of `small`."""
    return importlib.import_module("small.fed.api.work")


@pytest.fixture(scope="module")
def shared(small: Path) -> Iterator[Session]:
    """One local session of `small` for the tests that leave no mark on it."""
    runtime = importlib.import_module("small.fed.runtime.home")
    with runtime.get_session(target="local") as session:
        yield session


@pytest.fixture(scope="module")
def own(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A federation that only the installed command runs, so that its package is not imported here."""
    small = Small(tmp_path_factory.mktemp("small"), command)
    small.create()
    return small


@pytest.fixture(scope="session")
def federation(command: Path, small: Path) -> Iterator[Federation]:
    """The POC of `small`, for all tests of sessions on Flare: one that stops a site starts it again."""
    # What these tests cut does not come back by itself.
    os.environ["DFM_FLARE_PATIENCE"] = "6"
    with running(command, small) as federation:
        yield federation
