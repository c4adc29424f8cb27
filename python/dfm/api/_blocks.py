"""Which parts of a pipeline run more than once, or perhaps not at all?"""

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, cast

from pydantic import BaseModel, PrivateAttr, ValidatorFunctionWrapHandler, field_validator
from pydantic_core import PydanticCustomError

from dfm.api._conditions import Condition, as_condition
from dfm.api._graph import Graph, current, line_of
from dfm.api._lines import user_line
from dfm.api._operation import ResultNode, Statement
from dfm.api._references import Line, Node, NodeId, PlaceParam, T_co
from dfm.api._taking import taking
from dfm.errors import PipelineError

T = TypeVar("T")


class Block(Statement, frozen=True):
    """A statement with a body, which a `with` block writes."""

    _written_body: bool = PrivateAttr(False)

    def __enter__(self) -> Self:
        line = user_line()
        graph, node = self.dfm_place()
        if current.graph is not graph:
            raise PipelineError(
                f"the {self.dfm_title} made at {line_of(self)} belongs to another pipeline; "
                "write its body in the `with Pipeline()` block that made it",
                line,
            )
        if self._written_body:
            raise PipelineError(f"the {self.dfm_title} made at {line_of(self)} has its body already", line)
        if graph.blocks.get(node) != (graph.open[-1] if graph.open else None):
            raise PipelineError(
                f"the {self.dfm_title} made at {line_of(self)} belongs to another block than this one; "
                "write its body in the block that made it",
                line,
            )
        self._written_body = True  # pyright: ignore[reportAttributeAccessIssue]
        graph.open.append(node)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.dfm_place()[0].open.pop()

    def dfm_has_body(self) -> None:
        """Notes that its body is there, of a block that is read and not written."""
        self._written_body = True  # pyright: ignore[reportAttributeAccessIssue]

    def dfm_check_entered(self) -> None:
        """Refuses a block that no `with` has entered: what was meant for its body stands beside it.

        Raises:
            PipelineError: that is so.
        """
        if not self._written_body:
            raise PipelineError(
                f"the {self.dfm_title} has no body, so that nothing depends on it; begin its line with `with`, end it "
                "with a colon, and indent under it what belongs to it",
                line_of(self),
            )

    def dfm_check_body(self, line: str) -> None:
        """Refuses a body that lacks what the block is for.

        Raises:
            PipelineError: what is missing.
        """

    def __repr__(self) -> str:
        return f"<{self.dfm_title} node {self.dfm_node_id!r} at {line_of(self)}>"

    __str__ = __repr__


