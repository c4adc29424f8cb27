"""What does a site write down of what happens to its data?

One JSON object a line, each with its number, the SHA-256 of the line before, the number of its process's first record
and which one of that process it is. All processes of a site append to one log. Each has a key to sign with, for which
its kit's certificate vouches, and signs the chain as far as it goes. The native module writes it; `dfm site audit
verify` reads it, and checks all that.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any, cast

from dfm import _native
from dfm.errors import RefusedError
from dfm.exec._session_key import SessionKey
from dfm.exec._site import Asker

LOG = "log.jsonl"
"""The log that is appended to, in its folder; older ones are `log-` and the number of their last record."""
BEGINNING = hashlib.sha256(b"").hexdigest()
"""Stands for the line before the first one."""
_LARGEST = 64 << 20
"""Bytes of a log, from which on another one is begun."""


class Signer:
    """Signs a site's log."""

    def __init__(self, key: SessionKey) -> None:
        self.statement = key.statement
        """The kit's word for the key."""
        self._key = key

    def sign(self, number: int, digest: str) -> str:
        """Signs that the chain goes so far."""
        return self._key.sign(signed_text(number, digest))


def opened(
    folder: Path,
    site: str,
    session: str,
    asker: Asker,
    logger: logging.Logger,
    full: bool = False,
    goes_on: bool = False,
    key: SessionKey | None = None,
) -> _native.Audit:
    """A site's log, for what happens in one process.

    `full` keeps parameters as they are; `goes_on` has the site work while nothing can be written. Without a `key`,
    nothing is signed. Where something cannot be written down, its methods raise a `RefusedError`.
    """

    def unwritten(why: str, refuses: bool) -> None:
        if not refuses:
            logger.error("the audit log in %s cannot be written: %s", folder, why)
            return
        logger.error("the audit log in %s cannot be written, so all is refused: %s", folder, why)
        raise RefusedError(f"site '{site}' refuses everything, as it cannot write down what happens; its log says why")

    def missing(record: int) -> None:
        logger.error("somebody has changed the audit log in %s: record %d, written here, is no more", folder, record)

    told = unwritten, missing
    signer = None if key is None else Signer(key)
    return _native.Audit(folder, _LARGEST, site, session, asker, *told, full=full, goes_on=goes_on, key=signer)


def signed_text(number: int, digest: str) -> bytes:
    """What is signed: that the chain goes so far."""
    return f"dfm audit {number} {digest}".encode()


def older_logs(folder: Path) -> list[Path]:
    """The logs that are appended to no more, in their order."""
    return sorted(folder.glob("log-*.jsonl"))


def record_of(line: bytes) -> dict[str, Any] | None:
    """What a line says that is a record: an object with a number `n`. None if it is none."""
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    said = cast("dict[str, Any]", record)
    return said if type(said.get("n")) is int else None
