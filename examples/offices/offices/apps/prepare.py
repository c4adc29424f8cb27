"""Which images does each office have?

In a real federation they have always been there. Here this script deals scikit-learn's digits out to the offices, one
after the other.
"""

import gzip
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

DATA = Path(__file__).parents[1] / "data"
OFFICES = 4


def deal(folder: Path = DATA) -> None:
    """Writes a table for each office."""
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    with gzip.open(str(path), "rt") as file:
        rows = np.loadtxt(file, delimiter=",")
    folder.mkdir(parents=True, exist_ok=True)
    for office in range(OFFICES):
        own = rows[office::OFFICES]
        np.savez(folder / f"office{office + 1}.npz", images=own[:, :-1] / 16, digits=own[:, -1].astype(int))


if __name__ == "__main__":
    deal()
