"""Who says so? Statements that participants of a session sign with the keys of their startup kits.

A statement holds for one NVFlare job and one purpose. Whoever receives one checks the certificate that came with it
against the root certificate in their own kit, and asks nobody else.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime
import json
from importlib import metadata
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

_FORMAT = 1
_LONGEST = 1 << 20
"""Characters of a signed statement, certificate included; one may list all sites of a federation."""
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
"""What `cryptography` raises of what is no certificate or key, or none that it knows."""
_PADDING = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)


class Untrusted(Exception):
    """A statement that proves nothing, and why."""


@dataclasses.dataclass(frozen=True)
class Who:
    """What a certificate says of its holder."""

    name: str
    organisation: str
    role: str
    """A user's; empty for a server or a client."""


@dataclasses.dataclass(frozen=True)
class Credentials:
    """What a startup kit has to sign with, and to check others by."""

    key: rsa.RSAPrivateKey
    certificate: str
    root: x509.Certificate
    server: str
    """The name of the federation's server."""
    who: Who
    """Whose they are."""


def read_credentials(kit: Path) -> Credentials:
    """The credentials of a startup kit.

    Raises:
        Untrusted: there are none that can be used, and what is wrong with them.
    """
    startup = kit / "startup"
    name = "server" if (startup / "server.key").exists() else "client"
    try:
        key = serialization.load_pem_private_key((startup / f"{name}.key").read_bytes(), None)
        certificate = (startup / f"{name}.crt").read_text(encoding="ascii")
        root = x509.load_pem_x509_certificate((startup / "rootCA.pem").read_bytes())
        who = _who(x509.load_pem_x509_certificate(certificate.encode()))
        server = server_name(startup) or who.name
    except (OSError, LookupError, RecursionError, *_UNREADABLE) as error:
        raise Untrusted(f"the startup kit {kit} has no credentials that can be used: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Untrusted(f"the startup kit {kit} has a private key that is not RSA; provision it with NVFlare's own")
    return Credentials(key, certificate, root, server, who)


def out_of_date(kit: Path) -> str | None:
    """Why the certificate in a client's or a user's startup kit does not hold now, and what to do; None where it does,
    or where it cannot be read. NVFlare would not say it."""
    try:
        certificate = x509.load_pem_x509_certificate((kit / "startup" / "client.crt").read_bytes())
    except (OSError, *_UNREADABLE):
        return None
    if (why := _out_of_date(certificate, datetime.datetime.now(datetime.UTC))) is None:
        return None
    return (
        f"the certificate in the kit {kit} {why}; set this machine's clock if that is wrong, or else provision the "
        "federation again"
    )


def server_name(startup: Path) -> str | None:
    """The server's name as the kit of a client or a user has it."""
    if (path := startup / "fed_client.json").exists():
        return str(json.loads(path.read_text(encoding="utf-8"))["servers"][0]["identity"])
    if (path := startup / "fed_admin.json").exists():
        return str(json.loads(path.read_text(encoding="utf-8"))["admin"]["server_identity"])
    return None


def sign(credentials: Credentials, purpose: str, job: str, content: dict[str, Any]) -> str:
    """A signed statement, as text."""
    said = {
        "format": _FORMAT,
        "dfm": metadata.version("data-federation-mesh"),
        "purpose": purpose,
        "job": job,
        "content": content,
    }
    text = json.dumps(said)
    signature = base64.b64encode(credentials.key.sign(text.encode(), _PADDING, hashes.SHA256())).decode()
    return json.dumps({"text": text, "signature": signature, "certificate": credentials.certificate})


def check(
    credentials: Credentials, signed: object, purpose: str, job: str, at: datetime.datetime | None = None
) -> tuple[dict[str, Any], Who]:
    """What a signed statement says, and who says it; their certificate has to hold `at` that time, or now.

    Raises:
        Untrusted: it is not signed by a participant of this federation, for this job and this purpose.
    """
    return check_by(credentials.root, signed, purpose, job, at)


def check_by(
    root: x509.Certificate, signed: object, purpose: str, job: str, at: datetime.datetime | None = None
) -> tuple[dict[str, Any], Who]:
    """As `check`, by a federation's root certificate."""
    if not isinstance(signed, str) or len(signed) > _LONGEST:
        raise Untrusted("it is no signed statement")
    try:
        signed.encode()
        parts = json.loads(signed)
        text, pem = str(parts["text"]), str(parts["certificate"])
        said = text.encode()
        signature = base64.b64decode(str(parts["signature"]), validate=True)
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
        key = certificate.public_key()
    except (KeyError, RecursionError, *_UNREADABLE):
        raise Untrusted("it is no signed statement") from None
    _check_certificate(root, certificate, at or datetime.datetime.now(datetime.UTC))
    if not isinstance(key, rsa.RSAPublicKey):
        raise Untrusted("its certificate's key is not RSA")
    try:
        key.verify(signature, said, _PADDING, hashes.SHA256())
    except InvalidSignature:
        raise Untrusted("its signature is not by the key of its certificate") from None
    return _content(text, purpose, job), _who(certificate)


def certificate_of(signed: str) -> bytes:
    """The certificate that a signed statement came with, as DER; it was checked before."""
    return _der(json.loads(signed)["certificate"])


def own_pair(credentials: Credentials) -> tuple[bytes, bytes]:
    """A kit's certificate, as DER, and its private key, as PKCS #8."""
    none = serialization.NoEncryption()
    key = credentials.key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, none)
    return _der(credentials.certificate), key


