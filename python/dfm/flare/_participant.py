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
import threading
from collections.abc import Callable, Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.job_def import JobMetaKey

from dfm import _native, _values
from dfm._loop import SiteLoop
from dfm._shown import clean_logger
from dfm.exec._adapters import Adapters
from dfm.exec._policy import SitePolicy
from dfm.exec._site import Asker
from dfm.flare._lane import Packet
from dfm.flare._printed import printed_to


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
        carry: Callable[[Packet], None],
        asker: Asker,
        policy: SitePolicy,
    ) -> None:
        """`others` are the sites that it may exchange packets with, the homesite included; `asker` is the application's
        user, and `policy` what the site itself decides."""
        self._asker = asker
        self._policy = policy
        self._settings = settings
        self._homesite = homesite
        self._session = session
        self._others = list(others)
        self._carry = carry
        self._gone: set[str] = set()
        """Sites whose links were closed because they are gone."""
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="dfm-site", daemon=True)
        self._thread.start()
        ready.result()

    def receive(self, packets: list[Packet]) -> None:
        """Takes packets for the site."""
        self._driver.soon(functools.partial(self._receive, packets))

    def lose(self, site: str) -> None:
        """Another site is gone."""

        def close() -> None:
            self._gone.add(site)
            self._native.close_link(site)

        self._driver.soon(close)

    def close(self) -> None:
        """Ends it. What an adapter still does on a thread ends with the process."""
        self._driver.soon(self._over.set)
        self._thread.join(1.0)

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
        self._driver = SiteLoop(self._native, self._on_event)
        logger = clean_logger(f"dfm.site.{site}")
        adapters = Adapters(self._settings, self._homesite, self._session, logger, self._asker, self._policy)
        self._driver.adapters = adapters
        self._driver.carry = lambda receiver, packet: self._carry(Packet(site, receiver, packet))
        packages, modules = _values.packages_of(self._settings), _values.modules_of(self._settings)
        _values.set_policy(False, packages, modules, self._policy.limits.value_bytes)
        ready.set_result(None)
        with printed_to(logger):
            await self._over.wait()
            self._driver.close()

    def _receive(self, packets: list[Packet]) -> None:
        for packet in packets:
            self._native.receive_packet(packet.sender, packet.content)

    def _on_event(self, event: tuple[Any, ...]) -> None:
        """Neither a set-up nor an end comes from the application here: the kit has the one, the job the other."""
        match event:
            case ("closed", site) if site not in self._gone:
                # Nobody would learn of what is not done because of it, unless this site says so.
                told = {"ended": f"site '{site}' sent it what is no message of dfm"}
                self._carry(Packet(self._settings["site"], "", json.dumps(told).encode()))
            case _:
                pass
