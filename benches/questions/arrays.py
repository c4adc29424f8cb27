"""How long does an array of 100 MB take from one site to another?"""

from collections.abc import Iterator
from typing import Any

from rows import Row
from side import Side

ROWS = [Row("array", "job that sends an array of 100 MB from one site to another", faster=20)]

_LENGTH = 12_500_000


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()

    def build(operations: Any) -> Any:
        return operations.Ends(site="b", array=operations.Array(site="a", length=_LENGTH))

    yield "array", side.median(session, session.prepare(side.pipeline(build)), 10 if side.ours else 3).result
    session.close()
