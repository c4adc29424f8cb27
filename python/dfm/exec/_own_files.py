"""How does a site keep files that only its own account reads and writes?"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import uuid
from collections.abc import Generator
from pathlib import Path

from dfm._private import private_folder


def read_own(path: Path) -> bytes:
    """What is in a file that only this account may write.

    Raises:
        OSError: there is none, or others may write it.
    """
    # A pipe, or a link to what this account may read, has the file's name only if somebody else put it there.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise PermissionError(f"its entry {path.name} is not a file that only this account may write")
        return file.read()


def write_own(path: Path, data: bytes) -> None:
    """Writes a file so that nobody sees a part of it, in a folder for this account alone.

    Raises:
        OSError: it cannot be written.
    """
    private_folder(path.parent)
    os.chmod(path.parent, 0o700)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def locked(path: Path) -> Generator[None]:
    """No other process is within this with the same file, which is made for that and is no link to another one.

    Raises:
        OSError: it cannot be opened.
    """
    how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, how, 0o600), "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
