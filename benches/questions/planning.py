"""How long does it take to plan many operations that do not depend on each other?"""

import time
from collections.abc import Iterator
from typing import Any

from rows import Row
from side import Side, timed

ROWS = [
    Row("100", "planning 100 independent operations"),
    Row("1000", "planning 1,000", faster=50),
    Row("10000", "planning 10,000", beside="", below=1.0),
    Row("growth", "planning one of 10,000, beside one of 1,000", beside="one of 1000", slower=1.5),
    Row("building", "writing the pipeline of 10,000", beside=""),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()
    took: dict[int, float] = {}
    for count in [100, 1000, 10000] if side.ours else [100, 1000]:
        begin = time.perf_counter()
        pipeline = _pipeline(side, count)
        built = time.perf_counter() - begin
        if side.ours:
            took[count] = timed(lambda pipeline=pipeline: session.prepare(pipeline), 3)
        else:
            begin = time.perf_counter()
            session.prepare(pipeline)
            took[count] = time.perf_counter() - begin
        yield str(count), took[count]
        if count == 10000:
            yield "building", built
            yield "growth", took[count] / count
            yield "one of 1000", took[1000] / 1000
    session.close()


def _pipeline(side: Side, count: int) -> Any:
    with side.api.Pipeline() as pipeline:
        for number in range(count):
            side.operations.Same(value=str(number))
    return pipeline
