"""Do `dfm.api` and the planner accept the same pipelines, and tell of a broken rule in the same words?

Random pipelines are changed at random; each is then read by the API and checked by the planner, which trusts it not.
"""
# pyright: basic, reportMissingImports=false

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import programs
import pytest
from dfm import _native
from dfm.api import Pipeline
from dfm.errors import PipelineError

ROUNDS = 1500
REFERENCES = ("node", "for_each", "if", "repeat", "each_site", "cache")


def changed(document: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    """The pipeline with something in it that is somewhere else, twice there, or gone."""
    document = copy.deepcopy(document)
    statements = document["statements"]
    nodes = [one["node"] for one in statements] + [len(statements) + 5]
    one = chance.choice(statements)
    references = list(referring(one))
    uses = list(places(one))
    match chance.randrange(9):
        case 0:
            one["block"] = chance.choice([*nodes, None])
        case 1 | 2 if references:
            holder, key = chance.choice(references)
            holder[key] = chance.choice(nodes)
        case 3:
            at = chance.randrange(len(statements))
            statements.insert(chance.randrange(len(statements)), statements.pop(at))
        case 4:
            statements.remove(one)
        case 5:
            one["after"] = [*one["after"], chance.choice(nodes)]
        case 6 if one["kind"] != "otherwise":
            # An otherwise is named by its body alone, so the planner lets a node have the same id.
            named = {other["node"] for other in statements if other["kind"] == "otherwise"}
            one["node"] = chance.choice([node for node in nodes if node not in named])
        case 7 if uses:
            holder, key = chance.choice(uses)
            holder[key] = chance.choice(["p0", "y1", "both", "new"])
            holder["multiuse"] = chance.choice([True, False])
        case 8:
            document["api_version"] = chance.choice(["1.9.9", "2.0.0"])
    return document


def referring(data: Any) -> Iterator[tuple[Any, Any]]:
    """What names another node, by where it stands."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key in ("node", "for_each", "if", "repeat", "each_site", "cache") and not (
                "kind" in data and key == "node"
            ):
                yield data, key
            elif key != "literal":
                yield from referring(value)
    elif isinstance(data, list):
        for one in data:
            yield from referring(one)


def places(data: Any) -> Iterator[tuple[Any, Any]]:
    """What names a place, by where it stands."""
    if isinstance(data, dict):
        yield from ((data, key) for key in ("param", "place") if key in data)
        for key, value in data.items():
            if key != "literal":
                yield from places(value)
    elif isinstance(data, list):
        for one in data:
            yield from places(one)


def looks_ahead(document: dict[str, Any]) -> bool:
    """Whether a statement names one that follows it, which no line can; the planner takes statements in any order."""
    first: dict[Any, int] = {}
    for at, one in enumerate(document["statements"]):
        first.setdefault(one["node"], at)
    for at, one in enumerate(document["statements"]):
        named = [one["block"], *one["after"], *(holder[key] for holder, key in referring(one))]
        if any(first.get(node, -1) > at for node in named):
            return True
    return False


def the_api_says(document: dict[str, Any]) -> str | None:
    try:
        Pipeline.model_validate(document)
    except PipelineError as error:
        return str(error)
    return None


def the_planner_says(fed_info: str, document: dict[str, Any]) -> str | None:
    try:
        _native.plan(fed_info, json.dumps(document), "home", None)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.timeout(300)
def test_the_api_and_the_planner_accept_the_same_pipelines(small: Path, fed):
    fed_info = (small / "small" / "fed" / "fed_info.json").read_text()
    seen = Counter[bool]()
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        document = json.loads(programs.written(fed, programs.program(f"rules {seed % 50}")).model_dump_json())
        for _ in range(chance.choice([0, 1, 1, 1, 2])):
            document = changed(document, chance)
        if looks_ahead(document):
            continue
        api, planner = the_api_says(document), the_planner_says(fed_info, document)
        assert (api is None) == (planner is None), f"seed {seed}: the API says {api}, the planner {planner}"
        seen[api is None] += 1
    assert min(seen[True], seen[False]) > ROUNDS // 10, seen
