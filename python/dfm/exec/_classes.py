"""How does a dotted path become an object of a user's class?"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from dfm.exec._fitting import fitting
from dfm.exec._telling import FAILURES, BindingError, user_traceback


class NoClassError(Exception):
    """Why there is no class at a dotted path."""

    def __init__(self, told: str, detail: str = "", hint: str = "") -> None:
        """`detail`, which goes on with what is told, is somebody else's text; `hint` says what to do."""
        super().__init__(told + detail)
        self.told = told
        self.detail = detail
        self.hint = hint


def import_class(path: str, what: str) -> type[Any]:
    """The class with this dotted path; `what` names it in an error.

    Raises:
        BindingError: there is no such module or class, or importing it fails.
    """
    try:
        return class_at(path)
    except NoClassError as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise BindingError(f"{what}: {error.told}{hint}", error.detail) from None


def class_at(path: str) -> type[Any]:
    """The class with this dotted path.

    Raises:
        NoClassError: there is no such module or class, or importing it fails.
    """
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise NoClassError(f"there is no module '{error.name}'", hint="is the path spelt as its file is?") from None
        raise NoClassError(f"importing '{module_name}' failed", f": {error}") from None
    except FAILURES as error:
        raise NoClassError(f"importing '{module_name}' failed", f":\n{user_traceback(error)}") from None
    found = getattr(module, name, None)
    if not isinstance(found, type):
        import difflib

        near = difflib.get_close_matches(name, [key for key, kept in vars(module).items() if isinstance(kept, type)], 1)
        hint = f"did you mean '{near[0]}'?" if near else ""
        raise NoClassError(f"module '{module_name}' has no class '{name}'", hint=hint)
    return cast("type[Any]", found)


def construct(what: str, kind: Callable[..., Any], offered: dict[str, Any], configured: dict[str, Any]) -> object:
    """An object of the user's class, whose constructor gets what it names of the offered, and all that is configured.

    Raises:
        BindingError: its constructor raised.
    """
    args, kwargs = fitting(kind, offered, configured)
    try:
        return kind(*args, **kwargs)
    except BindingError:
        raise
    except FAILURES as error:
        raise BindingError(f"{what} could not be constructed", f":\n{user_traceback(error)}") from None
