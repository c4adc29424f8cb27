"""How does a pipeline leave the choice of a site to the planner?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from dfm.api._lines import user_line
from dfm.api._references import Advise, Instance
from dfm.api._taking import taking
from dfm.errors import ValuePipelineError

if TYPE_CHECKING:
    from dfm.api._graph import Graph


class BestOf(Instance):
    """The site that is estimated to finish first, among these or all that offer the operation."""

    __slots__ = ("sites",)

    sites: tuple[str, ...] | None
    """The sites to choose from; `None` for all."""

    @taking
    def __init__(self, sites: Sequence[str] | None = None) -> None:
        if sites is not None:
            names: list[object] = [] if isinstance(sites, str) else list(sites)
            if not names or not all(isinstance(name, str) and name for name in names):
                raise ValuePipelineError(
                    f"BestOf takes a list of site names, or None for all, not {sites!r}", user_line()
                )
            sites = tuple(sites)
        self.sites = sites

    def __repr__(self) -> str:
        return f"BestOf(sites={self.sites and list(self.sites)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BestOf) and self.sites == other.sites

    def __hash__(self) -> int:
        return hash(self.sites)


class Here(Instance):
    """The current site of an `EachSite`, in its body."""

    __slots__ = ()

    def dfm_check(self, graph: "Graph", title: str, line: str) -> None:
        """Refuses to be used where it is no site."""
        raise NotImplementedError


Site: TypeAlias = str | BestOf | Advise | Here
"""Where an operation runs."""
