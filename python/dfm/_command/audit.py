"""What does `dfm site audit` run, and is a site's log what its processes have written?

The command calls `main` in a process of its own with WHAT KIT FORMAT HEAD: `verify`, `show` or `export`; the site's
kit, or the folder of a log or of a policy that is tried; `json` or `text`; and a line that was once the log's end, as
`verify` tells it, or nothing.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfm._command.screen import put, tell
from dfm._shown import one_line
from dfm.exec._audit_log import BEGINNING, LOG, older_logs, record_of, signed_text
from dfm.exec._session_key import PURPOSE, key_in

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from dfm.flare._identity import Credentials

_MOST_TOLD = 100
"""Faults that are told."""


class NoLogError(Exception):
    """There is no log, and why."""


@dataclasses.dataclass
class Verdict:
    """What was found in a log."""

    records: int = 0
    """Lines."""
    signed: int = 0
    """The number of the last signature that holds, before any fault. It is of all before it; what else stands in its
    own line, as the time, is covered by the next one alone."""
    head: str = f"0:{BEGINNING}"
    """The last line's number and digest."""
    alone: int = 0
    """Records up to `signed` that only other processes have signed than the one that they are of: that still runs, was
    killed, or has never been. Whoever may write the log may have changed them before."""
    faults: list[str] = dataclasses.field(default_factory=list[str])
    """What is wrong."""


def main() -> None:
    """Exits with 1 where a log is not what it should be, with 2 where there is none."""
    what, kit, form, head = sys.argv[1:]
    try:
        folder, credentials = _log_of(Path(kit))
        if what == "verify":
            sys.exit(_tell(verify(folder, credentials, head or None), credentials is not None, form == "json"))
        for line in _lines(folder):
            if what == "export" or form == "json":
                put(line)
            else:
                put(_shown(line))
    except NoLogError as error:
        tell(f"error: {error}")
        sys.exit(2)


def _log_of(kit: Path) -> tuple[Path, Credentials | None]:
    """The folder of the log of a kit, or beside a policy that is tried, and what its signatures are checked by; nothing
    for a folder that is no kit."""
    if not (kit / "startup").is_dir():
        tried = kit / "audit"
        return _there(tried if tried.is_dir() else kit), None
    from dfm.exec._policy import PolicyError, read_policy
    from dfm.flare._identity import Untrusted, read_credentials

    try:
        audit = read_policy(kit).audit
        credentials = read_credentials(kit)
    except (PolicyError, Untrusted) as error:
        raise NoLogError(str(error)) from None
    return _there(kit / "audit" if audit is None else audit.folder), credentials


def _there(folder: Path) -> Path:
    if not (folder / LOG).is_file() and not older_logs(folder):
        raise NoLogError(f"there is no log in {folder}; a site keeps one whose policy has `audit`")
    return folder


def _lines(folder: Path) -> Iterator[bytes]:
    for path in (*older_logs(folder), folder / LOG):
        if path.is_file():
            with open(path, "rb") as file:
                for line in file:
                    yield line.removesuffix(b"\n")


@dataclasses.dataclass
class _Process:
    """One that has written records."""

    session: str
    user: object
    key: Ed25519PublicKey | None
    written: int = 1
    """Records."""
    unsigned: list[int] = dataclasses.field(default_factory=list[int])
    """The numbers of those that it has not signed yet."""


def verify(folder: Path, credentials: Credentials | None, head: str | None = None) -> Verdict:
    """Looks whether each line follows from the one before, and what is signed; `head` has to be among them."""
    found = Verdict()
    digest, torn = BEGINNING, False
    # By the number of their first record; those of earlier versions, whose records do not have it, by their session.
    processes: dict[object, _Process] = {}
    seen = head is None

    def fault(what: str) -> None:
        if len(found.faults) < _MOST_TOLD:
            found.faults.append(f"line {found.records}: {what}")

    expected = 1
    for line in _lines(folder):
        found.records += 1
        record = record_of(line)
        if record is None:
            torn, digest, expected = True, hashlib.sha256(line).hexdigest(), expected + 1
            continue
        number: int = record["n"]
        if torn and record.get("what") != "torn":
            fault("the line before it is no record, and nobody says that it was left unfinished")
        torn = False
        if number != expected:
            fault(f"this is record {number}, and should be {expected}")
        elif record.get("before") != digest:
            fault("the record before it is not the one that it was written after")
        process = _process(record, processes, credentials, fault)
        match record:
            case {"what": "signed", "signature": str(signature)} if credentials is not None:
                if process is not None and _is_signed(process.key, signature, number - 1, digest):
                    process.unsigned.clear()
                    # After a fault, what stands before a signature is no longer all that it was made of.
                    found.signed = found.signed if found.faults else number
                else:
                    fault("what it signs is another chain")
            case {"what": "missing"}:
                fault(f"its process had written record {record.get('record')}, and found another one there, or none")
            case _:
                pass
        digest, expected = hashlib.sha256(line).hexdigest(), number + 1
        found.head = f"{number}:{digest}"
        seen = seen or found.head == head
    if torn:
        fault("it is no record; its process was killed, or somebody has cut it")
    if not seen:
        found.faults.append(f"the line {head} is not there, which was once the last one")
    found.alone = sum(number <= found.signed for one in processes.values() for number in one.unsigned)
    return found


