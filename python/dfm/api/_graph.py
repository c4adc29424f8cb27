"""What does a pipeline hold while it is being written, and which rules does each line have to keep?"""

import threading
from collections.abc import Iterable, Iterator
from types import NoneType
from typing import TYPE_CHECKING, Any, cast

from pydantic import BaseModel

from dfm import _native
from dfm.api._references import Advise, Line, Node, NodeId, PlaceParam, Unmade
from dfm.errors import PipelineError

if TYPE_CHECKING:
    from dfm.api._operation import Operation, Statement


class Graph:
    """The statements of one pipeline, and where the user wrote them."""

    def __init__(self, discovers: bool = False) -> None:
        self.discovers = discovers
        """Whether its operations are asked which values are possible, instead of being run."""
        self.statements: dict[NodeId, Statement] = {}
        self.lines: dict[NodeId, str] = {}
        self.blocks: dict[NodeId, NodeId] = {}
        """Node → the block that it stands in; those of the pipeline's own body are not in it."""
        self.loops: set[NodeId] = set()
        """The `ForEach`es."""
        self.each_sites: set[NodeId] = set()
        """The `EachSite`s."""
        self.meets: dict[NodeId, list[dict[str, Any]]] = {}
        """Aggregation of a saved plan → where some of its parts meet on their way, in order."""
        self.open: list[NodeId] = []
        """The blocks that are being written, outermost first."""
        self.package: str | None = None
        self.api_version: str | None = None
        self._places: dict[str, _native.PlaceUse] = {}
        """The first use of each."""
        self._next = 0

    def node_id(self, wanted: NodeId | None, line: str) -> NodeId:
        """The id of the next statement: the one that is wanted, or a new number."""
        if wanted is None:
            while self._next in self.statements:
                self._next += 1
            return self._next
        if wanted in self.statements:
            raise PipelineError(
                f"the node id {wanted!r} is taken already, by the node made at {self.lines[wanted]}; "
                "an id is unique in its pipeline",
                line,
            )
        return wanted

    def check_node(self, node: "Statement", line: str) -> None:
        """Refuses a node of another pipeline, and one of a block that this line does not stand in."""
        self.check_own(node, line)
        if self.open or self.blocks or self.loops:
            own = node.dfm_node_id
            if own in self.open and own not in self.loops:
                raise PipelineError(
                    f"the {node.dfm_title} made at {line_of(node)} has no value in its own body, which makes that", line
                )
            self.check_visible(node, own if own in self.loops else self.blocks.get(own), line)  # pyright: ignore

    def check_own(self, node: "Statement", line: str) -> None:
        """Refuses a node of another pipeline."""
        if self.statements.get(node.dfm_node_id) is not node:  # pyright: ignore[reportArgumentType]
            raise PipelineError(
                f"this uses the node {node.dfm_title} that was made at {line_of(node)} for another pipeline; "
                "a node can be used only in the `with Pipeline()` block that made it",
                line,
            )

    def check_visible(self, node: "Statement", block: NodeId | None, line: str) -> None:
        """Refuses a node of a block that this line does not stand in."""
        if block is None or block in self.open:
            return
        named, around = f"the {node.dfm_title} made at {line_of(node)}", None
        if block != node.dfm_node_id:
            around = f"the {self.statements[block].dfm_title} at {self.lines[block]}"
        raise PipelineError(_native.out_of_block(named, around, self.statements[block].dfm_title), line)

    def repeated_by(self, block: NodeId | None, beside: NodeId) -> NodeId | None:
        """Outwards from a block, the first of it, `beside` and all loops: whose body makes it once each time."""
        while block is not None and block != beside and block not in self.loops:
            block = self.blocks.get(block)
        return block

    def check_package(self, operation: type["Operation"], line: str) -> None:
        """Refuses an operation of another federation than the earlier ones."""
        if self.package is None:
            self.package, self.api_version = operation.dfm_package, operation.dfm_api_version
        elif self.package != operation.dfm_package:
            raise PipelineError(
                f"{operation.dfm_operation} belongs to the federation {operation.dfm_package}, but the pipeline's "
                f"earlier nodes belong to {self.package}; a pipeline runs in one federation",
                line,
            )

    def each_site_around(self) -> NodeId | None:
        """The `EachSite` whose body, or a block in it, is being written."""
        return next((block for block in reversed(self.open) if block in self.each_sites), None)

    def check_value(self, value: object, title: str, name: str, line: str) -> list[PlaceParam]:
        """Checks the nodes that a value is or contains; gives its places."""
        if isinstance(value, Node):
            self.check_node(value.dfm_target()[0], line)
            return []
        if isinstance(value, PlaceParam):
            return [value]
        try:
            found = list(inside(value))
        except RecursionError:
            raise PipelineError(f"{title}: {name} contains itself, or is nested too deep", line) from None
        for one in found:
            if isinstance(one, Line) and not isinstance(one, Node):
                check_no_line(cast("Statement", one), title, name, line)
            check_no_condition(one, title, name, line)
        if found:
            check_made(value, title, name, line)
        for node in found:
            if isinstance(node, Node):
                self.check_node(node.dfm_target()[0], line)
        return [place for place in found if isinstance(place, PlaceParam)]

    def use_places(self, params: Iterable[PlaceParam], line: str) -> None:
        """Notes uses of parameter places, all or none of them."""
        noted = dict(self._places)
        for param in params:
            _use(noted, param.place, _native.PlaceUse(False, param.multiuse, f"at {line}"), line)
        self._places = noted

    def use_yield_place(self, place: str, multiuse: bool, line: str) -> None:
        """Notes a use of a yield place."""
        _use(self._places, place, _native.PlaceUse(True, multiuse, f"at {line}"), line)

    def add(self, statement: "Statement", node: NodeId, line: str, block: NodeId | None) -> None:
        """Adds a statement that has kept the rules to a block."""
        if block is not None:
            self.blocks[node] = block
        self.statements[node] = statement
        self.lines[node] = line


