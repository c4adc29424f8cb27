"""How does a site under test come to what it calls?"""

from __future__ import annotations

import functools
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from dfm.errors import SessionError
from dfm.exec._adapters import Adapters, Step
from dfm.exec._bodies import body_misfits, is_awaited
from dfm.exec._bound import Bound
from dfm.exec._policy import OWN, SitePolicy
from dfm.exec._site import Asker, SecretsVault

if TYPE_CHECKING:
    from dfm.exec._configs import SecretsVaultConfig

Fakes = Mapping[str, Callable[..., Any]]
"""An operation's name → what is called instead of its adapter's body, with the same arguments."""


class TestedAdapters(Adapters):
    """What a site under test can call: some of it faked, all of it on the event loop, so nothing is left to chance.

    A function or generator that would have a thread elsewhere holds up all sites here.
    """

    def __init__(
        self,
        settings: dict[str, Any],
        homesite: str,
        session: str,
        logger: logging.Logger,
        fakes: Fakes,
        secrets: Mapping[str, str] | None,
        policy: SitePolicy = OWN,
        asker: Asker | None = None,
    ) -> None:
        super().__init__(settings, homesite, session, logger, asker, policy)
        offered = {binding["operation"] for binding in settings["bindings"]}
        if unknown := sorted(set(fakes) - offered):
            raise SessionError(
                f"site '{settings['site']}' does not offer '{unknown[0]}', so it cannot be faked there; it offers: "
                + (", ".join(f"'{name}'" for name in sorted(offered)) or "nothing")
            )
        for binding in settings["bindings"]:
            if (operation := binding["operation"]) in fakes:
                _check_fake(fakes[operation], list(binding["arguments"]), f"'{operation}' at site '{settings['site']}'")
        self._fakes = fakes
        self._secrets = secrets

    def body(self, operation: str, provider: str | None, adapter: dict[str, Any], what: str) -> Callable[..., Any]:
        """As `Adapters.body`, or the fake in its place."""
        return self._fakes.get(operation) or super().body(operation, provider, adapter, what)

    def vault(self, config: SecretsVaultConfig | None) -> SecretsVault:
        """As `Adapters.vault`, or the test's own secrets."""
        return super().vault(config) if self._secrets is None else _Secrets(self._secrets)

    def bound(self, operation: Step, provider: str | None, job: int | None = None) -> Bound:
        """As `Adapters.bound`."""
        bound = super().bound(operation, provider, job)
        if bound.kind == "thread":
            bound.body, bound.kind = _in_place(bound.body), "coroutine"
        elif bound.kind == "generator":
            bound.body, bound.kind = _items_in_place(bound.body), "async generator"
        return bound


def _check_fake(fake: object, names: list[str], what: str) -> None:
    """Holds a fake against the arguments that a binding gives it, before anything would blame the adapter for it.

    Raises:
        SessionError: it cannot be called, takes not all of them, or needs others.
    """
    code = getattr(fake, "__code__", None)
    what = f"the fake of {what}" + (f" ({code.co_filename}:{code.co_firstlineno})" if code else "")
    if not callable(fake):
        raise SessionError(f"{what} is {fake!r}, which cannot be called; give a function of {', '.join(names)}")
    unknown, missing = body_misfits(fake, set(names))
    faults = [("takes no argument", unknown), ("needs", missing)]
    if told := [f"{fault} {', '.join(map(repr, args))}" for fault, args in faults if args]:
        given = "nothing" if not names else ", ".join(map(repr, names))
        raise SessionError(
            f"{what} {' and '.join(told)}; the binding gives it {given}, by name, as it would the adapter"
        )


class _Secrets(SecretsVault):
    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def secret_for_key(self, key: str) -> str:
        if key not in self._secrets:
            raise KeyError(f"the test's secrets have no '{key}'")
        return self._secrets[key]


def _in_place(body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    async def run(**arguments: Any) -> Any:
        value = body(**arguments)
        return await value if is_awaited(value) else value

    return run


def _items_in_place(body: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(body)
    async def run(**arguments: Any) -> AsyncIterator[Any]:
        for item in body(**arguments):
            yield item

    return run
