"""How does what an application and a site say to each other stay between the two?

The process of the session's job at the server carries it and keeps it for an application that comes back. So each
packet is sealed by its sender for its receiver, and that process sees its head alone: whose it is, its number, and an
outline of what it is, which it can neither change nor repeat nor leave out without being noticed. What an application
notes for itself is sealed with a key of its own. Both of its keys go to the server as an escrow, which only the private
key of the user's kit opens: an application that comes back reads with it what is kept.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import hmac
import json
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from typing_extensions import Buffer

from dfm import _native
from dfm.errors import RefusedError
from dfm.flare._channel import HELLO, Forged, Keys, Secret, agree, digest, public
from dfm.flare._identity import Credentials, Untrusted, Who, check_client, check_server, check_user, sign
from dfm.flare._message_job import job_of_message
from dfm.flare._session_job import SHARED
from dfm.flare._shared import Shared, Sharing, pieces
from dfm.flare._signing import Signed, Signer

SERVER = "server"
"""What dfm calls the server's site, whatever its name."""

_HEAD = struct.Struct(">16sQQQ")
"""The application it is of, its number under its key, its job, and its place in that: its number, if it is to be kept;
the number of what was said of this job before, if an application says it to a site. Of what a site says that is not
kept, the job stands where the place would, behind a 0."""
_PROOF = 16
_TAG = 16
_KEY = 32
NO_JOB = (1 << 64) - 1
"""The job, as it were, of what is of none."""
_MOST_MISSING = 1 << 18
"""So many gaps may be in what has come of an application, while what is large is on its way."""
_MOST_APPLICATIONS = 1000
"""So many applications may come back to a session, one after the other."""
_OAEP = hashes.SHA256
_SEVERAL = b"several"
"""The outline of what an application says to a site at once: its parts, each behind what it is and how many bytes it
has."""
_PART = struct.Struct(">BQ")
_PACKET, _STATEMENT, _SPLIT = range(3)
"""What a part is: a packet, what the application has signed of those that follow, or a packet of which something has
come by itself."""
_ALONE_FROM = 1 << 16
"""Packets of so many bytes are not copied to go with others, nor are more put together than that."""


class Sealed(NamedTuple):
    """A packet for who carries and keeps it."""

    head: bytes
    body: Buffer


class _Head(NamedTuple):
    application: bytes
    number: int
    job: int
    """0 for what a site says that is not kept."""
    place: int
    outline: bytes
    tag: bytes


def outline_of(head: Buffer) -> bytes:
    """What may be seen of a packet, as `Keeper` takes it; whether it is true, only the packet's receiver can tell."""
    return bytes(memoryview(head)[_HEAD.size : -_PROOF - _TAG])


def job_of(head: Buffer) -> int | None:
    """The job with which alone a packet keeps its order, by its head; only its receiver can tell whether it is true."""
    view = memoryview(head).cast("B")
    if view.nbytes < _HEAD.size:
        return None
    _, _, job, place = _HEAD.unpack_from(view)
    return job or place


def _job(packet: Buffer) -> int:
    job = job_of_message(packet)
    return NO_JOB if job is None else job


class _Sender:
    """Seals what goes in one direction; each number once."""

    def __init__(self, application: bytes, keys: Keys) -> None:
        self._application = application
        self._keys = keys
        self.number = 0
        """The last one."""

    def seal(self, outline: bytes, job: int, place: int, packet: Buffer) -> Sealed:
        self.number += 1
        head = _HEAD.pack(self._application, self.number, job, place) + outline
        head += _proof(self._keys, head)
        (body,), tag = self._keys.seal(self.number, head, [packet])
        return Sealed(head + tag, body)


def _proof(keys: Keys, head: bytes) -> bytes:
    return hmac.digest(keys.proofs, b"head" + head, "sha256")[:_PROOF]


def _application(head: Buffer) -> bytes:
    view = memoryview(head)
    if view.nbytes < _HEAD.size + _PROOF + _TAG:
        raise Forged
    return bytes(view[:16])


def _read_head(keys: Keys, head: Buffer) -> _Head:
    """What a head says; its proof shows that the other end has made it, even where the body is gone."""
    whole = bytes(head)
    said, proof, tag = whole[: -_PROOF - _TAG], whole[-_PROOF - _TAG : -_TAG], whole[-_TAG:]
    if not hmac.compare_digest(proof, _proof(keys, said)):
        raise Forged
    application, number, job, place = _HEAD.unpack_from(said)
    return _Head(application, number, job, place, said[_HEAD.size :], tag)


