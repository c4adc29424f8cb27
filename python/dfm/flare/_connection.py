"""How is a session's job started and reached?

Everything here blocks, and runs on threads of its own; what comes from the job is told on NVFlare's threads.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false

from __future__ import annotations

import contextlib
import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nvflare.fuel.flare_api import api_spec
from nvflare.fuel.hci.proto import MetaStatusValue

from dfm._running.threads import started
from dfm.errors import SessionError
from dfm.flare import _told
from dfm.flare._arrival import NotYet
from dfm.flare._cells import CellTransport, job_cell, serve_batches, serve_nothing, serve_started
from dfm.flare._channel import HELLO, Channel, Secret
from dfm.flare._direct import DirectConnections
from dfm.flare._identity import Credentials, Untrusted, check_server
from dfm.flare._kit import Kit
from dfm.flare._lane import Lane
from dfm.flare._login import log_in, log_out
from dfm.flare._packets import Packet
from dfm.flare._sealing import SERVER, HomeSealing
from dfm.flare._session_job import LIST, OPEN, name_of, write_job
from dfm.flare._signing import Signer
from dfm.flare._standby import Standby, leave, wanted
from dfm.session._home import Settings

_START = 60.0
"""Seconds for a job to begin to run."""
_STANDBY = 10.0
"""Seconds for a job to begin that was submitted before the session."""
_ASK_AGAIN = 0.1
_LOOK = 1.0
"""Seconds between looks at a job that does not say that it has started."""
_UNTOLD = 10.0
"""Seconds after which it is asked all the same."""
_RUNNING = "RUNNING"
_COMING = ("SUBMITTED", "APPROVED", "DISPATCHED")
"""What NVFlare's server says of a job that will run."""
_SILENT = (MetaStatusValue.NO_REPLY, MetaStatusValue.ERROR)
"""How NVFlare's server says that a client has not answered it."""
_UNAUTHORIZED = "not authorized"
"""How NVFlare's client says that its site's policy forbids what a user asks."""
_KEEP_ALIVE = 300.0
"""Seconds between signs of life; NVFlare ends a user's idle connection after 1,800."""


