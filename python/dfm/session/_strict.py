"""Which sites that the local target takes would Flare refuse?"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable

from dfm.errors import SessionError

KITS = "DFM_FLARE_SITES"
"""The environment variable with the sites that the NVFlare project has a startup kit for, parted by spaces;
`dfm fed submit` sets it. Where it is missing, nobody knows."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SiteCheck:
    """Judges the sites of a session's pipelines: refuses them, or warns once of each."""

    def __init__(self, homesite: str, strict: bool, logger: logging.Logger) -> None:
        self._homesite = homesite
        self._strict = strict
        self._logger = logger
        self._kits = os.environ[KITS].split() if KITS in os.environ else None
        self._told: set[str] = set()

    def __call__(self, sites: Iterable[str]) -> None:
        """Raises:
        SessionError: the session is strict, and Flare would refuse a site.
        """
        for site in sites:
            if site in self._told or (problem := self._problem(site)) is None:
                continue
            self._told.add(site)
            if self._strict:
                raise SessionError(problem)
            self._logger.warning("%s; strict=True, or --strict, makes that an error here", problem)

    def _problem(self, site: str) -> str | None:
        if not _NAME.fullmatch(site):
            return (
                f"Flare would refuse site '{site}': NVFlare takes only letters a to z, digits, '-' and '_', at most 64"
            )
        if self._kits is not None and site not in self._kits and site != self._homesite:
            return (
                f"Flare would refuse site '{site}': the NVFlare project has no client of that name, so it has no "
                "startup kit; add {name: " + site + ", type: client, org: …} to the project's participants"
            )
        return None
