"""Where do bodies run that are not coroutines?"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator


class Threads:
    """Daemon threads that run what they are given; as many as are busy at once, up to a limit.

    The standard library's pool joins its threads when the interpreter exits, so that an adapter which hangs would keep
    its application from ending.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0  # less the work that waits

    def run(self, work: Callable[[], None]) -> None:
        """Runs `work`, which must not raise, on a thread; at once, unless as many as the limit are busy."""
        with self._lock:
            if self._idle <= 0 and self._threads < self._limit:
                self._start()
            self._idle -= 1
        self._work.put(work)

    def busy(self) -> str:
        """Why work may not have begun, for its user."""
        return (
            f"it never began: the {self._limit} threads that a session has at this site for bodies that are no "
            "coroutines were busy for longer than it could wait, perhaps by some that were given up and go on"
        )

    @contextlib.contextmanager
    def waiting(self) -> Generator[None]:
        """For work that waits for other work here: meanwhile another thread may run."""
        with self._lock:
            self._limit += 1
            if self._idle < 0:
                self._start()
        try:
            yield
        finally:
            with self._lock:
                self._limit -= 1

    def _start(self) -> None:
        self._threads += 1
        self._idle += 1
        threading.Thread(target=self._serve, name=f"dfm-body-{self._threads}", daemon=True).start()

    def close(self) -> None:
        """Lets the idle threads end, and the busy ones after their work."""
        for _ in range(self._threads):
            self._work.put(None)

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()
            del work
            with self._lock:
                self._idle += 1