class Connection:
    """One job of a session."""

    def __init__(
        self,
        kit: Kit,
        credentials: Credentials,
        folder: str | None,
        settings: Settings,
        keep: float,
        take: Callable[[list[Packet]], None],
        lost: Callable[[str], None],
    ) -> None:
        """`take` gets what the sites and the job send; `lost` is told once when the job cannot be reached any more.

        `folder` is where the job is prepared; a temporary one if there is none. `keep` says for how many seconds the
        job waits for an application that is gone.
        """
        self._kit = kit
        self._credentials = credentials
        self._folder = folder
        self._homesite = settings.homesite
        self._session = settings.session
        self._clients = sorted((settings.sites or frozenset()) - {SERVER, settings.homesite})
        self._keep = keep
        self._logger = settings.logger
        self._lost = lost
        self._take = take
        self._closing = threading.Event()
        self._started = threading.Event()
        self._flare: Any = None
        self._cell = ""
        self._lane: Lane | None = None
        self._direct: DirectConnections | None = None
        self._early: list[Packet] | None = []
        self.job = ""
        """NVFlare's id of the job."""
        self.sealing: HomeSealing | None = None
        """The application's end of what passes between it and each site; before anything does."""

    def open(self, standby: Standby | None = None) -> dict[str, Any]:
        """Starts the job, or takes the one that was left for it if that has not ended: the sites that take part in it,
        and those that are lost, each with the reason.

        Raises:
            SessionError: it does not run, and why.
        """
        begin = time.monotonic()
        self._log_in()
        if standby is not None and self._take_up(standby):
            self._logger.info("job %s was started for this session before", self.job)
        else:
            self._check_closing()
            self.job = self._submit(name_of(self._session))
            self._logger.info("job %s is submitted; waiting for the server to start it", self.job)
        answer = self._enter({"keep": self._keep})
        self._logger.info("job %s runs after %.1f s", self.job, time.monotonic() - begin)
        return answer

    def come_back(self, execution: int) -> dict[str, Any]:
        """Enters the job of an application that is gone, in its place; answers as `open`.

        Raises:
            SessionError: there is none that knows the execution, or this user may not.
        """
        self._log_in()
        self.job = self._find(execution)
        self._started.set()
        return self._enter({"execution": execution})

    def _take_up(self, standby: Standby) -> bool:
        """Whether a job that was left for this session is there, with all that it began with; waits while it starts.
        One that does not run at all clients that this needs is ended."""
        if standby.clients and not (self._clients and set(standby.clients).issuperset(self._clients)):
            with contextlib.suppress(Exception):
                self._flare.abort_job(standby.job)
            return False
        self.job, deadline = standby.job, time.monotonic() + _STANDBY
        while (status := self.status()) in (*_COMING, _RUNNING):
            self._check_closing()
            with contextlib.suppress(Exception):
                if status == _RUNNING and not self._flare.do_app_command(self.job, LIST, {})["absent"]:
                    self._started.set()
                    return True
            if time.monotonic() > deadline:
                with contextlib.suppress(Exception):
                    self._flare.abort_job(self.job)
                break
            time.sleep(_ASK_AGAIN)
        return False

    def _leave_standby(self) -> None:
        """Has the server start the job of this kit's next session, as if that needed the clients of this one."""
        session = secrets.token_hex(4)
        try:
            leave(self._kit, Standby(self._submit(name_of(session), standby=True), session, self._clients))
        except (OSError, SessionError) as error:
            self._logger.debug("no job was left for the next session: %s", error)

    def _log_in(self) -> None:
        self._flare = log_in(self._kit, self._check_closing)
        if self._closing.is_set():
            # Whoever closed it may have found nobody to log out.
            log_out(self._flare)
        self._check_closing()
        cell = self._flare.api.get_cell()
        serve_batches(cell, self._lane_of)
        serve_started(cell, self._started.set)

    def _enter(self, more: dict[str, Any]) -> dict[str, Any]:
        cell = self._flare.api.get_cell()
        self._cell = job_cell(SERVER, self.job)
        try:
            direct = self._direct = DirectConnections(
                self._kit.folder, self._credentials, self.job, self._homesite, self._lane_of, self._logger
            )
            signer = Signer()
            secret = Secret(self._credentials, self.job, signer.about)
            sealing = HomeSealing(self._credentials, self.job, self._homesite, secret, signer)
            request = {"hello": secret.hello, "escrow": sealing.escrow, "cell": cell.get_fqcn()}
            answer = self._ask_to_open(request | {"homesite": self._homesite, "session": self._session} | more)
            hello = answer["hello"]
            content = check_server(self._credentials, hello, HELLO, self.job)
            channel = Channel(secret, hello, content)
            sealing.trust((str(hello), str(kept)) for hello, kept in answer["escrows"])
            self.sealing = sealing
        except Untrusted as error:
            raise SessionError(f"the session's job {self.job} is not trusted: {error}") from None
        to = direct.transport(self._cell, CellTransport(cell, self._cell))
        self._lane = Lane("server", channel, to, self._take, self._lane_lost)
        direct.meet(self._cell, SERVER, hello, content)
        started(self._keep_alive, "dfm-flare-alive")
        return answer

    def _find(self, execution: int) -> str:
        job_id, name = f"{self._session}-{execution}", name_of(self._session)
        try:
            jobs = [job for job in self._flare.list_jobs(name_prefix=name) if job.get("job_name") == name]
        except Exception as error:
            raise SessionError(f"the federation's server does not list its jobs: {error}") from None
        if not jobs:
            raise SessionError(f"the federation knows no job '{job_id}'; `dfm jobs list` shows those that there are")
        # Another user may have given a job of theirs this name.
        unread: list[str] = []
        for job in jobs:
            if job["status"] != _RUNNING:
                continue
            try:
                listed = self._flare.do_app_command(job["job_id"], LIST, {})
            except api_spec.AuthorizationError as error:
                unread.append(f"user '{self._kit.user}' may not use the job '{job_id}': {error}")
                continue
            except Exception as error:
                unread.append(f"NVFlare's job {job['job_id']} of '{job_id}' does not answer: {error}")
                continue
            if any(one["number"] == execution for one in listed["executions"]):
                return str(job["job_id"])
        if unread:
            raise SessionError(unread[0])
        if all(str(job["status"]).startswith("FINISHED") for job in jobs):
            raise SessionError(
                f"the session of job '{job_id}' is over: its application closed it, or did not come back in time; "
                f"NVFlare's job {jobs[-1]['job_id']} is {jobs[-1]['status']}"
            )
        raise SessionError(
            f"the session of job '{job_id}' runs, but knows no such job; if its application ended as it began, nothing "
            "of it was had: execute it again"
        )

    def push(self, *packets: Packet) -> None:
        """Sends packets to the job, which passes them on; once `start` says so."""
        if self._early is not None:
            self._early.extend(packets)
        elif self._lane is not None:
            self._lane.push(*packets)

    def start(self) -> None:
        """On the thread that pushes: the job is open, or will never be."""
        early, self._early = self._early or [], None
        self.push(*early)

    def close(self, last: bool = False) -> None:
        """Ends the job, as far as it has begun. The `last` one of a session may leave one for the next session."""
        self._end()
        if last and self._lane is not None and wanted(self._kit):
            self._leave_standby()
        if self._flare is not None:
            # NVFlare has taken it away where the server ended the login.
            if (cell := self._flare.api.get_cell()) is not None:
                serve_nothing(cell)
            log_out(self._flare)

    def _end(self) -> None:
        self._closing.set()
        self._started.set()
        if self._lane is not None:
            self._lane.push(Packet(self._homesite, "", _told.tell({"bye": True})))
            self._lane.drain(3.0)
            self._lane.close()
        elif self.job and self._flare is not None:
            with contextlib.suppress(Exception):
                self._flare.abort_job(self.job)
        if self._direct is not None:
            self._direct.close()

    def connected(self) -> list[str]:
        """The clients that are connected to the federation now."""
        try:
            return [str(client.name) for client in self._flare.get_connected_client_list()]
        except Exception as error:
            raise SessionError(f"the federation's server does not say who is connected: {error}") from None

    def silent(self, sites: Iterable[str]) -> list[str]:
        """Those of these sites whose clients do not answer the federation's server now; none where it does not say.

        The server keeps the names of clients that are gone, so each is asked.
        """
        clients = [site for site in sites if site != SERVER]
        if self._flare is None or not clients:
            return []
        try:
            known = set(self.connected())
            asked = [site for site in clients if site in known]
            answers = self._flare.check_status("client", asked)["client_status"] if asked else []
        except Exception:
            return []
        there = {one["client_name"] for one in answers if one["status"] not in _SILENT}
        return [site for site in clients if site not in there]

    def refusals(self) -> dict[str, str]:
        """The participants that did not take the job, each with the reason.

        Raises:
            SessionError: the server does not say.
        """
        try:
            told = self._flare.get_job_meta(self.job).get("job_deploy_detail") or []
        except Exception as error:
            raise SessionError(f"the federation's server does not say who takes part in its job: {error}") from None
        # What is about no single participant has no colon.
        answers = (str(one).partition(": ") for one in told)
        return {site: self._told(reason) for site, _, reason in answers if reason not in ("", "OK")}

    def _told(self, reason: str) -> str:
        if _UNAUTHORIZED not in reason.lower().replace("_", " "):
            return f"it did not take the session's job: {reason}"
        return (
            f"it lets user '{self._kit.user}' submit no jobs, by its own `local/authorization.json`; its admin decides "
            "that, and restarts it after a change"
        )

    def _submit(self, name: str, standby: bool = False) -> str:
        with tempfile.TemporaryDirectory(prefix="dfm-", dir=self._folder) as folder:
            application = "" if standby else self._flare.api.get_cell().get_fqcn()
            job = write_job(Path(folder), name, application, self._clients)
            try:
                return str(self._flare.submit_job(str(job), submit_token=secrets.token_hex(16)))
            except api_spec.AuthorizationError as error:
                raise SessionError(f"user '{self._kit.user}' may not submit jobs: {error}") from None
            except Exception as error:
                raise SessionError(f"the federation does not take the session's job: {error}") from None

    def _ask_to_open(self, request: dict[str, Any]) -> dict[str, Any]:
        begin = time.monotonic()
        refusal = "its process has not started"
        while time.monotonic() < begin + _START:
            # The job says when it can be asked; to ask before would be an error in the server's log.
            if not self._started.wait(_LOOK) and time.monotonic() < begin + _UNTOLD:
                self._check_alive()
                continue
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
            ended = f"the session's job {self.job} ended before it began ({status})"
            refusals = self.refusals()
            if not refusals:
                # The server says that a job has failed before it says how.
                time.sleep(_ASK_AGAIN)
                refusals = self.refusals()
            if refusals:
                told = "; ".join(f"'{site}': {why}" for site, why in sorted(refusals.items()))
                raise SessionError(f"{ended}, as sites refuse it: {told}")
            raise SessionError(
                f"{ended}; the server's log has the reason, which may be that its kit was not provisioned by this "
                "version of dfm"
            )

    def _check_closing(self) -> None:
        if self._closing.is_set():
            raise SessionError("the session was closed")

    def _lane_of(self, origin: str) -> Lane | None:
        if origin != self._cell:
            return None
        if self._lane is None:
            raise NotYet
        return self._lane

    def _lane_lost(self, reason: str) -> None:
        status = self.status()
        kept = "; what it keeps can be had by `reattach` in a new session" if status == _RUNNING and self._keep else ""
        self._lost(f"the session's job at the server cannot be reached: {reason}; its status is {status}{kept}")

    def _keep_alive(self) -> None:
        while not self._closing.wait(_KEEP_ALIVE):
            self.status()
