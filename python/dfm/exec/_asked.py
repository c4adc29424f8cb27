"""What does a site say of calls, and of values that would leave it, before a job makes them?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from dfm.exec._adapters import Adapters

Asked = tuple[str, str | None, str | None, list[str]]
"""A call as far as its pipeline says it: operation and provider, the parameters that are given, as JSON, and those that
only the job will have. Where nothing is given, it is any call of the operation."""

_MOST = 10_000
"""Calls and values of one question that are looked at; what is wrong with more is told when it comes to that."""
_MOST_GIVEN = 1 << 16
"""Of a call of which more bytes of parameters are given, they are not looked at."""


def answers(adapters: Adapters, calls: Sequence[Asked], leaving: Sequence[list[str]]) -> list[str]:
    """What is wrong with each of these calls, and then with each value in which there may be something of the results
    of these operations; empty texts for what is in order, as far as that is known. What is refused is written down,
    once for each reason."""
    told = [""] * (len(calls) + len(leaving))
    refused: dict[str, str | None] = {}
    of_any: dict[tuple[str, str | None], str] = {}
    rules = adapters.deciding.publishes_rules()
    for place, (operation, provider, given, open) in enumerate(calls[:_MOST]):
        if (text := of_any.get((operation, provider))) is None:
            text = adapters.problem(operation, provider)
            if not text and (text := adapters.refusal(operation)):
                refused.setdefault(text, operation)
            of_any[operation, provider] = text
        if not text and rules and (text := _refusal_of(adapters, operation, provider, given, open)):
            refused.setdefault(text, operation)
        told[place] = text
    for place, makers in enumerate(leaving[: max(0, _MOST - len(calls))], len(calls)):
        if text := adapters.leaving.problem(makers):
            refused.setdefault(text, makers[0] if makers else None)
        told[place] = text
    if adapters.audit is not None:
        for why, operation in refused.items():
            adapters.audit.refused(None, operation, why)
    return told


def _refusal_of(adapters: Adapters, operation: str, provider: str | None, given: str | None, open: list[str]) -> str:
    """Why no such call is allowed whatever its `open` parameters become."""
    if given is None or len(given) > _MOST_GIVEN:
        return ""
    bound = adapters.bound(operation, provider)
    if bound.defaults is None:
        return ""
    try:
        said = json.loads(given)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict):
        return ""
    told = bound.as_told(cast("dict[str, Any]", said))
    return adapters.deciding.problem_of(operation, told, frozenset(open), bound.defaults)
