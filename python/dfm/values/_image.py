"""How do Pillow's images travel?"""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportArgumentType=false, reportIndexIssue=false

from collections.abc import Callable
from typing import Any

from PIL import Image

from dfm.values._files import Reduced
from dfm.values._form import Unsent, as_list, malformed, numbers, one_of

_BITS = {
    "1": 1,
    "L": 8,
    "La": 16,
    "LA": 16,
    "I;16": 16,
    "RGB": 24,
    "RGBA": 32,
    "RGBa": 32,
    "RGBX": 32,
    "CMYK": 32,
    "YCbCr": 24,
    "LAB": 24,
    "HSV": 24,
    "I": 32,
    "F": 32,
    "P": 8,
    "PA": 16,
}
"""Of a pixel, by mode; each row begins with a new byte."""
_PALETTES = {"RGB": 3, "RGBA": 4}
"""Bytes of a colour, by a palette's mode."""


def reduce(value: Any) -> Reduced | None:
    """An image; None for another. What its file said beside the pixels stays behind."""
    if not isinstance(value, Image.Image):
        return None
    if value.mode not in _BITS:
        raise Unsent(f"an image of mode {value.mode!r} does not travel", "return value.convert('RGBA')")
    palette = None
    if value.palette is not None and value.mode in ("P", "PA"):
        mode = value.palette.mode if value.palette.mode in _PALETTES else "RGB"
        palette = [mode, bytes(value.getpalette(mode) or b"")]
    return "image", [value.mode, list(value.size), palette, memoryview(value.tobytes())]


def _image(state: Any) -> Any:
    mode, size, palette, data = as_list(state, 4)
    width, height = numbers(size, 2)
    one_of(mode, *_BITS)
    if width < 0 or height < 0 or type(data) not in (bytes, bytearray, memoryview):
        raise malformed()
    # Pillow makes the image before it looks whether there is as much of it.
    if (width * _BITS[mode] + 7) // 8 * height != memoryview(data).nbytes:
        raise ValueError(f"an image of {width}×{height} pixels came that has {memoryview(data).nbytes} bytes")
    made = Image.frombytes(mode, (width, height), bytes(data)) if width and height else Image.new(mode, (width, height))
    if palette is not None:
        of, colours = as_list(palette, 2)
        if (
            mode not in ("P", "PA")
            or type(colours) is not bytes
            or len(colours) > 256 * _PALETTES[one_of(of, *_PALETTES)]
        ):
            raise malformed()
        made.putpalette(colours, of)
    return made


RESTORE: dict[str, Callable[[Any], Any]] = {"image": _image}
