"""What does a site say of what it has contributed to a job, where the application wants a receipt?

Which operations it ran and what passed between it and other sites, for whom, of which pipeline, and by which bindings
and policy: signed with its key of the session. `dfm jobs verify` holds the parts of all sites against each other.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
from typing import Any

import dfm
from dfm.errors import RefusedError
from dfm.exec._deciding import Deciding
from dfm.exec._session_key import SessionKey
from dfm.exec._site import Asker

FORMAT = 1
"""Of a site's part of a receipt, and of a whole one."""


class Receipts:
    """One site's, in a session."""

    def __init__(
        self,
        settings: dict[str, Any],
        homesite: str,
        session: str,
        asker: Asker,
        deciding: Deciding,
        key: SessionKey | None,
    ) -> None:
        """`settings` is the content of the site's `site.json`. Without a `key`, nothing is signed."""
        self._settings = settings
        self._homesite = homesite
        self._session = session
        self._asker = asker
        self._deciding = deciding
        self._key = key
        self._begun: dict[int, dict[str, str]] = {}

    def begin(self, job: int, pipeline: str, application: str) -> None:
        """A job of this application begins, whose net at this site has this digest, which its user has signed."""
        self._begun[job] = {"pipeline": pipeline, "application": application}

    def end(self, job: int) -> None:
        """A job is over."""
        self._begun.pop(job, None)

    def part(self, job: int, contribution: str) -> str:
        """This site's part of a job's receipt; `contribution` is JSON."""
        said = self._always | {
            "job": job,
            "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "policy": self._policy(),
        }
        begun = self._begun.get(job, {"pipeline": None, "application": None})
        text = json.dumps(said | begun | json.loads(contribution))
        if self._key is None:
            return json.dumps({"text": text})
        signature = self._key.sign(signed_text(text))
        return json.dumps({"text": text, "signature": signature, "key": self._key.statement()})

    @functools.cached_property
    def _always(self) -> dict[str, Any]:
        """What stands in each part."""
        settings, asker = self._settings, self._asker
        return {
            "format": FORMAT,
            "dfm": dfm.__version__,
            "site": settings["site"],
            "homesite": self._homesite,
            "session": self._session,
            "user": asker.user,
            "organisation": asker.organisation,
            "role": asker.role,
            "federation": settings["federation"],
            "api_version": settings["api_version"],
            "bindings": hashlib.sha256(json.dumps(settings["bindings"], sort_keys=True).encode()).hexdigest(),
        }

    def _policy(self) -> str | None:
        try:
            return self._deciding.held().digest
        except RefusedError:
            return None


def signed_text(text: str) -> bytes:
    """What is signed of a part: that it is one, and what it says."""
    return b"dfm receipt " + text.encode()
