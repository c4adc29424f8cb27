"""What does an adapter see of the site and the provider that it works for?"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import getpass
import logging
import os
import pathlib
import re
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Self, cast

from dfm._private import private_folder
from dfm.errors import SecretError, StateError
from dfm.exec._frame import Frame
from dfm.exec._sending import To, sender
from dfm.exec._span import Span, measured
from dfm.exec._state import State

if TYPE_CHECKING:
    from dfm.exec._configs import FsspecConfig, SecretsVaultConfig


@dataclasses.dataclass(frozen=True)
class SiteSettings:
    """What the configuration says of a site."""

    info: Mapping[str, Any]
    """Free facts about it."""
    configured_cache: Mapping[str, Any]
    """The file system of its cache, as `site.json` has it."""
    configured_vault: Mapping[str, Any]
    """Where its secrets are, likewise."""
    open_vault: Callable[[SecretsVaultConfig | None], SecretsVault]
    """Makes a vault; the configured one for None."""
    providers: Mapping[str, Mapping[str, Any]]
    """Free facts about each of its providers."""

    # Most sites ask for neither, and do without pydantic then.
    @functools.cached_property
    def cache(self) -> FsspecConfig:
        """The file system of its cache."""
        from dfm.exec._configs import FsspecConfig

        return FsspecConfig.model_validate(self.configured_cache)

    @functools.cached_property
    def vault(self) -> SecretsVaultConfig:
        """Where its secrets are."""
        from dfm.exec._configs import SecretsVaultConfig

        return SecretsVaultConfig.model_validate(self.configured_vault)


@dataclasses.dataclass(frozen=True)
class Asker:
    """For whom a site works in a session."""

    user: str
    """The user's name in the federation; on the local target, the operating system's."""
    organisation: str = ""
    """The user's; empty on the local target."""
    role: str = ""
    """The user's in the federation, such as `lead`; empty on the local target."""
    is_own: bool = True
    """Whether the site takes this for a run of its own: the application runs at it, or its user is of the site's own
    organisation."""


def this_user() -> Asker:
    """Who asks on the local target, where all processes are the user's own."""
    try:
        return Asker(getpass.getuser())
    except (KeyError, OSError):  # a container's user may have no name
        return Asker(str(os.getuid()))


@dataclasses.dataclass(frozen=True)
class DfmContext:
    """Where an adapter runs."""

    federation_name: str
    """The federation's code package."""
    api_version: str
    """The federation's, `X.Y.Z`."""
    this_site: str
    """The site that the adapter belongs to."""
    homesite: str
    """The site of the application."""
    job_id: str
    """The session: one process of a site serves all its jobs."""
    logger: logging.Logger
    """The site's own."""
    settings: SiteSettings = dataclasses.field(repr=False)
    """What the configuration says of the site."""
    user: str = ""
    """For whom the session works: on Flare the name in a certificate that this site has checked itself, on the local
    target the operating system's name of the user."""
    organisation: str = ""
    """The user's organisation, as the certificate has it; empty on the local target."""
    role: str = ""
    """The user's role in the federation, as the certificate has it; empty on the local target."""

    async def send_to_place(
        self,
        to_job: str | None,
        to_site: str,
        to_place: str,
        is_yield: bool,
        frame: Frame | None,
        data: Any,
        node_id: int | str | None = None,
    ) -> None:
        """Sends a value to the place of the `Yield` that takes the result of the body which calls this, before that
        result, and waits while the application is more than about a thousand values behind.

        `to_site` is the application's site, `homesite`, and `is_yield` is True. `to_job`, `frame` and `node_id` are
        those of the call, or None. The body's own result follows as the last value; other operations get that alone.

        Raises:
            SendingError: the place is none of the call's own node, or the call is over.
        """
        await sender().send(To(to_job, to_site, to_place, is_yield, frame, node_id), data)

    def send_to_place_sync(
        self,
        to_job: str | None,
        to_site: str,
        to_place: str,
        is_yield: bool,
        frame: Frame | None,
        data: Any,
        node_id: int | str | None = None,
    ) -> None:
        """As `send_to_place`, for a body that is no coroutine.

        Raises:
            SendingError: as there; and a coroutine called it.
        """
        sender().send_and_wait(To(to_job, to_site, to_place, is_yield, frame, node_id), data)


class SecretsVault:
    """Where a site's secrets are: in environment variables `<prefix><KEY>`, upper case.

    A vault of a site's own is constructed with the `args` of its configuration; it has this method, and need not derive
    from this class.
    """

    def __init__(self, prefix: str = "DFM_SECRET_") -> None:
        self._prefix = prefix

    def secret_for_key(self, key: str) -> str:
        """The secret.

        Raises:
            SecretError: there is none; what a vault of one's own raises as KeyError or ValueError becomes this.
        """
        name = self._prefix + re.sub(r"\W", "_", key).upper()
        if (secret := os.environ.get(name)) is None:
            raise SecretError(f"the secret '{key}' is not there: set the environment variable {name} at this site")
        return secret


