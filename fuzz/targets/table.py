"""Do any bytes, as a table from another site, raise what no value may, read what is not theirs, or grow?"""
# pyright: basic, reportMissingImports=false

from fuzzing import fuzz, watched

with watched():
    from dfm import _values
    from dfm.values import _stream
    from dfm.values._arrow import stream
import pyarrow
import things

_MOST = 1 << 20
_values.set_policy(lenient=False, packages=[], most_bytes=_MOST)


def one(data: bytes) -> None:
    try:
        schema, batches = _stream.opened(pyarrow.py_buffer(data))
    except ValueError:
        return
    table = pyarrow.Table.from_batches(batches, schema)
    table.validate(full=True)
    before = pyarrow.total_allocated_bytes()
    try:
        rows = sum(len(str(value)) for column in table.columns for value in column.to_pylist())
    except Exception:
        # A time that Python does not know, for example: an honest table may have one.
        rows = 0
    assert rows <= 64 * _MOST, "rows are much more than what came"
    plain = table.combine_chunks()
    assert pyarrow.total_allocated_bytes() - before <= 64 * _MOST, "one piece of it is much more than what came"
    _values.dumps(plain)


fuzz(
    "table",
    (bytes(stream(table.schema, table.to_batches())) for table in things.tables()[:-1]),
    one,
)
