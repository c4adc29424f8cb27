"""May what lies in a workspace already be used, or did somebody else put it there?

A workspace may have come with somebody's repository: with links that lead elsewhere, and with a root of trust whose key
its author has kept.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from collections.abc import Generator
from pathlib import Path

from dfm.flare._project import ProjectError

_OWN = re.compile(r"prod_\d\d|resources|state|wip")
"""What NVFlare keeps in a project's folder."""
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
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ProjectError(
            f"{path} cannot be opened: {error.strerror}", "remove it, which no run of dfm needs"
        ) from None
    with open(lock, "rb"):
        fcntl.flock(lock, fcntl.LOCK_EX)
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
    if (repository := _repository(folder)) is not None:
        help = f"run `git rm -r --cached {folder}`, and then `{anew}`"
        raise ProjectError(f"{folder}, with the state in it, is in the git repository {repository}, {_WHY}", help)


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


def _repository(folder: Path) -> Path | None:
    """The git repository that has files of a folder. Git is not asked: it runs what a repository's settings name."""
    for parent in (folder := folder.resolve()).parents:
        index = parent / ".git" / "index"
        if index.is_file():
            # It holds the whole path of each file.
            return parent if os.fsencode(folder.relative_to(parent)) + b"/" in index.read_bytes() else None
    return None
