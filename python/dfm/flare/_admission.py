"""Does a site let another session in, after its own policy?"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from pathlib import Path
from typing import NamedTuple

from dfm.exec._own_files import locked
from dfm.exec._policy import PolicyError, SitePolicy, read_policy

_FOLDER = "sessions"
"""In a kit: a file for each session that is open at its site, locked by that session's process as long as it is there.
So a process that is killed counts no more, and no number has to be kept true."""


class Admission(NamedTuple):
    """What a site says to a session."""

    policy: SitePolicy | None
    """What holds for it."""
    problem: str | None
    """Why it is not let in, for its application."""


def admit(kit: Path, site: str, user: str, logger: logging.Logger) -> Admission:
    """Asks a site's policy for a session of this user, which is let in until this process ends."""
    try:
        policy = read_policy(kit)
        most = policy.limits.sessions_per_user
        if _take_place(kit / _FOLDER, user, most):
            return Admission(policy, None)
        problem = (
            f"user '{user}' has {most} sessions open there: `sessions-per-user` of the site's policy allows no more"
        )
        logger.warning("a session of user '%s' is refused: %d are open (sessions-per-user)", user, most)
    except PolicyError as error:
        problem = (
            "its policy (local/policy.yaml in its kit) is broken, and it lets nobody in; its log says what is wrong"
        )
        logger.error("local/policy.yaml is broken, so no session is let in:\n%s", error)
    except OSError as error:
        problem = "it cannot count its sessions, and lets nobody in; its log says why"
        logger.error("sessions cannot be counted in the kit, so none is let in: %s", error)
    return Admission(None, f"site '{site}' lets this session not in: {problem}")


def _take_place(folder: Path, user: str, most: int) -> bool:
    """Whether there was a place for one more session of the user, which this process has now until it ends."""
    folder.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(user.encode()).hexdigest()[:32]
    with locked(folder / ".lock"):
        taken = [path for path in folder.glob(f"{name}.*") if not _is_free(path)]
        if len(taken) >= most:
            return False
        number = 1 + max((int(path.suffix[1:]) for path in taken), default=0)
        # Open, and so locked, until the process ends, whatever ends it.
        place = os.open(folder / f"{name}.{number}", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(place, fcntl.LOCK_EX)
        return True


def _is_free(path: Path) -> bool:
    """Whether the process of a place has ended; then its file is removed."""
    with open(path, "r+") as place:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink()
        return True