def check_client(credentials: Credentials, signed: object, purpose: str, job: str, name: str) -> dict[str, Any]:
    """What a client of this name says; raises as `check`."""
    content, who = check(credentials, signed, purpose, job)
    if who.role or who.name != name or name == credentials.server:
        raise Untrusted(f"it is signed by {_named(who)}, and should be by the client '{name}'")
    return content


def check_server(credentials: Credentials, signed: object, purpose: str, job: str) -> dict[str, Any]:
    """What the federation's server says; raises as `check`."""
    content, who = check(credentials, signed, purpose, job)
    if who.role or who.name != credentials.server:
        raise Untrusted(f"it is signed by {_named(who)}, and should be by the server '{credentials.server}'")
    return content


def check_user(credentials: Credentials, signed: object, purpose: str, job: str) -> tuple[dict[str, Any], Who]:
    """What a user says, and who that is; raises as `check`."""
    content, who = check(credentials, signed, purpose, job)
    if not who.role:
        raise Untrusted(f"it is signed by {_named(who)}, and should be by a user")
    return content, who


def may_submit(kit: Path, role: str) -> bool:
    """Whether a kit's own policy lets users of a role submit jobs; one that cannot be read lets nobody."""
    local = kit / "local"
    for name in ("authorization.json", "authorization.json.default"):
        if (path := local / name).exists():
            try:
                rights = json.loads(path.read_text(encoding="utf-8"))["permissions"].get(role, "none")
            except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
                return False
            right = cast(dict[str, Any], rights).get("submit_job", "none") if isinstance(rights, dict) else rights
            return str(right) != "none"
    return True


def _check_certificate(root: x509.Certificate, certificate: x509.Certificate, now: datetime.datetime) -> None:
    try:
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, *_UNREADABLE):
        raise Untrusted("its certificate is not one of this federation") from None
    for one, what in ((certificate, "its certificate"), (root, "the federation's root certificate")):
        if why := _out_of_date(one, now):
            raise Untrusted(f"{what} {why}")


def _out_of_date(certificate: x509.Certificate, now: datetime.datetime) -> str | None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin <= now <= end:
        return None
    return f"holds from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}, and it is {now:%Y-%m-%d %H:%M} here, all in UTC"


def _content(text: str, purpose: str, job: str) -> dict[str, Any]:
    try:
        said = json.loads(text)
        form, version = said["format"], str(said["dfm"])
        if form != _FORMAT:
            own = metadata.version("data-federation-mesh")
            raise Untrusted(f"this side runs dfm {own}, that one dfm {version}; install the same")
        if said["purpose"] != purpose or said["job"] != job or not isinstance(said["content"], dict):
            raise Untrusted("it was made for another job or for something else")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Untrusted("it is no signed statement") from None
    return cast(dict[str, Any], said["content"])


def _who(certificate: x509.Certificate) -> Who:
    subject = certificate.subject
    return Who(
        _attribute(subject, NameOID.COMMON_NAME),
        _attribute(subject, NameOID.ORGANIZATION_NAME),
        _attribute(subject, NameOID.UNSTRUCTURED_NAME),
    )


def _der(pem: str) -> bytes:
    return x509.load_pem_x509_certificate(pem.encode("ascii")).public_bytes(serialization.Encoding.DER)


def _attribute(name: x509.Name, of: x509.ObjectIdentifier) -> str:
    found = name.get_attributes_for_oid(of)
    return str(found[0].value) if len(found) == 1 else ""


def _named(who: Who) -> str:
    return f"the user '{who.name}' ({who.role})" if who.role else f"the participant '{who.name}'"
