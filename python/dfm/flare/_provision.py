"""What does `dfm fed gen provision` run?

The command calls `main` in a process of its own with a request on stdin, and reads the answer from stdout, both
JSON.
"""
# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUntypedBaseClass=false

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from nvflare.lighter.constants import CtxKey
from nvflare.lighter.prov_utils import prepare_builders
from nvflare.lighter.provision import prepare_project
from nvflare.lighter.provisioner import Provisioner

from dfm._shown import clean_logger
from dfm.exec._own_files import write_own
from dfm.exec._policy import FILE
from dfm.flare._builder import AUTHORIZATION, LOG_CONFIG, KitBuilder
from dfm.flare._direct import FILE as DIRECT
from dfm.flare._project import Project, ProjectError, derived, load
from dfm.flare._workspace import alone, check, remove

_NEW_ROLE = (
    "a role is in its user's certificate: write the old role, add a user of another name, or provision with --clean"
)
_OWN = (FILE.name, LOG_CONFIG, AUTHORIZATION)
"""What a site decides, in the folder `local` of its kit."""
_POC_PORT = 8002
"""Stands in new POC kits until a start chooses a free port."""


def main() -> None:
    """Provisions, and exits with 0, or with 2 when the project cannot be used."""
    request = json.load(sys.stdin)
    # NVFlare tells its progress on stdout, which belongs to the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    os.umask(0o077)
    try:
        result = _provision(request)
    except ProjectError as error:
        result = {"error": str(error), "help": error.help}
    json.dump(result, answer)
    answer.flush()
    sys.exit(2 if "error" in result else 0)


def _provision(request: dict[str, Any]) -> dict[str, Any]:
    sites: dict[str, Any] = request["sites"]
    if request["project"]:
        project = load(Path(request["project"]), request["builders"])
    else:
        project = derived(request["federation"], list(sites), request["port"])
    notices: list[str] = []
    workspace = Path(request["workspace"])
    with alone(workspace):
        folder = workspace / project.content["name"]
        if request["clean"]:
            remove(folder)
        check(folder, request["anew"])
        last = _last_kits(folder)
        if last is not None and not request["project"]:
            _keep_roles(project, last, notices)
        port = None
        if request["poc"]:
            port = _port(last) or _POC_PORT
            _make_local(project, port)
        kits = _build(project, workspace, _files(request, project, notices), port, notices)
        if last is not None and request["poc"]:
            _keep_own(last, kits, notices)
        if last is not None and _holds(last, kits):
            shutil.rmtree(kits)
            kits, unchanged = last, True
        else:
            unchanged = False
        if not request["project"]:
            _write_derived(workspace / "project.yaml", project)
            notices.append(f"there is no project file; one was derived: {workspace / 'project.yaml'}")
        known = _participants(last) if last is not None else ()
        participants = [_described(kits, one, known) for one in project.content["participants"]]
        return {
            "folder": str(kits),
            "unchanged": unchanged,
            "participants": participants,
            "root_expires": _expiry(kits / participants[0]["name"] / "startup" / "rootCA.pem"),
            "notices": notices,
        }


def _last_kits(folder: Path) -> Path | None:
    return max(folder.glob("prod_[0-9][0-9]"), default=None)


def _participants(kits: Path) -> Sequence[str]:
    return [path.parent.name for path in kits.glob("*/startup")]


def _port(kits: Path | None) -> int | None:
    """The port of POC kits that are there already."""
    for path in kits.glob("*/startup/fed_server.json") if kits else ():
        return int(json.loads(path.read_text())["servers"][0]["service"]["target"].rpartition(":")[2])
    return None


