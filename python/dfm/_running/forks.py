"""What becomes of a site's links where an adapter forks its process, or closes what is open there?

A forked process has all descriptors of the one it came from. If it kept a link's, then nobody at the other end would
see that the site's process has ended. It also has a copy of the event loop, which must not run twice.

An event loop whose descriptors were closed while it waits for them is never woken again, and at the other end of a link
that somebody still waits on nobody sees that it was closed.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterable
from typing import Protocol


class Holder(Protocol):
    """What belongs to its own process alone."""

    def leave_to_parent(self) -> Iterable[int]:
        """In a forked process: gives it up, and says which descriptors it has."""
        ...


_holders: weakref.WeakSet[Holder] = weakref.WeakSet()
_forked = False
_needed: tuple[int, os.stat_result] | None = None


def keep_from_forks(holder: Holder) -> None:
    """Sees to it that a forked process neither has the holder's descriptors nor goes on with its work."""
    _holders.add(holder)


def end_if_forked() -> None:
    """Ends a forked process that comes back out of an adapter's body. What it would do here, its parent does."""
    if _forked:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def end_without(fd: int) -> None:
    """Sees to it that this process ends once a body on a thread has closed this descriptor, and so probably others."""
    global _needed
    _needed = fd, os.fstat(fd)


def end_if_closed() -> None:
    """Ends this process if a body has closed what it cannot do without."""
    if _needed is None:
        return
    fd, was = _needed
    try:
        # Another file may have its number by now.
        if os.path.samestat(os.fstat(fd), was):
            return
    except OSError:
        pass
    os.write(2, b"an adapter has closed the descriptors of its site's process, which ends\n")
    os._exit(1)


def _let_go() -> None:
    global _forked
    _forked = True
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for holder in list(_holders):
        for fd in holder.leave_to_parent():
            # The number stays taken: its owner here, a copy, may still close it.
            os.dup2(nothing, fd, inheritable=False)
    os.close(nothing)


os.register_at_fork(after_in_child=_let_go)
