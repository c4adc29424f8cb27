"""What did the sites answer to a pipeline in discovery mode?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dfm._discovery.advice import (
    DISCOVERY_PLACE,
    BranchFieldAdvice,
    Edge,
    ErrorFieldAdvice,
    FieldAdvice,
    PartialFieldAdvice,
    SingleFieldAdvice,
    SiteAdvice,
    advice_data,
)
from dfm._discovery.answers import AdvisedDateRange, AdvisedDict, AdvisedLiteral, AdvisedOneOf, AdvisedSubsetOf
from dfm.api._operation import Operation
from dfm.api._references import NodeId
from dfm.errors import AdviceError, PartialError

__all__ = [
    "DISCOVERY_PLACE",
    "AdviceError",
    "AdvisedDateRange",
    "AdvisedDict",
    "AdvisedLiteral",
    "AdvisedOneOf",
    "AdvisedSubsetOf",
    "BranchFieldAdvice",
    "Discovery",
    "Edge",
    "ErrorFieldAdvice",
    "FieldAdvice",
    "OperationAdvice",
    "PartialError",
    "PartialFieldAdvice",
    "SingleFieldAdvice",
    "SiteAdvice",
]


@dataclass(frozen=True)
class OperationAdvice(Mapping[tuple[str, str | None], Edge]):
    """(site, provider) → the tree of one operation there. The provider is `None` for the site itself."""

    node: NodeId
    """The pipeline's node."""
    operation: str
    line: str | None
    """The user's `file:line` that made the node."""
    unknown: Mapping[str, str]
    """The parameters that nobody was asked about, as only a run of the pipeline gives their value → what gives it."""
    answers: tuple[SiteAdvice, ...]
    """What the sites said, in the federation's order."""

    def __getitem__(self, key: tuple[str, str | None]) -> Edge:
        for one in self.answers:
            if (one.site, one.provider) == key:
                return one.advice
        raise KeyError(key)

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        return ((one.site, one.provider) for one in self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    def __str__(self) -> str:
        line = f", {self.line}" if self.line else ""
        unknown = [f"  {name}: not checked, {source} gives it" for name, source in self.unknown.items()]
        answers = [f"  {line}" for one in self.answers for line in str(one).splitlines()]
        return "\n".join([f"{self.operation} (node {self.node}{line})", *unknown, *answers])


@dataclass(frozen=True)
class Discovery(Mapping[NodeId, OperationAdvice]):
    """Node → what was discovered for its operation. `print` shows it to people."""

    operations: tuple[OperationAdvice, ...]
    """In the order of the pipeline."""

    def __getitem__(self, key: NodeId | Operation) -> OperationAdvice:
        node = key.dfm_node_id if isinstance(key, Operation) else key
        for one in self.operations:
            if one.node == node:
                return one
        raise KeyError(key)

    def __iter__(self) -> Iterator[NodeId]:
        return (one.node for one in self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def __str__(self) -> str:
        return "\n\n".join(map(str, self.operations))

    def to_data(self) -> list[dict[str, Any]]:
        """The same as plain dictionaries and lists, around values that are whatever they are: one entry for each
        operation, site and provider."""
        return [
            {
                "node": operation.node,
                "operation": operation.operation,
                "site": one.site,
                "provider": one.provider,
                "advice": advice_data(one.advice),
            }
            for operation in self.operations
            for one in operation.answers
        ]
