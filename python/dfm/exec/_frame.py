"""Which run of a pipeline's body does a token belong to?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self


class Frame:
    """The address of one run: `[n]` for the n-th parameter set, one more number for each nested level.

    The stop frame, which ends a job's input, has no numbers.
    """

    __slots__ = ("_levels",)

    def __init__(self, frame: Iterable[int] | Literal["stop"] = ()) -> None:
        self._levels = () if frame == "stop" else tuple(frame)

    @classmethod
    def start_frame(cls, num: int) -> Self:
        """The frame of the parameter set with this index, counted from 0."""
        return cls([num])

    @classmethod
    def stop_frame(cls) -> Self:
        """The frame that ends a job's input."""
        return cls()

    @property
    def frame(self) -> list[int]:
        """The numbers, outermost first."""
        return list(self._levels)

    def is_stop_frame(self) -> bool:
        """Whether it ends a job's input."""
        return not self._levels

    def input_paramset_index(self) -> int:
        """The index of its parameter set, counted from 0.

        Raises:
            ValueError: it is the stop frame, which has none.
        """
        if not self._levels:
            raise ValueError("the stop frame belongs to no parameter set")
        return self._levels[0]

    def parent(self) -> Frame | None:
        """The frame this one is nested in; None for a parameter set's own and for the stop frame."""
        return Frame(self._levels[:-1]) if len(self._levels) > 1 else None

    def with_pushed_scope(self) -> Self:
        """The first frame that is nested in this one.

        Raises:
            ValueError: it is the stop frame; as the following ones.
        """
        return type(self)((*self._own(), 0))

    def with_popped_scope(self) -> Self:
        """The frame this one is nested in.

        Raises:
            ValueError: it is nested in none.
        """
        if len(self._own()) == 1:
            raise ValueError(f"{self!r} is a parameter set's own frame, which is nested in none")
        return type(self)(self._levels[:-1])

    def with_loop_inc(self) -> Self:
        """The next frame at the same level."""
        *outer, last = self._own()
        return type(self)((*outer, last + 1))

    def _own(self) -> tuple[int, ...]:
        if not self._levels:
            raise ValueError("the stop frame has no levels")
        return self._levels

    def is_ancestor_of(self, other: Frame) -> bool:
        """Whether `other` is this frame, or nested in it at any depth."""
        mine = self._levels
        return bool(mine) and other._levels[: len(mine)] == mine

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self._levels == other._levels

    def __hash__(self) -> int:
        return hash(self._levels)

    def __lt__(self, other: Frame) -> bool:
        """The order of results; the stop frame comes after all others."""
        return bool(self._levels) and (not other._levels or self._levels < other._levels)

    def __repr__(self) -> str:
        return f"Frame({self.frame})"
