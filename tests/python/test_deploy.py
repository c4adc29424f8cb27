"""Do the tools that read generated deployment files accept them, and do the scripts do what they say?"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_guides import CHART
from test_tutorial import ROOT, Block, blocks

pytestmark = pytest.mark.deploy

BIN = Path(sys.executable).parent
PAGES = [ROOT / "docs" / "deploy.md", ROOT / "docs" / "otel.md"]
KUBERNETES = ("1.25", "1.37")
HELMS = ("helm3", "helm")
ORCHARD = """
dfm: 1.0.0
info: {api-version: 2.1.0, code-package: orchard, description: Fruit}
provision:
  docker:
    image: teams/orchard
    tag: nightly
    dockerfile: deploy/Dockerfile
    build: {context: ., engine: podman, arch: arm64, save: {enabled: true, file: deploy/orchard.tar}}
  helm: {path: chart, name: orchard, startup_package_source: workspace}
sites: {house: {}, server: {}, north_field: {}, south_field: {}, cellar: {}}
"""
MEADOW = ORCHARD.replace("orchard", "meadow").replace(
    "provision:",
    """provision:
  direct:
    server: {host: meadow-server, ports: 9100-9101}
    cellar: {host: cellar.example.org, ports: 9200}""",
)
"""The same, with direct connections to the server and to one site."""
HELD = {"cidr": "192.0.2.0/24"}
VALUES: dict[str, dict[str, Any]] = {
    "default": {},
    "only the server": {"clients": {name: {"enabled": False} for name in ("north_field", "south_field", "cellar")}},
    "only one client": {
        "server": {"enabled": False, "address": "fed.example:443"},
        "clients": {"north_field": None, "south_field": None},
    },
    "one more client": {"clients": {"far_hill": {"enabled": True}}},
    "for others": {
        "server": {
            "service": {
                "type": "LoadBalancer",
                "annotations": {"a": "b"},
                "loadBalancerSourceRanges": ["192.0.2.0/24"],
            },
            "allowFrom": [{"ipBlock": HELD}],
        }
    },
    "everything": {
        "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": [{"name": "registry"}], "pullPolicy": "Always"},
        "fullnameOverride": "fruit",
        "clients": {
            "cellar": {
                "kit": {"secret": "kit", "checksum": "12"},
                "policy": {"configMap": "cellar-policy"},
                "env": [{"name": "DATA", "value": "/data"}],
                "envFrom": [{"secretRef": {"name": "cellar"}}],
                "egress": [{"to": [{"ipBlock": HELD}], "ports": [{"port": 5432}]}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "resources": {"limits": {"memory": "2Gi"}},
                "persistence": {"size": "5Gi", "storageClass": "fast"},
                "nodeSelector": {"kubernetes.io/arch": "amd64"},
                "tolerations": [{"key": "data", "operator": "Exists"}],
                "podAnnotations": {"a": "b"},
                "terminationGracePeriodSeconds": 60,
                "priorityClassName": "research",
                "image": {"tag": "2"},
                "extraContainers": [{"name": "proxy", "image": "proxy:1"}],
            }
        },
        "serviceAccount": {"annotations": {"a": "b"}},
        "telemetry": {
            "endpoint": "http://collector:4318",
            "egress": [{"to": [{"ipBlock": HELD}], "ports": [{"port": 4318}]}],
        },
        "server": {
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "fed.example",
                "annotations": {"nginx.ingress.kubernetes.io/ssl-passthrough": "true"},
            }
        },
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "{{ .Release.Name }}-more"},
                "data": {"a": "b"},
            }
        ],
        "networkPolicy": {"dns": [{"ipBlock": HELD}]},
    },
    "nothing kept": {"sites": {"persistence": {"enabled": False}}, "networkPolicy": {"enabled": False}},
}

DIRECT: dict[str, dict[str, Any]] = VALUES | {
    "elsewhere": {
        "server": {"cidrs": ["203.0.113.7/32"]},
        "clients": {"cellar": {"enabled": False}},
        "direct": {"cellar": {"cidrs": ["198.51.100.9/32"]}},
    },
    "for others": {
        "server": {"allowFrom": [{"ipBlock": HELD}]},
        "direct": {
            "cellar": {
                "service": {
                    "type": "LoadBalancer",
                    "annotations": {"a": "b"},
                    "loadBalancerSourceRanges": ["192.0.2.0/24"],
                },
                "allowFrom": [{"ipBlock": HELD}],
            }
        },
    },
    "taken back": {"direct": {"cellar": None, "server": None}},
}
"""Values for the chart of a federation with direct connections."""


def run(*words: object, cwd: Path | None = None, exit: int = 0, env: dict[str, str] | None = None) -> str:
    """Runs a program that must end as expected; its output."""
    program = BIN / str(words[0])
    if not program.exists() and shutil.which(str(words[0])) is None:
        pytest.fail(f"{words[0]} is not installed; run `make tools`")
    command = [str(program) if program.exists() else str(words[0]), *map(str, words[1:])]
    environment = {**os.environ, **(env or {}), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120
    )
    assert done.returncode == exit, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of three federations, made from elsewhere."""
    root = tmp_path_factory.mktemp("deploy")
    examples = Path(__file__).parents[2] / "examples"
    for name in ("configs", "__init__.py"):
        source, target = examples / "examplefed/examplefed" / name, root / "greeting/examplefed" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    shutil.copy(examples / "examplefed/pyproject.toml", root / "greeting")
    (root / "orchard").mkdir()
    (root / "orchard/f.dfm.yaml").write_text(ORCHARD)
    (root / "meadow").mkdir()
    (root / "meadow/f.dfm.yaml").write_text(MEADOW)
    federations = {
        "examplefed": {
            "federation_dir": "greeting/examplefed",
            "config_path": "configs/federation.dfm.yaml",
            "project_path": "configs/project.yaml",
        },
        "orchard": {"federation_dir": "orchard", "config_path": "f.dfm.yaml"},
        "meadow": {"federation_dir": "meadow", "config_path": "f.dfm.yaml"},
    }
    (root / "federations.yaml").write_text(yaml.safe_dump({"federations": federations}))
    for name in federations:
        for kind in ("docker", "helm"):
            run("dfm", "--config", root / "federations.yaml", "fed", "gen", kind, name, cwd=Path("/"))
    return root


