"""What does the server's process of a session's job do?

It lets the participants into the session that an application opened, carries packets between them and the application,
tells who is lost, and runs the site `server` if the federation has one.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import functools
import hmac
import json
import threading
import time
from pathlib import Path
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from typing_extensions import Buffer

from dfm.flare._cells import job_cell, poster, serve_batches, serve_joins
from dfm.flare._job import OPEN
from dfm.flare._lane import Inbox, Lane, Packet
from dfm.flare._participant import Participant, description, read_settings

_LOOK = 0.2
"""Seconds between looks at NVFlare's abort signal, which cannot be waited for."""
_UNOPENED = 120.0
"""Seconds after which a session that no application opened is over."""
_DESERTED = 60.0
"""Seconds without a sign of the application after which its session is over."""


class SessionController(Controller):
    """The one workflow of a session's job."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._began = time.monotonic()
        self._answer: dict[str, Any] | None = None
        self._token: str | None = None
        self._application = ""
        self._inbox: Inbox | None = None
        self._participant: Participant | None = None
        self._inboxes: dict[str, Inbox] = {}
        self._lanes: dict[str, Lane] = {}
        self._joined: dict[str, dict[str, Any]] = {}
        self._lost: dict[str, str] = {}

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Registers what others may ask."""
        engine: Any = fl_ctx.get_engine()
        self._cell = engine.get_cell()
        self._job = str(fl_ctx.get_job_id())
        self._settings = read_settings(Path(fl_ctx.get_workspace().get_root_dir()))
        self._clients = {job_cell(one.name, self._job): str(one.name) for one in engine.get_clients()}
        serve_joins(self._cell, self._join)
        serve_batches(self._cell, lambda: self._token, self._receive)
        engine.register_app_command(OPEN, self._open)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Lasts as long as the session."""
        while not self._over.wait(_LOOK) and not abort_signal.triggered:
            heard, patience = (self._inbox.heard, _DESERTED) if self._inbox else (self._began, _UNOPENED)
            if time.monotonic() - heard > patience:
                self.log_warning(fl_ctx, f"the application has not been heard of for {patience:.0f} s")
                return

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Ends what still runs."""
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.close()
        if self._participant is not None:
            self._participant.close()

    def process_result_of_unknown_task(
        self, client: Client, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """There are no tasks."""

    def _open(self, topic: str, data: Any, fl_ctx: FLContext) -> dict[str, Any]:
        """An application opens the session: NVFlare has checked that its user may. Asking again gives the same."""
        wanted = ("token", "cell", "homesite", "session")
        if not isinstance(data, dict) or not all(isinstance(data.get(key), str) and data[key] for key in wanted):
            return {"error": "the application's request is not one of this version of dfm"}
        with self._lock:
            if self._answer is None:
                self._opened(data)
            elif not hmac.compare_digest(self._token or "", data["token"]):
                return {"error": "the session belongs to another application"}
            assert self._answer is not None
            return self._answer

    def _opened(self, data: dict[str, Any]) -> None:
        server = job_cell("server", self._job)
        homesite, own = data["homesite"], self._settings["site"] if self._settings else None
        self._sites = {name: cell for cell, name in self._clients.items() if name != homesite}
        if own is not None and own != homesite:
            self._sites[own] = server
        self._homesite, self._application = homesite, data["cell"]
        self._session = data["session"]
        inbox = functools.partial(functools.partial, self._route)
        self._inboxes = {cell: Inbox(inbox(name)) for cell, name in self._clients.items()}
        self._inbox = self._inboxes[self._application] = Inbox(inbox(homesite))
        self._answer = {"sites": sorted(self._sites)}
        self._token = data["token"]
        self._start_lane(homesite, self._application, heartbeat=False)
        if own in self._sites and self._settings is not None:
            about = description(self._settings)
            if "problem" not in about:
                others = [site for site in {*self._sites, homesite} if site != own]
                self._participant = Participant(self._settings, homesite, self._session, others, self._carry)
            self._tell({"ready": own, **about})

    def _start_lane(self, site: str, cell: str, heartbeat: bool) -> None:
        token = self._token
        assert token is not None

        def lost(reason: str) -> None:
            if site == self._homesite:
                self.logger.error(f"the application cannot be reached: {reason}")
            else:
                self._lose(site, reason)

        self._lanes[site] = Lane(site, poster(self._cell, cell, token), lost, heartbeat)

    def _join(self, origin: str, request: bytes) -> bytes | None:
        """A participant wants to be let in; an empty object until there is a session."""
        name = self._clients.get(origin)
        if name is None:
            return None
        with self._lock:
            if self._answer is None:
                return b"{}"
            self._joined[name] = json.loads(request)
            if name not in self._lanes:
                self._start_lane(name, origin, heartbeat=True)
        answer = {"token": self._token, "homesite": self._homesite, "session": self._session}
        return json.dumps(answer | {"sites": self._sites}).encode()

    def _receive(self, origin: str, number: int, batch: Buffer) -> bool:
        inbox = self._inboxes.get(origin)
        if inbox is None:
            return False
        inbox.receive(number, batch)
        return True

    def _route(self, sender: str, packets: list[Packet]) -> None:
        """Gives packets to those they are for; it is called for one sender at a time, in order."""
        own: list[Packet] = []
        for packet in packets:
            if packet.sender != sender:
                raise ValueError(f"'{sender}' sent a packet in the name of '{packet.sender}'")
            if not packet.receiver:
                self._heed(sender, json.loads(bytes(packet.content)))
            elif self._participant is not None and self._sites.get(packet.receiver) == job_cell("server", self._job):
                own.append(packet)
            else:
                self._carry(packet)
        if own and self._participant is not None:
            self._participant.receive(own)

    def _carry(self, packet: Packet) -> None:
        with self._lock:
            lane = self._lanes.get(packet.receiver)
        if lane is not None:
            lane.push(packet)

    def _heed(self, sender: str, told: dict[str, Any]) -> None:
        if "ready" in told:
            self._tell({"ready": sender, **self._joined.get(sender, {})})
        elif "bye" in told and sender == self._homesite:
            self._over.set()

    def _tell(self, what: dict[str, Any]) -> None:
        """To the application, or, of a loss, to everybody."""
        told = Packet("", "", json.dumps(what).encode())
        for site, lane in self._lanes.items():
            if site == self._homesite or ("lost" in what and site not in self._lost):
                lane.push(told)

    def _lose(self, site: str, reason: str) -> None:
        with self._lock:
            self._lost[site] = reason
            self._lanes.pop(site, None)
            self._tell({"lost": site, "reason": reason})
        self.logger.error(f"site {site} is lost: {reason}")
        if self._participant is not None:
            self._participant.lose(site)
