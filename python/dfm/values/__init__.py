"""How does a type of a federation's own travel between sites?

What dfm itself knows how to send, and how exactly it arrives, is in docs/values.md. A type that is not there gets an
encoding with `register`, in a module that every process imports which sends or gets one.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from dfm.values._files import register as _register

T = TypeVar("T")


def register(kind: type[T], encode: Callable[[T], Any], decode: Callable[[Any], T], name: str) -> None:
    """Gives a type an encoding, in this process.

    Values of exactly this type travel as what `encode` makes of them, which may be anything that travels itself. Where
    they arrive, `decode` gets that and makes the value; it may come from somebody who means no good, so `decode` looks
    at it before it uses it, and raises a `ValueError` or a `TypeError` for what is not of its form.

    Args:
        kind: the type; its subclasses are types of their own.
        encode: called on the thread of the site's loop, so it must not wait.
        decode: likewise.
        name: what the encoding is called between sites, such as `"shapes.Polygon"`: it has a dot, and is the same in
            every process.

    Raises:
        ValueError: the name has no dot, or the name or the type has another encoding already.
    """
    _register(kind, encode, decode, name)
