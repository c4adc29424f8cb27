"""How do tests play a user whose application does not do what dfm's would?

Such a user has a kit of the federation and may change all that runs on their own machine, but nothing at the sites.
"""
# pyright: basic, reportMissingImports=false

import contextlib

import msgpack
from dfm._native import Carried
from dfm.flare._links import FlareLinks
from dfm.flare._shared import pieces


@contextlib.contextmanager
def changed(change):
    """Has `change(site, message)` say, inside, what goes to a site instead of a message: a list of messages, each as
    plain data or as bytes; None leaves it as it is. A session that is opened inside does so, for all its life. What
    jobs begin with then is signed by the user all the same."""
    honest = FlareLinks._carry

    def carry(self, packets):
        said = []
        for at, site in enumerate(packet.to for packet in packets):
            packet = b"".join(pieces(packets, at))
            instead = change(site, msgpack.unpackb(packet, raw=False, strict_map_key=False))
            for one in [packet] if instead is None else instead:
                said.append(Carried(site, one if isinstance(one, bytes) else bytes(msgpack.packb(one) or b"")))
        honest(self, said)

    FlareLinks._carry = carry
    try:
        yield
    finally:
        FlareLinks._carry = honest


def opened_with(net, at="east"):
    """A change that puts a net of the attacker's into the place of that of a site. It sees to nothing else."""

    def change(site, message):
        if site == at and isinstance(message, dict) and "Open" in message:
            job, name, _ = message["Open"]
            return [net(job, name) if callable(net) else {"Open": [job, name, net]}]
        return None

    return change
