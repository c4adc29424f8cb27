"""What does a pipeline decide by?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Never, cast

from dfm.api._lines import user_line
from dfm.api._references import Node, PlaceParam, Unmade
from dfm.api._taking import taking
from dfm.errors import PipelineError, ValuePipelineError

_DEEPEST = 30
"""Conditions may lie so deep in each other; those that `&`, or `|`, strings together lie side by side."""


class Condition(Unmade):
    """Something that holds or does not, once the values are there."""

    __slots__ = ()

    dfm_depth: int = 0
    """How many conditions lie in each other in it."""

    def __and__(self, other: "Condition | Node") -> "And":
        return And(self, other)

    def __or__(self, other: "Condition | Node") -> "Or":
        return Or(self, other)

    def __invert__(self) -> "Not":
        return Not(self)

    def __bool__(self) -> Never:
        raise PipelineError(
            "a condition is decided when the pipeline runs, not while it is being written: give it to If(cond=…), "
            "and use &, | and ~ in the place of and, or and not",
            user_line(),
        )

    def dfm_operands(self) -> Iterator[object]:
        """The values it looks at, in order."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, slots=True, init=False)
class Comparison(Condition):
    """How two values compare, each a node's result, a parameter or a literal."""

    left: Any
    """The one."""
    right: Any
    """The other."""
    dfm_compare: ClassVar[str]
    dfm_symbol: ClassVar[str]

    @taking
    def __init__(self, left: Any, right: Any, operator: str | None = None) -> None:
        """`operator` is how the comparison is written, which its class says already."""
        if operator not in (None, self.dfm_symbol):
            name = type(self).__name__
            message = f"{name} compares with operator='{self.dfm_symbol}', not {operator!r}"
            raise ValuePipelineError(message, user_line())
        object.__setattr__(self, "left", left)
        object.__setattr__(self, "right", right)

    def dfm_operands(self) -> Iterator[object]:
        yield self.left
        yield self.right


class Equal(Comparison):
    """`left == right`"""

    __slots__ = ()
    dfm_compare = "equal"
    dfm_symbol = "=="


class NotEqual(Comparison):
    """`left != right`"""

    __slots__ = ()
    dfm_compare = "not-equal"
    dfm_symbol = "!="


class GreaterThan(Comparison):
    """`left > right`"""

    __slots__ = ()
    dfm_compare = "greater"
    dfm_symbol = ">"


class GreaterThanOrEqual(Comparison):
    """`left >= right`"""

    __slots__ = ()
    dfm_compare = "greater-or-equal"
    dfm_symbol = ">="


class LessThan(Comparison):
    """`left < right`"""

    __slots__ = ()
    dfm_compare = "less"
    dfm_symbol = "<"


class LessThanOrEqual(Comparison):
    """`left <= right`"""

    __slots__ = ()
    dfm_compare = "less-or-equal"
    dfm_symbol = "<="


COMPARISONS: dict[str, type[Comparison]] = {
    kind.dfm_compare: kind for kind in (Equal, NotEqual, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual)
}


class Several(Condition):
    """What `And` and `Or` have in common."""

    __slots__ = ("conditions", "dfm_depth")

    conditions: tuple[Condition, ...]
    """What it is made of, in the order in which it is decided."""

    @taking
    def __init__(
        self,
        *conditions: Condition | Node | Sequence[Condition | Node],
        exp: Condition | Node | Sequence[Condition | Node] = (),
    ) -> None:
        """The conditions, one by one or as a list, by position or as `exp`."""
        name = type(self).__name__
        given: list[object] = []
        for one in (*conditions, exp):
            given.extend(cast(Sequence[object], one) if isinstance(one, list | tuple) else [one])
        if not given:
            raise ValuePipelineError(f"{name} takes one condition or more", user_line())
        parts = [as_condition(one, name) for one in given]
        self.conditions = tuple(
            one for part in parts for one in (part.conditions if isinstance(part, type(self)) else (part,))
        )
        self.dfm_depth = _depth(self.conditions)

    def dfm_operands(self) -> Iterator[object]:
        for one in self.conditions:
            yield from one.dfm_operands()


class And(Several):
    """All of them hold; those after the first that does not are not looked at."""

    __slots__ = ()


class Or(Several):
    """One of them holds; those after the first that does are not looked at."""

    __slots__ = ()


class Not(Condition):
    """It does not hold."""

    __slots__ = ("condition", "dfm_depth")

    condition: Condition
    """What does not."""

    @taking
    def __init__(self, condition: Condition | Node | None = None, *, exp: Condition | Node | None = None) -> None:
        """The condition, by position or as `exp`."""
        if condition is not None and exp is not None:
            raise ValuePipelineError("Not takes one condition", user_line())
        self.condition = as_condition(exp if condition is None else condition, "Not")
        self.dfm_depth = _depth([self.condition])

    def dfm_operands(self) -> Iterator[object]:
        yield from self.condition.dfm_operands()


class Truth(Condition):
    """A value counts as true, as Python sees it; a node in the place of a condition means this."""

    __slots__ = ("value",)

    value: Node | PlaceParam
    """The value."""

    def __init__(self, value: Node | PlaceParam) -> None:
        self.value = value

    def dfm_operands(self) -> Iterator[object]:
        yield self.value


def _depth(conditions: Sequence[Condition]) -> int:
    """How deep conditions lie in each other that lie in one more.

    Raises:
        PipelineError: they lie too deep.
    """
    depth = 1 + max(one.dfm_depth for one in conditions)
    if depth > _DEEPEST:
        raise PipelineError(f"conditions lie more than {_DEEPEST} deep in each other", user_line())
    return depth


def as_condition(value: object, title: str) -> Condition:
    """A condition, or a value that counts as true or not.

    Raises:
        ValuePipelineError: it is neither.
    """
    if isinstance(value, Condition):
        return value
    if isinstance(value, Node | PlaceParam):
        return Truth(cast("Node | PlaceParam", value))
    raise ValuePipelineError(
        f"{title} takes conditions, such as node > 3, and nodes, not {value!r} ({type(value).__name__})", user_line()
    )