def docker_folders(folder: Path) -> list[Path]:
    return [folder / "greeting/examplefed/deploy/docker", folder / "orchard/deploy", folder / "meadow/deploy"]


def charts(folder: Path) -> list[Path]:
    return [folder / "greeting/examplefed/deploy/helm", folder / "orchard/chart", folder / "meadow/chart"]


def rendered(
    chart: Path, values: dict[str, Any], tmp_path: Path, release: str = "r", helm: str = "helm"
) -> list[dict[str, Any]]:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    return [one for one in yaml.safe_load_all(run(helm, "template", release, chart, "--values", file)) if one]


def test_linters_have_nothing_to_say(folder: Path) -> None:
    for place in docker_folders(folder):
        assert run("hadolint", place / "Dockerfile") == ""
        assert run("shellcheck", *place.glob("*.sh")) == ""
        assert run("ruff", "check", "--isolated", "--select", "E,F,I,UP", "--line-length", "120", place / "lock.py")
        assert run("yamllint", "--strict", place / "compose.yaml") == ""
    for chart in charts(folder):
        assert run("shellcheck", chart / "deploy.sh") == ""
        assert run("yamllint", "--strict", chart / "Chart.yaml", chart / "values.yaml") == ""


def test_compose_gives_each_site_its_own_kit_alone(folder: Path) -> None:
    orchard = yaml.safe_load((folder / "orchard/deploy/compose.yaml").read_text())
    kits: dict[str, list[str]] = {
        str(name): [one["source"] for one in service["volumes"] if isinstance(one, dict)]  # pyright: ignore
        for name, service in orchard["services"].items()
    }
    assert list(kits) == ["server", "north-field", "south-field", "cellar"]
    for name, sources in kits.items():
        site = name.replace("-", "_")
        assert sources == [
            f"${{DFM_WORKSPACE_{site.upper()}_INIT_PATH:-../../workspace/orchard/orchard/prod_00/{site}}}"
        ]
    greeting = yaml.safe_load((docker_folders(folder)[0] / "compose.yaml").read_text())
    assert "DFM_WORKSPACE_CLIENT_INIT_PATH" in greeting["services"]["reception"]["volumes"][1]["source"]
    assert greeting["name"] != orchard["name"]


def test_compose_takes_its_files(folder: Path, tmp_path: Path) -> None:
    for place, context in zip(
        docker_folders(folder), (folder / "greeting", folder / "orchard", folder / "meadow"), strict=True
    ):
        file = place / "compose.yaml"
        said = run(
            "docker-compose", "--file", file, "config", "--format", "json", env={"DFM_USER": "7:7"}, cwd=tmp_path
        )
        services = json.loads(said)["services"]
        for service in services.values():
            assert service["user"] == "7:7" and service["read_only"] and service["cap_drop"] == ["ALL"]
            assert service["build"]["context"] == str(context)
        assert [name for name, service in services.items() if "ports" in service] == ["server"]
        assert all(port["host_ip"] == "127.0.0.1" for port in services["server"]["ports"])


@pytest.mark.parametrize("helm", HELMS)
def test_helm_takes_the_charts(folder: Path, tmp_path: Path, helm: str) -> None:
    assert run(helm, "version", "--template", "{{.Version}}").startswith({"helm3": "v3.", "helm": "v4."}[helm])
    for chart in charts(folder):
        assert "0 chart(s) failed" in run(helm, "lint", "--strict", chart)
        package = run(helm, "package", chart, "--destination", tmp_path).split()[-1]
        with tarfile.open(package) as archive:
            assert not any(name.endswith("deploy.sh") for name in archive.getnames())
        run(helm, "template", "r", package)