def _read_body(keys: Keys, head: Buffer, read: _Head, body: Buffer) -> Buffer:
    return keys.open(read.number, bytes(head)[:-_TAG], body, read.tag)


class _Come:
    """Which numbers have come, that mostly come in order. The number 0, which is nothing's, has."""

    def __init__(self) -> None:
        self._begins, self._ends = [0], [1]

    def __contains__(self, number: int) -> bool:
        return number < self._ends[bisect.bisect_right(self._begins, number) - 1]

    def add(self, number: int) -> None:
        """Raises `Forged` where it has come before, or too many others are missing."""
        if number in self or len(self._begins) > _MOST_MISSING:
            raise Forged
        at = bisect.bisect_right(self._begins, number)
        if self._ends[at - 1] == number:
            at -= 1
            self._ends[at] += 1
        else:
            self._begins.insert(at, number)
            self._ends.insert(at, number + 1)
        if at + 1 < len(self._begins) and self._begins[at + 1] == self._ends[at]:
            del self._ends[at], self._begins[at + 1]


class SiteSealing:
    """A site's end. All is called on one thread."""

    def __init__(
        self, credentials: Credentials, nvflare_job: str, homesite: str, secret: Secret, application: str
    ) -> None:
        """`application` is the hello of the one that the site works for.

        Raises:
            Untrusted: it is not a user's.
        """
        self._credentials = credentials
        self._nvflare_job = nvflare_job
        self._homesite = homesite
        self._secret = secret
        self._site = SERVER if credentials.who.name == credentials.server else credentials.who.name
        self._met: set[bytes] = set()
        self._sent: dict[int, int] = {}
        _, self.user = self._check(application)
        self.is_own = bool(self.user.organisation) and self.user.organisation == credentials.who.organisation
        """Whether the user is of the site's own organisation."""
        self.meet(application)

    def vouch(self, purpose: str, session: str, content: dict[str, Any]) -> str:
        """A statement of this site's, as `check` takes it."""
        return sign(self._credentials, purpose, session, content)

    def vouched(self, purpose: str, session: str, site: str, statement: str) -> dict[str, Any]:
        """What another site's kit says.

        Raises:
            RefusedError: it is not that kit's statement.
        """
        try:
            if site == SERVER:
                return check_server(self._credentials, statement, purpose, session)
            return check_client(self._credentials, statement, purpose, session, site)
        except Untrusted as error:
            raise RefusedError(f"what is told of site '{site}' is not trusted: {error}") from None

    def _check(self, hello: str) -> tuple[dict[str, Any], Who]:
        return check_user(self._credentials, hello, HELLO, self._nvflare_job)

    def meet(self, hello: str) -> None:
        """An application takes part, in the place of the one before.

        Raises:
            Untrusted: it is not of the same user, or it has taken part before: what it said could be said again; or it
                says no key that it signs with.
        """
        content, user = self._check(hello)
        if user != self.user:
            raise Untrusted(f"it is the application of '{user.name}', and the session that of another user")
        known = digest(hello)
        if known in self._met or len(self._met) >= _MOST_APPLICATIONS:
            raise Untrusted("it is an application that has come before")
        self._met.add(known)
        self._signed = Signed(self._site, hello, content)
        sending, self._getting = agree(self._secret.key, self._secret.hello, hello, content, b"packets")
        self.application = known.hex()
        """The digest of the hello of the one that takes part: another one for each."""
        self._application = known[:16]
        self._sender = _Sender(self._application, sending)
        self._come = _Come()
        self._shared = Shared()

    def seal(self, packet: Buffer) -> Sealed:
        """A packet for the application."""
        outline, job, is_last = _native.outline(self._homesite, packet)
        if job is None:
            return self._sender.seal(outline, 0, _job(packet), packet)
        number = self._sent[job] = self._sent.get(job, 0) + 1
        if is_last:
            del self._sent[job]
        return self._sender.seal(outline, job, number, packet)

    def open(self, head: Buffer, body: Buffer) -> list[Buffer]:
        """The packets that the application says at once. Those of one job come in their order.

        Raises:
            Forged: they are none, or have come before, or what they follow has not.
            Untrusted: a job begins with one, and the application has not signed that.
        """
        if _application(head) != self._application:
            raise Forged
        read = _read_head(self._getting, head)
        if read.place >= read.number or read.place not in self._come:
            raise Forged
        self._come.add(read.number)
        said = _read_body(self._getting, head, read, body)
        packets: list[Buffer] = []
        for kind, part in _parts(said) if read.outline == _SEVERAL else [(_PACKET, said)]:
            if kind == _STATEMENT:
                self._signed.take(part)
                continue
            packet = self._shared.whole(part) if kind == _SPLIT else part
            self._note(self._signed.check(packet))
            packets.append(packet)
        return packets

    def take_shared(self, content: Buffer, part: Buffer) -> None:
        """Takes a part of what the application says to several sites; packets that it belongs into follow.

        Raises:
            Forged: it is none.
        """
        self._shared.take(content, part)

    def begun(self) -> dict[int, str]:
        """Job → the digest of its net here, of those that have begun since this was asked."""
        begun, self._signed.begun = self._signed.begun, {}
        return begun

    def note_order(self, packet: Buffer) -> None:
        """Takes note of what is ordered in the application's name."""
        self._note(_native.order(packet))

    def _note(self, order: _native.Order | None) -> None:
        match order:
            case _native.Order(_native.OrderKind.CANCEL, job):
                self._sent.pop(job, None)
            case _:
                pass


