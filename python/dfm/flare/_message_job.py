"""Which job is it of, what one site says to another?"""

from __future__ import annotations

from typing_extensions import Buffer

_SIZES = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
"""MessagePack's numbers: the byte that each begins with, and how many follow."""
_OF_NONE = (b"Ask", b"Check", b"Checked", b"Unfinished")
"""What begins with the number of a request, and waits for no job's values."""


def job_of_message(content: Buffer) -> int | None:
    """The job of a message: an object of one key, whose value is a job's number or a list that begins with it."""
    start = bytes(memoryview(content).cast("B")[:48])
    if len(start) < 2 or start[0] != 0x81 or start[1] >> 5 != 0b101:
        return None
    at = 2 + (start[1] & 0x1F)
    if start[2:at] in _OF_NONE:
        return None
    if start[at : at + 1] and start[at] >> 4 == 0x9:
        at += 1
    if not (first := start[at : at + 1]):
        return None
    if first[0] < 0x80:
        return first[0]
    size = _SIZES.get(first[0], 0)
    number = start[at + 1 : at + 1 + size]
    return int.from_bytes(number, "big") if size and len(number) == size else None
