"""What does the generated code of a federation say?"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
from pathlib import Path
from typing import Any

from dfm.errors import SessionError


@dataclasses.dataclass(frozen=True)
class Generated:
    """What a session needs of a package that `dfm fed gen code` made."""

    folder: Path
    """Of the package `<code-package>.fed`."""
    fed_info: str
    """What the planner reads of the federation."""
    package: str
    """The federation's code package."""
    api_version: str
    """The federation's, `X.Y.Z`."""
    sites: dict[str, dict[str, Any]]
    """The content of each site's `site.json`."""

    def site(self, name: str) -> dict[str, Any]:
        """The content of a site's `site.json`.

        Raises:
            SessionError: it was not generated.
        """
        if name not in self.sites:
            raise SessionError(f"there is no generated runtime for site '{name}' in {self.folder / 'runtime'}")
        return self.sites[name]


def read_generated(fed_package: str) -> Generated:
    """Reads the package `<code-package>.fed`.

    Raises:
        SessionError: it is not there, or not whole.
    """
    folder = _folder(fed_package)
    fed_info = _read(folder / "fed_info.json", fed_package)
    info = json.loads(fed_info)
    sites = [json.loads(_read(path, fed_package)) for path in sorted((folder / "runtime").glob("*/site.json"))]
    return Generated(folder, fed_info, info["code_package"], info["api_version"], {one["site"]: one for one in sites})


def _folder(fed_package: str) -> Path:
    try:
        package = importlib.import_module(fed_package)
    except ImportError as error:
        package = fed_package.partition(".")[0]
        raise SessionError(
            f"the generated package '{fed_package}' cannot be imported: {error}; generate the code, and run this from "
            f"a folder where the package is found: dfm fed gen code {os.environ.get('DFM_FEDERATION', package)}"
        ) from None
    return Path(next(iter(package.__path__)))


def _read(path: Path, fed_package: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        federation = fed_package.partition(".")[0]
        raise SessionError(
            f"{path} cannot be read: {error.strerror}; generate the code again: dfm fed gen code {federation}"
        ) from None
