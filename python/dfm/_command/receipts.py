"""What does `dfm jobs verify` run, and do the parts of a receipt say what the sites have signed, and the same?

The command calls `main` in a process of its own with FILE TRUSTED SERVER FORMAT: the receipt; a root certificate,
or the folder of a provisioned project; what the server's certificate calls it; and `json` or `text`.
"""

from __future__ import annotations

import base64
import binascii
import collections
import dataclasses
import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dfm._command.screen import put, tell
from dfm._shown import one_line
from dfm.exec._contributions import FORMAT, signed_text
from dfm.exec._session_key import PURPOSE, key_in

if TYPE_CHECKING:
    from cryptography import x509

_LARGEST = 256 << 20
"""Bytes of a receipt."""
_MOST_TOLD = 100
"""Faults that are told."""
_SERVER = "server"
"""What dfm calls the server's site, whatever its name."""
_OF_VALUE = {
    "place": int | str,
    "frame": str,
    "node": int | str | None,
    "operation": str | None,
    "sha256": str | None,
    "bytes": int | None,
}
"""What is said of a value that passed, besides the other site."""


class NoReceiptError(Exception):
    """There is nothing to verify, or nothing to verify it by, and why."""


class Trusted(NamedTuple):
    """What signatures are checked by."""

    root: x509.Certificate
    server: str
    """The name that the server's certificate has."""


class Passed(NamedTuple):
    """A value that passed between two sites, as far as both know it."""

    place: int | str
    """A place of the net of the site that gets it, or a parameter."""
    frame: str
    sha256: str | None
    """Of its bytes, where the application has sent or got it."""


class Part(NamedTuple):
    """What a site says."""

    said: dict[str, Any]
    is_signed: bool
    came: dict[str, list[tuple[Passed, dict[str, Any]]]]
    """By the site it came from, each with all that is said of it."""
    left: dict[str, list[tuple[Passed, dict[str, Any]]]]
    """By the site it went to."""


@dataclasses.dataclass
class Verdict:
    """What was found in a receipt."""

    job: str = ""
    user: str = ""
    """For whom the sites worked, as their certificates' checks say; empty where nobody has signed."""
    application: str = ""
    """The digest of the hello of the application that they worked for, another one in each session; empty where nobody
    has signed, or an earlier dfm."""
    contributions: list[dict[str, Any]] = dataclasses.field(default_factory=list[dict[str, Any]])
    """Of each site: `site`, `signed`, `calls`, `pipeline`, `bindings`, `policy`, `at`."""
    results: list[dict[str, Any]] = dataclasses.field(default_factory=list[dict[str, Any]])
    """What came to the application: `from`, `node`, `operation`, `frame`, `sha256` and `bytes` as the giver says them,
    and whether that has `signed` it; `used_by`, the node that it is for as the application says, which nobody signs."""
    faults: list[str] = dataclasses.field(default_factory=list[str])
    """What is wrong."""

    def fault(self, what: str) -> None:
        """One more."""
        if len(self.faults) < _MOST_TOLD:
            self.faults.append(what)


def main() -> None:
    """Exits with 1 where a receipt is not what it should be, with 2 where there is none."""
    file, trusted, server, form = sys.argv[1:]
    try:
        found = verify(_receipt(Path(file)), read_trusted(Path(trusted), server))
    except NoReceiptError as error:
        tell(f"error: {error}")
        sys.exit(2)
    _tell(found, form == "json")
    sys.exit(1 if found.faults else 0)


def _receipt(file: Path) -> Any:
    try:
        if file.stat().st_size > _LARGEST:
            raise NoReceiptError(f"{file} is larger than any receipt")
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise NoReceiptError(f"{file} cannot be read as JSON: {error}") from None


def read_trusted(path: Path, server: str) -> Trusted:
    """The root certificate in a file, with the server's name; or both as the newest startup kits in a folder have them.

    Raises:
        NoReceiptError: there is none.
    """
    from cryptography import x509

    from dfm.flare._identity import server_name

    try:
        if path.is_dir():
            kits = sorted(path.glob("prod_*/*/startup/fed_*.json"), key=lambda one: one.stat().st_mtime)
            named = [(name, kit.parent) for kit in kits if (name := server_name(kit.parent))]
            if not named:
                raise NoReceiptError(f"{path} has no startup kits of clients or users")
            server, startup = named[-1]
            path = startup / "rootCA.pem"
        return Trusted(x509.load_pem_x509_certificate(path.read_bytes()), server)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise NoReceiptError(f"{path} is no root certificate: {error}") from None


