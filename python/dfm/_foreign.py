"""How do arrays, tables and images of well-known packages travel between sites?

Each package is imported only where one of its values is met. What these packages would believe of bytes that somebody
else has made is looked at before they get them.
"""
# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

import io
import re
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
    elif not isinstance(state, str) or not _DTYPE.fullmatch(state):
        raise ValueError("a data type is one that numpy writes, such as '<f8'")
    dtype = numpy.dtype(state)
    if dtype.hasobject:
        raise TypeError("arrays of Python objects are not accepted")
    return dtype


_DTYPE = re.compile(r"[<>|=]?[?bBiufcmMSUV]\d{0,9}(\[\d{0,9}[A-Za-zμ]{1,2}\])?")
"""As numpy writes types without fields; `O`, an object, is none of them."""


def _restore_numpy(state: Any) -> Any:
    import numpy

    dtype, shape, order, data = state
    if order not in ("C", "F") or not all(type(length) is int for length in shape):
        raise ValueError("an array's encoding is not of its form")
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

    from dfm._arrow import opened

    return opened(pyarrow.py_buffer(state))


def _restore_arrow_batch(state: Any) -> Any:
    batches = _restore_arrow(state).combine_chunks().to_batches()
    if len(batches) != 1:
        raise ValueError("a record batch came that is not one")
    return batches[0]


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
    if value.mode in _BITS:
        return "image", [value.mode, list(value.size), memoryview(value.tobytes())]
    out = io.BytesIO()
    value.save(out, format="PNG")
    return "image-file", out.getvalue()


_BITS = {"1": 1, "L": 8, "RGB": 24, "RGBA": 32, "CMYK": 32, "YCbCr": 24, "LAB": 24, "HSV": 24, "I": 32, "F": 32}
"""Of a pixel, in the modes whose pixels travel as they are; each row begins with a new byte."""


def _restore_image(state: Any) -> Any:
    from PIL import Image

    mode, (width, height), data = state
    if mode not in _BITS or type(width) is not int or type(height) is not int or width < 0 or height < 0:
        raise ValueError("an image's encoding is not of its form")
    # Pillow makes the image before it looks whether there is as much of it.
    if (width * _BITS[mode] + 7) // 8 * height != memoryview(data).nbytes:
        raise ValueError(f"an image of {width}×{height} pixels came that has {memoryview(data).nbytes} bytes")
    return Image.frombytes(mode, (width, height), bytes(data))


def _restore_image_file(state: Any) -> Any:
    from PIL import Image

    from dfm import _values

    # Left to find out, Pillow tries every format that it knows, some of which start other programs.
    image = Image.open(io.BytesIO(state), formats=("PNG",))
    _values.check_growth(4 * image.width * image.height)
    return image


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
