"""How do PyTorch's tensors travel?

Their values do, from the processor's memory to the processor's memory: neither a device nor a graph of gradients.
"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

import numpy
import torch

from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_list, malformed, one_of, text

_AS = {
    "bfloat16": "int16",
    **dict.fromkeys(("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"), "uint8"),
}
"""Types that NumPy has not, and those that their bits are taken as."""
_TYPES = (
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
    *_AS,
)


def reduce(value: Any) -> Reduced | None:
    """A tensor, a parameter, a size or a type; None for another."""
    kind: type[Any] = type(value)
    if kind is torch.Size:
        return "torch-size", list(value)
    if kind is torch.dtype and (named := _name(value)) in _TYPES:
        return "torch-dtype", named
    if kind not in (torch.Tensor, torch.nn.Parameter):
        return None
    if value.device.type != "cpu":
        raise Unsent(f"it is on the device {value.device.type}", "return value.cpu()")
    if value.grad_fn is not None:
        raise Unsent("its gradient's graph does not travel", "return value.detach()")
    name = _name(value.dtype)
    if value.layout is not torch.strided or name not in _TYPES:
        raise Unsent(
            f"a tensor of {value.dtype} and {value.layout} does not travel", "return value.to_dense() or value.to(…)"
        )
    plain = value.detach().resolve_conj().resolve_neg().contiguous()
    if name in _AS:
        plain = plain.view(getattr(torch, _AS[name]))
    return "torch", [kind is torch.nn.Parameter, name, value.requires_grad, plain.numpy()]


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _tensor(state: Any) -> Any:
    is_parameter, name, requires_grad, array = as_list(state, 4)
    if type(array) is not numpy.ndarray or array.dtype.name != _AS.get(one_of(text(name), *_TYPES), name):
        raise malformed()
    one_of(requires_grad, True, False)
    made = torch.from_numpy(array)
    if name in _AS:
        made = made.view(getattr(torch, name))
    if one_of(is_parameter, True, False):
        return torch.nn.Parameter(made, requires_grad=requires_grad)
    return made.requires_grad_(requires_grad)


def _size(state: Any) -> Any:
    if any(type(length) is not int or length < 0 for length in as_list(state)):
        raise malformed()
    return torch.Size(state)


def _dtype(state: Any) -> Any:
    return getattr(torch, one_of(text(state), *_TYPES))


RESTORE: dict[str, Callable[[Any], Any]] = {"torch": _tensor, "torch-size": _size, "torch-dtype": _dtype}
