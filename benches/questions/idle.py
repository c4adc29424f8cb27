"""How much of a core does a session use that has nothing to do?"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

from questions.alternating import chain
from rows import Row
from side import Side, processes

ROWS = [Row("idle", "a core's share that an idle session of three sites uses", unit="%", below=0.05)]

_SECONDS = 3.0


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()
    side.run(session, session.prepare(side.pipeline(lambda operations: chain(operations, ["home", "a", "b"]))))
    time.sleep(1)
    pids = list(processes())
    before = _used(pids)
    time.sleep(_SECONDS)
    yield "idle", (_used(pids) - before) / _SECONDS * 100
    session.close()


def _used(pids: list[int]) -> float:
    """Seconds of a core that these processes have used, without this thread, which looks."""
    threads = [path for pid in pids for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    threads = [path for path in threads if path.parent.name != str(threading.get_native_id())]
    return sum(int(path.read_text().split()[0]) for path in threads) / 1e9