def _keep_roles(project: Project, kits: Path, notices: list[str]) -> None:
    """A role is in its user's certificate, which stays; so does the one that an earlier dfm gave an application."""
    for one in project.participants("admin"):
        path = kits / one["name"] / "dfm" / "kit.json"
        old = json.loads(path.read_text())["role"] if path.is_file() else one["role"]
        if old != one["role"]:
            notices.append(
                f"`{one['name']}` keeps the role {old}, though {one['role']} is enough for it: the role is in its "
                "certificate; provision anew with --clean, or `dfm poc restart --do-cleanup`, to change it"
            )
            one["role"] = old


def _keep_own(last: Path, kits: Path, notices: list[str]) -> None:
    """What a site decides by files of its own is kept as its user has left it: a POC's kits are used where they are."""
    for path in sorted(kits.glob("*/local/*")):
        own = last / path.relative_to(kits)
        if path.name not in _OWN or not own.is_file() or _same(own, path):
            continue
        shutil.copy2(own, path)
        if path.name == AUTHORIZATION:
            notices.append(
                f"`{path.parent.parent.name}` keeps its own local/{AUTHORIZATION}; remove {own} for the one that is "
                "provisioned"
            )


def _make_local(project: Project, port: int) -> None:
    """Turns a project into one whose participants are all on this machine."""
    for one in project.content["participants"]:
        if one["type"] == "relay":
            raise ProjectError(
                f"the participant `{one['name']}` is a relay, and dfm poc runs none", "use provisioned kits"
            )
        if one["type"] == "server":
            one |= {
                "fed_learn_port": port,
                "admin_port": port,
                "default_host": "localhost",
                "host_names": ["127.0.0.1"],
            }
        for elsewhere in ("connect_to", "listening_host"):
            one.pop(elsewhere, None)


def _files(request: dict[str, Any], project: Project, notices: list[str]) -> dict[str, dict[str, str]]:
    """By participant, what its folder `dfm` holds: its own runtime, and nobody else's."""
    sites: dict[str, Any] = request["sites"]
    servers, clients = ([one["name"] for one in project.participants(kind)] for kind in ("server", "client"))
    # A server may be named for its host; to dfm it is the site `server`.
    site_of = {name: name for name in clients} | {servers[0]: "server"}
    homes = [site for site in sites if site not in site_of.values()]
    leads = [one["name"] for one in project.participants("admin") if one.get("role") == "lead"]
    files: dict[str, dict[str, str]] = {}
    for one in project.content["participants"]:
        name, kind = one["name"], one["type"]
        # Where there are leads, who is something else starts no application.
        may_be_home = homes if not leads or name in leads else []
        site = site_of.get(name) if kind != "admin" else _home(name, may_be_home)
        kit = {"format": 1, "federation": request["federation"], "package": request["package"], "participant": name}
        kit |= {"type": kind, "org": one["org"], "role": one.get("role"), "site": site if site in sites else None}
        files[name] = {"kit.json": json.dumps(kit, indent=2) + "\n"}
        if site in sites:
            files[name]["site.json"] = json.dumps(sites[site], indent=2) + "\n"
        elif kind == "client":
            notices.append(f"the client `{name}` is no site of the configuration; it will run nothing")
        if kind == "admin":
            files[name]["fed_info.json"] = json.dumps(request["fed_info"], indent=2) + "\n"
        direct = _direct(request, kind, site_of.get(name), site_of.values())
        if direct["own"] or direct["others"]:
            files[name][DIRECT] = json.dumps({"format": 1} | direct, indent=2) + "\n"
    return files


def _direct(request: dict[str, Any], kind: str, site: str | None, runs: Collection[str]) -> dict[str, Any]:
    """Where a participant of this kind takes direct connections, and where it finds others that it may connect to."""
    declared = {name: one for name, one in request["direct"].items() if name in runs}
    if request["poc"]:
        # All are on this machine, where ranges of several machines would meet: any port is good.
        here = {"host": "127.0.0.1", "ports": [0, 0], "listen": "127.0.0.1"}
        declared = dict.fromkeys(declared, here)
    own = declared.pop(site, None) if site else None
    if kind == "admin":
        declared = {name: one for name, one in declared.items() if name == "server"}
    elif kind not in ("server", "client"):
        declared = {}
    return {
        "own": own and {"ports": own["ports"], "listen": own["listen"]},
        "others": {name: {"host": one["host"], "ports": one["ports"]} for name, one in declared.items()},
    }


