"""How do numbers and arrays travel?"""
# pyright: basic, reportMissingImports=false

from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, RecordDict


def packed(values: dict[str, Any]) -> RecordDict:
    """By their names."""
    return RecordDict({"values": ArrayRecord({name: Array(np.asarray(value)) for name, value in values.items()})})


def unpacked(content: RecordDict) -> dict[str, Any]:
    """The same."""
    return {name: array.numpy() for name, array in content.array_records["values"].items()}
