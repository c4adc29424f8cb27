"""How does an adapter that was written for another engine's telemetry measure?

The spans are those of `Site.telemetry_span`, told to the site's logger at debug level.
"""

from contextlib import AbstractContextManager

from dfm.exec import DfmContext, Span
from dfm.exec._span import measured

__all__ = ["Span", "SpanBuilder", "adapter_span"]

SpanBuilder = Span
"""Another name for it."""


def adapter_span(dfm_context: DfmContext, adapter_name: str, operation_name: str) -> AbstractContextManager[Span]:
    """Measures what an adapter does inside it."""
    return measured(adapter_name, {"operation": operation_name}, dfm_context.logger)
