"""What memory does a large value come into, whose pages cost little?"""

from __future__ import annotations

import contextlib
import mmap


def fresh(size: int) -> mmap.mmap:
    """So many bytes, at least one, of which each page becomes memory when it is written to."""
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def make_pages_huge(memory: mmap.mmap, begin: int, size: int) -> None:
    """Has a range that will be written to, or what there is of it, cost fewer pages, where the system has huge ones."""
    with contextlib.suppress(OSError):
        memory.madvise(mmap.MADV_HUGEPAGE, begin, min(size, len(memory) - begin))
