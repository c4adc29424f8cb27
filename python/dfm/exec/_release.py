"""Who has the last word on a value that leaves a site, where its policy names a class for that?"""

from __future__ import annotations

import dataclasses
import importlib
import logging
from typing import Any

from dfm.errors import RefusedError
from dfm.exec._policy import ReleasePolicy
from dfm.exec._site import Asker


@dataclasses.dataclass(frozen=True)
class Request:
    """What a value leaves for."""

    site: str
    """The site that it leaves."""
    to: str
    """The site that gets it, which may be the application's."""
    operation: str | None
    """Whose result it is; None for what is none, such as a site's answer to a question of discovery."""
    user: str
    """For whom the site works, as the certificate has it."""
    organisation: str
    """The user's; empty on the local target."""
    role: str
    """The user's; empty on the local target."""


class Release:
    """Decides which values leave a site. A policy names a class made from this one at `leaves.release`.

    It is made once in a session, with the `args` of the policy, and works on the site's thread: what takes long holds
    up all that the site does.
    """

    def release(self, value: Any, request: Request) -> Any:
        """What leaves for a value, before anything of it is encoded. The value must not be changed.

        Raises:
            RefusedError: nothing may leave; its text is told to the application. So it is after any other error, whose
                text only the site's log has.
        """
        raise NotImplementedError


class Releasing:
    """Has a policy's class decide."""

    def __init__(self, site: str, asker: Asker, logger: logging.Logger) -> None:
        self._site = site
        self._asker = asker
        self._logger = logger
        self._made: tuple[ReleasePolicy, Release] | None = None

    def released(self, policy: ReleasePolicy, value: Any, to: str, operation: str | None) -> Any:
        """What leaves for a value.

        Raises:
            RefusedError: nothing does.
        """
        asker = self._asker
        request = Request(self._site, to, operation, asker.user, asker.organisation, asker.role)
        try:
            return self._class(policy).release(value, request)
        except RefusedError as error:
            raise RefusedError(
                f"site '{self._site}' lets not leave, by `leaves.release` of its policy, a value: {error}"
            ) from None
        except Exception:
            self._logger.exception("%s, which `leaves.release` of the policy names, failed", policy.path)
            raise RefusedError(
                f"site '{self._site}' lets not leave, by `leaves.release` of its policy, a value of which that cannot "
                "decide; the site's log says why"
            ) from None

    def _class(self, policy: ReleasePolicy) -> Release:
        if self._made is None or self._made[0] is not policy:
            module, _, name = policy.path.rpartition(".")
            made = getattr(importlib.import_module(module), name)(**policy.args)
            if not isinstance(made, Release):
                raise TypeError(f"{policy.path} is not made from dfm.exec.Release")
            self._made = policy, made
        return self._made[1]
