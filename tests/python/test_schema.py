"""Do the JSON Schema for editors and dfm's own validator agree, wherever JSON Schema can say it?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jsonschema as _jsonschema
import pytest
from ruamel.yaml import YAML, YAMLError

REPOSITORY = Path(__file__).parents[2]
CONFIGS = REPOSITORY / "tests/configs"
DFM = Path(sys.executable).with_name("dfm")

SAYABLE = {
    "config-unknown-key",
    "config-missing-key",
    "config-wrong-type",
    "config-wrong-version",
    "config-unknown-type",
    "config-argument-source",
    "config-url-ref",
}
"""What JSON Schema can say of one file, apart from `BEYOND`."""

BEYOND = {
    "expose_a_parameter": "which source an exposed argument has",
    "fault_in_another_file": "other files",
    "fault_two_files_away": "other files",
    "infinite_number": "a number that JSON does not have",
    "required_in_the_parameter": "an object's schema and an operation's list have the same key",
}
"""Faults with a code of `SAYABLE` that JSON Schema cannot say, and what they are about."""


def schema() -> dict[str, Any]:
    return json.loads(subprocess.run([DFM, "fed", "schema"], check=True, capture_output=True, text=True).stdout)


def instance(path: Path) -> Any:
    """What the file says, in YAML 1.2; raises for what is no YAML."""
    yaml = YAML(typ="safe", pure=True)
    return cast(Any, yaml).load(path.read_text(encoding="utf-8"))


def problems(path: Path) -> list[dict[str, Any]]:
    command = [DFM, "--json", "fed", "check", path.name]
    ran = subprocess.run(command, cwd=path.parent, capture_output=True, text=True)
    return json.loads(ran.stdout)["problems"]


jsonschema = cast(Any, _jsonschema)
VALIDATOR: Any = jsonschema.Draft202012Validator(schema())


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


VALID = [*CONFIGS.glob("valid/*.dfm.yaml"), *REPOSITORY.glob("examples/*/*/configs/*.dfm.yaml")]
INVALID = {path.name.split(".")[0]: path for path in sorted(CONFIGS.glob("invalid/*.dfm.yaml"))}


@pytest.mark.parametrize("path", VALID, ids=[str(path.relative_to(REPOSITORY)) for path in VALID])
def test_valid_files_are_valid_for_editors_too(path: Path) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(instance(path))] == []


@pytest.mark.parametrize("name", INVALID)
def test_editors_refuse_what_dfm_refuses(name: str) -> None:
    path = INVALID[name]
    try:
        data = instance(path)
    except (YAMLError, UnicodeDecodeError, ValueError):
        return
    codes = {one["code"] for one in problems(path) if one["severity"] == "error"}
    assert codes
    if codes & SAYABLE and name not in BEYOND:
        assert not VALIDATOR.is_valid(data)
