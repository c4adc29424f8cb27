"""What can an advisor answer, and which values does an answer allow?"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast, overload

_SHOWN = 12
"""Of longer lists, only so many values are shown to people."""
_LONG = 80
"""Longer values are shown cut."""


@dataclass(frozen=True)
class AdvisedLiteral:
    """Exactly this value."""

    value: Any
    break_on_advice: bool = False
    """Whether to ask for nothing after it: what comes later is called partial."""


@dataclass(frozen=True)
class _Choice(Sequence[Any]):
    """Reads as the list of its values."""

    values: list[Any]
    """Plain values, or answers themselves."""
    break_on_advice: bool = False
    """Whether to ask for nothing after it: what comes later is called partial."""
    split_on_advice: bool = False
    """Whether each value makes a branch, so that later parameters are asked once for each."""

    def __post_init__(self) -> None:
        if isinstance(self.values, str | bytes):
            raise TypeError(f"{type(self).__name__} takes a list of values, not {self.values!r}")
        object.__setattr__(self, "values", list(self.values))
        if any(isinstance(one, Okay) for one in self.values):
            raise TypeError(
                f"{type(self).__name__}: Okay() answers for a given value; it is not one of the possible values"
            )
        if not self.split_on_advice and any(map(_ends_by_itself, self.values)):
            raise TypeError(
                f"{type(self).__name__}: an AdvisedError among the values, or an answer that breaks or splits, needs "
                "a branch of its own; say split_on_advice=True"
            )

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> Any: ...

    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...

    def __getitem__(self, index: int | slice) -> Any:
        return [_plain(one) for one in self.values[index]] if isinstance(index, slice) else _plain(self.values[index])


class AdvisedOneOf(_Choice):
    """One of these values."""


class AdvisedSubsetOf(_Choice):
    """Any of these values, together as a list."""


@dataclass(frozen=True)
class AdvisedDateRange(Mapping[str, Any]):
    """A date or a time from `start` to `end`, both included; `None` for no limit. Texts are read as ISO 8601.

    Reads as a dictionary of both, `startdate` and `enddate`.
    """

    start: datetime.date | str | None
    end: datetime.date | str | None
    break_on_advice: bool = False
    """Whether to ask for nothing after it: what comes later is called partial."""

    def __post_init__(self) -> None:
        _as_time(self.start, last=False)
        _as_time(self.end, last=True)

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[str]:
        return iter(("startdate", "enddate"))

    def __getitem__(self, key: str) -> datetime.date | str | None:
        return {"startdate": self.start, "enddate": self.end}[key]


@dataclass(frozen=True)
class AdvisedDict(Mapping[str, Any]):
    """A dictionary with these keys, each with this value or one that this answer allows. Reads as that."""

    dictionary: dict[str, Any]
    allow_extras: bool = False
    """Whether it may have other keys too."""
    break_on_advice: bool = False
    """Whether to ask for nothing after it: what comes later is called partial."""

    def __len__(self) -> int:
        return len(self.dictionary)

    def __iter__(self) -> Iterator[str]:
        return iter(self.dictionary)

    def __getitem__(self, key: str) -> Any:
        return _plain(self.dictionary[key])


@dataclass(frozen=True, init=False)
class AdvisedError:
    """This branch leads nowhere."""

    message: str
    """Why."""

    def __init__(self, message: str = "", *, msg: str = "") -> None:
        """`msg` is another word for `message`."""
        object.__setattr__(self, "message", message or msg)

    @property
    def msg(self) -> str:
        """Why."""
        return self.message


@dataclass(frozen=True)
class Okay:
    """The given value is fine."""


Answer: TypeAlias = (
    AdvisedLiteral | AdvisedOneOf | AdvisedSubsetOf | AdvisedDateRange | AdvisedDict | AdvisedError | Okay
)


def _plain(value: Any) -> Any:
    """What stands in an answer's place for those who read the one around it: all but a literal read as data already."""
    return _plain(value.value) if isinstance(value, AdvisedLiteral) else value


