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

_BEAT, _BATCH_TAKEN, _BEAT_HEARD, _PIECE = range(4)
"""What a proof is of."""
_NUMBERED = struct.Struct(">IQ")
"""A kind, and a number of that kind. As nonces they are never used twice: only batches are sealed, each number once."""
_SIZE = struct.Struct(">Q")
_PIECE_HEAD = struct.Struct(">QQQQ")
_PROOF = 32
PIECE_HEAD = _PIECE_HEAD.size + _PROOF
"""Bytes before a piece's content."""
_TAG = 16
_IN_PLACE_FROM = 1 << 20
"""Packets from this size on are not copied to be sealed or opened: their memory is used for it, where it may be."""


class Batch(NamedTuple):
    """What a lane sends at once, in parts that follow each other."""

    parts: list[Buffer]
    bodies: list[Buffer]
    """These are sealed already, by who has made them."""


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

    def __init__(self, credentials: Credentials, job: str, about: dict[str, Any] | None = None) -> None:
        """Makes one, and signs its hello, which also says what others have to know `about` the process."""
        self.key = X25519PrivateKey.generate()
        self.hello = sign(credentials, HELLO, job, (about or {}) | {"key": base64.b64encode(public(self.key)).decode()})


class Keys:
    """Those of one direction: one to seal with, and one for proofs of what is not sealed."""

    def __init__(self, secret: bytes, salt: bytes, purpose: bytes) -> None:
        both = HKDF(hashes.SHA256(), 64, salt, b"dfm " + purpose).derive(secret)
        self.cipher = algorithms.AES(both[:32])
        self.proofs = both[32:]

    def proof(self, kind: int, number: int) -> bytes:
        """That of a channel's message of this kind and number."""
        return hmac.digest(self.proofs, _NUMBERED.pack(kind, number), "sha256")

    def proof_of_piece(self, piece: bytes) -> bytes:
        """That of what says which piece of a batch one is."""
        return hmac.digest(self.proofs, _NUMBERED.pack(_PIECE, 0) + piece, "sha256")

    def proves(self, proof: bytes, kind: int, number: int) -> bool:
        """Whether it is that."""
        return _is_number(number) and hmac.compare_digest(proof, self.proof(kind, number))

    def seal(self, number: int, about: bytes, parts: list[Buffer]) -> tuple[list[Buffer], bytes]:
        """The parts as only the other end can read them, and the tag that shows whether they or what is said `about`
        them were changed. No number is used twice."""
        cipher = Cipher(self.cipher, modes.GCM(_NUMBERED.pack(0, number))).encryptor()
        cipher.authenticate_additional_data(about)
        sealed = [_passed(cipher, part) for part in parts]
        cipher.finalize()
        return sealed, cipher.tag

    def open(self, number: int, about: bytes, sealed: Buffer, tag: bytes) -> Buffer:
        """What was sealed so.

        Raises:
            Forged: it was not.
        """
        cipher = Cipher(self.cipher, modes.GCM(_NUMBERED.pack(0, number), tag)).decryptor()
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
        self._sealed: tuple[int, list[Buffer]] = (0, [])
        self._beats = 0
        self._heard = 0
        self._refused = 0

    def seal(self, number: int, batch: Batch) -> list[Buffer]:
        """A batch as it travels; their numbers count from 1. The one that was sealed last may be asked for again."""
        last, sealed = self._sealed
        if number == last:
            return sealed
        if number != last + 1:
            raise RuntimeError(f"batch {number} cannot be sealed after batch {last}")
        parts, tag = self._sending.seal(number, b"", batch.parts)
        size = sum(memoryview(part).nbytes for part in parts)
        self._sealed = number, [_SIZE.pack(size), *parts, tag, *batch.bodies]
        return self._sealed[1]

    def open(self, number: int, batch: Buffer) -> tuple[Buffer, memoryview]:
        """What the other end has sealed under this number, and the bodies that follow it, which others have sealed.

        Raises:
            Forged: it has not.
        """
        whole = memoryview(batch).cast("B")
        if whole.nbytes < _SIZE.size + _TAG or not _is_number(number):
            raise Forged
        (size,) = _SIZE.unpack_from(whole)
        end = _SIZE.size + size
        if end + _TAG > whole.nbytes:
            raise Forged
        tag = bytes(whole[end : end + _TAG])
        return self._getting.open(number, b"", whole[_SIZE.size : end], tag), whole[end + _TAG :]

    def head_of(self, piece: Piece) -> bytes:
        """What goes before a piece of a sealed batch, so that the other end knows whose it is and where it belongs."""
        said = _PIECE_HEAD.pack(*piece)
        return said + self._sending.proof_of_piece(said)

    def piece(self, message: Buffer) -> tuple[Piece, memoryview]:
        """Which piece of the other end's came, and its content, which the whole batch's seal will prove.

        Raises:
            Forged: it is none of the other end's.
        """
        whole = memoryview(message).cast("B")
        said, proof = bytes(whole[: _PIECE_HEAD.size]), bytes(whole[_PIECE_HEAD.size : PIECE_HEAD])
        if len(proof) != _PROOF or not hmac.compare_digest(proof, self._getting.proof_of_piece(said)):
            raise Forged
        return Piece(*_PIECE_HEAD.unpack(said)), whole[PIECE_HEAD:]

    def beat(self) -> tuple[int, bytes]:
        """A sign of life: its number, and the proof."""
        with self._lock:
            self._beats += 1
            return self._beats, self._sending.proof(_BEAT, self._beats)

    def hear(self, number: int, proof: bytes) -> None:
        """Takes a sign of life of the other end.

        Raises:
            Forged: it is none, or an older one.
        """
        if not self._getting.proves(proof, _BEAT, number):
            raise Forged
        with self._lock:
            if number <= self._heard:
                raise Forged
            self._heard = number

    def count_refused(self) -> int:
        """Counts a message that the other end has not sealed: how many there were."""
        with self._lock:
            self._refused += 1
            return self._refused

    def acknowledgement(self, number: int, is_beat: bool) -> bytes:
        """The proof that a batch or a sign of life has come."""
        return self._sending.proof(_BEAT_HEARD if is_beat else _BATCH_TAKEN, number)

    def is_acknowledged(self, number: int, is_beat: bool, proof: bytes) -> bool:
        """Whether the other end says that it has got one."""
        return self._getting.proves(proof, _BEAT_HEARD if is_beat else _BATCH_TAKEN, number)


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
