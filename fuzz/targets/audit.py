"""Does any log of a site's audit raise what its reader does not say, or is one that nobody signed called signed?"""
# pyright: basic, reportMissingImports=false

import json
import logging
from pathlib import Path

from fuzzing import fuzz, scratch, watched

with watched():
    from dfm._command.audit import _shown, verify
from dfm._native import Audit
from dfm.exec._audit_log import LOG, opened
from dfm.exec._given import encoded
from dfm.exec._session_key import PURPOSE, SessionKey
from dfm.exec._site import Asker
from dfm.flare._identity import sign
from kits import Root

_folder = scratch()
_silent = logging.getLogger("dfm.fuzz")
_silent.disabled = True
_root = Root(scratch())
_credentials = _root.kit("west")


def _log(folder: Path, session: str) -> Audit:
    key = SessionKey(lambda content: sign(_credentials, PURPOSE, session, content), lambda *_: {})
    return opened(folder, "west", session, Asker("ada", "x", "lead"), _silent, key=key)


def _honest(session: str) -> bytes:
    folder = scratch()
    audit = _log(folder, session)
    audit.call(1, "work.Add", None, encoded({"a": 1}).text)
    audit.left(1, "home", "work.Add", "number", 9, "0" * 64)
    audit.close()
    return (folder / LOG).read_bytes()


_seeds = [_honest("s1"), _honest("s2")]
_lines = {line for seed in _seeds for line in seed.splitlines()}


def one(data: bytes) -> None:
    (_folder / LOG).write_bytes(data)
    found = verify(_folder, _credentials)
    written = data.removesuffix(b"\n").split(b"\n")
    # A signature is of what stands before it.
    before = written[: max(found.signed - 1, 0)]
    assert all(line in _lines for line in before), "nobody signed that"
    json.dumps(found.faults)
    for line in written:
        assert "\n" not in _shown(line) and "\x1b" not in _shown(line)
    # Whoever goes on with it appends to it, or refuses all.
    audit = _log(_folder, "s3")
    audit.refused(None, None, "no")
    audit.settle()
    assert (_folder / LOG).read_bytes().startswith(data)


fuzz("audit", _seeds, one)