def _parts(said: Buffer) -> Iterator[tuple[int, Buffer]]:
    """What an application says at once, each with what it is.

    Raises:
        Untrusted: it is cut short, or something else.
    """
    rest = memoryview(said).cast("B")
    while rest.nbytes:
        if rest.nbytes < _PART.size:
            raise Untrusted("it says something that is cut short")
        kind, size = _PART.unpack_from(rest)
        rest = rest[_PART.size :]
        if rest.nbytes < size or kind not in (_PACKET, _STATEMENT, _SPLIT):
            raise Untrusted("it says something that is cut short")
        yield kind, rest[:size]
        rest = rest[size:]


class Reader:
    """Reads what was sealed for a user's applications of one session, by the private key of the user's kit."""

    def __init__(self, credentials: Credentials, nvflare_job: str, homesite: str) -> None:
        self._credentials = credentials
        self._nvflare_job = nvflare_job
        self._homesite = homesite
        self._escrows: dict[bytes, tuple[str, str]] = {}
        self._secrets: dict[bytes, tuple[X25519PrivateKey, str, Keys]] = {}
        self._sites: dict[str, tuple[str, dict[str, Any]]] = {}
        self._getting: dict[tuple[bytes, str], Keys] = {}

    def trust(self, escrows: Iterable[tuple[str, str]]) -> None:
        """Takes earlier applications' hellos and escrows; what is wrong with them shows when they are used."""
        for hello, escrow in escrows:
            self._escrows.setdefault(digest(hello)[:16], (hello, escrow))

    def meet(self, site: str, hello: str) -> dict[str, Any]:
        """A site takes part in the session: what it says of itself.

        Raises:
            Untrusted: it is not that site, or another than the one that is known.
        """
        if (known := self._sites.get(site)) is not None:
            if known[0] != hello:
                raise Untrusted("it is another process than before")
            return known[1]
        if site == SERVER:
            content = check_server(self._credentials, hello, HELLO, self._nvflare_job)
        else:
            content = check_client(self._credentials, hello, HELLO, self._nvflare_job, site)
        self._sites[site] = hello, content
        return content

    def read(self, sender: str, head: Buffer, body: Buffer | None) -> tuple[_Head, Buffer | None]:
        """A packet that a site, or an application as the homesite, has sealed.

        Raises:
            Forged: it has not.
            Untrusted: its keys cannot be had.
        """
        keys = self._keys(_application(head), sender)
        read = _read_head(keys, head)
        return read, None if body is None else _read_body(keys, head, read, body)

    def own(self, text: str) -> Any:
        """What an application has said of itself with `HomeSealing.note`.

        Raises:
            Untrusted: it is not that, or cannot be read with this kit.
        """
        try:
            whole = base64.b64decode(text, validate=True)
            size = int.from_bytes(whole[:4], "big")
            _, found = self.read(self._homesite, whole[4 : 4 + size], whole[4 + size :])
            return json.loads(bytes(found or b""))
        except (Forged, ValueError, binascii.Error, RecursionError):
            raise Untrusted("it was changed on its way, or is not of this user's applications") from None

    def _keys(self, application: bytes, sender: str) -> Keys:
        if (known := self._getting.get((application, sender))) is not None:
            return known
        key, hello, own = self._secret(application)
        if sender == self._homesite:
            keys = own
        elif sender in self._sites:
            site, content = self._sites[sender]
            _, keys = agree(key, hello, site, content, b"packets")
        else:
            raise Forged
        self._getting[application, sender] = keys
        return keys

    def _secret(self, application: bytes) -> tuple[X25519PrivateKey, str, Keys]:
        if application not in self._secrets:
            if application not in self._escrows:
                raise Forged
            hello, escrow = self._escrows[application]
            content, who = check_user(self._credentials, hello, HELLO, self._nvflare_job)
            if who != self._credentials.who:
                raise Untrusted(f"it is of an application of '{who.name}'")
            key, own = _opened(self._credentials, hello, escrow)
            if base64.b64encode(public(key)).decode() != content.get("key"):
                raise Untrusted("the escrow is not that of the application")
            self._secrets[application] = key, hello, own
        return self._secrets[application]


