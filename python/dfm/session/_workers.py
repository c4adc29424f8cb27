"""How is the process of another site started, and how is its end told?"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import dfm

_START = "import sys; sys.path.append(sys.argv[3]); from dfm._worker import main; main()"


class Worker:
    """The process of one site."""

    def __init__(self, site: str, homesite: str, socket: int) -> None:
        """Starts it; `socket` is the descriptor of its end of the link, and is closed here.

        Raises:
            OSError: the system cannot start another process.
        """
        self.site = site
        self.asked_to_end = False
        command = [sys.executable, "-P", "-c", _START, site, homesite, str(Path(dfm.__file__).parent.parent)]
        try:
            # A group of its own: Ctrl-C in a terminal is for the application to decide on.
            self._process = subprocess.Popen(command, stdin=socket, stdout=2, process_group=0)
        finally:
            os.close(socket)
        self._pidfd = os.pidfd_open(self._process.pid)

    async def ended(self, grace: float) -> str:
        """Waits for its end, which is forced after `grace` seconds; says how it ended."""
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        loop.add_reader(self._pidfd, over.set)
        timer = loop.call_later(grace, self.kill)
        try:
            await over.wait()
        finally:
            timer.cancel()
            loop.remove_reader(self._pidfd)
        code = self._process.wait()
        os.close(self._pidfd)
        if code >= 0:
            return f"exited with code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = "unknown"
        return f"was ended by signal {-code} ({name})"

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()
