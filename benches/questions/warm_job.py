"""How long does a job of one operation take in a session that is warm?"""

from collections.abc import Iterator

from rows import Row
from side import Side

ROWS = [
    Row("result", "warm job of one operation at another site, to its result", faster=50),
    Row("end", "the same, to its end", faster=50),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()
    prepared = session.prepare(side.pipeline(lambda operations: operations.Same(site="a", value="1")))
    # The peer's session has room for four jobs.
    times = side.median(session, prepared, 200 if side.ours else 3)
    yield "result", times.result
    yield "end", times.end
    session.close()
