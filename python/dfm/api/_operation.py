"""What is a statement of a pipeline, and what does it check as soon as it is written?"""

import difflib
import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast, get_args

from pydantic import BaseModel, ValidationError

from dfm.api._explain import explain
from dfm.api._graph import SCALARS, Graph, check_no_condition, current, inside, line_of
from dfm.api._lines import user_line
from dfm.api._references import Advise, Line, Node, NodeId, Part, PlaceParam, Retry, Step, T_co, check_place
from dfm.api._sites import BestOf, Here, Site
from dfm.api._taking import taking
from dfm.errors import PartError, PipelineError, ValuePipelineError

_NO_DISCOVERY = "asks which values are possible, which only a Pipeline(mode='discovery') does"
_NUMBERS = (int, float, bool)


class Parameter(NamedTuple):
    """One parameter of a generated operation."""

    attribute: str
    """The field's name."""
    argument: str
    """The operation's own name for it."""
    required: bool
    """Whether it has to be given; one that has not is not given when it is `None`."""
    models: frozenset[type]
    """The pydantic models that its declared type allows."""


class Statement(
    Line,
    BaseModel,
    frozen=True,
    extra="forbid",
    arbitrary_types_allowed=True,
    protected_namespaces=(),
    ignored_types=(Part,),
    validate_by_name=True,
    validate_by_alias=True,
    defer_build=True,
):
    """An operation or a `Yield`. Its validator is built on first use: a federation may have many operations."""

    dfm_after: Node | Sequence[Node] | None = None
    """Runs after these, without using their results."""
    dfm_node_id: NodeId | None = None
    """`well_known_id(...)`, or a number that the pipeline gives."""
    # Pydantic would fill a private attribute in anew for each class on the way to the node's own.
    __slots__ = ("_graph",)

    @property
    def dfm_graph(self) -> Graph | None:
        """The pipeline's content that it belongs to."""
        return getattr(self, "_graph", None)

    @property
    def dfm_title(self) -> str:
        """What it is called in messages."""
        return type(self).__name__

    def dfm_place(self) -> tuple[Graph, NodeId]:
        """The pipeline's content and its id there.

        Raises:
            PipelineError: it belongs to no pipeline.
        """
        graph, node = self.dfm_graph, self.dfm_node_id
        if graph is None or node is None:
            raise PipelineError(f"this {self.dfm_title} belongs to no pipeline", user_line())
        return graph, node

    def dfm_check_part(self, path: tuple[Step, ...], step: Step) -> None:
        """Refuses a part that its result, or the part of it at `path`, cannot have; of most nothing is known.

        Raises:
            PartError: it cannot.
        """

    def dfm_no_attribute(self, path: tuple[Step, ...], name: str) -> PartError:
        """That it has no such attribute; and how a part of its result is selected, of which nothing is known."""
        own = {*type(self).model_fields, *dir(type(self))} - {*dir(BaseModel)} if not path else set[str]()
        near = difflib.get_close_matches(name, [one for one in sorted(own) if not one.startswith(("_", "dfm_"))], 1)
        goes_on = f"did you mean {near[0]!r}? Of" if near else "of"
        return PartError(
            f"{_part_of(path)}the {self.dfm_title} made at {line_of(self)} has no attribute {name!r}; {goes_on} what "
            f"it becomes when it runs, fieldref({name!r}) is that attribute, and [{name!r}] the part with that key",
            user_line(),
        )

    def dfm_predecessors(self) -> Iterator["Statement"]:
        """The nodes it runs after without using their results."""
        if self.dfm_after is not None:
            for node in (self.dfm_after,) if isinstance(self.dfm_after, Node) else self.dfm_after:
                yield node.dfm_target()[0]

    def _write(self, title: str, data: dict[str, Any]) -> tuple[Graph, NodeId, str]:
        """Fills in and checks what all statements have in common."""
        line = user_line()
        graph = current.graph
        if graph is None:
            used = [node.dfm_target()[0] for node in data.values() if isinstance(node, Node)]
            made = f" that made its input at {line_of(used[0])}" if used else ""
            raise PipelineError(
                f"{title} is outside of any pipeline; put it into the `with Pipeline()` block{made}", line
            )
        # A value that is yet to be made is as valid as the first node in it; its adapter sees the rest.
        given = ((name, value) for name, value in data.items() if name != "dfm_after")
        made = {name: hole for name, value in given if (hole := _hole(value)) is not None}
        try:
            self.__pydantic_validator__.validate_python({**data, **made}, self_instance=self)
        except ValidationError as error:
            raise self._refusal(title, data, error, line) from None
        if made:
            fields = type(self).model_fields
            vars(self).update((name, data[name]) for name in made if name in fields)
            for name, field in fields.items():
                if name not in made and field.alias in made:
                    vars(self)[name] = data[field.alias]
        for node in self.dfm_predecessors():
            graph.check_node(node, line)
        return graph, graph.node_id(self.dfm_node_id, line), line

    def _refusal(self, title: str, data: dict[str, Any], error: ValidationError, line: str) -> PipelineError:
        try:
            for name, value in data.items():
                for one in inside(value):
                    check_no_condition(one, title, name, line)
            return ValuePipelineError(explain(title, type(self), data, error), line)
        except PipelineError as condition:
            return condition
        except RecursionError:
            return PipelineError(f"{title}: a parameter contains itself, or is nested too deep", line)

    def _written(self, graph: Graph, node: NodeId, line: str, *block: NodeId | None) -> None:
        """Makes it a part of the pipeline, in the block that is being written unless another one is given."""
        vars(self)["dfm_node_id"] = node
        object.__setattr__(self, "_graph", graph)
        around = block[0] if block else graph.open[-1] if graph.open else None
        graph.add(self, node, line, around)


