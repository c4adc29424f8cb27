"""How does a pipeline say: again, until it is good?"""

import difflib
from types import TracebackType
from typing import Any, Literal, TypeVar

from pydantic import PrivateAttr

from dfm.api._blocks import Block, Collected
from dfm.api._conditions import Condition, as_condition
from dfm.api._graph import Graph, line_of
from dfm.api._lines import user_line
from dfm.api._operation import ResultNode, Statement
from dfm.api._references import Node, NodeId, NodeRef, PlaceParam
from dfm.api._taking import taking
from dfm.errors import PipelineError

T = TypeVar("T")
MOST_ROUNDS = 1 << 16
"""There are at most so many rounds."""


class Repeat(ResultNode, Block, frozen=True):
    """Runs its body in rounds, each of which leaves values to the next one, until a condition holds.

    `rounds["w"]` is what the current round begins with; `rounds.next(w=…)` says what the next one does, and
    `rounds.until(…)` whether there is one. After the body, `rounds.result("w")` is what the last round left.
    """

    start: dict[str, Any]
    """What the first round begins with, by its name: literals, nodes, places, and values with these inside."""
    at_most: int
    """After so many rounds there is no other one, whatever `until` says."""
    _next: tuple[str, dict[str, Any]] | None = PrivateAttr(None)
    _until: tuple[str, Condition] | None = PrivateAttr(None)
    _outcome: "Outcome | None" = PrivateAttr(None)

    @taking
    def __init__(
        self,
        start: dict[str, Any],
        at_most: int,
        *,
        dfm_after: Node | list[Node] | tuple[Node, ...] | None = None,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        line = user_line()
        if not isinstance(start, dict) or not start or not all(isinstance(name, str) and name for name in start):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"Repeat: start takes a dictionary of what the first round has, not {start!r}", line)
        if isinstance(at_most, bool) or not isinstance(at_most, int) or not 1 <= at_most <= MOST_ROUNDS:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(
                f"Repeat: at_most takes a number of rounds from 1 to {MOST_ROUNDS}, not {at_most!r}", line
            )
        data: dict[str, Any] = {"start": {}, "at_most": at_most, "dfm_after": dfm_after, "dfm_node_id": dfm_node_id}
        graph, node, line = self._write("Repeat", data)
        params: list[PlaceParam] = []
        for name, value in start.items():
            params += graph.check_value(value, "Repeat", name, line)
        graph.use_places(params, line)
        vars(self)["start"] = dict(start)
        self._written(graph, node, line)
        graph.loops.add(node)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    def __getitem__(self, key: int | str) -> NodeRef:
        """What the current round begins with, by its name; in the body."""
        line, name = user_line(), str(key)
        graph, node = self.dfm_place()
        self._check_name(name, line)
        if node not in graph.open:
            raise PipelineError(
                f"the Repeat made at {line_of(self)} has a current round only in its body; after it, "
                f"result({name!r}) is what the last one left",
                line,
            )
        return NodeRef(self, (("key", name),))

    @taking
    def next(self, **values: Any) -> None:
        """Says what the next round begins with; what is not named stays as it is. Called once, in the body itself."""
        line = user_line()
        graph = self._check_in_body("next", line)
        if self._next is not None:
            raise PipelineError(f"the Repeat made at {line_of(self)} has its next() already, at {self._next[0]}", line)
        params: list[PlaceParam] = []
        for name, value in values.items():
            self._check_name(name, line)
            params += graph.check_value(value, "next", name, line)
        graph.use_places(params, line)
        self._next = (line, values)  # pyright: ignore[reportAttributeAccessIssue]

    @taking
    def until(self, cond: Condition | Node) -> None:
        """Ends the rounds with the one in which the condition holds. Called once, in the body itself."""
        line = user_line()
        condition = as_condition(cond, "until")
        graph = self._check_in_body("until", line)
        if self._until is not None:
            raise PipelineError(
                f"the Repeat made at {line_of(self)} has its until() already, at {self._until[0]}", line
            )
        params: list[PlaceParam] = []
        for operand in condition.dfm_operands():
            params += graph.check_value(operand, "until", "cond", line)
        graph.use_places(params, line)
        self._until = (line, condition)  # pyright: ignore[reportAttributeAccessIssue]

    @taking
    def result(self, name: str) -> NodeRef:
        """What the last round left under this name, by its `next`; after the body."""
        line = user_line()
        self._check_name(name, line)
        return NodeRef(self._made("result", line), (("index", 0), ("key", name)))

    @property
    def count(self) -> NodeRef:
        """How many rounds there were; after the body."""
        return NodeRef(self._made("count", user_line()), (("index", 1),))

    @taking
    def collect(self, node: Node[T], errors: Literal["fail", "skip", "keep"] = "fail") -> Collected[list[T]]:
        """A node beside this one: the list of what `node`, of the body, is in each round. Called after the body.

        Args:
            node: a node of the body, or a part of its result.
            errors: what becomes of rounds in which it failed: the collection fails with their errors, they are left
                out, or the list has an `ErrorToken` in their place.
        """
        return Collected(self, node, errors)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None and self._next is not None:
            self.dfm_end_round()
        super().__exit__(kind, error, traceback)
        if kind is None:
            self.dfm_check_body(user_line())

    def dfm_end_round(self, node: NodeId | None = None) -> None:
        """Writes what `next` and `until` have said."""
        assert self._next is not None
        again = Again(self, self._next[1], self._until[1] if self._until else None, node)
        graph, made = again.dfm_place()
        graph.lines[made] = self._next[0]

    def dfm_check_body(self, line: str) -> None:
        """As `Block`."""
        if self._next is None:
            raise PipelineError(
                f"the body of the Repeat made at {line_of(self)} does not say what the next round begins with; "
                "call its next(…) there",
                line,
            )

    def _check_name(self, name: str, line: str) -> None:
        if name in self.start:
            return
        near = difflib.get_close_matches(str(name), self.start, 1)
        there = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, self.start))}"
        raise PipelineError(f"the Repeat made at {line_of(self)} carries nothing called {name!r}; {there}", line)

    def _check_in_body(self, title: str, line: str) -> Graph:
        graph, node = self.dfm_place()
        if not graph.open or graph.open[-1] != node:
            raise PipelineError(
                f"{title}() of the Repeat made at {line_of(self)} is called outside of its body, or in a block inside "
                "it; call it in the body itself, once",
                line,
            )
        return graph

    def _made(self, title: str, line: str) -> "Outcome":
        graph, node = self.dfm_place()
        if node in graph.open:
            raise PipelineError(
                f"{title} of the Repeat made at {line_of(self)} is there after its body; in it, rounds[…] is what the "
                "current round begins with",
                line,
            )
        if self._outcome is None:
            self._outcome = Outcome(self)  # pyright: ignore[reportAttributeAccessIssue]
        return self._outcome