def verify(receipt: object, trusted: Trusted) -> Verdict:
    """Looks whether each part is signed by its site, for this job and one user, and whether what one site has got is
    what another one has given."""
    found = Verdict()
    match receipt:
        case {"format": int(form), "job": str(job), "homesite": str(homesite), "parts": dict()} if form == FORMAT:
            parts = cast("dict[str, dict[Any, Any]]", receipt)["parts"]
        case _:
            found.fault("it is no receipt, or one of another version of dfm")
            return found
    found.job = job
    read = dict[str, Part]()
    for site, part in parts.items():
        try:
            read[site] = _part(site, part, job, homesite, trusted)
        except ValueError as error:
            found.fault(f"the part of site '{site}' {error}")
    _check_signed(found, read, homesite)
    for site, part in read.items():
        if part.said.get("unlisted"):
            found.fault(f"site '{site}' has more values than its part lists, so not all of them can be checked")
        _check_passed(found, site, part, read, homesite, parts)
        about = {key: part.said.get(key) for key in ("calls", "pipeline", "bindings", "policy", "at")}
        found.contributions.append({"site": site, "signed": part.is_signed} | about)
    found.results = list(_results(read, homesite))
    return found


def _results(read: dict[str, Part], homesite: str) -> Iterator[dict[str, Any]]:
    """What came to the application. Nobody has signed what it says of that itself."""
    if homesite not in read:
        return
    for site, came in read[homesite].came.items():
        given = collections.defaultdict[Passed, list[dict[str, Any]]](list)
        for passed, said in read[site].left.get(homesite, []) if site in read else []:
            given[passed].append(said)
        for passed, said in came:
            by_giver = given[passed].pop(0) if given[passed] else {}
            result = {"from": site, "frame": passed.frame, "sha256": passed.sha256}
            result |= {key: by_giver.get(key) for key in ("node", "operation", "bytes")}
            yield result | {"signed": bool(by_giver) and read[site].is_signed, "used_by": said.get("node")}


def _check_signed(found: Verdict, read: dict[str, Part], homesite: str) -> None:
    others = {site: part for site, part in read.items() if site != homesite}
    signed = {site: part for site, part in others.items() if part.is_signed}
    if homesite not in read:
        found.fault("the application's own part is not there")
    if others and not signed:
        found.fault("no site has signed it, as none does on the local target")
        return
    for site in others:
        if site not in signed:
            found.fault(f"the part of site '{site}' is not signed")
    users = {(part.said.get("user"), part.said.get("organisation")): site for site, part in signed.items()}
    if len(users) > 1:
        found.fault("the sites have not worked for the same user: " + ", ".join(sorted(f"'{u}'" for u, _ in users)))
    elif users:
        found.user = str(next(iter(users))[0])
    applications = {part.said.get("application") for part in signed.values()}
    if len(applications) > 1:
        found.fault("the sites have not worked for the same application, but in two sessions of one name")
    elif applications:
        found.application = next(iter(applications)) or ""


def _check_passed(
    found: Verdict, site: str, part: Part, read: dict[str, Part], homesite: str, parts: dict[Any, Any]
) -> None:
    """Whether what the site has got is what others have given it, and what it has given is what they have got."""
    for other, listed in part.came.items():
        # The application does not list the parameters that it sends.
        came = collections.Counter(one for one, _ in listed if other != homesite or not isinstance(one.place, str))
        if other not in read:
            if other not in parts and came:
                found.fault(f"site '{site}' has used values of site '{other}', whose part is not there")
            continue
        given = collections.Counter(one for one, _ in read[other].left.get(site, []))
        if many := (came - given).total():
            found.fault(f"site '{site}' says that it got {_values(many)} from site '{other}', which does not say so")
        if many := (given - came).total():
            found.fault(f"site '{other}' says that it gave {_values(many)} to site '{site}', which does not say so")
    for other in part.left:
        if other in read and site not in read[other].came:
            many = len(part.left[other])
            found.fault(f"site '{site}' says that it gave {_values(many)} to site '{other}', which does not say so")


def _values(many: int) -> str:
    return f"{many} value{'s' if many != 1 else ''}"


