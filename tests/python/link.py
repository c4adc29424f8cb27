"""Through which link, slow, far, lossy or cut, does a test have an application reach its federation?"""

from __future__ import annotations

import contextlib
import json
import queue
import random
import shutil
import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from flare_federation import Federation

_AT_ONCE = 16_384
_UNDER_WAY = 64
"""So many of these are under way each way before whoever sends has to wait."""
_AGAIN = 0.2
"""Seconds for which TCP waits beside a round trip before it sends again what was lost."""


class Link:
    """Passes on what comes to `port` on the loopback, so many bytes a second each way, each after `delay` seconds.

    TCP sends again what is lost of a connection, so with a `loss` (of each 16 KiB, from 0 to 1) some come later, and
    with them all that follows.
    """

    def __init__(
        self,
        to: int,
        rate: float = float("inf"),
        delay: float = 0.0,
        loss: float = 0.0,
        at: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self._to = to
        self._rate, self._delay, self._loss = rate, delay, loss
        self._chance = random.Random(1)
        self._flows = threading.Event()
        self._flows.set()
        self._hold_after: int | None = None
        self._ends: set[socket.socket] = set()
        self.passed = 0
        """Bytes that went through, both ways."""
        self.made = 0
        """Connections that were made through it."""
        self._listener = socket.create_server(at, family=socket.AF_INET6 if ":" in at[0] else socket.AF_INET)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self, after: int = 0) -> None:
        """Nothing passes any more once so many bytes have, and nobody is told."""
        self._hold_after = after
        if self.passed >= after:
            self._flows.clear()

    def go_on(self) -> None:
        """What was held passes."""
        self._hold_after = None
        self._flows.set()

    def cut(self) -> None:
        """Ends every connection; new ones may be made."""
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends it."""
        # The thread that waits there would keep it open.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.go_on()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    # Nobody is there yet, or any more.
                    near.close()
                    continue
                for end in (near, far):
                    # Else the last part of what is sent waits here until the one before is acknowledged.
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._ends |= {near, far}
                self.made += 1
                for one, other in ((near, far), (far, near)):
                    under_way: queue.Queue[tuple[float, bytes]] = queue.Queue(_UNDER_WAY)
                    threading.Thread(target=self._get, args=(one, under_way), daemon=True).start()
                    threading.Thread(target=self._pass, args=(under_way, one, other), daemon=True).start()

    def _get(self, one: socket.socket, under_way: queue.Queue[tuple[float, bytes]]) -> None:
        free = time.monotonic()
        data = b"begin"
        while data:
            try:
                data = one.recv(_AT_ONCE)
            except OSError:
                data = b""
            free = max(free, time.monotonic()) + len(data) / self._rate
            late = 2 * self._delay + _AGAIN if self._chance.random() < self._loss else 0.0
            under_way.put((free + self._delay + late, data))

    def _pass(self, under_way: queue.Queue[tuple[float, bytes]], one: socket.socket, other: socket.socket) -> None:
        whole = True
        while (got := under_way.get())[1]:
            time.sleep(max(got[0] - time.monotonic(), 0.0))
            self._flows.wait()
            try:
                if whole:
                    other.sendall(got[1])
                    self.passed += len(got[1])
                    if self._hold_after is not None and self.passed >= self._hold_after:
                        self._flows.clear()
            except OSError:
                whole = False
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            self._ends.discard(end)


def bare(size: int, **how: Any) -> float:
    """The seconds for so many bytes there and back through such a link, where only TCP takes them."""

    def answer() -> None:
        far, _ = listener.accept()
        with far:
            _take(far, size)
            far.sendall(bytes(size))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        link = Link(listener.getsockname()[1], **how)
        begin = time.monotonic()
        with socket.create_connection(("127.0.0.1", link.port)) as near:
            near.sendall(bytes(size))
            _take(near, size)
        link.close()
        return time.monotonic() - begin


def _take(end: socket.socket, size: int) -> None:
    while size and (got := len(end.recv(1 << 20))):
        size -= got


@contextlib.contextmanager
def through(kit: Path, folder: Path, host: str | None = None, **how: Any) -> Generator[tuple[Path, Link]]:
    """A copy of an application's kit that reaches the server through such a link, and that link; `host` is where the
    kit says that it is, if not where the server is."""
    copy = folder / kit.name
    shutil.copytree(kit, copy)
    file = copy / "startup" / "fed_admin.json"
    content = json.loads(file.read_text())
    link = Link(content["admin"]["port"], **how)
    content["admin"] |= {"port": link.port, "host": host or content["admin"]["host"]}
    file.write_text(json.dumps(content))
    try:
        yield copy, link
    finally:
        link.close()


def target_of(settings: str) -> tuple[str, int]:
    """Where a client's `fed_client.json` says that its server is: the host and the port."""
    host, _, port = json.loads(settings)["servers"][0]["service"]["target"].rpartition(":")
    return host, int(port)


def aimed(settings: str, host: str, port: int) -> str:
    """The same file where it says another one."""
    content = json.loads(settings)
    content["servers"][0]["service"]["target"] = f"{host}:{port}"
    return json.dumps(content)


@contextlib.contextmanager
def beyond(federation: Federation, site: str, **how: Any) -> Generator[Link]:
    """The link through which a site's client reaches the server of a POC, which is started anew for that."""
    file = federation.kit(site) / "startup" / "fed_client.json"
    before = file.read_text()
    host, port = target_of(before)
    link = Link(port, **how)
    federation.restart(lambda: file.write_text(aimed(before, host, link.port)))
    try:
        yield link
    finally:
        federation.restart(lambda: file.write_text(before))
        link.close()
