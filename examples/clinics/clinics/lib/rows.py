"""What does a clinic tell of its own rows? Sums alone, which say nothing of one tumour."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from dfm.exec import Provider, Site

from clinics.lib.logistic import Array, moments, terms

DATA = Path(__file__).parents[1] / "data"
LABEL = "benign"


class Rows:
    """A clinic's table: `data/<site>.csv`, a column for each measure and the label last."""

    def __init__(self, site: Site, provider: Provider | None) -> None:
        with open(DATA / f"{site.dfm_context.this_site}.csv", newline="") as file:
            names, *rows = csv.reader(file)
        table = np.array(rows, dtype=float)
        self.columns: dict[str, Array] = dict(zip(names, table.T, strict=True))
        self.labels = self.columns.pop(LABEL)
        self.measures: Array = np.column_stack(list(self.columns.values()))

    def column(self, name: str) -> Array:
        """The values of one column."""
        if name not in self.columns:
            raise LookupError(f"this clinic has no column '{name}'")
        return self.columns[name]


class Moments(Rows):
    """Of each measure."""

    def body(self) -> dict[str, Any]:
        """Count, sums and sums of squares."""
        return moments(self.measures)


class Terms(Rows):
    """Of the logistic loss."""

    def body(self, scale: dict[str, Array], weights: Array) -> dict[str, Any]:
        """Gradient, Hessian and loss at these weights."""
        return terms(self.measures, self.labels, scale, np.asarray(weights))


class Range(Rows):
    """Of a column."""

    def body(self, column: str) -> list[float]:
        """The lowest and the highest value."""
        values = self.column(column)
        return [float(values.min()), float(values.max())]


class Histogram(Rows):
    """Of a column."""

    def body(self, column: str, edges: Array) -> dict[str, Any]:
        """What adds up over clinics."""
        values = self.column(column)
        counts = np.histogram(values, edges)[0]
        return moments(values) | {"bins": counts, "edges": edges}
