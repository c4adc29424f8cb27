"""Which startup kit does an application connect with?"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

from dfm.errors import SessionError


@dataclasses.dataclass(frozen=True)
class Kit:
    """A user's startup kit."""

    folder: Path
    user: str

    def start(self) -> str:
        """What its federation's server may need that does not answer."""
        return f"start the POC with `dfm poc start -f {poc}`" if (poc := self.poc()) else "is it running?"

    def start_of(self, site: str) -> str:
        """What a site may need whose client does not answer the server."""
        if poc := self.poc():
            return f"`dfm poc status -f {poc}` shows who is there, and `dfm poc start -f {poc}` starts who is not"
        return f"is the startup kit of '{site}' started where it runs, and does it reach the server?"

    def poc(self) -> str | None:
        """The federation whose POC it is of."""
        poc = self.folder.parents[2]
        # `dfm poc` writes this file into the folder that has its kits.
        return poc.name.removesuffix("_poc") if poc.name.endswith("_poc") and (poc / ".poc").exists() else None


def find_kit(package: str | None, workspace: str | None, user: str | None) -> Kit:
    """The kit in the folder `package`, or else the newest one of `user` in a provisioned project, `workspace`.

    Raises:
        SessionError: there is none, or more than one that it may be.
    """
    if package is not None:
        folder = Path(package)
        if not _is_kit(folder):
            why = "it has no startup/fed_admin.json" if folder.exists() else f"there is no {folder.absolute()}"
            raise SessionError(
                f"{folder} is not a user's startup kit: {why}; give admin_package, or DFM_FLARE_ADMIN_PACKAGE, the "
                f"folder that was provisioned for the user{_nearby()}"
            )
        return Kit(folder.resolve(), user or _user(folder))
    if workspace is None:
        raise SessionError(
            "the target 'flare' needs the user's startup kit: give get_session(admin_package=...) its folder, or set "
            f"DFM_FLARE_ADMIN_PACKAGE{_nearby()}"
        )
    kits = [path for path in sorted(Path(workspace).glob("prod_*/*"), key=_age) if _is_kit(path)]
    named = {_user(path): path for path in kits}
    if not named:
        why = "provision the federation first" if Path(workspace).is_dir() else "there is no such folder"
        raise SessionError(
            f"there is no user's startup kit in {workspace}: {why}; flare_workspace, or DFM_FLARE_WORKSPACE, is the "
            f"folder of a provisioned project, with prod_00 in it{_nearby()}"
        )
    if user is not None and user not in named:
        raise SessionError(f"there is no startup kit of user '{user}' in {workspace}; it has: {', '.join(named)}")
    if user is None:
        named = _applications(named)
        if len(named) > 1:
            raise SessionError(
                f"{workspace} has kits of several users; set DFM_FLARE_USER to one of: {', '.join(named)}"
            )
    name = user or next(iter(named))
    return Kit(named[name].resolve(), name)


def _nearby() -> str:
    """Names the one kit for an application that is in `workspace` here; it is not taken, as it is a user's name."""
    found: dict[Path, dict[str, Path]] = {}
    for depth in ("*", "*/*"):
        for kit in sorted(Path("workspace").glob(f"{depth}/prod_*/*"), key=_age):
            if _is_kit(kit):
                found.setdefault(kit.parents[1], {})[_user(kit)] = kit
    kits = [kit for named in found.values() for kit in _applications(named).values()]
    return f"; there is one here: DFM_FLARE_ADMIN_PACKAGE={kits[0]}" if len(kits) == 1 else ""


def _applications(kits: dict[str, Path]) -> dict[str, Path]:
    """Those of users' kits that an application may be meant to use: leads' before others', and of several the one that
    is named for the application's site."""
    facts = {user: _facts(folder) for user, folder in kits.items()}
    chosen = [user for user in kits if facts[user].get("role") == "lead"] or list(kits)
    named = [user for user in chosen if user.partition("@")[0] == facts[user].get("site")]
    return {user: kits[user] for user in (named if len(named) == 1 else chosen)}


def settings_of(folder: Path) -> dict[str, Any]:
    """What a user's kit says of its user and of the server, as NVFlare reads it.

    Raises:
        OSError, ValueError, LookupError, TypeError: the file is not there, or is none of NVFlare's.
    """
    return json.loads((folder / "startup" / "fed_admin.json").read_text(encoding="utf-8"))["admin"]


def _age(path: Path) -> tuple[int, str]:
    number = path.parent.name.removeprefix("prod_")
    return (int(number) if number.isdigit() else -1, path.name)


def _is_kit(folder: Path) -> bool:
    return (folder / "startup" / "fed_admin.json").is_file()


def _user(folder: Path) -> str:
    return str(_facts(folder).get("participant") or folder.resolve().name)


def _facts(folder: Path) -> dict[str, Any]:
    """What `dfm fed gen provision` wrote down of a kit; nothing of one that plain NVFlare made."""
    try:
        facts = json.loads((folder / "dfm" / "kit.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast(dict[str, Any], facts) if isinstance(facts, dict) else {}
