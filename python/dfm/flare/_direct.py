"""How does a process of a session speak straight to another one, where their kits say how that is reached?

A lane's messages go over a direct connection as long as there is one, and through NVFlare otherwise. Everything that
makes them safe is in the lane, so nothing is decided here but where to connect: the own kit alone says the host, and
the other process's signed hello the port, within what the kit allows.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import Buffer

from dfm import _native
from dfm._running.forks import keep_from_forks
from dfm._running.threads import started
from dfm.flare._arrival import NotYet, Refused, Why, arrive
from dfm.flare._identity import Credentials, certificate_of, own_pair
from dfm.flare._lane import Lane, Transport
from dfm.flare._packets import Unreachable

FILE = "direct.json"
"""What a kit says of direct connections, in its folder `dfm`."""
_FORMAT = 1
_ANY = (0, 0)
"""Ports of which any may be taken."""
_YIELD = 3.0
"""Seconds in which, of two that may both connect, the other one does so again first."""
_AGAIN, _LONGEST = 0.1, 60.0
"""Seconds after which it is tried again, twice as long each time, and at most."""
_TELL = 2.0
"""Seconds between tries from which on it is told that they fail; a connection that lasts longer is a good one."""
_TAKE = 2.0
"""Seconds within which a connection has to take a message."""
_LASTS = 3600.0


class Place(NamedTuple):
    """Where a participant's processes listen."""

    host: str | None
    """Where others reach it; of the own participant, the address of the interface, or None for all."""
    first: int
    last: int

    def has(self, port: object) -> bool:
        """Whether a process may say that it listens at this port."""
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 1 << 16:
            return False
        return (self.first, self.last) == _ANY or self.first <= port <= self.last


class Places(NamedTuple):
    """What a kit says of direct connections."""

    own: Place | None
    others: dict[str, Place]


def read_places(kit: Path) -> Places:
    """What a startup kit says; nothing, where it has no such file.

    Raises:
        ValueError: the file is not one that provisioning writes.
    """
    path = kit / "dfm" / FILE
    if not path.exists():
        return Places(None, {})
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["format"] != _FORMAT:
            raise ValueError(f"its format is {said['format']}, and this version of dfm knows {_FORMAT}")
        own = None if said["own"] is None else Place(said["own"]["listen"], *said["own"]["ports"])
        others = {name: Place(one["host"], *one["ports"]) for name, one in said["others"].items()}
    except (OSError, LookupError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}; provision the federation again") from None
    return Places(own, others)


