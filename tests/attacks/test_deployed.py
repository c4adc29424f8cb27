"""What do texts of a configuration that somebody else wrote do where the scripts and files made of it are used?"""

import os
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

CONFIGURATION: dict[str, Any] = {
    "dfm": "1.0.0",
    "info": {"api-version": "1.0.0", "code-package": "fed", "description": "From a stranger"},
    "operations": {"work.Add": {"description": "Adds"}},
    "provision": {
        "docker": {
            "image": "fed",
            "tag": "one",
            "dockerfile": "deploy/Dockerfile",
            "build": {"context": "..", "engine": "docker", "arch": "amd64"},
        },
        "helm": {"path": "chart", "name": "fed", "startup_package_source": "workspace"},
    },
    "sites": {"home": {}, "server": {}, "away": {}},
}
PROJECT: dict[str, Any] = {
    "api_version": 3,
    "name": "fed",
    "description": "From a stranger",
    "participants": [
        {"name": "server", "type": "server", "org": "fed"},
        {"name": "away", "type": "client", "org": "fed"},
        {"name": "app@fed.com", "type": "admin", "org": "fed", "role": "lead"},
    ],
    "builders": [],
}
PROGRAM = """\
#!/bin/sh
printf '%s\\n' "$@" >>"$CALLED"
case "$*" in
*"get "*) exit 1 ;;
*"--file -"* | *"--filename -"*) cat >/dev/null ;;
esac
"""
CALLS = "$(touch $MARK)"
"""Makes a file where a shell takes it for more than a text."""


def generated(
    command: Path,
    place: Path,
    kind: str,
    docker: dict[str, Any] | None = None,
    push: dict[str, Any] | None = None,
    server: str = "server",
    helm: str = "chart",
    registry: str = "",
) -> subprocess.CompletedProcess[str]:
    """What `dfm fed gen` says of the federation `place/fed` with these texts in it; its registry is in `registry`."""
    build = {**CONFIGURATION["provision"]["docker"]["build"], **({"push": push} if push else {})}
    image = {**CONFIGURATION["provision"]["docker"], "build": build, **(docker or {})}
    chart = {**CONFIGURATION["provision"]["helm"], "path": helm}
    (place / "fed" / "fed").mkdir(parents=True)
    (place / "fed" / "fed" / "fed_info.json").write_text("{}")
    (place / registry).mkdir(exist_ok=True)
    (place / "fed" / "f.dfm.yaml").write_text(
        yaml.dump({**CONFIGURATION, "provision": {"docker": image, "helm": chart}})
    )
    first, *others = PROJECT["participants"]
    participants = [{**first, "name": server}, *others]
    (place / "fed" / "project.yaml").write_text(yaml.dump({**PROJECT, "participants": participants}))
    record = {"federation_dir": str(place / "fed"), "config_path": "f.dfm.yaml", "project_path": "project.yaml"}
    (place / registry / "federations.yaml").write_text(yaml.dump({"federations": {"fed": record}}))
    words = [command, "--config", place / registry / "federations.yaml", "fed", "gen", kind, "fed"]
    return subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=60)