class HomeSealing(Reader):
    """An application's end. All is called on one thread."""

    def __init__(
        self, credentials: Credentials, nvflare_job: str, homesite: str, secret: Secret, signer: Signer
    ) -> None:
        """`secret` and `signer` are those of its hello."""
        super().__init__(credentials, nvflare_job, homesite)
        self._hello = secret.hello
        self._signer = signer
        own = os.urandom(_KEY)
        keys = _own_keys(own)
        self._application = digest(secret.hello)[:16]
        self._secrets[self._application] = secret.key, secret.hello, keys
        self._senders = {homesite: _Sender(self._application, keys)}
        self._got: dict[int, dict[str, int]] = {}
        self._recalling: dict[int, dict[str, int]] = {}
        self._passing: dict[tuple[str, int], int] = {}
        self._last: dict[tuple[str, int], int] = {}
        """The number of what was said last to a site of a job."""
        self._sharing = Sharing()
        self.escrow = _closed(credentials, secret, own)
        """Its keys, for the next application of the same user alone."""

    def meet(self, site: str, hello: str) -> dict[str, Any]:
        """As `Reader`."""
        content = super().meet(site, hello)
        if site not in self._senders:
            key, own, _ = self._secret(self._application)
            sending, _ = agree(key, own, hello, content, b"packets")
            self._senders[site] = _Sender(self._application, sending)
        return content

    def knows(self, site: str) -> bool:
        """Whether the site has been met."""
        return site in self._senders

    def seal(self, packets: Sequence[_native.Carried]) -> list[tuple[str, Sealed]]:
        """Packets, each for a site or, to be kept, for the homesite itself, without those for sites that were not met
        or of a job that was left. What is small goes with the others of its job for the same site, and with what is
        signed of that; what several have is for `SHARED`."""
        known = [at for at, packet in enumerate(packets) if self.knows(packet.to)]
        statements = self.statements([(packets[at].to, pieces(packets, at)) for at in known])
        parts, split = self._sharing.split(packets, known)
        jobs = {at: _job(packets[at].content) for at in known if packets[at].to != self._homesite}
        sealed: list[tuple[str, Sealed]] = []
        said: dict[tuple[str, int], list[tuple[int, Buffer]]] = {}
        for place, at in enumerate(known):
            packet = packets[at]
            if packet.to != self._homesite:
                together = said.setdefault((packet.to, jobs[at]), [])
                if place in statements:
                    together.append((_STATEMENT, statements[place]))
                together.append((_SPLIT, split[at]) if at in split else (_PACKET, packet.content))
            elif (one := self._keep(packet.content)) is not None:
                sealed.append((packet.to, one))
        sealed += [(SHARED, Sealed(part.told(jobs[part.packet]), part.sealed)) for part in parts]
        sealed += [(site, one) for (site, job), some in said.items() for one in self._say(site, job, some)]
        return sealed

    def _keep(self, packet: Buffer) -> Sealed | None:
        outline, job, _ = _native.outline(self._homesite, packet)
        if job is None or (numbers := self._got.get(job)) is None:
            return None
        home = self._homesite
        numbers[home] = numbers.get(home, 0) + 1
        return self._senders[home].seal(outline, job, numbers[home], packet)

    def statements(self, packets: Sequence[tuple[str, Sequence[Buffer]]]) -> dict[int, bytes]:
        """As `Signer`."""
        return self._signer.statements(self._hello, packets)

    def _say(self, site: str, job: int, parts: list[tuple[int, Buffer]]) -> Iterator[Sealed]:
        together = bytearray()
        for kind, part in parts:
            size = memoryview(part).nbytes
            is_alone = size >= _ALONE_FROM and kind == _PACKET
            if together and (is_alone or len(together) >= _ALONE_FROM):
                yield self._seal(site, job, _SEVERAL, together)
                together = bytearray()
            if is_alone:
                yield self._seal(site, job, b"", part)
            else:
                together += _PART.pack(kind, size)
                together += part
        if together:
            yield self._seal(site, job, _SEVERAL, together)

    def _seal(self, site: str, job: int, outline: bytes, said: Buffer) -> Sealed:
        sender = self._senders[site]
        sealed = sender.seal(outline, job, self._last.get((site, job), 0), said)
        if self._is_open(job):
            self._last[site, job] = sender.number
        return sealed

    def _is_open(self, job: int) -> bool:
        return job in self._got or job == NO_JOB

    def note(self, what: Any) -> str:
        """Something that only this user's applications will read, with `Reader.own`."""
        head, body = self._senders[self._homesite].seal(b"", 0, 0, json.dumps(what).encode())
        return base64.b64encode(len(head).to_bytes(4, "big") + head + bytes(body)).decode()

    def begin(self, job: int) -> None:
        """From now on, packets of a job are expected."""
        self._got.setdefault(job, {})

    def leave(self, job: int) -> None:
        """No packets of a job are expected any more."""
        self._got.pop(job, None)
        for site in self._senders:
            self._last.pop((site, job), None)
            self._passing.pop((site, job), None)

    def open(self, site: str, head: Buffer, body: Buffer) -> Buffer | None:
        """A packet of a site; None for one that nobody waits for any more.

        Raises:
            Forged: it is none, or one before it is missing.
        """
        read, packet = self.read(site, head, body)
        if read.job == 0:
            if _application(head) != self._application:
                return None
            if read.number <= self._passing.get((site, read.place), 0):
                raise Forged
            if self._is_open(read.place):
                self._passing[site, read.place] = read.number
            return packet
        if read.job not in self._got or read.job in self._recalling:
            return None
        self._count(self._got[read.job], site, read)
        return packet

    def recall(self, job: int) -> None:
        """All of a job that was kept will come, from its beginning."""
        self._recalling[job] = {}

    def open_kept(self, site: str, head: Buffer, body: Buffer | None) -> tuple[bytes, Buffer | None]:
        """The next packet of a job that is being recalled: its outline, and itself, unless its value was had.

        Raises:
            Forged: it is none of it, or one before it is missing.
        """
        read, packet = self.read(site, head, body)
        if read.job not in self._recalling:
            raise Forged
        self._count(self._recalling[read.job], site, read)
        return read.outline, packet

    def recalled(self, job: int) -> None:
        """All has come, and what comes now follows it."""
        self._got[job] = self._recalling.pop(job, {})

    @staticmethod
    def _count(numbers: dict[str, int], site: str, read: _Head) -> None:
        if read.place != numbers.get(site, 0) + 1:
            raise Forged
        numbers[site] = read.place


def _own_keys(own: bytes) -> Keys:
    return Keys(own, b"", b"notes")


def _closed(credentials: Credentials, secret: Secret, own: bytes) -> str:
    raw, none = serialization.Encoding.Raw, serialization.NoEncryption()
    key = secret.key.private_bytes(raw, serialization.PrivateFormat.Raw, none)
    return base64.b64encode(credentials.key.public_key().encrypt(key + own, _padding(secret.hello))).decode()


def _opened(credentials: Credentials, hello: str, escrow: str) -> tuple[X25519PrivateKey, Keys]:
    try:
        keys = credentials.key.decrypt(base64.b64decode(escrow, validate=True), _padding(hello))
        return X25519PrivateKey.from_private_bytes(keys[:_KEY]), _own_keys(keys[_KEY:])
    except (ValueError, binascii.Error):
        raise Untrusted("it was sealed for another key than that of this startup kit") from None


def _padding(hello: str) -> padding.OAEP:
    return padding.OAEP(padding.MGF1(_OAEP()), _OAEP(), digest(hello))
