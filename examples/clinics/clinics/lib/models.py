"""What comes of the sums that clinics tell?"""

from typing import Any

import numpy as np
from dfm.exec import Provider, Site

from clinics.lib.rows import Array

RIDGE = 1.0
"""How much large weights cost; without it, clinics that tell the tumours apart without fail would never be done."""


class Adapter:
    """It needs nothing of its site."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        pass


class Scale(Adapter):
    """Of the measures, each of which has a unit of its own."""

    def body(self, moments: dict[str, dict[str, Any]]) -> dict[str, Array]:
        """Mean and standard deviation."""
        mean, deviation = spread(moments)
        return {"mean": mean, "deviation": deviation}


class Newton(Adapter):
    """One step to the weights with the least loss."""

    def body(self, terms: dict[str, dict[str, Any]], weights: Array) -> dict[str, Any]:
        """By Newton's method."""
        return newton(list(terms.values()), np.asarray(weights))


def newton(terms: list[dict[str, Any]], weights: Array) -> dict[str, Any]:
    """The step that these terms, added up, tell."""
    cost = np.full(len(weights), RIDGE)
    cost[-1] = 0  # The intercept is as large as it has to be.
    gradient = sum(one["gradient"] for one in terms) + cost * weights
    step = np.linalg.solve(sum(one["hessian"] for one in terms) + np.diag(cost), gradient)
    loss = sum(one["loss"] for one in terms) + float(cost @ weights**2) / 2
    return {"weights": weights - step, "change": float(np.abs(step).max()), "loss": loss}


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
        mean, deviation = spread(histograms)
        bins = sum(one["bins"] for one in all_of)
        count = sum(one["count"] for one in all_of)
        return {"count": count, "mean": mean, "deviation": deviation, "bins": bins, "edges": all_of[0]["edges"]}


def spread(told: dict[str, dict[str, Any]]) -> tuple[Any, Any]:
    """Mean and standard deviation, of counts, sums and sums of squares."""
    count = sum(one["count"] for one in told.values())
    mean = sum(one["sum"] for one in told.values()) / count
    return mean, np.sqrt(sum(one["squares"] for one in told.values()) / count - mean**2)
