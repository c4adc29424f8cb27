"""What does an application build pipelines with?"""

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
from dfm.api._operation import Operation, Yield
from dfm.api._pipeline import Pipeline
from dfm.api._references import Advise, Node, NodeRef, PickledObject, PlaceParam, Retry, well_known_id
from dfm.api._sites import BestOf, Site
from dfm.api._tokens import ErrorRecord, ErrorToken, StopToken

__all__ = [
    "Advise",
    "And",
    "BestOf",
    "Equal",
    "ErrorRecord",
    "ErrorToken",
    "ForEach",
    "GreaterThan",
    "GreaterThanOrEqual",
    "If",
    "LessThan",
    "LessThanOrEqual",
    "Node",
    "NodeRef",
    "Not",
    "NotEqual",
    "Operation",
    "Or",
    "PickledObject",
    "Pipeline",
    "PlaceParam",
    "Retry",
    "Site",
    "StopToken",
    "TryFromCache",
    "WriteToCache",
    "Yield",
    "well_known_id",
]
