"""How do the sites of a federation under test exchange packets, all on one event loop?"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from typing_extensions import Buffer

from dfm import _native
from dfm._running.loop import SiteLoop
from dfm.exec._adapters import Adapters, run_here
from dfm.session._home import Home


class LoopLinks:
    """The links of a session whose sites all live on the homesite's event loop."""

    def __init__(self, home: Home, adapters: Mapping[str, Adapters]) -> None:
        """`adapters` has what each site can call, the homesite included."""
        self._home = home
        self._drivers: dict[str, SiteLoop] = {}
        self._lost: dict[str, str] = {}
        homesite = home.settings.homesite
        home.driver.take_on(adapters[homesite])
        adapters[homesite].run = run_here
        home.driver.carry = functools.partial(self._carry, homesite)
        others = [site for site in adapters if site != homesite]
        for site in others:
            native = _native.Site(site, homesite)
            for other in adapters:
                if other != site:
                    native.add_pipe(other)
            driver = self._drivers[site] = SiteLoop(native, _ignore, functools.partial(self.lose, site))
            driver.take_on(adapters[site])
            adapters[site].run = run_here
            driver.carry = functools.partial(self._carry, site)
            home.site.add_pipe(site)

    async def ensure(self, sites: Iterable[str]) -> None:
        """As `Links`: they are there from the beginning."""

    def ready(self, sites: Iterable[str]) -> bool:
        """As `Links`: they are."""
        return True

    def linked(self, site: str) -> bool:
        """As `Links`."""
        return site in self._drivers

    def closed(self, site: str) -> None:
        """As `Links`."""
        reason = self._lost.get(site, f"site '{site}' sent what is no message of dfm")
        self._home.loop.call_soon(self._home.lose, site, reason)

    def give_up(self, site: str) -> None:
        """As `Links`."""
        self.lose(site, f"site '{site}' did not answer a cancellation")

    def lose(self, site: str, reason: str) -> None:
        """Takes a site away from all others."""
        driver = self._drivers.pop(site, None)
        if driver is None:
            return
        self._lost[site] = reason
        driver.close()
        for other in self._drivers.values():
            other.site.close_link(site)
            other.turn()
        self._home.site.close_link(site)
        self._home.driver.turn()

    async def close(self) -> None:
        """As `Links`."""
        for driver in self._drivers.values():
            await driver.end()

    def _carry(self, sender: str, packets: Sequence[_native.Carried]) -> None:
        for packet in packets:
            self._home.loop.call_soon(self._deliver, sender, packet.to, packet.content)

    def _deliver(self, sender: str, receiver: str, packet: Buffer) -> None:
        homesite = self._home.settings.homesite
        driver = self._home.driver if receiver == homesite else self._drivers.get(receiver)
        if driver is not None and (sender == homesite or sender in self._drivers):
            driver.site.receive_packet(sender, packet)
            driver.turn()


def _ignore(event: _native.OuterEvent) -> None:
    """Neither a set-up nor an end comes to a site here."""