def run(place: Path, script: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A generated script, with an engine and an empty cluster; `place/mark` is there if a text was a program."""
    programs = place / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("docker", "helm", "kubectl"):
        (programs / name).write_text(PROGRAM)
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "MARK": str(place / "mark"),
        "CALLED": str(place / "called"),
    }
    return subprocess.run(
        ["bash", script, *words], cwd=place, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"push": {"registry": {"username": "${X:-$(touch $MARK)}", "password": "$P"}}}, "`username`"),
        ({"push": {"registry": {"username": "u", "password": "$P$(touch $MARK)"}}}, "`password`"),
        ({"docker": {"dockerfile": f"deploy/{CALLS}/Dockerfile"}}, "`dockerfile`"),
        ({"docker": {"dockerfile": f"deploy/{CALLS}"}}, "`dockerfile`"),
        ({"docker": {"dockerfile": {"dir": "deploy", "file": "a`touch $MARK`"}}}, "`dockerfile`"),
        ({"docker": {"dockerfile": 'deploy/"; touch $MARK; "'}}, "`dockerfile`"),
        ({"docker": {"dockerfile": "deploy/a\nRUN touch $MARK"}}, "`dockerfile`"),
        ({"server": CALLS}, "`$(touch $MARK)`"),
        ({"server": ";touch $MARK;"}, "`;touch $MARK;`"),
        ({"server": "-a"}, "`-a`"),
    ],
)
def test_no_text_is_a_program_of_who_builds_an_image(
    command: Path, tmp_path: Path, said: dict[str, Any], key: str
) -> None:
    done = generated(command, tmp_path, "docker", **said)
    for script in (tmp_path / "fed").rglob("build_image.sh"):
        run(tmp_path, script, "--lock")
        (script.parent / "requirements.lock").write_text("")
        run(tmp_path, script)
    assert not (tmp_path / "mark").exists()
    assert done.returncode == 2 and key in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"server": CALLS}, "`$(touch $MARK)`"),
        ({"server": "s\ntouch $MARK"}, "touch $MARK"),
        ({"helm": f"chart/{CALLS}"}, "`path`"),
    ],
)
def test_no_text_is_a_program_of_who_installs_a_chart(
    command: Path, tmp_path: Path, said: dict[str, str], key: str
) -> None:
    done = generated(command, tmp_path, "helm", **cast(Any, said))
    for script in (tmp_path / "fed").rglob("deploy.sh"):
        run(tmp_path, script, "--install")
    assert not (tmp_path / "mark").exists()
    assert done.returncode == 2 and key in done.stderr, done.stderr


def test_no_name_of_a_folder_is_a_program(command: Path, tmp_path: Path) -> None:
    """The kits are beside the registry, in whose folder's name a repository may say anything."""
    place = tmp_path / "it's"
    place.mkdir()
    done = generated(command, place, "helm", registry="a'}\"$(touch $MARK)")
    assert done.returncode == 0, done.stderr
    said = run(place, place / "fed" / "chart" / "deploy.sh", "--install")
    assert not (place / "mark").exists()
    assert "no startup kit is here" in said.stderr
    kit = place / "a'}\"$(touch $MARK)" / "workspace" / "fed" / "fed" / "prod_00" / "away"
    for part in ("startup", "local"):
        (kit / part).mkdir(parents=True)
    said = run(place, place / "fed" / "chart" / "deploy.sh", "--install")
    assert said.returncode == 0 and f"away: kit from {place}" in said.stderr, said.stderr
    assert not (place / "mark").exists()


@pytest.mark.parametrize(
    "url",
    ['r.example"\n    privileged: true\n    image: "r', "r.example/${HOME}", "--config=/tmp/x", "r.example/a b", "a'b"],
)
def test_no_registry_is_another_key_of_a_compose_file(command: Path, tmp_path: Path, url: str) -> None:
    done = generated(command, tmp_path, "docker", push={"enabled": True, "registry": {"url": url}})
    compose = tmp_path / "fed" / "deploy" / "compose.yaml"
    if compose.exists():
        services: dict[str, dict[str, Any]] = yaml.safe_load(compose.read_text())["services"]
        assert [name for name, one in services.items() if one.get("privileged")] == []
    assert done.returncode == 2 and "`url`" in done.stderr, done.stderr


def test_what_is_only_odd_is_kept_as_it_is(command: Path, tmp_path: Path) -> None:
    password = 'it\'s "$5" \\ `x` $(touch $MARK)'
    place = tmp_path / "my repository"
    place.mkdir()
    done = generated(
        command,
        place,
        "docker",
        docker={"dockerfile": "für alle/Docker file"},
        push={
            "enabled": True,
            "registry": {"url": "https://r.example:5000/team", "username": "${U}", "password": password},
        },
    )
    assert done.returncode == 0, done.stderr
    folder = place / "fed" / "für alle"
    (folder / "requirements.lock").write_text(f"data-federation-mesh=={locked(folder)} --hash=sha256:0\n")
    said = run(place, folder / "build_image.sh")
    assert said.returncode == 0, said.stderr
    called = (place / "called").read_text().splitlines()
    assert str(folder / "Docker file") in called and "r.example:5000/team/fed:one" in called
    assert not (place / "mark").exists()


def locked(folder: Path) -> str:
    """The version of dfm that a script asks for."""
    text = (folder / "build_image.sh").read_text()
    return text.partition("data-federation-mesh==")[2].partition(" ")[0]
