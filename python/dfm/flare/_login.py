"""How does a user log in to the federation's server?"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedBaseClass=false

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.flare_api import api_spec
from nvflare.fuel.flare_api.flare_api import Session
from nvflare.fuel.hci.client import api
from nvflare.private.fed.authenticator import Authenticator

from dfm.errors import SessionError
from dfm.flare._kit import Kit

_PATIENCE = 15.0
"""Seconds for the server to answer."""
_AGAIN = 0.05
"""Seconds between two questions to it."""


class _Eager(Authenticator):
    """Asks the server again at once. NVFlare's first question comes before its new cell is connected, and its second
    one a second later."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.retry_interval = _AGAIN


# NVFlare has no option for it.
api.Authenticator = _Eager


def connected(user: str, folder: Path, timeout: float) -> Session:
    """As NVFlare's `new_secure_session`, which would print to the application's standard output.

    Raises:
        NoConnection: the server does not answer within so many seconds.
        Exception: whatever NVFlare raises for a user or a kit that it does not let in.
    """
    session = Session(username=user, startup_path=str(folder), secure_mode=True)
    session.api._print_hci = lambda msg: None  # pyright: ignore[reportPrivateUsage]
    try:
        session.try_connect(timeout)
    except Exception:
        with contextlib.suppress(Exception):
            session.close()
        raise
    return session


def log_in(kit: Kit, check: Callable[[], None] = lambda: None) -> Any:
    """NVFlare's session of a user; `check` may raise to end the waiting for it.

    Raises:
        SessionError: the server does not answer, or does not let the user in.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        check()
        try:
            return connected(kit.user, kit.folder, 5.0)
        except api_spec.NoConnection as error:
            if time.monotonic() > deadline:
                raise SessionError(
                    f"the federation's server does not answer, for the kit {kit.folder}: {error}; {kit.start()}"
                ) from None
        except Exception as error:
            raise SessionError(
                f"the federation does not let user '{kit.user}' in, with the kit {kit.folder}: {error}"
            ) from None


def log_out(session: Any) -> None:
    """Ends NVFlare's session of a user, whose cell NVFlare would keep by its name."""
    cell = session.api.get_cell()
    with contextlib.suppress(Exception):
        session.close()
    if cell is not None:
        CoreCell.ALL_CELLS.pop(cell.get_fqcn(), None)
