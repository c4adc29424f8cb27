"""How does a pipeline say: at each site that has such data?"""

from collections.abc import Sequence
from typing import Literal, TypeVar

from dfm.api._blocks import Block
from dfm.api._graph import Graph, line_of
from dfm.api._lines import user_line
from dfm.api._operation import Operation, ResultNode
from dfm.api._references import Node, NodeId, T_co
from dfm.api._sites import Here
from dfm.api._taking import taking
from dfm.errors import PipelineError

T = TypeVar("T")


class EachSite(Here, Block, frozen=True):
    """Runs its body once at each of the sites that offer what it asks for, found when the pipeline is prepared.

    In the body it stands for the current site: `Fit(site=here, …)`. After it, `collect` puts the results together.
    """

    offers: tuple[str, ...] = ()
    """The operations that a site has to offer, beside those that the body places by it."""
    sites: tuple[str, ...] | None = None
    """The sites to choose from, each of which has to offer them; `None` for all that do."""
    at_least: int | None = None
    """How many sites suffice: those that are lost or fail are left out while so many have a value."""
    errors: Literal["fail", "skip", "keep"] = "fail"
    """What becomes of sites that are lost or fail: without `at_least`, any of them fails the collection; they are left
    out, however many; or an `ErrorToken` stands in their place."""

    @taking
    def __init__(
        self,
        offers: Sequence[type[Operation] | str] = (),
        *,
        sites: Sequence[str] | None = None,
        at_least: int | None = None,
        errors: Literal["fail", "skip", "keep"] = "fail",
        dfm_after: Node | Sequence[Node] | None = None,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        line = user_line()
        listed = [offers] if isinstance(offers, str | type) else list(offers)
        names = tuple(one if isinstance(one, str) else _name(one, line) for one in listed)
        if isinstance(sites, str) or (sites is not None and not sites):
            raise PipelineError(f"EachSite: sites takes a list of site names, or None for all, not {sites!r}", line)
        if at_least is not None and (isinstance(at_least, bool) or not isinstance(at_least, int) or at_least < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PipelineError(f"EachSite: at_least takes a number of sites, 1 or more, not {at_least!r}", line)
        if sites is not None and at_least is not None and at_least > len(sites):
            raise PipelineError(f"EachSite: at_least={at_least}, but sites names only {len(sites)}", line)
        data = {"offers": names, "sites": sites if sites is None else tuple(sites), "at_least": at_least}
        data |= {"errors": errors, "dfm_after": dfm_after, "dfm_node_id": dfm_node_id}
        graph, node, line = self._write("EachSite", data)
        for one in listed:
            if not isinstance(one, str):
                graph.check_package(one, line)
        around = graph.each_site_around()
        if around is not None:
            raise PipelineError(
                f"an EachSite stands in the body of another one, made at {graph.lines[around]}; collect what the "
                "sites make there, and go on outside of its body",
                line,
            )
        self._written(graph, node, line)
        graph.each_sites.add(node)

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    def dfm_check(self, graph: Graph, title: str, line: str) -> None:
        """Refuses to place an operation outside of the body, or in another pipeline."""
        graph.check_own(self, line)
        if self.dfm_node_id not in graph.open:
            raise PipelineError(
                f"{title}: its site is that of the EachSite made at {line_of(self)}, which only its body has; "
                "place it there, or name a site",
                line,
            )

    @taking
    def collect(self, node: Node[T]) -> "Gathered[dict[str, T]]":
        """A node beside this block: `{site: value}`, what `node`, of the body, is at each site, in the configuration's
        order. Sites that are left out, by `at_least`, `errors` or an `If`, are not in it. Called after the body."""
        return Gathered(self, node, missing=False)

    @taking
    def missing(self, node: Node) -> "Gathered[list[str]]":
        """A node beside this block: the list of the sites that have no value of `node`, in the configuration's order.
        Why is in the job's errors. Called after the body."""
        return Gathered(self, node, missing=True)


class Gathered(ResultNode[T_co], frozen=True):
    """What the body of an `EachSite` made at each site; `EachSite.collect` and `EachSite.missing` make it."""

    each_site: EachSite
    """The `EachSite`."""
    value: Node
    """The node of its body."""
    only_missing: bool = False
    """Whether it is the list of the sites that have none."""

    def __init__(self, each_site: EachSite, value: Node, missing: bool, dfm_node_id: NodeId | None = None) -> None:
        title = "missing" if missing else "collect"
        data = {"each_site": each_site, "value": value, "only_missing": missing, "dfm_node_id": dfm_node_id}
        graph, node, line = self._write(title, data)
        self._written(graph, node, line, check_collected(graph, title, each_site, value, line))

    __init__.__pydantic_base_init__ = True  # pyright: ignore

    @property
    def dfm_title(self) -> str:
        return "missing" if self.only_missing else "collect"


def check_collected(graph: Graph, title: str, each_site: EachSite, value: Node, line: str) -> NodeId | None:
    """The block around an `EachSite`, for what collects a node of its body there.

    Raises:
        PipelineError: it is none of its body, or it is collected elsewhere.
    """
    made, beside = value.dfm_target()[0], each_site.dfm_place()[1]
    graph.check_own(made, line)
    where = f"the EachSite made at {line_of(each_site)}"
    if beside in graph.open:
        raise PipelineError(f"{title} is called inside the body of {where}; call it after that", line)
    graph.check_visible(each_site, graph.blocks.get(beside), line)
    if graph.repeated_by(graph.blocks.get(made.dfm_place()[1]), beside) != beside:
        raise PipelineError(
            f"the node {made.dfm_title} made at {line_of(made)} is not made once at each site of {where}; "
            "collect a node of its own body, and inner loops first",
            line,
        )
    return graph.blocks.get(beside)


def _name(operation: object, line: str) -> str:
    if isinstance(operation, type) and issubclass(operation, Operation):
        return operation.dfm_operation
    raise PipelineError(f"EachSite: offers takes operations' classes or names, not {operation!r}", line)
