"""Was the native module built from the sources that it is used with?"""

from __future__ import annotations

from pathlib import Path

from dfm import _native

_STUB = Path(__file__).parents[1] / "_native.pyi"


def check_built(stub: Path = _STUB) -> None:
    """A call that the module does not know would otherwise end a site's loop, and leave its jobs waiting.

    Raises:
        ImportError: `stub`, which says what the module offers, is another than it was when that was built.
    """
    if stub.exists() and stub.read_text(encoding="utf-8") != getattr(_native, "DECLARED", None):
        raise ImportError(
            f"{_native.__file__} was built from other sources than these: run `make generated` in dfm's repository, or "
            "install dfm again"
        )