def _home(admin: str, homes: Sequence[str]) -> str | None:
    """The site whose application an admin starts: the one it is named for, else the only one that runs nowhere else."""
    name = admin.partition("@")[0]
    return name if name in homes else homes[0] if len(homes) == 1 else None


def _build(
    project: Project, workspace: Path, files: Mapping[str, Mapping[str, str]], port: int | None, notices: list[str]
) -> Path:
    content = project.content
    log = _Log()
    try:
        # NVFlare takes things out of what it is given.
        nvflare_project = prepare_project(json.loads(json.dumps(content)))
        builders = prepare_builders(content)
        builders.insert(1, KitBuilder(files, port, notices))
        with contextlib.redirect_stderr(None):
            context = Provisioner(str(workspace), builders).provision(nvflare_project, logger=log)
    except (ValueError, RuntimeError, TypeError) as error:
        raise ProjectError(f"NVFlare refuses the project `{content['name']}`: {error}") from None
    finally:
        for path in (workspace / content["name"] / "state").glob("*"):
            path.chmod(0o600)
    if context.get(CtxKey.BUILD_ERROR) or not (kits := context.get_result_location()):
        help = _NEW_ROLE if "previous role" in log.problem else None
        raise ProjectError(
            f"NVFlare cannot provision `{content['name']}`: {log.problem or 'it does not say why'}", help
        )
    # NVFlare opens its scripts to everybody, whatever the umask.
    for path in Path(kits).rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)
    return Path(kits)


class _Log:
    """Keeps the last problem that NVFlare tells."""

    problem = ""

    def debug(self, text: str) -> None: ...

    info = debug

    def warning(self, text: str) -> None:
        clean_logger(__name__).warning(text)

    def error(self, text: str) -> None:
        self.problem = text.removesuffix("  Incomplete prod_n folder removed.").removeprefix("Exception ")


def _holds(old: Path, new: Path) -> bool:
    """Whether all files of `new` are in `old` already, under the same participants, and nothing that it took back."""
    files = [path.relative_to(new) for path in new.rglob("*") if path.is_file()]
    # These are a site's own, once it has them.
    left = (FILE.name, LOG_CONFIG)
    same = all((old / path).is_file() and (path.name in left or _same(old / path, new / path)) for path in files)
    taken_back = any(not (new / path.relative_to(old)).exists() for path in old.glob(f"*/dfm/{DIRECT}"))
    return same and not taken_back and set(_participants(old)) == set(_participants(new))


def _same(old: Path, new: Path) -> bool:
    if old.read_bytes() == new.read_bytes():
        return True
    try:
        return new.suffix == ".json" and json.loads(old.read_text()) == json.loads(new.read_text())
    except ValueError:  # somebody has edited it
        return False


def _write_derived(path: Path, project: Project) -> None:
    write_own(path, yaml.safe_dump(project.content, sort_keys=False).encode())


def _described(kits: Path, one: dict[str, Any], known: Sequence[str]) -> dict[str, Any]:
    kit = kits / one["name"]
    certificate = kit / "startup" / ("server.crt" if one["type"] == "server" else "client.crt")
    described = {"name": one["name"], "type": one["type"], "role": one.get("role"), "new": one["name"] not in known}
    site = json.loads((kit / "dfm" / "kit.json").read_text())["site"]
    return described | {"site": site, "expires": _expiry(certificate)}


def _expiry(path: Path) -> dict[str, Any]:
    end = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    return {"date": end.date().isoformat(), "days": (end - datetime.datetime.now(datetime.UTC)).days}