@pytest.mark.parametrize(
    ("name", "values"),
    [("orchard", values) for values in VALUES.values()] + [("meadow", values) for values in DIRECT.values()],
    ids=[*VALUES, *(f"direct, {values}" for values in DIRECT)],
)
def test_every_object_is_valid_for_all_supported_versions(
    folder: Path, tmp_path: Path, name: str, values: dict[str, Any]
) -> None:
    chart = folder / name / "chart"
    objects = rendered(chart, values, tmp_path)
    assert rendered(chart, values, tmp_path, helm="helm3") == objects, "Helm 3 and 4 do not agree"
    (tmp_path / "values.json").write_text(json.dumps(values))
    for helm in HELMS:
        run(helm, "lint", "--strict", chart, "--values", tmp_path / "values.json")
    for version in KUBERNETES:
        all_objects = tmp_path / f"{version}.yaml"
        all_objects.write_text(yaml.safe_dump_all(objects))
        run("kubernetes-validate", "--strict", "-k", version, all_objects)


def test_values_decide_which_sites_run_and_what_they_reach(folder: Path, tmp_path: Path) -> None:
    chart = folder / "orchard/chart"

    def named(values: str, kind: str) -> dict[str, dict[str, Any]]:
        objects = rendered(chart, VALUES[values], tmp_path)
        return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}

    assert list(named("default", "StatefulSet")) == ["r-server", "r-cellar", "r-north-field", "r-south-field"]
    assert list(named("only the server", "StatefulSet")) == ["r-server"]
    assert "r-far-hill" in named("one more client", "StatefulSet")
    alone = named("only one client", "StatefulSet")
    assert list(alone) == ["r-cellar"]
    container = alone["r-cellar"]["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "DFM_SERVER_ADDRESS", "value": "fed.example:443"} in container["env"]
    policies = named("only one client", "NetworkPolicy")
    assert [port["port"] for port in policies["r-from-clients"]["spec"]["egress"][0]["ports"]] == [443]
    for pod in named("default", "StatefulSet").values():
        spec = pod["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False and spec["securityContext"]["runAsNonRoot"] is True
        assert spec["containers"][0]["image"] == "teams/orchard:nightly"
        secrets = [one["secret"]["secretName"] for one in spec["volumes"] if "secret" in one]
        assert secrets == [f"{pod['metadata']['name']}-kit"]


def test_direct_connections_open_their_own_ports_and_no_others(folder: Path, tmp_path: Path) -> None:
    def opened(values: dict[str, Any]) -> tuple[Any, Any, Any]:
        """By their names: the containers' ports, those of Services, and what policies let in and out on which ports."""
        objects = rendered(folder / "meadow/chart", values, tmp_path)
        by_kind = {kind: [one for one in objects if one["kind"] == kind] for kind in ("StatefulSet", "Service")}
        containers = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in by_kind["StatefulSet"]}
        ports = {
            name: [port["containerPort"] for port in spec["containers"][0].get("ports", [])]
            for name, spec in containers.items()
        }
        services = {
            one["metadata"]["name"]: [port["port"] for port in one["spec"].get("ports", [])]
            for one in by_kind["Service"]
        }
        rules: dict[tuple[str, str], Any] = {}
        for one in objects:
            if one["kind"] == "NetworkPolicy" and "-direct-" in one["metadata"]["name"]:
                spec = one["spec"]
                for rule in spec.get("ingress", []) + spec.get("egress", []):
                    for peer in rule.get("from", []) + rule.get("to", []):
                        block = peer.get("ipBlock", {}).get("cidr")
                        site = peer.get("podSelector", {}).get("matchLabels", {}).get("dfm/site", "all sites")
                        key = (one["metadata"]["name"], block or site)
                        rules[key] = [port["port"] for port in rule["ports"]]
        return ports, services, rules

    nvflare, server, cellar = [24_880], [9100, 9101], [9200]
    ports, services, rules = opened({})
    assert ports == {"r-server": nvflare + server, "r-cellar": cellar, "r-north-field": [], "r-south-field": []}
    assert services == {"r-server": nvflare + server, "r-direct-cellar": cellar, "r-sites": []}
    inside = {
        ("r-direct-to-server", "all sites"): server,
        ("r-direct-to-cellar", "all sites"): cellar,
        ("r-direct-from-sites", "server"): server,
        ("r-direct-from-sites", "cellar"): cellar,
    }
    assert rules == inside

    ports, services, rules = opened(DIRECT["elsewhere"])
    assert "r-cellar" not in ports and list(services) == ["r-server", "r-sites"]
    assert rules == {
        ("r-direct-to-server", "all sites"): server,
        ("r-direct-from-sites", "server"): server,
        ("r-direct-from-sites", "198.51.100.9/32"): cellar,
    }
    _, services, rules = opened(DIRECT["only one client"])
    assert services == {"r-direct-cellar": cellar, "r-sites": []}
    assert rules == {
        ("r-direct-to-cellar", "all sites"): cellar,
        ("r-direct-from-sites", "cellar"): cellar,
        ("r-direct-from-sites", "0.0.0.0/0"): server,
        ("r-direct-from-sites", "::/0"): server,
    }
    _, _, rules = opened(DIRECT["for others"])
    more = {("r-direct-to-server", HELD["cidr"]): server, ("r-direct-to-cellar", HELD["cidr"]): cellar}
    assert rules == inside | more
    assert opened(DIRECT["taken back"])[1:] == ({"r-server": nvflare, "r-sites": []}, {})
    assert opened(DIRECT["nothing kept"])[2] == {}

    compose = yaml.safe_load((folder / "meadow/deploy/compose.yaml").read_text())
    assert compose["services"]["server"]["ports"][1:] == ["127.0.0.1:9100-9101:9100-9101"]
    for wrong in ("direct.cellar.first=0", "direct.server.cidrs={10.0.0.0/8}", "direct.cellar.cidrs={}"):
        assert "schema" in run("helm", "template", "r", folder / "meadow/chart", "--set", wrong, exit=1)
    assert "schema" in run("helm", "template", "r", folder / "orchard/chart", "--set", "direct.cellar.first=1", exit=1)


def test_a_site_may_have_an_image_and_containers_of_its_own(folder: Path, tmp_path: Path) -> None:
    objects = rendered(folder / "orchard/chart", VALUES["everything"], tmp_path)
    specs = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in objects if one["kind"] == "StatefulSet"
    }
    images = {name: [one["image"] for one in spec["containers"]] for name, spec in specs.items()}
    everybodys = [f"teams/orchard@sha256:{'0' * 64}"]
    assert images.pop("fruit-cellar") == ["teams/orchard:2", "proxy:1"]
    assert list(images.values()) == [everybodys] * 3
    assert [spec.get("priorityClassName") for name, spec in specs.items() if name == "fruit-cellar"] == ["research"]
    (ingress,) = [one for one in objects if one["kind"] == "Ingress"]
    (service,) = [one for one in objects if one["kind"] == "Service" and one["metadata"]["name"] == "fruit-server"]
    (backend,) = [path["backend"]["service"] for path in ingress["spec"]["rules"][0]["http"]["paths"]]
    assert backend == {"name": "fruit-server", "port": {"number": service["spec"]["ports"][0]["port"]}}
    assert [one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"] == ["r-more"]
    for place in docker_folders(folder)[:1]:
        variables = {"DFM_IMAGE_RECEPTION": "teams/reception:3"}
        said = run("docker-compose", "--file", place / "compose.yaml", "config", "--format", "json", env=variables)
        services = json.loads(said)["services"]
        others = {service["image"] for name, service in services.items() if name != "reception"}
        assert services["reception"]["image"] == "teams/reception:3" and len(others) == 1


def test_a_policy_comes_from_its_owners_config_map_and_what_it_writes_down_is_kept(
    folder: Path, tmp_path: Path
) -> None:
    objects = rendered(folder / "orchard/chart", VALUES["everything"], tmp_path)
    sites = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "StatefulSet"}
    for name, site in sites.items():
        spec = site["template"]["spec"]
        container = spec["containers"][0]
        mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
        maps = [one["configMap"] for one in spec["volumes"] if "configMap" in one]
        policy = {"name": "DFM_POLICY", "value": "/policy/policy.yaml"}
        if name == "fruit-cellar":
            assert [one["name"] for one in maps] == ["cellar-policy"] and policy in container["env"]
            assert mounts["/policy"]["readOnly"] and "subPath" not in mounts["/policy"]
        else:
            assert maps == [] and "/policy" not in mounts and policy not in container["env"]
        assert mounts["/workspace"]["name"] == site["volumeClaimTemplates"][0]["metadata"]["name"]
        assert container["securityContext"]["readOnlyRootFilesystem"] and spec["securityContext"]["runAsNonRoot"]


