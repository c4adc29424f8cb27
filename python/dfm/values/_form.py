"""What do all encodings ask of what they are given?

A decoder looks at its state before it makes anything of it: what came may be from somebody who means no good.
"""

import collections
from collections.abc import Iterable
from typing import Any, TypeVar, cast

_MOST_ALIKE = 64
"""So many members of a set or a dictionary may have the same hash: looking one up tries all of them."""

E = TypeVar("E", bound=Exception)


class Unsent(Exception):
    """Why a value has no exact encoding, and what its owner can do. Nothing of the value is in either text."""

    def __init__(self, why: str, remedy: str, cause: Exception | None = None) -> None:
        """The `remedy` says what to do, as an order. The text of a `cause` is added where all may be told."""
        super().__init__(why)
        self.remedy = remedy
        self.cause = cause


def harmless(error: E) -> E:
    """The error of dfm's own, marked as one whose text has nothing of a value but its type and size."""
    error.__dict__["dfm_public"] = True
    return error


def malformed(kind: type[E] = ValueError, why: str = "an object's encoding is not of its form") -> E:
    """The error for what came and cannot be taken."""
    return harmless(kind(why))


def as_list(state: Any, length: int | None = None) -> list[Any]:
    """The state, which is a list of this length."""
    if type(state) is not list or (length is not None and len(cast("list[Any]", state)) != length):
        raise malformed()
    return cast("list[Any]", state)


def as_dict(state: Any) -> dict[Any, Any]:
    """The state, which is a dictionary."""
    if type(state) is not dict:
        raise malformed()
    return cast("dict[Any, Any]", state)


def text(state: Any) -> str:
    """The state, which is a text."""
    if type(state) is not str:
        raise malformed()
    return state


def numbers(state: Any, length: int | None = None, kind: type[Any] = int) -> list[Any]:
    """So many numbers, and nothing that a constructor would take for something else."""
    found = as_list(state, length)
    if any(type(number) is not kind for number in found):
        raise malformed()
    return found


def one_of(state: Any, *allowed: Any) -> Any:
    """The state, which is one of these, and of its type."""
    if not any(type(state) is type(one) and state == one for one in allowed):
        raise malformed()
    return state


def fair(keys: Iterable[Any]) -> None:
    """Judges what becomes the members of a set, or the keys of a dictionary, before that.

    Raises:
        ValueError: so many of them have the same hash that to look one up would take as long as to look at all.
        TypeError: one of them has no hash.
    """
    alike = collections.Counter(map(hash, keys)).most_common(1)
    if alike and alike[0][1] > _MOST_ALIKE:
        raise ValueError("a set or a dictionary came whose members were chosen to be slow to look up")
