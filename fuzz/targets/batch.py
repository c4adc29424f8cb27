"""Do any bytes, as a batch of packets or what seals one, raise anything but what a lane expects?"""
# pyright: basic, reportMissingImports=false

import atheris

with atheris.instrument_imports(include=["dfm"]):
    from dfm.flare import _channel, _identity, _lane
from fuzzing import fuzz, scratch
from kits import Root

_JOB = "0e9c1f6a-job"
_root = Root(scratch())
_west, _east = _root.kit("west"), _root.kit("east")
_secrets = _channel.Secret(_west, _JOB), _channel.Secret(_east, _JOB)
_said = [_identity.check(_west, secret.hello, _channel.HELLO, _JOB)[0] for secret in _secrets]
_sealing = _channel.Channel(_secrets[0], _secrets[1].hello, _said[1])
_opening = _channel.Channel(_secrets[1], _secrets[0].hello, _said[0])
_sealed = b"".join(bytes(part) for part in _sealing.seal(1, [b"what is sealed"]))


def one(data: bytes) -> None:
    number, batch = data[0] if data else 0, data[1:]
    if data != b"\x01" + _sealed:
        for attack in (lambda: _opening.open(number, batch), lambda: _opening.hear(number, batch)):
            try:
                attack()
                raise AssertionError("what nobody has sealed was taken")
            except _channel.Forged:
                pass
    assert not _opening.is_acknowledged(number, number % 2 == 0, batch)
    got: list[_lane.Packet] = []
    inbox = _lane.Inbox(got.extend)
    try:
        inbox.receive(number, batch)
    except ValueError:
        assert not got
        return
    assert b"".join(bytes(part) for part in _lane.pack(got)) in (batch, b"")


def seeds() -> list[bytes]:
    packets = [
        _lane.Packet("home", "west", b"content"),
        _lane.Packet("\u00e9", "", b""),
        _lane.Packet("a", "b", b"x" * 300),
    ]
    batches = [packets[:1], packets, []]
    packed = [b"".join(bytes(part) for part in _lane.pack(batch)) for batch in batches]
    return [b"\x01" + one for one in [*packed, _sealed]]


fuzz("batch", seeds(), one)