@pytest.mark.parametrize("block", [one for page in PAGES for one in blocks(page) if CHART.match(one.text)])
def test_values_that_the_guide_shows_are_taken(folder: Path, tmp_path: Path, block: Block) -> None:
    assert rendered(folder / "orchard/chart", yaml.safe_load(block.text), tmp_path)


@pytest.mark.parametrize("helm", HELMS)
def test_wrong_values_are_refused(folder: Path, helm: str) -> None:
    chart = folder / "orchard/chart"
    for wrong in (
        "server.port=1",
        "image.pullPolicy=Sometimes",
        "clients.cellar.replicas=2",
        "clients.cellar.policy.file=policy.yaml",
        "server.ports={}",
        "server.ingress.enabled=true",
    ):
        assert "schema" in run(helm, "template", "r", chart, "--set", wrong, exit=1)
    twice = ("--set", "clients.north-field.enabled=true")
    assert "same name" in run(helm, "template", "r", chart, *twice, exit=1)


def test_two_releases_share_no_name(folder: Path, tmp_path: Path) -> None:
    def names(chart: Path, release: str) -> set[tuple[str, str]]:
        return {(one["kind"], one["metadata"]["name"]) for one in rendered(chart, {}, tmp_path, release)}

    one, other, _ = charts(folder)
    assert not names(one, "examplefed") & names(other, "orchard")
    for chart in charts(folder):
        for policy in rendered(chart, {}, tmp_path, "mine"):
            if policy["kind"] == "NetworkPolicy":
                assert policy["spec"]["podSelector"]["matchLabels"]["app.kubernetes.io/instance"] == "mine"


