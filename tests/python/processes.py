"""What does a test ask of processes that may end at any time?"""

from pathlib import Path


def read(path: Path) -> bytes:
    """What a file below /proc says; nothing if its process has ended."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def gone(pid: int) -> bool:
    """Whether it has ended, which one that nobody has waited for yet has, too."""
    state = read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()[:1]
    return state in ([], [b"Z"])


def marked(variable: str) -> list[int]:
    """Those that have this, `NAME=value`, in the environment that they were started with."""
    mark = variable.encode()
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/environ") if mark in read(path).split(b"\0")]
