"""How does a site take part in sums of which nobody sees a part?

The steps are operations that each site has, and a net says who is told what. It may be anybody's net: so a site takes
each step once, checks that the others have signed what they say where sites have keys to sign with, and keeps its
policy's word on sums. What numbers become, and what they are masked with, is the native module's matter.

Whoever reads why a step is refused learns nothing of what it was given but names and numbers of the sum's own terms.
"""

from __future__ import annotations

import base64
import functools
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from dfm import _native
from dfm.errors import RefusedError
from dfm.exec._forms import FormError, flat, made, merged
from dfm.exec._leaving import MASKED, NAMED, Leaving
from dfm.exec._session_key import SessionKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

T = TypeVar("T")
_MOST = 1_000_000
"""So many sites are in all sums together that a session has open here."""
_A_SUM = {"sites": list, "least": int, "bound": (int, float), "precision": (int, float), "name": str}


class _Open(NamedTuple):
    """A sum that this site takes part in."""

    about: str
    """What all sites sign: the job and the terms."""
    terms: dict[str, Any]
    dishonest: int
    """How many of its sites may deceive."""
    party: _native.SumParty
    others: dict[str, Ed25519PublicKey]
    """With which keys the others sign, where they do."""


class Sums:
    """A site's part in the sums of a session."""

    def __init__(self, site: str, key: SessionKey | None, leaving: Leaving) -> None:
        """`key` signs what the site says, None where sites sign nothing; `leaving` has the policy's word on sums."""
        self._site = site
        self._key = key
        self._leaving = leaving
        self._open: dict[int, dict[str, _Open]] = {}
        steps: dict[str, tuple[Callable[..., Any], list[str]]] = {
            "keys": (self._keys, ["terms"]),
            "shares": (self._shares, ["sum", "keys"]),
            "masked": (self._masked, ["sum", "shares", "value"]),
            "added": (self._added, ["masked"]),
            "agreed": (self._agreed, ["sum", "survivors"]),
            "told": (self._told, ["sum", "agreed"]),
            "total": (self._total, ["terms", "keys", "added", "told", "mean"]),
        }
        self._steps = {f"{NAMED}{name}": step for name, step in steps.items()}

    def step(self, operation: object, job: int | None) -> tuple[Callable[..., Any], list[str]] | None:
        """What runs for a step in a job, and its parameters; None for what is no step."""
        if not isinstance(operation, str) or (found := self._steps.get(operation)) is None:
            return None
        body, parameters = found
        return functools.partial(self._take, operation, body, job), parameters

    def forget(self, job: int) -> None:
        """A job is over, and its sums with it."""
        self._open.pop(job, None)

    def about(self, job: int, ticket: object) -> dict[str, Any]:
        """The terms of a sum, for what is written down of it."""
        found = self._open.get(job, {}).get(str(ticket))
        return {} if found is None else found.terms

    def _take(self, operation: str, step: Callable[..., T], job: int | None, **given: object) -> T:
        try:
            return step(job, **given)
        except RefusedError as error:
            self._leaving.note(job, operation, str(error))
            raise

    def _keys(self, job: int, terms: object) -> dict[str, Any]:
        said, about = _read_terms(job, terms)
        known = _native_terms(said, about)
        party = _native_step(_native.SumParty, known, self._site, secrets.token_bytes(32))
        self._leaving.check_sum(said["least"], known.dishonest)
        others = (len(one.terms["sites"]) for sums in self._open.values() for one in sums.values())
        if len(said["sites"]) + sum(others) > _MOST:
            raise RefusedError(f"site '{self._site}' takes part in no more secure sums until others are over")
        ticket = secrets.token_hex(16)
        self._open.setdefault(job, {})[ticket] = _Open(about, said, known.dishonest, party, {})
        keys = party.keys()
        by = None if self._key is None else self._key.statement()
        signed = self._signed(about, "keys", keys)
        return {"sum": ticket, "said": {"keys": keys, "by": by, "signed": signed}}

    def _shares(self, job: int, sum: object, keys: object) -> dict[str, Any]:
        found = self._found(job, sum)
        told: dict[str, bytes] = {}
        for site, said in _by_site(keys, found.terms["sites"]).items():
            told[site] = _bytes(site, said, "keys")
            if self._key is not None and site != self._site:
                found.others[site] = self._key.of(site, str(_part(site, said, "by")))
                self._check_signed(found, "keys", site, told[site], said)
        shares = _native_step(found.party.shares, told)
        # For those that have said no keys, so that each site's part is there for whoever asks for it.
        return {"sum": sum, "said": dict.fromkeys(found.terms["sites"]) | shares}

    def _masked(self, job: int, sum: object, shares: object, value: object) -> dict[str, Any]:
        found = self._found(job, sum)
        self._leaving.check_sum(found.terms["least"], found.dishonest, value)
        by_site = _by_site(shares, found.terms["sites"])
        told = {site: said for site, said in by_site.items() if isinstance(said, bytes)}
        try:
            numbers, form = flat(value)
        except FormError as error:
            raise RefusedError(f"site '{self._site}' adds to no sum what {error}") from None
        self._leaving.count_sum(found.terms, form, numbers)
        masked = _native_step(found.party.masked, told, numbers)
        if found.party.spoils:
            self._leaving.note(job, MASKED, "a number is none, or beyond the bound of the sum, which it spoils")
        return {"numbers": masked, "form": form}

    def _added(self, job: int, masked: object) -> dict[str, Any]:
        if not masked or not isinstance(masked, dict):
            raise RefusedError("there are no contributions to a secure sum")
        by_site = cast("dict[str, Any]", masked)
        numbers = {site: _bytes(site, said, "numbers") for site, said in by_site.items()}
        try:
            form = merged({site: _part(site, said, "form") for site, said in by_site.items()})
        except FormError as error:
            raise RefusedError(f"there is no sum of what sites give: {error}") from None
        return {"sites": list(by_site), "numbers": _native_step(_native.add_masked, numbers), "form": form}

    def _agreed(self, job: int, sum: object, survivors: object) -> dict[str, Any]:
        found = self._found(job, sum)
        names = cast("list[str]", survivors)
        if not isinstance(survivors, list) or not all(name in found.terms["sites"] for name in names):
            raise RefusedError("what has arrived in a secure sum is no list of its sites")
        if self._site not in names:
            # Its own contribution is in no sum, so it has no say in it.
            return {"sum": sum, "said": None}
        digest = _native_step(found.party.agree, names)
        signed = self._signed(found.about, "agreed", digest)
        return {"sum": sum, "said": {"digest": digest, "signed": signed}}

    def _told(self, job: int, sum: object, agreed: object) -> bytes | None:
        found = self._found(job, sum)
        del self._open[job][cast("str", sum)]
        said = {site: one for site, one in _by_site(agreed, found.terms["sites"]).items() if one is not None}
        if self._site not in said:
            return None
        digests: dict[str, bytes] = {}
        for site, one in said.items():
            digests[site] = _bytes(site, one, "digest")
            if self._key is not None and site != self._site:
                self._check_signed(found, "agreed", site, digests[site], one)
        return _native_step(found.party.unmask, digests)

    def _total(self, job: int, terms: object, keys: object, added: object, told: object, mean: object) -> Any:
        said, about = _read_terms(job, terms)
        if not isinstance(added, dict):
            raise RefusedError("there are no contributions to a secure sum")
        sum = cast("dict[str, Any]", added)
        shares = {site: one for site, one in _by_site(told, said["sites"]).items() if isinstance(one, bytes)}
        by_site = _by_site(keys, said["sites"])
        public = {site: _bytes(site, one, "keys") for site, one in by_site.items()}
        numbers = _native_step(
            _native.unmasked, _native_terms(said, about), public, list(sum["sites"]), sum["numbers"], shares
        )
        try:
            return made(sum["form"], numbers, len(sum["sites"]) if mean else None)
        except FormError as error:
            raise RefusedError(f"there is no secure sum: {error}") from None

    def _found(self, job: int, ticket: object) -> _Open:
        found = self._open.get(job, {}).get(ticket) if type(ticket) is str else None
        if found is None:
            raise RefusedError(f"site '{self._site}' takes part in no such sum, or it is over")
        return found

    def _signed(self, about: str, step: str, said: bytes) -> str | None:
        return None if self._key is None else self._key.sign(_text(about, step, self._site, said))

    def _check_signed(self, found: _Open, step: str, site: str, said: bytes, by: object) -> None:
        from cryptography.exceptions import InvalidSignature

        if (key := found.others.get(site)) is None:
            raise RefusedError(f"site '{site}' says something in a secure sum, and has said no keys")
        try:
            signature = base64.b64decode(str(_part(site, by, "signed")), validate=True)
            key.verify(signature, _text(found.about, step, site, said))
        except (ValueError, InvalidSignature):
            raise RefusedError(f"what is told of site '{site}' in a secure sum is not signed by it") from None


