"""What does an adapter see of the site and the provider that it works for?"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import logging
import os
import pathlib
import re
import time
from collections.abc import Generator, Mapping
from typing import Any, Protocol, cast

from dfm._private import private_folder


@dataclasses.dataclass(frozen=True)
class SiteSettings:
    """What the configuration says of a site."""

    info: Mapping[str, Any]
    """Free facts about it."""
    cache: Mapping[str, Any]
    """The fsspec file system of its cache: `protocol`, `storage_options`, `base_path`."""
    vault: SecretsVault
    """Where its secrets are."""
    providers: Mapping[str, Mapping[str, Any]]
    """Free facts about each of its providers."""


@dataclasses.dataclass(frozen=True)
class Asker:
    """For whom a site works in a session."""

    user: str
    """The user's name in the federation; on the local target, the operating system's."""
    organisation: str = ""
    """The user's; empty on the local target."""
    role: str = ""
    """The user's in the federation, such as `lead`; empty on the local target."""


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


class SecretsVault(Protocol):
    """Where a site's secrets are; a class of the site's own is constructed with the `args` of its configuration."""

    def secret_for_key(self, key: str) -> str:
        """The secret.

        Raises:
            KeyError: there is none.
        """
        ...


class EnvironmentVault:
    """Secrets in environment variables `<prefix><KEY>`, upper case."""

    def __init__(self, prefix: str = "DFM_SECRET_") -> None:
        self._prefix = prefix

    def secret_for_key(self, key: str) -> str:
        """The variable's value.

        Raises:
            KeyError: the variable is not set; its name is in the message.
        """
        name = self._prefix + re.sub(r"\W", "_", key).upper()
        if (secret := os.environ.get(name)) is None:
            raise KeyError(f"the secret '{key}' is not there: set the environment variable {name} at this site")
        return secret


class Site:
    """One site, for the adapters that work there. A site's own subclass may add properties and take extra arguments."""

    def __init__(self, dfm_context: DfmContext) -> None:
        self.dfm_context = dfm_context
        self.info = dict(dfm_context.settings.info)

    @property
    def api_version(self) -> str:
        """The federation's, `X.Y.Z`."""
        return self.dfm_context.api_version

    @property
    def federation_name(self) -> str:
        """The federation's code package."""
        return self.dfm_context.federation_name

    @property
    def site(self) -> str:
        """The site's name."""
        return self.dfm_context.this_site

    def secret_for_key(self, key: str) -> str:
        """A secret from the site's vault.

        Raises:
            KeyError: there is none.
        """
        return self.dfm_context.settings.vault.secret_for_key(key)

    def cache_storage(self, subpath: str = "") -> Any:
        """A folder of the site's cache, created when missing.

        Returns:
            A `upath.UPath`; for local files without that package, a `pathlib.Path`.

        Raises:
            ImportError: the cache is not on local files, and a package for them is not installed.
        """
        cache = self.dfm_context.settings.cache
        protocol = cast(str, cache.get("protocol") or "file")
        base = cast("str | None", cache.get("base_path"))
        if base is None:
            caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
            base = os.path.join(caches, "dfm", self.federation_name, self.site)
        try:
            from upath import UPath  # pyright: ignore
        except ImportError:
            if protocol not in ("file", "local"):
                raise ImportError(
                    f"the cache of site '{self.site}' is on '{protocol}', which needs: "
                    "pip install 'data-federation-mesh[fsspec]'"
                ) from None
            folder: Any = pathlib.Path(base)
        else:
            folder = cast(Any, UPath)(base, protocol=protocol, **cache.get("storage_options", {}))
        if subpath:
            folder = folder / subpath
        try:
            if isinstance(folder, pathlib.Path) and not hasattr(folder, "fs"):
                private_folder(folder)
            else:
                folder.mkdir(parents=True, exist_ok=True)
        except ImportError as error:
            raise ImportError(
                f"the cache of site '{self.site}' is on '{protocol}', which needs one more package: {error}"
            ) from None
        return folder

    @contextlib.contextmanager
    def telemetry_span(self, name: str, attributes: Mapping[str, Any] | None = None) -> Generator[None]:
        """Measures what happens inside it; told to the site's logger at debug level."""
        begin = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - begin
            self.dfm_context.logger.debug("%s took %.6f s %s", name, took, dict(attributes or {}))


class Provider:
    """One provider of a site, for its adapters."""

    def __init__(self, site: Site, name: str) -> None:
        self._site = site
        self.name = name
        self.info = dict(site.dfm_context.settings.providers.get(name, {}))

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
    def site(self) -> str:
        """The site's name."""
        return self._site.site

    def secret_for_key(self, key: str) -> str:
        """A secret from its site's vault."""
        return self._site.secret_for_key(key)

    def cache_storage(self, subpath: str = "") -> Any:
        """A folder of its own in its site's cache, created when missing."""
        return self._site.cache_storage(os.path.join("providers", self.name, subpath))

    def telemetry_span(
        self, name: str, attributes: Mapping[str, Any] | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Measures what happens inside it."""
        return self._site.telemetry_span(name, attributes)
