"""How does one site run inside a job's process?

A thread of its own has the event loop of the site. What the site may do comes from its own kit alone; the application
tells it nothing but nets, parameters and tokens.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.job_def import JobMetaKey
from typing_extensions import Buffer

from dfm import _native, _values
from dfm._running.loop import TEARDOWN, SiteLoop
from dfm._running.threads import started
from dfm._shown import clean_logger
from dfm.exec._adapters import Adapters
from dfm.exec._policy import SitePolicy
from dfm.exec._session_key import PURPOSE, SessionKey
from dfm.exec._site import Asker
from dfm.flare import _told
from dfm.flare._channel import Forged
from dfm.flare._identity import Untrusted
from dfm.flare._packets import Packet
from dfm.flare._printed import printed_to
from dfm.flare._sealing import SiteSealing
from dfm.flare._session_job import SHARED


def read_settings(kit: Path) -> dict[str, Any] | None:
    """The content of the site's `site.json`; None where the participant is no site of the federation."""
    path = kit / "dfm" / "site.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def submitter(fl_ctx: Any) -> str:
    """The user who opened the session that this process belongs to, as NVFlare's server says."""
    meta = fl_ctx.get_prop(FLContextKey.JOB_META)
    return str(meta.get(JobMetaKey.SUBMITTER_NAME.value, "")) if isinstance(meta, dict) else ""


def description(settings: dict[str, Any] | None) -> dict[str, Any]:
    """What the application has to know of a participant before it relies on it."""
    told = {"site": settings["site"], "api_version": settings["api_version"]} if settings else {}
    try:
        _values.max_value()
    except ValueError as error:
        told["problem"] = str(error)
    return told | {"dfm": metadata.version("data-federation-mesh")}


class Participant:
    """A site of a session, on a thread of its own. Its methods are called from any thread."""

    def __init__(
        self,
        settings: dict[str, Any],
        homesite: str,
        session: str,
        others: Iterable[str],
        carry: Callable[[Sequence[Packet]], None],
        sealing: SiteSealing,
        policy: SitePolicy,
    ) -> None:
        """`others` are the sites that it may exchange packets with, the homesite included; `sealing` is its end of what
        passes between it and the application, and `policy` what the site itself decides."""
        self._sealing = sealing
        self._asker = Asker(sealing.user.name, sealing.user.organisation, sealing.user.role, sealing.is_own)
        self._policy = policy
        self._settings = settings
        self._homesite = homesite
        self._session = session
        self._others = list(others)
        self._carry = carry
        self._gone: set[str] = set()
        """Sites whose links were closed because they are gone."""
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = started(self._run, "dfm-site", (ready,))
        ready.result()

    def receive(self, packets: list[Packet]) -> None:
        """Takes packets for the site."""
        self._driver.soon(functools.partial(self._receive, packets))

    def meet(self, application: str) -> None:
        """Another application takes part in the place of the one before; `application` is its hello."""
        self._driver.soon(functools.partial(self._meet, application))

    def obey(self, packet: bytes) -> None:
        """Takes what the session's job says in the application's name: that a job is over, or what one waits for."""
        self._driver.soon(functools.partial(self._obey, packet))

    def lose(self, site: str) -> None:
        """Another site is gone."""

        def close() -> None:
            self._gone.add(site)
            self._native.close_link(site)

        self._driver.soon(close)

    def close(self) -> None:
        """Ends it. What an adapter still does on a thread ends with the process."""
        self._driver.soon(self._over.set)
        self._thread.join(TEARDOWN + 1.0)

    def _run(self, ready: concurrent.futures.Future[None]) -> None:
        try:
            asyncio.run(self._serve(ready))
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)
            raise

    async def _serve(self, ready: concurrent.futures.Future[None]) -> None:
        site = self._settings["site"]
        self._over = asyncio.Event()
        self._native = _native.Site(site, self._homesite)
        for other in self._others:
            self._native.add_pipe(other)
        self._driver = SiteLoop(self._native, self._on_event, self._end_broken)
        self._logger = clean_logger(f"dfm.site.{site}")
        adapters = self._adapters = Adapters(
            self._settings,
            self._homesite,
            self._session,
            self._logger,
            self._asker,
            self._policy,
            SessionKey(
                lambda content: self._sealing.vouch(PURPOSE, self._session, content),
                lambda other, statement: self._sealing.vouched(PURPOSE, self._session, other, statement),
            ),
        )
        adapters.mask_process()
        self._driver.take_on(adapters)
        self._driver.carry = self._send
        logging.getLogger().addHandler(said := self._driver.said())
        packages, modules = _values.packages_of(self._settings), _values.modules_of(self._settings)
        _values.set_policy(False, packages, modules, self._policy.limits.value_bytes)
        ready.set_result(None)
        with printed_to(self._logger):
            await self._over.wait()
            await self._driver.end()
        logging.getLogger().removeHandler(said)

    def _send(self, packets: Sequence[_native.Carried]) -> None:
        self._carry([self._sealed(packet.to, packet.content) for packet in packets])

    def _sealed(self, to: str, packet: Buffer) -> Packet:
        content, body = self._sealing.seal(packet) if to == self._homesite else (packet, b"")
        return Packet(self._settings["site"], to, content, body)

    def _receive(self, packets: list[Packet]) -> None:
        for packet in packets:
            if packet.sender != self._homesite:
                self._give(packet.sender, packet.content)
                continue
            if self._homesite in self._gone:
                return
            try:
                if packet.receiver == SHARED:
                    self._sealing.take_shared(packet.content, packet.body)
                    continue
                opened = self._sealing.open(packet.content, packet.body)
            except Forged:
                self._break_off("what the application sent was changed or left out on its way")
            except Untrusted as error:
                self._break_off(f"the application is not trusted: {error}")
            else:
                for job, pipeline in self._sealing.begun().items():
                    self._adapters.begin(job, pipeline, self._sealing.application)
                for one in opened:
                    self._give(packet.sender, one)

    def _obey(self, packet: bytes) -> None:
        self._sealing.note_order(packet)
        self._give(self._homesite, packet)

    def _give(self, sender: str, packet: Buffer) -> None:
        self._native.receive_packet(sender, packet)

    def _meet(self, application: str) -> None:
        try:
            self._sealing.meet(application)
        except Untrusted as error:
            self._break_off(f"the application that came back is not trusted: {error}")

    def _break_off(self, why: str) -> None:
        """Nothing that comes in the application's name is believed any more."""
        self._logger.error(f"this site ends its part in the session: {why}")
        self._gone.add(self._homesite)
        self._native.close_link(self._homesite)
        self._tell_end(f"says that {why}")

    def _tell_end(self, how: str) -> None:
        # Nobody would learn of what is not done because of it, unless this site says so.
        self._carry([Packet(self._settings["site"], "", _told.tell({"ended": how}))])

    def _end_broken(self, what: str) -> None:
        self._gone.add(self._homesite)
        self._tell_end(f"is broken by {what}")

    def _on_event(self, event: _native.OuterEvent) -> None:
        """Neither a set-up nor an end comes from the application here: the kit has the one, the job the other."""
        match event:
            case _native.Closed(site) if site not in self._gone:
                self._tell_end(f"site '{site}' sent it what is no message of dfm")
            case _:
                pass


def heed(participant: Participant, told: dict[str, Any]) -> None:
    """Takes what the session's job says to a site."""
    match told:
        case {"lost": str(site)}:
            participant.lose(site)
        case {"cancel": int(job)}:
            participant.obey(_native.Keeper.cancellation(job))
        case {"ask": int(job)}:
            participant.obey(_native.Keeper.question(job))
        case _:
            pass
