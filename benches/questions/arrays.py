"""How long does an array of 100 MB take from one site to another?"""

from collections.abc import Iterator
from typing import Any

from rows import Row
from side import Side

ROWS = [
    Row("array", "job that sends an array of 100 MB from one site to another", faster=20),
    Row("both", "to two others", beside="array", slower=1.5),
]

_LENGTH = 12_500_000


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()

    def build(operations: Any) -> Any:
        return operations.Ends(site="b", array=operations.Array(site="a", length=_LENGTH))

    def build_both(operations: Any) -> Any:
        array = operations.Array(site="a", length=_LENGTH)
        return [operations.Ends(site=site, array=array) for site in ("b", "c")]

    yield "array", side.median(session, session.prepare(side.pipeline(build)), 10 if side.ours else 3).result
    if side.ours:
        yield "both", side.median(session, session.prepare(side.pipeline(build_both)), 10).result
    session.close()
