"""Where does run what is no coroutine: bodies, and what dfm itself does beside its loops?"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import Any

from dfm.errors import SessionError

NO_MORE = (
    "the system, or its container, allows no more; raise `ulimit -u`, or the number of processes that the container "
    "may have (pids)"
)

_MOST_GIVEN_UP = 1024
"""So many bodies may go on that were given up, beside the others; each keeps a thread."""

NO_THREAD = f"dfm cannot start a thread: {NO_MORE}"


def started(work: Callable[..., object], name: str, args: tuple[Any, ...] = ()) -> threading.Thread:
    """A daemon thread of this name that does the work.

    Raises:
        SessionError: the system gives none.
    """
    thread = threading.Thread(target=work, args=args, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        raise SessionError(NO_THREAD) from None
    return thread


class Body:
    """What runs on a thread, for whoever waits for it."""

    __slots__ = ("begun", "given_up", "keeps_thread", "over")

    def __init__(self) -> None:
        self.begun = False
        """Whether a thread has come to it."""
        self.given_up = False
        """Whether nobody wants its result any more. One that has not begun never does then."""
        self.over = False
        self.keeps_thread = False
        """Whether it was given up while it ran, and so has a thread beside the limit."""


class Threads:
    """Daemon threads that run what they are given; as many as are busy at once, up to a limit.

    What was given up and goes on does not count, so that it cannot keep the others from running. The standard library's
    pool joins its threads when the interpreter exits, so that an adapter which hangs would keep its application from
    ending.
    """

    def __init__(self, limit: int = 64) -> None:
        self._limit = limit
        self._beside = 0  # threads that are there whatever the limit
        self._given_up = 0
        self._work: queue.SimpleQueue[tuple[Callable[[], object], Body] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0  # less the work that waits

    def run(self, work: Callable[[], object], body: Body | None = None) -> None:
        """Runs `work`, which must not raise, on a thread; at once, unless as many as the limit are busy.

        Raises:
            RuntimeError: the system starts no thread, and there is none yet that could come to it.
        """
        with self._lock:
            if self._idle <= 0:
                self._start_if_allowed()
            self._idle -= 1
        self._work.put((work, body or Body()))

    def give_up(self, body: Body) -> None:
        """Nobody wants its result any more."""
        with self._lock:
            if body.begun and not body.over and not body.given_up and self._given_up < _MOST_GIVEN_UP:
                body.keeps_thread = True
                self._given_up += 1
                self._make_room()
            body.given_up = True

    def busy(self) -> str:
        """Why work may not have begun, for its user."""
        given_up = f", beside {self._given_up} that go on with bodies that were given up" if self._given_up else ""
        return (
            f"it never began: the {self._limit} threads that a session has at this site for bodies that are no "
            f"coroutines were busy for longer than it could wait{given_up}"
        )

    @contextlib.contextmanager
    def waiting(self) -> Generator[None]:
        """For work that waits for other work here: meanwhile another thread may run."""
        with self._lock:
            self._make_room()
        try:
            yield
        finally:
            with self._lock:
                self._beside -= 1

    def _make_room(self) -> None:
        self._beside += 1
        if self._idle < 0:
            # Without one more, it goes on as soon as another thread is free.
            with contextlib.suppress(RuntimeError):
                self._start_if_allowed()

    def _start_if_allowed(self) -> None:
        if self._threads >= self._limit + self._beside:
            return
        try:
            started(self._serve, f"dfm-body-{self._threads + 1}")
        except SessionError:
            if self._threads == 0:
                raise RuntimeError(f"this site cannot start a thread for it: {NO_MORE}") from None
            return
        self._threads += 1
        self._idle += 1

    def close(self) -> None:
        """Lets the idle threads end, and the busy ones after their work."""
        for _ in range(self._threads):
            self._work.put(None)

    def _serve(self) -> None:
        while (taken := self._work.get()) is not None:
            work, body = taken
            with self._lock:
                body.begun = not body.given_up
            if body.begun:
                work()
            del taken, work
            with self._lock:
                body.over = True
                self._idle += 1
                if body.keeps_thread:
                    self._beside -= 1
                    self._given_up -= 1
