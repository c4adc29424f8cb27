"""What can a pipeline give an operation's parameter, apart from a literal?"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Never, TypeAlias, cast, overload

from pydantic import BaseModel
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypeVar

from dfm.api._lines import user_line
from dfm.api._taking import taking_class
from dfm.errors import PipelineError, ValuePipelineError

if TYPE_CHECKING:
    from typing import Generic

    from dfm.api._conditions import Condition
    from dfm.api._operation import Statement
else:

    class Generic:
        """What a node becomes is for type checkers alone: as a class for each type it would cost each import."""

        __slots__ = ()

        def __class_getitem__(cls, result):
            return cls


NodeId: TypeAlias = int | str
Step: TypeAlias = tuple[str, int | str]
"""One step of a path: `("attribute", name)`, `("index", number)` or `("key", key)`."""
_NOT_THE_USERS = ("_", "dfm_", "model_")
"""How attributes begin that are Python's own, dfm's or pydantic's."""


class Instance:
    """Its instances stand for themselves in a pydantic field: nothing is converted into one."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        return handler(source) if issubclass(cls, BaseModel) else core_schema.is_instance_schema(cls)


class Unmade(Instance):
    """What stands for a value that is not there while the pipeline is being written."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        raise PipelineError(
            f"the value of {self!r} is not there while the pipeline is being written, so it cannot be put into a text; "
            "have an operation make the text, or yield the value and make the text of the result "
            "(to look at the node itself: {…!r})",
            user_line(),
        )


class Line(Unmade):
    """What a line of a pipeline makes: a value that others can use only where it is a `Node`, too."""

    __slots__ = ()


T_co = TypeVar("T_co", covariant=True, default=Any)


class Node(Unmade, Generic[T_co]):
    """The result of an operation, or a part of it: what an operation itself and a `NodeRef` have in common.

    A `Node[int]` becomes an integer when it runs; of a `Node` alone nothing is known.
    """

    __slots__ = ()

    def fieldref(
        self, sel: int | str | None = None, issubs: bool | None = None, *, selector: int | str | None = None
    ) -> "NodeRef":
        """The part `result[sel]` for a number or with `issubs`, otherwise `result.sel`; `selector` is `sel`."""
        node, path = self.dfm_target()
        if sel is None:
            sel = selector
        elif selector is not None:
            raise ValuePipelineError("fieldref takes sel or selector, which mean the same", user_line())
        if isinstance(sel, bool) or not isinstance(sel, int | str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ValuePipelineError(f"fieldref takes a name, a key or an index, not {sel!r}", user_line())
        if isinstance(sel, int):
            if issubs is False:
                message = f"fieldref({sel}, issubs=False) asks for an attribute, whose name has to be a string"
                raise ValuePipelineError(message, user_line())
            step: Step = ("index", sel)
        else:
            step = ("key" if issubs else "attribute", sel)
        node.dfm_check_part(path, step)
        return NodeRef(node, (*path, step))

    def __getitem__(self, key: int | str) -> "NodeRef":
        """The part `result[key]`."""
        return self.fieldref(key, issubs=True)

    def __iter__(self) -> Never:
        raise PipelineError(
            "a node has no elements while the pipeline is being written; a ForEach goes through them when it runs",
            user_line(),
        )

    def dfm_target(self) -> "tuple[Statement, tuple[Step, ...]]":
        """The statement that makes it, and the way into its result."""
        raise NotImplementedError

    if not TYPE_CHECKING:  # type checkers know the attributes that there are

        def __getattr__(self, name: str) -> Any:
            if name.startswith(_NOT_THE_USERS):
                inherited = getattr(super(), "__getattr__", None)
                if inherited is None:
                    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
                return inherited(name)
            made, path = self.dfm_target()
            made.dfm_check_part(path, ("attribute", name))
            raise made.dfm_no_attribute(path, name)

    def __eq__(self, other: object) -> "Condition":  # pyright: ignore
        return _conditions().Equal(self, other)

    def __ne__(self, other: object) -> "Condition":  # pyright: ignore
        return _conditions().NotEqual(self, other)

    def __lt__(self, other: object) -> "Condition":
        return _conditions().LessThan(self, other)

    def __le__(self, other: object) -> "Condition":
        return _conditions().LessThanOrEqual(self, other)

    def __gt__(self, other: object) -> "Condition":
        return _conditions().GreaterThan(self, other)

    def __ge__(self, other: object) -> "Condition":
        return _conditions().GreaterThanOrEqual(self, other)

    def __and__(self, other: "Condition | Node") -> "Condition":
        return _conditions().And(self, other)

    def __or__(self, other: "Condition | Node") -> "Condition":
        return _conditions().Or(self, other)

    def __invert__(self) -> "Condition":
        return _conditions().Not(self)

    def __hash__(self) -> int:
        return id(self)

    if not TYPE_CHECKING:  # type checkers know that there are no such operators

        def __bool__(self) -> Never:
            raise PipelineError(
                f"whether {self!r} counts as true is known when the pipeline runs, not while it is being written: give "
                "it to If(cond=…), and use &, | and ~ in the place of and, or and not",
                user_line(),
            )

        def _no_arithmetic(self, *_: object) -> Never:
            raise PipelineError(
                f"the value of {self!r} is not there while the pipeline is being written, so nothing can be calculated "
                "with it there; have an operation calculate it",
                user_line(),
            )

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __matmul__ = __rmatmul__ = _no_arithmetic
        __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _no_arithmetic
        __pow__ = __rpow__ = __neg__ = __pos__ = __abs__ = __round__ = __int__ = __float__ = _no_arithmetic


@dataclass(frozen=True, eq=False, slots=True)
class NodeRef(Node[Any]):
    """A part of a node's result; made by `Node.fieldref`."""

    node: "Statement"
    """What makes the result."""
    path: tuple[Step, ...]
    """The way into its result."""

    def dfm_target(self) -> "tuple[Statement, tuple[Step, ...]]":
        return self.node, self.path


class Part(Generic[T_co]):
    """A field of what an operation returns, as an attribute of its node: `summary.mean` is `summary.fieldref("mean")`.

    A generated class has one for each field of its result's schema that none of its parameters is called like.
    """

    __slots__ = ("_name",)

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, node: None, owner: type) -> "Part[T_co]": ...
    @overload
    def __get__(self, node: Node, owner: type) -> Node[T_co]: ...
    def __get__(self, node: Node | None, owner: type) -> "Part[T_co] | Node[T_co]":
        return self if node is None else node.fieldref(self._name)


