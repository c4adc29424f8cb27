"""With which key does a site sign what it says in a session?

The key of the site's kit signs for one that is made for the session: that takes milliseconds, once, and what is signed
in the session a small part of one.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dfm.errors import RefusedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PURPOSE = "session key"
"""Of the statement in which a site's kit vouches for such a key."""

Vouch = Callable[[dict[str, Any]], str]
"""Signs with the key of the site's kit."""
Check = Callable[[str, str], dict[str, Any]]
"""What a site of this name says in a statement that its kit has signed; raises a RefusedError if it has not."""


def key_in(statement: Mapping[str, Any]) -> Ed25519PublicKey:
    """The key that a kit vouches for, for who verifies what it has signed.

    Raises:
        LookupError, ValueError: there is none.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(base64.b64decode(str(statement["key"]), validate=True))


class SessionKey:
    """A site's key in one session, made when it is needed first. What it signs begins with what that is for."""

    def __init__(self, vouch: Vouch, check: Check) -> None:
        self._vouch = vouch
        self._check = check
        self._making = threading.Lock()
        self._sign: Callable[[bytes], bytes] | None = None
        self._statement = ""

    def sign(self, text: bytes) -> str:
        """A signature, in base 64."""
        return base64.b64encode(self._signer()(text)).decode()

    def statement(self) -> str:
        """The kit's word for this key."""
        self._signer()
        return self._statement

    def of(self, site: str, statement: str) -> Ed25519PublicKey:
        """Another site's key in this session, by its kit's word.

        Raises:
            RefusedError: it is not its kit's word.
        """
        try:
            return key_in(self._check(site, statement))
        except (LookupError, ValueError):
            raise RefusedError(f"what site '{site}' says to be its kit's word for its key is none") from None

    def _signer(self) -> Callable[[bytes], bytes]:
        with self._making:
            return self._made()

    def _made(self) -> Callable[[bytes], bytes]:
        # Steps of secure sums sign on threads: two of them must not make a key each.
        if self._sign is None:
            from cryptography.hazmat.primitives import serialization
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

            key = Ed25519PrivateKey.generate()
            public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            self._statement = self._vouch({"key": base64.b64encode(public).decode()})
            self._sign = key.sign
        return self._sign
