"""How do SciPy's sparse matrices and arrays travel?

SciPy's compiled code believes the indices that it is given, so all are looked at before it sees one.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import numpy
import scipy.sparse

from dfm import _values
from dfm.values._files import Reduced
from dfm.values._form import as_list, malformed, numbers, one_of

_COMPRESSED = ("csr", "csc", "bsr")
_BY_PLACES = ("coo", "dok", "lil")


def reduce(value: Any) -> Reduced | None:
    """A sparse matrix or array; None for another."""
    if not scipy.sparse.issparse(value) or type(value) is not _class(
        value.format, isinstance(value, scipy.sparse.spmatrix)
    ):
        return None
    head = [value.format, isinstance(value, scipy.sparse.spmatrix), list(value.shape)]
    if value.format in _COMPRESSED:
        return "scipy-sparse", [*head, value.data, value.indices, value.indptr]
    if value.format == "dia":
        return "scipy-sparse", [*head, value.data, value.offsets]
    coo = value if value.format == "coo" else value.tocoo()
    return "scipy-sparse", [*head, coo.data, *coo.coords]


def _class(form: str, is_matrix: bool) -> Any:
    return getattr(scipy.sparse, f"{form}_{'matrix' if is_matrix else 'array'}")


def _sparse(state: Any) -> Any:
    form, is_matrix, shape, *arrays = as_list(state)
    make = _class(one_of(form, *_COMPRESSED, *_BY_PLACES, "dia"), one_of(is_matrix, True, False))
    lengths = tuple(numbers(shape))
    if not lengths or any(not 0 <= length < 1 << 62 for length in lengths) or not arrays:
        raise malformed()
    if any(type(array) is not numpy.ndarray or array.dtype.hasobject for array in arrays):
        raise malformed()
    data, *places = arrays
    if data.dtype.kind not in "?biufc" or any(array.dtype not in (numpy.int32, numpy.int64) for array in places):
        raise malformed()
    if form in _COMPRESSED:
        return _compressed(make, lengths, data, places)
    if any(array.ndim != 1 for array in places):
        raise malformed()
    if form == "dia":
        return _diagonals(make, lengths, data, places)
    return _by_places(make, form, lengths, data, places)


def _compressed(make: Any, shape: tuple[int, ...], data: Any, places: list[Any]) -> Any:
    if len(places) != 2:
        raise malformed()
    made = make((data, *places), shape=shape, copy=False)
    # Without the full check, it believes each index.
    made.check_format(full_check=True)
    return made


def _diagonals(make: Any, shape: tuple[int, ...], data: Any, places: list[Any]) -> Any:
    if len(places) != 1 or len(shape) != 2 or data.ndim != 2 or len(data) != len(places[0]):
        raise malformed()
    (offsets,) = places
    if len(offsets) and not (-shape[0] <= offsets.min() and offsets.max() <= shape[1]):
        raise malformed()
    return make((data, offsets), shape=shape, copy=False)


def _by_places(make: Any, form: str, shape: tuple[int, ...], data: Any, places: list[Any]) -> Any:
    if len(places) != len(shape) or data.ndim != 1 or any(len(array) != len(data) for array in places):
        raise malformed()
    for array, length in zip(places, shape, strict=True):
        if len(array) and not 0 <= array.min() <= array.max() < length:
            raise malformed()
    if form == "lil":
        _values.check_growth(_ROW * shape[0])
    coo = _class("coo", issubclass(make, scipy.sparse.spmatrix))((data, tuple(places)), shape=shape, copy=False)
    return coo if form == "coo" else make(coo)


_ROW = 256
"""Bytes that a row of lists takes, though it is empty."""

RESTORE: dict[str, Callable[[Any], Any]] = {"scipy-sparse": _sparse}
