"""How is a federation's package found without setting `PYTHONPATH`?

A package that holds generated code, and that nothing else finds, is looked for around the current folder and around the
script that runs: in these two, in their parents up to the project's root, around a script that is in the package
itself, and in the folder of the package's name that `dfm fed init` makes around it. What belongs to another user than
this process's, or root, is not imported, wherever it is.
"""

import contextlib
import importlib.machinery
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
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
            if modules := _fill(package):
                return importlib.machinery.PathFinder.find_spec(fullname, modules)
            places = [place for folder in path for place in (Path(folder), Path(folder) / package)]
            if inside == "fed" and any(_is_configured(place) for place in places):
                message = f"No module named '{fullname}': generate it with `dfm fed gen code {package}`"
                raise ModuleNotFoundError(message, name=fullname)
            return None
        return _spec(fullname, _folders(fullname))


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


def _spec(package: str, folders: Iterable[Path]) -> importlib.machinery.ModuleSpec | None:
    for folder in folders:
        if _is_trusted(folder / package):
            return importlib.machinery.PathFinder.find_spec(package, [str(folder)])
    return None


def _fill(package: str) -> Sequence[str] | None:
    """Makes the package of a module that is only the folder around it, and returns where its modules are."""
    module = sys.modules.get(package)
    if module is None or module.__spec__ is None or module.__spec__.origin is not None:
        return None
    spec = _spec(package, [Path(folder) for folder in module.__path__ if Path(folder).name == package])
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return None
    module.__spec__, module.__loader__, module.__file__ = spec, spec.loader, spec.origin
    module.__path__ = spec.submodule_search_locations
    spec.loader.exec_module(module)
    return module.__path__


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
        for folder in around[: root + 1]:
            # A federation's name may have hyphens, for which its package has underscores.
            yield from (folder, folder / package, folder / package.replace("_", "-"))


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
