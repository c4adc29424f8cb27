"""What does the server's process of a session's job do?

It lets the participants into the session that an application opened, carries packets between them and the application,
tells who is lost, and runs the site `server` if the federation has one. It keeps what an application needs that was
killed and comes back.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import functools
import hashlib
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nvflare.apis.client import Client
from nvflare.apis.fl_context import FLContext
from nvflare.apis.impl.controller import Controller
from nvflare.apis.shareable import Shareable
from nvflare.apis.signal import Signal

from dfm._running.threads import started
from dfm.flare import _told
from dfm.flare._admission import admit
from dfm.flare._cells import ENDED, JOIN, CellTransport, job_cell, serve_batches, serve_ends, serve_joins, tell_started
from dfm.flare._channel import HELLO, Channel, Secret
from dfm.flare._direct import DirectConnections
from dfm.flare._executions import Executions
from dfm.flare._identity import (
    Untrusted,
    Who,
    check,
    check_client,
    check_user,
    may_submit,
    read_credentials,
    sign,
)
from dfm.flare._lane import Lane
from dfm.flare._packets import MOST_WAITING, Packet
from dfm.flare._participant import Participant, description, heed, read_settings, submitter
from dfm.flare._sealing import SERVER, SiteSealing, job_of, outline_of
from dfm.flare._session_job import CANCEL, LIST, OPEN, SHARED, WAITS

_LOOK = 0.2
"""Seconds between looks at NVFlare's abort signal, which cannot be waited for."""
_UNOPENED = 120.0
"""Seconds after which a session that no application opened is over."""
_STANDBY = 600.0
"""Seconds likewise for one that was started for a session that is yet to come."""
_REFUSED = 5.0
"""Seconds that the application of a session has to hear that it is refused: each job takes room from others'."""
_DESERTED = 60.0
"""Seconds without a sign of the application after which its session is over, if nothing is kept for it."""
_ANSWERS = 2.0
"""Seconds that sites have to say what they have not done; NVFlare waits 5 s for all of a command's answer."""
_GONE = 2.0
"""Seconds after which a client counts as absent that has not asked again to be let in."""
_LONGEST = 4096
"""Characters of what a site says of itself that others are told."""
_LONGEST_SAID = 1 << 16
"""Characters of each text in an application's request."""
_MOST_APPLICATIONS = 1000
"""So many applications may take part in a session, one after the other: its sites let no more either."""
_SILENT = 6.0
"""Seconds without a sign of the application after which it counts as gone."""


