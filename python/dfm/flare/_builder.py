"""What does a startup kit need, beyond what NVFlare puts in, so that dfm runs in it?"""
# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUntypedBaseClass=false

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nvflare.lighter.entity import Participant, Project
from nvflare.lighter.spec import Builder, ProvisionContext

ALLOWED = ("dfm.flare.server.SessionController", "dfm.flare.client.SessionExecutor")
"""What jobs may name beyond NVFlare's own components; a whole package would let them name all that it imports."""

_LAUNCHER = "nvflare.app_common.job_launcher.client_process_launcher.ClientProcessJobLauncher"

# A running server or client has its kit as its current folder; NVFlare insists on an absolute path, and kits move.
_KIT = "/proc/self/cwd"
_MAX_JOBS = 64
"""A session is a job; NVFlare's default of 4 would make the fifth one wait."""


class KitBuilder(Builder):
    """Completes every participant's kit.

    Args:
        files: by participant, the files of its folder `dfm` by their names.
        port: a port of the loopback that is the only one which the server listens on; the project's ports, on every
            interface, if there is none.
    """

    def __init__(self, files: Mapping[str, Mapping[str, str]], port: int | None = None):
        self._files = files
        self._port = port

    def finalize(self, project: Project, ctx: ProvisionContext) -> None:
        """Runs after all other builders but the one that puts the kits in their place."""
        for participant in project.get_all_participants():
            local = Path(ctx.get_local_dir(participant))
            startup = Path(ctx.get_kit_dir(participant))
            _open_allow_list(local)
            _keep_storage_inside(local)
            _survive_lost_processes(local)
            _allow_sessions(local)
            _end_streams_soon(local)
            if self._port is not None and participant.type == "server":
                _listen_on_loopback(startup / "fed_server.json", self._port)
            if self._port is not None and participant.type != "admin":
                _tell_errors(local)
            self._write_runtime(participant, Path(ctx.get_ws_dir(participant)) / "dfm")

    def _write_runtime(self, participant: Participant, folder: Path) -> None:
        folder.mkdir()
        for name, text in self._files[participant.name].items():
            (folder / name).write_text(text, encoding="utf-8")


def _open_allow_list(local: Path) -> None:
    if (default := local / "resources.json.default").exists() and "class_allow_list" in (resources := _read(default)):
        resources["class_allow_list"].extend(ALLOWED)
        _write(local / "resources.json", resources)


def _keep_storage_inside(local: Path) -> None:
    path = local / "resources.json"
    if not path.exists() or "snapshot_persistor" not in (resources := _read(path)):
        return
    resources["snapshot_persistor"]["args"]["storage"]["args"]["root_dir"] = f"{_KIT}/snapshots"
    components = {component["id"]: component for component in resources["components"]}
    components["job_scheduler"]["args"]["max_jobs"] = _MAX_JOBS
    components["job_manager"]["args"]["uri_root"] = "jobs"
    components["job_store"]["args"] = {"root_dir": _KIT}
    _write(path, resources)


def _survive_lost_processes(local: Path) -> None:
    """A site that launches jobs as NVFlare does by default launches those of sessions so that they outlive a loss."""
    path = local / "resources.json"
    for component in (resources := _read(path) if path.exists() else {}).get("components", []):
        if component.get("path") == _LAUNCHER:
            component["path"] = "dfm.flare.launcher.SessionLauncher"
            _write(path, resources)


def _allow_sessions(local: Path) -> None:
    """Leads may talk to the jobs that they submitted; nobody but a project's admin may bring code along."""
    default = local / "authorization.json.default"
    if default.exists() and isinstance(lead := (policy := _read(default))["permissions"].get("lead"), dict):
        lead |= {"app_command": "n:submitter", "byoc": "none"}
        _write(local / "authorization.json", policy)


def _end_streams_soon(local: Path) -> None:
    """Else every received stream leaves a thread that waits for more than a minute."""
    path = local / "comm_config.json"
    config = _read(path) if path.exists() else {}
    _write(path, config | {"streaming_retry_timeout": 1.0, "streaming_retry_wait": 0.5})


def _tell_errors(local: Path) -> None:
    """All sites are the user's own here, so they may tell what is in an error."""
    (local / "policy.yaml").write_text(
        "# What this site decides by itself; `dfm site policy check` checks it.\nerrors: full\n"
    )


def _listen_on_loopback(path: Path, port: int) -> None:
    config = _read(path)
    for server in config["servers"]:
        server["service"]["target"] = f"localhost:{port}"
    _write(path, config)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
