"""Do schemas, values and messages that troubled people work, or say what is the matter?"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dfm.api import Pipeline
from written import refusal

DFM = Path(sys.executable).with_name("dfm")
CONFIG = """
dfm: 1.0.0
info: {api-version: 0.1.0, code-package: casefed}
schemas:
  Index: {type: object, properties: {n: {type: integer, minimum: 0.5, maximum: 1.9e19}}}
  Base: {type: object, properties: {id: {type: string}}, required: [id]}
  Derived:
    allOf:
      - {$ref: "#/schemas/Base"}
      - {type: object, properties: {height: {type: number}}}
  Moment: {type: string, format: date-time, nullable: true}
  Part: {type: fractions.Fraction}
  Event: {type: object, properties: {when: {$ref: "#/schemas/Moment"}, of: {$ref: "#/schemas/Part"}}, required: [when]}
  Own: {type: object, properties: {id: {type: string}, inner: {$ref: "#/schemas/Base"}}}
  Foreign: {$ref: "geo.yaml#/item"}
  Holder: {type: object, properties: {where: {$ref: "geo.yaml#/geometry"}}}
operations:
  x.Op:
    parameters:
      index: {$ref: "#/schemas/Index"}
      derived: {$ref: "#/schemas/Derived"}
      event: {$ref: "#/schemas/Event"}
      own: {$ref: "#/schemas/Own"}
      foreign: {$ref: "#/schemas/Foreign"}
      holder: {$ref: "#/schemas/Holder"}
      geometry: {$ref: "geo.yaml#/geometry"}
      half: {type: integer, multipleOf: 0.5}
      frame: {type: [fractions.Fraction, "null"]}
      either: {anyOf: [{$ref: "#/schemas/Base"}, {type: integer}]}
    returns: object
sites:
  app: {}
  office:
    interface: {"#/operations/x.Op": {adapter: casefed.lib.Op, args: from-operation}}
"""
GEO = """
item: {type: object, properties: {id: {type: string}}, required: [id]}
geometry: {anyOf: [{$ref: "#/point"}, {$ref: "#/many"}]}
point: {type: object, properties: {at: {type: array, items: {type: number}}}, required: [at]}
many: {type: object, properties: {parts: {type: array, items: {$ref: "#/geometry"}}}, required: [parts]}
"""


@pytest.fixture(scope="module")
def x(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The module of the federation's operations; `check` has found nothing to say."""
    folder = tmp_path_factory.mktemp("cases")
    (folder / "casefed.dfm.yaml").write_text(CONFIG)
    (folder / "geo.yaml").write_text(GEO)
    registry = {"federations": {"casefed": {"federation_dir": str(folder), "config_path": "casefed.dfm.yaml"}}}
    (folder / "federations.yaml").write_text(json.dumps(registry))
    for words in (
        ["--json", "fed", "check", "casefed"],
        ["fed", "gen", "code", "casefed", "--output-dir", str(folder)],
    ):
        command = [str(DFM), "--config", "federations.yaml", *words]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        if "check" in words:
            assert json.loads(ran.stdout)["problems"] == []
    sys.path.insert(0, str(folder))
    try:
        module: ModuleType = importlib.import_module("casefed.fed.api.x")
    finally:
        sys.path.remove(str(folder))
    return module


TAKEN: dict[str, Any] = {
    "index": {"n": 3},
    "derived": {"id": "a", "height": 2},
    "event": {"when": None},
    "own": {"id": "a", "inner": {"id": "b"}},
    "foreign": {"id": "a", "cover": 3},
    "holder": {"where": {"parts": [{"at": [1.0]}, {"parts": []}]}},
    "geometry": {"parts": [{"parts": [{"at": []}]}]},
    "half": 3,
    "frame": None,
    "either": 3,
}
REFUSED: list[tuple[str, Any, str]] = [
    ("index", {"n": 0}, "index.n: input should be greater than or equal to 1"),
    ("derived", 5, "derived takes Derived"),
    ("derived", {"height": "tall"}, "derived needs the key 'id'; derived.height: input should be a valid number"),
    ("event", {}, "event needs the key 'when'"),
    ("own", {"id": "a", "cover": 3}, "own has no key 'cover'; it has: id, inner"),
    ("own", {"id": 1, "cover": 3}, "own.id: input should be a valid string, not 1 (int); own has no key 'cover'"),
    ("own", {"inner": {"id": 2}}, "own.inner.id: input should be a valid string"),
    ("foreign", {"cover": 3}, "foreign needs the key 'id'"),
    ("holder", {"where": {"parts": [{"at": ["x"]}]}}, "holder.where"),
    ("geometry", {"parts": [3]}, "geometry takes"),
    ("either", {"id": 3}, "either.id: input should be a valid string"),
]


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_schema_means_is_taken(x: Any, name: str) -> None:
    with Pipeline():
        x.Op(site="office", **{name: TAKEN[name]})


@pytest.mark.parametrize(("name", "value", "words"), REFUSED)
def test_what_it_does_not_mean_is_refused_for_the_right_key(x: Any, name: str, value: Any, words: str) -> None:
    assert words in refusal(lambda: x.Op(site="office", **{name: value}))
