"""What does the process of a site do that is not the application's own?

It is started with one socket, which leads to the application's site, as its standard input; everything else comes
through that. It ends when that socket does.
"""

import asyncio
import functools
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

from dfm import _native, _values
from dfm._running.ended import BROKEN, UNSTARTED
from dfm._running.forks import end_without, keep_from_forks
from dfm._running.loop import SiteLoop
from dfm._running.output import lines_to
from dfm._running.said import Said
from dfm._shown import clean_logger, log_filter
from dfm.exec._adapters import Adapters
from dfm.exec._policy import OWN, PolicyError, SitePolicy, read_file


def main() -> None:
    """Serves the site `argv[1]` of a session whose homesite is `argv[2]`."""
    site, home = sys.argv[1:3]
    # Who gets the signal ends by it, and the homesite says so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    control = os.dup(0)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    try:
        watched = _native.end_with_parent(control)
    except OSError:
        # The homesite tells why, by the code.
        os._exit(UNSTARTED)
    watcher = _Watcher(watched)
    keep_from_forks(watcher)
    end_without(watched)
    asyncio.run(_serve(site, home, control))
    sys.stdout.close()
    sys.stderr.flush()
    # Threads that are still inside an adapter would keep the interpreter from exiting.
    os._exit(0)


def _print(site: bytes, said: Said, line: bytes) -> None:
    """Shows a line that an adapter has printed beside those of other sites, whole and as its own."""
    _show(site + b": " + line)
    said.print(line)


def _show(text: bytes) -> None:
    shown = memoryview(text + b"\n")
    while shown:
        shown = shown[os.write(2, shown) :]


class _Whole(logging.Handler):
    """Shows each entry as one, so that those of several sites do not cut each other."""

    def emit(self, record: logging.LogRecord) -> None:
        _show(self.format(record).encode("utf-8", "backslashreplace"))


class _Watcher:
    """The thread that ends this process with the application, which a forked process does not have."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def leave_to_parent(self) -> list[int]:
        """As `Holder`."""
        return [self._fd]


def _end_broken(_: str) -> None:
    """What was wrong is in the log. The end of its process is what all others are told of."""
    sys.stderr.flush()
    os._exit(BROKEN)


async def _serve(site: str, home: str, control: int) -> None:
    over = asyncio.Event()

    def on_event(event: _native.OuterEvent) -> None:
        match event:
            case _native.Setup(text):
                driver.take_on(_set_up(home, json.loads(text)))
                logging.getLogger().addHandler(said := driver.said())
                sys.stdout = lines_to(functools.partial(_print, site.encode(), said))
            case _native.Warned(text):
                driver.adapters.logger.warning("%s", text)
            case _native.Bye():
                over.set()
            case _native.Closed(lost):
                if lost == home:
                    over.set()
            case _:
                _leave_to_home(event)

    native = _native.Site(site, home)
    native.add_link(home, control)
    driver = SiteLoop(native, on_event, _end_broken)
    driver.watch()
    await over.wait()
    await driver.end()


def _leave_to_home(event: _native.HomeEvent) -> None:
    """Nobody here waits for it."""


def _set_up(home: str, setup: dict[str, Any]) -> Adapters:
    sys.path[:] = setup["sys_path"] + (sys.path if setup["own_packages"] else [])
    _values.set_policy(setup["lenient"], _values.packages_of(setup["settings"]), _values.modules_of(setup["settings"]))
    site = setup["settings"]["site"]
    shown = _Whole(setup["log_level"])
    # What is not shown here is told to its job.
    logging.basicConfig(
        level=min(logging.INFO, setup["log_level"]), format=f"%(levelname)s {site}: %(message)s", handlers=[shown]
    )
    logger = clean_logger(f"dfm.site.{site}")
    adapters = Adapters(setup["settings"], home, setup["session"], logger, policy=_policy(setup["policy"], logger))
    for handler in logging.getLogger().handlers:
        handler.addFilter(log_filter())
    adapters.mask_process()
    return adapters


def _policy(path: str | None, logger: logging.Logger) -> SitePolicy:
    if path is None:
        return OWN
    try:
        return read_file(Path(path))
    except PolicyError as error:
        logger.error("%s is broken, so that everything is refused:\n%s", path, error)
        return SitePolicy(allow=False, path=Path(path))
