"""What is the NVFlare job of a session? Only data, which names dfm's own components; no code travels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

OPEN, LIST, WAITS, CANCEL = "dfm_open", "dfm_list", "dfm_waits", "dfm_cancel"
"""The commands to a session's job, which NVFlare checks against the user's role: an application opens the session or
comes back to it; somebody lists its executions, asks what one waits for, or ends one."""
PAST, PAST_HEAD = "*", "-"
"""The receivers, which no site is called, of a packet for the homesite that has been kept; the second of one whose
value was had, and is kept no more."""
SHARED = "="
"""The receiver of a part that several sites get: the session's job gives it to each of them."""

NAME = "dfm-"
"""How the names of sessions' jobs begin."""

_CLIENT: dict[str, Any] = {
    "format_version": 2,
    "executors": [{"tasks": ["*"], "executor": {"path": "dfm.flare.client.SessionExecutor", "args": {}}}],
    "components": [],
}


def name_of(session: str) -> str:
    """NVFlare's name for a session's job."""
    return NAME + session


def write_job(folder: Path, name: str, application: str, clients: Sequence[str] = ()) -> Path:
    """Writes the job into a folder of its own below `folder`; it tells the application's cell when it can be asked, or,
    without one, waits longer for the application that will open it.

    It runs at the server and at these `clients`. NVFlare starts no job without one: where there are none, it runs at
    all that are there.
    """
    job = folder / name
    config = job / "app" / "config"
    config.mkdir(parents=True)
    args = {"application": application}
    server = {
        "format_version": 2,
        "workflows": [{"id": "session", "path": "dfm.flare.server.SessionController", "args": args}],
        "components": [],
    }
    where = ["server", *clients] if clients else ["@ALL"]
    meta = {"name": name, "resource_spec": {}, "min_clients": 1, "deploy_map": {"app": where}}
    for path, content in (
        (job / "meta.json", meta),
        (config / "config_fed_server.json", server),
        (config / "config_fed_client.json", _CLIENT),
    ):
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return job
