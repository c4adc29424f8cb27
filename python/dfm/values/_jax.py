"""How do JAX's arrays travel?

Their values do; on which devices they are is up to the process that gets them.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import jax
import numpy

from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_list, malformed, one_of

_AS = {"bfloat16": "uint16"}
"""Types that NumPy has not, and those that their bits are taken as."""


def reduce(value: Any) -> Reduced | None:
    """An array; None for another."""
    if not isinstance(value, jax.Array):
        return None
    if isinstance(value, jax.core.Tracer) or not value.is_fully_addressable:
        raise Unsent("it is being traced, or is spread over other processes", "return a value that is there")
    if jax.dtypes.issubdtype(value.dtype, jax.dtypes.extended):
        raise Unsent(f"an array of {value.dtype} does not travel", "return jax.random.key_data(value)")
    name, array = value.dtype.name, numpy.asarray(value)
    return "jax", [name, array.view(_AS[name]) if name in _AS else array]


def _array(state: Any) -> Any:
    name, array = as_list(state, 2)
    if type(array) is not numpy.ndarray or array.dtype.hasobject:
        raise malformed()
    if array.dtype.name != name:
        if array.dtype.name != _AS[one_of(name, *_AS)]:
            raise malformed()
        array = array.view(jax.numpy.dtype(name))
    made = jax.numpy.asarray(array)
    if made.dtype != array.dtype:
        raise malformed(
            TypeError, f"an array of {array.dtype} came, which JAX makes {made.dtype} here; set jax_enable_x64"
        )
    return made


RESTORE: dict[str, Callable[[Any], Any]] = {"jax": _array}
