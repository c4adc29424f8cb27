"""How does a pipeline say: add up what sites have, so that nobody sees what one of them has?"""

import math
from typing import ClassVar

from dfm.api._each_site import EachSite, check_collected
from dfm.api._operation import ResultNode
from dfm.api._references import Node, NodeId, T_co
from dfm.api._taking import taking
from dfm.errors import ValuePipelineError

PRECISION = 1e-6
"""How far from the sum what comes of it may be, where a pipeline does not say it."""


class SecureSum(ResultNode[T_co], frozen=True):
    """The sum of what a node of an `EachSite`'s body is at each site: a number, an array of numbers, or a dictionary of
    these, nested. Nobody sees what a single site adds, neither the application nor any other site.

    Sites that are lost are left out as far as the `at_least` of the `EachSite` says, which more than half of them have
    to be, and one more unless the sites' policies allow it; without one, all sites are needed. It is written after the
    body.
    """

    dfm_mean: ClassVar[bool] = False
    """Whether it is parted by the number of the sites."""

    each_site: EachSite
    """The `EachSite`."""
    value: Node
    """The node of its body."""
    bound: float
    """No number is farther from 0; if one is at any site, the sum is an error."""
    precision: float = PRECISION
    """The result is not farther from the sum of all numbers."""

    @taking
    def __init__(
        self,
        each_site: EachSite,
        value: Node[T_co],
        *,
        bound: float,
        precision: float = PRECISION,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        title = type(self).__name__
        data = {"each_site": each_site, "value": value, "bound": bound, "precision": precision}
        graph, node, line = self._write(title, data | {"dfm_node_id": dfm_node_id})
        for name, amount in (("bound", self.bound), ("precision", self.precision)):
            if not 0 < amount < math.inf:
                raise ValuePipelineError(f"{title}: {name} takes a number above 0, not {amount!r}", line)
        self._written(graph, node, line, check_collected(graph, title, each_site, value, line))

    __init__.__pydantic_base_init__ = True  # pyright: ignore


class SecureMean(SecureSum[T_co], frozen=True):
    """The same, parted by the number of the sites that are in it."""

    dfm_mean: ClassVar[bool] = True

    @taking
    def __init__(
        self,
        each_site: EachSite,
        value: Node[T_co],
        *,
        bound: float,
        precision: float = PRECISION,
        dfm_node_id: NodeId | None = None,
    ) -> None:
        super().__init__(each_site, value, bound=bound, precision=precision, dfm_node_id=dfm_node_id)

    __init__.__pydantic_base_init__ = True  # pyright: ignore
