"""How does a literal that a pipeline yields get to the application?

Literals need no site: each is a parameter under a name of dfm's own, which the session gives with every parameter set.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

from dfm import _values
from dfm.api import Pipeline


def hoisted(pipeline: Pipeline) -> tuple[str, dict[str, Any]]:
    """The pipeline's JSON in which yields have no literals, and the values of the parameters in their place."""
    literals = pipeline.dfm_yielded_literals()
    if not literals:
        return pipeline.model_dump_json(), {}
    document = pipeline.model_dump()
    places = {node: f"_dfm_literal_{number}" for number, node in enumerate(literals)}
    for statement in cast("list[dict[str, Any]]", document["statements"]):
        if (place := places.get(statement["node"])) is not None:
            statement["value"] = {"param": place, "multiuse": False}
    return json.dumps(document), {places[node]: value for node, value in literals.items()}


def kept(literals: Mapping[str, Any]) -> dict[str, str]:
    """The values as a job's record keeps them."""
    return {place: base64.b64encode(_values.dumps(value)).decode() for place, value in literals.items()}


def recalled(literals: Mapping[str, str]) -> dict[str, Any]:
    """What `kept` made."""
    return {place: _values.loads(base64.b64decode(value)) for place, value in literals.items()}
