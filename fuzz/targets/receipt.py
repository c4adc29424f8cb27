"""Does any receipt raise what its reader does not say, or have a part without a fault that its site has not signed?"""
# pyright: basic, reportMissingImports=false

import json
import logging

from fuzzing import fuzz, scratch, watched

with watched():
    from dfm._command.receipts import Trusted, _lines, verify
from dfm.exec._contributions import Receipts
from dfm.exec._deciding import Deciding
from dfm.exec._policy import OWN
from dfm.exec._session_key import PURPOSE, SessionKey
from dfm.exec._site import Asker
from dfm.flare._identity import sign
from dfm.session._receipt import whole_receipt
from kits import Root

_root = Root(scratch())
_credentials = _root.kit("west")
_trusted = Trusted(_credentials.root, "server")


def _part(site: str, key: SessionKey | None, **passed: object) -> str:
    asker = Asker("ada", "x", "lead")
    deciding = Deciding(OWN, site, asker, logging.getLogger("dfm.fuzz"), lambda _: None)
    about = {"site": site, "federation": "fed", "api_version": "1.0.0", "bindings": []}
    receipts = Receipts(about, "home", "s1", asker, deciding, key)
    said = {"calls": [{"operation": "work.Add", "calls": 1}], "came": [], "left": [], "unlisted": 0}
    return receipts.part(1, json.dumps(said | passed))


_value = {"place": 0, "frame": "0", "node": 1, "sha256": "0" * 64, "bytes": 9}
_key = SessionKey(lambda content: sign(_credentials, PURPOSE, "s1", content), lambda *_: {})
_honest = {
    "west": _part("west", _key, left=[{"to": "home"} | _value]),
    "home": _part("home", None, came=[{"from": "west"} | _value]),
}
_signed = json.loads(_honest["west"])["text"]


def one(data: bytes) -> None:
    try:
        receipt = json.loads(data)
    except (ValueError, RecursionError):
        return
    found = verify(receipt, _trusted)
    assert all("\n" not in line for line in map(json.dumps, found.faults))
    list(_lines(found))
    if not found.faults:
        parts = receipt["parts"].items()
        assert all(part["text"] == _signed for site, part in parts if site != receipt["homesite"]), "nobody signed that"


fuzz("receipt", [json.dumps(whole_receipt("s1-1", "home", _honest)).encode()], one)