def _process(
    record: dict[str, Any],
    processes: dict[object, _Process],
    credentials: Credentials | None,
    fault: Callable[[str], None],
) -> _Process | None:
    """The process that has written a record, as far as the record fits what it has written before."""
    number, session, what, first = record["n"], record.get("session"), record.get("what"), record.get("process")
    if not isinstance(session, str) or not isinstance(what, str) or not isinstance(first, int | None):
        fault("it does not say of which session and process it is")
        return None
    if what == "torn":
        return None
    if first is None and any(type(one) is int for one in processes):
        fault("it does not say of which process it is, and earlier ones do")
    name = session if first is None else first
    if what == "session" and first in (None, number):
        key = None
        if credentials is not None:
            try:
                key = _key(credentials, record, session)
            except ValueError as error:
                fault(f"its session's key is not one of this site: {error}")
        processes[name] = _Process(session, record.get("user"), key)
    if (process := processes.get(name)) is None:
        fault("its session has not begun")
        return None
    if (session, record.get("user")) != (process.session, process.user):
        fault(f"its process works in session '{process.session}' for '{process.user}', and not for whom it says")
        return None
    if what != "session":
        process.written += 1
    nth = record.get("nth")
    if first is not None and nth != process.written:
        fault(f"this is not record {process.written} of its process, as it should be")
        process.written = nth if isinstance(nth, int) else process.written
    process.unsigned.append(number)
    return process


def _key(credentials: Credentials, record: dict[str, Any], session: str) -> Ed25519PublicKey:
    from dfm.flare._identity import Untrusted, check

    try:
        at = _time(record)
        said, who = check(credentials, record.get("key"), PURPOSE, session, at)
        if who != credentials.who:
            raise ValueError(f"it is that of '{who.name}'")
        return key_in(said)
    except (Untrusted, TypeError, LookupError, OverflowError, OSError, binascii.Error) as error:
        raise ValueError(str(error)) from None


def _time(record: dict[str, Any]) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(record["at"], datetime.UTC)


def _is_signed(key: Ed25519PublicKey | None, signature: str, number: int, digest: str) -> bool:
    from cryptography.exceptions import InvalidSignature

    if key is None:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), signed_text(number, digest))
    except (InvalidSignature, ValueError):
        return False
    return True


def _tell(found: Verdict, by_key: bool, as_json: bool) -> int:
    unsigned = found.records - found.signed
    if as_json:
        put(json.dumps(dataclasses.asdict(found)))
    else:
        put(f"{found.records} records; the last one is {found.head}")
        if not by_key:
            put("this is no kit, so no signature was checked")
        elif unsigned:
            put(f"the last {unsigned} are signed by nobody yet, and may have been changed or cut")
        if found.alone:
            put(f"{found.alone} others are of processes that still run or were killed, and have not signed them")
        for fault in found.faults:
            put(f"fault: {one_line(fault)}")
        if not found.faults:
            put("each record follows from the one before")
    return 1 if found.faults else 0


def _shown(line: bytes) -> str:
    if (record := record_of(line)) is None:
        return "no record"
    try:
        about = " ".join(f"{key}={json.dumps(value)}" for key, value in record.items() if key not in _HIDDEN)
        return one_line(f"{record['n']} {_time(record).isoformat()} {record['what']} {about}")
    except (ValueError, LookupError, TypeError, OverflowError, OSError, RecursionError):
        return "no record"


_HIDDEN = ("n", "before", "at", "what", "key", "signature")
