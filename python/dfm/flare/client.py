"""What does a client's process of a session's job do?"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import functools
import json
import threading
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal
from typing_extensions import Buffer

from dfm.flare._admission import admit
from dfm.flare._cells import JOIN, ask, job_cell, poster, serve_batches
from dfm.flare._lane import Inbox, Lane, Packet, Unreachable
from dfm.flare._participant import Participant, description, read_settings, submitter

_SERVER = "server"
"""What NVFlare's cells call the server, whatever its name."""
_ASK_AGAIN = 0.2


class SessionExecutor(Executor):
    """Joins the session when the job starts; the job's tasks are not used."""

    def __init__(self) -> None:
        super().__init__()
        self._over = threading.Event()
        self._token: str | None = None
        self._participant: Participant | None = None
        self._inboxes: dict[str, Inbox] = {}
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()

    def execute(self, task_name: str, shareable: Shareable, fl_ctx: FLContext, abort_signal: Signal) -> Shareable:
        """Never needed: the session's controller gives no tasks."""
        return Shareable()

    def handle_event(self, event_type: str, fl_ctx: FLContext) -> None:
        """Begins and ends with the run."""
        if event_type == EventType.START_RUN:
            self._begin(fl_ctx)
        elif event_type == EventType.ABOUT_TO_END_RUN:
            self._end()

    def _begin(self, fl_ctx: FLContext) -> None:
        engine: Any = fl_ctx.get_engine()
        self._cell = engine.get_cell()
        self._job = str(fl_ctx.get_job_id())
        self._name = str(fl_ctx.get_identity_name())
        self._kit = Path(fl_ctx.get_workspace().get_root_dir())
        self._settings = read_settings(self._kit)
        self._user = submitter(fl_ctx)
        self._server = job_cell(_SERVER, self._job)
        serve_batches(self._cell, lambda _: self._token, self._receive)
        threading.Thread(target=self._join, name="dfm-join", daemon=True).start()

    def _join(self) -> None:
        about = description(self._settings)
        policy = None
        if self._settings is not None and "problem" not in about:
            policy, problem = admit(self._kit, self._settings["site"], self._user, self.logger)
            if problem is not None:
                about["problem"] = problem
        request = json.dumps(about | {"participant": self._name}).encode()
        while True:
            try:
                answer = json.loads(ask(self._cell, self._server, JOIN, {}, request))
            except Unreachable as error:
                if error.refused:
                    self.logger.error(f"the session does not let this site in: {error}")
                    return
                answer = None
            if answer:
                break
            if self._over.wait(_ASK_AGAIN):
                return
        self._sites: dict[str, str] = answer["sites"]  # the cell of each
        self._homesite = answer["homesite"]
        at: dict[str, set[str]] = {self._server: {"", self._homesite}}
        for site, cell in self._sites.items():
            at.setdefault(cell, set()).add(site)
        self._inboxes = {cell: Inbox(functools.partial(self._take, names)) for cell, names in at.items()}
        if self._settings is not None and policy is not None:
            others = [site for site in {*self._sites, self._homesite} if site != self._settings["site"]]
            self._participant = Participant(
                self._settings, self._homesite, answer["session"], others, self._carry, policy
            )
        self._token = answer["token"]
        self._lane(self._server).push(Packet(self._name, "", json.dumps({"ready": True}).encode()))

    def _end(self) -> None:
        self._over.set()
        with self._lock:
            for lane in self._lanes.values():
                lane.close()
        if self._participant is not None:
            self._participant.close()

    def _receive(self, origin: str, number: int, batch: Buffer) -> bool:
        inbox = self._inboxes.get(origin)
        if inbox is not None:
            inbox.receive(number, batch)
        return inbox is not None

    def _take(self, senders: set[str], packets: list[Packet]) -> None:
        if wrong := [packet.sender for packet in packets if packet.sender not in senders]:
            raise ValueError(f"no packet of '{wrong[0]}' may come from there")
        told = [json.loads(bytes(packet.content)) for packet in packets if not packet.receiver]
        if self._participant is None:
            return
        self._participant.receive([packet for packet in packets if packet.receiver])
        for one in told:
            self._participant.lose(one["lost"])

    def _carry(self, packet: Packet) -> None:
        at_server = packet.receiver in ("", self._homesite)
        cell = self._server if at_server else self._sites[packet.receiver]
        self._lane(cell).push(packet)

    def _lane(self, cell: str) -> Lane:
        with self._lock:
            if cell not in self._lanes:
                at_server = cell == self._server
                name = next((site for site, of in self._sites.items() if of == cell), _SERVER)

                def lost(reason: str) -> None:
                    self.logger.error(f"{name} cannot be reached: {reason}")
                    if self._participant is not None and not at_server:
                        self._participant.lose(name)

                self._lanes[cell] = Lane(name, poster(self._cell, cell, self._token or ""), lost, heartbeat=at_server)
            return self._lanes[cell]
