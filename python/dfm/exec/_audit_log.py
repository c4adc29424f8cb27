"""What does a site write down of what happens to its data?

One JSON object a line, each with its number and the SHA-256 of the line before. All processes of a site append to one
log. Each has a key to sign with, for which its kit's certificate vouches, and signs the chain as far as it goes: at
every 256th record of its own, at the end of a job, and at its own end. `dfm site audit verify` checks all that.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import stat
import time
from pathlib import Path
from typing import Any, NamedTuple, cast

from dfm._private import private_folder
from dfm.errors import RefusedError
from dfm.exec._session_key import SessionKey
from dfm.exec._site import Asker

LOG = "log.jsonl"
"""The log that is appended to, in its folder; older ones are `log-` and the number of their first record."""
BEGINNING = hashlib.sha256(b"").hexdigest()
"""Stands for the line before the first one."""
_LARGEST = 64 << 20
"""Bytes of a log, from which on another one is begun."""
_LONGEST = 16_384
"""Characters of parameters that are kept as they are; of longer ones, the digest is."""
_TAIL = 1 << 20
"""Bytes from a log's end that have a whole line in them."""
_WAITING = 10_000
"""Records that are kept while nothing can be written; of more, their number is."""
_A_SIGNATURE = 256
"""Records of a process, of which each last one is signed."""


def _digest_of(value: Any) -> Any:
    """What stands for a parameter that is no JSON."""
    from dfm import _values

    try:
        of = hashlib.sha256(_values.dumps(value)).hexdigest()
    except Exception:
        of = None
    return {"type": f"{type(value).__module__}.{type(value).__qualname__}", "sha256": of}


_ENCODE = json.JSONEncoder(separators=(",", ":")).encode
_ENCODE_GIVEN = json.JSONEncoder(separators=(",", ":"), sort_keys=True, default=_digest_of).encode


def _members(said: dict[str, Any]) -> str:
    """An object's JSON without its braces."""
    return _ENCODE(said)[1:-1]


def encoded(given: dict[str, Any]) -> str:
    """Parameters as JSON, always the same of the same ones. Most are texts and whole numbers, for which an encoder that
    could do more takes several times as long."""
    members: list[str] = []
    for name in sorted(given):
        value = given[name]
        if type(value) is not str and type(value) is not int:
            return _ENCODE_GIVEN(given)
        members.append(f"{_ENCODE(name)}:{_ENCODE(value) if type(value) is str else value}")
    return f"{{{','.join(members)}}}"


class _End(NamedTuple):
    """Where a log ends."""

    number: int
    digest: str
    """Of the last line."""
    size: int
    file: int
    """Which file that is, after its number in the file system."""
    torn: bool = False
    """Whether the last line is one that its process did not finish before it was killed."""


class _Record:
    """What a line will say: text from the beginning, which takes less time than an object that becomes text later."""

    __slots__ = ("at", "begun", "job", "operation", "text", "writes")

    def __init__(self, text: str, job: int | None = None, operation: str | None = None) -> None:
        self.at = time.time()
        self.text = text
        """JSON of an object, without its braces."""
        self.job = job
        self.operation = operation
        self.begun = 0.0
        """Of a call that runs."""
        self.writes = 0
        """How often its process had written then."""


