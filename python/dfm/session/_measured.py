"""What did a job take that was measured, beside what its plan had expected?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict, cast

from dfm import _native
from dfm.errors import JobError


class MeasuredNode(TypedDict):
    """What was measured of a node: averages over the frames in which it ran."""

    node: int | str
    operation: str
    site: str
    calls: int
    """In all frames."""
    compute: float
    """Seconds from the begin of its first call in a frame to the end of the last."""
    finish: float
    """Seconds from the start of a frame until its last result was there, as the sites' clocks tell."""
    bytes: float | None
    """Of its results; None where one failed or has no encoding, or where its site's policy guards what leaves."""
    expected_compute: float
    expected_finish: float
    expected_bytes: float


class Measured:
    """A run beside its plan. `print` and notebooks show it."""

    def __init__(self, plan: _native.Plan, measurement: _native.Measurement) -> None:
        self._plan = plan
        self._measurement = measurement

    @property
    def nodes(self) -> list[MeasuredNode]:
        """The operations that ran, in the order of the pipeline."""
        return cast(list[MeasuredNode], json.loads(self._measurement.nodes(self._plan)))

    def explain(self) -> str:
        """For people: what each operation and each way between sites took, and what had been expected."""
        return self._measurement.explain(self._plan)

    __str__ = explain

    def picture(self) -> str:
        """An SVG of the pipeline with its sites as lanes, measured times in the boxes and sizes on the edges."""
        return self._measurement.picture(self._plan)

    def _repr_svg_(self) -> str:
        return self.picture()

    def costs(self) -> str:
        """The costs that would have foretold this run, as a network file in the words of the configuration."""
        return self._measurement.costs(self._plan)

    def save_costs(self, path: str | Path) -> None:
        """Writes `costs` to a file, which `dfm fed plan --network` reads; the configuration stays as it is.

        Raises:
            JobError: it cannot be written.
        """
        write(path, self.costs())


def write(path: str | Path, text: str) -> None:
    """Writes a text to a file.

    Raises:
        JobError: it cannot be written.
    """
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise JobError(f"{path} cannot be written: {error.strerror or error}") from None
