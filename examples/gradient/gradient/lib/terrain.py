"""How is a terrain made, and how steep is it?"""

import numpy as np
from dfm.exec import Provider, Site
from numpy.typing import NDArray

HILLS = 24


class MakeField:
    """Makes a terrain of round hills."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        self._site = site

    def body(self, size: int, seed: int) -> NDArray[np.float64]:
        """`size` by `size` heights in metres, the same for the same seed."""
        random = np.random.default_rng(seed)
        x = np.linspace(0.0, 1.0, size)
        field = np.zeros((size, size))
        for _ in range(HILLS):
            east, north = random.uniform(0.0, 1.0, 2)
            height, width = random.uniform(50.0, 400.0), random.uniform(0.04, 0.16)
            # A round hill is a product of two profiles, which spares the array of distances.
            profile_x = np.exp(-(((x - east) / width) ** 2) / 2)
            profile_y = np.exp(-(((x - north) / width) ** 2) / 2)
            field += height * np.outer(profile_y, profile_x)
        return field


class GradientMagnitude:
    """Computes how steep a field is."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        self._site = site

    def body(self, field: NDArray[np.float64]) -> NDArray[np.float64]:
        """An array of the field's shape; `field` has two dimensions."""
        down, right = np.gradient(field)
        return np.hypot(down, right)
