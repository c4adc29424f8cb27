"""How are folders made that no other user of the machine may look into, whatever the umask?"""

from __future__ import annotations

from pathlib import Path


def private_folder(path: Path) -> Path:
    """Makes a folder, and those around it that are missing, for its owner alone; one that is there stays as it is.

    Raises:
        OSError: it cannot be made.
    """
    if path.is_dir():
        return path
    for folder in [*reversed(path.parents), path]:
        try:
            folder.mkdir(0o700)
        except FileExistsError:
            if not folder.is_dir():
                raise
        except OSError:
            # A folder far up that nobody may write to, which is there.
            if not folder.is_dir():
                raise
    return path