class Again(Statement, frozen=True):
    """The end of a round: what the next one begins with, and whether there is one. The body of a `Repeat` writes it."""

    repeat: Repeat
    """The `Repeat`."""
    values: dict[str, Any]
    """What the next round begins with, by its name."""
    cond: Condition | None = None
    """What holds in the last round."""

    def __init__(
        self, repeat: Repeat, values: dict[str, Any], cond: Condition | None, dfm_node_id: NodeId | None = None
    ) -> None:
        graph, node, line = self._write(
            "next", {"repeat": repeat, "values": {}, "cond": cond, "dfm_node_id": dfm_node_id}
        )
        unchanged = {name: NodeRef(repeat, (("key", name),)) for name in repeat.start}
        vars(self)["values"] = unchanged | values
        self._written(graph, node, line)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    @property
    def dfm_title(self) -> str:
        return "next"


class Outcome(ResultNode, frozen=True):
    """What the last round of a `Repeat` left, and how many there were; `result` and `count` are its parts."""

    repeat: Repeat
    """The `Repeat`."""

    def __init__(self, repeat: Repeat, dfm_node_id: NodeId | None = None) -> None:
        graph, node, line = self._write("result", {"repeat": repeat, "dfm_node_id": dfm_node_id})
        graph.check_own(repeat, line)
        around = graph.blocks.get(repeat.dfm_place()[1])
        graph.check_visible(repeat, around, line)
        self._written(graph, node, line, around)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    @property
    def dfm_title(self) -> str:
        return "result"
