"""What does a site keep for its adapters from job to job?

Values are kept encoded, as they would be sent: what is read is a new object of the same type, whatever has become of
the one that was written. On disk each is a file of its own, whose name is a digest: a mark of this format, a checksum
of the rest, and the key and the value. Nothing is ever pickled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any, cast

from dfm import _values
from dfm.errors import LimitError, StateError
from dfm.exec._own_files import read_own, write_own

LIMIT = 1 << 30
"""The most bytes of a state, where its binding does not say."""
_MARK = b"dfm state 1\n"
_DIGEST = 32


class State(MutableMapping[str, Any]):
    """Values by their names, which outlast a job: a dictionary that takes whatever can be sent.

    It is the dictionary of one binding, or of those that share it. Its methods may be called on any thread. Two
    sessions that write the same name at once leave the value of one of them, whole.
    """

    def __init__(self, what: str, kept: InMemory | OnDisk, limit: int) -> None:
        """`what` names it in errors; `limit` is how many bytes it may have. Made on the site's own thread."""
        self._what = what
        self._kept = kept
        self._limit = limit
        self._takes = False, _values.policy.packages, _values.policy.modules

    def __getitem__(self, name: str) -> Any:
        """The value.

        Raises:
            KeyError: there is none.
            StateError: it cannot be read.
        """
        found = self._entry(_file_of(name))
        if found is None:
            raise KeyError(name)
        return found[1]

    def __setitem__(self, name: str, value: Any) -> None:
        """Keeps a value.

        Raises:
            TypeError, ValueError, EncodingError: the name is no text, or the value cannot be sent, and so not be kept.
            LimitError: there is no room for it.
            StateError: it cannot be written.
        """
        file = _file_of(name)
        with _values.acting_for(*self._takes):
            payload = _values.dumps((name, value))
        data = _MARK + _checksum(payload) + payload
        try:
            size = sum(size for other, size in self._kept.sizes().items() if other != file) + len(data)
            if size > self._limit:
                raise LimitError(
                    f"{self._what} would have {size} bytes, and may have {self._limit}: `limit` of the binding's "
                    "`state` says so"
                )
            self._kept.write(file, data)
        except OSError as error:
            raise StateError(f"{self._what} cannot be written: {error}") from None

    def __delitem__(self, name: str) -> None:
        try:
            there = self._kept.remove(_file_of(name))
        except OSError as error:
            raise StateError(f"{self._what} cannot be written: {error}") from None
        if not there:
            raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        entries = [self._entry(file) for file in self._files()]
        return iter(sorted(entry[0] for entry in entries if entry is not None))

    def __len__(self) -> int:
        return len(self._files())

    def __repr__(self) -> str:
        return f"<{self._what}>"

    def set(self, name: str, value: Any) -> None:
        """As `state[name] = value`."""
        self[name] = value

    def _files(self) -> dict[str, int]:
        try:
            return self._kept.sizes()
        except OSError as error:
            raise StateError(f"{self._what} cannot be read: {error}") from None

    def _entry(self, file: str) -> tuple[str, Any] | None:
        try:
            data = self._kept.read(file)
        except OSError as error:
            raise StateError(f"{self._what} cannot be read: {error}") from None
        if data is None:
            return None
        head = len(_MARK) + _DIGEST
        if data[: len(_MARK)] != _MARK or data[len(_MARK) : head] != _checksum(data[head:]):
            raise StateError(f"{self._what}: its file {file} is damaged; delete it to begin anew")
        with _values.acting_for(*self._takes):
            return cast("tuple[str, Any]", _values.loads(data[head:]))


class InMemory:
    """What ends with the process."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}

    def sizes(self) -> dict[str, int]:
        """The bytes of each entry."""
        return {file: len(data) for file, data in list(self._entries.items())}

    def read(self, file: str) -> bytes | None:
        """An entry, if there is one."""
        return self._entries.get(file)

    def write(self, file: str, data: bytes) -> None:
        """Puts an entry in place of the one before."""
        self._entries[file] = data

    def remove(self, file: str) -> bool:
        """Whether there was one."""
        return self._entries.pop(file, None) is not None


class OnDisk:
    """What lasts as long as its folder; as `InMemory`, but for OSErrors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sizes(self) -> dict[str, int]:
        """The bytes of each entry."""
        if not self._folder.is_dir():
            return {}
        return {path.name: path.stat().st_size for path in self._folder.iterdir() if len(path.name) == 2 * _DIGEST}

    def read(self, file: str) -> bytes | None:
        """An entry, if there is one."""
        try:
            return read_own(self._folder / file)
        except FileNotFoundError:
            return None

    def write(self, file: str, data: bytes) -> None:
        """Puts an entry in place of the one before."""
        write_own(self._folder / file, data)

    def remove(self, file: str) -> bool:
        """Whether there was one."""
        try:
            (self._folder / file).unlink()
        except FileNotFoundError:
            return False
        return True


def _file_of(name: str) -> str:
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"a state's names are texts, not {name!r}")
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST).hexdigest()


def _checksum(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()
