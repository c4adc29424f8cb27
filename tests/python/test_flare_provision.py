"""Does `dfm fed gen provision` make kits that each hold what their participant needs, and nothing of anybody else?"""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dfm.errors import SessionError
from dfm.flare._kit import Kit, find_kit

pytest.importorskip("nvflare")

EXAMPLE = Path(__file__).parents[2] / "examples" / "examplefed" / "examplefed"
OLD_PROJECT = """\
api_version: 3
name: old
description: Written for NVFlare 2.6
participants:
  - name: overseer
    type: overseer
    org: dfm
    protocol: https
    api_root: /api/v1
    port: 8443
  - name: server
    type: server
    org: dfm
    fed_learn_port: 8002
    admin_port: 8003
  - name: reception
    type: client
    org: dfm
  - name: concierge@examplefed.com
    type: admin
    org: dfm
    role: lead
builders:
  - path: nvflare.lighter.impl.workspace.WorkspaceBuilder
    args:
      template_file: master_template.yml
  - path: nvflare.lighter.impl.template.TemplateBuilder
  - path: nvflare.lighter.impl.static_file.StaticFileBuilder
    args:
      config_folder: config
      overseer_agent:
        path: nvflare.ha.dummy_overseer_agent.DummyOverseerAgent
        overseer_exists: false
        args:
          sp_end_point: server:8002:8003
  - path: nvflare.lighter.impl.cert.CertBuilder
  - path: nvflare.lighter.impl.signature.SignatureBuilder
"""

# A builder as a project may bring it, whose policy lets leads bring code.
LAX = """
import json
from pathlib import Path

from nvflare.lighter.spec import Builder


class LaxBuilder(Builder):
    def finalize(self, project, ctx):
        for participant in project.get_all_participants():
            if participant.type != "admin":
                policy = {"format_version": "1.0", "permissions": {"lead": "any", "member": {"view": "any"}}}
                Path(ctx.get_local_dir(participant), "authorization.json").write_text(json.dumps(policy))
"""


