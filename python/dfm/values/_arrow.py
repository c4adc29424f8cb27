"""How do PyArrow's tables and arrays travel?

As Arrow's stream format; `dfm.values._stream` looks at one before it is believed.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import pyarrow

from dfm.values._files import Reduced
from dfm.values._form import malformed
from dfm.values._hidden import of_batch
from dfm.values._stream import opened


def reduce(value: Any) -> Reduced | None:
    """A table, a batch, an array, a scalar or a schema; None for another."""
    if isinstance(value, pyarrow.Table):
        return "arrow", stream(value.schema, value.to_batches())
    if isinstance(value, pyarrow.RecordBatch):
        return "arrow-batch", stream(value.schema, [value])
    if isinstance(value, pyarrow.Array):
        return "arrow-array", stream_of(value.type, [value])
    if isinstance(value, pyarrow.ChunkedArray):
        return "arrow-chunks", stream_of(value.type, value.chunks)
    if isinstance(value, pyarrow.Scalar):
        return "arrow-scalar", stream_of(value.type, [pyarrow.array([value], value.type)])
    if isinstance(value, pyarrow.Schema):
        return "arrow-schema", stream(value, [])
    if isinstance(value, pyarrow.DataType):
        return "arrow-type", stream_of(value, [])
    return None


def stream(schema: Any, batches: list[Any]) -> memoryview:
    """Batches as one piece of bytes."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(of_batch(batch))
    return memoryview(sink.getvalue()).cast("B")


def stream_of(kind: Any, chunks: list[Any]) -> memoryview:
    """A column's chunks as one piece of bytes."""
    schema = pyarrow.schema([pyarrow.field("", kind)])
    return stream(schema, [pyarrow.record_batch([chunk], schema=schema) for chunk in chunks])


def batches_of(state: Any) -> tuple[Any, list[Any]]:
    """The schema and the batches of a stream."""
    if type(state) not in (bytes, bytearray, memoryview):
        raise malformed()
    return opened(pyarrow.py_buffer(state))


def chunks_of(state: Any) -> tuple[Any, list[Any]]:
    """The type and the chunks of the only column of a stream."""
    schema, batches = batches_of(state)
    if len(schema) != 1:
        raise malformed()
    return schema.field(0).type, [batch.column(0) for batch in batches]


def _table(state: Any) -> Any:
    schema, batches = batches_of(state)
    return pyarrow.Table.from_batches(batches, schema)


def _one(found: list[Any]) -> Any:
    if len(found) != 1:
        raise malformed()
    return found[0]


def _scalar(state: Any) -> Any:
    return _one(_one(chunks_of(state)[1]))


RESTORE: dict[str, Callable[[Any], Any]] = {
    "arrow": _table,
    "arrow-batch": lambda state: _one(batches_of(state)[1]),
    "arrow-array": lambda state: _one(chunks_of(state)[1]),
    "arrow-chunks": lambda state: pyarrow.chunked_array(*reversed(chunks_of(state))),
    "arrow-scalar": _scalar,
    "arrow-schema": lambda state: batches_of(state)[0],
    "arrow-type": lambda state: chunks_of(state)[0],
}
