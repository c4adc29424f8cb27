"""How is a federation's package found without setting `PYTHONPATH`?

A package that holds generated code, and that nothing else finds, is looked for in the current folder, beside the script
that runs, and in their parents, as git looks for its repository.
"""

import contextlib
import importlib.machinery
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType


class FederationFinder:
    """Finds top-level packages that have a `fed/fed_info.json`."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The package's spec, if it is one of a federation's."""
        if path is not None or "." in fullname:
            return None
        for folder in _folders():
            if (folder / fullname / "fed" / "fed_info.json").is_file():
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


def _folders() -> Iterator[Path]:
    starts: list[Path] = []
    with contextlib.suppress(OSError):  # the current folder may have been deleted
        starts.append(Path.cwd())
    if script := getattr(sys.modules.get("__main__"), "__file__", None):
        starts.append(Path(os.path.abspath(script)).parent)
    for start in starts:
        yield start
        yield from start.parents


def install() -> None:
    """Asks them after all other finders."""
    for finder in (FederationFinder, OtherEngine):
        if finder not in sys.meta_path:
            sys.meta_path.append(finder)
