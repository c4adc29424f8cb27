"""May a stream of Arrow data from another process be read, and what is in it?

Arrow's own reader believes a stream: offsets that lead out of a buffer read the process's memory, and a compressed
buffer becomes as large as it says. So a stream is looked at before it is read, message by message, and every value of
it is checked before anybody sees one.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false, reportUnknownParameterType=false
# pyright: reportAttributeAccessIssue=false

import struct
from collections.abc import Iterator
from typing import Any

from dfm import _values

_CELL = 8
"""Bytes that a cell may take where a table becomes another one."""
_UNHELD = ("month_interval", "day_time_interval")
"""Arrow's types that Python has no class for."""
_PICKLED = b"arrow.py_extension_type"
"""The name of Arrow's types that were written as Python's pickles."""


def opened(stream: Any) -> tuple[Any, list[Any]]:
    """The schema and the record batches that a `pyarrow.Buffer` holds.

    Raises:
        ValueError: it is not one that dfm writes, or it is damaged.
    """
    import pyarrow

    try:
        for message in _messages(stream):
            if message.type in ("record batch", "dictionary") and _is_compressed(message):
                raise ValueError("a table came whose parts are compressed, as dfm sends none")
        reader = pyarrow.ipc.open_stream(stream)
        for field in reader.schema:
            _check_field(field)
        batches: list[Any] = []
        cells, spread = 0, 0.0
        for batch in reader:
            batch.validate(full=True)
            cells += batch.num_rows * max(1, batch.num_columns)
            # A column of nothing but nulls says how long it is and has no bytes for that.
            _values.check_growth(int(_CELL * cells + spread))
            _check_views(batch)
            spread += sum(_spread(column) for column in batch.columns)
            _values.check_growth(int(_CELL * cells + spread))
            batches.append(batch)
        return reader.schema, batches
    except (pyarrow.ArrowException, OSError, struct.error, EOFError, UnicodeDecodeError) as error:
        raise ValueError(f"a table came that is damaged: {error}") from None


def _messages(stream: Any) -> Iterator[Any]:
    import pyarrow

    reader = pyarrow.ipc.MessageReader.open_stream(stream)
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _check_field(field: Any) -> None:
    import pyarrow
    from pyarrow import types

    kind = field.type
    # A name that is no text is found where it is asked for, which is the first time here.
    named = f"the column or field '{field.name}'"
    is_pickled = (field.metadata or {}).get(b"ARROW:extension:name") == _PICKLED
    if is_pickled or str(kind).startswith("extension<arrow.py_ext"):
        raise ValueError(f"a table came in which {named} has a type that is written as code of Python's")
    # Where there is a union of nothing, functions of Arrow's end the process.
    if str(kind) in _UNHELD or (types.is_union(kind) and kind.num_fields == 0):
        raise ValueError(f"a table came in which {named} has the type {kind}, which Python cannot hold")
    if types.is_dictionary(kind):
        _check_field(pyarrow.field(field.name, kind.value_type))
    for at in range(kind.num_fields):
        _check_field(kind.field(at))


def _check_views(batch: Any) -> None:
    """A view looks at any part of a buffer, and many may look at the same large one."""
    import pyarrow

    for column in batch.columns:
        if pyarrow.types.is_string_view(column.type) or pyarrow.types.is_binary_view(column.type):
            # Each view has 16 bytes, of which the first four are its length; one of nothing may say anything.
            views = column.buffers()[1]
            lengths = memoryview(views).cast("B")[: 16 * len(column)].cast("i")[::4] if views is not None else []
            _values.check_growth(sum(max(0, length) for length in lengths))
        elif "view" in str(column.type):
            raise ValueError(f"a table came with a column of type {column.type}, which dfm does not take")


