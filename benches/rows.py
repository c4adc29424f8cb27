"""What is a line of the table?"""

import dataclasses
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure. All figures are such that less is better."""

    key: str
    """Its name among what the question's `measure` yields."""
    what: str
    """For the reader."""
    unit: Literal["s", "MB", "%", "threads", "lines"] = "s"
    beside: str = "peer"
    """`peer`: the peer's figure of the same name; `peer's NAME`: its figure NAME; else the name of a figure of our own
    run; empty for none."""
    possible: bool = False
    """Whether it is a goal that it can be done at all."""
    faster: float | None = None
    """The other figure divided by ours has to be at least this."""
    slower: float | None = None
    """Ours divided by the other has to be at most this."""
    below: float | None = None
    """Ours has to be at most this, in the unit."""
