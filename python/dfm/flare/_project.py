"""What does an NVFlare project file mean for the NVFlare that is installed?

Files written for NVFlare 2.6 are understood where their meaning is clear, and `dfm fed check` tells what has no effect;
where it is not, the lines to change are named.
"""
# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUntypedBaseClass=false

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, cast

import yaml
from nvflare.fuel.utils.validation_utils import JOB_NAME_PATTERN
from nvflare.lighter.constants import DEFINED_PARTICIPANT_TYPES
from nvflare.lighter.spec import Builder

_BUILDERS = "nvflare.lighter.impl"
_WORKSPACE, _STATIC, _CERT, _SIGNATURE = (
    f"{_BUILDERS}.workspace.WorkspaceBuilder",
    f"{_BUILDERS}.static_file.StaticFileBuilder",
    f"{_BUILDERS}.cert.CertBuilder",
    f"{_BUILDERS}.signature.SignatureBuilder",
)
_OF_NVFLARE = re.compile(r"nvflare\.lighter\.impl\.\w+\.\w+")
_CA = "custom_ca_cert"
_CERTIFICATES = re.compile(rb"(-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----\s*)+")
_LONGEST = 63
"""NVFlare cuts the name of a project there."""
_TEMPLATE = f"{_BUILDERS}.template.TemplateBuilder"
_DOCKER, _REQUIRED = f"{_BUILDERS}.docker.DockerBuilder", "requirements_file"
_PLAIN = re.compile(r"(?!-)[A-Za-z0-9._:/@-]*")
"""A text that is no more than a word, and no option, in a script that NVFlare writes it into without quotes."""
_PORTS = ("fed_learn_port", "admin_port", "edge_service_port")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
_GONE_ARGUMENTS = {_WORKSPACE: ("template_file",), _STATIC: ("overseer_agent", "snapshot_persistor")}
_GONE_BUILDERS = {
    "Helm": "remove these lines; `dfm fed gen helm` writes the chart",
    "AuthPolicy": "remove these lines, and write the policy into each kit's local/authorization.json",
    "LocalCert": "write `path: nvflare.lighter.impl.cert.CertBuilder` instead",
}


class ProjectError(Exception):
    """A project file that cannot be used; what to do about it is `help`."""

    def __init__(self, message: str, help: str | None = None):
        super().__init__(message)
        self.help = help


class Project:
    """A project file as the installed NVFlare takes it."""

    def __init__(self, content: dict[str, Any]):
        self.content = content

    def participants(self, kind: str) -> list[dict[str, Any]]:
        """The participants of a type, as they are written."""
        return [one for one in self.content["participants"] if one.get("type") == kind]


