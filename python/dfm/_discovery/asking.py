"""How does a site ask an adapter's advisors, and what tree do their answers make?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from dfm._discovery.advice import (
    PATIENCE,
    BranchFieldAdvice,
    Edge,
    ErrorFieldAdvice,
    PartialFieldAdvice,
    SingleFieldAdvice,
)
from dfm._discovery.advisors import Advisor
from dfm._discovery.answers import (
    AdvisedDateRange,
    AdvisedDict,
    AdvisedError,
    AdvisedLiteral,
    AdvisedOneOf,
    AdvisedSubsetOf,
    Answer,
    Okay,
    answer_text,
    fits,
)
from dfm.api import Advise
from dfm.exec._bound import Bound
from dfm.exec._telling import FAILURES, BindingError, Telling, user_traceback

Ending: TypeAlias = ErrorFieldAdvice | PartialFieldAdvice | None
"""How a way ends with a value; `None` if it goes on."""


class Context:
    """What an advisor knows of the other arguments."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._known = known

    def get(self, field: str, default: Any = None) -> Any:
        """The value of an argument that was handled before, or that needs no advisor.

        Where an advisor named several values without a branch for each, it is that answer; `default` where the
        argument is handled later, not given, or not known before the pipeline runs.
        """
        return self._known.get(field, default)


async def advise(
    what: str,
    bound: Bound,
    given: dict[str, Any],
    asked: Sequence[str],
    unknown: Sequence[str],
    seconds: float | None,
    telling: Telling,
) -> Edge:
    """The tree for an operation.

    Args:
        what: the operation and its site, for messages.
        bound: its adapter.
        given: the parameters that have a value.
        asked: those that have `Advise()`.
        unknown: those whose value only a run of the pipeline gives.
        seconds: how long it may take; `None` for `PATIENCE`.
        telling: says what leaves the site of an advisor that fails.
    """
    try:
        if refused := [name for name in asked if name not in bound.discoverable]:
            raise BindingError(f"{what} does not let its parameter '{refused[0]}' be asked for")
        arguments = bound.arguments(dict(given), partly=True)
    except Exception as error:
        return ErrorFieldAdvice(telling.text(error, what))
    heard = [
        one for one in bound.advisors if one.parameter in asked or one.parameter in given.keys() & bound.discoverable
    ]
    later = {one.argument for one in heard} | bound.filled_by(unknown)
    known = {name: value for name, value in arguments.items() if name not in later}
    silent = sorted(set(asked) - {one.parameter for one in heard})
    end = PartialFieldAdvice(f"{what} has no advisor for '{silent[0]}'") if silent else None
    asking = _Asking(what, given, arguments, end, PATIENCE if seconds is None else seconds, telling)
    return await asking.after(heard, known)


class _Asking:
    """One operation's advisors while they are asked, one after the other."""

    def __init__(
        self,
        what: str,
        given: dict[str, Any],
        arguments: dict[str, Any],
        end: Ending,
        seconds: float,
        telling: Telling,
    ) -> None:
        self._what = what
        self._given = given
        self._arguments = arguments
        self._end = end
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._telling = telling

    async def after(self, heard: Sequence[Advisor], known: Mapping[str, Any]) -> Edge:
        """The tree of the advisors that are left, with what is known of the arguments."""
        if not heard:
            return self._end
        advisor, *rest = heard
        field = advisor.parameter
        answer = await self._ask(advisor, known)
        if field in self._given:
            value = self._arguments[advisor.argument]
            ending = _verdict(answer, value)
            return SingleFieldAdvice(field, self._given[field], await self._follow(ending, rest, known, advisor, value))
        ways = [
            (value, await self._follow(ending, rest, known, advisor, value)) for value, ending in _ways(field, answer)
        ]
        if _splits(answer):
            return BranchFieldAdvice(field, ways)
        return SingleFieldAdvice(field, *ways[0])

    async def _follow(
        self, ending: Ending, rest: Sequence[Advisor], known: Mapping[str, Any], advisor: Advisor, value: Any
    ) -> Edge:
        return ending if ending is not None else await self.after(rest, {**known, advisor.argument: value})

    async def _ask(self, advisor: Advisor, known: Mapping[str, Any]) -> Answer:
        """One advisor's answer; what is none of them, or none in time, is an error."""
        field = advisor.parameter
        value = self._arguments[advisor.argument] if field in self._given else Advise()
        late = AdvisedError(f"{self._what} has not answered within {self._seconds:g} s")
        limit = asyncio.timeout_at(self._deadline)
        if asyncio.get_running_loop().time() >= self._deadline:
            return late
        try:
            async with limit:
                answer = await advisor.ask(value, Context(known))
        except FAILURES as error:
            if limit.expired():
                self._telling.logger.error(
                    "the advisor of '%s' of %s takes longer than %g s", field, self._what, self._seconds
                )
                return late
            told = self._telling.text(error, f"the advisor of '{field}' of {self._what}")
            if self._telling.tells_data():
                # An answer has no room for a traceback.
                trace = self._telling.clean(user_traceback(error))
                self._telling.logger.error("the advisor of '%s' of %s failed:\n%s", field, self._what, trace)
            return AdvisedError(f"its advisor failed with {told}")
        if isinstance(answer, AdvisedError):
            return AdvisedError(self._telling.clean(answer.message))
        if isinstance(answer, Answer):
            return answer
        told = answer_text(answer) if self._telling.tells_data() else f"something of type {type(answer).__name__}"
        return AdvisedError(f"its advisor answered {told}, which is none of dfm.exec.discovery's answers")


def _splits(answer: Answer) -> bool:
    return isinstance(answer, AdvisedOneOf | AdvisedSubsetOf) and answer.split_on_advice


def _breaks(answer: Any) -> Ending:
    kinds = AdvisedLiteral | AdvisedOneOf | AdvisedSubsetOf | AdvisedDateRange | AdvisedDict
    return PartialFieldAdvice() if isinstance(answer, kinds) and answer.break_on_advice else None


def _ways(field: str, answer: Any) -> list[tuple[Any, Ending]]:
    """The values that an answer makes branches of, and how the way ends with each."""
    match answer:
        case AdvisedError():
            return [(None, ErrorFieldAdvice(answer.message))]
        case Okay():
            return [(None, ErrorFieldAdvice(f"the advisor of '{field}' answered Okay(), but no value was given"))]
        case AdvisedLiteral():
            return [(answer.value, _breaks(answer))]
        case AdvisedOneOf(split_on_advice=True) | AdvisedSubsetOf(split_on_advice=True):
            ways = [way for one in answer.values for way in _ways(field, one)]
            return [(value, ending or _breaks(answer)) for value, ending in ways]
        case _:
            return [(answer, _breaks(answer))]


def _verdict(answer: Answer, value: Any) -> Ending:
    """How the way ends with a given value."""
    if isinstance(answer, AdvisedError):
        return ErrorFieldAdvice(answer.message)
    if isinstance(answer, Okay):
        return None
    if isinstance(answer, AdvisedOneOf) and answer.split_on_advice:
        for possible, ending in _ways("", answer):
            if not isinstance(ending, ErrorFieldAdvice) and fits(possible, value):
                return ending
    elif fits(answer, value):
        return _breaks(answer)
    return ErrorFieldAdvice(f"{answer_text(value)} is not possible; it can be {answer_text(answer)}")