@pytest.fixture
def kit(tmp_path: Path) -> Callable[[str], Path]:
    """Makes startup kits that have what scripts look at."""

    def make(site: str) -> Path:
        kit = tmp_path / "kits" / site
        for part in ("startup", "local", "dfm"):
            (kit / part).mkdir(parents=True)
            (kit / part / "note").write_text(site)
        kind = "server" if site == "server" else "client"
        config = {"servers": [{"service": {"target": "localhost:8002"}}]}
        (kit / f"startup/fed_{kind}.json").write_text(json.dumps(config))
        uid = "" if kind == "server" else f"uid={site}"
        (kit / "startup/sub_start.sh").write_text(
            f"exec python3 --set secure_train=true {uid} org=fruit config_folder=c\n"
        )
        return kit

    return make


def site_process(folder: Path, tmp_path: Path, **env: str) -> subprocess.Popen[str]:
    """A site of the greeting federation, with a stand-in for NVFlare that tells its arguments and waits."""
    module = tmp_path / "path/nvflare/private/fed/app"
    for kind in ("server", "client"):
        (module / kind).mkdir(parents=True, exist_ok=True)
        (module / kind / f"{kind}_train.py").write_text(
            "import signal, sys\nprint(*sys.argv[1:], flush=True)\nif 'uid=brief' in sys.argv:\n    sys.exit(7)\n"
            "signal.pause()\n"
        )
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "path"),
        "DFM_WORKSPACE_ROOT": str(tmp_path / "root"),
        **env,
    }
    (tmp_path / "root").mkdir(exist_ok=True)
    script = docker_folders(folder)[0] / "run.sh"
    return subprocess.Popen([script], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_a_site_starts_from_its_kit_and_ends_when_told(
    folder: Path, tmp_path: Path, kit: Callable[[str], Path]
) -> None:
    env = {"DFM_SITE": "reception", "DFM_WORKSPACE_RECEPTION_INIT_PATH": str(kit("reception"))}
    site = site_process(folder, tmp_path, DFM_SERVER_ADDRESS="server:8002", **env)
    assert site.stdout is not None
    assert "starting reception, a client; server at server:8002" in site.stdout.readline()
    assert "uid=reception org=fruit config_folder=config" in site.stdout.readline()
    assert (tmp_path / "root/dfm/note").read_text() == "reception"
    site.send_signal(signal.SIGTERM)
    rest = site.communicate()[0]
    assert site.returncode == 143 and "ended with exit code 143" in rest
    # The kit itself is as it was.
    assert "localhost:8002" in (tmp_path / "kits/reception/startup/fed_client.json").read_text()


def test_a_policy_is_read_where_its_owner_changes_it_and_the_log_outlives_the_container(
    folder: Path, tmp_path: Path, kit: Callable[[str], Path]
) -> None:
    made = kit("brief")
    env = {"DFM_SITE": "brief", "DFM_WORKSPACE_CLIENT_INIT_PATH": str(made)}
    policy, root = made / "local/policy.yaml", tmp_path / "root"
    in_force = root / "local/policy.yaml"

    def start(**more: str) -> str:
        return site_process(folder, tmp_path, **env, **more).communicate(timeout=120)[0]

    start()
    assert not in_force.exists()
    policy.write_text("default: deny\n")
    for kept in ("audit/log.jsonl", "requests/one", "sessions/.calls"):
        (root / kept).parent.mkdir(exist_ok=True)
        (root / kept).write_text("kept")
    start()
    policy.write_text("default: allow\n")
    assert in_force.read_text() == "default: allow\n"
    (tmp_path / "mounted.yaml").write_text("errors: type\n")
    start(DFM_POLICY=str(tmp_path / "mounted.yaml"))
    assert in_force.read_text() == "errors: type\n" and policy.read_text() == "default: allow\n"
    assert {(root / kept).read_text() for kept in ("audit/log.jsonl", "requests/one", "sessions/.calls")} == {"kept"}
    assert "but no policy is there" in start(DFM_POLICY="/none")


def test_a_sites_exit_code_is_the_scripts(folder: Path, tmp_path: Path, kit: Callable[[str], Path]) -> None:
    site = site_process(folder, tmp_path, DFM_SITE="brief", DFM_WORKSPACE_CLIENT_INIT_PATH=str(kit("brief")))
    assert "exit code 7" in site.communicate()[0] and site.returncode == 7


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "which site?"),
        ({"DFM_SITE": "reception"}, "set DFM_WORKSPACE_RECEPTION_INIT_PATH"),
        ({"DFM_SITE": "reception", "DFM_WORKSPACE_CLIENT_INIT_PATH": "/none"}, "but nothing is there"),
        ({"DFM_SITE": "reception", "DFM_WORKSPACE_CLIENT_INIT_PATH": "{other}"}, "its startup kit is for other"),
        ({"DFM_SITE": "reception", "DFM_WORKSPACE_CLIENT_INIT_PATH": "/usr"}, "is no startup kit"),
    ],
)
def test_a_site_that_cannot_start_says_why(
    folder: Path, tmp_path: Path, kit: Callable[[str], Path], env: dict[str, str], said: str
) -> None:
    other = str(kit("other"))
    site = site_process(folder, tmp_path, **{name: value.replace("{other}", other) for name, value in env.items()})
    output = site.communicate(timeout=120)[0]
    assert site.returncode == 2 and said in output, output


