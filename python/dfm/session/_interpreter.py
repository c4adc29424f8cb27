"""Which Python runs a site's process on the local target, and what does it find?"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import site as environment
import subprocess
import sys
from pathlib import Path
from typing import Any

import dfm
from dfm.errors import SessionError

_SHARED = "import sys; sys.path.append(sys.argv[3]); from dfm._running.worker import main; main()"
_OWN = "from dfm._running.worker import main; main()"
_VERSION = "from importlib.metadata import version; print(version('data-federation-mesh'))"
_PATIENCE = 30.0
"""Seconds for an interpreter to say which dfm it has."""


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """How a site's process is started."""

    command: list[str]
    """To which the site's and the homesite's names are added, and what follows them."""
    more: list[str]
    sys_path: list[str]
    """Where it looks for modules."""
    is_own: bool
    """Whether it looks after that where its environment has them, and not where the application's has."""


async def interpreter_of(settings: dict[str, Any], folder: Path) -> Interpreter:
    """That of a site with this `site.json`, in the federation whose package has this folder.

    Raises:
        SessionError: the site has one of its own, which is not there or has not the application's dfm.
    """
    found = [os.path.abspath(entry) for entry in (*sys.path, folder.parent)]
    if (given := settings.get("python")) is None:
        parent = str(Path(dfm.__file__).parent.parent)
        return Interpreter([sys.executable, "-P", "-c", _SHARED], [parent], list(dict.fromkeys(found)), is_own=False)
    python = folder / str(given)
    await asyncio.to_thread(_check, settings["site"], python)
    here = [*environment.getsitepackages(), environment.getusersitepackages(), sys.prefix, sys.base_prefix]
    theirs = [entry for entry in found if not any(Path(entry).is_relative_to(one) for one in here)]
    return Interpreter([str(python), "-P", "-c", _OWN], [], list(dict.fromkeys(theirs)), is_own=True)


def _check(site: str, python: Path) -> None:
    what = f"the Python of site '{site}', {python},"
    wanted = dfm.__version__
    install = f"install the same dfm into its environment: pip install data-federation-mesh=={wanted}"
    try:
        done = subprocess.run([python, "-P", "-c", _VERSION], capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise SessionError(f"{what} does not say within {_PATIENCE:.0f} s which dfm it has") from None
    except OSError as error:
        raise SessionError(
            f"{what} cannot be started: {error.strerror}; make that environment, or have `python` of the site in the "
            "federation's configuration lead to another one"
        ) from None
    if done.returncode != 0:
        raise SessionError(f"{what} has no dfm; {install}")
    if (there := done.stdout.strip()) != wanted:
        raise SessionError(f"{what} has dfm {there}, but this application dfm {wanted}; {install}")
