"""How do Polars' frames and series travel?

As Arrow's, which they are inside.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import polars

from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_list, malformed, text


def reduce(value: Any) -> Reduced | None:
    """A frame or a series; None for another."""
    if type(value) is polars.DataFrame:
        for name, kind in value.schema.items():
            _check(kind, f"the column {name!r}")
        return "polars", value.to_arrow()
    if type(value) is polars.Series:
        _check(value.dtype, "it")
        return "polars-series", [value.name, value.to_frame("").to_arrow()]
    if type(value) is polars.LazyFrame:
        raise Unsent("it is not computed yet", "return value.collect()")
    return None


def _check(kind: Any, what: str) -> None:
    if kind == polars.Object:
        raise Unsent(f"{what} has objects of Python's, which Arrow has not", "return value.to_dicts()")


def _frame(state: Any) -> Any:
    kind: type[Any] = type(state)
    if f"{kind.__module__}.{kind.__qualname__}" != "pyarrow.lib.Table":
        raise malformed()
    return polars.DataFrame(state)


def _series(state: Any) -> Any:
    name, table = as_list(state, 2)
    frame = _frame(table)
    if frame.width != 1:
        raise malformed()
    return frame.to_series().alias(text(name))


RESTORE: dict[str, Callable[[Any], Any]] = {"polars": _frame, "polars-series": _series}