def _hole(value: object) -> Node | PlaceParam | None:
    """The first node or place inside a value that is none itself."""
    if type(value) in SCALARS or isinstance(value, Node | PlaceParam | Statement):
        return None
    try:
        return next(
            (cast("Node | PlaceParam", one) for one in inside(value) if isinstance(one, Node | PlaceParam)), None
        )
    except RecursionError:
        return None  # told with the rule that it breaks


class ResultNode(Node[T_co], Statement, frozen=True):
    """A statement with a result, which other statements use."""

    def dfm_target(self) -> tuple[Statement, tuple[Step, ...]]:
        return self, ()

    def __repr__(self) -> str:
        return f"<{self.dfm_title} node {self.dfm_node_id!r} at {line_of(self)}>"

    __str__ = __repr__


class Operation(ResultNode[T_co], frozen=True):
    """A node of a pipeline: one call of an operation, whose result is of type `T_co`.

    Generated classes add the operation's parameters, and are themselves declared with `frozen=True`.
    """

    dfm_operation: ClassVar[str]
    """`namespace.Name`."""
    dfm_package: ClassVar[str]
    """The federation's `code-package`."""
    dfm_api_version: ClassVar[str]
    """The federation's `api-version` when the class was generated."""
    dfm_returns: ClassVar[type[Any] | None] = None
    """The schema's class that its result is of, or `int`, `float`, `bool`, `str` or `dict` where that is what it is."""

    site: Site = BestOf()
    """Where it runs: a site's name, or `BestOf` for the planner's choice."""
    provider: str | None = None
    """Which of the site's providers runs it; `None` for the site itself."""
    retry: Retry | None = None
    """Whether and how a failure is tried again."""
    timeout: float | None = None
    """Seconds that one try may take; `None` for as long as it takes."""

    if not TYPE_CHECKING:  # each generated class has a signature of its own

        def __init__(self, *unnamed: Any, **data: Any) -> None:
            title = getattr(self, "dfm_operation", None)
            if title is None:
                message = f"{type(self).__name__} is no operation; the generated package has those of a federation"
                raise PipelineError(message, user_line())
            if unnamed:
                raise _by_name(type(self), unnamed)
            graph, node, line = self._write(title, data)
            params = []
            values = self.__dict__
            for name, argument, _, _ in parameters_of(type(self)):
                value = values[name]
                kind = type(value)
                if kind in SCALARS:
                    continue
                if isinstance(value, Node):
                    graph.check_node(value.dfm_target()[0], line)
                elif kind is PlaceParam:
                    params.append(value)
                elif kind is Advise:
                    if graph.discovers:
                        continue
                    raise PipelineError(f"{title}: {argument}=Advise() {_NO_DISCOVERY}", line)
                else:
                    params += graph.check_value(value, title, argument, line)
            if self.timeout is not None and not 0 < self.timeout < math.inf:
                raise PipelineError(f"{title}: timeout takes a positive number of seconds, not {self.timeout!r}", line)
            if type(self.site) is Advise and not graph.discovers:
                raise PipelineError(f"{title}: site=Advise() {_NO_DISCOVERY}", line)
            self._check_site(graph, title, line)
            graph.check_package(type(self), line)
            graph.use_places(params, line)
            self._written(graph, node, line)

        __init__.__pydantic_base_init__ = True

    def _check_site(self, graph: Graph, title: str, line: str) -> None:
        if isinstance(self.site, Here):
            self.site.dfm_check(graph, title, line)
        elif isinstance(self.site, BestOf) and (each := graph.each_site_around()) is not None:
            raise PipelineError(
                f"{title}: it stands in the body of the EachSite made at {graph.lines[each]} and says no site; place "
                "it by that, site=here, or name one site",
                line,
            )

    @property
    def dfm_title(self) -> str:
        return self.dfm_operation

    def dfm_check_part(self, path: tuple[Step, ...], step: Step) -> None:
        """Refuses a part of its result that no value of the schema's class has, or of one of its fields."""
        # A generator's result is a list of such.
        if step[0] == "index" and not path:
            return
        of: Any = self.dfm_returns
        for how, field in path[1:] if path and path[0][0] == "index" else path:
            of = _type_of(of, field) if how == "attribute" else None
        if (wrong := _refused(of, step)) is not None:
            result = f"{_part_of(path)}the result of the {self.dfm_operation} made at {line_of(self)}"
            raise PartError(f"{result} is {wrong}", user_line())


