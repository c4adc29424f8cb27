"""How does a Flare session come to its links with other sites?

One job carries all executions of the session. It is started when the session connects, and replaced by the next
execution that needs a site which was lost, as soon as no other execution runs in it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

from typing_extensions import Buffer

from dfm import _native
from dfm.errors import SessionError
from dfm.exec._site import Asker
from dfm.flare import _told
from dfm.flare._channel import Forged
from dfm.flare._connection import Connection
from dfm.flare._had import FlareKeeps, Surroundings
from dfm.flare._identity import Untrusted, read_credentials
from dfm.flare._kit import Kit
from dfm.flare._packets import Packet
from dfm.flare._session_job import PAST, PAST_HEAD
from dfm.flare._standby import Standby
from dfm.session._home import Home

_JOIN = 60.0
"""Seconds for a site's process to start and join the session."""
_LOOK = 1.0
"""Seconds after which who is waited for is asked whether they are there."""
_GATHER = 0.005
"""Seconds for which what the session's job is told waits for something that goes there."""
_ANSWERED = frozenset(("confirm", "recall"))
"""What it is told to have its answer, which does not wait."""


class FlareLinks:
    """The links of a Flare session."""

    def __init__(
        self,
        home: Home,
        kit: Kit,
        job_workspace: str | None,
        keep: float,
        execution: int | None = None,
        standby: Standby | None = None,
    ) -> None:
        """With an `execution`, they are those of an application that is gone and had begun it. A `standby` is a job
        that was left for the session, which it uses if that has not ended.

        Raises:
            SessionError: the kit has no credentials that can be used.
        """
        self._home = home
        self._kit = kit
        try:
            self._credentials = read_credentials(kit.folder)
        except Untrusted as error:
            raise SessionError(str(error)) from None
        home.driver.adapters.asker = Asker(*dataclasses.astuple(self._credentials.who))
        self._folder = job_workspace
        self._keep = keep
        self._execution = execution
        self._standby = standby
        self._changed = asyncio.Event()
        self._replacing = asyncio.Lock()
        self._sites: dict[str, str | None] = {}
        """What each site lacks; None for one that is ready."""
        self._reasons: dict[str, str] = {}
        self._over = False
        self._untold: list[Packet] = []
        """What the session's job is told with what goes there next."""
        self._telling: asyncio.TimerHandle | None = None
        home.driver.carry = self._carry
        home.site.keep_record()
        home.site.share_parts()
        surroundings = Surroundings(
            loop=home.loop,
            homesite=home.settings.homesite,
            tell=self._tell,
            opened=self._wait_until_open,
            why_lost=self._why_lost,
            once_begun=home.once_open,
            sealing=lambda: self._connection.sealing,
            over=self._leave,
        )
        self._keeps = FlareKeeps(kit.folder / "dfm" / "had", surroundings)
        home.keeps = self._keeps
        self._start()

    def _start(self) -> None:
        home, loop = self._home, self._home.loop
        settings = home.settings

        def take(packets: list[Packet]) -> None:
            home.driver.soon(functools.partial(self._take, connection, packets))

        def lost(reason: str) -> None:
            home.driver.soon(functools.partial(self._job_lost, connection, reason))

        self._sites = {}
        self._reasons = {}
        self._over = False
        self._keeps.begin_again()
        self._connection = connection = Connection(
            self._kit,
            self._credentials,
            self._folder,
            settings,
            self._keep,
            take,
            lost,
        )
        self._opened: asyncio.Task[None] = loop.create_task(self._open(connection))
        # Who needs the job will hear of its failure; without anybody it is no news.
        self._opened.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _open(self, connection: Connection) -> None:
        execution, standby = self._execution, self._standby
        self._standby = None
        try:
            if execution is None:
                answer = await asyncio.to_thread(connection.open, standby)
            else:
                answer = await asyncio.to_thread(connection.come_back, execution)
            for site, hello in answer["hellos"].items():
                self._meet(site, hello)
            for site in answer["sites"]:
                self._sites.setdefault(site, "it has not joined yet")
                self._home.site.add_pipe(site)
            for site, reason in answer["lost"].items():
                self._heed({"lost": site, "reason": reason})
        except BaseException as error:
            self._keeps.fail(str(error))
            raise
        finally:
            connection.start()
        self._changed.set()

    async def _wait_until_open(self) -> None:
        await asyncio.shield(self._opened)

    async def ensure(self, sites: Iterable[str]) -> None:
        """As `Links`."""
        wanted = list(sites)
        if not wanted:
            return
        may = self._home.settings.sites
        if may is not None and (others := [site for site in wanted if site not in may]):
            raise SessionError(
                f"site '{others[0]}' has no part in the session, which was opened for "
                f"{', '.join(sorted(may)) or 'none'} alone; name it in `sites` of a session"
            )
        async with self._replacing:
            if not self._home.has_jobs() and (self._failed() or await self._is_stale(wanted)):
                await self._replace()
        await self._open_for(wanted)
        if absent := [site for site in wanted if site not in self._sites]:
            raise SessionError(f"site '{absent[0]}' has no part in the session: {await self._why_absent(absent[0])}")
        await self._joined(wanted)

    async def _open_for(self, wanted: list[str]) -> None:
        """Waits until the job is open, which may take long because of a client that NVFlare does not reach."""
        while not self._opened.done():
            await asyncio.wait({self._opened}, timeout=_LOOK)
            if not self._opened.done():
                await self._check_there(wanted)
        await asyncio.shield(self._opened)

    async def _check_there(self, sites: Iterable[str]) -> None:
        if silent := await asyncio.to_thread(self._connection.silent, sites):
            raise SessionError(f"site '{silent[0]}' has no part in the session: {self._not_there(silent[0])}")

    def _not_there(self, site: str) -> str:
        return f"it is not connected to the federation's server; {self._kit.start_of(site)}"

    async def _why_absent(self, site: str) -> str:
        if await asyncio.to_thread(self._connection.silent, [site]):
            return self._not_there(site)
        refusals = await asyncio.to_thread(self._connection.refusals)
        if reason := refusals.get(site):
            return reason
        here = ", ".join(f"'{one}'" for one in sorted(self._sites)) or "none"
        return f"it came after the session had begun with {here}; it takes part when no other execution runs in it"

    async def _replace(self) -> None:
        self._push()
        await asyncio.to_thread(self._connection.close)
        for site in self._sites:
            self._home.site.close_link(site)
        self._home.driver.turn()
        self._start()

    def _failed(self) -> bool:
        return self._over or (self._opened.done() and self._opened.exception() is not None)

    async def _is_stale(self, wanted: list[str]) -> bool:
        if not self._opened.done():
            return False
        if any(site in self._reasons for site in wanted):
            return True
        absent = {site for site in wanted if site not in self._sites}
        return bool(absent) and not absent.isdisjoint(await asyncio.to_thread(self._connection.connected))

    async def _joined(self, wanted: list[str]) -> None:
        logger = self._home.settings.logger
        deadline = self._home.loop.time() + _JOIN
        told = None
        while waiting := [site for site in wanted if self._sites.get(site) is not None and site not in self._reasons]:
            if waiting != told:
                told = waiting
                logger.info("waiting for %s to join the session", ", ".join(waiting))
            self._changed.clear()
            try:
                async with asyncio.timeout(_LOOK):
                    await self._changed.wait()
            except TimeoutError:
                await self._check_there(waiting)
                if self._home.loop.time() < deadline:
                    continue
                raise SessionError(
                    f"site '{waiting[0]}' has not joined the session within {_JOIN:.0f} s: {self._sites[waiting[0]]}; "
                    f"the log of NVFlare's job {self._connection.job} at that site has the reason"
                ) from None
        for site in wanted:
            if reason := self._reasons.get(site):
                again = (
                    "; it takes part again when no other execution runs in this session"
                    if self._home.has_jobs()
                    else ""
                )
                raise SessionError(f"site '{site}' cannot be used: {reason}{again}")

    def ready(self, sites: Iterable[str]) -> bool:
        """As `Links`."""
        may = self._home.settings.sites
        wanted = [site for site in sites if site != self._home.settings.homesite]
        return (
            self._opened.done()
            and not self._failed()
            and not self._replacing.locked()
            and all(self.linked(site) and (may is None or site in may) for site in wanted)
        )

    def linked(self, site: str) -> bool:
        """As `Links`."""
        return site in self._sites and self._sites[site] is None and site not in self._reasons

    def closed(self, site: str) -> None:
        """As `Links`."""
        self._break_off(site, f"site '{site}' sent what is no message of dfm")

    def _break_off(self, site: str, why: str) -> None:
        """Nothing that comes in the name of a site is believed any more."""
        reason = self._reasons.setdefault(site, why)
        self._home.loop.call_soon(self._home.lose, site, reason)

    def _why_lost(self, site: str) -> str:
        return self._reasons.get(site, f"site '{site}' has no part in the session any more")

    def give_up(self, site: str) -> None:
        """As `Links`. Its process ends with the job, which the next execution replaces."""
        self._lose(site, f"site '{site}' did not answer a cancellation: an adapter blocks it")
        self._home.driver.turn()

    async def close(self) -> None:
        """As `Links`."""
        self._home.driver.turn()
        self._push()
        await asyncio.to_thread(self._connection.close, last=True)

    def _carry(self, packets: Sequence[_native.Carried]) -> None:
        homesite, sealing = self._home.settings.homesite, self._connection.sealing
        if sealing is None:
            return
        self._push([Packet(homesite, to, *one) for to, one in sealing.seal(packets)])

    def _tell(self, what: dict[str, Any]) -> None:
        """Tells the session's job something, which waits a little for what it can go with: a message costs more than
        what is in it."""
        self._untold.append(Packet(self._home.settings.homesite, "", _told.tell(what)))
        if not _ANSWERED.isdisjoint(what):
            self._push()
        elif self._telling is None:
            self._telling = self._home.loop.call_later(_GATHER, self._push)

    def _push(self, packets: Sequence[Packet] = ()) -> None:
        """Sends packets, and before them what the session's job is to be told."""
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        told, self._untold = self._untold, []
        self._connection.push(*told, *packets)

    def _take(self, connection: Connection, packets: list[Packet]) -> None:
        if connection is not self._connection:
            return
        for packet in packets:
            if packet.receiver in (PAST, PAST_HEAD):
                self._keeps.take_past(packet.sender, packet.content, packet.body if packet.receiver == PAST else None)
            elif packet.receiver:
                self._receive(packet.sender, packet.content, packet.body)
            else:
                self._heed_job(connection, packet)

    def _heed_job(self, connection: Connection, packet: Packet) -> None:
        try:
            told = _told.read(packet.content)
        except ValueError as error:
            self._job_lost(connection, f"the session's job at the server is not understood: {error}")
        else:
            self._heed(told)

    def _leave(self, job: int) -> None:
        # What is to be kept of it until now is sealed first.
        self._home.driver.turn()
        if self._connection.sealing is not None:
            self._connection.sealing.leave(job)

    def _receive(self, site: str, head: Buffer, body: Buffer) -> None:
        sealing = self._connection.sealing
        if sealing is None or site in self._reasons:
            return
        try:
            packet = sealing.open(site, head, body)
        except (Forged, Untrusted):
            self._break_off(site, f"what site '{site}' sent was changed or left out on its way")
        else:
            if packet is not None:
                self._home.site.receive_packet(site, packet)

    def _meet(self, site: str, hello: str) -> dict[str, Any] | None:
        """What a site says of itself; None of one that is not trusted."""
        assert self._connection.sealing is not None
        try:
            return self._connection.sealing.meet(site, hello)
        except Untrusted as error:
            self._reasons[site] = f"the process that takes part as site '{site}' is not trusted: {error}"
            return None

    def _heed(self, told: dict[str, Any]) -> None:
        match told:
            case {"ready": str(site), "hello": str(hello)}:
                about = self._meet(site, hello)
                # Of a site, what it has signed holds, whatever the server says beside it.
                if about is not None and (problem := self._problem(site, about) or told.get("problem")):
                    self._reasons[site] = str(problem)
                self._sites[site] = None
                self._changed.set()
            case {"lost": str(site), "reason": reason}:
                self._lose(site, f"the process of site '{site}' ended or cannot be reached: {reason}")
            case {"recalled": int(job), "told": found}:
                self._keeps.take_answer(job, found)
            case {"confirmed": int(job)}:
                self._keeps.take_confirmation(job)
            case {"cancel": int(job)}:
                self._home.abort(job)
            case _:
                pass

    def _problem(self, site: str, told: dict[str, Any]) -> str | None:
        settings = self._home.settings
        if problem := told.get("problem"):
            return str(problem)
        if told.get("site") != site:
            return f"the kit of participant '{site}' has no runtime of that site; provision the federation again"
        if (version := metadata.version("data-federation-mesh")) != told.get("dfm"):
            return f"it runs dfm {told.get('dfm')}, but this application dfm {version}; install the same at both"
        there = str(told.get("api_version"))
        if not _native.same_api(there, settings.api_version):
            return (
                f"it speaks version {there} of '{settings.package}', but this application {settings.api_version}; "
                "provision the federation again, or generate the application's code again"
            )
        return None

    def _lose(self, site: str, reason: str) -> None:
        self._reasons[site] = reason
        self._home.site.close_link(site)
        self._changed.set()

    def _job_lost(self, connection: Connection, reason: str) -> None:
        if connection is self._connection:
            self._over = True
            self._keeps.fail(reason)
            for site in self._sites:
                self._lose(site, reason)
