"""What does a job of a pipeline in discovery mode come to?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from dfm._discovery.advice import PATIENCE, Edge, ErrorFieldAdvice, SiteAdvice
from dfm.api import ErrorToken, Pipeline
from dfm.api.discovery import Discovery, OperationAdvice
from dfm.session._delivery import Token
from dfm.session._interface import NodeId

_GRACE = 5.0
"""Seconds that an answer may take on its way."""


def patience(pipeline: Pipeline) -> float | None:
    """Seconds until all sites have answered; None where none is asked.

    A site keeps the time itself. One that does not is held by an adapter that blocks it.
    """
    if pipeline.mode != "discovery":
        return None
    limits = [PATIENCE if one.get("timeout") is None else one["timeout"] for one in _operations(pipeline)]
    return max(limits, default=PATIENCE) + _GRACE


def discovery(
    pipeline: Pipeline,
    asked: Sequence[tuple[NodeId, str, str | None]],
    tokens: Sequence[Token],
    errors: Sequence[ErrorToken],
) -> Discovery:
    """Puts together what has arrived.

    Args:
        pipeline: what was asked for.
        asked: each (node, site, provider) that an answer is expected from.
        tokens: the answers, and errors in place of them.
        errors: the job's.
    """
    answers: dict[tuple[NodeId | None, str, str | None], SiteAdvice] = {}
    lost = {one.site: one.message for error in errors for one in error.errors if one.site}
    for token in tokens:
        if isinstance(token.data, SiteAdvice):
            answers[token.node, token.data.site, token.data.provider] = token.data
        elif isinstance(token.data, ErrorToken):
            lost.setdefault(token.from_site, token.data.errors[0].message)
    found: list[OperationAdvice] = []
    for operation in _operations(pipeline):
        node, name = operation["node"], operation["operation"]
        of_node: list[SiteAdvice] = []
        for _, site, provider in (one for one in asked if one[0] == node):
            nothing: Edge = ErrorFieldAdvice(lost.get(site, f"site '{site}' has not answered"))
            of_node.append(answers.get((node, site, provider)) or SiteAdvice(name, site, provider, nothing))
        line = pipeline.dfm_lines().get(node)
        found.append(OperationAdvice(node, name, line, _unknown(operation), tuple(of_node)))
    return Discovery(tuple(found))


def _operations(pipeline: Pipeline) -> list[dict[str, Any]]:
    statements = cast("list[dict[str, Any]]", pipeline.model_dump()["statements"])
    return [one for one in statements if one["kind"] == "operation"]


def _unknown(operation: dict[str, Any]) -> dict[str, str]:
    unknown: dict[str, str] = {}
    for name, argument in operation["arguments"].items():
        match argument:
            case {"node": node}:
                unknown[name] = f"node {node}"
            case {"param": place}:
                unknown[name] = f"the parameter place '{place}'"
            case {"list": _} | {"tuple": _} | {"dict": _} | {"model": _}:
                unknown[name] = "a value with nodes inside"
            case _:
                pass
    return unknown
