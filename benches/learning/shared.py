"""What do the programs have in common that fit one model to the tumours of three clinics, whatever runs them?"""
# pyright: basic, reportMissingImports=false

import csv
import functools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import clinics
import numpy as np

CLINICS = 3
START = [0.0] * 31
CLOSE, AT_MOST = 1e-9, 50
"""How little the weights change in the last round, and how many rounds there are at most."""


@functools.cache
def tumours(clinic: int) -> tuple[Any, Any]:
    """Measures and labels of one clinic, counted from 1; read once in a process."""
    (package,) = clinics.__path__
    with open(Path(package) / "data" / f"clinic{clinic}.csv", newline="") as file:
        table = np.array(list(csv.reader(file))[1:], dtype=float)
    return table[:, :-1], table[:, -1]


def told(learn: Callable[[], tuple[Any, int]]) -> None:
    """Learns twice, each time the weights in so many rounds.

    Writes both, when the first time was over (in seconds since 1970) and how long the second took into the file that
    LEARNT names.
    """
    learn()
    over, begin = time.time(), time.perf_counter()
    weights, rounds = learn()
    found = {"over": over, "again": time.perf_counter() - begin, "weights": list(map(float, weights)), "rounds": rounds}
    Path(os.environ["LEARNT"]).write_text(json.dumps(found))
