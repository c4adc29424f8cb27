"""How does a test come to a whole federation?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dfm._shown import clean_logger
from dfm.errors import SessionError
from dfm.exec._adapters import Adapters
from dfm.exec._policy import OWN
from dfm.exec._site import Asker
from dfm.exec._telling import BindingError
from dfm.session._generated import read_generated
from dfm.session._home import Home, Settings
from dfm.session._policies import tried
from dfm.session._session import Parts, Session
from dfm.testing._clock import Clock
from dfm.testing._fakes import Fakes, TestedAdapters
from dfm.testing._loop_links import LoopLinks


class Federation:
    """A federation whose sites all live on one thread of this process, as a context manager.

    Results go from site to site as they do on every target, encoded; pickled objects are refused, as on Flare. Each
    site's cache is a folder of its own, empty at first and gone with the federation, and so is what its bindings keep.
    """

    def __init__(
        self,
        package: str,
        *,
        homesite: str,
        fakes: Mapping[str, Fakes] | None = None,
        secrets: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        policies: Mapping[str, str | Path] | None = None,
        asker: Asker | None = None,
    ) -> None:
        """
        Args:
            package: the federation's code package, whose code has been generated.
            homesite: the site of the application.
            fakes: for some sites, what is called instead of their adapters; adapters in whose place all calls go to
                fakes are never imported.
            secrets: all sites' secrets; where not given, each site's own vault is asked.
            clock: the sites' time; the system's if not given.
            policies: for some sites, the file with their policy; the others allow everything.
            asker: for whom all sites work, as a certificate would say it; this user if not given.

        Raises:
            SessionError: the code is not there, `fakes` names what a site does not offer or has one that does not take
                what the adapter is given, or a policy is broken.
        """
        code = read_generated(f"{package}.fed")
        fakes = dict(fakes or {})
        if unknown := sorted(set(fakes) - set(code.sites)):
            raise SessionError(
                f"the federation has no site '{unknown[0]}' to fake; it has: "
                + ", ".join(f"'{name}'" for name in code.sites)
            )
        self.clock = clock
        """The sites' time, where the test sets it."""
        logger = clean_logger("dfm.testing")
        settings = Settings(
            homesite=homesite,
            site=code.site(homesite),
            api_version=code.api_version,
            package=code.package,
            lenient=False,
            session="test",
            logger=logger,
        )
        self._folder = tempfile.TemporaryDirectory(prefix="dfm-testing-")
        cache: dict[str, Any] = {"protocol": "file", "storage_options": {}}

        def kept_here(name: str, site: dict[str, Any]) -> dict[str, Any]:
            folder = f"{self._folder.name}/{name}"
            state = {"base_path": f"{folder}/state"}
            bindings = [one | {"state": (one.get("state") or {}) | state} for one in site["bindings"]]
            return site | {"cache": cache | {"base_path": folder}, "bindings": bindings}

        held = tried(policies or {}, homesite, code.sites)
        self._adapters: dict[str, TestedAdapters] = {
            name: TestedAdapters(
                kept_here(name, site),
                homesite,
                "test",
                clean_logger(logger.getChild(name)),
                fakes.get(name, {}),
                secrets,
                held.get(name, OWN),
                asker,
            )
            for name, site in code.sites.items()
        }
        self._home: Home | None = None
        self._links: LoopLinks | None = None
        self.session = Session.of(
            Parts(
                settings=settings,
                make_links=self._make_links,
                fed_info=code.fed_info,
                new_loop=clock.new_loop if clock else None,
            )
        )
        """The application's session."""

    def __enter__(self) -> Self:
        self.session.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.session.close()
        self._home = self._links = None

    def call(self, site: str, operation: str, provider: str | None = None, /, **params: Any) -> Any:
        """Calls a site's adapter by its binding: with these parameters, and whatever the configuration adds to them.

        With a clock, time passes while the adapter waits for it, and `clock.now` says how much.

        Returns:
            What `body` returns; for a generator, the list of its items.

        Raises:
            SessionError: the site does not offer the operation, or the binding does not fit the adapter.
            Exception: what the adapter raises.
        """
        home, _ = self._running()
        if site not in self._adapters:
            raise SessionError(
                f"there is no site '{site}'; there are: " + ", ".join(f"'{name}'" for name in self._adapters)
            )
        call = _call(self._adapters[site], operation, provider, params)
        value, exits = home.run(self.clock.passing(call) if self.clock else call)
        if exits is not None:
            raise exits
        return value

    def lose(self, site: str, reason: str = "the test took it away") -> None:
        """Takes a site away, as if its process had ended; jobs that need it get an error that says `reason`."""
        home, links = self._running()

        async def lose() -> None:
            links.lose(site, f"site '{site}' is lost: {reason}")

        home.run(lose())

    def _make_links(self, home: Home) -> LoopLinks:
        self._home = home
        self._links = LoopLinks(home, self._adapters)
        return self._links

    def _running(self) -> tuple[Home, LoopLinks]:
        if self._home is None or self._links is None:
            raise SessionError("the federation does not run; use it as `with Federation(...) as federation:`")
        return self._home, self._links


async def _call(
    adapters: Adapters, operation: str, provider: str | None, params: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    """What a body returns, or that it exits, which must not end the loop of all sites."""
    try:
        bound = adapters.bound(operation, provider)
        arguments = bound.arguments(params)
    except BindingError as error:
        raise SessionError(str(error)) from None
    try:
        await adapters.set_up(bound)
        if bound.kind == "coroutine":
            return await bound.body(**arguments), None
        return [item async for item in bound.body(**arguments)], None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


def federation_fixture(package: str, *, homesite: str, **options: Any) -> Callable[..., Any]:
    """A pytest fixture that gives each test a `Federation` of its own; `options` are the other ones of `Federation`.

    In `conftest.py`: `federation = federation_fixture("greetings", homesite="app")`.
    """
    import pytest

    @pytest.fixture
    def federation() -> Any:
        with Federation(package, homesite=homesite, **options) as running:
            yield running

    return federation
