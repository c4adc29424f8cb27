"""What does `dfm doctor` ask Python: which of the packages that dfm can use are there? None of them is imported."""

from __future__ import annotations

import json
import platform
import re
from importlib import metadata
from typing import NamedTuple


class Package(NamedTuple):
    """A package that dfm needs, or can use."""

    name: str
    wanted: str
    """The versions that dfm works with, as `pip` writes them."""
    extra: str | None
    """The part of dfm that needs it, as `flare` in 'data-federation-mesh[flare]'; None for what it always needs."""
    found: str | None
    """The installed version; None if there is none."""


def packages() -> list[Package]:
    """Those that dfm's own metadata names."""
    found: list[Package] = []
    for requirement in metadata.requires("data-federation-mesh") or []:
        named, _, marker = requirement.partition(";")
        match = re.match(r"[A-Za-z0-9._-]+", named.strip())
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
        if match is None:
            continue
        try:
            version = metadata.version(match[0])
        except metadata.PackageNotFoundError:
            version = None
        found.append(Package(match[0], named.strip()[match.end() :].strip(), extra and extra[1], version))
    return found


def stranger() -> str | None:
    """The version of the distribution `dfm`, which is somebody else's; None if it is not installed."""
    try:
        return metadata.version("dfm")
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    installed = {
        "python": platform.python_version(),
        "dfm": metadata.version("data-federation-mesh"),
        "stranger": stranger(),
    }
    print(json.dumps(installed | {"packages": [package._asdict() for package in packages()]}))
