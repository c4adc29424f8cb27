"""With what is a user's class constructed?"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


def fitting(
    kind: Callable[..., Any], offered: dict[str, Any], configured: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The positional and the keyword arguments for a constructor.

    What is configured is given in any case. Of what is offered each value goes to the parameter of its name; parameters
    before those, under names of the author's own, get what is left in its order. What is left then is for `**` by name,
    else for `*` in its order.
    """
    try:
        signature = inspect.signature(kind)
    except (TypeError, ValueError):
        return tuple(offered.values()), configured
    parameters = signature.parameters.values()
    named = {one.name: one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
    given = OrderedDict((name, value) for name, value in (offered | configured).items() if name in named)
    left = {name: value for name, value in offered.items() if name not in named}
    for one in named.values():
        if one.name in offered or one.kind is one.KEYWORD_ONLY or not left:
            break
        if one.default is one.empty and one.name not in configured:
            given[one.name] = left.pop(next(iter(left)))
    more = {name: value for name, value in configured.items() if name not in named}
    kinds = {one.kind: one.name for one in parameters}
    if inspect.Parameter.VAR_KEYWORD in kinds:
        more = left | more
    elif (rest := kinds.get(inspect.Parameter.VAR_POSITIONAL)) is not None:
        given[rest] = tuple(left.values())
    bound = inspect.BoundArguments(signature, given)
    return bound.args, bound.kwargs | more
