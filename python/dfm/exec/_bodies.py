"""How does a body run, and does it fit what it is given?"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from dfm.exec._telling import BindingError


def kind_of(body: Callable[..., Any]) -> str:
    """`coroutine`, `async generator`, `thread` or `generator`: how a `body` runs."""
    if inspect.isasyncgenfunction(body):
        return "async generator"
    if inspect.isgeneratorfunction(body):
        return "generator"
    return "coroutine" if inspect.iscoroutinefunction(body) else "thread"


def check_signature(body: Callable[..., Any], names: set[str], what: str) -> None:
    """Holds the arguments of a binding against the body that gets them.

    Raises:
        BindingError: it takes not all of them, or needs others.
    """
    unknown, missing = body_misfits(body, names)
    if unknown:
        raise BindingError(f"{what}: its body takes no argument {_quoted(unknown)}, but the binding gives it")
    if missing:
        raise BindingError(f"{what}: its body needs {_quoted(missing)}, which the binding does not give")


def _quoted(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def body_misfits(body: Callable[..., Any], names: set[str], unbound: bool = False) -> tuple[list[str], list[str]]:
    """The arguments of these names that a `body` does not take, and those that it needs besides.

    `unbound` for a method that was looked up at its class: its first argument is the adapter itself.
    """
    try:
        parameters = list(inspect.signature(body).parameters.values())[1 if unbound else 0 :]
    except (TypeError, ValueError):
        return [], []
    taken = names
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        taken = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    needed = {
        one.name
        for one in parameters
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    return sorted(names - taken), sorted(needed - names)


def is_awaited(value: Any) -> bool:
    """Whether it is to be awaited. What Dask has not computed could be, too, by a client of its own, and is a value."""
    return inspect.isawaitable(value) and not hasattr(type(value), "__dask_graph__")
