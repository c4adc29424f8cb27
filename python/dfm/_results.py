"""How are a pipeline's values shown to people, written as JSON, and saved?"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from dfm._values import check_columns
from dfm.api import ErrorRecord
from dfm.exec import Frame

_LONG = 2000
"""Longer texts are shown cut."""


def as_text(value: Any) -> str:
    """One value for people; arrays, tables and images as what they are, not as all that is in them."""
    if isinstance(value, str):
        return value
    if (described := _described(value)) is not None:
        return described
    text = repr(value)
    return text if len(text) <= _LONG else f"{text[:_LONG]}… ({len(text)} characters)"


def as_json(value: Any) -> Any:
    """One value as JSON can say it; what it cannot is described."""
    try:
        # As JSON has it, what is not a number is null.
        return json.loads(json.dumps(value, default=_plain), parse_constant=lambda _: None)
    except (TypeError, ValueError, RecursionError):
        return {"description": as_text(value)}


def save(value: Any, folder: Path, name: str) -> Path:
    """Saves one value in the form that fits its type: `.npy`, `.png`, `.parquet`, `.bin`, `.txt` or `.json`.

    Raises:
        OSError: the file cannot be written.
        ValueError: it is a table of which two columns have one name.
    """
    check_columns(value)
    folder.mkdir(parents=True, exist_ok=True)
    kind = type(value).__module__.partition(".")[0]
    if kind == "numpy" and hasattr(value, "shape"):
        import numpy

        path = folder / f"{name}.npy"
        numpy.save(path, value, allow_pickle=False)
    elif kind == "PIL":
        path = folder / f"{name}.png"
        value.save(path)
    elif kind == "pandas" and hasattr(value, "to_parquet"):
        path = folder / f"{name}.parquet"
        value.to_parquet(path)
    elif kind == "polars" and hasattr(value, "write_parquet"):
        path = folder / f"{name}.parquet"
        value.write_parquet(path)
    elif kind == "pyarrow" and hasattr(value, "num_rows"):
        import pyarrow.parquet

        path = folder / f"{name}.parquet"
        table = value if isinstance(value, pyarrow.Table) else pyarrow.Table.from_batches([value])
        pyarrow.parquet.write_table(table, path)
    elif isinstance(value, bytes | bytearray | memoryview):
        path = folder / f"{name}.bin"
        path.write_bytes(value)
    elif isinstance(value, str):
        path = folder / f"{name}.txt"
        path.write_text(value, encoding="utf-8")
    else:
        path = folder / f"{name}.json"
        path.write_text(json.dumps(as_json(value), indent=2) + "\n", encoding="utf-8")
    return path


def error_text(error: ErrorRecord) -> str:
    """One error for people: what happened, where, and the adapter's own traceback."""
    what = f"in {error.operation} " if error.operation else ""
    frame = "" if error.frame is None else f", frame {error.frame}"
    line = f", from {error.line}" if error.line else ""
    text = f"{error.type}: {error.message}\n  {what}at site '{error.site}'{frame}{line}"
    if error.stack_trace:
        text += "\n    " + error.stack_trace.rstrip().replace("\n", "\n    ")
    return text


def _described(value: Any) -> str | None:
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if module == "numpy" and getattr(value, "size", 1) > 100:
        return f"<array of {value.dtype}, shape {value.shape}>"
    if module == "PIL":
        return f"<image, {value.mode}, {value.width}×{value.height}>"
    if module in ("pandas", "polars") and hasattr(value, "shape"):
        return f"<table of {value.shape[0]} rows, {value.shape[1]} columns>"
    if module == "pyarrow" and hasattr(value, "num_rows"):
        return f"<table of {value.num_rows} rows, {value.num_columns} columns>"
    if isinstance(value, bytes | bytearray) and len(value) > 100:
        return f"<{len(value)} bytes>"
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Frame):
        return value.frame
    if dataclasses.is_dataclass(type(value)):
        return dataclasses.asdict(value)
    if isinstance(value, set | frozenset | tuple):
        return list(cast("set[Any]", value))
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if type(value).__module__.partition(".")[0] == "numpy" and getattr(value, "size", 1) <= 100:
        return value.tolist()
    return {"description": as_text(value)}
