"""Does any text, as a statement that somebody has signed, prove what it should not, or raise what no text may?"""
# pyright: basic, reportMissingImports=false

import base64
import json

from fuzzing import fuzz, scratch, watched

with watched():
    from dfm.flare import _channel, _identity, _signing
from kits import Root

_JOB = "0e9c1f6a-job"
_root = Root(scratch())
_west, _east = _root.kit("west"), _root.kit("east")
_stranger = Root(scratch(), "other").kit("west")
_own = _channel.Secret(_west, _JOB)
_hello = _channel.Secret(_east, _JOB).hello
_honest = [
    _hello,
    _channel.Secret(_root.kit("ada", "lead"), _JOB, {"sites": ["a", "b"]}).hello,
    _channel.Secret(_stranger, _JOB).hello,
]


_signer = _signing.Signer()
_user = _channel.Secret(_root.kit("ann", "lead"), _JOB, _signer.about).hello
_content, _ = _identity.check(_west, _user, _channel.HELLO, _JOB)
_packets = [("west", b"\x81\xa4Open\x93\x01\xa1p\x90"), ("west", b"\x81\xa5Start\x94\x01\x91\x00\x90\x90")]
_begun = _signer.statements(_user, [(site, [packet]) for site, packet in _packets])[0]


def _of_a_job(data: bytes) -> None:
    """A statement of a job as it is, or signed by an application that means no good; then what begins with it."""
    site = _signing.Signed("west", _user, _content)
    statement = data[1:] if data[:1] == b"\x02" else _signer._key.sign(data[1:]) + data[1:]
    try:
        site.take(statement)
    except _identity.Untrusted:
        return
    assert data[:1] != b"\x02" or statement == _begun
    for _, packet in _packets:
        try:
            site.check(packet)
        except _identity.Untrusted:
            assert statement != _begun


def one(data: bytes) -> None:
    if data[:1] in (b"\x02", b"\x03"):
        return _of_a_job(data)
    text = data[1:].decode("utf-8", "surrogateescape") if data[:1] != b"\x00" else _signed(data[1:])
    try:
        content, who = _identity.check(_west, text, _channel.HELLO, _JOB)
    except _identity.Untrusted:
        return
    # A text may be written in other ways and say the same; what was not signed is not said.
    assert who.name in ("east", "ada") and (data[:1] == b"\x00" or _inner(text) in map(_inner, _honest))
    try:
        _channel.Channel(_own, text, content)
    except _identity.Untrusted:
        return


def _inner(text: str) -> str:
    return json.loads(text)["text"]


def _signed(data: bytes) -> str:
    """What a participant of the federation signs, who means no good."""
    text = data.decode("utf-8", "replace")
    signature = _east.key.sign(text.encode(), _identity._PADDING, _identity.hashes.SHA256())
    parts = {"text": text, "signature": base64.b64encode(signature).decode(), "certificate": _east.certificate}
    return json.dumps(parts)


fuzz(
    "statement",
    [
        *(b"\x01" + hello.encode() for hello in _honest),
        *(b"\x00" + _inner(hello).encode() for hello in _honest),
        b"\x02" + _begun,
        b"\x03" + _begun[64:],
    ],
    one,
)
