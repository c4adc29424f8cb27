"""What does an operation cost beside a bare task?"""

import asyncio
import time
from collections.abc import Iterator

from questions.alternating import chain
from rows import Row
from side import Side

ROWS = [
    Row("home", "one of a chain of 10,000 at the application's site", beside="bare", slower=2),
    Row("site", "one of a chain of 10,000 at another site", beside="bare", slower=2),
]

_LENGTH = 10_000


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    session = side.session()
    for figure, site in [("home", "home"), ("site", "a")]:
        pipeline = side.pipeline(lambda operations, site=site: chain(operations, [site] * _LENGTH))
        yield figure, side.median(session, session.prepare(pipeline), 5).result / _LENGTH
    session.close()
    yield "bare", sorted(asyncio.run(_bare()) for _ in range(5))[2]


async def _bare() -> float:
    async def body(value: int) -> int:
        return value

    begin = time.perf_counter()
    value = 1
    for _ in range(_LENGTH):
        value = await asyncio.create_task(body(value))
    return (time.perf_counter() - begin) / _LENGTH
