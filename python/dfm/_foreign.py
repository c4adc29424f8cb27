"""How do arrays, tables and images of well-known packages travel between sites?

Each package is imported only where one of its values is met.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import io
from collections.abc import Callable
from typing import Any


def _reduce_numpy(value: Any) -> tuple[str, Any] | None:
    import numpy

    if isinstance(value, numpy.generic) and not value.dtype.hasobject:
        return "numpy-scalar", [_dtype(value.dtype), value.tobytes()]
    if type(value) is not numpy.ndarray or value.dtype.hasobject:
        return None
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    flat = numpy.ascontiguousarray(value.T if order == "F" else value)
    flat_bytes: Any = flat.reshape(-1).view(numpy.uint8)
    data: object = memoryview(flat_bytes) if flat.nbytes else b""
    return "numpy", [_dtype(value.dtype), list(value.shape), order, data]


def _dtype(dtype: Any) -> Any:
    return dtype.str if dtype.names is None else dtype.descr


def _restore_dtype(state: Any) -> Any:
    import numpy

    if isinstance(state, list):
        fields = state
        state = [(field[0], _restore_dtype(field[1]), *map(tuple, field[2:])) for field in fields]
    dtype = numpy.dtype(state)
    if dtype.hasobject:
        raise TypeError("arrays of Python objects are not accepted")
    return dtype


def _restore_numpy(state: Any) -> Any:
    import numpy

    dtype, shape, order, data = state
    return numpy.frombuffer(data, numpy.uint8).view(_restore_dtype(dtype)).reshape(shape, order=order)


def _restore_numpy_scalar(state: Any) -> Any:
    import numpy

    return numpy.frombuffer(state[1], _restore_dtype(state[0]))[0]


def _reduce_arrow(value: Any) -> tuple[str, Any] | None:
    import pyarrow

    if isinstance(value, pyarrow.RecordBatch):
        return "arrow-batch", _arrow_bytes(pyarrow.Table.from_batches([value]))
    if isinstance(value, pyarrow.Table):
        return "arrow", _arrow_bytes(value)
    return None


def _arrow_bytes(table: Any) -> memoryview:
    import pyarrow

    sink = pyarrow.BufferOutputStream()
    with pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def _restore_arrow(state: Any) -> Any:
    import pyarrow

    return pyarrow.ipc.open_stream(pyarrow.py_buffer(state)).read_all()


def _restore_arrow_batch(state: Any) -> Any:
    return _restore_arrow(state).combine_chunks().to_batches()[0]


def _reduce_pandas(value: Any) -> tuple[str, Any] | None:
    try:
        import pandas
        import pyarrow
    except ImportError:
        return None
    if type(value) is pandas.DataFrame:
        return "pandas", _arrow_bytes(pyarrow.Table.from_pandas(value))
    return None


def _restore_pandas(state: Any) -> Any:
    return _restore_arrow(state).to_pandas()


def _reduce_polars(value: Any) -> tuple[str, Any] | None:
    import polars

    return ("polars", _arrow_bytes(value.to_arrow())) if type(value) is polars.DataFrame else None


def _restore_polars(state: Any) -> Any:
    import polars

    return polars.from_arrow(_restore_arrow(state))


def _reduce_image(value: Any) -> tuple[str, Any] | None:
    from PIL import Image

    if not isinstance(value, Image.Image):
        return None
    if value.mode in _RAW_MODES:
        return "image", [value.mode, list(value.size), memoryview(value.tobytes())]
    out = io.BytesIO()
    value.save(out, format="PNG")
    return "image-file", out.getvalue()


_RAW_MODES = frozenset({"1", "L", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F"})


def _restore_image(state: Any) -> Any:
    from PIL import Image

    return Image.frombytes(state[0], tuple(state[1]), bytes(state[2]))


def _restore_image_file(state: Any) -> Any:
    from PIL import Image

    return Image.open(io.BytesIO(state))


REDUCE: dict[str, Callable[[Any], tuple[str, Any] | None]] = {
    "numpy": _reduce_numpy,
    "pyarrow": _reduce_arrow,
    "pandas": _reduce_pandas,
    "polars": _reduce_polars,
    "PIL": _reduce_image,
}
"""By top-level package: a name and a simpler value, or None for a type that has no encoding of its own."""

RESTORE: dict[str, Callable[[Any], Any]] = {
    "numpy": _restore_numpy,
    "numpy-scalar": _restore_numpy_scalar,
    "arrow": _restore_arrow,
    "arrow-batch": _restore_arrow_batch,
    "pandas": _restore_pandas,
    "polars": _restore_polars,
    "image": _restore_image,
    "image-file": _restore_image_file,
}
"""By the name that a value was reduced to."""