def load(path: Path, builders: Collection[str]) -> Project:
    """Reads a project file. It may have NVFlare's builders, and of others those that are named: a builder is code.

    Raises:
        ProjectError: it cannot be read, or nobody can say what it means for this NVFlare.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.safe_load(text)
        root = yaml.compose(text)
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ProjectError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict) or root is None:
        raise ProjectError(f"{path} holds no NVFlare project", "it needs `api_version: 3`, `name` and `participants`")
    return _Reader(path, cast(dict[str, Any], content), root, builders).project()


def derived(name: str, sites: Sequence[str], port: int) -> Project:
    """The project of a federation that has no file: the site `server` is NVFlare's server, which listens on `port`, the
    first other site is the application's, the rest are clients. Beside the application, who submits, there is an admin,
    who operates what runs."""
    others = [site for site in sites if site != "server"]
    home, clients = (others[0], others[1:]) if others else ("application", [])
    project = name.replace("_", "-")
    participants: list[dict[str, Any]] = [
        {"name": "server", "type": "server", "org": "dfm", "fed_learn_port": port}
        | {"default_host": "localhost", "host_names": ["127.0.0.1"]}
    ]
    participants += [{"name": client, "type": "client", "org": "dfm"} for client in clients]
    operator = "admin" if home != "admin" else "operator"
    for name, role in ((home, "lead"), (operator, "project_admin")):
        participants.append({"name": f"{name}@{project}.local", "type": "admin", "org": "dfm", "role": role})
    content = {"api_version": 3, "name": project, "description": f"The federation {name}"}
    return Project(content | {"participants": participants, "builders": _default_builders()})


def _default_builders() -> list[dict[str, Any]]:
    static = {"path": _STATIC, "args": {"config_folder": "config", "scheme": "tcp"}}
    return [{"path": _WORKSPACE}, static, {"path": _CERT}, {"path": _SIGNATURE}]


class _Reader:
    def __init__(self, path: Path, content: dict[str, Any], root: yaml.Node, builders: Collection[str]):
        self._path = path
        self._allowed = builders
        self._content = content
        self._root = root

    def project(self) -> Project:
        version = self._content.get("api_version")
        if version not in (3, 4):
            raise self._error(f"api_version is {version!r}", "write `api_version: 3`", "api_version")
        if not isinstance(name := self._content.get("name"), str):
            raise self._error("there is no name", "write `name: …`; it becomes the name of the root certificate")
        if not re.fullmatch(JOB_NAME_PATTERN, name) or len(name) > _LONGEST:
            help = f"use at most {_LONGEST} letters, digits, `_`, `-` and `.`, beginning with a letter or digit"
            raise self._error(f"{name!r} cannot be the name of a project, which is that of a folder", help, "name")
        self._check_certificates(self._content)
        self._content["participants"] = self._participants()
        self._content["builders"] = self._builders()
        return Project(self._content)

    def _participants(self) -> list[dict[str, Any]]:
        given = self._content.get("participants")
        if not isinstance(given, list) or not given:
            raise self._error("there are no participants", "list the server, the clients and at least one admin")
        kept: list[dict[str, Any]] = []
        for index, one in enumerate(cast(list[Any], given)):
            where = ("participants", index)
            if not isinstance(one, dict) or not {"name", "type", "org"} <= one.keys():
                raise self._error("a participant needs `name`, `type` and `org`", "add what is missing", *where)
            if one["type"] == "overseer":
                continue
            # NVFlare looks at no name of another type, and makes a folder of it.
            if one["type"] not in DEFINED_PARTICIPANT_TYPES:
                what = f"NVFlare has no participants of type {one['type']!r}"
                raise self._error(what, "write `server`, `client` or `admin`", *where)
            self._check_certificates(one, *where)
            self._check_numbers(one, *where)
            kept.append(cast(dict[str, Any], one))
        servers = [index for index, one in enumerate(given) if isinstance(one, dict) and one["type"] == "server"]
        if not servers:
            raise self._error("there is no participant of type `server`", "add one", "participants")
        if len(servers) > 1:
            raise self._error(
                "there is a second server, and NVFlare has one only", "keep one server", *where_of(servers)
            )
        if not any(one["type"] == "admin" for one in kept):
            raise self._error("there is no participant of type `admin`, so nobody could submit", "add one")
        return kept

    def _check_certificates(self, of: dict[str, Any], *where: str | int) -> None:
        """That what NVFlare copies into kits, which others get, is what it is said to be, and no file of the user's."""
        if not (given := of.get(_CA)):
            return
        path = Path(str(given))
        try:
            found = path.read_bytes() if path.is_file() else b""
        except OSError:
            found = b""
        if not _CERTIFICATES.fullmatch(found.strip()):
            help = "name a file that holds certificates as PEM alone: it is copied into kits, which others get"
            raise self._error(f"{path} is no file of certificates", help, *where, _CA)

    def _check_numbers(self, one: dict[str, Any], *where: str | int) -> None:
        """That what NVFlare writes into kits as a number is one: a text could end the number and go on."""
        capacity = one.get("capacity") or {}
        if not isinstance(capacity, dict):
            raise self._error("`capacity` has no numbers by name", "write `num_gpus: a number`", *where, "capacity")
        given = {name: one[name] for name in _PORTS if name in one} | cast(dict[str, Any], capacity)
        for name, value in given.items():
            if not _NUMBER.fullmatch(str(value)):
                keys = (name,) if name in one else ("capacity", name)
                raise self._error(f"`{name}` is {value!r}, and no number", "write a number", *where, *keys)

    def _builders(self) -> list[dict[str, Any]]:
        given = self._content.get("builders")
        if not given:
            return _default_builders()
        kept: list[dict[str, Any]] = []
        for index, one in enumerate(cast(list[Any], given)):
            where = ("builders", index)
            if not isinstance(one, dict) or not isinstance(path := one.get("path"), str):
                raise self._error("a builder needs a `path`", "write `path: package.module.Class`", *where)
            if path.endswith("WorkspaceArchiveBuilder") or path == _TEMPLATE:
                continue
            kept.append({"path": path, "args": self._arguments(path, dict(one.get("args") or {}), where)})
        paths = [one["path"] for one in kept]
        for needed in (_WORKSPACE, _STATIC, _CERT):
            if needed not in paths:
                help = f"add `- path: {needed}`, or remove `builders` for the usual ones"
                raise self._error(f"the builder {needed.rpartition('.')[2]} is missing", help, "builders")
        if paths[0] != _WORKSPACE:
            raise self._error(
                "WorkspaceBuilder must be the first builder", f"put `- path: {_WORKSPACE}` first", "builders"
            )
        return kept

    def _arguments(self, path: str, args: dict[str, Any], where: tuple[str | int, ...]) -> dict[str, Any]:
        builder = self._builder(path, where)
        for name in _GONE_ARGUMENTS.get(path, ()):
            args.pop(name, None)
        if path == _STATIC:
            args.setdefault("scheme", "tcp")
        known = inspect.signature(builder).parameters.values()
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known):
            names = [parameter.name for parameter in known]
            for name in args:
                if name not in names:
                    takes = f"it takes: {', '.join(names)}" if names else "it takes no arguments"
                    what = f"{path.rpartition('.')[2]} takes no `{name}`"
                    raise self._error(what, f"remove this line; {takes}", *where, "args", name)
        if path not in self._allowed:
            for name, value in args.items():
                self._check_plain(path, value, *where, "args", name)
            if path == _DOCKER:
                self._find_required(args, *where)
        return args

    def _check_plain(self, path: str, value: object, *where: str | int) -> None:
        """That an argument of a builder of NVFlare's, which writes it into scripts of kits, is no program there."""
        if isinstance(value, list | dict):
            inner = cast("list[object] | dict[object, object]", value)
            for one in (*inner, *inner.values()) if isinstance(inner, dict) else inner:
                self._check_plain(path, one, *where)
        elif not isinstance(value, bool | int | float | None) and not (
            isinstance(value, str) and _PLAIN.fullmatch(value)
        ):
            what = f"{value!r} could be a program in the scripts that {path.rpartition('.')[2]} writes"
            help = f"use letters, digits and `. _ : / @ -` alone, no `-` first; or read what {path} does with it, and"
            raise self._error(what, f"{help} add `--allow-builder {path}`", *where)

    def _find_required(self, args: dict[str, Any], *where: str | int) -> None:
        """Replaces a file that is copied into what is made by its whole path, which is in the project's folder."""
        folder = self._path.parent.resolve()
        path = folder / str(args.get(_REQUIRED) or "requirements.txt")
        # NVFlare makes an empty file where the usual one is not there.
        asked = _REQUIRED in args or path.is_symlink()
        if asked and not (path.is_file() and path.resolve().is_relative_to(folder)):
            help = f"name one that lies in {folder}; or, to have any copied, add `--allow-builder {_DOCKER}`"
            raise self._error(f"{path} is no file in the folder of the project", help, *where, "args", _REQUIRED)
        args[_REQUIRED] = str(path)

    def _builder(self, path: str, where: tuple[str | int, ...]) -> type[Builder]:
        if not _OF_NVFLARE.fullmatch(path) and path not in self._allowed:
            help = f"remove these lines; or read its code, which would run here, and add `--allow-builder {path}`"
            raise self._error(f"the builder {path} is none of NVFlare's", help, *where)
        module, _, name = path.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, ValueError, AttributeError):
            help = next((text for start, text in _GONE_BUILDERS.items() if name.startswith(start)), None)
            what = f"NVFlare has no builder {path}" if _OF_NVFLARE.fullmatch(path) else f"there is no {path}"
            raise self._error(what, help or "remove or correct these lines", *where) from None
        if not (isinstance(found, type) and issubclass(found, Builder)):
            raise self._error(f"{path} is no builder", "remove or correct these lines", *where)
        return found

    def _error(self, text: str, help: str, *where: str | int) -> ProjectError:
        return ProjectError(f"{self._lines(where)}: {text}", help)

    def _lines(self, where: tuple[str | int, ...]) -> str:
        start = end = self._root
        for step in where:
            found = _child(end, step)
            if found is None:
                break
            start, end = found
        if end is self._root:
            return str(self._path)
        first, last = start.start_mark.line + 1, end.end_mark.line
        # The end of a block is where the next one begins; the end of a scalar is on its own line.
        last = max(first, last if end.end_mark.column == 0 or not isinstance(end, yaml.ScalarNode) else last + 1)
        return f"{self._path}, line {first}" if first == last else f"{self._path}, lines {first} to {last}"


def where_of(servers: list[int]) -> tuple[str | int, ...]:
    """Where the second server is."""
    return ("participants", servers[1])


def _child(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The node of a key or of an item, and the node of its value."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
        return node.value[step], node.value[step]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    return None
