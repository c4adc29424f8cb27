"""How does the next `dfm fed submit` to a POC come to a job that has started before it asks for one?

NVFlare takes seconds to start a job's processes. As a session of the command ends, it submits the job of the next one,
and notes it in the user's kit, where the next session takes it if it runs at all clients that this needs. It is a
session's job like any other that no application has opened yet: nothing is left in it of the session before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import secrets
from pathlib import Path

from dfm.exec._own_files import read_own, write_own
from dfm.flare._kit import Kit

SESSION = "DFM_FLARE_STANDBY"
"""The environment variable that the command sets where sessions may leave a job for the next one, and take it."""


@dataclasses.dataclass(frozen=True)
class Standby:
    """A job that waits for its application."""

    job: str
    """NVFlare's id of it."""
    session: str
    """The session that it is to be the job of."""
    clients: list[str]
    """Those that it runs at; none for all."""


def allowed(kit: Kit) -> bool:
    """Whether sessions with this kit may have it so. Elsewhere than in a POC, a job that waits takes others' room."""
    return kit.poc() is not None and os.environ.get(SESSION) == "1"


def claim(kit: Kit) -> Standby | None:
    """The job that was left for the next session, which is nobody else's from now on; it may have ended meanwhile."""
    if not allowed(kit):
        return None
    mine = _path(kit).with_suffix(f".{secrets.token_hex(4)}")
    try:
        _path(kit).rename(mine)
        found = json.loads(read_own(mine))
        return Standby(str(found["job"]), str(found["session"]), [str(client) for client in found["clients"]])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    finally:
        with contextlib.suppress(OSError):
            mine.unlink()


def wanted(kit: Kit) -> bool:
    """Whether there is none yet."""
    return allowed(kit) and not _path(kit).exists()


def leave(kit: Kit, standby: Standby) -> None:
    """Notes a job for the next session.

    Raises:
        OSError: it cannot be noted.
    """
    write_own(_path(kit), json.dumps(dataclasses.asdict(standby)).encode())


def _path(kit: Kit) -> Path:
    return kit.folder / "dfm" / "standby.json"