class Audit:
    """A site's log, for what happens in one process. Its methods are called on the site's thread."""

    def __init__(
        self,
        folder: Path,
        site: str,
        session: str,
        asker: Asker,
        logger: logging.Logger,
        full: bool = False,
        goes_on: bool = False,
        key: SessionKey | None = None,
    ) -> None:
        """`full` keeps parameters as they are; `goes_on` has the site work while nothing can be written. Without
        `key`, nothing is signed."""
        self._folder = folder
        # As text, which is looked up in less time than a path.
        self._path = os.fspath(folder / LOG)
        self._site = site
        self._session = session
        self._asker = asker
        self._logger = logger
        self._full = full
        self._goes_on = goes_on
        self._key = key
        self._file: int | None = None
        self._lock: int | None = None
        self._end: _End | None = None
        self._begun = False
        self._unsigned = 0
        self._lost = 0
        self._broken = False
        self._about = _members({"session": session, "user": asker.user})
        self._later: list[_Record] = []
        self._last = _Record("")
        self._writes = 0
        self._running: dict[int, _Record] = {}
        self._called: dict[tuple[str, str | None], str] = {}

    def job(self, job: int, pipeline: str) -> None:
        """A job begins whose net at this site has this digest, which its user has signed."""
        self._later.append(_Record(_members({"what": "job", "job": job, "pipeline": pipeline})))

    def call(self, job: int | None, operation: str, provider: str | None, given: str) -> None:
        """A call begins, with these parameters as they are `encoded`. It is written before anything leaves, and when
        the site rests.

        Raises:
            RefusedError: what came before it cannot be written down, and nothing more must happen then.
        """
        if self._broken:
            self._write([])
        if (called := self._called.get((operation, provider))) is None:
            said = {"operation": operation} | ({} if provider is None else {"provider": provider})
            called = self._called[operation, provider] = _members(said)
        number = "null" if job is None else job
        text = f'"what":"call","job":{number},{called},{self._parameters(given)}'
        self._last = _Record(text, job, operation)
        self._later.append(self._last)

    def runs(self, call: int) -> None:
        """The call that was told last has this number while it runs."""
        record = self._running[call] = self._last
        record.begun, record.writes = time.monotonic(), self._writes

    def ended(self, call: int, how: str) -> None:
        """A call has: `done`, `given up`, or with the class of an error. Written with what follows."""
        if (record := self._running.pop(call, None)) is not None:
            begun = record.begun
            if record.writes != self._writes:
                # Its own record has been written.
                record = _Record(_members({"what": "ended", "job": record.job, "operation": record.operation}))
                self._later.append(record)
            record.text += f',"how":{_ENCODE(how)},"seconds":{time.monotonic() - begun:.6f}'

    def left(self, job: int, to: str, operation: str | None, kind: str, size: int, digest: str | None) -> None:
        """A value is about to leave.

        Raises:
            RefusedError: this, or what came before it, cannot be written down.
        """
        record = {"what": "left", "job": job, "to": to, "operation": operation}
        self._write([_Record(_members(record | {"kind": kind, "bytes": size, "digest": digest}))])

    def refused(self, job: int | None, operation: str | None, why: str) -> None:
        """Something was."""
        self._later.append(_Record(_members({"what": "refused", "job": job, "operation": operation, "why": why})))

    def asked(self, job: int | None, operation: str, request: str) -> None:
        """A call waits for a person to decide of this request."""
        self._later.append(_Record(_members({"what": "asked", "job": job, "operation": operation, "request": request})))

    def decided(self, job: int | None, operation: str, request: str, until: str) -> None:
        """The call that follows was approved, with this request."""
        about = {"what": "approved", "job": job, "operation": operation, "request": request, "until": until}
        self._later.append(_Record(_members(about)))

    def settle(self) -> None:
        """Writes what waits."""
        # What fails is in the site's log, and the next call is told.
        if self._later:
            with contextlib.suppress(RefusedError):
                self._write([])

    def sign(self) -> None:
        """Writes what waits, and signs all that is there."""
        if not self._later and (self._key is None or not self._unsigned):
            return
        with contextlib.suppress(RefusedError):
            self._write([], signed=True)

    def close(self) -> None:
        """Signs, and closes the files."""
        self.sign()
        for file in (self._file, self._lock):
            if file is not None:
                os.close(file)
        self._file = self._lock = None

    def _parameters(self, text: str) -> str:
        if self._full and len(text) <= _LONGEST:
            return f'"parameters":{text}'
        return f'"parameters-digest":"{hashlib.sha256(text.encode()).hexdigest()}"'

    def _write(self, records: list[_Record], signed: bool = False) -> None:
        records = [*self._later, *records]
        if self._lost:
            records.insert(0, _Record(_members({"what": "lost", "records": self._lost})))
        try:
            self._append(records, signed)
        except OSError as error:
            if not self._goes_on:
                self._broken = True
                self._lost += max(0, len(self._later) - _WAITING)
                del self._later[_WAITING:]
                self._writes += 1
                self._logger.error("the audit log in %s cannot be written, so all is refused: %s", self._folder, error)
                why = "as it cannot write down what happens; its log says why"
                raise RefusedError(f"site '{self._site}' refuses everything, {why}") from None
            if not self._lost:
                self._logger.error("the audit log in %s cannot be written: %s", self._folder, error)
            self._lost += len(records) - bool(self._lost)
        else:
            self._lost, self._broken = 0, False
        self._writes += 1
        self._later.clear()

    def _append(self, records: list[_Record], signed: bool) -> None:
        if self._lock is None:
            private_folder(self._folder)
            self._lock = _opened(self._folder / ".lock", os.O_RDWR)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            file, end = self._found()
            chain = _Chain(end.number, end.digest, self._about)
            if not self._begun:
                records = [_Record(_members(self._beginning())), *records]
            if end.torn:
                chain.add(_Record(_members({"what": "torn"})))
            for record in records:
                chain.add(record)
                self._unsigned += 1
                if self._unsigned >= _A_SIGNATURE:
                    self._add_signature(chain)
            if signed and self._unsigned:
                self._add_signature(chain)
            lines = b"".join(chain.lines)
            _write_whole(file, lines, end.size)
            self._begun = True
            self._end = _End(chain.number, chain.digest, end.size + len(lines), end.file)
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _add_signature(self, chain: _Chain) -> None:
        self._unsigned = 0
        if self._key is not None:
            signature = self._key.sign(signed_text(chain.number, chain.digest))
            chain.add(_Record(_members({"what": "signed", "signature": signature})))

    def _beginning(self) -> dict[str, Any]:
        """Says who this process works for, and which key it signs with."""
        asker = self._asker
        record: dict[str, Any] = {"what": "session", "site": self._site}
        record |= {"organisation": asker.organisation, "role": asker.role}
        return record if self._key is None else record | {"key": self._key.statement()}

    def _found(self) -> tuple[int, _End]:
        """The log and its end, which another process may have moved."""
        path = self._path
        try:
            facts = os.stat(path, follow_symlinks=False)
        except FileNotFoundError:
            facts = None
        end = self._end
        unchanged = facts is not None and end is not None and (facts.st_ino, facts.st_size) == (end.file, end.size)
        if self._file is not None and end is not None and unchanged and end.size < _LARGEST:
            return self._file, end
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if facts is None:
            before = _BEFORE
            # Of a log that was set aside just before its process was killed, the last one goes on.
            if older := older_logs(self._folder):
                before = _end_of(older[-1])
        else:
            before = _end_of(path)
            if facts.st_size >= _LARGEST:
                os.rename(path, self._folder / f"log-{before.number:012}.jsonl")
                facts = None
        self._file = _opened(path, os.O_RDWR | os.O_APPEND)
        found = os.fstat(self._file)
        return self._file, _End(before.number, before.digest, found.st_size, found.st_ino, before.torn)