def _use(places: dict[str, _native.PlaceUse], place: str, use: _native.PlaceUse, line: str) -> None:
    first = places.setdefault(place, use)
    if first is not use and (conflict := _native.place_conflict(place, first, use)) is not None:
        raise PipelineError(conflict, line)


class _Current(threading.local):
    graph: Graph | None = None


current = _Current()
"""What this thread's pipeline holds, while it is inside a `with Pipeline()` block."""


def line_of(statement: "Statement") -> str:
    """The user's line that made a statement."""
    graph, node = statement.dfm_graph, statement.dfm_node_id
    return "<unknown>" if graph is None or node is None else graph.lines[node]


MOST_LEVELS = 20
"""So deep may values that contain nodes lie in each other."""
SCALARS = frozenset((str, int, float, bool, NoneType))
"""Types of values with nothing inside."""


def inside(value: object) -> Iterator[Any]:
    """The nodes, places, requests for advice, conditions and lines that a value is or contains, at any depth, in its
    order; those in a dictionary's keys, too, where none may be.

    Raises:
        RecursionError: it contains itself.
    """
    if isinstance(value, Unmade | Advise):
        yield value
        return
    if isinstance(value, dict):
        for key in cast(dict[Any, Any], value):
            if type(key) is not str:
                yield from inside(key)
    for part in parts_of(cast(object, value)):
        yield from inside(part)


def has_inside(value: object) -> bool:
    """Whether there is anything of the kind in it."""
    # What is there may have no truth, as a condition has none.
    return type(value) not in SCALARS and next((True for _ in inside(value)), False)


def parts_of(value: object) -> Iterable[Any]:
    """What a value that may contain nodes is made of."""
    if isinstance(value, dict):
        return cast(dict[Any, Any], value).values()
    if isinstance(value, list | tuple | set | frozenset):
        return cast(Iterable[Any], value)
    if isinstance(value, BaseModel):
        return vars(value).values()
    return ()


def check_no_line(statement: "Statement", title: str, name: str, line: str) -> None:
    """Refuses a line of the pipeline that is no value, such as a block.

    Raises:
        PipelineError: which one.
    """
    collected = "; its collect(node) puts its results together" if hasattr(statement, "collect") else ""
    raise PipelineError(
        f"{title}: {name} is or contains the {statement.dfm_title} made at {line_of(statement)}, which is no value"
        f"{collected}",
        line,
    )


def check_no_condition(one: object, title: str, name: str, line: str) -> None:
    """Refuses a condition in the place of a value.

    Raises:
        PipelineError: it is one.
    """
    if isinstance(one, Unmade) and not isinstance(one, Node | PlaceParam | Line):
        raise PipelineError(
            f"{title}: {name} is or contains the condition {one!r}, which is no value; give it to If(cond=…), or have "
            "an operation compare what it is made of",
            line,
        )


def check_made(value: object, title: str, name: str, line: str, levels: int = MOST_LEVELS) -> None:
    """Refuses a value with nodes inside that no site could put together.

    Raises:
        PipelineError: what is in the way.
    """
    if isinstance(value, Advise):
        raise PipelineError(f"{title}: {name} has an Advise() inside; only a whole parameter can be asked for", line)
    if isinstance(value, set | frozenset):
        raise PipelineError(f"{title}: {name} has a node inside a set, which has no order; use a list", line)
    if isinstance(value, dict) and any(has_inside(key) for key in cast(dict[Any, Any], value)):
        raise PipelineError(f"{title}: {name} has a node as a dictionary's key; keys are literals", line)
    if levels == 0:
        raise PipelineError(f"{title}: {name} has a node more than {MOST_LEVELS} values deep", line)
    for part in parts_of(cast(object, value)):
        if has_inside(part) and not isinstance(part, Node | PlaceParam):
            check_made(part, title, name, line, levels - 1)