class Site:
    """One site, for the adapters that work there. A site's own subclass may add properties and take extra arguments."""

    # What adapters get is this object but for its state: all else is in one `__dict__`, whoever changes it.
    __slots__ = ("__dict__", "__weakref__", "_state")

    _state: State

    def __init__(
        self,
        dfm_context: DfmContext,
        cache_config: FsspecConfig | None = None,
        secrets_vault_config: SecretsVaultConfig | None = None,
    ) -> None:
        """A subclass may pass on other settings of the cache and the vault than the configuration's."""
        settings = dfm_context.settings
        self.dfm_context = dfm_context
        self.info = dict(settings.info)
        self._cache = cache_config
        self._vault = settings.open_vault(secrets_vault_config)

    @property
    def api_version(self) -> str:
        """The federation's, `X.Y.Z`."""
        return self.dfm_context.api_version

    @property
    def federation_name(self) -> str:
        """The federation's code package."""
        return self.dfm_context.federation_name

    @property
    def name(self) -> str:
        """The site's name."""
        return self.dfm_context.this_site

    @property
    def site(self) -> Self:
        """This site: what works for a site or for a provider finds it as `.site`."""
        return self

    @property
    def state(self) -> State:
        """What is kept from job to job for the binding whose adapter this object was given to.

        Raises:
            StateError: it was given to no adapter.
        """
        try:
            return self._state
        except AttributeError:
            raise StateError(
                f"a state belongs to a binding of site '{self.name}': the `site` of an adapter's constructor has it, "
                "that of a provider has not"
            ) from None

    def __str__(self) -> str:
        return self.name

    def secret_for_key(self, key: str) -> str:
        """A secret from the site's vault.

        Raises:
            SecretError: there is none.
        """
        return self._vault.secret_for_key(key)

    def cache_storage(self, subpath: str | os.PathLike[str] | None = None) -> Any:
        """A folder of the site's cache, created when missing.

        Returns:
            A `upath.UPath`; for local files without that package, a `pathlib.Path`.

        Raises:
            ImportError: the cache is not on local files, and a package for them is not installed.
        """
        cache = self._cache or self.dfm_context.settings.cache
        protocol, base = cache.protocol, cache.base_path
        if base is None:
            caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
            base = os.path.join(caches, "dfm", self.federation_name, self.name)
        try:
            from upath import UPath  # pyright: ignore
        except ImportError:
            if protocol not in ("file", "local"):
                raise ImportError(
                    f"the cache of site '{self.name}' is on '{protocol}', which needs: "
                    "pip install 'data-federation-mesh[fsspec]'"
                ) from None
            folder: Any = pathlib.Path(base)
        else:
            folder = cast(Any, UPath)(base, protocol=protocol, **cache.storage_options)
        if subpath:
            folder = folder / os.fspath(subpath)
        try:
            if protocol in ("file", "local"):
                private_folder(pathlib.Path(cast(str, os.fspath(folder))))
            else:
                folder.mkdir(parents=True, exist_ok=True)
        except ImportError as error:
            raise ImportError(
                f"the cache of site '{self.name}' is on '{protocol}', which needs one more package: {error}"
            ) from None
        return folder

    @contextlib.contextmanager
    def telemetry_span(self, name: str, attributes: Mapping[str, Any] | None = None) -> Generator[Span]:
        """Measures what happens inside it; told to the site's logger at debug level."""
        with measured(name, attributes, self.dfm_context.logger) as span:
            yield span


def with_state(site: Site, state: State) -> Site:
    """The site, for an adapter whose state that is: an object of the same class that shares all else with it."""
    own = object.__new__(type(site))
    own.__dict__ = site.__dict__
    own._state = state  # pyright: ignore[reportPrivateUsage]
    return own


class Provider:
    """One provider of a site, for its adapters."""

    name: str
    """Its name, which a class whose constructor takes the site alone gets when it is constructed."""

    def __init__(self, site: Site, name: str = "") -> None:
        self._site = site
        self.name = name

    @property
    def info(self) -> dict[str, Any]:
        """Free facts about it."""
        return dict(self.dfm_context.settings.providers.get(self.name, {}))

    @property
    def dfm_context(self) -> DfmContext:
        """Where it runs."""
        return self._site.dfm_context

    @property
    def api_version(self) -> str:
        """The federation's, `X.Y.Z`."""
        return self._site.api_version

    @property
    def federation_name(self) -> str:
        """The federation's code package."""
        return self._site.federation_name

    @property
    def site(self) -> Site:
        """The site that it is a provider of."""
        return self._site

    def __str__(self) -> str:
        return self.name

    def secret_for_key(self, key: str) -> str:
        """A secret from its site's vault."""
        return self._site.secret_for_key(key)

    def cache_storage(self, subpath: str | os.PathLike[str] | None = None) -> Any:
        """A folder of its own in its site's cache, created when missing."""
        return self._site.cache_storage(os.path.join("providers", self.name, subpath or ""))

    def telemetry_span(
        self, name: str, attributes: Mapping[str, Any] | None = None
    ) -> contextlib.AbstractContextManager[Span]:
        """Measures what happens inside it."""
        return self._site.telemetry_span(name, attributes)