@taking_class
@dataclass(frozen=True, slots=True)
class PlaceParam(Unmade):
    """A value that is given when the pipeline is executed, under this place's name."""

    place: str
    """Its name; unique in the pipeline."""
    multiuse: bool = False
    """Whether the name may be used more than once; every use has to say so."""

    def __post_init__(self) -> None:
        check_place(self.place, "PlaceParam")


@taking_class
@dataclass(frozen=True, slots=True)
class Retry(Instance):
    """Tries an operation again when it fails."""

    times: int
    """How many more times, at most 1000."""
    backoff: float = 0.0
    """Seconds before the first of them, at most a day; twice as many before each further one."""

    def __post_init__(self) -> None:
        times, backoff = cast(object, self.times), cast(object, self.backoff)
        if not isinstance(times, int) or isinstance(times, bool) or not 0 <= times < 2**32:
            raise ValuePipelineError(f"Retry: times takes a number of retries, not {times!r}", user_line())
        if not isinstance(backoff, int | float) or not 0 <= backoff < math.inf:
            raise ValuePipelineError(f"Retry: backoff takes a number of seconds, not {backoff!r}", user_line())


@taking_class
@dataclass(frozen=True, slots=True)
class Advise(Instance):
    """Asks, in discovery mode, which values are possible."""


@taking_class
@dataclass(frozen=True, slots=True)
class PickledObject(Instance):
    """A Python object that has no other encoding: it is pickled where the sites' policy allows that."""

    value: Any
    """The object; the adapter gets it, not this wrapper."""


def _conditions() -> Any:
    from dfm.api import _conditions  # which needs Node itself

    return _conditions


def well_known_id(name: str) -> str:
    """A node id that stays the same however the pipeline changes; callbacks see it as the token's node."""
    if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ValuePipelineError(f"a well-known id is a name that is not empty, not {name!r}", user_line())
    return name


def check_place(place: object, what: str) -> None:
    """Refuses what cannot be a place's name."""
    if not isinstance(place, str) or not place:
        raise ValuePipelineError(f"{what}: place takes a name that is not empty, not {place!r}", user_line())
    if place.startswith("_dfm_"):
        message = f"{what}: the place '{place}' cannot be used, since names that begin with _dfm_ are dfm's own"
        raise ValuePipelineError(message, user_line())
