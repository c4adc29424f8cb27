"""Is what the guides show in code and commands what dfm takes?

The pages that somebody follows step by step are run as they are, by `test_tutorial.py`. In the guides most blocks are
parts of something larger, and `test_guides_of_adapters.py` and `test_guides_of_pipelines.py` run them within it. Here
all of them are held against what there is, so that a new one is too: YAML has to be what the formats' schemas allow at
that place, Python has to import names that there are and to give dfm's own functions arguments that they take, and
commands, which `test_guides_of_commands.py` runs, have to be there where they are only named. The values of charts are
tried by `test_deploy.py`.
"""

import ast
import importlib
import inspect
import json
import os
import re
import shlex
import subprocess
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dfm.api
import dfm.api.discovery
import dfm.exec
import dfm.exec.discovery
import dfm.session
import dfm.testing
import jsonschema as _jsonschema
import pytest
from ruamel.yaml import YAML as _YAML
from test_tutorial import ROOT, Block, blocks

FOLLOWED = ("tutorial.md", "index.md", "changelog.md")
GUIDES = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name not in FOLLOWED)
MODULES = (dfm.api, dfm.api.discovery, dfm.exec, dfm.exec.discovery, dfm.session, dfm.testing)
PUBLIC = {name: getattr(module, name) for module in MODULES for name in module.__all__}
YAML: Any = _YAML
jsonschema: Any = _jsonschema
CHART = re.compile(r"# \w+\.yaml\n(server|telemetry):")
FEDERATION = ("dfm", "info", "provision", "schemas", "operations", "sites", "values")


def shown(language: str) -> list[Any]:
    found = [(page, block) for page in GUIDES for block in blocks(page) if block.language == language]
    found = [(page, block) for page, block in found if not CHART.match(block.text)]
    return [pytest.param(block, id=f"{page.name}:{block.line}") for page, block in found]


@cache
def schema(command: Path, *words: str) -> Mapping[str, Any]:
    return json.loads(subprocess.run([command, *words], capture_output=True, check=True).stdout)


BESIDE = {"dfm": "1.0.0", "info": {"code-package": "guide", "api-version": "1.0.0"}}


def whole(part: dict[str, Any]) -> tuple[str, Any]:
    """The format that a block of YAML is of, and a document with the block at its place."""
    first = next(iter(part))
    site = None
    if first.startswith("#/operations/"):
        site = {"interface": part}
    elif first in ("shared", "groups"):
        site = {"cache_config": part}
    elif first == "secrets_vault":
        site = part
    if site is not None or first in FEDERATION:
        return "federation", BESIDE | ({"sites": {"north": site}} if site is not None else part)
    if isinstance(part[first], dict) and "decision" in part[first]:
        return "policy", {"rules": part}
    return "policy", part


@pytest.mark.parametrize("block", shown("yaml"))
def test_yaml_is_a_part_of_its_format(command: Path, tmp_path: Path, block: Block) -> None:
    if block.text.startswith("dfm-network: "):
        network = tmp_path / "network.yaml"
        network.write_text(block.text)
        pipeline = ROOT / "examples" / "examplefed" / "examplefed" / "apps" / "pipeline.py"
        words = ("--config", ROOT / "examples" / "federations.yaml", "fed", "simulate", "examplefed", pipeline)
        done = subprocess.run([command, *words, "--network", network], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return
    kind, document = whole(YAML(typ="safe").load(block.text))
    allowed = schema(command, *(("fed", "schema") if kind == "federation" else ("site", "policy", "schema")))
    jsonschema.Draft202012Validator(allowed).validate(json.loads(json.dumps(document, default=str)))


@pytest.mark.parametrize("block", shown("python"))
def test_python_uses_what_there_is(block: Block) -> None:
    tree = ast.parse(block.text)
    own = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dfm":
            module = importlib.import_module(node.module or "")
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PUBLIC.keys() - own:
            positional = [None for _ in node.args]
            named = {str(one.arg): None for one in node.keywords}
            inspect.signature(PUBLIC[node.func.id]).bind(*positional, **named)


def commands() -> list[Any]:
    """Those in blocks, and those in the text that have nothing left out."""
    found: set[tuple[str, str]] = set()
    for page in GUIDES:
        text = page.read_text()
        lines = re.findall(r"^dfm [^#\n]*", text, re.MULTILINE) + re.findall(r"`(dfm [^`\n]*)`", text)
        found |= {(page.name, line.strip()) for line in lines if not re.search(r"[…\[\]|─]|\.\.\.", line)}
    return [pytest.param(line, id=f"{page}: {line}") for page, line in sorted(found)]


@pytest.mark.parametrize("line", commands())
def test_commands_have_words_that_there_are(command: Path, line: str) -> None:
    # What is wrong before `--help` is told; nothing is run.
    done = subprocess.run([command, *shlex.split(line)[1:], "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


PAGES = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]


@pytest.mark.parametrize(
    "line", sorted({one for page in PAGES for one in re.findall(r"`(make [^`]+)`", page.read_text())})
)
def test_what_make_is_asked_for_it_makes(line: str) -> None:
    # What the `make` that runs the tests tells it is not meant for this one.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        [*shlex.split(line), "--dry-run"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_each_extra_that_a_page_names_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for page in PAGES:
        for named in re.findall(rf"{project['name']}\[([\w,]+)\]", page.read_text()):
            assert set(named.split(",")) <= project["optional-dependencies"].keys(), page.name
