"""How do tests speak to the page of a running `dfm ui`?"""
# pyright: basic

import contextlib
import http.client
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from small_federation import Small


class Page:
    """The page of a running `dfm ui`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.address = json.loads(process.stdout.readline())["address"]
        where, _, self.token = self.address.partition("/#")
        self.host = where.removeprefix("http://")
        self.port = int(self.host.rpartition(":")[2])

    def ask(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: str = ""
    ) -> tuple[int, bytes]:
        known = {"Host": self.host, "Authorization": f"Bearer {self.token}"} | (headers or {})
        # Browsers know without asking anybody what a name that ends in `.localhost` is; Python asks.
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.putrequest(method, path, skip_host=True)
        for name, value in known.items():
            if value:
                connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        self.headers = dict(answer.getheaders())
        try:
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        status, body = self.ask(path)
        assert status == 200, body
        return json.loads(body)


def start(own: Small, state: Path, *words: str) -> subprocess.Popen[str]:
    """Starts it for a federation, with that folder for what jobs leave."""
    line = own.command("--json", "ui", "--no-open", *words)
    environment = own.environment({"XDG_STATE_HOME": str(state)})
    return subprocess.Popen(
        line, cwd=own.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@contextlib.contextmanager
def served(own: Small, state: Path) -> Iterator[Page]:
    """Has it run inside."""
    process = start(own, state)
    try:
        yield Page(process)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