class _Chain:
    """Lines, each of which follows from the one before."""

    def __init__(self, number: int, digest: str, about: str) -> None:
        """`about` is in each line."""
        self._about = about
        self.number = number
        self.digest = digest
        self.lines: list[bytes] = []

    def add(self, record: _Record) -> None:
        """One more record."""
        self.number += 1
        place = f'"n":{self.number},"before":"{self.digest}","at":{record.at:.6f}'
        line = f"{{{place},{self._about},{record.text}}}".encode()
        self.digest = hashlib.sha256(line).hexdigest()
        self.lines += line, b"\n"


_BEFORE = _End(0, BEGINNING, 0, 0)


def signed_text(number: int, digest: str) -> bytes:
    """What is signed: that the chain goes so far."""
    return f"dfm audit {number} {digest}".encode()


def older_logs(folder: Path) -> list[Path]:
    """The logs that are appended to no more, in their order."""
    return sorted(folder.glob("log-*.jsonl"))


def _end_of(path: str | Path) -> _End:
    """Where a log ends. Of a line that was begun when its process was killed, a line is made.

    Raises:
        OSError: it cannot be read, or its end is no record.
    """
    file = _opened(path, os.O_RDWR)
    try:
        facts = os.fstat(file)
        size = facts.st_size
        data = os.pread(file, _TAIL, max(0, size - _TAIL))
        if not data:
            return _BEFORE._replace(file=facts.st_ino)
        if not data.endswith(b"\n"):
            os.pwrite(file, b"\n", size)
            data, size = data + b"\n", size + 1
        lines = data.split(b"\n")[-3:-1]
        records = [record_of(line) for line in lines]
        torn = records[-1] is None
        if (last := records[0] if torn else records[-1]) is None:
            raise OSError(f"{path} ends with what is no record; `dfm site audit verify` says where")
        return _End(last["n"] + torn, hashlib.sha256(lines[-1]).hexdigest(), size, facts.st_ino, torn)
    finally:
        os.close(file)


def record_of(line: bytes) -> dict[str, Any] | None:
    """What a line says that is a record: an object with a number `n`. None if it is none."""
    try:
        record: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    said = cast("dict[str, Any]", record)
    return said if type(said.get("n")) is int else None


def _opened(path: str | Path, how: int) -> int:
    file = os.open(path, how | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    facts = os.fstat(file)
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        os.close(file)
        raise PermissionError(f"{path} is not a file that only this account may read and write")
    return file


def _write_whole(file: int, lines: bytes, size: int) -> None:
    """Appends all lines or none."""
    written = 0
    try:
        while written < len(lines):
            written += os.write(file, lines[written:])
    except OSError:
        os.ftruncate(file, size)
        raise
