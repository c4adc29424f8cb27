"""How does a field become a picture?"""

import numpy as np
from dfm.exec import Provider, Site
from numpy.typing import NDArray
from PIL import Image

# From dark blue over green to yellow; brightness rises all the way, so the picture also reads without colours.
PALETTE = np.array([(68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37)], dtype=np.float64)


class Render:
    """Colours a field from its lowest to its highest value."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        self._site = site

    def body(self, field: NDArray[np.float64]) -> Image.Image:
        """A picture with a pixel for each value; a flat field is all dark."""
        span = float(np.ptp(field))
        position = (field - field.min()) / (span or 1.0) * (len(PALETTE) - 1)
        stops = np.arange(len(PALETTE))
        channels: list[NDArray[np.float64]] = [np.interp(position, stops, PALETTE[:, channel]) for channel in range(3)]
        return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8))
