"""How do NumPy's arrays and scalars travel?"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy

from dfm import _values
from dfm.values import _hidden
from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_dict, as_list, malformed, numbers, one_of, text

_DTYPE = re.compile(r"[<>|=]?[?bBiufcmMSUV]\d{0,9}(\[\d{0,9}[A-Za-zμ]{1,2}\])?")
"""As numpy writes types without fields; `O`, an object, is none of them."""
_MOST_DIMENSIONS = 64
"""As NumPy has it."""


def reduce(value: Any) -> Reduced | None:
    """An array or a scalar; None for what is neither."""
    kind: type[Any] = type(value)
    if kind in (numpy.ndarray, numpy.memmap):
        return _of_array(value)
    if isinstance(value, numpy.generic):
        if value.dtype.hasobject:
            raise Unsent("a scalar with objects in it does not travel", "return value.item()")
        if kind is numpy.record:
            return "numpy-record", numpy.asarray(value).view(_plain_dtype(value.dtype))
        # Of an empty text, NumPy gives the bytes of a character.
        told = value if value.dtype.names is None else _hidden.without_gaps(numpy.asarray(value))
        return "numpy-scalar", [of_dtype(value.dtype), told.tobytes()[: value.dtype.itemsize]]
    if value is numpy.ma.masked:
        return "numpy-masked-constant", None
    if kind is numpy.ma.MaskedArray:
        return "numpy-masked", _of_masked(value)
    if kind is numpy.recarray:
        return "numpy-records", value.view(_plain_dtype(value.dtype), numpy.ndarray)
    if kind is numpy.matrix:
        return "numpy-matrix", numpy.asarray(value)
    if isinstance(value, numpy.dtype):
        return "numpy-dtype", of_dtype(value)
    return None


# Types


def of_dtype(dtype: Any) -> Any:
    """A type of elements as plain data: a text, or what its fields are and where."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [of_dtype(base), list(shape)]
    if dtype.names is None:
        return _text_of(dtype)
    fields = [[name, of_dtype(of[0]), of[1], of[2] if len(of) > 2 else None] for name, of in _fields(dtype)]
    return {"fields": fields, "size": dtype.itemsize, "aligned": dtype.isalignedstruct}


@functools.lru_cache(256)
def _text_of(dtype: Any) -> str:
    if not _DTYPE.fullmatch(dtype.str):
        raise Unsent(f"an array of {dtype} does not travel", "use value.astype of a type that others know")
    return dtype.str


@functools.lru_cache(256)
def _named(form: str) -> Any:
    if not _DTYPE.fullmatch(form):
        raise malformed(why="a data type is one that numpy writes, such as '<f8'")
    return numpy.dtype(form)


def _fields(dtype: Any) -> list[tuple[str, Any]]:
    return [(name, dtype.fields[name]) for name in dtype.names]


def _plain_dtype(dtype: Any) -> Any:
    """A record array's type as that of an array."""
    return numpy.dtype((numpy.void, dtype))


def dtype_of(state: Any) -> Any:
    """The type that `of_dtype` made plain."""
    if type(state) is str:
        return _named(state)
    if type(state) is list:
        base, shape = as_list(state, 2)
        return numpy.dtype((dtype_of(base), _shape(shape)))
    form = as_dict(state)
    if form.keys() != {"fields", "size", "aligned"}:
        raise malformed()
    fields = [as_list(field, 4) for field in as_list(form["fields"])]
    names = [text(field[0]) for field in fields]
    titles = [None if field[3] is None else text(field[3]) for field in fields]
    made: dict[str, Any] = {
        "names": names,
        "formats": [dtype_of(field[1]) for field in fields],
        "offsets": numbers([field[2] for field in fields]),
        "itemsize": numbers([form["size"]])[0],
    }
    if any(title is not None for title in titles):
        made["titles"] = titles
    return numpy.dtype(made, align=one_of(form["aligned"], True, False))


# Arrays


def _of_array(value: Any) -> Reduced:
    if value.dtype.char == "T":
        return "numpy-texts", _of_texts(value)
    if value.dtype.hasobject:
        if value.dtype.names is not None:
            raise Unsent("an array with objects in fields does not travel", "return its fields one by one")
        return "numpy-objects", [list(value.shape), value.reshape(-1).tolist()]
    if value.dtype.names is not None:
        value = _hidden.without_gaps(value)
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    flat = numpy.ascontiguousarray(value.T if order == "F" else value)
    return "numpy", [of_dtype(value.dtype), list(value.shape), order, _bytes_of(flat)]


def _bytes_of(flat: Any) -> object:
    if not flat.nbytes:
        return bytearray()
    of_bytes: Any = numpy.ndarray(flat.nbytes, numpy.uint8, flat)
    return memoryview(of_bytes)