class DirectConnections:
    """Those of one process to the others of its session, each named for the cell of the process there."""

    def __init__(
        self,
        kit: Path,
        credentials: Credentials,
        job: str,
        participant: str,
        lane_of: Callable[[str], Lane | None],
        logger: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        """Listens, where the kit says so. `participant` is what others' kits call this one; `lane_of(name)` is the lane
        to the process of that name, or raises `NotYet`."""
        self._participant = participant
        self._lane_of = lane_of
        self._logger = logger
        self._over = threading.Event()
        self._met: dict[str, str] = {}
        """The participants, by the names of their processes."""
        self._sought: dict[str, tuple[str, str, int]] = {}
        """Where those listen to whom nothing was sent yet, each with its participant."""
        self._native: _native.Direct | None = None
        self.about: dict[str, Any] = {}
        """What the process's hello says of it."""
        try:
            self._places = read_places(kit)
        except ValueError as error:
            logger.error("no direct connections: %s", error)
            self._places = Places(None, {})
        if self._places == (None, {}):
            return
        keep_from_forks(self)
        self._native = _native.Direct(*own_pair(credentials), job, self._receive, self._changed)
        if (own := self._places.own) is not None:
            try:
                self.about = {"port": self._native.listen(own.host, own.first, own.last)}
            except (OSError, ValueError) as error:
                logger.warning("nobody can connect to this session's process: %s", error)

    def leave_to_parent(self) -> list[int]:
        """As `Holder`."""
        return [] if self._native is None else self._native.descriptors()

    def transport(self, name: str, through: Transport) -> Transport:
        """What takes a lane's messages to the process of this name: a direct connection while there is one, and
        `through` what there is otherwise. The first message has it connect, so that nobody does who has nothing to
        say."""
        return through if self._native is None else _Straight(self._native, name, through, self._seek)

    def meet(self, name: str, participant: str, hello: str, content: dict[str, Any]) -> None:
        """The process of this name, a participant's, takes part; `hello` was checked, and `content` is what it says."""
        if self._native is None or name in self._met:
            return
        self._met[name] = participant
        self._native.meet(name, certificate_of(hello))
        place, port = self._places.others.get(participant), content.get("port")
        if place is None or port is None:
            return
        if not place.has(port):
            self._logger.error("'%s' says that it listens at a port that this kit does not name", participant)
            return
        self._sought[name] = participant, str(place.host), port

    def _seek(self, name: str) -> None:
        """Something is to be sent to the process of this name, and there is no connection."""
        if self._native is not None and (found := self._sought.pop(name, None)) is not None:
            started(self._connect, "dfm-direct-to", (self._native, name, *found))

    def part(self, name: str) -> None:
        """Nothing is expected from the process of this name any more."""
        self._met.pop(name, None)
        self._sought.pop(name, None)
        if self._native is not None:
            self._native.part(name)

    def close(self) -> None:
        """Ends all connections."""
        self._over.set()
        if self._native is not None:
            self._native.close()

    def _connect(self, native: _native.Direct, name: str, participant: str, host: str, port: int) -> None:
        """Connects, and again whenever the connection is lost."""
        pause, is_told = _AGAIN, False
        while name in self._met and not self._over.is_set():
            begun = time.monotonic()
            try:
                native.connect(name, host, port)
            except ConnectionError as error:
                if pause >= _TELL and not is_told:
                    is_told = True
                    why = "what is for it goes through NVFlare, and it is tried again"
                    self._logger.warning(
                        "no direct connection to %s at %s:%d: %s; %s", participant, host, port, error, why
                    )
            else:
                while not native.wait(name, False, _LASTS) and not self._over.is_set():
                    pass
                if time.monotonic() - begun > _TELL:
                    pause, is_told = _AGAIN, False
                # Two that connect to each other at once end what the other one has begun.
                if self.about and participant < self._participant:
                    native.wait(name, True, _YIELD)
            self._over.wait(pause)
            pause = min(2 * pause, _LONGEST)

    def _receive(
        self, name: str, kind: str, number: int, message: _native.Memory, is_asked: bool
    ) -> bytes | _native.Refusal | None:
        match arrive(self._lane_of, name, kind, number, message, is_asked):
            case Refused(why, reason):
                return _native.Refusal(reason, why in (Why.UNEXPECTED, Why.WRONG))
            case answer:
                return answer

    def _changed(self, name: str, connected: bool) -> None:
        participant = self._met.get(name)
        if participant is None or self._over.is_set():
            return
        if connected:
            self._logger.info("direct connection to %s", participant)
        else:
            self._logger.info("the direct connection to %s is over; what is for it goes through NVFlare", participant)
        with contextlib.suppress(NotYet):
            if (lane := self._lane_of(name)) is not None:
                lane.reroute(is_lost=not connected)


class _Straight:
    """As `Transport`."""

    def __init__(self, native: _native.Direct, name: str, through: Transport, seek: Callable[[str], None]) -> None:
        self._native = native
        self._name = name
        self._through = through
        self._seek = seek

    def fire(self, kind: str, number: int, message: bytes) -> None:
        try:
            self._native.say(self._name, kind, number, message, _TAKE)
        except (ConnectionError, TimeoutError):
            self._seek(self._name)
            self._through.fire(kind, number, message)

    def ask(self, kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes:
        try:
            answer = self._native.ask(self._name, kind, number, parts, seconds)
        except ConnectionError:
            self._seek(self._name)
            return self._through.ask(kind, number, parts, seconds)
        except TimeoutError as error:
            raise Unreachable(str(error)) from None
        if isinstance(answer, _native.Refusal):
            raise Unreachable(answer.reason, refused=answer.is_final)
        return answer

    def takes_at_once(self) -> bool:
        return self._native.takes_at_once(self._name)
