"""Which rows does each clinic have?

In a real federation they have always been there. Here this script deals the rows of scikit-learn's breast cancer data
out to the clinics, one after the other.
"""

import argparse
import csv
from importlib.metadata import distribution
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"


def rows() -> list[list[str]]:
    """All of them: 30 measures, and whether the tumour is benign."""
    path = distribution("scikit-learn").locate_file("sklearn/datasets/data/breast_cancer.csv")
    with open(str(path), newline="") as file:
        return list(csv.reader(file))[1:]  # The first line tells their number.


def names() -> list[str]:
    """The columns'."""
    measures = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "points"]
    measures += ["symmetry", "dimension"]
    return [f"{kind}_{measure}" for kind in ("mean", "error", "worst") for measure in measures] + ["benign"]


def deal(clinics: int, folder: Path = DATA) -> None:
    """Writes a table for each of so many clinics."""
    folder.mkdir(parents=True, exist_ok=True)
    for clinic in range(clinics):
        with open(folder / f"clinic{clinic + 1}.csv", "w", newline="") as file:
            csv.writer(file).writerows([names(), *rows()[clinic::clinics]])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Deals the rows out to the clinics; needs no network.")
    parser.add_argument("--clinics", type=int, default=5, help="how many there are (default: %(default)s)")
    deal(parser.parse_args().clinics)


if __name__ == "__main__":
    main()
