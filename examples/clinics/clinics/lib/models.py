"""What comes of the sums that clinics tell?"""

from typing import Any

import numpy as np
from dfm.exec import Provider, Site

from clinics.lib.logistic import Array, newton, spread


class Adapter:
    """It needs nothing of its site."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        pass


class Scale(Adapter):
    """Of the measures, each of which has a unit of its own."""

    def body(self, moments: dict[str, dict[str, Any]]) -> dict[str, Array]:
        """Mean and standard deviation."""
        mean, deviation = spread(list(moments.values()))
        return {"mean": mean, "deviation": deviation}


class Newton(Adapter):
    """One step to the weights with the least loss."""

    def body(self, terms: dict[str, dict[str, Any]], weights: Array) -> dict[str, Any]:
        """By Newton's method."""
        return newton(list(terms.values()), np.asarray(weights))


class Edges(Adapter):
    """Of bins."""

    def body(self, ranges: dict[str, list[float]], bins: int) -> Array:
        """One more than there are bins."""
        lowest = min(low for low, _ in ranges.values())
        highest = max(high for _, high in ranges.values())
        return np.linspace(lowest, highest, bins + 1)


class Summary(Adapter):
    """Of a column."""

    def body(self, histograms: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """Over all clinics."""
        all_of = list(histograms.values())
        mean, deviation = spread(all_of)
        bins = sum(one["bins"] for one in all_of)
        count = sum(one["count"] for one in all_of)
        return {"count": count, "mean": mean, "deviation": deviation, "bins": bins, "edges": all_of[0]["edges"]}
