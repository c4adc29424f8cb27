"""How does a site know that its user wants this job to begin?

For each session an application makes a key that it signs with, and says in its hello, which the private key of the
user's kit has signed, which one that is. Of each job that begins it signs which bytes every site gets: its net there,
and the parameters that the job is started with. A site holds what arrives against that before it acts on it; it can
show hello and statement to anybody who has the federation's root certificate.
"""

from __future__ import annotations

import base64
import binascii
import collections
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import Buffer

from dfm import _native
from dfm.flare._channel import digest
from dfm.flare._identity import Untrusted
from dfm.flare._message_job import job_of_message

_FORMAT = 1
_KEY = "signs"
"""What a hello calls the public key."""
_SIGNATURE = 64
_LONGEST = 4 << 20
"""Bytes of a statement; one may list all sites of a federation."""
_SETS = 100
"""So many of the parameter sets that a job is started with are signed for; the others, like those that are sent later,
come under the keys of the session alone."""
_LARGE = 16 << 20
"""Bytes from which on a parameter set is not signed for either: its digest would take a good part of its way's time."""
_PARAMS = b"\x81\xa5Start"
"""What a packet with parameters begins with."""
_WAITING = 1000
"""Jobs that a site has statements of at the same time whose packets have not come."""


class Signer:
    """An application's."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        public = self._key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self.about = {_KEY: base64.b64encode(public).decode()}
        """For the application's hello."""

    def statements(self, hello: str, packets: Iterable[tuple[str, Sequence[Buffer]]]) -> dict[int, bytes]:
        """The statements of the jobs that begin with these packets, each for a site and in pieces that follow each
        other: by the place of the packet, a net, that one has to go before. `hello` is the application's."""
        jobs: dict[int, dict[str, dict[str, Any]]] = {}
        nets: dict[int, int] = {}
        for place, (site, packet) in enumerate(packets):
            kind, job = _ordered(packet)
            if kind == _native.OrderKind.NET:
                nets[place] = job
                jobs.setdefault(job, {})[site] = {"net": digest_of(*packet), "params": []}
                continue
            params = jobs.get(job, {}).get(site, {}).get("params")
            if kind == _native.OrderKind.PARAMS and params is not None and len(params) < _SETS:
                params.append(_digest_of_params(*packet))
        signed = {job: self._signed(hello, job, sites) for job, sites in jobs.items()}
        return {place: signed[job] for place, job in nets.items()}

    def _signed(self, hello: str, job: int, sites: Mapping[str, Any]) -> bytes:
        said = {"format": _FORMAT, "application": digest(hello).hex(), "job": job, "sites": sites}
        text = json.dumps(said).encode()
        return self._key.sign(text) + text


class Signed:
    """What the application of a session has signed, at a site."""

    def __init__(self, site: str, hello: str, content: Mapping[str, Any]) -> None:
        """`hello` is the application's, which has been checked, and `content` what it says.

        Raises:
            Untrusted: it says no key.
        """
        self._site = site
        self._application = digest(hello).hex()
        self._nets: dict[int, str] = {}
        self.begun: dict[int, str] = {}
        """Job → the digest of its net here, of those that have begun since somebody has taken it from here."""
        self._params: dict[int, collections.deque[str | None]] = {}
        try:
            self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(content[_KEY], validate=True))
        except (KeyError, ValueError, TypeError, binascii.Error):
            raise Untrusted("its hello has no key that it signs with") from None

    def take(self, statement: Buffer) -> None:
        """Takes the statement of a job that will begin.

        Raises:
            Untrusted: it is not the application's, or not for this site.
        """
        whole = bytes(statement)
        signature, text = whole[:_SIGNATURE], whole[_SIGNATURE:]
        try:
            if len(text) > _LONGEST or len(self._nets) + len(self._params) >= _WAITING:
                raise Untrusted("it has signed more than it has begun")
            self._key.verify(signature, text)
            said = json.loads(text)
            if said["format"] != _FORMAT or said["application"] != self._application:
                raise Untrusted("it has signed that for another session")
            job, own = said["job"], said["sites"][self._site]
            net, params = own["net"], own["params"]
        except (InvalidSignature, ValueError, LookupError, TypeError, RecursionError):
            raise Untrusted("what should be its signature of a job is none") from None
        if not _is_number(job) or not isinstance(net, str) or not _are_digests(params):
            raise Untrusted("what should be its signature of a job is none")
        self._nets[job] = net
        if params:
            self._params[job] = collections.deque(params)

    def check(self, packet: Buffer) -> _native.Order | None:
        """What a packet orders, which is what was signed, if a job begins with it.

        Raises:
            Untrusted: it is not.
        """
        order = _native.order(packet)
        match order:
            case _native.Order(_native.OrderKind.NET, job):
                net = digest_of(packet)
                if self._nets.pop(job, None) != net:
                    raise Untrusted(f"its user has not signed the pipeline of job {job}")
                self.begun[job] = net
            case _native.Order(_native.OrderKind.PARAMS, job) if (params := self._params.get(job)) is not None:
                if params.popleft() != _digest_of_params(packet):
                    raise Untrusted(f"its user has not signed the parameters of job {job}")
                if not params:
                    del self._params[job]
            case _:
                pass
        return order


def _ordered(packet: Sequence[Buffer]) -> tuple[_native.OrderKind | None, int]:
    """What a packet orders that is signed, and of which job. Of those in several pieces, only parameters are."""
    if len(packet) > 1:
        is_params = bytes(memoryview(packet[0])[: len(_PARAMS)]) == _PARAMS
        return (_native.OrderKind.PARAMS if is_params else None), job_of_message(packet[0]) or 0
    order = _native.order(packet[0])
    return (None, 0) if order is None else (order.kind, order.job)


def digest_of(*pieces: Buffer) -> str:
    """A packet's, as a statement has it."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _digest_of_params(*pieces: Buffer) -> str | None:
    return digest_of(*pieces) if sum(memoryview(piece).nbytes for piece in pieces) < _LARGE else None


def _is_number(job: object) -> TypeGuard[int]:
    return isinstance(job, int) and not isinstance(job, bool)


def _are_digests(params: object) -> TypeGuard[list[str | None]]:
    if not isinstance(params, list):
        return False
    listed = cast(list[object], params)
    return len(listed) <= _SETS and all(one is None or isinstance(one, str) for one in listed)
