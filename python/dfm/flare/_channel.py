"""How do two processes of a session keep what passes between them to themselves?

Each process makes a key pair for one session, and says in a signed statement, its hello, which is its public key. Two
hellos make the keys of a channel, one for each direction, which nobody between the two knows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import struct
import threading
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from typing_extensions import Buffer

from dfm.flare._identity import Credentials, Untrusted, sign

HELLO = "hello"
"""The purpose of the statement that says a process's key for a session."""

_NEWS, _PIECE = range(2)
"""What a proof is of."""
_BATCH, _LARGE = range(2)
"""What is sealed, each with numbers of its own."""
_NUMBERED = struct.Struct(">IQ")
"""A kind, and a number of that kind. As nonces they are never used twice: each number of each kind is sealed once."""
_SIZE = struct.Struct(">Q")
_NEWS_HEAD = struct.Struct(">QQQQQ")
_PIECE_HEAD = struct.Struct(">QQQQ")
_PROOF = 32
PIECE_HEAD = _PIECE_HEAD.size + _PROOF
"""Bytes before a piece's content."""
NEWS = _NEWS_HEAD.size + _PROOF
"""Bytes before all that a message contains."""
_TAG = 16
_IN_PLACE_FROM = 1 << 20
"""Packets from this size on are not copied to be sealed or opened: their memory is used for it, where it may be."""


class Batch(NamedTuple):
    """What a lane sends at once, in parts that follow each other."""

    parts: list[Buffer]
    bodies: list[Buffer]
    """These are sealed already, by who has made them."""


class News(NamedTuple):
    """What each message says of its sender."""

    stamp: int
    """Higher in each message: so it is known which is the latest."""
    heard: int
    """The highest stamp that has come from the other end."""
    taken: int
    """All batches up to this number were taken."""
    ahead: int
    """Those that have come beyond: bit n is for number `taken` + 2 + n."""
    large: int
    """All large batches up to this number were taken."""


class Piece(NamedTuple):
    """A part of a sealed batch: of which, how large that is, and where in it this is."""

    number: int
    size: int
    offset: int
    length: int


class Forged(Exception):
    """It was not sealed by the channel's other end, or not for this place in their order."""


class Secret:
    """A process's key pair for one session."""

    def __init__(self, credentials: Credentials, nvflare_job: str, about: dict[str, Any] | None = None) -> None:
        """Makes one, and signs its hello, which also says what others have to know `about` the process."""
        self.key = X25519PrivateKey.generate()
        self.hello = sign(
            credentials, HELLO, nvflare_job, (about or {}) | {"key": base64.b64encode(public(self.key)).decode()}
        )


class Keys:
    """Those of one direction: one to seal with, and one for proofs of what is not sealed."""

    def __init__(self, secret: bytes, salt: bytes, purpose: bytes) -> None:
        both = HKDF(hashes.SHA256(), 64, salt, b"dfm " + purpose).derive(secret)
        self.cipher = algorithms.AES(both[:32])
        self.proofs = both[32:]

    def proof(self, kind: int, said: bytes) -> bytes:
        """That of what a channel's end says of this kind."""
        return hmac.digest(self.proofs, _NUMBERED.pack(kind, 0) + said, "sha256")

    def proves(self, proof: bytes, kind: int, said: bytes) -> bool:
        """Whether it is that."""
        return hmac.compare_digest(proof, self.proof(kind, said))

    def seal(self, number: int, about: bytes, parts: list[Buffer], kind: int = 0) -> tuple[list[Buffer], bytes]:
        """The parts as only the other end can read them, and the tag that shows whether they or what is said `about`
        them were changed. No number of a kind is used twice."""
        cipher = Cipher(self.cipher, modes.GCM(_NUMBERED.pack(kind, number))).encryptor()
        cipher.authenticate_additional_data(about)
        sealed = [_passed(cipher, part) for part in parts]
        cipher.finalize()
        return sealed, cipher.tag

    def open(self, number: int, about: bytes, sealed: Buffer, tag: bytes, kind: int = 0) -> Buffer:
        """What was sealed so.

        Raises:
            Forged: it was not.
        """
        cipher = Cipher(self.cipher, modes.GCM(_NUMBERED.pack(kind, number), tag)).decryptor()
        cipher.authenticate_additional_data(about)
        opened = _passed(cipher, sealed)
        try:
            cipher.finalize()
        except InvalidTag:
            raise Forged from None
        return opened


def agree(key: X25519PrivateKey, own: str, other: str, content: dict[str, Any], purpose: bytes) -> tuple[Keys, Keys]:
    """The keys for what the process of the hello `own` sends to that of `other`, and gets from it, for one purpose.

    `key` is the own private one; the other's hello has been checked, and `content` is what it says.

    Raises:
        Untrusted: it says no key.
    """
    try:
        shared = key.exchange(X25519PublicKey.from_public_bytes(base64.b64decode(content["key"])))
    except (KeyError, ValueError, TypeError):
        raise Untrusted("its hello has no key that can be used") from None
    mine, theirs = digest(own), digest(other)
    if mine == theirs:
        raise Untrusted("it is this process's own hello")
    salt = b"".join(sorted((mine, theirs)))
    sending, getting = (Keys(shared, salt, purpose + b" from " + one) for one in (mine, theirs))
    return sending, getting


def digest(hello: str) -> bytes:
    """What a hello is known by."""
    return hashlib.sha256(hello.encode()).digest()