def _text(about: str, step: str, site: str, said: bytes) -> bytes:
    """What is signed."""
    return json.dumps(["dfm secure sum", about, step, site, said.hex()]).encode()


def _read_terms(job: int, terms: object) -> tuple[dict[str, Any], str]:
    """What a net says of a sum, and what all sites sign of it."""
    said = cast("dict[str, Any]", terms) if isinstance(terms, dict) else {}
    if said.keys() != _A_SUM.keys() or not all(isinstance(said[name], kind) for name, kind in _A_SUM.items()):
        raise RefusedError("a secure sum has no terms that could be read")
    if not all(isinstance(site, str) for site in said["sites"]):
        raise RefusedError("a secure sum is over sites, which have names")
    return said, json.dumps([job, said], sort_keys=True)


def _native_terms(said: Mapping[str, Any], about: str) -> _native.SumTerms:
    names = "sites", "least", "bound", "precision"
    try:
        return _native.SumTerms(about, *(said[name] for name in names))
    except (ValueError, TypeError, OverflowError):
        # The planner says what is wrong with what a user has written.
        raise RefusedError("on its terms, numbers would not stay hidden in a secure sum, or not be counted") from None


def _native_step(step: Callable[..., T], *given: Any) -> T:
    try:
        return step(*given)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        # The last is that of a step that two calls take at the same time.
        raise RefusedError(f"there is no secure sum: {error}") from None


def _by_site(said: object, sites: Iterable[str]) -> dict[str, Any]:
    """What some of these sites say."""
    if isinstance(said, dict) and set(sites).issuperset(cast("dict[Any, Any]", said)):
        return cast("dict[str, Any]", said)
    raise RefusedError("what sites say in a secure sum is no dictionary by their names")


def _part(site: str, said: object, name: str) -> Any:
    if isinstance(said, dict) and name in cast("dict[Any, Any]", said):
        return cast("dict[str, Any]", said)[name]
    raise RefusedError(f"what site '{site}' says in a secure sum has no '{name}'")


def _bytes(site: str, said: object, name: str) -> bytes:
    if isinstance(part := _part(site, said, name), bytes):
        return part
    raise RefusedError(f"what site '{site}' says in a secure sum has a '{name}' that is none")
