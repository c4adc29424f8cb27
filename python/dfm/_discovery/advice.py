"""What does an application see of the advisors' answers: which values lead where?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from dfm._discovery.answers import (
    AdvisedDateRange,
    AdvisedDict,
    AdvisedLiteral,
    AdvisedOneOf,
    AdvisedSubsetOf,
    Answer,
    answer_text,
    fits,
    listed,
    named,
    same,
)
from dfm.errors import AdviceError, PartialError

DISCOVERY_PLACE = "_dfm_discovery_"
"""Where a pipeline in discovery mode delivers; also the name of the call that asks a site."""
PATIENCE = 30.0
"""Seconds that a site has to answer for one operation, unless the operation has a `timeout`."""


@dataclass(frozen=True)
class ErrorFieldAdvice:
    """The way ends here: no value helps."""

    msg: str
    """Why."""


@dataclass(frozen=True)
class PartialFieldAdvice:
    """The way ends here, although there is more to give: nobody said which values are possible."""

    msg: str = ""
    """Why, if there is more to say than that the advisor asked to stop."""


class _FieldAdvice:
    """What both kinds of a tree's nodes can do."""

    field: str
    """The operation's parameter that it is about."""

    def ways(self) -> list[tuple[Any, Edge]]:
        """Which values lead where; a value may be an answer, which stands for many."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        """The values that lead on to an end without an error, one by one.

        A date range and a dictionary are given as the answers that they are, for they stand for more values than
        could be counted.
        """
        for value, edge in self.ways():
            if _leads_on(edge):
                yield from named(value)

    def has_good_options(self) -> bool:
        """Whether a value leads on to an end without an error."""
        return any(_leads_on(edge) for _, edge in self.ways())

    def select(self, value: Any) -> FieldAdvice | None:
        """The advice for the next parameter, once this one has a value; `None` when there is none left.

        Raises:
            PartialError: the way with this value ends partially.
            AdviceError: the value is not possible.
        """
        found = [edge for way, edge in self.ways() if _matches(way, value)]
        if not found:
            may = listed(answer_text(way) for way, edge in self.ways() if _leads_on(edge))
            raise AdviceError(f"'{self.field}' cannot be {answer_text(value)}; it can be: {may}")
        match next((edge for edge in found if _leads_on(edge)), found[0]):
            case ErrorFieldAdvice() as edge:
                raise AdviceError(f"'{self.field}' cannot be {answer_text(value)}: {edge.msg}")
            case PartialFieldAdvice() as edge:
                why = edge.msg or "its advisor asked to stop here"
                raise PartialError(f"what comes after '{self.field}' = {answer_text(value)} is not known: {why}")
            case edge:
                return edge

    def collect_error_messages(self) -> dict[str, list[str]]:
        """Parameter → the messages of all errors that stand at it, each once."""
        found: dict[str, list[str]] = {}
        for _, edge in self.ways():
            if isinstance(edge, ErrorFieldAdvice):
                more = {self.field: [edge.msg]}
            else:
                more = edge.collect_error_messages() if isinstance(edge, _FieldAdvice) else {}
            for name, messages in more.items():
                kept = found.setdefault(name, [])
                kept.extend(message for message in messages if message not in kept)
        return found

    def __str__(self) -> str:
        return "\n".join(advice_lines(self))  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class SingleFieldAdvice(_FieldAdvice):
    """All values of a parameter lead to the same edge."""

    field: str
    value: Any
    """The value itself, or the answer that says which values there are."""
    edge: Edge
    """What comes next."""

    def __post_init__(self) -> None:
        _check_edge(self.edge)

    def ways(self) -> list[tuple[Any, Edge]]:
        return [(self.value, self.edge)]

    __iter__ = _FieldAdvice.__iter__
    __str__ = _FieldAdvice.__str__


@dataclass(frozen=True)
class BranchFieldAdvice(_FieldAdvice):
    """A parameter's values lead to different edges."""

    field: str
    branches: list[tuple[Any, Edge]]
    """Each value, and what comes next with it."""

    def __post_init__(self) -> None:
        for _, edge in self.branches:
            _check_edge(edge)

    def ways(self) -> list[tuple[Any, Edge]]:
        return self.branches

    __iter__ = _FieldAdvice.__iter__
    __str__ = _FieldAdvice.__str__


FieldAdvice: TypeAlias = SingleFieldAdvice | BranchFieldAdvice
Edge: TypeAlias = FieldAdvice | ErrorFieldAdvice | PartialFieldAdvice | None


