"""Is nothing of a schema lost without a word: does generated code check it, or does `check` say that it does not?"""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import jsonschema as _jsonschema
import numpy
import pytest
from pydantic import TypeAdapter, ValidationError

DFM = Path(sys.executable).with_name("dfm")
VALIDATOR: Any = cast(Any, _jsonschema).Draft202012Validator

SCALARS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 2},
    {"type": "string", "maxLength": 2.0},
    {"type": "string", "pattern": "^a"},
    {"type": "string", "pattern": "b(?!c)"},
    {"type": "string", "pattern": r"(a)\1"},
    {"type": "string", "pattern": r"^\d{2}$"},
    {"type": "integer"},
    {"type": "integer", "minimum": 2.5},
    {"type": "integer", "maximum": 2.5},
    {"type": "integer", "exclusiveMinimum": 2.5},
    {"type": "integer", "exclusiveMaximum": 2.5},
    {"type": "integer", "exclusiveMinimum": 3},
    {"type": "integer", "maximum": 1.8446744073709552e19},
    {"type": "integer", "minimum": -1e30, "maximum": 3.0},
    {"type": "integer", "multipleOf": 0.5},
    {"type": "integer", "multipleOf": 1.5},
    {"type": "integer", "multipleOf": 2},
    {"type": "number", "minimum": 1, "maximum": 3},
    {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 3},
    {"type": "number", "multipleOf": 2},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"], "minLength": 2},
    {"type": ["integer", "string"], "minimum": 3, "maxLength": 2},
    {"type": ["array", "boolean"], "items": {"type": "string"}},
    {"enum": ["a", 3, None]},
    {"enum": ["a", 3], "type": "string"},
    {"enum": [1.5, "a"]},
    {"enum": [[1, 2], {"a": 1}, True]},
    {"const": "ab"},
    {"const": 3},
    {"const": 2.5},
    {"const": [1, 2]},
    {"const": "ab", "type": "string", "maxLength": 1},
    {"minimum": 3},
    {"maxLength": 1},
    {"maxItems": 1},
    {"maxProperties": 0},
    {"required": ["a"]},
    {"pattern": "^a"},
    {"multipleOf": 2},
    {"type": "string", "contentEncoding": "base64", "contentMediaType": "application/json"},
    {"not": {"type": "string"}},
    {"type": "integer", "not": {"const": 3}},
    {"if": {"type": "string"}, "then": {"minLength": 3}, "else": {"type": "integer"}},
    {"type": "string", "if": {"minLength": 2}, "then": {"pattern": "^a"}},
]
LISTS: list[dict[str, Any]] = [
    {"type": "array", "items": {"type": "integer"}},
    {"type": "array", "minItems": 1, "maxItems": 2},
    {"items": {"type": "integer", "minimum": 2}},
    {"type": "array", "uniqueItems": True},
    {"type": "array", "contains": {"type": "string"}},
    {"type": "array", "contains": {"const": 1}, "minContains": 2, "maxContains": 3},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "items": False},
    {"type": "array", "prefixItems": [{"type": "integer"}], "minItems": 1, "maxItems": 1},
    {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
    {"type": "array", "items": False},
    {"type": "array", "prefixItems": [{"type": "integer"}], "unevaluatedItems": False},
    {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 1}},
    {"type": "array", "items": {"not": {"type": "string"}}},
]
DESCRIBED: list[dict[str, Any]] = [
    {"properties": {"a": {"type": "integer"}}},
    {"properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"properties": {"a": {"type": "integer"}}, "required": ["b"]},
    {"properties": {"a": {"type": "integer", "default": 4}}, "required": ["a"]},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": False},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
    {"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}, "required": ["b"]},
    {"properties": {"a": False}},
    {"properties": {"a": {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}}},
    {"properties": {"a": {"type": "integer"}}, "minProperties": 2},
    {"properties": {"a": {"type": "integer"}}, "patternProperties": {"^b": {"type": "string"}}},
    {"properties": {"a": {"type": "integer"}}, "propertyNames": {"maxLength": 1}},
    {"properties": {"a": {"type": "integer"}}, "dependentRequired": {"a": ["b"]}},
    {"properties": {"a": {"type": "integer"}}, "dependentSchemas": {"a": {"required": ["b"]}}},
    {"properties": {"a": {"type": "integer"}}, "dependencies": {"a": ["b"]}},
    {"properties": {"a": {"type": "integer"}}, "unevaluatedProperties": False},
    {"properties": {"a": {"type": "integer"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    {"properties": {"a": {"type": "integer"}}, "not": {"required": ["b"]}},
    {"properties": {"a": {"type": ["integer", "null"], "minimum": 2}}},
    {"additionalProperties": {"type": "integer"}},
    {"additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 1},
    {"additionalProperties": False},
    {"required": ["a"]},
    {"required": ["a"], "minProperties": 2},
    {"minProperties": 2},
    {"patternProperties": {"^a": {"type": "integer"}}},
    {"patternProperties": {"^a": {"type": "integer"}}, "additionalProperties": False},
    {"propertyNames": {"pattern": "^a"}},
]
OBJECTS: list[dict[str, Any]] = [{"type": "object", **schema} for schema in DESCRIBED]
PARTS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 2},
    {"type": "integer", "minimum": 2},
    {"type": "number", "maximum": 3},
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    {"type": "object", "properties": {"b": {"type": "string"}}},
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}}, "additionalProperties": False},
    {"$ref": "#/schemas/Base"},
    {"$ref": "#/schemas/Text"},
    {"type": "string", "pattern": "^a"},
]
PAIRS: list[dict[str, Any]] = [
    {how: [one, other]} for how in ("allOf", "anyOf", "oneOf") for one, other in itertools.combinations(PARTS, 2)
]
COMBINED: list[dict[str, Any]] = [
    {"allOf": [{"$ref": "#/schemas/Base"}], "description": "only described"},
    {"$ref": "#/schemas/Text", "maxLength": 2},
    {"$ref": "#/schemas/Base", "required": ["b"]},
    {"$ref": "#/schemas/Base", "not": {"required": ["b"]}},
    {"type": "string", "anyOf": [{"minLength": 2}, {"pattern": "^a"}]},
    {"type": "object", "oneOf": [{"$ref": "#/schemas/Base"}, {"$ref": "#/schemas/Kind"}]},
    {"oneOf": [{"$ref": "#/schemas/Kind"}, {"$ref": "#/schemas/Other"}]},
    {"anyOf": [{"allOf": [{"type": "string"}, {"maxLength": 1}]}, {"type": "null"}]},
    {"allOf": [{"allOf": [{"$ref": "#/schemas/Base"}]}, {"properties": {"b": {"type": "integer"}}, "required": ["b"]}]},
    {"allOf": [{"type": "integer"}, {"not": {"const": 3}}, {"not": {"const": 2}}]},
    {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/schemas/Nested"}}]},
    {"$ref": "#/schemas/Nested"},
    {"type": "array", "items": {"$ref": "#/schemas/Nested"}},
    {"type": "array", "items": {"allOf": [{"$ref": "#/schemas/Base"}, {"properties": {"a": {"maximum": 2}}}]}},
]
NAMED: dict[str, Any] = {
    "Base": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "Text": {"type": "string", "minLength": 2},
    "Kind": {"type": "object", "properties": {"k": {"const": "one"}}, "required": ["k"]},
    "Other": {"type": "object", "properties": {"k": {"const": "two"}, "a": {"type": "integer"}}, "required": ["k"]},
    "Nested": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#/schemas/Nested"}}]},
}
WRAPPED: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": schema}, "required": ["a"]} for schema in SCALARS + LISTS
]
SCHEMAS: list[dict[str, Any]] = SCALARS + LISTS + OBJECTS + PAIRS + COMBINED + WRAPPED

PLAIN: list[Any] = [
    *(None, True, False, 0, 1, 2, 3, 4, -7, 2.5, 1.5, "", "a", "ab", "abc", "bc", "b", "12", "aa"),
    *([], [1], [1, 2], [1, 1], [1, "a"], [1, "a", 2], ["a"], ["a", "b"], [[1]], [[]], [3, 3, 3], [[[1]], 2]),
    *({}, {"a": 1}, {"a": 3}, {"a": "x"}, {"b": "x"}, {"b": 1}, {"a": 1, "b": "x"}, {"a": 3, "b": 1}, {"bb": 1}),
    *({"a": {}}, {"a": {"b": 1}}, {"a": {"b": "x"}}, {"k": "one"}, {"k": "two"}, {"k": "two", "a": "x"}),
]
VALUES: list[Any] = PLAIN + [{"a": value} for value in PLAIN] + [[value] for value in PLAIN]


def federation(folder: Path, schemas: dict[str, Any], package: str) -> dict[int, list[str]]:
    """Generates a federation with these schemas, and says of each line of theirs what `check` says there."""
    lines = [f"  {name}: {json.dumps(schema)}" for name, schema in schemas.items()]
    (folder / "foreign.yaml").write_text("schemas:\n" + "\n".join(lines) + "\n")
    (folder / "f.dfm.yaml").write_text(
        f"dfm: 1.0.0\ninfo: {{api-version: 0.1.0, code-package: {package}}}\n"
        'schemas: {$ref: "foreign.yaml#/schemas"}\noperations: {}\nsites: {app: {}}\n'
    )
    registry = {"federations": {package: {"federation_dir": str(folder), "config_path": "f.dfm.yaml"}}}
    (folder / "federations.yaml").write_text(json.dumps(registry))

    def dfm(*words: str) -> str:
        command = [str(DFM), "--config", "federations.yaml", *words]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    told: dict[int, list[str]] = {}
    for problem in json.loads(dfm("--json", "fed", "check", package))["problems"]:
        told.setdefault(problem["at"]["line"] - 2, []).append(problem["message"])
    dfm("fed", "gen", "code", package, "--output-dir", str(folder))
    return told


def is_bare(schema: Any) -> bool:
    """Whether it has somewhere an object of which nothing is said, or an untyped one: docs/schemas.md."""
    if isinstance(schema, list):
        return any(is_bare(item) for item in cast(list[Any], schema))
    if not isinstance(schema, dict):
        return False
    keys = cast(dict[str, Any], schema)
    bare = keys.get("type") == "object" and keys.keys() <= {"type", "description"}
    return bare or any(is_bare(value) for value in keys.values())


def means_a_type(schema: Any) -> bool:
    """Whether it only implies its type somewhere, which dfm takes for said: docs/schemas.md."""
    if isinstance(schema, list):
        return any(means_a_type(item) for item in cast(list[Any], schema))
    if not isinstance(schema, dict):
        return False
    keys = cast(dict[str, Any], schema)
    if "$ref" in keys:
        return means_a_type(NAMED[keys["$ref"].rsplit("/", 1)[-1]]) if "Nested" not in keys["$ref"] else False
    implied = "type" not in keys and ("properties" in keys or "items" in keys)
    return implied or any(means_a_type(value) for value in keys.values())


def without_nulls(value: Any) -> Any:
    """The same without keys that say nothing: for a property that may be left out, None is that (docs/schemas.md)."""
    if not isinstance(value, dict):
        return value
    return {key: of for key, of in cast(dict[str, Any], value).items() if of is not None}


def takes(adapter: TypeAdapter[Any], value: Any, strict: bool) -> bool:
    try:
        if strict:
            adapter.validate_json(json.dumps(value), strict=True)
        else:
            adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def test_each_keyword_is_kept_or_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SCHEMAS) >= 150
    names = {f"S{number}": schema for number, schema in enumerate(SCHEMAS)}
    told = federation(tmp_path, NAMED | names, "keptfed")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    generated = importlib.import_module("keptfed.fed.schema")
    lost: list[str] = []
    for number, (name, schema) in enumerate(names.items(), start=len(NAMED)):
        oracle = VALIDATOR({**schema, "schemas": NAMED})
        adapter: TypeAdapter[Any] = TypeAdapter(getattr(generated, name))
        warned = told.get(number, [])
        for value in VALUES:
            valid = oracle.is_valid(value)
            valid_so = valid or oracle.is_valid(without_nulls(value))
            if not valid_so and not warned and not is_bare(schema) and takes(adapter, value, strict=True):
                lost.append(f"{schema} takes {value!r}, and nothing is said")
            if valid and not means_a_type(schema) and not takes(adapter, value, strict=False):
                lost.append(f"{schema} refuses {value!r} ({warned})")
    assert not lost, "\n".join(lost)


def test_a_property_may_be_of_a_class_that_pydantic_knows_nothing_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array: dict[str, Any] = {"type": "numpy.ndarray"}
    inside = {"cells": array, "more": {"type": "array", "items": array}, "maybe": {"type": ["numpy.ndarray", "null"]}}
    schemas: dict[str, Any] = {"Grid": {"type": "object", "properties": inside, "required": ["cells"]}}
    assert federation(tmp_path, schemas, "arrayfed") == {}
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    grid = importlib.import_module("arrayfed.fed.schema").Grid
    cells = numpy.zeros(3)
    assert grid(cells=cells, more=[cells]).cells is cells
    for wrong in ({"cells": [0.0, 0.0]}, {"cells": cells, "more": [1]}):
        with pytest.raises(ValidationError, match="instance of ndarray"):
            grid(**wrong)
