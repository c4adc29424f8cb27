"""What is said where something of a pipeline is called with other arguments than it takes?"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from dfm.api._lines import user_line
from dfm.errors import ArgumentPipelineError

P = ParamSpec("P")
T = TypeVar("T")


def taking(called: Callable[P, T]) -> Callable[P, T]:
    """The same function, which says with the user's line what it takes where it cannot be called.

    Raises:
        ArgumentPipelineError: an argument is missing, or is none of its.
    """

    @functools.wraps(called)
    def call(*given: P.args, **named: P.kwargs) -> T:
        try:
            return called(*given, **named)
        except TypeError as error:
            # One that is raised in the function itself has its frame in the traceback.
            inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
            if inside:
                raise
            raise ArgumentPipelineError(_why(called, error, given[0], named), user_line()) from None

    return call


def taking_class(kind: type[T]) -> type[T]:
    """The same class, whose objects are made by such a function: for one that a decorator has written."""
    kind.__init__ = taking(kind.__init__)
    return kind


def _why(called: Callable[..., object], error: TypeError, of: object, named: Mapping[str, object]) -> str:
    owner, own = type(of), called.__name__ == "__init__"
    why = str(error).replace(f"{called.__qualname__}()", f"{owner.__name__}()") if own else str(error)
    told = f"{why}; it takes {_parameters(called)}"
    if not own:
        elsewhere = sorted(named.keys() & inspect.signature(owner.__init__).parameters.keys())
        told += "".join(f"; `{name}` is what {owner.__name__}({name}=…) takes" for name in elsewhere)
    return told


def _parameters(called: Callable[..., object]) -> str:
    """What can be given, as it is written; what has a default need not be."""
    _, *parameters = inspect.signature(called).parameters.values()
    own = [one for one in parameters if one.name != "dfm_node_id"]
    return (
        ", ".join(one.name if one.default is one.empty else f"{one.name}={one.default!r}" for one in own) or "nothing"
    )
