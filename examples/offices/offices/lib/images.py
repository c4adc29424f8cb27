"""What does an office do with its own images? It learns from them; none of them leaves."""

from pathlib import Path
from typing import Any

import numpy as np
from dfm.exec import Site

from offices.lib.net import Net, train

DATA = Path(__file__).parents[1] / "data"


class Train:
    """On an office's images: `data/<site>.npz`."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def setup(self) -> None:
        """Reads the images, once for a session."""
        with np.load(DATA / f"{self.site.name}.npz") as table:
            self.images, self.digits = table["images"], table["digits"]

    def body(self, net: Net, number: int, steps: int, drill: dict[str, list[int]]) -> dict[str, Any]:
        """Goes on with the velocity that the office's last round has left here."""
        first, last = drill.get(self.site.name, (0, 0))
        if first <= number <= last:
            raise ConnectionError(f"the images cannot be reached in round {number}")
        before = None if number == 1 else self.site.state.get("velocity")
        net, self.site.state["velocity"], loss = train(net, before, self.images, self.digits, steps)
        return {"net": net, "loss": loss, "count": len(self.digits)}
