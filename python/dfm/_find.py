"""How is a federation's package found without setting `PYTHONPATH`?

A package that holds generated code, and that nothing else finds, is looked for around the current folder and around the
script that runs: in these two, in their parents up to the project's root, and around a script that is in the package
itself. What belongs to another user than this process's, or root, is not imported, wherever it is.
"""

import contextlib
import importlib.machinery
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

_ROOT = ("federations.yaml", "pyproject.toml", ".git")
"""What is in a project's root."""


class FederationFinder:
    """Finds top-level packages that have a `fed/fed_info.json`, and says how to get the code that one lacks."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The package's spec, if it is one of a federation's.

        Raises:
            ModuleNotFoundError: it is generated code of a federation that has none.
        """
        if path is not None:
            package, _, inside = fullname.partition(".")
            if inside == "fed" and any(_is_configured(Path(folder)) for folder in path):
                message = f"No module named '{fullname}': generate it with `dfm fed gen code {package}`"
                raise ModuleNotFoundError(message, name=fullname)
            return None
        for folder in _folders(fullname):
            if _is_trusted(folder / fullname):
                return importlib.machinery.PathFinder.find_spec(fullname, [str(folder)])
        return None


class OtherEngine:
    """Says of the package of another engine, where it is not installed, that code for it is none of dfm's."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """None, but for that package."""
        if fullname == "nv_dfm_core":
            raise ModuleNotFoundError(
                "this code was generated, or written, for nv_dfm_core, which is not installed: run `dfm fed gen code "
                "NAME` for what is generated, and `dfm migrate PATH` for what is written",
                name=fullname,
            )
        return None


def _folders(package: str) -> Iterator[Path]:
    starts: list[Path] = []
    with contextlib.suppress(OSError):  # the current folder may have been deleted
        starts.append(Path.cwd())
    if script := getattr(sys.modules.get("__main__"), "__file__", None):
        starts.append(Path(os.path.abspath(script)).parent)
    for start in starts:
        around = (start, *start.parents)
        yield from (folder.parent for folder in around if folder.name == package)
        root = next((at for at, folder in enumerate(around) if any((folder / mark).exists() for mark in _ROOT)), 0)
        yield from around[: root + 1]


def _is_trusted(package: Path) -> bool:
    """Whether it has generated code, and nobody else could have put it there."""
    try:
        owners = {place.stat().st_uid for place in (package / "fed" / "fed_info.json", package, package.parent)}
    except OSError:
        return False
    return owners <= {os.geteuid(), 0}


def _is_configured(package: Path) -> bool:
    return any(next(package.glob(pattern), None) is not None for pattern in ("*.dfm.yaml", "configs/*.dfm.yaml"))


def install() -> None:
    """Asks them after all other finders."""
    for finder in (FederationFinder, OtherEngine):
        if finder not in sys.meta_path:
            sys.meta_path.append(finder)
