"""What do `dfm poc wait`, `status` and `stop` ask a running federation?

The command calls `main` in a process of its own with `wait`, `once` or `abort` and a request on stdin, and reads
lines of JSON from stdout: `{"connected": […]}` whenever that changes, all sites that NVFlare's server has just asked
and that answered.
"""
# pyright: reportMissingImports=false, reportMissingModuleSource=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
# pyright: reportUntypedBaseClass=false

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from nvflare.fuel.flare_api.api_spec import InternalError, NoConnection
from nvflare.fuel.flare_api.flare_api import Session
from nvflare.fuel.hci.proto import MetaStatusValue

from dfm.flare._kit import settings_of
from dfm.flare._login import connected

_BETWEEN = 0.1
"""Seconds between two questions."""
_LATE = 2.0
"""Seconds after the end of a request's time until its process ends, whatever it waits for."""
_LOGIN = 2.0
"""Seconds for the first attempt, and twice as many for each further one: one that begins too early fails only when this
is over, and a busy machine needs longer for any."""

_SILENT = (MetaStatusValue.NO_REPLY, MetaStatusValue.ERROR)


def main() -> None:
    """Does what the first argument says; exits with 1 when there was no time left."""
    request = json.load(sys.stdin)
    # NVFlare writes to stdout, which belongs to the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.ERROR)

    def tell(document: dict[str, Any]) -> None:
        answer.write(json.dumps(document) + "\n")
        answer.flush()

    # NVFlare waits for some answers for ever.
    threading.Timer(request["timeout"] + _LATE, os._exit, (1,)).start()
    federation = _Federation(Path(request["kit"]), request["sites"], time.monotonic() + request["timeout"])
    done = {"wait": federation.wait, "once": federation.look, "abort": federation.abort}[sys.argv[1]](tell)
    # NVFlare's threads would keep the interpreter for seconds.
    sys.stderr.flush()
    os._exit(0 if done else 1)


class _Federation:
    def __init__(self, kit: Path, sites: list[str], deadline: float):
        self._kit = kit
        self._sites = sites
        self._deadline = deadline
        settings = settings_of(kit)
        self._address = settings["host"], settings["port"]
        self._user = settings["username"]

    def wait(self, tell: Any) -> bool:
        """Until all sites have answered."""
        session, told = self._login(), None
        while session is not None and self._has_time():
            connected = self._connected(session)
            if connected != told:
                tell({"connected": connected})
                told = connected
            if set(self._sites) <= set(connected):
                return True
            time.sleep(_BETWEEN)
        return False

    def look(self, tell: Any) -> bool:
        """Once."""
        session = self._login()
        if session is not None:
            tell({"connected": self._connected(session)})
        return session is not None

    def abort(self, tell: Any) -> bool:
        """Aborts all jobs, and waits for their end."""
        session = self._login()
        while session is not None and self._has_time():
            jobs = session.get_system_info().job_info
            if not jobs:
                return True
            for job in jobs:
                session.abort_job(job.job_id)
            time.sleep(_BETWEEN)
        return False

    def _has_time(self) -> bool:
        return time.monotonic() < self._deadline

    def _login(self) -> Session | None:
        patience = _LOGIN
        while self._has_time():
            if self._listens():
                try:
                    return connected(self._user, self._kit, patience)
                except (NoConnection, InternalError):
                    patience *= 2
                    continue
            time.sleep(_BETWEEN)
        return None

    def _listens(self) -> bool:
        try:
            socket.create_connection(self._address, timeout=1).close()
        except OSError:
            return False
        return True

    def _connected(self, session: Session) -> list[str]:
        try:
            known = [client.name for client in session.get_system_info().client_info]
            # The server keeps the names of clients that are gone; so each that should be there is asked.
            asked = [name for name in known if name in self._sites]
            if not asked:
                return []
            answers = session.check_status("client", asked)["client_status"]
            return sorted({one["client_name"] for one in answers if one["status"] not in _SILENT})
        except (NoConnection, InternalError):
            return []
