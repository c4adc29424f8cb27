"""How does a site keep values for `TryFromCache`?

An entry is one file: a mark of this format, a checksum of the rest, and the encoded value. Whatever is wrong with one,
or with the cache's storage, is a warning and a value that has to be made again.

An entry belongs to whom the site worked for when it was made, and to the bindings that the site had then: nobody finds
what another user has put under a key, and nothing made by a binding that has been changed. Where a cache is shared,
everybody finds what the site's own runs have put there, too. The site makes a file's name itself, of digits alone.
Local entries are read and written by this account only.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from dfm import _native, _values
from dfm.errors import EncodingError
from dfm.exec._keys import key_of
from dfm.exec._own_files import read_own, write_own

_MARK = b"dfm cache 1\n"
_DIGEST = 32


class Cache:
    """The values that one site keeps. Its methods may be called on several threads, and by several processes."""

    def __init__(
        self, open_folder: Callable[[], Any], logger: logging.Logger, owners: Sequence[tuple[str, ...]]
    ) -> None:
        """Made on the site's own thread. `open_folder` gives the entries' folder, a `Path` or a `upath.UPath`; `owners`
        say whose entries are found, the first of them whose are made."""
        self._owners = owners
        self._open_folder = open_folder
        self._logger = logger
        self._takes = _values.policy.lenient, _values.policy.packages, _values.policy.modules
        self._folder: Any = None

    def look_up(self, parts: tuple[Any, ...]) -> _native.Found | _native.NotFound:
        """What is found of these parts, and the key under which a value of theirs would be kept.

        Raises:
            TypeError: one of them cannot be part of a key.
            ImportError: the cache's storage needs a package that is not installed.
        """
        keys = [key_of((owner, *parts)) for owner in self._owners]
        found = next((found for key in keys if (found := self._find(key)) is not None), None)
        return _native.NotFound(keys[0]) if found is None else _native.Found(keys[0], *found)

    def _find(self, key: str) -> tuple[Any] | None:
        try:
            data = _read(self._entry(key))
        except FileNotFoundError:
            return None
        except ImportError:
            raise
        except Exception as error:
            self._logger.warning("the cache cannot be read, so a value is made again: %s", error)
            return None
        head = len(_MARK) + _DIGEST
        if data[: len(_MARK)] != _MARK or data[len(_MARK) : head] != _checksum(memoryview(data)[head:]):
            self._logger.warning("the cache's entry %s is damaged, so its value is made again", key)
            return None
        try:
            with _values.acting_for(*self._takes):
                return (_values.loads(data[head:]),)
        except (EncodingError, TypeError, ValueError) as error:
            self._logger.warning("the cache's entry %s cannot be used, so its value is made again: %s", key, error)
            return None

    def store(self, key: str, value: Any) -> Any:
        """Keeps a value, and returns it. One that has no encoding is not kept, which is a warning.

        Raises:
            ImportError: the cache's storage needs a package that is not installed.
        """
        try:
            with _values.acting_for(*self._takes):
                payload = _values.dumps(value)
            _write(self._entry(key), _MARK + _checksum(payload) + payload)
        except ImportError:
            raise
        except Exception as error:
            self._logger.warning("a value is not kept in the cache: %s", error)
        return value

    def _entry(self, key: str) -> Any:
        if self._folder is None:
            folder = self._open_folder()
            self._folder = Path(cast("os.PathLike[str]", folder)) if isinstance(folder, os.PathLike) else folder
        return self._folder / digest(key)


def digest(what: Any) -> str:
    """A name for plain data that depends on nothing else, in hexadecimal digits."""
    return hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=_DIGEST).hexdigest()


def _read(entry: Any) -> bytes:
    return read_own(entry) if isinstance(entry, Path) else entry.fs.cat_file(entry.path)


def _write(entry: Any, data: bytes) -> None:
    """Writes an entry so that nobody sees a part of it."""
    if isinstance(entry, Path):
        write_own(entry, data)
    elif _renames(entry.fs):
        temporary = entry.with_name(f"{entry.name}.{uuid.uuid4().hex}.part")
        entry.fs.pipe_file(temporary.path, data)
        entry.fs.mv(temporary.path, entry.path)
    else:  # such a storage shows a file only once it is whole
        entry.fs.pipe_file(entry.path, data)


def _renames(file_system: Any) -> bool:
    """Whether it moves files itself; what others inherit is a copy."""
    base = cast(Any, importlib.import_module("fsspec")).AbstractFileSystem
    return cast("type[Any]", type(file_system)).mv is not base.mv


def _checksum(data: bytes | memoryview) -> bytes:
    return hashlib.blake2b(data, digest_size=_DIGEST).digest()
