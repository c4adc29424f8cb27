"""May what lies in a workspace already be used, or did somebody else put it there?

A workspace may have come with somebody's repository: with links that lead elsewhere, and with a root of trust whose key
its author has kept.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path

from dfm.exec._own_files import locked
from dfm.flare._project import ProjectError

_OWN = re.compile(r"prod_\d\d|resources|state|wip")
"""What NVFlare keeps in a project's folder."""
_LONGEST_LINK = 8192
"""So many bytes of a file `.git` are read, which leads to a repository."""
_WHY = "and whoever has the root's key makes kits for anybody"


@contextlib.contextmanager
def alone(workspace: Path) -> Generator[None]:
    """Two runs at once would write the same keys twice.

    Raises:
        ProjectError: somebody else may have made the workspace, or its lock.
    """
    _check_link(workspace)
    workspace.mkdir(parents=True, exist_ok=True)
    path = workspace / ".lock"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(path))
        except OSError as error:
            help = "remove it, which no run of dfm needs"
            raise ProjectError(f"{path} cannot be opened: {error.strerror}", help) from None
        yield


def check(folder: Path, anew: str) -> None:
    """That a project's kits and root of trust are this account's own; the command `anew` makes others.

    Raises:
        ProjectError: somebody else may have made them, or can read them.
    """
    _check_folder(folder)
    state = folder / "state"
    for path in (folder, state, *state.glob("*")):
        _check_link(path)
        if not path.exists():
            return
        found = path.stat()
        if found.st_uid != os.geteuid():
            raise ProjectError(f"{path} is another user's, {_WHY}", f"run `{anew}`")
        if found.st_mode & 0o077:
            help = f"if you have made it, run `chmod -R go= {folder}`; else `{anew}`"
            raise ProjectError(f"{path} is one that others may read or change, {_WHY}", help)
    _check_repository(folder, anew)


def remove(folder: Path) -> None:
    """Removes a project's kits and its root of trust, if there are any.

    Raises:
        ProjectError: that is not what the folder holds.
    """
    _check_folder(folder)
    if not folder.exists():
        return
    for path in folder.iterdir():
        if not _OWN.fullmatch(path.name):
            raise ProjectError(f"{folder} holds more than kits: {path.name}", "nothing is removed; move that first")
    shutil.rmtree(folder)


def _check_folder(folder: Path) -> None:
    _check_link(folder)
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is no folder of kits", "move it, or choose another `name` for the project")


def _check_link(path: Path) -> None:
    if path.is_symlink():
        raise ProjectError(f"{path} is a link, and kits are made and removed in no other place", "remove the link")


def _check_repository(folder: Path, anew: str) -> None:
    """That no git repository has files of a folder. Git is not asked: it runs what a repository's settings name."""
    folder = folder.resolve()
    for place in (folder / "state", folder, *folder.parents):
        # All files of a repository that begins in the folder itself are the folder's.
        inside = os.fsencode(folder.relative_to(place)) + b"/" if place in folder.parents else b""
        try:
            indexes = _indexes(place / ".git")
        except (OSError, ValueError) as error:
            help = f"run `git -C {place} update-index --no-split-index --index-version 2`, or name another workspace"
            raise ProjectError(
                f"{folder} may be in the git repository {place}, whose index cannot be read: {error}",
                f"{help} with `--workspace DIR`",
            ) from None
        if any(inside in index for index in indexes):
            help = f"run `git rm -r --cached {folder}`, and then `{anew}`"
            raise ProjectError(f"{folder}, with the state in it, is in the git repository {place}, {_WHY}", help)
        if indexes:
            return


def _indexes(git: Path) -> list[bytes]:
    """What a repository has of its files' names: nothing where there is none, or no file in it.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is not what it should be.
    """
    if not os.path.lexists(git):
        return []
    folder = git if git.is_dir() else _led(git)
    path = folder / "index"
    if not os.path.lexists(path):
        return []
    index = _names(path)
    # One that is split names, at its end, the file that has most of it.
    hexadecimal = index.hex()
    shared = [path for path in folder.glob("sharedindex.*") if path.suffix[1:] in hexadecimal]
    return [index, *map(_names, shared)]


def _led(link: Path) -> Path:
    """Where the file `.git` of a submodule or of another working tree leads."""
    if not link.is_file():
        raise ValueError(f"{link} is neither a file nor a folder")
    with link.open("rb") as file:
        key, _, path = file.read(_LONGEST_LINK).partition(b": ")
    folder = link.parent / os.fsdecode(path.rstrip(b"\r\n"))
    if key != b"gitdir" or b"\0" in path or not folder.is_dir():
        raise ValueError(f"{link} leads to no repository")
    return folder


def _names(path: Path) -> bytes:
    """An index that holds the whole path of each file, as those of versions 2 and 3 do."""
    if not path.is_file():
        raise ValueError(f"{path} is no file")
    index = path.read_bytes()
    if index[:4] != b"DIRC":
        raise ValueError(f"{path} is no index")
    if (version := int.from_bytes(index[4:8], "big")) not in (2, 3):
        raise ValueError(f"{path} is of version {version}, and versions 2 and 3 can be read")
    return index
