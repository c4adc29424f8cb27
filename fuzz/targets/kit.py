"""Does any file of a startup kit, or of what is kept in it, raise what its reader does not say?"""
# pyright: basic, reportMissingImports=false

import contextlib
import json

from fuzzing import fuzz, scratch, watched

with watched():
    from dfm.flare import _identity, _kit
    from dfm.session import _keeping
from kits import Root

_root = Root(scratch())
_root.kit("west")
_folder = next(path.parent for path in _root.folder.rglob("startup"))
_pem = [(_folder / "startup" / name).read_bytes() for name in ("client.crt", "rootCA.pem", "client.key")]
_FILES = [
    "dfm/kit.json",
    "startup/fed_client.json",
    "local/authorization.json",
    "startup/client.crt",
    "startup/rootCA.pem",
    "startup/client.key",
    "dfm/had/1",
]
_kept = {name: (_folder / name).read_bytes() for name in _FILES if (_folder / name).exists()}


def one(data: bytes) -> None:
    name = _FILES[data[0] % len(_FILES)] if data else _FILES[0]
    path = _folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data[1:])
    try:
        _read(name)
    finally:
        if name in _kept:
            path.write_bytes(_kept[name])
        else:
            path.unlink()


def _read(name: str) -> None:
    if name.startswith("startup/"):
        with contextlib.suppress(_identity.Untrusted):
            _identity.read_credentials(_folder)
        return
    _identity.may_submit(_folder, "lead")
    _keeping.PositionFile(_folder / "dfm/had/1").read()
    _kit._facts(_folder)


fuzz(
    "kit",
    [
        b"\x00" + json.dumps({"participant": "ada", "role": "lead", "site": "west"}).encode(),
        b"\x01" + json.dumps({"servers": [{"identity": "server"}]}).encode(),
        b"\x02" + json.dumps({"permissions": {"lead": {"submit_job": "any"}, "member": "none"}}).encode(),
        *(bytes([3 + number]) + pem for number, pem in enumerate(_pem)),
        b'\x06           1 [3, 0]\n           2 "end"\n',
    ],
    one,
)
