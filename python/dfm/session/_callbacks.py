"""Which callables are called back with a job's tokens?"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any

from dfm._discovery.advice import DISCOVERY_PLACE
from dfm.api import STATUS_PLACE_NAME
from dfm.errors import SessionError
from dfm.exec import Frame
from dfm.session._dispatch import CallbackRunner, DirectDispatcher, Dispatcher, ManualDispatcher
from dfm.session._interface import NodeId

STATUS_PLACE = STATUS_PLACE_NAME
"""Where errors and the end of a job are told."""

Callback = Callable[[str, NodeId | None, Frame, str, Any], Any]
"""Takes (from_site, node, frame, place, data)."""

_ARGUMENTS = ("from_site", "node", "frame", "place", "data")
_SIGNATURE = f"({', '.join(_ARGUMENTS)})"
"""What a callback is called with."""


@dataclasses.dataclass(frozen=True, slots=True)
class Callbacks:
    """What a job's tokens go to; a token that has no callback is kept."""

    default: Callback | None = None
    """For each place that has none of its own."""
    by_place: Mapping[str, Callback] = dataclasses.field(default_factory=dict[str, Callback])
    runner: CallbackRunner | None = None
    """Calls them; `None` where there are none."""

    def at(self, place: str) -> Callback | None:
        """The callback for a place's tokens."""
        return self.by_place.get(place, self.default)


def check_callbacks(default: object, by_place: Mapping[str, object] | None, dispatcher: Dispatcher) -> None:
    """Refuses what the dispatcher could not call with a token.

    Raises:
        SessionError: one cannot be called so; says which, and how callbacks are called.
    """
    if default is not None:
        _check(default, "default_callback", dispatcher)
    for place, callback in (by_place or {}).items():
        _check(callback, f"the callback of place '{place}'", dispatcher)


def checked_places(place_callbacks: Mapping[str, Callback] | None, yields: Sequence[str]) -> dict[str, Callback]:
    """The callbacks by place, each of which is a yield place of the pipeline, the status place or the discovery place.

    Raises:
        SessionError: one is not.
    """
    by_place = dict(place_callbacks or {})
    if unknown := sorted(set(by_place) - set(yields) - {STATUS_PLACE, DISCOVERY_PLACE}):
        raise SessionError(
            f"place_callbacks names '{unknown[0]}', which is not a yield place of the pipeline; it has: "
            + (", ".join(f"'{place}'" for place in yields) or "none")
        )
    return by_place


def _check(callback: object, what: str, dispatcher: Dispatcher) -> None:
    if not callable(callback):
        raise SessionError(f"{what} takes what can be called with {_SIGNATURE}, not {callback!r}")
    if not _takes_a_token(callback):
        raise SessionError(
            f"{what} is called with five arguments, {_SIGNATURE}, which {_named(callback)} does not take; give it "
            "these parameters, or *token for all of them"
        )
    if inspect.iscoroutinefunction(callback) and isinstance(dispatcher, DirectDispatcher | ManualDispatcher):
        raise SessionError(
            f"{what} is the coroutine function {_named(callback)}, for which this session has no event loop; use "
            "get_session(callback_dispatcher=AsyncioDispatcher())"
        )


def _takes_a_token(callback: object) -> bool:
    if _has_five(callback):
        return True
    try:
        signature = inspect.signature(callback)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return True  # it does not say what it takes
    try:
        signature.bind(*_ARGUMENTS)
    except TypeError:
        return False
    return True


def _has_five(callback: object) -> bool:
    """Whether a function or method is written with five parameters, as most are: to ask `inspect`, which knows of all
    others, takes a sixth of the time of a short job."""
    function, bound = (callback.__func__, 1) if isinstance(callback, MethodType) else (callback, 0)
    # What a decorator has left in its dictionary may say that it takes something else.
    if not isinstance(function, FunctionType) or function.__dict__:
        return False
    code = function.__code__
    return code.co_argcount - bound == len(_ARGUMENTS) and not code.co_kwonlyargcount


def _named(callback: object) -> str:
    name = getattr(callback, "__qualname__", None) or repr(callback)
    code = getattr(callback, "__code__", None)
    try:
        signature = str(inspect.signature(callback))  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        signature = ""
    return f"{name}{signature}" + (f" of {code.co_filename}:{code.co_firstlineno}" if code else "")