def _spread(array: Any) -> float:
    """How many bytes more than its own an array becomes once each row has what is said once for many, or for all."""
    from pyarrow import types

    kind = array.type
    if hasattr(kind, "storage_type"):
        return _spread(array.storage)
    if types.is_dictionary(kind):
        return _claimed([array.dictionary]) + _in_all(_lengths(array.dictionary), array.indices)
    if types.is_run_end_encoded(kind):
        return _claimed([array.values]) + _in_all_runs(_lengths(array.values), array.run_ends)
    return _claimed(_parts(array))


def _claimed(parts: list[Any]) -> float:
    """The same of what is within an array, with what its length alone claims."""
    return _CELL * sum(len(one) for one in parts if _is_bare(one.type)) + sum(_spread(one) for one in parts)


def _parts(array: Any) -> list[Any]:
    """The arrays that an array is made of."""
    from pyarrow import types

    kind = array.type
    if types.is_map(kind):
        return [array.keys, array.items]
    if types.is_struct(kind) or types.is_union(kind):
        return [array.field(at) for at in range(kind.num_fields)]
    return [array.values] if types.is_nested(kind) else []


def _is_bare(kind: Any) -> bool:
    """Whether arrays of this type may be long and have few bytes or none."""
    from pyarrow import types

    if types.is_struct(kind):
        return kind.num_fields == 0
    if types.is_fixed_size_list(kind):
        return kind.list_size == 0
    return types.is_null(kind) or types.is_boolean(kind) or (types.is_fixed_size_binary(kind) and kind.byte_width == 0)


def _lengths(values: Any) -> Any:
    """About how many bytes each of the values has; one number where that is the same for all."""
    import pyarrow.compute
    from pyarrow import types

    kind = values.type
    if hasattr(kind, "storage_type"):
        return _lengths(values.storage)
    if types.is_struct(kind):
        lengths = [_lengths(part) for part in _parts(values)]
        each = float(_CELL + sum(length for length in lengths if isinstance(length, float)))
        for length in lengths:
            each = each if isinstance(length, float) else pyarrow.compute.add(length, each)
        return each
    if any(fits(kind) for fits in (types.is_string, types.is_binary, types.is_large_string, types.is_large_binary)):
        return pyarrow.compute.fill_null(pyarrow.compute.binary_length(values), 0).cast("float64")
    return float(_CELL if types.is_primitive(kind) else values.nbytes)


def _in_all(lengths: Any, indices: Any) -> float:
    import pyarrow.compute

    if isinstance(lengths, float):
        return lengths * len(indices)
    return pyarrow.compute.sum(pyarrow.compute.take(lengths, indices)).as_py() or 0.0


def _in_all_runs(lengths: Any, ends: Any) -> float:
    import pyarrow.compute

    if len(ends) == 0:
        return 0.0
    ends = ends.cast("float64")
    runs = pyarrow.compute.subtract(ends, pyarrow.concat_arrays([pyarrow.array([0.0]), ends[:-1]]))
    return pyarrow.compute.sum(pyarrow.compute.multiply(runs, lengths)).as_py()


# A message's metadata is a flatbuffer: https://flatbuffers.dev/internals/. Its fields are numbered as in Arrow's
# format/Message.fbs.
_HEADER = 2
_DICTIONARY_DATA = 1
_COMPRESSION = 3


def _is_compressed(message: Any) -> bool:
    data = memoryview(message.metadata)
    table = struct.unpack_from("<I", data, 0)[0]
    batch = _table(data, table, _HEADER)
    if message.type == "dictionary" and batch is not None:
        batch = _table(data, batch, _DICTIONARY_DATA)
    return batch is not None and _table(data, batch, _COMPRESSION) is not None


def _table(data: memoryview, table: int, field: int) -> int | None:
    """Where the table in a table's field begins; None if it has none."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    if struct.unpack_from("<H", data, fields)[0] < 6 + 2 * field:
        return None
    offset = struct.unpack_from("<H", data, fields + 4 + 2 * field)[0]
    if offset == 0:
        return None
    at = table + offset
    return at + struct.unpack_from("<I", data, at)[0]
