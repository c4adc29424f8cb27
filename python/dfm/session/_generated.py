"""What does the generated code of a federation say?"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
from pathlib import Path
from typing import Any

from dfm.errors import SessionError

_FORMAT = 1
"""Of the files that `dfm fed gen code` writes beside Python's."""


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
        SessionError: it is not there, not whole, or of a version of dfm whose files this one does not read.
    """
    folder = _folder(fed_package)
    fed_info = _read(folder / "fed_info.json", fed_package)
    info = _object(folder / "fed_info.json", fed_info, fed_package)
    paths = sorted((folder / "runtime").glob("*/site.json"))
    sites = [_object(path, _read(path, fed_package), fed_package) for path in paths]
    return Generated(folder, fed_info, info["code_package"], info["api_version"], {one["site"]: one for one in sites})


def _folder(fed_package: str) -> Path:
    try:
        package = importlib.import_module(fed_package)
    except ImportError as error:
        package = fed_package.partition(".")[0]
        command = f"dfm fed gen code {os.environ.get('DFM_FEDERATION', package)}"
        if error.name == fed_package:
            raise SessionError(f"there is no generated package '{fed_package}': generate it with `{command}`") from None
        raise SessionError(
            f"the generated package '{fed_package}' cannot be imported: {error}; generate the code, and run this from "
            f"a folder where the package is found: {command}"
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


def _object(path: Path, text: str, fed_package: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
        if read["format"] == _FORMAT:
            return read
        wrong = f"has format {read['format']!r}, but this version of dfm reads {_FORMAT}"
    except (ValueError, KeyError, TypeError):
        wrong = "is not what dfm writes there"
    raise SessionError(f"{path} {wrong}; generate the code again: dfm fed gen code {fed_package.partition('.')[0]}")
