"""How do times and their zones travel?"""

import datetime
import re
from typing import Any, TypeVar

from dfm.values._form import Unsent, as_list, malformed, numbers, text

_ZONE = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}")
"""A zone's name is also a file's: it leads nowhere else."""

T = TypeVar("T", datetime.datetime, datetime.time)


def own_zone(value: datetime.tzinfo | None) -> datetime.tzinfo | None:
    """Python's own zone for the one that pydantic makes of a text's `Z` or `+01:00`; any other as it is."""
    if value is None or not type(value).__module__.startswith("pydantic_core"):
        return value
    offset = value.utcoffset(None)
    return value if offset is None else datetime.timezone(offset)


def of_zone(value: datetime.tzinfo | None) -> Any:
    """A zone as plain data.

    Raises:
        Unsent: it is of a kind that has no name which others know.
    """
    value = own_zone(value)
    if value is None:
        return None
    from zoneinfo import ZoneInfo  # which few values need, and no process to begin

    if type(value) is ZoneInfo and value.key:  # one that was read from a file has none
        return value.key
    if type(value) is datetime.timezone:
        offset, name = value.utcoffset(None), value.tzname(None)
        named = name != datetime.timezone(offset).tzname(None)
        return [offset.days, offset.seconds, offset.microseconds, name if named else None]
    kind: type[Any] = type(value)
    raise Unsent(
        f"a time zone of type {kind.__module__}.{kind.__qualname__} is not known elsewhere",
        "use zoneinfo.ZoneInfo or datetime.timezone",
    )


def zone(state: Any) -> datetime.tzinfo | None:
    """The zone that `of_zone` made plain."""
    if state is None:
        return None
    if type(state) is str:
        if not _ZONE.fullmatch(state):
            raise malformed(why="a time zone is a name such as Europe/Berlin")
        import zoneinfo

        try:
            return zoneinfo.ZoneInfo(state)
        except (zoneinfo.ZoneInfoNotFoundError, OSError):
            raise malformed(why=f"the time zone {state} is not known here; the package tzdata has it") from None
    *offset, name = as_list(state, 4)
    span = datetime.timedelta(*numbers(offset, 3))
    return datetime.timezone(span) if name is None else datetime.timezone(span, text(name))


def of_time(value: datetime.datetime | datetime.time) -> Any:
    """A time as plain data."""
    if value.tzinfo is None and not value.fold:
        return value.isoformat()
    return [value.replace(tzinfo=None, fold=0).isoformat(), of_zone(value.tzinfo), value.fold]


def time(state: Any, kind: type[T]) -> T:
    """The time that `of_time` made plain."""
    if type(state) is str:
        return kind.fromisoformat(state)
    when, where, fold = as_list(state, 3)
    if fold not in (0, 1):
        raise malformed()
    return kind.fromisoformat(text(when)).replace(tzinfo=zone(where), fold=fold)