ENGINE = """#!/usr/bin/env bash
# Stands in for a container engine: keeps what it is told.
echo "$(basename "$0") $*" >>"$CALLS"
[ "$1" != login ] || { cat >>"$CALLS" && echo >>"$CALLS"; }
for word in "$@"; do
    [ "${word#type=local,dest=}" = "$word" ] || echo "data-federation-mesh==$DFM -" >"${word#*dest=}/requirements.lock"
done
"""


def test_the_image_is_built_and_goes_where_it_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "fruit").mkdir()
    (tmp_path / "fruit/f.dfm.yaml").write_text(ORCHARD)
    record = {"federation_dir": "fruit", "config_path": "f.dfm.yaml"}
    (tmp_path / "federations.yaml").write_text(yaml.safe_dump({"federations": {"orchard": record}}))
    registry = "{url: https://images.example, username: $IMAGES_USER, password: $IMAGES_PASSWORD}"
    build = f"{{context: .., engine: podman, arch: arm64, push: {{enabled: true, registry: {registry}}}}}"
    (tmp_path / "patch.yaml").write_text(f"provision: {{docker: {{build: {build}}}}}")
    (tmp_path / "calls").write_text("")
    for engine in ("podman", "docker"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / engine).write_text(ENGINE)
        (tmp_path / "bin" / engine).chmod(0o755)

    def build_image(*words: object, env: dict[str, str] | None = None, exit: int = 0) -> list[str]:
        (tmp_path / "calls").write_text("")
        more = (env or {}) | {
            "CALLS": str(tmp_path / "calls"),
            "DFM": metadata.version("data-federation-mesh"),
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }
        script = [str(tmp_path / "fruit/deploy/build_image.sh"), *map(str, words)]
        done = subprocess.run(script, cwd="/", env={**os.environ, **more}, capture_output=True, text=True)
        assert done.returncode == exit, done.stderr
        assert exit == 0 or done.stderr.startswith("build_image.sh: "), done.stderr
        return (tmp_path / "calls").read_text().splitlines()

    run("dfm", "fed", "gen", "docker", "orchard", "--patch", "patch.yaml", cwd=tmp_path)
    assert build_image(exit=2) == [], "nothing is built without the generated code"
    run("dfm", "fed", "gen", "code", "orchard", cwd=tmp_path)
    assert build_image(exit=2) == [], "nothing is built without a lock"
    options = "--platform linux/arm64 --build-arg PIP_INDEX_URL=https://index.example --format docker"
    index = {"PIP_INDEX_URL": "https://index.example"}
    (locking,) = build_image("--lock", env=index)
    start, _, rest = locking.partition("--output type=local,dest=")
    assert start == f"podman build {options} --file - " and rest.endswith(f" {tmp_path}")
    lock = tmp_path / "fruit/deploy/requirements.lock"
    assert lock.read_text().startswith("data-federation-mesh==")
    lock.write_text(lock.read_text().replace("mesh==", "mesh==0"))
    assert build_image(exit=2) == [], "a lock of another dfm is none"
    build_image("--lock")
    built, *rest = build_image(env=index)
    tag = "--tag images.example/teams/orchard:nightly"
    file = f"--file {tmp_path}/fruit/deploy/Dockerfile"
    assert built == f"podman build {options} {file} {tag} {tmp_path}"
    saved = f"podman save --output {tmp_path}/fruit/deploy/orchard.tar {tag[6:]}"
    assert rest == [saved, f"podman push {tag[6:]}"], "nobody logs in without credentials"
    login = build_image("--no-save", env={"IMAGES_USER": "me", "IMAGES_PASSWORD": "s e"})[1:]
    assert login[:2] == ["podman login --username me --password-stdin images.example", "s e"]
    words = ("--engine", "docker", "--tag", "1", "--save", tmp_path / "to/here.tar", "--no-push", "--", "--no-cache")
    built, saved = build_image(*words)
    assert built.startswith("docker build") and built.endswith(f"orchard:1 --no-cache {tmp_path}")
    assert saved == f"docker save --output {tmp_path}/to/here.tar images.example/teams/orchard:1"
    for wrong in (("--engine",), ("--quick",), ("--engine", "none-such")):
        assert build_image(*wrong, exit=2) == []


