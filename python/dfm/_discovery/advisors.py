"""Which of an adapter's methods are advisors, and of what?"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

Method = TypeVar("Method", bound=Callable[..., Any])
_MARK = "dfm_advises"


class Advisor(NamedTuple):
    """The advisor of one parameter."""

    parameter: str
    """The operation's name for it."""
    argument: str
    """The adapter's name for it."""
    ask: Callable[[Any, Any], Any]
    """Takes (value, context); a coroutine function."""


def mark(method: Method, name: str, order: int) -> Method:
    """Notes that a method is the advisor of an argument.

    Raises:
        TypeError: it is no coroutine function.
    """
    if not inspect.iscoroutinefunction(method):
        raise TypeError(f"the advisor of '{name}' has to be written as `async def`, with self, value and context")
    setattr(method, _MARK, (name, order))
    return method


def advisors(body: Callable[..., Any], parameters: dict[str, str]) -> list[Advisor]:
    """The advisors of the adapter whose method `body` is, in the order in which they are asked.

    One of a subclass replaces its base's.

    `parameters` has the operation's name for each argument that a pipeline may give. If one parameter gives several
    arguments, the first of their advisors speaks for it.

    Raises:
        ValueError: one is for an argument that the adapter's body does not take.
    """
    adapter = getattr(body, "__self__", None)
    marked: dict[str, tuple[int, str]] = {}
    for kind in reversed(type(adapter).__mro__):
        for method, found in vars(kind).items():
            if (marks := getattr(found, _MARK, None)) is not None:
                name, order = cast("tuple[str, int]", marks)
                marked[name] = (order, method)
    if not marked:
        return []
    takes = inspect.signature(body).parameters
    if not any(one.kind is one.VAR_KEYWORD for one in takes.values()):
        for name in marked:
            if name not in takes:
                near = difflib.get_close_matches(name, takes, 1)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                raise ValueError(f"it has an advisor for '{name}', but its body takes no such argument{hint}")
    found: dict[str, Advisor] = {}
    for name, (_, method) in sorted(marked.items(), key=lambda one: (one[1][0] < 0, one[1][0])):
        if (parameter := parameters.get(name)) is not None:
            found.setdefault(parameter, Advisor(parameter, name, getattr(adapter, method)))
    return list(found.values())
