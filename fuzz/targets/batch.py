"""Do any bytes, as a batch of packets or what seals one, raise anything but what a lane expects?"""
# pyright: basic, reportMissingImports=false

from fuzzing import fuzz, scratch, watched

with watched():
    from dfm.flare import _channel, _identity, _order, _packets, _sealing, _shared, _signing, _window
from kits import Root

_JOB = "0e9c1f6a-job"
_root = Root(scratch())
_west, _east = _root.kit("west"), _root.kit("east")
_secrets = _channel.Secret(_west, _JOB), _channel.Secret(_east, _JOB)
_said = [_identity.check(_west, secret.hello, _channel.HELLO, _JOB)[0] for secret in _secrets]
_ends = (
    _channel.Channel(_secrets[0], _secrets[1].hello, _said[1]),
    _channel.Channel(_secrets[1], _secrets[0].hello, _said[0]),
)
_opening = _ends[1]
_sealed = b"".join(map(bytes, _ends[0].seal(_channel.Batch([b"what is sealed"], []))[1]))
_user = _root.kit("ann@x", "lead")
_signer = _signing.Signer()
_application = _channel.Secret(_user, _JOB, _signer.about)
_home = _sealing.HomeSealing(_user, _JOB, "home", _application, _signer)
_home.meet("east", _secrets[1].hello)
_home.begin(1)
_home.recall(2)
_site = _sealing.SiteSealing(_east, _JOB, "home", _secrets[1], _application.hello)
_honest = tuple(map(bytes, _site.seal(bytearray(b"\x81\xa4Done\x01"))))


_TEXT, _secret = b"a part that several get", bytes(32)
(_part,), _tag = _shared._keys(_secret).seal(1, b"", [_TEXT])


def one(data: bytes) -> None:
    number, batch = data[0] if data else 0, data[1:]
    head, body = batch[:number], batch[number:]
    attacks = [
        lambda: _site.open(head, body),
        lambda: _home.open_kept("home", head, body),
        lambda: _home.open_kept("east", head, None),
        lambda: _home.own(batch.decode("latin-1")),
    ]
    if (head, body) != _honest:
        attacks.append(lambda: _home.open("east", head, body))
    if not (number == 1 and batch.startswith(_sealed)):
        # The bodies behind what is sealed for the lane are sealed for others, who look at them.
        attacks += [
            lambda: _opening.open(number, batch),
            lambda: _opening.open_large(number, batch),
            lambda: _opening.heed(batch),
            lambda: _opening.piece(batch),
        ]
    for attack in attacks:
        try:
            attack()
            raise AssertionError("what nobody has sealed was taken")
        except (_channel.Forged, _identity.Untrusted):
            pass
    _order.job(_packets.Packet("east", "west", head, body))
    # Whatever is there of a large batch says how much has to be, which is never less than what says so.
    assert _opening.needed(memoryview(batch), len(batch)) >= 16
    told(batch)
    at_once(batch)
    try:
        got = list(_packets.unpack(head, body))
    except ValueError:
        return
    packed = _packets.pack(got)
    assert (b"".join(map(bytes, packed.parts)), b"".join(map(bytes, packed.bodies))) == (head, body)


def told(said: bytes) -> None:
    """The other end says anything of what has come, and sends anything as what comes."""
    sending, getting = _window.Sending(), _window.Getting[int]()
    for number in range(1, 4):
        sending.add(number, b"x", 0.0)
    first, second = (int.from_bytes(one, "big") for one in (said[:1], said[1:10]))
    try:
        sending.heed(first, second, 0.0)
        assert first <= 3 and second < 1 << 3
    except ValueError:
        pass
    try:
        if getting.wants(first, second):
            assert getting.add(first, second, 1) == ([(1, 1)] if first == 1 else [])
    except ValueError:
        assert not 0 < first <= _window.MOST


def at_once(said: bytes) -> None:
    """The application, whose keys these are, says anything at once."""
    if not _site._shared._sealed:
        _site.take_shared(b'{"shared": 1}', _part)
    try:
        packets = _site.open(*_home._seal("east", 1, _sealing._SEVERAL, bytearray(said)))
    except (_identity.Untrusted, _channel.Forged):
        _site._shared = _shared.Shared()
        return
    whole = [len(bytes(packet)) for packet in packets if _TEXT not in bytes(packet)]
    assert sum(whole) + len(whole) * _sealing._PART.size <= len(said)


def seeds() -> list[bytes]:
    packets = [
        _packets.Packet("home", "west", b"content"),
        _packets.Packet("\u00e9", "", b""),
        _packets.Packet("a", "b", b"x" * 300),
    ]
    batches = [packets[:1], packets, []]
    packed = [b"".join(map(bytes, _packets.pack(batch).parts)) for batch in batches]
    whole = [bytes([min(len(one), 255)]) + one for one in packed]
    several = b"".join(_sealing._PART.pack(at == 0, 9) + b"\x81\xa4Stop\x92\x01\x02" for at in range(3))
    split = (
        _shared._COUNT.pack(1)
        + _shared._PLACE.pack(4, 1, len(_TEXT), True, _secret, _tag)
        + b"\x81\xa4Stop\x92\x01\x02"
    )
    return [
        *whole,
        b"\x00" + _sealing._PART.pack(2, len(split)) + split + several[18:],
        b"\x00" + several,
        b"\x00" + several[18:],
        bytes([len(_honest[0])]) + b"".join(_honest),
        b"\x01" + _sealed,
    ]


fuzz("batch", seeds(), one)
