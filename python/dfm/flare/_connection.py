"""How is a session's job started and reached?

Everything here blocks, and runs on threads of its own; what comes from the job is told on NVFlare's threads.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nvflare.fuel.flare_api import api_spec
from nvflare.fuel.flare_api.flare_api import new_secure_session
from typing_extensions import Buffer

from dfm.errors import SessionError
from dfm.flare._cells import job_cell, poster, serve_batches
from dfm.flare._job import OPEN, write_job
from dfm.flare._kit import Kit
from dfm.flare._lane import Inbox, Lane, Packet

_LOGIN = 15.0
"""Seconds for the server to answer."""
_START = 60.0
"""Seconds for a job to begin to run."""
_ASK_AGAIN = 0.1
_KEEP_ALIVE = 300.0
"""Seconds between signs of life; NVFlare ends a user's idle connection after 1,800."""


class Connection:
    """One job of a session."""

    def __init__(
        self,
        kit: Kit,
        folder: str | None,
        homesite: str,
        session: str,
        logger: logging.Logger,
        take: Callable[[list[Packet]], None],
        lost: Callable[[str], None],
    ) -> None:
        """`take` gets what the sites and the job send; `lost` is told once when the job cannot be reached any more.

        `folder` is where the job is prepared; a temporary one if there is none.
        """
        self._kit = kit
        self._folder = folder
        self._homesite = homesite
        self._session = session
        self._logger = logger
        self._lost = lost
        self._inbox = Inbox(take)
        self._closing = threading.Event()
        self._flare: Any = None
        self._cell = ""
        self._token: str | None = None
        self._lane: Lane | None = None
        self.job = ""
        """NVFlare's id of the job."""

    def open(self) -> list[str]:
        """Starts the job; the sites that take part in it.

        Raises:
            SessionError: it does not run, and why.
        """
        begin = time.monotonic()
        self._flare = self._login()
        cell = self._flare.api.get_cell()
        serve_batches(cell, lambda: self._token, self._receive)
        self.job = self._submit()
        self._logger.info("job %s is submitted; waiting for the server to start it", self.job)
        self._cell = job_cell("server", self.job)
        self._token = secrets.token_hex(32)
        answer = self._ask_to_open(cell.get_fqcn(), self._token)
        self._lane = Lane("server", poster(cell, self._cell, self._token), self._lane_lost)
        self._logger.info("job %s runs after %.1f s", self.job, time.monotonic() - begin)
        threading.Thread(target=self._keep_alive, name="dfm-flare-alive", daemon=True).start()
        return answer["sites"]

    def push(self, packet: Packet) -> None:
        """Sends a packet to the job, which passes it on."""
        if self._lane is not None:
            self._lane.push(packet)

    def close(self) -> None:
        """Ends the job, as far as it has begun."""
        self._closing.set()
        if self._lane is not None:
            self._lane.push(Packet(self._homesite, "", json.dumps({"bye": True}).encode()))
            self._lane.drain(3.0)
            self._lane.close()
        elif self.job and self._flare is not None:
            with contextlib.suppress(Exception):
                self._flare.abort_job(self.job)
        if self._flare is not None:
            with contextlib.suppress(Exception):
                self._flare.close()

    def connected(self) -> list[str]:
        """The clients that are connected to the federation now."""
        try:
            return [str(client.name) for client in self._flare.get_connected_client_list()]
        except Exception as error:
            raise SessionError(f"the federation's server does not say who is connected: {error}") from None

    def _login(self) -> Any:
        user, folder = self._kit.user, str(self._kit.folder)
        deadline = time.monotonic() + _LOGIN
        while True:
            self._check_closing()
            try:
                with contextlib.redirect_stdout(None):
                    return new_secure_session(user, folder, timeout=5)
            except api_spec.NoConnection as error:
                if time.monotonic() > deadline:
                    raise SessionError(
                        f"the federation's server does not answer, for the kit {folder}: {error}; is it running?"
                    ) from None
            except Exception as error:
                raise SessionError(
                    f"the federation does not let user '{user}' in, with the kit {folder}: {error}"
                ) from None

    def _submit(self) -> str:
        self._check_closing()
        with tempfile.TemporaryDirectory(prefix="dfm-", dir=self._folder) as folder:
            job = write_job(Path(folder), f"dfm-{self._session}")
            try:
                return str(self._flare.submit_job(str(job), submit_token=secrets.token_hex(16)))
            except api_spec.AuthorizationError as error:
                raise SessionError(f"user '{self._kit.user}' may not submit jobs: {error}") from None
            except Exception as error:
                raise SessionError(f"the federation does not take the session's job: {error}") from None

    def _ask_to_open(self, own_cell: str, token: str) -> dict[str, Any]:
        request = {"token": token, "cell": own_cell}
        request |= {"homesite": self._homesite, "session": self._session}
        deadline = time.monotonic() + _START
        refusal = ""
        while time.monotonic() < deadline:
            self._check_closing()
            try:
                answer = self._flare.do_app_command(self.job, OPEN, request)
            except api_spec.AuthorizationError as error:
                raise SessionError(f"user '{self._kit.user}' may not use the session's job: {error}") from None
            except Exception as error:
                refusal = str(error)
                self._check_alive()
            else:
                if "error" in answer:
                    raise SessionError(f"the session's job {self.job} does not open: {answer['error']}")
                return answer
            time.sleep(_ASK_AGAIN)
        raise SessionError(f"the session's job {self.job} has not begun within {_START:.0f} s: {refusal}")

    def status(self) -> str:
        """What NVFlare says of the job, such as `RUNNING`."""
        try:
            return str(self._flare.get_job_meta(self.job)["status"])
        except Exception as error:
            return f"unknown, for the server does not say: {error}"

    def _check_alive(self) -> None:
        status = self.status()
        if status.startswith("FINISHED"):
            raise SessionError(
                f"the session's job {self.job} ended before it began ({status}); the server's log has the reason, "
                "which may be that its kit was not provisioned by this version of dfm"
            )

    def _check_closing(self) -> None:
        if self._closing.is_set():
            raise SessionError("the session was closed")

    def _receive(self, origin: str, number: int, batch: Buffer) -> bool:
        if origin != self._cell:
            return False
        self._inbox.receive(number, batch)
        return True

    def _lane_lost(self, reason: str) -> None:
        self._lost(f"the session's job at the server cannot be reached: {reason}; its status is {self.status()}")

    def _keep_alive(self) -> None:
        while not self._closing.wait(_KEEP_ALIVE):
            self.status()