class SessionController(Controller):
    """The one workflow of a session's job."""

    def __init__(self, application: str) -> None:
        """`application` is the cell of the one that submitted the job and opens it at once, if it does."""
        super().__init__()
        self._submitter = application
        self._lock = threading.Lock()
        self._came = threading.Condition(self._lock)
        """Something has come for the application."""
        self._over = threading.Event()
        self._began = time.monotonic()
        self._answer: dict[str, Any] | None = None
        self._homesite = ""
        """The application's site, once the session is open."""
        self._application = ""
        self._hello = ""
        """The application's."""
        self._escrows: list[list[str]] = []
        """The hellos of all applications that have taken part, each with what only its own user can open."""
        self._asked: dict[str, float] = {}
        """When each client has asked last to be let into a session that is not open yet."""
        self._hellos: dict[str, str] = {}
        """The clients'."""
        self._home: Lane | None = None
        """The lane to the application that takes part, or did last."""
        self._participant: Participant | None = None
        self._lanes_of_cells: dict[str, Lane] = {}
        self._lanes: dict[str, Lane] = {}
        """Those to the participants that are not lost."""
        self._lost: dict[str, str] = {}
        self._ready: dict[str, dict[str, Any]] = {}
        self._left = False

    def start_controller(self, fl_ctx: FLContext) -> None:
        """Registers what others may ask."""
        engine: Any = fl_ctx.get_engine()
        self._cell = engine.get_cell()
        self._job = str(fl_ctx.get_job_id())
        self._kit = Path(fl_ctx.get_workspace().get_root_dir())
        self._settings = read_settings(self._kit)
        self._credentials = read_credentials(self._kit)
        self._direct = DirectConnections(
            self._kit, self._credentials, self._job, SERVER, self._lanes_of_cells.get, self.logger
        )
        self._secret = Secret(self._credentials, self._job, description(self._settings) | self._direct.about)
        name = self._settings["site"] if self._settings else SERVER
        self._owner = submitter(fl_ctx)
        self._admission = admit(self._kit, name, self._owner, self.logger)
        self._clients = {job_cell(one.name, self._job): str(one.name) for one in engine.get_clients()}
        serve_joins(self._cell, self._join)
        serve_batches(self._cell, self._lanes_of_cells.get)
        serve_ends(self._cell, self._ended)
        engine.register_app_command(OPEN, self._open)
        engine.register_app_command(LIST, self._list)
        engine.register_app_command(WAITS, self._waits)
        engine.register_app_command(CANCEL, self._cancel)
        if self._submitter:
            tell_started(self._cell, self._submitter)

    def control_flow(self, abort_signal: Signal, fl_ctx: FLContext) -> None:
        """Lasts as long as the session."""
        while not self._over.wait(_LOOK) and not abort_signal.triggered:
            if (why := self._deserted()) is not None:
                self.log_warning(fl_ctx, why)
                return

    def _deserted(self) -> str | None:
        """Why nobody needs the session any more."""
        now = time.monotonic()
        with self._lock:
            if self._home is None:
                unopened = _UNOPENED if self._submitter else _STANDBY
                patience, since = _REFUSED if self._admission.problem else unopened, self._began
            elif self._executions.kept():
                patience, since = self._keep, max(self._home.heard, self._executions.changed)
            else:
                patience, since = 0.0 if self._left else _DESERTED, self._home.heard
        if now - since <= patience:
            return None
        return f"the application has not been heard of for {now - since:.0f} s"

    def stop_controller(self, fl_ctx: FLContext) -> None:
        """Ends what still runs."""
        with self._lock:
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.close()
        self._direct.close()
        if self._participant is not None:
            self._participant.close()

    def process_result_of_unknown_task(
        self, client: Client, task_name: str, client_task_id: str, result: Shareable, fl_ctx: FLContext
    ) -> None:
        """There are no tasks."""

    def _open(self, topic: str, data: Any, fl_ctx: FLContext) -> dict[str, Any]:
        """An application opens the session, or comes back to it: NVFlare has checked that its user may.

        Asking again gives the same answer.
        """
        wanted = ("hello", "escrow", "cell", "homesite", "session")
        said = [data.get(key) for key in wanted] if isinstance(data, dict) else [None]
        if not all(isinstance(one, str) and 0 < len(one) <= _LONGEST_SAID for one in said):
            return {"error": "the application's request is not one of this version of dfm"}
        keep = data.get("keep", 0.0)  # an application that comes back does not say it
        if not isinstance(keep, float | int) or not 0 <= keep < math.inf:
            return {"error": "its jobs are kept for a number of seconds from 0 on"}
        if self._admission.problem is not None:
            return {"error": self._admission.problem}
        try:
            content, user = check_user(self._credentials, data["hello"], HELLO, self._job)
            channel = Channel(self._secret, data["hello"], content)
        except Untrusted as error:
            return {"error": f"the application's hello is not trusted: {error}"}
        if user.name != self._owner:
            return {"error": f"it belongs to user '{self._owner}'"}
        if not may_submit(self._kit, user.role):
            return {"error": f"users of the role '{user.role}' may not submit jobs, as the server's policy says"}
        with self._lock:
            comes_back = data.get("execution")
            if comes_back is None and self._answer is None:
                self._opened(data, user, content, channel)
            elif comes_back is not None and (wrong := self._misfit(data, user, comes_back)):
                return {"error": wrong}
            elif self._hello != data["hello"]:
                if comes_back is None:
                    return {"error": "the session belongs to another application"}
                if len(self._escrows) >= _MOST_APPLICATIONS:
                    return {"error": f"{_MOST_APPLICATIONS} applications have taken part in it"}
                self._come_back(data, content, channel)
            assert self._answer is not None
            hellos = {site: self._hello_of(site) for site in self._ready}
            return self._answer | {"lost": self._lost, "hellos": hellos, "escrows": self._escrows[:-1]}

    def _hello_of(self, site: str) -> str:
        return self._hellos.get(site, self._secret.hello)

    def _opened(self, data: dict[str, Any], user: Who, content: dict[str, Any], channel: Channel) -> None:
        self._user = user
        homesite, own = data["homesite"], self._settings["site"] if self._settings else None
        self._sites = {name for name in (*self._clients.values(), own) if name not in (None, homesite)}
        self._homesite = homesite
        self._lost.pop(homesite, None)
        self._session = data["session"]
        self._keep = float(data.get("keep", 0.0))
        self._executions = Executions(homesite, self.logger)
        self._answer = {"sites": sorted(self._sites), "hello": self._secret.hello}
        self._admit(data, content, channel)
        if own is not None and own in self._sites and self._settings is not None:
            others = [*self._sites - {own}, homesite]
            policy = self._admission.policy
            assert policy is not None
            sealing = SiteSealing(self._credentials, self._job, homesite, self._secret, data["hello"])
            self._participant = Participant(
                self._settings, homesite, self._session, others, self._carry, sealing, policy
            )
            self._tell_ready(own, {})

    def _admit(self, data: dict[str, Any], content: dict[str, Any], channel: Channel) -> None:
        """Lets the application in, as the only one."""
        self._application, self._hello = data["cell"], data["hello"]
        self._escrows.append([data["hello"], data["escrow"]])
        self._left = False
        self._home = self._start_lane(self._homesite, self._application, channel, heartbeat=False)
        self._direct.meet(self._application, self._homesite, data["hello"], content)

    def _misfit(self, data: dict[str, Any], user: Who, execution: int) -> str | None:
        if self._answer is None or not self._executions.knows(execution):
            return "it knows no such job"
        if user != self._user:
            return f"it belongs to user '{self._user.name}'"
        if data["homesite"] != self._homesite:
            return f"its application is that of site '{self._homesite}'; open a session of that site"
        return None

    def _come_back(self, data: dict[str, Any], content: dict[str, Any], channel: Channel) -> None:
        """Puts an application in the place of the one before, which may be there still."""
        self._lanes_of_cells.pop(self._application, None)
        if lane := self._lanes.pop(self._homesite, None):
            lane.close()
        self._direct.part(self._application)
        self._executions.leave()
        self._admit(data, content, channel)
        self._introduce(self._homesite, self._hello)
        if self._participant is not None:
            self._participant.meet(self._hello)
        for site, told in self._ready.items():
            if site not in self._lost:
                self._tell({"ready": site, **told})

    def _introduce(self, name: str, hello: str) -> None:
        """Tells every site whom else it will hear from."""
        told = Packet("", "", _told.tell({"hello": name, "said": hello}))
        for site, lane in self._lanes.items():
            if site not in (self._homesite, name):
                lane.push(told)

    def _list(self, topic: str, data: Any, fl_ctx: FLContext) -> dict[str, Any]:
        """What are the session's executions? Of one that is not open yet, which clients do not wait for that."""
        with self._lock:
            if self._home is None:
                since = time.monotonic() - _GONE
                absent = [name for name in self._clients.values() if self._asked.get(name, 0.0) < since]
                return {"executions": [], "absent": sorted(absent)}
            silent = time.monotonic() - self._home.heard
            here = not self._left and silent < _SILENT
            listed = self._executions.listed(self._lost)
            told = {"executions": listed, "application": here, "silent": silent, "homesite": self._homesite}
            return told | {"escrows": self._escrows}

    def _waits(self, topic: str, data: Any, fl_ctx: FLContext) -> dict[str, Any]:
        """What have the sites not done of an execution? Its plan and their answers, which only its user can read."""
        number = data.get("execution") if isinstance(data, dict) else None
        with self._lock:
            if not isinstance(number, int) or self._home is None or not self._executions.knows(number):
                return {"plan": None, "answers": {}, "hellos": {}, "patience": _ANSWERS}
            waiting = self._executions.waiting(number)
            sites = [site for site in waiting if site != self._homesite and site not in self._lost]
            self._executions.ask(number)
        for site in sites:
            self._order(site, {"ask": number})

        def answered() -> bool:
            return self._executions.told(number).keys() >= set(sites)

        with self._came:
            self._came.wait_for(answered, _ANSWERS)
            told, plan = self._executions.told(number), self._executions.plan(number)
            hellos = {site: self._hello_of(site) for site in sites}
        return {
            "plan": plan,
            "answers": {site: told.get(site) for site in sites},
            "hellos": hellos,
            "patience": _ANSWERS,
        }

    def _cancel(self, topic: str, data: Any, fl_ctx: FLContext) -> dict[str, Any]:
        """Somebody ends an execution: through its application, or for it if that is gone."""
        number = data.get("execution") if isinstance(data, dict) else None
        with self._lock:
            if not isinstance(number, int) or self._home is None or not self._executions.knows(number):
                return {"error": "it knows no such job"}
            here = not self._left and time.monotonic() - self._home.heard < _SILENT
            if here and self._executions.follows(number):
                self._tell({"cancel": number})
                return {"by": "application"}
            sites = self._executions.waiting(number)
            self._executions.end(number, "ABORTED")
        for site in sites:
            self._order(site, {"cancel": number})
        return {"by": "server"}

    def _order(self, site: str, what: dict[str, int]) -> None:
        """Has a site do what only the session's job may say beside the application."""
        if self._participant is not None and self._is_own(site):
            heed(self._participant, what)
            return
        with self._lock:
            if lane := self._lanes.get(site):
                lane.push(Packet("", "", _told.tell(what)))

    def _start_lane(self, site: str, cell: str, channel: Channel, heartbeat: bool) -> Lane:
        def lost(reason: str) -> None:
            if site == self._homesite:
                self.logger.warning(f"the application cannot be reached: {reason}")
                self._forsake(cell)
            else:
                self._lose(site, reason)

        def take(packets: list[Packet]) -> None:
            try:
                self._route(site, packets)
            except ValueError as error:
                lost(str(error))
                raise

        def crowds(sender: str) -> bool:
            """Whether another site is lost because of it, in the place of the lane's other end."""
            if site != self._homesite or sender not in self._sites or self._is_own(sender):
                return False
            reason = f"it sends more than the application takes: more than {MOST_WAITING} bytes waited"
            started(self._lose, "dfm-crowding", (sender, reason))
            return True

        to = self._direct.transport(cell, CellTransport(self._cell, cell))
        lane = Lane(site, channel, to, take, lost, heartbeat, passes_on=True, crowds=crowds)
        self._lanes[site] = self._lanes_of_cells[cell] = lane
        return lane

    def _forsake(self, cell: str) -> None:
        """Nothing is sent to an application that is gone; what is for it is kept."""
        with self._lock:
            if cell == self._application:
                self._lanes.pop(self._homesite, None)
                self._executions.leave()

    def _join(self, origin: str, request: bytes) -> bytes | None:
        """A participant wants to be let in; nothing until there is a session, and None to one that may not."""
        name, hello = self._clients.get(origin), request.decode("utf-8", "replace")
        if name is None:
            return None
        with self._lock:
            if self._answer is None:
                self._asked[name] = time.monotonic()
                return b""
            if name not in self._sites:
                return None
            if name not in self._hellos:
                try:
                    content = check_client(self._credentials, hello, HELLO, self._job, name)
                    channel = Channel(self._secret, hello, content)
                except Untrusted as error:
                    self.logger.error(f"somebody wants to be let in as site '{name}': {error}")
                    return None
                self._let_in(name, origin, hello, channel)
                self._direct.meet(origin, name, hello, content)
            if self._hellos[name] != hello or name in self._lost:
                return None
            answer = {
                "to": hashlib.sha256(request).hexdigest(),
                "hello": self._secret.hello,
                "sites": sorted(self._sites),
            }
            answer |= {"homesite": self._homesite, "session": self._session, "application": self._hello}
        return sign(self._credentials, JOIN, self._job, answer).encode()

    def _let_in(self, name: str, cell: str, hello: str, channel: Channel) -> None:
        lane = self._start_lane(name, cell, channel, heartbeat=True)
        for other, said in self._hellos.items():
            lane.push(Packet("", "", _told.tell({"hello": other, "said": said})))
        self._hellos[name] = hello
        self._introduce(name, hello)

    def _route(self, sender: str, packets: list[Packet]) -> None:
        """Gives packets to those they are for; it is called for one sender at a time, in order.

        Raises:
            ValueError: the sender may not send one of them.
        """
        own: list[Packet] = []
        others: list[Packet] = []
        for packet in packets:
            if sender in self._lost:
                return
            self._check(sender, packet)
            if packet.coming is not None and not self._goes_on(packet):
                whole = packet._replace(coming=None)
                if packet.coming.later(functools.partial(self._route, sender, [whole])):
                    continue
                packet = whole
            if packet.receiver == SHARED:
                self._give(others)
                others = []
                self._share(packet)
            elif not packet.receiver:
                self._heed(sender, _told.read(packet.content))
            elif sender == self._homesite and not self._passes(packet):
                continue
            elif self._is_own(packet.receiver):
                own.append(packet)
            elif packet.coming is None:
                others.append(packet)
            else:
                self._give(others)
                others = []
                self._pass_on(packet)
        self._give(others)
        if own and self._participant is not None:
            self._participant.receive(own)

    def _check(self, sender: str, packet: Packet) -> None:
        """What one may not send is refused here, so that whoever it is for has no fault of it."""
        if packet.sender != sender:
            raise ValueError(f"'{sender}' sent a packet in the name of '{packet.sender}'")
        # Clients have lanes of their own to each other.
        is_here = packet.receiver in ("", self._homesite) or self._is_own(packet.receiver)
        if sender != self._homesite and not is_here:
            raise ValueError(f"'{sender}' sent the server a packet for '{packet.receiver}'")

    def _is_own(self, site: str) -> bool:
        """Whether a site runs in this process."""
        return self._participant is not None and self._settings is not None and site == self._settings["site"]

    def _goes_on(self, packet: Packet) -> bool:
        """Whether a packet goes to another process, and now."""
        if packet.receiver == self._homesite:
            job = job_of(packet.content)
            with self._lock:
                return packet.sender != self._homesite and job is not None and self._executions.follows(job)
        return bool(packet.receiver) and not self._is_own(packet.receiver)

    def _passes(self, packet: Packet) -> bool:
        """Whether a packet from the homesite goes on to a site. What it says to itself is to be kept."""
        if packet.receiver != self._homesite:
            return True
        with self._lock:
            self._executions.record(outline_of(packet.content), packet)
        return False

    def _carry(self, packets: Sequence[Packet]) -> None:
        """Takes what the site in this process sends."""
        self._give([packet for packet in packets if packet.receiver])
        for packet in packets:
            if not packet.receiver:
                self._heed(packet.sender, _told.read(packet.content))

    def _pass_on(self, packet: Packet) -> None:
        """Gives on what comes of a packet, and at its end the whole to who has not had it so."""
        assert packet.coming is not None
        with self._lock:
            if (lane := self._lanes.get(packet.receiver)) is not None:
                lane.push(packet)
        give = functools.partial(self._give, [packet._replace(coming=None)], lane)
        if not packet.coming.later(give):
            give()

    def _share(self, packet: Packet) -> None:
        """Gives on a part to each of the sites that get it, as it comes.

        Raises:
            ValueError: it does not say which those are.
        """
        match _told.read(packet.content):
            case {"shared": int(number), "job": int(job), "to": list(sites)}:
                one = packet._replace(content=_told.tell({"shared": number, "job": job}))
            case _:
                raise ValueError("a part that is for several sites does not say for which")
        whole = functools.partial(self._take_shared, one._replace(coming=None))
        with self._lock:
            for site in sites:
                if (lane := self._lanes.get(site)) is not None and site != self._homesite:
                    lane.push(one)
        if any(map(self._is_own, sites)) and (one.coming is None or not one.coming.later(whole)):
            whole()

    def _take_shared(self, packet: Packet) -> None:
        if self._participant is not None:
            # It is not to be opened in its own memory, out of which lanes may still be sending.
            self._participant.receive([packet._replace(body=memoryview(packet.body).toreadonly())])

    def _give(self, packets: list[Packet], but: Lane | None = None) -> None:
        """Gives packets to their receivers, those for one together, `but` for one that has them already."""
        with self._lock:
            of_one: dict[str, list[Packet]] = {}
            for packet in packets:
                # An application that comes back meanwhile gets it either from here or from what is kept.
                if packet.receiver == self._homesite:
                    wanted = self._executions.take(outline_of(packet.content), packet)
                    self._came.notify_all()
                    if not wanted:
                        continue
                of_one.setdefault(packet.receiver, []).append(packet)
            for receiver, some in of_one.items():
                lane = self._lanes.get(receiver)
                if lane is not None and lane is not but:
                    lane.push(*some)

    def _heed(self, sender: str, told: dict[str, Any]) -> None:
        if sender == self._homesite:
            with self._lock:
                self._heed_application(told)
        elif "ready" in told:
            with self._lock:
                if sender not in self._ready:
                    self._tell_ready(sender, {"problem": _cut(told["problem"])} if "problem" in told else {})
        elif isinstance(reason := told.get("ended"), str):
            self._lose(sender, reason)

    def _heed_application(self, told: dict[str, Any]) -> None:
        executions = self._executions
        match told:
            case {"begin": int(number), "id": str(name), "about": str(about)}:
                executions.begin(number, name, about)
            case {"had": int(number), "positions": positions, "notes": dict(notes)}:
                executions.had(number, _told.positions(positions), notes)
            case {"ended": int(number), "status": str(status)}:
                executions.end(number, status)
            case {"forget": int(number)}:
                executions.forget(number)
            case {"leave": int(number)}:
                executions.leave(number)
            case {"confirm": int(number)}:
                self._tell({"confirmed": number})
            case {"recall": int(number)}:
                self._recall(number)
            case {"bye": True}:
                executions.close()
                self._left = True
                if not executions.kept():
                    self._over.set()
            case _:
                pass

    def _recall(self, number: int) -> None:
        """Gives the application what is kept of an execution, and from now on what comes."""
        lane, found = self._lanes.get(self._homesite), self._executions.follow(number)
        if lane is None:
            return
        told, history = found or (None, [])
        for packet in history:
            lane.push(packet)
        lane.push(Packet("", "", _told.tell({"recalled": number, "told": told})))

    def _tell_ready(self, site: str, told: dict[str, Any]) -> None:
        self._ready[site] = told | {"hello": self._hello_of(site)}
        self._tell({"ready": site, **self._ready[site]})

    def _tell(self, what: dict[str, Any]) -> None:
        """To the application, or, of a loss, to everybody."""
        told = Packet("", "", _told.tell(what))
        for site, lane in self._lanes.items():
            if site == self._homesite or ("lost" in what and site not in self._lost):
                lane.push(told)

    def _ended(self, signed: str) -> bool:
        """A client says that its process has ended: its lane would notice later, and of one that has not joined nobody
        would."""
        try:
            content, who = check(self._credentials, signed, ENDED, self._job)
        except Untrusted as error:
            self.logger.error(f"somebody says that a site's process has ended: {error}")
            return False
        if who.role or who.name not in self._clients.values() or who.name == self._homesite:
            return False
        self._lose(who.name, f"it {content.get('how')}")
        return True

    def _lose(self, site: str, reason: str) -> None:
        """Nothing is heard of a site any more, and whoever waits for it is told, once."""
        reason = _cut(reason)
        with self._lock:
            if site in self._lost:
                return
            self._lost[site] = reason
            lane = self._lanes.pop(site, None)
            self._lanes_of_cells.pop(job_cell(site, self._job), None)
            self._direct.part(job_cell(site, self._job))
            self._tell({"lost": site, "reason": reason})
        if lane is not None:
            lane.close()
        self.logger.error(f"site {site} is lost: {reason}")
        if self._participant is not None:
            self._participant.lose(site)


def _cut(said: object) -> str:
    """What a site says of itself, as far as others are told."""
    return str(said)[:_LONGEST]
