"""What may the processes of a session tell each other beside packets?

Small objects of JSON, in packets without a receiver. Here is what shape they have; what one says is matched where it is
heeded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard, cast

from typing_extensions import Buffer

_LONGEST = 16 << 20
"""Bytes; what an application says about an execution takes most of them."""
_NUMBERS = 1 << 32
"""All numbers that are told are counts of something, below this."""


def tell(what: Mapping[str, Any]) -> bytes:
    """As bytes."""
    return json.dumps(what).encode()


def read(content: Buffer) -> dict[str, Any]:
    """What was told.

    Raises:
        ValueError: it is not that.
    """
    view = memoryview(content)
    if view.nbytes > _LONGEST:
        raise ValueError(f"what was told is longer than {_LONGEST} bytes")
    try:
        told = json.loads(bytes(view), parse_int=_number, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ValueError("what was told is no JSON that one process of a session tells another") from None
    if not isinstance(told, dict):
        raise ValueError("what was told is no object")
    return cast(dict[str, Any], told)


def positions(told: object) -> list[tuple[int, list[int], int]]:
    """How far an application is with each series: its transition, its frame, and how many tokens of it there were.

    Raises:
        ValueError: it is not that.
    """
    found: list[tuple[int, list[int], int]] = []
    for one in cast(list[Any], told) if isinstance(told, list) else [told]:
        parts = cast(list[Any], one) if isinstance(one, list) and len(cast(list[Any], one)) == 3 else [None, None, None]
        transition, frame, total = parts
        if not isinstance(transition, int) or not _is_frame(frame) or not isinstance(total, int):
            raise ValueError("what was told is no position in a series")
        found.append((transition, frame, total))
    return found


def _is_frame(told: object) -> TypeGuard[list[int]]:
    return isinstance(told, list) and all(isinstance(level, int) for level in cast(list[object], told))


def _number(digits: str) -> int:
    if len(digits) > 10 or not 0 <= (number := int(digits)) < _NUMBERS:
        raise ValueError
    return number


def _no_number(constant: str) -> float:
    raise ValueError
