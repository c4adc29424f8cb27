"""What do sites do that do nothing?"""

import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy


class Same:
    """Returns what it gets."""

    def __init__(self, site: Any, provider: Any) -> None:
        pass

    async def body(self, value: Any) -> Any:
        return value


class Array:
    """Has an array, which it makes on the first call."""

    def __init__(self, site: Any, provider: Any) -> None:
        self._made = numpy.zeros(0)

    async def body(self, length: int) -> Any:
        if len(self._made) != length:
            self._made = numpy.arange(length, dtype=numpy.float64)
        return self._made


class Ends:
    """Looks at an array's ends."""

    def __init__(self, site: Any, provider: Any) -> None:
        pass

    async def body(self, array: Any) -> float:
        return float(array[0] + array[-1])


class Count:
    """Counts, one number at a time."""

    def __init__(self, site: Any, provider: Any) -> None:
        pass

    def body(self, limit: int) -> Iterator[int]:
        yield from range(limit)


class CountAsync:
    """Counts likewise."""

    def __init__(self, site: Any, provider: Any) -> None:
        pass

    async def body(self, limit: int) -> AsyncIterator[int]:
        for number in range(limit):
            yield number


class Modules:
    """Tells what this process has imported."""

    def __init__(self, site: Any, provider: Any) -> None:
        pass

    async def body(self, value: Any) -> list[str]:
        return list(sys.modules)
