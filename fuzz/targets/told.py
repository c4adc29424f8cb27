"""Does anything that a process of a session tells another end in more than that it is not understood?"""
# pyright: basic, reportMissingImports=false

import contextlib
import logging
import threading
from typing import Any, cast

from fuzzing import fuzz, scratch, watched

with watched():
    from dfm.errors import SessionError
    from dfm.flare import _executions, _had, _participant, _told, server
    from dfm.flare._channel import Secret
    from dfm.flare._sealing import HomeSealing
    from dfm.flare._signing import Signer
from kits import Root

logging.disable()
_JOB = "0e9c1f6a-job"
_root = Root(scratch())
_user = _root.kit("ann@x", "lead")
_signer = Signer()
_sealing = HomeSealing(_user, _JOB, "home", Secret(_user, _JOB, _signer.about), _signer)
_note = _sealing.note({"id": "s-1"})


class _Site:
    """Who does as told, at a site."""

    def lose(self, site: str) -> None:
        assert isinstance(site, str)

    def obey(self, packet: bytes) -> None:
        assert isinstance(packet, bytes)

    def meet(self, hello: str) -> None:
        assert isinstance(hello, str)


def _server() -> server.SessionController:
    made = server.SessionController.__new__(server.SessionController)
    made._homesite, made._lanes, made._lost, made._ready, made._left = "home", {}, {}, {}, False
    made._hellos, made._secret, made._participant = {"east": "hello"}, Secret(_user, _JOB), None
    made.logger = logging.getLogger("dfm.fuzz")
    made._lock, made._over = threading.Lock(), threading.Event()
    made._executions = _executions.Executions("home", made.logger)
    made._lanes_of_cells, made._job = {}, _JOB
    return made


_keeps = _had.FlareKeeps.__new__(_had.FlareKeeps)
_keeps._homesite = "home"


def one(data: bytes) -> None:
    try:
        told = _told.read(data)
    except ValueError:
        return
    controller = _server()
    for sender in ("east", "home"):
        with contextlib.suppress(ValueError):
            controller._heed(sender, told)
    _participant.heed(cast(Any, _Site()), told)
    with contextlib.suppress(SessionError):
        _keeps._found(_sealing, told, [], "")


_honest = [
    {"ready": True, "problem": "no"},
    {"ended": "was killed"},
    {"begin": 1, "id": "s-1", "about": _note},
    {"had": 1, "positions": [[3, [0, 1], 7]], "notes": {"3": 1}},
    {"ended": 1, "status": "ABORTED"},
    {"forget": 1},
    {"leave": 1},
    {"confirm": 1},
    {"recall": 1},
    {"bye": True},
    {"hello": "east", "said": "text"},
    {"lost": "east", "reason": "it was killed"},
    {"cancel": 1},
    {"ask": 1},
    {"recalled": 1, "told": None},
    {"about": {"about": _note, "status": None, "since": 1.5}, "had": [[3, [0], 7]], "notes": {"a": 1}},
]

fuzz("told", [_told.tell(what) for what in _honest], one)