class ForEach(ResultNode, Block, frozen=True):
    """Runs its body once for each element of a sequence: a list, a tuple, an array, a table's rows as dictionaries,
    a dictionary's (key, value) pairs, or a generator's items.

    In the body it stands for the current element itself.
    """

    seq: Node | PlaceParam | list[Any] | tuple[Any, ...] | dict[Any, Any]
    """The sequence; a literal table or array is kept as it is, so that its elements are those that a node's are."""

    @field_validator("seq", mode="wrap")
    @classmethod
    def _check_sequence(cls, seq: Any, check: ValidatorFunctionWrapHandler) -> Any:
        if _is_table_or_array(seq):
            return seq
        if isinstance(seq, BaseModel | bytearray | memoryview) and not isinstance(seq, Line):
            raise PydanticCustomError("no_sequence", "no sequence")
        return check(seq)

    @taking
    def __init__(
        self,
        seq: Node | PlaceParam | Iterable[Any],
        *,
        dfm_after: Node | Sequence[Node] | None = None,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        graph, node, line = self._write("ForEach", {"seq": seq, "dfm_after": dfm_after, "dfm_node_id": dfm_node_id})
        graph.use_places(graph.check_value(seq, "ForEach", "seq", line), line)
        self._written(graph, node, line)
        graph.loops.add(node)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    @taking
    def collect(self, node: Node[T], errors: Literal["fail", "skip", "keep"] = "fail") -> "Collected[list[T]]":
        """A node beside this one: the list of what `node`, of the body, is for each element, in the sequence's order.

        Elements in which an `If` left `node` out are not in the list. Called after the body.

        Args:
            node: a node of the body, or a part of its result.
            errors: what becomes of elements that failed: the collection fails with their errors, they are left out,
                or the list has an `ErrorToken` in their place.
        """
        return Collected(self, node, errors)


def _is_table_or_array(value: object) -> bool:
    """Whether it is one of another package, and has elements."""
    if isinstance(value, str | bytes | Node) or not hasattr(type(value), "__array__"):
        return False
    try:
        len(cast(Sequence[object], value))
    except TypeError:  # an array without dimensions
        return False
    return True


class Collected(ResultNode[T_co], frozen=True):
    """What the body of a loop made for each element, or in each round; its `collect` makes it."""

    loop: Block
    """The `ForEach` or the `Repeat`."""
    value: Node
    """The node of its body."""
    errors: Literal["fail", "skip", "keep"] = "fail"
    """What becomes of elements that failed."""

    def __init__(
        self, loop: Block, value: Node, errors: Literal["fail", "skip", "keep"], dfm_node_id: NodeId | None = None
    ) -> None:
        data = {"loop": loop, "value": value, "errors": errors, "dfm_node_id": dfm_node_id}
        graph, node, line = self._write("collect", data)
        made, beside = value.dfm_target()[0], loop.dfm_place()[1]
        graph.check_own(made, line)
        if beside in graph.open:
            raise PipelineError(
                f"collect is called inside the body of the {loop.dfm_title} made at {line_of(loop)}; call it after "
                "that",
                line,
            )
        graph.check_visible(loop, graph.blocks.get(beside), line)
        own = made.dfm_place()[1]
        if graph.repeated_by(own if made is loop else graph.blocks.get(own), beside) != beside:
            raise PipelineError(
                f"the node {made.dfm_title} made at {line_of(made)} is not made once for each element of the "
                f"{loop.dfm_title} at {line_of(loop)}; collect a node of its own body, and inner loops one by one",
                line,
            )
        self._written(graph, node, line, graph.blocks.get(beside))

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    @property
    def dfm_title(self) -> str:
        return "collect"


class If(Block, frozen=True):
    """Runs its body in the frames in which a condition holds."""

    cond: Condition | Node
    """The condition; a node counts as Python sees its result."""
    _other: str | None = PrivateAttr(None)

    @taking
    def __init__(
        self,
        cond: Condition | Node | PlaceParam,
        *,
        dfm_after: Node | Sequence[Node] | None = None,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        cond = as_condition(cond, "If")
        graph, node, line = self._write("If", {"cond": cond, "dfm_after": dfm_after, "dfm_node_id": dfm_node_id})
        params: list[PlaceParam] = []
        for operand in cond.dfm_operands():
            params += graph.check_value(operand, "If", "cond", line)
        graph.use_places(params, line)
        self._written(graph, node, line)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    def dfm_check_entered(self) -> None:
        """As `Block`; one whose other branch alone is written has that."""
        if self._other is None:
            super().dfm_check_entered()

    def otherwise(self) -> "Otherwise":
        """The other branch, for a `with` block of its own: it runs where the condition does not hold."""
        return Otherwise(self)


class Otherwise(Block, frozen=True):
    """The other branch of an `If`; `If.otherwise` makes it."""

    test: If
    """The `If`."""

    def __init__(self, test: If, dfm_node_id: NodeId | None = None) -> None:
        graph, node, line = self._write("otherwise", {"test": test, "dfm_node_id": dfm_node_id})
        graph.check_own(test, line)
        own = test.dfm_place()[1]
        if test._other is not None:  # pyright: ignore[reportPrivateUsage]
            first = test._other  # pyright: ignore[reportPrivateUsage]
            raise PipelineError(f"the If made at {line_of(test)} has its otherwise() already, at {first}", line)
        if graph.blocks.get(own) != (graph.open[-1] if graph.open else None):
            raise PipelineError(
                f"otherwise() is called in another block than that of its If, made at {line_of(test)}; "
                "write it beside that, after its body",
                line,
            )
        test._other = line  # pyright: ignore
        self._written(graph, node, line)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    @property
    def dfm_title(self) -> str:
        return "otherwise"


class TryFromCache(ResultNode, Block, frozen=True):
    """Takes a value from a site's cache; where that has none, runs its body, which makes the value and writes it there.

    Outside of its body it stands for that value, wherever it came from. Whatever makes two values different has to be
    in the key: all pipelines of a user share a site's cache.
    """

    key: Any
    """A node, a parameter or a literal; a tuple of these is a key of several parts."""
    site: str | None = None
    """The site whose cache it is; `None` for the site that makes the value."""
    _writes: str | None = PrivateAttr(None)

    @taking
    def __init__(
        self,
        key: Any,
        site: str | None = None,
        *,
        dfm_after: Node | Sequence[Node] | None = None,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        data = {"key": key, "site": site, "dfm_after": dfm_after, "dfm_node_id": dfm_node_id}
        graph, node, line = self._write("TryFromCache", data)
        params: list[PlaceParam] = []
        for part in self.dfm_key():
            params += graph.check_value(part, "TryFromCache", "key", line)
        graph.use_places(params, line)
        self._written(graph, node, line)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    def dfm_key(self) -> tuple[Any, ...]:
        """The parts of the key."""
        key = self.key
        return cast(tuple[Any, ...], key) if isinstance(key, tuple) else (key,)

    def cache(self, value: Node) -> None:
        """Writes the value into the cache, for next time. Called once, in the body."""
        WriteToCache(self, value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        if kind is None:
            self.dfm_check_body(user_line())

    def dfm_check_body(self, line: str) -> None:
        """As `Block`."""
        if self._writes is None:
            raise PipelineError(
                f"the body of the TryFromCache made at {line_of(self)} writes no value; call its cache(node) there",
                line,
            )


class WriteToCache(Statement, frozen=True):
    """Writes the value of a `TryFromCache`, in its body; the same as that one's `cache(value)`."""

    of: TryFromCache
    """The `TryFromCache`."""
    value: Node
    """What makes the value."""

    @taking
    def __init__(
        self,
        of: TryFromCache,
        value: Node,
        *,
        dfm_after: Node | Sequence[Node] | None = None,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        data = {"of": of, "value": value, "dfm_after": dfm_after, "dfm_node_id": dfm_node_id}
        graph, node, line = self._write("WriteToCache", data)
        graph.check_own(of, line)
        graph.check_node(value.dfm_target()[0], line)
        if of._writes is not None:  # pyright: ignore[reportPrivateUsage]
            first = of._writes  # pyright: ignore[reportPrivateUsage]
            raise PipelineError(f"the TryFromCache made at {line_of(of)} has its value already, from {first}", line)
        if not graph.open or graph.open[-1] != of.dfm_node_id:
            raise PipelineError(
                f"the value of the TryFromCache made at {line_of(of)} is written outside of its body, or in a block "
                "inside it; write it in the body itself, once",
                line,
            )
        of._writes = line  # pyright: ignore
        self._written(graph, node, line)

    __init__.__pydantic_base_init__ = True  # pyright: ignore


def around(graph: Graph, block: NodeId | None) -> Iterator[NodeId]:
    """A block, the one around it, and so on."""
    while block is not None:
        yield block
        block = graph.blocks.get(block)
