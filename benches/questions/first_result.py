"""How long does a fresh process take to its first result?"""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from rows import Row
from side import Side

ROWS = [
    Row("home", "fresh process to the first result, of its own site", below=0.6),
    Row("site", "fresh process to the first result, of another site", below=0.6),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    for figure, site in [("home", "home"), ("site", "a")]:
        # The first one fills the system's cache of files.
        yield figure, statistics.median([_start(side, site) for _ in range(6 if side.ours else 3)][1:])


def _start(side: Side, site: str) -> float:
    begin = time.perf_counter()
    command = [sys.executable, __file__, side.package, site]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        answer = process.stdout.readline()
        seconds = time.perf_counter() - begin
    if answer != b"1\n":
        raise RuntimeError(f"the process answered {answer!r}")
    return seconds


def main() -> None:
    """The fresh process."""
    side = Side(sys.argv[1])
    session = side.session()
    prepared = session.prepare(side.pipeline(lambda operations: operations.Same(site=sys.argv[2], value="1")))
    print(side.run(session, prepared)[1][0], flush=True)
    session.close()


if __name__ == "__main__":
    main()
