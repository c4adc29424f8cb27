"""How does a user log in to the federation's server?"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nvflare.fuel.flare_api import api_spec
from nvflare.fuel.flare_api.flare_api import Session

from dfm.errors import SessionError
from dfm.flare._identity import out_of_date
from dfm.flare._kit import Kit, settings_of
from dfm.flare._mended import forget

_PATIENCE = 30.0
"""Seconds for the server to answer: longer than a busy one or a short cut keeps it from that."""
_UNANSWERED = re.compile("failed to challenge server: timeout|error:client_registration$|Communication Error")
"""What NVFlare says where an answer did not come in time, or came without content; of a refusal it says why."""


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
    except Exception as error:
        log_out(session)
        if _UNANSWERED.match(str(error)):
            raise api_spec.NoConnection(str(error)) from error
        raise
    return session


def log_in(kit: Kit, check: Callable[[], None] = lambda: None) -> Any:
    """NVFlare's session of a user; `check` may raise to end the waiting for it.

    Raises:
        SessionError: the kit's certificate does not hold now, or the server does not answer, or lets the user not in.
    """
    if why := out_of_date(kit.folder):
        raise SessionError(why)
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


def log_in_at_once(kit: Kit) -> Any:
    """As `log_in`, but no time is given to a server that may be about to start: it runs, or that is told.

    Raises:
        SessionError: as `log_in`, or nothing listens at the server's address.
    """
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # NVFlare says what is wrong with a kit
        settings = settings_of(kit.folder)
        address = (settings["host"], int(settings["port"]))
        try:
            socket.create_connection(address, 5.0).close()
        except ConnectionRefusedError:
            where = f"{address[0]}:{address[1]}"
            raise SessionError(f"nothing listens where the federation's server is, at {where}; {kit.start()}") from None
    return log_in(kit)


def log_out(session: Any) -> None:
    """Ends NVFlare's session of a user."""
    cell = session.api.get_cell()
    with contextlib.suppress(Exception):
        session.close()
    if cell is not None:
        forget(cell.core_cell)