CLUSTER = """#!/usr/bin/env bash
# Stands in for a cluster: keeps what it is told, and has the Secrets of the sites that SECRETS names.
echo "$(basename "$0") $*" >>"$CALLS"
case "$*" in
*"get secret"*) for site in $SECRETS; do [[ "$*" != *"-$site-kit"* ]] || exit 0; done; exit 1 ;;
*"get statefulset"*) echo 77 ;;
*"create secret"*) echo "kind: Secret" ;;
*label*) cat ;;
*apply*) cat >>"$CALLS" ;;
*upgrade*) exit "${FAILS:-0}" ;;
esac
"""


def deploy(
    chart: Path, tmp_path: Path, *words: str, exit: int = 0, env: dict[str, str] | None = None
) -> tuple[str, list[str]]:
    """Runs a chart's deploy.sh before a stand-in for the cluster; what it says, and what it does there."""
    programs = tmp_path / "cluster"
    programs.mkdir(exist_ok=True)
    for name in ("helm", "kubectl"):
        (programs / name).write_text(CLUSTER)
        (programs / name).chmod(0o755)
    calls = tmp_path / "calls"
    calls.write_text("")
    environment = {**os.environ, "SECRETS": "", "CALLS": str(calls), **(env or {})}
    environment["PATH"] = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [chart / "deploy.sh", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == exit, done.stdout
    return done.stdout, calls.read_text().splitlines()


def test_deploy_installs_the_sites_whose_kits_are_here(
    folder: Path, tmp_path: Path, kit: Callable[[str], Path]
) -> None:
    chart = folder / "greeting/examplefed/deploy/helm"
    output, _ = deploy(chart, tmp_path, exit=2)
    assert "no startup kit is here" in output
    reception = kit("reception")
    env = {"DFM_WORKSPACE_CLIENT_INIT_PATH": str(reception)}
    output, calls = deploy(chart, tmp_path, "--", "--dry-run", env=env)
    assert "server: left out" in output
    upgrade = next(call for call in calls if " upgrade " in f" {call} ")
    assert "--set server.enabled=false" in upgrade and "--set-string clients.reception.kit.checksum=" in upgrade
    assert upgrade.endswith("--dry-run")
    assert any("create secret generic examplefed-reception-kit" in call for call in calls)
    _, again = deploy(chart, tmp_path, "--", "--dry-run", env=env)
    assert upgrade in again, "the same kit is not a new one"
    (reception / "startup/note").write_text("renewed")
    _, renewed = deploy(chart, tmp_path, "--", "--dry-run", env=env)
    assert upgrade not in renewed, "a renewed kit restarts the site"
    _, calls = deploy(chart, tmp_path, env={"SECRETS": "server reception"})
    upgrade = next(call for call in calls if " upgrade " in f" {call} ")
    assert "server.kit.checksum=77" in upgrade and "enabled=false" not in upgrade
    (tmp_path / "mine.yaml").write_text("{}")
    words = ("--install", "--values", str(tmp_path / "mine.yaml"), "--release", "mine", "--namespace", "ours")
    _, calls = deploy(chart, tmp_path, *words, "--", "--atomic", "--set", "a=b c", env=env)
    upgrade = next(call for call in calls if call.startswith("helm upgrade mine "))
    assert "--namespace ours" in upgrade and f"--values {tmp_path}/mine.yaml" in upgrade
    assert upgrade.endswith("--timeout 5m --atomic --set a=b c")
    output, calls = deploy(chart, tmp_path, "--uninstall", "--", "--keep-history")
    assert calls[0].startswith("helm uninstall examplefed") and calls[0].endswith("--keep-history")
    assert "delete persistentvolumeclaim" in output


def test_deploy_says_what_is_wrong(folder: Path, tmp_path: Path, kit: Callable[[str], Path]) -> None:
    chart = folder / "greeting/examplefed/deploy/helm"
    env = {"DFM_WORKSPACE_SERVER_INIT_PATH": str(kit("server")), "FAILS": "1"}
    output, calls = deploy(chart, tmp_path, exit=1, env=env)
    assert "not all sites came up" in output and any("get events" in call for call in calls)
    assert "there is no file" in deploy(chart, tmp_path, "--values", "none", exit=2)[0]
    assert "stands after --" in deploy(chart, tmp_path, "--dry-run", exit=2)[0]
    assert "at most 30 letters" in deploy(chart, tmp_path, "--release", "a" * 31, exit=2)[0]


@pytest.mark.parametrize("helm", HELMS)
def test_deploy_and_helm_understand_each_other(
    folder: Path, tmp_path: Path, kit: Callable[[str], Path], helm: str
) -> None:
    chart = folder / "greeting/examplefed/deploy/helm"
    programs = tmp_path / "cluster"
    programs.mkdir()
    (programs / "helm").symlink_to(BIN / helm)
    (programs / "kubectl").write_text(CLUSTER)
    (programs / "kubectl").chmod(0o755)
    env = {
        "DFM_WORKSPACE_SERVER_INIT_PATH": str(kit("server")),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "KUBECONFIG": str(tmp_path / "none"),
        "CALLS": "/dev/null",
        "SECRETS": "",
    }
    for action in ("--install", "--uninstall"):
        done = subprocess.run(
            [chart / "deploy.sh", action], env={**os.environ, **env}, capture_output=True, text=True, timeout=60
        )
        # Without a cluster Helm gets no further, but it has read its arguments.
        assert done.returncode == 1 and "cluster unreachable" in done.stderr, done.stderr


def test_deploy_takes_the_newest_kits_of_the_workspace(
    folder: Path, tmp_path: Path, kit: Callable[[str], Path]
) -> None:
    for number, site in (("prod_00", "cellar"), ("prod_00", "north_field"), ("prod_01", "cellar")):
        target = tmp_path / "workspace/orchard/orchard" / number / site
        shutil.copytree(tmp_path / "kits" / site if (tmp_path / "kits" / site).exists() else kit(site), target)
    output, _ = deploy(folder / "orchard/chart", tmp_path, env={"DFM_WORKSPACE": str(tmp_path / "workspace")})
    assert "prod_01/cellar" in output and "prod_00/north_field" in output and "south_field: left out" in output


def claimed(root: Path, name: str, tmp_path: Path, kit: Path) -> set[str]:
    """What a federation calls its own on a machine and in a cluster: names, ports, volumes, secrets."""
    compose = yaml.safe_load((root / name / "examplefed/deploy/docker/compose.yaml").read_text())
    project: str = compose["name"]
    published: list[str] = [port for service in compose["services"].values() for port in service.get("ports", ())]
    own = {project, compose["x-site"]["image"]}
    own |= {f"{project}_{one}" for part in ("networks", "volumes") for one in compose[part]}
    own |= {f"{project}-{service}" for service in compose["services"]}
    own |= {part for port in published for part in re.findall(r"\w+_PORT_\d+|(?<=:-)\d+", port)}
    chart = root / name / "examplefed/deploy/helm"
    _, calls = deploy(chart, tmp_path, env={"DFM_WORKSPACE_SERVER_INIT_PATH": str(kit)})
    upgrade = next(call for call in calls if call.startswith("helm upgrade")).split()
    release, namespace = upgrade[2], upgrade[upgrade.index("--namespace") + 1]
    own |= {release, namespace}
    own |= {call.split(" generic ")[1].split()[0] for call in calls if "create secret" in call}
    return own | {one["metadata"]["name"] for one in rendered(chart, {"fullnameOverride": release}, tmp_path, release)}


def test_two_federations_of_one_template_share_nothing(tmp_path: Path, kit: Callable[[str], Path]) -> None:
    template = Path(__file__).parents[2] / "examples/examplefed/examplefed"
    registry = tmp_path / "federations.yaml"
    records: dict[str, dict[str, str]] = {}
    for name in ("one", "other"):
        shutil.copytree(template / "configs", tmp_path / name / "examplefed/configs")
        records[name] = {"federation_dir": f"{name}/examplefed", "config_path": "configs/federation.dfm.yaml"}
    registry.write_text(yaml.safe_dump({"federations": records}))

    def generated(*words: str) -> str:
        commands = (("fed", "gen", kind, name, *words) for name in records for kind in ("docker", "helm"))
        return "".join(run("dfm", *command, cwd=tmp_path) for command in commands)

    # The images alone have their names from the template, and that is said with both places.
    said = generated()
    place = "examplefed/configs/federation.dfm.yaml:9:3"
    assert f"--> one/{place}" in said and f"the other one is named at other/{place}" in said
    assert "deploy-same-port" not in said
    config = tmp_path / "other/examplefed/configs/federation.dfm.yaml"
    config.write_text(config.read_text().replace("image: examplefed", "image: other"))
    assert "warning" not in generated("--force")
    server = kit("server")
    claims = [claimed(tmp_path, name, tmp_path, server) for name in records]
    assert {"one", "one_server", "one-server-kit", "ONE_PORT_24719", "24719"} <= claims[0]
    assert not claims[0] & claims[1]

    # A project names the ports itself; two that name the same ones are told so, wherever kits or files are made.
    for record in records.values():
        record["project_path"] = "configs/project.yaml"
    registry.write_text(yaml.safe_dump({"federations": records}))
    for command in (("check",), ("gen", "docker", "--force"), ("gen", "provision")):
        said = run("dfm", "fed", *command, "one", cwd=tmp_path)
        assert said.count("warning[deploy-same-port]") == 2
        assert "--> one/examplefed/configs/project.yaml:10:21" in said
        assert "the other one says so at other/examplefed/configs/project.yaml:10:21" in said


def test_federations_that_nothing_would_keep_apart_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f.dfm.yaml").write_text(ORCHARD)
    record = {"federation_dir": ".", "config_path": "f.dfm.yaml"}
    federations = {"apple_tree": record, "Apple.Tree": record}
    (tmp_path / "federations.yaml").write_text(yaml.safe_dump({"federations": federations}))
    for kind in ("docker", "helm"):
        said = run("dfm", "fed", "gen", kind, "apple_tree", cwd=tmp_path, exit=2)
        assert "`apple_tree` and `Apple.Tree` are both `apple-tree`" in said and "fed config set" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.dfm.yaml", "federations.yaml"]
