"""What is said where something of a pipeline is called with other arguments than it takes?"""

import functools
import inspect
from collections.abc import Callable
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
            why = str(error).replace(".__init__()", "()")
            raise ArgumentPipelineError(f"{why}; it takes {_parameters(called)}", user_line()) from None

    return call


def _parameters(called: Callable[..., object]) -> str:
    """What can be given, as it is written; what has a default need not be."""
    _, *parameters = inspect.signature(called).parameters.values()
    own = [one for one in parameters if one.name != "dfm_node_id"]
    return ", ".join(one.name if one.default is one.empty else f"{one.name}={one.default!r}" for one in own)
