"""What does an application build pipelines with?"""

from typing import TYPE_CHECKING

from dfm._discovery.advice import DISCOVERY_PLACE as DISCOVERY_PLACE_NAME
from dfm._missing import missing
from dfm.api._blocks import ForEach, If, TryFromCache, WriteToCache
from dfm.api._conditions import (
    And,
    Equal,
    GreaterThan,
    GreaterThanOrEqual,
    LessThan,
    LessThanOrEqual,
    Not,
    NotEqual,
    Or,
)
from dfm.api._each_site import EachSite
from dfm.api._operation import Operation, Yield
from dfm.api._pipeline import Pipeline
from dfm.api._references import Advise, Node, NodeId, NodeRef, Part, PickledObject, PlaceParam, Retry, well_known_id
from dfm.api._repeat import Repeat
from dfm.api._secure_sum import SecureMean, SecureSum
from dfm.api._sites import BestOf, Site
from dfm.api._tokens import STATUS_PLACE_NAME, ErrorRecord, ErrorToken, StopToken

if TYPE_CHECKING:
    from dfm.session import PreparedPipeline as PreparedPipeline

ErrorInfo = ErrorRecord
"""Another name for it."""
NodeParam = Node
"""What a parameter takes as another node's result."""

__all__ = [
    "DISCOVERY_PLACE_NAME",
    "STATUS_PLACE_NAME",
    "Advise",
    "And",
    "BestOf",
    "EachSite",
    "Equal",
    "ErrorInfo",
    "ErrorRecord",
    "ErrorToken",
    "ForEach",
    "GreaterThan",
    "GreaterThanOrEqual",
    "If",
    "LessThan",
    "LessThanOrEqual",
    "Node",
    "NodeId",
    "NodeParam",
    "NodeRef",
    "Not",
    "NotEqual",
    "Operation",
    "Or",
    "Part",
    "PickledObject",
    "Pipeline",
    "PlaceParam",
    "Repeat",
    "Retry",
    "SecureMean",
    "SecureSum",
    "Site",
    "StopToken",
    "TryFromCache",
    "WriteToCache",
    "Yield",
    "well_known_id",
]


def __getattr__(name: str) -> object:
    if name == "PreparedPipeline":
        from dfm.session import PreparedPipeline  # which needs this module

        return PreparedPipeline
    raise missing("dfm.api", name)
