"""What is in a value that leaves a site, whichever of the policy's questions is asked of it?"""

from __future__ import annotations

import dataclasses
from typing import Any

from dfm.exec._types import scalar

DEEPEST = 200
"""As deep as a value may be that is sent at all."""
TABLES = {"pandas": ("DataFrame", "Series"), "polars": ("DataFrame", "Series"), "pyarrow": ("Table", "RecordBatch")}
"""Packages, and their classes that are tables."""


def fields(value: Any) -> list[tuple[str, Any]]:
    """An object's fields, those that it has."""
    if not dataclasses.is_dataclass(value):
        return list(getattr(value, "__dict__", {}).items())
    names = [field.name for field in dataclasses.fields(value)]
    return [(name, getattr(value, name)) for name in names if hasattr(value, name)]


def is_fewer(count: Any, least: int) -> bool:
    """Whether a count is below the least, or is none."""
    number: Any = scalar(count.as_py() if hasattr(count, "as_py") else count)
    return isinstance(number, bool) or not isinstance(number, int | float) or not number >= least


def type_name(value: object) -> str:
    """The name of a value's type, with its module."""
    return f"{type(value).__module__}.{type(value).__qualname__}"
