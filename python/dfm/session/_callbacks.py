"""Which callables can be called back with a job's tokens?"""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from dfm.errors import SessionError
from dfm.session._dispatch import DirectDispatcher, Dispatcher, ManualDispatcher

_ARGUMENTS = ("from_site", "node", "frame", "place", "data")
_SIGNATURE = f"({', '.join(_ARGUMENTS)})"
"""What a callback is called with."""


def check_callbacks(default: object, by_place: Mapping[str, object] | None, dispatcher: Dispatcher) -> None:
    """Refuses what the dispatcher could not call with a token.

    Raises:
        SessionError: one cannot be called so; says which, and how callbacks are called.
    """
    if default is not None:
        _check(default, "default_callback", dispatcher)
    for place, callback in (by_place or {}).items():
        _check(callback, f"the callback of place '{place}'", dispatcher)


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
    try:
        signature = inspect.signature(callback)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        return True  # it does not say what it takes
    try:
        signature.bind(*_ARGUMENTS)
    except TypeError:
        return False
    return True


def _named(callback: object) -> str:
    name = getattr(callback, "__qualname__", None) or repr(callback)
    code = getattr(callback, "__code__", None)
    try:
        signature = str(inspect.signature(callback))  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        signature = ""
    return f"{name}{signature}" + (f" of {code.co_filename}:{code.co_firstlineno}" if code else "")
