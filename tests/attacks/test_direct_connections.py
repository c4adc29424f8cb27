"""Does a port of a direct connection take anything from who has no part in the session, or harm from who has?

The attackers are strangers, holders of another federation's certificate, of this federation's who have no part in the
session, and a site of the session itself.
"""
# pyright: basic, reportMissingImports=false

import logging
import socket
import ssl
import struct
from pathlib import Path

import pytest
from dfm import _native
from dfm.flare._channel import Secret
from dfm.flare._direct import DirectConnections
from dfm.flare._identity import own_pair
from eventually import until
from kits import Root, declare

HEAD = struct.Struct(">IBIQ")
BATCH, BEAT, PIECE, ASKED, ANSWERED, FURTHER = 0, 1, 2, 16, 32, 48
PART = (64 << 10) + 4096
"""Bytes of a message after which others may come before the rest of it."""
LARGE = HEAD.pack(PART + 10, PIECE, 0, 1) + bytes(PART)
"""The first part of a large message, of which ten bytes are missing."""


class Listening:
    """A process of the session that lets `east` in, and notes what it gets."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, Root(folder)
        self.got: list[tuple[str, str, int, bytes]] = []
        self.seen: list[tuple[str, bool]] = []
        own = self.root.kit("west")
        self.native = _native.Direct(*own_pair(own), "job", self._receive, lambda *one: self.seen.append(one))
        self.port = self.native.listen("127.0.0.1", 0, 0)
        self.east = self.root.kit("east")
        self.native.meet("east", own_pair(self.east)[0])

    def _receive(self, name, kind, number, message, is_asked):
        self.got.append((name, kind, number, bytes(message)))
        return b"answer" if is_asked else None

    def connect(self, kit="east", session="job", root=None, version=None) -> ssl.SSLSocket:
        """As a holder of a kit of this federation, or of another one's `root`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if version is not None:
            context.maximum_version = version
        if session is not None:
            context.set_alpn_protocols([f"dfm/1 {session}"])
        if kit is not None:
            if (root is not None) or kit != "east":
                (root or self.root).kit(kit)
            startup = (root or self.root).folder / (root or self.root).name / f"{kit}-None-0" / "startup"
            context.load_cert_chain(startup / "client.crt", startup / "client.key")
        return context.wrap_socket(socket.create_connection(("127.0.0.1", self.port)))


@pytest.fixture
def listening(tmp_path):
    listening = Listening(tmp_path)
    yield listening
    listening.native.close()


def ends(connection: socket.socket) -> bool:
    """Whether the other end ends it, having said nothing."""
    connection.settimeout(30)
    try:
        return connection.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def refuses(how) -> bool:
    """Whether a connection made so gets nothing."""
    try:
        connection = how()
    except (ssl.SSLError, ConnectionError):
        return True
    with connection:
        return ends(connection)


def answer(connection: ssl.SSLSocket) -> tuple[int, int, int, bytes]:
    """The next frame that is none of a lane's: what it is, its question, its number and content."""

    def exactly(size: int) -> bytes:
        found = b""
        while len(found) < size:
            found += (more := connection.recv(size - len(found)))
            assert more, "it was cut off"
        return found

    length, *what = HEAD.unpack(exactly(HEAD.size))
    return *what, exactly(length)


def welcomed(connection: ssl.SSLSocket) -> ssl.SSLSocket:
    connection.settimeout(30)
    assert answer(connection) == (ANSWERED, 0, 0, b"")
    return connection


def test_only_who_is_known_to_the_session_is_let_in(listening):
    other = Root(listening.folder / "elsewhere")
    other.folder.mkdir()
    assert refuses(lambda: listening.connect(kit=None))
    assert refuses(lambda: listening.connect(kit="east", root=other))
    assert refuses(lambda: listening.connect(kit="north"))
    assert refuses(lambda: listening.connect(session="another"))
    assert refuses(lambda: listening.connect(session=None))
    assert refuses(lambda: listening.connect(version=ssl.TLSVersion.TLSv1_2))
    assert listening.got == listening.seen == []
    with welcomed(listening.connect()) as connection:
        connection.sendall(HEAD.pack(2, ASKED + BEAT, 1, 7) + b"hi")
        assert answer(connection) == (ANSWERED, 1, 0, b"answer")
    assert listening.got == [("east", "beat", 7, b"hi")]


def test_who_was_known_is_cut_off_and_not_let_in_again(listening):
    with welcomed(listening.connect()) as connection:
        listening.native.part("east")
        assert ends(connection)
    assert refuses(listening.connect)


