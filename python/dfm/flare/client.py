"""What does a client's process of a session's job do?"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nvflare.apis.event_type import EventType
from nvflare.apis.executor import Executor
from nvflare.apis.fl_context import FLContext
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from dfm._running.threads import started
from dfm.flare import _told
from dfm.flare._admission import admit
from dfm.flare._arrival import NotYet
from dfm.flare._cells import JOIN, CellTransport, ask, job_cell, serve_batches
from dfm.flare._channel import HELLO, Channel, Secret
from dfm.flare._direct import DirectConnections
from dfm.flare._identity import Untrusted, check_client, check_server, may_submit, read_credentials
from dfm.flare._lane import Lane
from dfm.flare._packets import Packet, Unreachable
from dfm.flare._participant import Participant, description, heed, read_settings
from dfm.flare._sealing import SERVER, SiteSealing

_ASK_AGAIN = 0.2
_LONGEST = 200
"""Characters of a site's name."""


class SessionExecutor(Executor):
    """Joins the session when the job starts; the job's tasks are not used."""

    def __init__(self) -> None:
        super().__init__()
        self._over = threading.Event()
        self._participant: Participant | None = None
        self._sites: dict[str, str] = {}
        """The cell of each other site, which its name says: the server says the names alone."""
        self._lanes: dict[str, Lane] = {}
        """By the cell to which each leads."""
        self._at_end = contextlib.ExitStack()
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
        self._server = job_cell(SERVER, self._job)
        serve_batches(self._cell, self._lane_of)
        started(self._join, "dfm-join")

    def _join(self) -> None:
        about = description(self._settings)
        try:
            self._credentials = read_credentials(self._kit)
            self._direct = DirectConnections(
                self._kit, self._credentials, self._job, self._name, self._lane_of, self.logger
            )
            self._at_end.callback(self._direct.close)
            self._secret = Secret(self._credentials, self._job, about | self._direct.about)
            if (signed := self._ask_to_join()) is not None:
                self._joined(check_server(self._credentials, signed, JOIN, self._job), about.get("problem"))
        except Untrusted as error:
            self.logger.error(f"this site takes no part in the session: {error}")

    def _ask_to_join(self) -> str | None:
        """The answer, which nobody has signed yet for all this site knows; None when it may not or need not join."""
        while not self._over.is_set():
            try:
                if answer := ask(self._cell, self._server, JOIN, {}, self._secret.hello.encode()):
                    return answer.decode("utf-8", "replace")
            except Unreachable as error:
                if error.refused:
                    self.logger.error(f"the session does not let this site in: {error}")
                    return None
            self._over.wait(_ASK_AGAIN)
        return None

    def _joined(self, answer: dict[str, Any], problem: str | None) -> None:
        if answer["to"] != hashlib.sha256(self._secret.hello.encode()).hexdigest():
            raise Untrusted("the session's job has answered somebody else")
        self._homesite = answer["homesite"]
        own = self._settings["site"] if self._settings is not None else None
        others = [site for site in _names(answer["sites"]) if site not in (own, self._homesite)]
        sealing = SiteSealing(self._credentials, self._job, self._homesite, self._secret, answer["application"])
        user, policy = sealing.user, None
        if not may_submit(self._kit, user.role):
            problem = f"it lets no user of the role '{user.role}' submit jobs, as its authorization.json says"
        elif self._settings is not None and problem is None:
            policy, problem = admit(self._kit, self._settings["site"], user.name, self.logger)
        if self._settings is not None and policy is not None and problem is None:
            linked = [*others, self._homesite]
            self._participant = Participant(
                self._settings, self._homesite, answer["session"], linked, self._carry, sealing, policy
            )
        hello = answer["hello"]
        content = check_server(self._credentials, hello, HELLO, self._job)
        channel = Channel(self._secret, hello, content)
        with self._lock:
            self._sites = {site: job_cell(site, self._job) for site in others}
            self._lanes[self._server] = lane = self._lane(SERVER, self._server, channel, self._take_from_server)
        self._direct.meet(self._server, SERVER, hello, content)
        told = {"ready": True} | ({} if problem is None else {"problem": problem})
        lane.push(Packet(self._name, "", _told.tell(told)))

    def _end(self) -> None:
        self._over.set()
        with self._lock:
            for lane in self._lanes.values():
                lane.close()
        self._at_end.close()
        if self._participant is not None:
            self._participant.close()

    def _lane_of(self, origin: str) -> Lane | None:
        with self._lock:
            if origin not in self._lanes and (origin == self._server or origin in self._sites.values()):
                raise NotYet
            return self._lanes.get(origin)

    def _take_from_server(self, packets: list[Packet]) -> None:
        told = [_told.read(packet.content) for packet in packets if not packet.receiver]
        # Who is said to be there has to be known before what needs it.
        for one in told:
            match one:
                case {"hello": str(name), "said": str(hello)}:
                    self._meet(name, hello)
                case _:
                    pass
        at_server = {SERVER} & self._sites.keys()
        self._take({self._homesite, *at_server}, [packet for packet in packets if packet.receiver])
        for one in told:
            if self._participant is not None:
                heed(self._participant, one)

    def _take(self, senders: set[str], packets: list[Packet]) -> None:
        if wrong := [packet for packet in packets if packet.sender not in senders or not packet.receiver]:
            raise ValueError(f"no packet of '{wrong[0].sender}' may come from there")
        if self._participant is not None:
            self._participant.receive(packets)

    def _meet(self, name: str, hello: str) -> None:
        """Another process takes part in the session, or an application in the place of the one before."""
        try:
            if name == self._homesite:
                if self._participant is not None:
                    self._participant.meet(hello)
            elif (cell := self._sites.get(name)) is not None and cell not in self._lanes:
                content = check_client(self._credentials, hello, HELLO, self._job, name)
                channel = Channel(self._secret, hello, content)
                with self._lock:
                    self._lanes[cell] = self._lane(name, cell, channel, functools.partial(self._take, {name}))
                self._direct.meet(cell, name, hello, content)
        except Untrusted as error:
            self.logger.error(f"'{name}' is not trusted: {error}")
            if self._participant is not None:
                self._participant.lose(name)

    def _carry(self, packets: Sequence[Packet]) -> None:
        of_cells: dict[str, list[Packet]] = {}
        for packet in packets:
            at_server = packet.receiver in ("", self._homesite)
            of_cells.setdefault(self._server if at_server else self._sites[packet.receiver], []).append(packet)
        for cell, some in of_cells.items():
            if (lane := self._lanes.get(cell)) is not None:
                lane.push(*some)

    def _lane(self, name: str, cell: str, channel: Channel, take: Callable[[list[Packet]], None]) -> Lane:
        at_server = cell == self._server

        def lost(reason: str) -> None:
            self.logger.error(f"{name} cannot be reached: {reason}")
            self._direct.part(cell)
            if self._participant is not None and not at_server:
                self._participant.lose(name)

        to = self._direct.transport(cell, CellTransport(self._cell, cell))
        return Lane(name, channel, to, take, lost, heartbeat=at_server)


def _names(told: object) -> list[str]:
    """The names of a session's sites as the server's process says them.

    Raises:
        Untrusted: they are none.
    """
    if not isinstance(told, list) or not all(isinstance(one, str) and 0 < len(one) <= _LONGEST for one in told):
        raise Untrusted("the session's job does not say which sites there are")
    return told