def _by_name(operation: type[Operation], unnamed: tuple[Any, ...]) -> PipelineError:
    names = [parameter.attribute for parameter in parameters_of(operation)]
    rest = ["…"] if len(unnamed) < len(names) else []
    given = ", ".join([*(f"{name}={value!r}" for name, value in zip(names, unnamed, strict=False)), *rest])
    takes = f"{', '.join(names)}: write {operation.__name__}({given})" if names else "none"
    return PipelineError(
        f"{operation.dfm_operation} takes its parameters by name, not {unnamed[0]!r} alone; it takes {takes}",
        user_line(),
    )


def _part_of(path: tuple[Step, ...]) -> str:
    way = "".join(f".{field}" if how == "attribute" else f"[{field!r}]" for how, field in path)
    return f"the part {way} of " if way else ""


def _refused(of: Any, step: Step) -> str | None:
    """Why no value of a type has such a part; nothing where one may."""
    kind, name = step
    if kind == "attribute" and hasattr(of, str(name)):
        return None
    if of in _NUMBERS:
        return "a number, which has no parts"
    if of is str:
        return None if kind == "index" else "a text, whose parts are numbered"
    if of is dict:
        return f"a dictionary, whose parts have keys: write [{name!r}]" if kind == "attribute" else None
    if not (isinstance(of, type) and issubclass(of, BaseModel)) or of.model_config.get("extra") == "allow":
        return None
    schema, fields = f"of the schema {of.__name__}", list(of.model_fields)
    if name in fields:
        return None if kind == "attribute" else f"{schema}, whose fields are attributes: write fieldref({name!r})"
    near = difflib.get_close_matches(str(name), fields, 1)
    there = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(map(repr, fields)) or 'no fields'}"
    what = f"attribute {name!r}" if kind == "attribute" else f"element [{name!r}]"
    return f"{schema}, which has no {what}; {there}"


def _type_of(model: Any, field: int | str) -> Any:
    """The type that a schema's class gives one of its fields; nothing, where it leaves that open."""
    known = model.model_fields.get(str(field)) if isinstance(model, type) and issubclass(model, BaseModel) else None
    return known and known.annotation


@cache
def parameters_of(operation: type[Operation]) -> tuple[Parameter, ...]:
    """The parameters that a generated class adds to `Operation`."""
    found: list[Parameter] = []
    for name, field in operation.model_fields.items():
        if name not in Operation.model_fields:
            kinds = (field.annotation, *get_args(field.annotation))
            models = frozenset(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))
            argument = field.serialization_alias or field.alias or field.validation_alias
            argument = argument if isinstance(argument, str) else name
            found.append(Parameter(name, argument, field.is_required(), models))
    return tuple(found)


class Yield(Statement, frozen=True):
    """Sends a value to the application under a place's name."""

    value: Any
    """An operation, a part of its result, a parameter as it was given, a literal, or a value with these inside."""
    place: str = "yield"
    """The name that the application knows it by; unique in the pipeline."""
    multiuse: bool = False
    """Whether the name may be used more than once; every use has to say so."""

    @taking
    def __init__(
        self,
        value: Any,
        place: str = "yield",
        multiuse: bool = False,
        *,
        dfm_after: Node | Sequence[Node] | None = None,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        fields = {"dfm_after": dfm_after, "dfm_node_id": dfm_node_id}
        graph, node, line = self._write("Yield", {"value": value, "place": place, "multiuse": multiuse, **fields})
        check_place(place, "Yield")
        if isinstance(value, Advise):
            raise ValuePipelineError("Yield: value takes a value or what becomes one, not Advise()", line)
        if (each := graph.each_site_around()) is not None:
            raise PipelineError(
                f"a Yield in the body of the EachSite made at {graph.lines[each]} would not say which site it is of; "
                "collect the value, and yield that outside of the body",
                line,
            )
        params = graph.check_value(value, "Yield", "value", line)
        graph.use_yield_place(place, multiuse, line)
        graph.use_places(params, line)
        self._written(graph, node, line)

    __init__.__pydantic_base_init__ = True  # pyright: ignore
