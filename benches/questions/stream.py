"""How long does an item of a stream take from a site to the application?"""

from collections.abc import Iterator

from rows import Row
from side import Side

ROWS = [
    Row("item", "one item of a generator at another site", faster=50),
    Row("async", "one of an asynchronous generator", beside="peer's item", faster=50),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()
    count = 50_000 if side.ours else 2_000
    for figure, operation in [("item", "Count"), ("async", "CountAsync")] if side.ours else [("item", "Count")]:
        pipeline = side.pipeline(lambda all, operation=operation: getattr(all, operation)(site="a", limit=count))
        yield figure, side.median(session, session.prepare(pipeline), 3, want=count).result / count
    session.close()