def test_who_only_waits_keeps_nobody_out(listening):
    """Nor does one who begins to show who they are, and goes no further."""
    silent = [socket.create_connection(("127.0.0.1", listening.port)) for _ in range(100)]
    for one in silent[::2]:
        one.sendall(b"\x16\x03\x01\x02\x00\x01")
    welcomed(listening.connect()).close()
    assert all(ends(one) for one in silent[:60])
    for one in silent:
        one.close()


@pytest.mark.parametrize(
    "said",
    [
        HEAD.pack(5, 3, 0, 0),
        HEAD.pack(5, 255, 0, 0),
        HEAD.pack(0xFFFFFFFF, PIECE, 0, 1),
        HEAD.pack((4 << 20) + 4097, PIECE, 0, 1),
        HEAD.pack(4097, ANSWERED, 1, 0),
        HEAD.pack(0, ANSWERED, 1, 1),
        HEAD.pack(0, BATCH, 1, 1),
        HEAD.pack(0, FURTHER, 0, 0),
        HEAD.pack(10, FURTHER, 0, 0) + bytes(10),
        LARGE + HEAD.pack(0, FURTHER, 0, 0),
        LARGE + HEAD.pack(9, FURTHER, 0, 0) + bytes(9),
        LARGE + HEAD.pack(11, FURTHER, 0, 0) + bytes(11),
        LARGE + HEAD.pack(10, FURTHER, 0, 1) + bytes(10),
        LARGE + HEAD.pack(PART + 1, PIECE, 0, 2),
    ],
)
def test_what_is_no_message_ends_the_connection_and_nothing_else(listening, said):
    with welcomed(listening.connect()) as connection:
        connection.sendall(said)
        assert ends(connection)
    until(lambda: listening.seen == [("east", True), ("east", False)])
    assert listening.got == []
    welcomed(listening.connect()).close()


def test_a_large_message_that_never_ends_holds_up_no_small_one(listening):
    with welcomed(listening.connect()) as connection:
        connection.sendall(LARGE + HEAD.pack(0, ASKED + BEAT, 1, 1))
        assert answer(connection) == (ANSWERED, 1, 0, b"answer")
        assert listening.got == [("east", "beat", 1, b"")]
        connection.sendall(HEAD.pack(10, FURTHER, 0, 0) + bytes(10))
        until(lambda: listening.got[1:] == [("east", "piece", 1, bytes(PART + 10))])


def test_an_answer_that_nobody_waits_for_is_nothing(listening):
    with welcomed(listening.connect()) as connection:
        connection.sendall(b"".join(HEAD.pack(3, ANSWERED, number, 0) + b"lie" for number in range(100)))
        connection.sendall(HEAD.pack(0, ASKED + BEAT, 1, 1))
        assert answer(connection) == (ANSWERED, 1, 0, b"answer")


def test_who_asks_without_end_and_takes_no_answer_is_cut_off(listening):
    with welcomed(listening.connect()) as connection, pytest.raises((ssl.SSLError, OSError)):
        asked = b"".join(HEAD.pack(0, ASKED + BEAT, number, 1) for number in range(1, 20_000))
        while True:
            connection.sendall(asked)
    until(lambda: ("east", False) in listening.seen)
    welcomed(listening.connect()).close()


def test_a_newer_connection_of_the_same_process_takes_the_place_of_the_one_before(listening):
    with welcomed(listening.connect()) as before, welcomed(listening.connect()) as after:
        assert ends(before)
        after.sendall(HEAD.pack(0, ASKED + BEAT, 1, 1))
        assert answer(after) == (ANSWERED, 1, 0, b"answer")


def test_nobody_connects_to_whom_another_certificate_answers(listening, tmp_path):
    """A site that listens where another one should does not get that one's messages."""
    own = listening.root.kit("app")
    seen: list = []
    native = _native.Direct(*own_pair(own), "job", lambda *_: None, lambda *one: seen.append(one))
    native.meet("south", own_pair(listening.root.kit("south"))[0])
    listening.native.meet("app", own_pair(own)[0])
    with pytest.raises(ConnectionError, match=r"certificate"):
        native.connect("south", "127.0.0.1", listening.port)
    native.close()
    assert seen == [] and listening.got == []


def test_a_port_that_the_kit_does_not_name_is_not_asked(listening, tmp_path, caplog):
    """Whatever a site's hello says, nobody is made to connect to another service."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        folder = listening.folder / "fed" / "east-None-0"
        declare(folder, None, {"west": {"host": "127.0.0.1", "ports": [1, 2]}})
        log = logging.getLogger("dfm.test")
        direct = DirectConnections(folder, listening.east, "job", "east", lambda _: None, log)
        said = {"port": service.getsockname()[1]}
        direct.meet("west.job", "west", Secret(listening.root.kit("west"), "job", said).hello, said)
        assert "listens at a port that this kit does not name" in caplog.text
        direct.close()
        service.settimeout(0)
        with pytest.raises(BlockingIOError):
            service.accept()
