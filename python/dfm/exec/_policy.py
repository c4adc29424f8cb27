"""What does a site's own `local/policy.yaml` decide?"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

from dfm import _native

FILE = Path("local", "policy.yaml")
"""Where it is in a site's kit."""

_NONE = (1 << 64) - 1
"""As good as no limit."""


class PolicyError(Exception):
    """A site's policy is broken; its text, for the site's log alone, has everything that is wrong with it."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """How much one user may ask of a site. Without a word on it, nothing is bounded, as between one's own processes."""

    sessions_per_user: int = _NONE
    """Sessions that are open at the same time, over all processes of the site."""
    jobs_per_session: int = _NONE
    """Jobs that are not done at the same time."""
    frames_per_job: int = _NONE
    """Sets of parameters."""
    calls_at_once: int = _NONE
    """Calls of a session that run at the same time; more wait for their turn."""
    site_calls_at_once: int = _NONE
    """Calls that all sessions of the site run at the same time; more wait, but for one of each."""
    calls_per_job: int = _NONE
    """Every element of a loop and every retry is one."""
    seconds_per_call: int = _NONE
    """From its begin to its end, all its tries included."""
    items_per_call: int = _NONE
    """Items of a generator."""
    value_bytes: int = _NONE
    """Bytes of a value that is sent or taken."""
    buffered_bytes: int = _NONE
    """Bytes of the values of a session that came and are not used up."""


@dataclasses.dataclass(frozen=True)
class SitePolicy:
    """What a site allows."""

    errors: Literal["full", "message", "type"] = "full"
    """What an application learns of an error: all with the traceback, without it, or the kind alone."""
    limits: Limits = Limits()
    """How much may be asked of the site."""
    calls: Path | None = None
    """Where the site's processes keep how many calls they run; None where each is bounded alone."""


OWN = SitePolicy()
"""That of a site whose processes are the application's own."""


def read_policy(kit: Path) -> SitePolicy:
    """The policy of a kit's site; the defaults, if it has no file.

    Raises:
        PolicyError: it is broken.
    """
    path = kit / FILE
    # A link that leads nowhere is broken, and no policy that is not there.
    there = path.is_symlink() or path.exists()
    try:
        decided: dict[str, Any] = json.loads(_native.read_policy(str(path) if there else None))
    except ValueError as error:
        raise PolicyError(str(error)) from None
    return SitePolicy(decided["errors"], Limits(**decided["limits"]), kit / "sessions" / ".calls")
