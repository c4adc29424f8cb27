"""How does an adapter say which values its arguments may take?"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dfm._discovery.advisors import mark
from dfm._discovery.answers import (
    AdvisedDateRange,
    AdvisedDict,
    AdvisedError,
    AdvisedLiteral,
    AdvisedOneOf,
    AdvisedSubsetOf,
    Answer,
    Okay,
)
from dfm._discovery.asking import Context
from dfm.api import Advise

__all__ = [
    "Advise",
    "AdvisedDateRange",
    "AdvisedDict",
    "AdvisedError",
    "AdvisedLiteral",
    "AdvisedOneOf",
    "AdvisedSubsetOf",
    "Answer",
    "Context",
    "Okay",
    "field_advisor",
]

Method = TypeVar("Method", bound=Callable[[Any, Any, Context], Coroutine[Any, Any, Answer]])


def field_advisor(name: str, order: int = -1) -> Callable[[Method], Method]:
    """Marks a method `async (self, value, context)` as the advisor of one of its adapter's arguments.

    It is called with the value that the pipeline gives, or `Advise()` where the pipeline asks, and returns one of the
    answers. A given value is in order if the answer is `Okay()` or allows it, so an advisor need not look at `value`.
    `context.get(name)` has the arguments that were handled before.

    Args:
        name: the argument of `body`, as the adapter calls it; an application sees the operation's name for it.
        order: when it is called: 0 and above come first, ascending; then those below, `-1` at the very last.
    """
    return lambda method: mark(method, name, order)
