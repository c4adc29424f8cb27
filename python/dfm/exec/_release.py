"""Who has the last word on a value that leaves a site, where its policy names a class for that?"""

from __future__ import annotations

import dataclasses
import importlib
import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from dfm.errors import RefusedError
from dfm.exec._policy import ReleasePolicy
from dfm.exec._site import Asker
from dfm.exec._telling import FAILURES

DISCLOSURES = ("public", "model", "aggregate", "records")
"""What results may tell of the data that they are made of, from the least to the most."""


class Declared(NamedTuple):
    """What an operation's results tell of the data that they are made of, as the configuration says it."""

    kind: str
    """One of `DISCLOSURES`."""
    min_group: int | None
    """The least number of records that a group of an aggregate is made of."""


UNDECLARED = Declared("records", None)
"""Of an operation of which nothing is said."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What a value leaves for."""

    site: str
    """The site that it leaves."""
    to: str
    """The site that gets it, which may be the application's."""
    operation: str | None
    """Whose result it is; None for what is none, such as a site's answer to a question of discovery."""
    disclosure: str
    """What the operation is declared to tell: `records`, `aggregate`, `model` or `public`; `records` where nothing is
    declared. Of several operations at the site, of whose results there may be something in it, what tells most."""
    min_group: int | None
    """The least number of records that a group of an aggregate is declared to be made of; of several, the least."""
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

    def __init__(self, site: str, asker: Asker, logger: logging.Logger, declared: Mapping[str, Declared]) -> None:
        """`declared` has what operations are declared to tell."""
        self._declared = declared
        self._site = site
        self._asker = asker
        self._logger = logger
        self._made: tuple[ReleasePolicy, Release] | None = None

    def released(self, policy: ReleasePolicy, value: Any, to: str, operation: str | None, makers: list[str]) -> Any:
        """What leaves for a value.

        Raises:
            RefusedError: nothing does.
        """
        asker = self._asker
        told = [self.declared(one) for one in makers]
        kind = max((one.kind for one in told), key=DISCLOSURES.index, default="public")
        groups = [one.min_group for one in told if one.kind == "aggregate"]
        least = None if kind != "aggregate" or None in groups else min(one for one in groups if one is not None)
        request = Request(self._site, to, operation, kind, least, asker.user, asker.organisation, asker.role)
        try:
            return self._class(policy).release(value, request)
        except RefusedError as error:
            raise RefusedError(
                f"site '{self._site}' lets not leave, by `leaves.release` of its policy, a value: {error}"
            ) from None
        except FAILURES:
            self._logger.exception("%s, which `leaves.release` of the policy names, failed", policy.path)
            raise RefusedError(
                f"site '{self._site}' lets not leave, by `leaves.release` of its policy, a value of which that cannot "
                "decide; the site's log says why"
            ) from None

    def declared(self, operation: str) -> Declared:
        """What an operation is declared to tell."""
        return self._declared.get(operation, UNDECLARED)

    def _class(self, policy: ReleasePolicy) -> Release:
        if self._made is None or self._made[0] is not policy:
            module, _, name = policy.path.rpartition(".")
            made = getattr(importlib.import_module(module), name)(**policy.args)
            if not isinstance(made, Release):
                raise TypeError(f"{policy.path} is not made from dfm.exec.Release")
            self._made = policy, made
        return self._made[1]
