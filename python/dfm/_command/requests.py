"""What does `dfm site requests` run, with which a site's admin decides of what its policy wants a person to approve?

The command calls `main` in a process of its own with WHAT KIT ID UNTIL LIKE WHY FORMAT: `list`, `show`, `approve`
or `deny`; the site's kit, or the folder of a policy that is tried; a request's name, or the beginning of one; the last
day for which the decision holds; `like` for all calls that the rule is about; what the user is told; and `json` or
`text`.
"""

from __future__ import annotations

import datetime
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfm._command.drawing import drawn, json_text, text, unbroken
from dfm._command.screen import put, tell
from dfm._shown import one_line
from dfm.exec._approvals import decide, decisions, requests, today

_DAYS = 7
"""For which a decision holds that says no day."""
_PLAIN = re.compile(r"[\w.@*:+-]+", re.ASCII)
"""What is no name that a user might take for more, as they choose some."""
_HIDDEN = ("net", "given", "like", "decided", "at")


class WrongRequestError(Exception):
    """What cannot be done, and why."""


def main() -> None:
    """Exits with 2 where there is no such request, or nothing can be decided of it."""
    what, kit, name, until, like, why, form = sys.argv[1:]
    folder, as_json = Path(kit, "requests"), form == "json"
    try:
        _check(Path(kit))
        if what == "list":
            _list(folder, as_json)
        elif what == "show":
            _show(_one(folder, name), as_json)
        else:
            _decide(folder, _one(folder, name), what == "approve", until, bool(like), why, as_json)
    except (WrongRequestError, OSError) as error:
        tell(f"error: {error}")
        sys.exit(2)


def _check(kit: Path) -> None:
    """Whether a site may keep requests here: nobody is told that nothing waits at a place where nothing would."""
    if not (kit / "startup").is_dir() and not (kit / "requests").is_dir() and not any(kit.glob("*.y*ml")):
        raise WrongRequestError(f"'{kit}' is no site's startup kit, and no folder of a policy that is tried")


def _one(folder: Path, name: str) -> dict[str, Any]:
    found = [one for one in requests(folder) if name and one["request"].startswith(name)]
    if len(found) != 1:
        raise WrongRequestError(f"{folder} has {'several requests' if found else 'no request'} '{name}'")
    return found[0]


def _list(folder: Path, as_json: bool) -> None:
    found = requests(folder)
    if as_json:
        decided = {one.request: one.approve for one in reversed(decisions(folder)) if one.until >= today()}
        put(json.dumps({"requests": [one | {"approved": decided.get(one["request"])} for one in found]}))
        return
    waiting = [one for one in found if not one["decided"]]
    for one in waiting:
        put(one_line(f"{one['request']}  {_time(one)}  {one['user']}  {one['operation']}  {json_text(one['name'])}"))
    if not waiting:
        tell("nothing waits for a decision")


def _show(request: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        put(json.dumps(request))
        return
    put(one_line(f"{'asked':<14} {_time(request)}"))
    for key, value in request.items():
        if key not in _HIDDEN and value not in (None, ""):
            put(one_line(f"{key:<14} {text(str(value), _PLAIN)}"))
    put(one_line(f"{'with':<14} {unbroken(request['given'])}"))
    for line in drawn(str(request["net"]), str(request.get("homesite", ""))):
        put(one_line(line))


def _decide(
    folder: Path, request: dict[str, Any], approve: bool, until: str, like: bool, why: str, as_json: bool
) -> None:
    until = until or f"{datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=_DAYS):%Y-%m-%d}"
    try:
        if datetime.date.fromisoformat(until).isoformat() != until or until < today():
            raise ValueError
    except ValueError:
        raise WrongRequestError(f"--until takes a day from today on, such as {today()}, not '{until}'") from None
    decision = decide(folder, request, approve, until, like, why)
    if as_json:
        put(json.dumps({"request": decision.request, "approved": approve, "until": until, "like_this": like}))
        return
    of = "all calls like it" if like else "calls with these parameters"
    verb = "approved" if approve else "denied"
    put(one_line(f"{decision.request} is {verb} until {until}: of {decision.user}, in this pipeline, {of}"))


def _time(request: Mapping[str, Any]) -> str:
    return f"{datetime.datetime.fromtimestamp(request['at'], datetime.UTC):%Y-%m-%d %H:%M}"