def public(key: X25519PrivateKey) -> bytes:
    """A key pair's public half."""
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class Channel:
    """What one process sends to another, and gets from it, over a lane in each direction."""

    def __init__(self, own: Secret, hello: str, content: dict[str, Any]) -> None:
        """`hello` is the other's, which has been checked, and `content` what it says.

        Raises:
            Untrusted: it says no key.
        """
        self._sending, self._getting = agree(own.key, own.hello, hello, content, b"channel")
        self._lock = threading.Lock()
        self._sealed = [0, 0]
        """The last number of each kind."""
        self._stamp = 0
        self._heard = 0
        self._refused = 0

    def seal(self, batch: Batch) -> tuple[int, list[Buffer]]:
        """A batch as it travels, and its number; they count from 1."""
        return self._seal(_BATCH, b"", batch)

    def seal_large(self, batch: Batch, after: int) -> tuple[int, list[Buffer]]:
        """A large batch as it travels, and its number among those; it is to be taken after that one of the others."""
        number, sealed = self._seal(_LARGE, _SIZE.pack(after), batch)
        return number, [_SIZE.pack(after), *sealed]

    def _seal(self, kind: int, about: bytes, batch: Batch) -> tuple[int, list[Buffer]]:
        with self._lock:
            self._sealed[kind] += 1
            number = self._sealed[kind]
        parts, tag = self._sending.seal(number, about, batch.parts, kind)
        size = sum(memoryview(part).nbytes for part in parts)
        return number, [_SIZE.pack(size), *parts, tag, *batch.bodies]

    def open(self, number: int, batch: Buffer) -> tuple[Buffer, memoryview]:
        """What the other end has sealed under this number, and the bodies that follow it, which others have sealed.

        Raises:
            Forged: it has not.
        """
        return self._open(_BATCH, number, b"", memoryview(batch).cast("B"))

    @staticmethod
    def needed(large: memoryview, there: int) -> int:
        """How many bytes of a large batch have to be there before it can be opened, of which some are."""
        start = 2 * _SIZE.size
        return start if there < start else start + _SIZE.unpack_from(large, _SIZE.size)[0] + _TAG

    def open_large(self, number: int, batch: Buffer) -> tuple[int, Buffer, memoryview]:
        """As `open`, of a large batch; first the number of the one that it is to be taken after.

        Raises:
            Forged: it was not sealed by the other end under this number.
        """
        whole = memoryview(batch).cast("B")
        after = bytes(whole[: _SIZE.size])
        content, bodies = self._open(_LARGE, number, after, whole[_SIZE.size :])
        return _SIZE.unpack(after)[0], content, bodies

    def _open(self, kind: int, number: int, about: bytes, whole: memoryview) -> tuple[Buffer, memoryview]:
        if whole.nbytes < _SIZE.size + _TAG or not _is_number(number):
            raise Forged
        (size,) = _SIZE.unpack_from(whole)
        end = _SIZE.size + size
        if end + _TAG > whole.nbytes:
            raise Forged
        tag = bytes(whole[end : end + _TAG])
        return self._getting.open(number, about, whole[_SIZE.size : end], tag, kind), whole[end + _TAG :]

    def head_of(self, piece: Piece) -> bytes:
        """What goes before a piece of a sealed batch, so that the other end knows whose it is and where it belongs."""
        said = _PIECE_HEAD.pack(*piece)
        return said + self._sending.proof(_PIECE, said)

    def piece(self, message: Buffer) -> tuple[Piece, memoryview]:
        """Which piece of the other end's came, and its content, which the whole batch's seal will prove.

        Raises:
            Forged: it is none of the other end's.
        """
        whole = memoryview(message).cast("B")
        said, proof = bytes(whole[: _PIECE_HEAD.size]), bytes(whole[_PIECE_HEAD.size : PIECE_HEAD])
        if len(proof) != _PROOF or not self._getting.proves(proof, _PIECE, said):
            raise Forged
        return Piece(*_PIECE_HEAD.unpack(said)), whole[PIECE_HEAD:]

    def news(self, taken: int, ahead: int, large: int) -> tuple[int, bytes]:
        """What the next message says of this end, and its stamp."""
        with self._lock:
            self._stamp += 1
            stamp = self._stamp
            said = _NEWS_HEAD.pack(stamp, self._heard, taken, ahead, large)
        return stamp, said + self._sending.proof(_NEWS, said)

    def heed(self, message: Buffer) -> tuple[News, bool, memoryview]:
        """What a message says of the other end, whether it is its latest, and what follows.

        Raises:
            Forged: it is none of the other end's.
        """
        whole = memoryview(message).cast("B")
        said, proof = bytes(whole[: _NEWS_HEAD.size]), bytes(whole[_NEWS_HEAD.size : NEWS])
        if len(proof) != _PROOF or not self._getting.proves(proof, _NEWS, said):
            raise Forged
        news = News(*_NEWS_HEAD.unpack(said))
        with self._lock:
            is_latest = news.stamp > self._heard
            self._heard = max(news.stamp, self._heard)
        return news, is_latest, whole[NEWS:]

    def count_refused(self) -> int:
        """Counts a message that the other end has not sealed: how many there were."""
        with self._lock:
            self._refused += 1
            return self._refused


def _passed(cipher: Any, part: Buffer) -> Buffer:
    """A part after the cipher: in its own memory if it is large and may be written to."""
    view = memoryview(part).cast("B")
    if view.nbytes < _IN_PLACE_FROM:
        return cipher.update(view)
    into = view if not view.readonly else memoryview(bytearray(view.nbytes))
    cipher.update_into(view, into)
    return into


def _is_number(number: object) -> bool:
    return isinstance(number, int) and 0 < number < 1 << 64
