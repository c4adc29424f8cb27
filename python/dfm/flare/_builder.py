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

LOG_CONFIG = "log_config.json"
"""What a participant logs, and where to, in its kit's folder `local`."""

AUTHORIZATION = "authorization.json"
"""Who may do what at a participant, there too."""

_LAUNCHER = "nvflare.app_common.job_launcher.client_process_launcher.ClientProcessJobLauncher"

# A running server or client has its kit as its current folder; NVFlare insists on an absolute path, and kits move.
_KIT = "/proc/self/cwd"
_MAX_JOBS = 64
"""A session is a job; NVFlare's default of 4 would make the fifth one wait."""

_NO_CODE = {"byoc": "none", "server-predeployed-flwr": "none"}
_READ_JOB = ("get_job_meta", "get_job_log", "list_job", "download_job", "download_job_components", "clone_job")
"""NVFlare's commands that tell what one job is and says."""


def _reading(who: str | list[str]) -> dict[str, Any]:
    return dict.fromkeys(_READ_JOB, who)


# What is not named is refused, so a role's rights are all that it has. `o:site` is who belongs to the site's own
# organisation; what a job told is read at the server alone, so that there it means the server's.
_POLICY: dict[str, dict[str, Any]] = {
    # Operates all that runs, and brings nothing.
    "project_admin": {"submit_job": "any", "manage_job": "any", "view": "any", "operate": "any"}
    | {"app_command": "any", "report_version": "any", "shell_commands": "o:site"}
    | _reading(["n:submitter", "o:site"])
    | _NO_CODE,
    "org_admin": {"submit_job": "none", "manage_job": "o:submitter", "view": "any", "operate": "o:site"}
    | {"report_version": "any", "shell_commands": "o:site"}
    | _reading(["o:submitter", "o:site"])
    | {"clone_job": "none"}
    | _NO_CODE,
    # An application: its own jobs, and who is connected.
    "lead": {"submit_job": "any", "manage_job": "n:submitter", "app_command": "n:submitter"}
    | {"list_jobs": "any", "check_status": "any"}
    | _reading("n:submitter")
    | _NO_CODE,
    "member": {"check_status": "any"} | _NO_CODE,
}
"""Who may do what at a site, by role."""
_NEVER = {"none", "no", "not any", "not all"}


class KitBuilder(Builder):
    """Completes every participant's kit.

    Args:
        files: by participant, the files of its folder `dfm` by their names.
        port: a port of the loopback that is the only one which the server listens on; the project's ports, on every
            interface, if there is none.
        notices: gets what somebody should know of the kits.
    """

    def __init__(self, files: Mapping[str, Mapping[str, str]], port: int | None, notices: list[str]):
        self._files = files
        self._notices = notices
        self._port = port

    def finalize(self, project: Project, ctx: ProvisionContext) -> None:
        """Runs after all other builders but the one that puts the kits in their place."""
        for participant in project.get_all_participants():
            local = Path(ctx.get_local_dir(participant))
            startup = Path(ctx.get_kit_dir(participant))
            _open_allow_list(local)
            _keep_storage_inside(local)
            _survive_lost_processes(local)
            for role in _set_policy(local):
                self._notices.append(
                    f"the policy that the project gives `{participant.name}` lets the role {role} bring code to it; "
                    "write `byoc: none` for it"
                )
            _end_streams_soon(local)
            _clean_logs(local)
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


def _set_policy(local: Path) -> list[str]:
    """Writes who may do what, unless the project brings a policy of its own; the roles that one lets bring code."""
    path = local / AUTHORIZATION
    if path.exists():
        return roles_with_code(_read(path))
    if (local / "authorization.json.default").exists():
        _write(path, {"format_version": "1.0", "permissions": _POLICY})
    return []


def roles_with_code(policy: dict[str, Any]) -> list[str]:
    """The roles that an NVFlare policy lets bring code along, on whatever condition."""
    return [role for role, rights in policy.get("permissions", {}).items() if _lets(rights)]


def _lets(rights: Any) -> bool:
    exp = rights.get("byoc", "none") if isinstance(rights, dict) else rights
    return any(" ".join(str(one).lower().split()) not in _NEVER for one in (exp if isinstance(exp, list) else [exp]))


def _end_streams_soon(local: Path) -> None:
    """Else every received stream leaves a thread that waits for more than a minute."""
    path = local / "comm_config.json"
    config = _read(path) if path.exists() else {}
    _write(path, config | {"streaming_retry_timeout": 1.0, "streaming_retry_wait": 0.5})


def _clean_logs(local: Path) -> None:
    """NVFlare logs names and messages that somebody else chose: each becomes one entry, whatever is in it."""
    if not (default := local / "log_config.json.default").exists() or (path := local / LOG_CONFIG).exists():
        return
    config = _read(default)
    config["filters"]["dfm"] = {"()": "dfm._shown.log_filter"}
    for handler in config["handlers"].values():
        handler.setdefault("filters", []).append("dfm")
    _write(path, config)


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
