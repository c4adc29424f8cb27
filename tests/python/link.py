"""Through which link, slow or cut, does a test have an application reach its federation?"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path

_AT_ONCE = 16_384


class Link:
    """Passes on what comes to `port` on the loopback, so many bytes a second each way."""

    def __init__(self, to: int, rate: float = float("inf")) -> None:
        self._to = to
        self._rate = rate
        self._flows = threading.Event()
        self._flows.set()
        self._ends: set[socket.socket] = set()
        self._closed = False
        self.passed = 0
        """Bytes that went through, both ways."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._flows.clear()

    def go_on(self) -> None:
        """What was held passes."""
        self._flows.set()

    def cut(self) -> None:
        """Ends every connection; new ones may be made."""
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends it."""
        self._closed = True
        self._listener.close()
        self.go_on()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._to))
                self._ends |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        free = time.monotonic()
        with contextlib.suppress(OSError):
            while data := one.recv(_AT_ONCE):
                self._flows.wait()
                free = max(free, time.monotonic()) + len(data) / self._rate
                time.sleep(max(free - time.monotonic(), 0.0))
                other.sendall(data)
                self.passed += len(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            self._ends.discard(end)


@contextlib.contextmanager
def through(kit: Path, folder: Path, rate: float = float("inf")) -> Generator[tuple[Path, Link]]:
    """A copy of an application's kit that reaches the server through a link, and that link."""
    copy = folder / kit.name
    shutil.copytree(kit, copy)
    file = copy / "startup" / "fed_admin.json"
    content = json.loads(file.read_text())
    link = Link(content["admin"]["port"], rate)
    content["admin"]["port"] = link.port
    file.write_text(json.dumps(content))
    try:
        yield copy, link
    finally:
        link.close()
