"""How does logistic regression go by Newton's method, when each has rows of its own? In sums over them."""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
RIDGE = 1.0
"""How much large weights cost; without it, clinics that tell the tumours apart without fail would never be done."""


def moments(measures: Array) -> dict[str, Any]:
    """Count, sums and sums of squares of so many rows."""
    return {"count": len(measures), "sum": measures.sum(0), "squares": (measures**2).sum(0)}


def spread(told: list[dict[str, Any]]) -> tuple[Any, Any]:
    """Mean and standard deviation, of counts, sums and sums of squares."""
    count = sum(one["count"] for one in told)
    mean = sum(one["sum"] for one in told) / count
    return mean, np.sqrt(sum(one["squares"] for one in told) / count - mean**2)


def terms(measures: Array, labels: Array, scale: dict[str, Array], weights: Array) -> dict[str, Any]:
    """Gradient, Hessian and loss of so many rows."""
    inputs = np.column_stack([(measures - scale["mean"]) / scale["deviation"], np.ones(len(labels))])
    logits = inputs @ weights
    chances = 1 / (1 + np.exp(-logits))
    return {
        "gradient": inputs.T @ (chances - labels),
        "hessian": (inputs * (chances * (1 - chances))[:, None]).T @ inputs,
        "loss": float(np.logaddexp(0, logits).sum() - labels @ logits),
    }


def newton(terms: list[dict[str, Any]], weights: Array) -> dict[str, Any]:
    """The step that these terms, added up, tell."""
    cost = np.full(len(weights), RIDGE)
    cost[-1] = 0  # The intercept is as large as it has to be.
    gradient = sum(one["gradient"] for one in terms) + cost * weights
    step = np.linalg.solve(sum(one["hessian"] for one in terms) + np.diag(cost), gradient)
    loss = sum(one["loss"] for one in terms) + float(cost @ weights**2) / 2
    return {"weights": weights - step, "change": float(np.abs(step).max()), "loss": loss}
