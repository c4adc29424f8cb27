"""What of all that is said to several sites at once travels once?

A large part that several sites get is sealed with a key of its own and sent to the session's job once, which gives it
to each of them. What each is told, sealed for it alone, says where the part belongs, and has the key.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from typing import NamedTuple

from typing_extensions import Buffer

from dfm import _native
from dfm.flare import _told
from dfm.flare._channel import Forged, Keys
from dfm.flare._identity import Untrusted
from dfm.flare._memory import fresh, make_pages_huge
from dfm.flare._packets import MOST_WAITING

_COUNT = struct.Struct(">I")
_PLACE = struct.Struct(">QQQ?32s16s")
"""Where in a packet a part belongs, the part's number, its bytes, whether that is its last place at this site, its
secret, and its tag."""
_SECRET = 32
_MOST = 64
"""So many parts may a site have of which it has not been told where they belong."""


class Part(NamedTuple):
    """A large part that several sites get."""

    number: int
    packet: int
    """One of those that it belongs into."""
    sites: list[str]
    sealed: Buffer
    secret: bytes
    tag: bytes

    def told(self, job: int) -> bytes:
        """What the session's job has to know of it."""
        return _told.tell({"shared": self.number, "job": job, "to": self.sites})


class _Source(NamedTuple):
    """Where a part is: in which packet, where it begins there, and how many bytes it has."""

    packet: int
    begin: int
    size: int


def pieces(packets: Sequence[_native.Carried], which: int) -> list[Buffer]:
    """The whole of one of these packets, in pieces that follow each other."""
    if not (holes := packets[which].holes):
        return [packets[which].content]
    content, done = _bytes_of(packets[which].content), 0
    found: list[Buffer] = []
    for hole in holes:
        found += [content[done : hole.at], _bytes_of(packets[hole.packet].content)[hole.begin :][: hole.size]]
        done = hole.at
    return [*found, content[done:]]


class Sharing:
    """An application's end."""

    def __init__(self) -> None:
        self._number = 0

    def split(self, packets: Sequence[_native.Carried], which: Sequence[int]) -> tuple[list[Part], dict[int, bytes]]:
        """The parts that some of these packets share, sealed where they are; and what is said instead of each of those
        packets, as `Shared.whole` takes it."""
        cuts: dict[int, list[tuple[int, int, _Source]]] = {}
        for at in which:
            for hole in packets[at].holes:
                source = _Source(hole.packet, hole.begin, hole.size)
                cuts.setdefault(at, []).append((hole.at, hole.at, source))
        if not cuts:
            return [], {}
        sources, known = {source for found in cuts.values() for _, _, source in found}, set(which)
        for source in sources:
            if source.packet in known:
                end = source.begin + source.size
                cuts.setdefault(source.packet, []).append((source.begin, end, source))
        # What is at a place where a part begins comes before it.
        places = [(at, cut) for at in which for cut in sorted(cuts.get(at, ()), key=lambda cut: cut[:2])]
        last = {(cut[2], packets[at].to): (place, at) for place, (at, cut) in enumerate(places)}
        users = {of: [at for (one, _), (_, at) in last.items() if one == of] for of in sources}
        parts = {of: self._sealed(packets, of, users[of]) for of in sources}
        said: dict[int, bytes] = {}
        for at in cuts:
            content, done = _bytes_of(packets[at].content), 0
            text, told = bytearray(), bytearray()
            for place, (begin, end, source) in ((n, cut) for n, (of, cut) in enumerate(places) if of == at):
                text += content[done:begin]
                done = end
                part, is_last = parts[source], last[source, packets[at].to] == (place, at)
                told += _PLACE.pack(len(text), part.number, source.size, is_last, part.secret, part.tag)
            said[at] = b"".join((_COUNT.pack(len(told) // _PLACE.size), told, text, content[done:]))
        return list(parts.values()), said

    def _sealed(self, packets: Sequence[_native.Carried], source: _Source, users: list[int]) -> Part:
        """One that goes to the sites of these packets."""
        self._number += 1
        secret = os.urandom(_SECRET)
        content = _bytes_of(packets[source.packet].content)[source.begin :][: source.size]
        (sealed,), tag = _keys(secret).seal(self._number, b"", [content])
        return Part(self._number, users[0], [packets[at].to for at in users], sealed, secret, tag)


class Shared:
    """A site's end."""

    def __init__(self) -> None:
        self._sealed: dict[int, Buffer] = {}
        self._opened: dict[int, Buffer] = {}

    def take(self, content: Buffer, sealed: Buffer) -> None:
        """Takes what the session's job says of a part, and the part.

        Raises:
            Forged: it is none, has come before, or is one too many.
        """
        try:
            number = _told.read(content).get("shared")
        except ValueError:
            raise Forged from None
        waiting = sum(_bytes_of(one).nbytes for one in self._sealed.values()) + _bytes_of(sealed).nbytes
        if not isinstance(number, int) or number in self._sealed or number in self._opened:
            raise Forged
        if len(self._sealed) >= _MOST or waiting > MOST_WAITING:
            raise Forged
        self._sealed[number] = sealed

    def whole(self, said: Buffer) -> Buffer:
        """A packet with the parts that belong into it.

        Raises:
            Forged: one has not come, or was changed.
            Untrusted: what the application says is not where parts belong.
        """
        rest = _bytes_of(said)
        count = _COUNT.unpack_from(rest)[0] if rest.nbytes >= _COUNT.size else 0
        told, text = rest[_COUNT.size :][: count * _PLACE.size], rest[_COUNT.size + count * _PLACE.size :]
        places = list(_PLACE.iter_unpack(told)) if told.nbytes == count * _PLACE.size else []
        size = text.nbytes + sum(place[2] for place in places)
        begins = [0, *(place[0] for place in places), text.nbytes]
        if not places or size > MOST_WAITING or begins != sorted(begins):
            raise Untrusted("it does not say where the parts of a packet belong")
        memory = fresh(size)
        make_pages_huge(memory, 0, size)
        whole = memoryview(memory)
        begin = done = 0
        for at, number, bytes_of_it, is_last, secret, tag in places:
            part = self._open(number, bytes_of_it, secret, tag)
            for one in (text[done:at], part):
                whole[begin : begin + one.nbytes] = one
                begin += one.nbytes
            done = at
            if is_last:
                del self._opened[number]
        whole[begin:] = text[done:]
        return whole

    def _open(self, number: int, size: int, secret: bytes, tag: bytes) -> memoryview:
        if (sealed := self._sealed.pop(number, None)) is not None:
            self._opened[number] = _keys(secret).open(number, b"", sealed, tag)
        if number not in self._opened or (part := _bytes_of(self._opened[number])).nbytes != size:
            raise Forged
        return part


def _keys(secret: bytes) -> Keys:
    return Keys(secret, b"", b"shared")


def _bytes_of(buffer: Buffer) -> memoryview:
    return memoryview(buffer).cast("B")