class Federation:
    """A copy of the greeting federation, and its workspace."""

    def __init__(self, folder: Path, command: Path):
        self.config = folder / "examplefed" / "configs" / "federation.dfm.yaml"
        self.project = folder / "examplefed" / "configs" / "project.yaml"
        shutil.copytree(EXAMPLE, folder / "examplefed", ignore=shutil.ignore_patterns("fed"))
        self.registry = folder / "federations.yaml"
        record = "federation_dir: examplefed, config_path: configs/federation.dfm.yaml"
        project = ", project_path: configs/project.yaml"
        self.registry.write_text(f"federations:\n  greet: {{{record}{project}}}\n  bare: {{{record}}}\n")
        self.workspace = folder / "workspace"
        self.command = command

    def dfm(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [self.command, "--config", self.registry, *words]
        return subprocess.run(command, capture_output=True, text=True, env=variables or None)

    def provision(self, *words: str, name: str = "greet") -> dict[str, Any]:
        done = self.dfm("--json", "fed", "gen", "provision", name, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def refusal(self) -> str:
        done = self.dfm("fed", "gen", "provision", "greet")
        assert done.returncode == 2, done.stdout + done.stderr
        return done.stderr.replace(str(self.project), "project.yaml")


@pytest.fixture
def federation(tmp_path: Path, command: Path) -> Federation:
    return Federation(tmp_path, command)


def text_of(kit: Path) -> str:
    return "".join(path.read_text() for path in kit.rglob("*") if path.is_file())


def test_a_kit_holds_its_own_runtime_and_nobody_elses(federation: Federation) -> None:
    answer = federation.provision()
    kits = Path(answer["folder"])
    assert kits == federation.workspace / "greet" / "examplefed" / "prod_00"
    assert {one["name"]: one["site"] for one in answer["participants"]} == {
        "server": "server",
        "reception": "reception",
        "concierge@examplefed.com": "concierge",
        "admin@examplefed.com": None,
    }
    texts = {kit.name: text_of(kit) for kit in kits.iterdir()}
    own = {
        "server": "Hello from the server",
        "reception": "GreetMeReception",
        "concierge@examplefed.com": "Hello from the local app",
    }
    keys = {path.parents[1].name: path.read_text() for path in kits.glob("*/startup/*.key")}
    root = json.loads((kits.parent / "state" / "cert.json").read_text())["root_pri_key"]
    for name, text in texts.items():
        assert [other for other, mark in own.items() if mark in text] == [name for _ in range(name in own)]
        assert [other for other, key in keys.items() if key in text] == [name]
        assert root not in text


def test_only_their_owner_may_read_keys(federation: Federation) -> None:
    kits = Path(federation.provision()["folder"])
    keys = [*kits.glob("*/startup/*.key"), kits.parent / "state" / "cert.json"]
    assert len(keys) == 5
    for path in keys:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_kits_open_nvflare_for_dfm_and_for_nothing_more(federation: Federation) -> None:
    kits = Path(federation.provision()["folder"])
    for name in ("server", "reception"):
        local = kits / name / "local"
        default, own = (json.loads((local / f"resources.json{end}").read_text()) for end in (".default", ""))
        assert own["class_allow_list"][: len(default["class_allow_list"])] == default["class_allow_list"]
        assert all(
            name.startswith("dfm.flare.") for name in own["class_allow_list"][len(default["class_allow_list"]) :]
        )
        assert own["class_list_enforcement_mode"] == "enforce"
        assert "/tmp" not in json.dumps(own)
        handlers = json.loads((local / "log_config.json").read_text())["handlers"]
        assert handlers and all("dfm" in handler["filters"] for handler in handlers.values())
        permissions = json.loads((local / "authorization.json").read_text())["permissions"]
        assert permissions["lead"]["app_command"] == "n:submitter"
        assert {role: rights["byoc"] for role, rights in permissions.items()} == dict.fromkeys(permissions, "none")
        assert set(permissions) == {"project_admin", "org_admin", "lead", "member"}


def test_a_policy_of_the_project_that_lets_code_in_is_told(federation: Federation, tmp_path: Path) -> None:
    (tmp_path / "lax.py").write_text(LAX)
    project = federation.project.read_text()
    federation.project.write_text(project + "  - path: lax.LaxBuilder\n")
    words = ("--json", "fed", "gen", "provision", "greet", "--allow-builder", "lax.LaxBuilder")
    done = federation.dfm(*words, **os.environ | {"PYTHONPATH": str(tmp_path)})
    notices = json.loads(done.stdout)["notices"]
    told = "the policy that the project gives `{}` lets the role lead bring code to it; write `byoc: none` for it"
    assert [notice for notice in notices if "policy" in notice] == [told.format("server"), told.format("reception")]


def test_an_application_that_was_an_admin_keeps_its_role_and_is_told(federation: Federation) -> None:
    def provision() -> tuple[dict[str, Any], dict[str, Any]]:
        answer = federation.provision(name="bare")
        roles = {one["name"]: one["role"] for one in answer["participants"]}
        assert roles["admin@bare.local"] == "project_admin"
        return answer, roles

    _, roles = provision()
    assert roles["concierge@bare.local"] == "lead"
    shutil.rmtree(federation.workspace / "bare")
    # As an earlier dfm derived it.
    derived = federation.project.read_text().replace("name: examplefed\n", "name: bare\n", 1)
    derived = derived.replace("concierge@examplefed.com", "concierge@bare.local").replace(
        "role: lead", "role: project_admin"
    )
    federation.project.write_text(derived.replace("admin@examplefed.com", "other@bare.local"))
    federation.registry.write_text(
        federation.registry.read_text().replace("  bare: {", "  bare: {project_path: configs/project.yaml, ")
    )
    federation.provision(name="bare")
    federation.registry.write_text(
        federation.registry.read_text().replace("  bare: {project_path: configs/project.yaml, ", "  bare: {")
    )
    answer, roles = provision()
    assert roles["concierge@bare.local"] == "project_admin"
    assert any("`concierge@bare.local` keeps the role project_admin" in notice for notice in answer["notices"])


def test_an_application_finds_its_own_kit_among_several(federation: Federation) -> None:
    workspace = Path(federation.provision(name="bare")["folder"]).parent
    assert find_kit(None, str(workspace), None).user == "concierge@bare.local"
    assert find_kit(None, str(workspace), "admin@bare.local").user == "admin@bare.local"


def test_the_one_kit_nearby_is_named_and_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kit(where: str, role: str) -> Path:
        folder = tmp_path / "workspace" / where
        for name, text in (("startup/fed_admin.json", "{}"), ("dfm/kit.json", json.dumps({"role": role}))):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder.relative_to(tmp_path)

    def refusal() -> str:
        with pytest.raises(SessionError, match="needs the user's startup kit: give get_session") as refused:
            find_kit(None, None, None)
        return str(refused.value)

    monkeypatch.chdir(tmp_path)
    assert refusal().endswith("or set DFM_FLARE_ADMIN_PACKAGE")
    kit("sales_poc/sales/prod_00/admin@sales.local", "project_admin")
    own = kit("sales_poc/sales/prod_00/app@sales.local", "lead")
    assert refusal().endswith(f"; there is one here: DFM_FLARE_ADMIN_PACKAGE={own}")
    newer = kit("sales_poc/sales/prod_01/app@sales.local", "lead")
    assert refusal().endswith(f"={newer}")
    kit("other/prod_00/app@other.local", "lead")
    assert refusal().endswith("or set DFM_FLARE_ADMIN_PACKAGE")


def test_a_second_run_keeps_everything_and_adds_what_is_new(federation: Federation) -> None:
    first = federation.provision()
    # A site logs as its admin likes.
    log = Path(first["folder"]) / "reception" / "local" / "log_config.json"
    log.write_text(log.read_text().replace('"INFO"', '"WARNING"'))
    second = federation.provision()
    assert (second["folder"], second["unchanged"]) == (first["folder"], True)
    config = federation.config.read_text()
    federation.config.write_text(config + "\n  lounge:\n    interface: {}\n")
    project = federation.project.read_text()
    lounge = "  - name: lounge\n    type: client\n    org: examplefed\n"
    federation.project.write_text(project.replace("builders:", f"{lounge}\nbuilders:"))
    third = federation.provision()
    assert [one["name"] for one in third["participants"] if one["new"]] == ["lounge"]
    old, new = Path(first["folder"]), Path(third["folder"])
    root = (new / "server/startup/rootCA.pem").read_bytes()
    assert (old.name, new.name) == ("prod_00", "prod_01")
    for path in old.rglob("startup/*"):
        if path.suffix in {".crt", ".key", ".pem"}:
            assert (new / path.relative_to(old)).read_bytes() == path.read_bytes()
    clean = federation.provision("--clean")
    assert Path(clean["folder"]).name == "prod_00"
    assert (Path(clean["folder"]) / "server/startup/rootCA.pem").read_bytes() != root
    assert not new.exists()


def test_a_kit_knows_the_direct_connections_of_its_participant_and_no_more(federation: Federation) -> None:
    def kits(of: Path) -> dict[str, Any]:
        return {path.parents[1].name: json.loads(path.read_text()) for path in of.glob("*/dfm/direct.json")}

    plain = federation.config.read_text()
    first = federation.provision()
    assert kits(Path(first["folder"])) == {}
    # The application's site runs nowhere by itself, so that nobody connects to it.
    direct = "  direct:\n    server: {host: fed.example.org, ports: 9100-9107, listen: 10.0.0.7}\n"
    direct += "    reception: {host: 10.0.0.8, ports: 9200}\n    concierge: {host: app.example.org, ports: 9300}\n"
    federation.config.write_text(plain.replace("provision:\n", f"provision:\n{direct}"))
    server = {"server": {"host": "fed.example.org", "ports": [9100, 9107]}}
    reception = {"reception": {"host": "10.0.0.8", "ports": [9200, 9200]}}
    second = federation.provision()
    user = {"format": 1, "own": None, "others": server}
    assert kits(Path(second["folder"])) == {
        "server": {"format": 1, "own": {"ports": [9100, 9107], "listen": "10.0.0.7"}, "others": reception},
        "reception": {"format": 1, "own": {"ports": [9200, 9200], "listen": None}, "others": server},
        "concierge@examplefed.com": user,
        "admin@examplefed.com": user,
    }
    assert Path(second["folder"]).name == "prod_01" and federation.provision()["unchanged"]

    # On one machine, where the ports of several would be the same.
    prepared = federation.dfm("poc", "start", "-f", "greet", "--prepare-only")
    assert prepared.returncode == 0, prepared.stderr
    (folder,) = (federation.workspace / "greet_poc").glob("*/prod_00")
    here = {"host": "127.0.0.1", "ports": [0, 0]}
    own = {"ports": [0, 0], "listen": "127.0.0.1"}
    user = {"format": 1, "own": None, "others": {"server": here}}
    assert kits(folder) == {
        "server": {"format": 1, "own": own, "others": {"reception": here}},
        "reception": {"format": 1, "own": own, "others": {"server": here}},
        "concierge@examplefed.com": user,
        "admin@examplefed.com": user,
    }

    # What is not declared any more is in no kit.
    federation.config.write_text(plain)
    third = federation.provision()
    assert (Path(third["folder"]).name, third["unchanged"]) == ("prod_02", False)
    assert kits(Path(third["folder"])) == {}


def test_a_project_for_nvflare_2_6_is_understood(federation: Federation) -> None:
    federation.project.write_text(OLD_PROJECT)
    answer = federation.provision()
    # What provisioning does otherwise than the file says, `check` has said before, and nobody says it twice.
    assert answer["notices"] == []
    told = json.loads(federation.dfm("--json", "fed", "check", "greet").stdout)["problems"]
    assert [(one["code"], one["at"]["line"]) for one in told if one["code"].startswith("project-")] == [
        ("project-overseer", 6),
        ("project-argument-left-out", 26),
        ("project-builder-left-out", 27),
        ("project-no-scheme", 28),
        ("project-argument-left-out", 31),
    ]
    settings = json.loads((Path(answer["folder"]) / "server/startup/fed_server.json").read_text())
    assert settings["servers"][0]["service"] == {"target": "server:8002", "scheme": "tcp"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("api_version: 3", "api_version: 2", "project.yaml:1:14"),
        ("    type: client\n", "    type: server\n", "there is a second server"),
        (
            "cert.CertBuilder\n",
            "cert.CertBuilder\n    args:\n      days: 3\n",
            "project.yaml, line 38: CertBuilder takes no `days`",
        ),
        (
            "impl.signature.SignatureBuilder",
            "impl.helm.HelmBuilder",
            "NVFlare has no builder `nvflare.lighter.impl.helm.HelmBuilder`\n  --> project.yaml:37:11",
        ),
        ("role: lead", "role: [lead]", "NVFlare refuses the project `old`"),
        ("participants:", "participants: [", "this is not YAML"),
    ],
)
def test_what_nobody_can_understand_is_refused_with_its_lines(
    federation: Federation, old: str, new: str, message: str
) -> None:
    assert old in OLD_PROJECT
    federation.project.write_text(OLD_PROJECT.replace(old, new, 1))
    refusal = federation.refusal()
    assert message in refusal
    assert "Traceback" not in refusal
    assert not list((federation.workspace / "greet").glob("*/prod_*"))


def test_without_a_project_one_is_derived(federation: Federation) -> None:
    answer = federation.provision(name="bare")
    described = [(one["name"], one["type"], one["site"]) for one in answer["participants"]]
    assert described == [
        ("server", "server", "server"),
        ("reception", "client", "reception"),
        ("concierge@bare.local", "admin", "concierge"),
        ("admin@bare.local", "admin", None),
    ]
    assert answer["notices"] == [
        f"there is no project file; one was derived: {federation.workspace / 'bare' / 'project.yaml'}"
    ]


def test_certificates_that_end_soon_are_warned_about(federation: Federation) -> None:
    project = federation.project.read_text()
    builder = "cert.CertBuilder\n"
    federation.project.write_text(project.replace(builder, f"{builder}    args:\n      root_valid_days: 10\n"))
    said = federation.dfm("fed", "gen", "provision", "greet").stderr
    assert "warning: the certificate of reception ends in 9 days" in said
    assert "warning: the certificate of the root of trust ends in 9 days" in said


def test_without_nvflare_it_says_how_to_get_it(federation: Federation, tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "nvflare"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'nvflare'\")\n")
    done = federation.dfm("fed", "gen", "provision", "greet", PYTHONPATH=str(absent.parent))
    assert done.returncode == 1
    assert "pip install 'data-federation-mesh[flare]'" in done.stderr


def test_nothing_else_imports_nvflare() -> None:
    program = "import sys, dfm.api, dfm.exec, dfm.session; sys.exit('nvflare' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_server_that_does_not_answer_is_started_as_its_kit_says(tmp_path: Path) -> None:
    kits = {
        name: Kit(tmp_path / name / "project" / "prod_00" / "ann@grid", "ann@grid") for name in ("grid_poc", "b_poc")
    }
    (tmp_path / "grid_poc").mkdir()
    (tmp_path / "grid_poc" / ".poc").touch()
    assert kits["grid_poc"].start() == "start the POC with `dfm poc start -f grid`"
    assert kits["b_poc"].start() == "is it running?"
