"""Can a chain go to and fro between two sites, and how long does it take?"""

import time
from collections.abc import Iterator
from typing import Any

from rows import Row
from side import Side

ROWS = [
    Row("2", "planning and running a chain that changes between two sites 2 times"),
    Row("6", "6 times", possible=True),
    Row("1000", "1,000 times", possible=True),
]


def chain(operations: Any, sites: list[str]) -> Any:
    """One operation at each of these sites, each with the result of the one before."""
    node: Any = "1"
    for site in sites:
        node = operations.Same(site=site, value=node)
    return node


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()
    side.run(session, session.prepare(side.pipeline(lambda operations: chain(operations, ["a", "b"]))))
    for changes in [2, 6, 1000]:
        sites = [["a", "b"][at % 2] for at in range(changes + 1)]
        pipeline = side.pipeline(lambda operations, sites=sites: chain(operations, sites))
        begin = time.perf_counter()
        side.run(session, session.prepare(pipeline))
        yield str(changes), time.perf_counter() - begin
    session.close()