def array_of(state: Any) -> Any:
    """The array that `reduce` took apart, which can be written to."""
    dtype, shape, order, data = as_list(state, 4)
    made, lengths, data = dtype_of(dtype), _shape(shape), _writable(data)
    if order != "C" and order != "F":
        raise malformed()
    if made.itemsize == 0:
        _values.check_growth(math.prod(lengths))
    if len(data) != made.itemsize * math.prod(lengths):
        raise malformed(why=f"an array of shape {lengths} and type {made} came that has {len(data)} bytes")
    return numpy.ndarray(lengths, made, data, order=order)


def _writable(data: Any) -> Any:
    if type(data) is memoryview and not data.readonly and data.contiguous and data.format == "B":
        return data
    if type(data) in (bytearray, memoryview):
        return bytearray(data)
    raise malformed()


def _shape(state: Any) -> tuple[int, ...]:
    lengths = as_list(state)
    if len(lengths) > _MOST_DIMENSIONS:
        raise malformed()
    for length in lengths:
        if type(length) is not int or length < 0:
            raise malformed()
    return tuple(lengths)


def _objects(state: Any) -> Any:
    shape, cells = as_list(state, 2)
    lengths, items = _shape(shape), as_list(cells)
    if math.prod(lengths) != len(items):
        raise malformed()
    made = numpy.empty(len(items), object)
    # Assigned together, cells that are sequences would become dimensions.
    for at, item in enumerate(items):
        made[at] = item
    return made.reshape(lengths)


def _where_object(value: Any, steps: Sequence[Any]) -> str:
    if steps[:1] != [1] or len(steps) < 2:
        return ""
    index = numpy.unravel_index(steps[1], value.shape)
    return f"[{', '.join(map(str, index))}]" + "".join(f"[{step!r}]" for step in steps[2:] if type(step) is int)


def _of_texts(value: Any) -> list[Any]:
    missing = getattr(value.dtype, "na_object", "")
    if missing != "" and missing is not None and not (isinstance(missing, float) and math.isnan(missing)):
        raise Unsent("an array of texts travels whose missing ones are None or nan", "use value.astype")
    return [list(value.shape), value.dtype.coerce, missing, value.reshape(-1).tolist()]


def _texts(state: Any) -> Any:
    shape, coerce, missing, cells = as_list(state, 4)
    options: dict[str, Any] = {} if missing == "" else {"na_object": missing}
    if missing not in ("", None) and not (type(missing) is float and math.isnan(missing)):
        raise malformed()
    for cell in as_list(cells):
        if type(cell) is not str and (missing == "" or type(cell) is not type(missing)):
            raise malformed()
    lengths = _shape(shape)
    if math.prod(lengths) != len(cells):
        raise malformed()
    return numpy.array(cells, numpy.dtypes.StringDType(coerce=one_of(coerce, True, False), **options)).reshape(lengths)


# Masked arrays, records, matrices


def _of_masked(value: Any) -> list[Any]:
    mask = None if value.mask is numpy.ma.nomask else value.mask
    fill: Any = value._fill_value
    data = numpy.asarray(value.data)
    return [
        data if mask is None else _hidden.blanked(data, mask),
        mask,
        None if fill is None else numpy.asarray(fill),
        value.hardmask,
    ]


def _masked(state: Any) -> Any:
    data, mask, fill, hard = as_list(state, 4)
    dtype = _array(data).dtype
    if mask is not None and (_array(mask).shape != data.shape or mask.dtype != numpy.ma.make_mask_descr(dtype)):
        raise malformed()
    if fill is not None and (_array(fill).shape != () or fill.dtype != dtype):
        raise malformed()
    made = numpy.ma.MaskedArray(data, numpy.ma.nomask if mask is None else mask, hard_mask=one_of(hard, True, False))
    if fill is not None:
        made.fill_value = fill[()]
    return made


def _array(state: Any) -> Any:
    if type(state) is not numpy.ndarray:
        raise malformed()
    return state


def _records(state: Any) -> Any:
    if _array(state).dtype.names is None:
        raise malformed()
    return state.view(numpy.recarray)


def _matrix(state: Any) -> Any:
    if _array(state).ndim != 2:
        raise malformed()
    return state.view(numpy.matrix)


def _scalar(state: Any) -> Any:
    dtype, data = as_list(state, 2)
    made = dtype_of(dtype)
    if type(data) is not bytes or len(data) != made.itemsize or made.subdtype is not None:
        raise malformed()
    return numpy.ndarray((), made, bytearray(data))[()]


RESTORE: dict[str, Callable[[Any], Any]] = {
    "numpy": array_of,
    "numpy-scalar": _scalar,
    "numpy-objects": _objects,
    "numpy-texts": _texts,
    "numpy-masked": _masked,
    "numpy-masked-constant": lambda _: numpy.ma.masked,
    "numpy-records": _records,
    "numpy-record": lambda state: _records(state)[()],
    "numpy-matrix": _matrix,
    "numpy-dtype": dtype_of,
}

WHERE: dict[str, Callable[[Any, Sequence[Any]], str]] = {"numpy-objects": _where_object}
