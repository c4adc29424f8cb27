"""Which packets keep their order with those of one job alone?"""
# pyright: basic

import struct

import msgpack
import pytest
from dfm.flare import _told
from dfm.flare._message_job import job_of_message
from dfm.flare._order import job
from dfm.flare._packets import Packet
from dfm.flare._sealing import NO_JOB
from dfm.flare._session_job import PAST
from hypothesis import given
from hypothesis import strategies as st


@given(st.text("abcXYZ", min_size=1, max_size=31), st.integers(0, (1 << 64) - 1), st.booleans())
def test_what_is_said_of_a_job_begins_with_its_number(kind, number, alone):
    content = msgpack.packb({kind: number if alone else [number, b"x"]}) or b""
    assert job_of_message(content) == number
    for cut in range(2 + len(kind) + (not alone)):
        assert job_of_message(content[: cut + 1]) in (None, content[cut])


@pytest.mark.parametrize("kind", ["Ask", "Check", "Checked", "Unfinished"])
def test_the_number_of_a_request_is_none_of_a_job(kind):
    assert job_of_message(msgpack.packb({kind: [7, 1]}) or b"") is None


@pytest.mark.parametrize("said", ["Bye", {"Open": []}, {"Start": ["x"]}, {"Stop": [-1]}, [], 5])
def test_what_names_no_job_is_of_none(said):
    assert job_of_message(msgpack.packb(said) or b"") is None


@given(st.binary(max_size=60))
def test_whatever_comes_is_of_a_job_or_of_none(content):
    found = job_of_message(content)
    assert found is None or 0 <= found < 1 << 64


def sealed(of, place):
    return Packet("home", "east", struct.pack(">16sQQQ", bytes(16), 9, of, place) + bytes(32), b"body")


@pytest.mark.parametrize(
    ("packet", "found"),
    [
        (sealed(4, 8), 4),
        (sealed(0, 5), 5),
        (Packet("east", "west", b"\x81\xa5Token\x93\x03", b""), 3),
        *(
            (Packet("home", "", _told.tell({what: 6})), 6)
            for what in ("begin", "had", "confirm", "ended", "forget", "leave")
        ),
        *((Packet("", "", _told.tell({what: 6})), None) for what in ("cancel", "recall", "ask")),
        (Packet("", "", _told.tell({"confirmed": 6})), NO_JOB),
        (Packet("east", "", _told.tell({"ended": "why"})), None),
        (Packet("", "", b"{"), None),
        (Packet("", "", b" " * (1 << 17)), None),
        (Packet("", PAST, b"\x81\xa5Token\x93\x03"), None),
    ],
)
def test_a_packet_keeps_its_order_with_its_job(packet, found):
    assert job(packet) == found