def _part(site: object, part: object, job: str, homesite: str, trusted: Trusted) -> Part:
    """What a site says.

    Raises:
        ValueError: it is none of this job, or not signed by the site; how the sentence goes on.
    """
    match part:
        case {"text": str(text)}:
            pass
        case _:
            raise ValueError("is none")
    try:
        said: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is no JSON") from None
    match said:
        case {"format": int(form), "site": str(named), "session": str(session), "job": int(number), "at": str(at)}:
            pass
        case _:
            raise ValueError("does not say what it is of")
    if form != FORMAT:
        raise ValueError("is of another version of dfm")
    if named != site:
        raise ValueError(f"is that of site '{named}'")
    if f"{session}-{number}" != job:
        raise ValueError(f"is of another job, '{session}-{number}'")
    # Nobody signs the part of the application's site, so that it must not be another one that is called so.
    if said.get("homesite") != homesite:
        raise ValueError("is of a job whose application was at another site")
    for key in ("user", "organisation", "application", "pipeline", "bindings", "policy"):
        if not isinstance(said.get(key), str | None):
            raise ValueError(f"has something else than a text as its `{key}`")
    calls = said.get("calls")
    if not isinstance(calls, list) or not all(map(_is_call, cast("list[object]", calls))):
        raise ValueError("does not say what was called")
    came, left = (_by_site(said.get(way), key) for way, key in (("came", "from"), ("left", "to")))
    is_signed = "key" in cast("dict[str, Any]", part)
    if is_signed:
        _check_signature(named, cast("dict[str, Any]", part), session, at, trusted)
    return Part(cast("dict[str, Any]", said), is_signed, came, left)


def _by_site(listed: object, key: str) -> dict[str, list[tuple[Passed, dict[str, Any]]]]:
    by_site: dict[str, list[tuple[Passed, dict[str, Any]]]] = collections.defaultdict(list)
    if not isinstance(listed, list):
        raise ValueError("does not say what passed")
    for one in cast("list[object]", listed):
        entry = cast("dict[str, Any]", one) if isinstance(one, dict) else {}
        other = entry.get(key)
        if not isinstance(other, str) or not all(isinstance(entry.get(name), kind) for name, kind in _OF_VALUE.items()):
            raise ValueError("lists what is no value")
        by_site[other].append((Passed(entry["place"], entry["frame"], entry.get("sha256")), entry))
    return dict(by_site)


def _is_call(call: object) -> bool:
    match call:
        case {"operation": str(), "calls": int()}:
            return isinstance(cast("dict[str, Any]", call).get("provider"), str | None)
        case _:
            return False


def _check_signature(site: str, part: dict[str, Any], session: str, at: str, trusted: Trusted) -> None:
    from cryptography.exceptions import InvalidSignature

    from dfm.flare._identity import Untrusted, check_by

    try:
        moment = datetime.datetime.fromisoformat(at).astimezone(datetime.UTC)
        content, who = check_by(trusted.root, part["key"], PURPOSE, session, moment)
        if who.role or who.name != (trusted.server if site == _SERVER else site):
            raise ValueError(f"is signed by '{who.name}'")
        key_in(content).verify(base64.b64decode(str(part["signature"]), validate=True), signed_text(str(part["text"])))
    except InvalidSignature:
        raise ValueError("was changed after it was signed") from None
    except Untrusted as error:
        raise ValueError(f"is not signed by a site of this federation: {error}") from None
    except (LookupError, TypeError, OverflowError, binascii.Error) as error:
        raise ValueError(f"has no signature that can be read: {error}") from None


def _tell(found: Verdict, as_json: bool) -> None:
    if as_json:
        put(json.dumps(dataclasses.asdict(found)))
        return
    for line in _lines(found):
        put(one_line(line))


def _lines(found: Verdict) -> Iterator[str]:
    yield f"job {found.job}" + (f" of user {found.user}" if found.user else "")
    for one in found.contributions:
        calls = ", ".join(map(_call, one["calls"])) or "no operation"
        yield f"{one['site']}: {calls}" + ("" if one["signed"] else " (not signed)")
        for what in ("pipeline", "bindings", "policy"):
            if one[what]:
                yield f"  {what:<9} {one[what]}"
    for one in found.results:
        of = f"{one['operation'] or 'a step'}, node {one['node']}, in frame {one['frame']}"
        how = f"{one['bytes']} bytes" if one["signed"] else "not signed"
        yield f"result of {of}, from {one['from']}: {one['sha256']} ({how})"
        yield f"  for node {one['used_by']}, as the application says, which nobody signs"
    for fault in found.faults:
        yield f"fault: {fault}"
    if not found.faults:
        yield "each site has signed its part, and the parts agree"
        if not found.application:
            yield "they do not say of which application they are: two sessions of one name would look like one"


def _call(call: dict[str, Any]) -> str:
    by = f" by {call['provider']}" if call.get("provider") else ""
    return f"{call['calls']} × {call['operation']}{by}"