@dataclass(frozen=True)
class SiteAdvice:
    """What one site answered for one operation; arrives at the place `_dfm_discovery_`."""

    operation: str
    site: str
    provider: str | None
    """The site's provider that was asked; `None` for the site itself."""
    advice: Edge
    """The tree of its first parameter; an error where nobody could be asked; `None` where there is nothing to say."""
    node: int | str | None = field(default=None, compare=False)
    """The pipeline's node that asked, once it has arrived."""

    def __post_init__(self) -> None:
        _check_edge(self.advice)

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> tuple[int | str | None, Edge]:
        """As a list of one pair, the node and its advice, for programs that get lists of these."""
        return [(self.node, self.advice)][index]

    def __str__(self) -> str:
        by = f" by {self.provider}" if self.provider else ""
        return "\n".join([f"at {self.site}{by}", *(f"  {line}" for line in advice_lines(self.advice))])


def _check_edge(edge: object) -> None:
    """What another site sent may be anything."""
    if edge is not None and not isinstance(edge, _FieldAdvice | ErrorFieldAdvice | PartialFieldAdvice):
        raise TypeError(f"a value of type {type(edge).__name__} is no advice")


def _leads_on(edge: Edge) -> bool:
    """Whether there is a way to an end without an error."""
    if isinstance(edge, _FieldAdvice):
        return any(_leads_on(after) and next(named(value), _NOTHING) is not _NOTHING for value, after in edge.ways())
    return not isinstance(edge, ErrorFieldAdvice)


_NOTHING = object()


def _matches(way: Any, value: Any) -> bool:
    return same(way, value) or fits(way, value) or any(same(one, value) for one in named(way))


def advice_lines(edge: Edge) -> list[str]:
    """A tree for people. Branches that go on in the same way are shown together."""
    match edge:
        case None:
            return []
        case ErrorFieldAdvice():
            return [f"error: {line}" if at == 0 else f"  {line}" for at, line in enumerate(edge.msg.splitlines())]
        case PartialFieldAdvice():
            return [f"not known from here on{': ' if edge.msg else ''}{edge.msg}"]
        case SingleFieldAdvice():
            # An advisor that failed named no value.
            nothing = edge.value is None and isinstance(edge.edge, ErrorFieldAdvice)
            return [f"{edge.field}:{'' if nothing else ' ' + answer_text(edge.value)}", *_after(edge.edge)]
        case BranchFieldAdvice():
            alike: dict[tuple[str, ...], list[str]] = {}
            for value, after in edge.branches:
                alike.setdefault(tuple(advice_lines(after)), []).append(answer_text(value))
            lines = [f"{edge.field}:" if alike else f"{edge.field}: nothing"]
            for after, values in alike.items():
                lines += [f"  {listed(values)}", *(f"    {line}" for line in after)]
            return lines


def _after(edge: Edge) -> list[str]:
    """The lines after a parameter's: the next one's beside it, the reason of its end below it."""
    return advice_lines(edge) if isinstance(edge, _FieldAdvice) else [f"  {line}" for line in advice_lines(edge)]


def advice_data(edge: Edge) -> Any:
    """A tree as plain dictionaries and lists, around values that are whatever they are."""
    match edge:
        case None:
            return None
        case ErrorFieldAdvice():
            return {"error": edge.msg}
        case PartialFieldAdvice():
            return {"partial": edge.msg}
        case SingleFieldAdvice():
            return {"field": edge.field, **_way_data(edge.value, edge.edge)}
        case BranchFieldAdvice():
            return {"field": edge.field, "branches": [_way_data(value, after) for value, after in edge.branches]}


def _way_data(value: Any, after: Edge) -> dict[str, Any]:
    named = _value_data(value)
    return {**(named if isinstance(value, Answer) else {"value": named}), "next": advice_data(after)}


def _value_data(value: Any) -> Any:
    match value:
        case AdvisedLiteral():
            return _value_data(value.value)
        case AdvisedOneOf():
            return {"one_of": [_value_data(one) for one in value.values]}
        case AdvisedSubsetOf():
            return {"subset_of": [_value_data(one) for one in value.values]}
        case AdvisedDateRange():
            return {"date_range": [value.start, value.end]}
        case AdvisedDict():
            entries = {key: _value_data(one) for key, one in value.dictionary.items()}
            return {"dictionary": entries, "allow_extras": value.allow_extras}
        case _:
            return value