def _ends_by_itself(value: Any) -> bool:
    return isinstance(value, AdvisedError) or (
        isinstance(value, Answer)
        and (getattr(value, "break_on_advice", False) or getattr(value, "split_on_advice", False))
    )


def fits(answer: Any, value: Any) -> bool:
    """Whether an answer, or a plain value in its place, allows a value."""
    match answer:
        case AdvisedLiteral():
            return fits(answer.value, value)
        case AdvisedOneOf():
            return any(fits(one, value) for one in answer.values)
        case AdvisedSubsetOf():
            several = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
            return several and all(any(fits(one, item) for one in answer.values) for item in cast(Iterable[Any], value))
        case AdvisedDateRange():
            return _is_between(answer, value)
        case AdvisedDict():
            given = value.model_dump() if hasattr(value, "model_dump") else value
            if not isinstance(given, Mapping):
                return False
            entries = cast(Mapping[Any, Any], given)
            wanted = answer.dictionary
            return (answer.allow_extras or wanted.keys() >= entries.keys()) and all(
                key in entries and fits(one, entries[key]) for key, one in wanted.items()
            )
        case AdvisedError():
            return False
        case Okay():
            return True
        case _:
            return same(answer, value)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, as far as they can tell."""
    try:
        return one is other or bool(one == other)
    except Exception:
        return False


def named(answer: Any) -> Iterator[Any]:
    """The values that an answer names one by one; a date range and a dictionary stand for themselves."""
    match answer:
        case AdvisedLiteral():
            yield answer.value
        case AdvisedOneOf() | AdvisedSubsetOf():
            for one in answer.values:
                yield from named(one)
        case AdvisedError():
            pass
        case _:
            yield answer


def answer_text(answer: Any) -> str:
    """An answer, or a plain value in its place, for people."""
    match answer:
        case AdvisedLiteral():
            return answer_text(answer.value)
        case AdvisedOneOf() | AdvisedSubsetOf():
            return (
                f"{'one' if isinstance(answer, AdvisedOneOf) else 'any'} of {listed(map(answer_text, answer.values))}"
            )
        case AdvisedDateRange():
            start = "" if answer.start is None else f"from {answer.start} "
            return f"{start}until {answer.end}" if answer.end is not None else start.rstrip() or "any date"
        case AdvisedDict():
            entries = [f"{key!r}: {answer_text(one)}" for key, one in answer.dictionary.items()]
            return f"{{{'; '.join([*entries, *(['…'] if answer.allow_extras else [])])}}}"
        case AdvisedError():
            return f"nothing: {answer.message}"
        case Okay():
            return "any value"
        case _:
            text = repr(answer)
            return text if len(text) <= _LONG else f"{text[:_LONG]}…"


def listed(texts: Iterable[str]) -> str:
    """Texts as one, the first of them if they are many."""
    every = list(texts)
    if not every:
        return "nothing"
    return ", ".join(every[:_SHOWN]) + (f", … ({len(every)} in all)" if len(every) > _SHOWN else "")


def _is_between(answer: AdvisedDateRange, value: Any) -> bool:
    try:
        start, end = _as_time(answer.start, last=False), _as_time(answer.end, last=True)
        first, last = _as_time(value, last=False), _as_time(value, last=True)
    except (TypeError, ValueError):
        return False
    if first is None or last is None:
        return False
    return (start is None or start <= first) and (end is None or last <= end)


def _as_time(moment: Any, last: bool) -> datetime.datetime | None:
    """A moment that compares with any other: a date's first or last one; without a zone, in UTC."""
    if moment is None:
        return None
    if isinstance(moment, str):
        moment = datetime.date.fromisoformat(moment) if len(moment) <= 10 else datetime.datetime.fromisoformat(moment)
    if not isinstance(moment, datetime.date):
        raise TypeError(f"a date range takes dates and times, not {moment!r}")
    if not isinstance(moment, datetime.datetime):
        moment = datetime.datetime.combine(moment, datetime.time.max if last else datetime.time.min)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
