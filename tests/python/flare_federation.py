"""How do tests reach the running federation that they share, and the processes of its sites?"""

import contextlib
import importlib
import os
import subprocess
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from dfm.api import Pipeline
from kits import declare
from processes import marked, read


def as_home() -> dict[str, str]:
    """The environment of a command that is to use the kit of the user `home`, for there are several."""
    return os.environ | {"DFM_FLARE_USER": "home@small.example"}


class Federation:
    """The POC of the federation `small`."""

    def __init__(self, command: Path, folder: Path) -> None:
        self.command, self.registry = command, folder / "federations.yaml"
        self.folder = folder / "workspace" / "small_poc"

    def dfm(self, *words: str) -> str:
        command = [self.command, "--config", self.registry, *words]
        done = subprocess.run(command, env=as_home(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def wait(self) -> None:
        """Until its sites are connected, as long as a busy machine needs for that."""
        self.dfm("poc", "wait", "-f", "small", "--timeout", "180")

    def restart(self, change: Callable[[], object] = lambda: None) -> None:
        """Starts all its processes anew, after a change that they are to see: of their kits, or of the environment."""
        self.dfm("poc", "stop", "-f", "small")
        change()
        self.dfm("poc", "start", "-f", "small", "--skip-prepare")
        self.wait()

    def kit(self, participant: str) -> Path:
        (kit,) = self.folder.glob(f"small/prod_00/{participant}")
        return kit

    @contextlib.contextmanager
    def policy(self, site: str, text: str) -> Generator[Path]:
        """The file with a site's policy as long as it says this; after it, it says again what it did."""
        path = self.kit(site) / "local" / "policy.yaml"
        before = path.read_text()
        path.write_text(text)
        try:
            yield path
        finally:
            path.write_text(before)

    def processes(self) -> list[int]:
        return marked(f"DFM_POC={self.folder}")

    def process(self, participant: str, job: str | None = None) -> int:
        """A participant's process, or that of one of its jobs."""
        for pid in self.processes():
            words = read(Path(f"/proc/{pid}/cmdline")).decode().split("\0")
            if str(self.kit(participant)) in words and (words[-1] == job or job in words if job else "-n" not in words):
                return pid
        raise AssertionError(f"{participant} has no such process")


@contextlib.contextmanager
def running(command: Path, folder: Path) -> Generator[Federation]:
    """The POC of `small` as long as it runs; after it, none of its processes does."""
    federation = Federation(command, folder)
    federation.dfm("poc", "start", "-f", "small")
    try:
        federation.wait()
        yield federation
    finally:
        federation.dfm("poc", "stop", "-f", "small")
    assert not federation.processes()


SITES = ("server", "east", "west")
"""Those that do not belong to an application."""


@contextlib.contextmanager
def declared(
    federation: Federation, *listening: str, host: str = "127.0.0.1", port: int = 0, listen: str = "127.0.0.1"
) -> Generator[None]:
    """All sessions that begin meanwhile may have direct connections to these participants, and to no others, who listen
    on the loopback at `listen` and are to be reached at `host`."""
    before: dict[Path, str | None] = {}
    for name in (*SITES, "home@*"):
        of = federation.kit(name) / "dfm" / "direct.json"
        before[of] = of.read_text() if of.exists() else None
        others = [one for one in listening if one != name and (name in SITES or one == "server")]
        own = {"ports": [port, port], "listen": listen} if name in listening else None
        found = {one: {"host": host, "ports": [port, port]} for one in others}
        declare(federation.kit(name), own, found)
    try:
        yield
    finally:
        for of, text in before.items():
            of.unlink() if text is None else of.write_text(text)


def opened(federation: Federation, **options: Any) -> Any:
    """A session of an application at site `home`, whose insides may be looked at."""
    runtime = importlib.import_module("small.fed.runtime.home")
    return runtime.get_session(target="flare", **{"admin_package": federation.kit("home@*"), **options})


def written(build: Callable[[], object]) -> Pipeline:
    """A pipeline of what `build` writes."""
    with Pipeline() as pipeline:
        build()
    return pipeline
