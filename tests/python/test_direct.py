"""Do lanes bring everything over a direct connection, and through NVFlare where there is none?"""
# pyright: basic

import contextlib
import logging
import os
import random
import socket
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from dfm import _native
from dfm.flare._channel import Channel, Secret
from dfm.flare._direct import DirectConnections, Place, Places, read_places
from dfm.flare._identity import check, own_pair
from dfm.flare._lane import Lane
from dfm.flare._packets import Packet, Unreachable
from eventually import until
from kits import Root, declare
from typing_extensions import Buffer

LOOPBACK = {"ports": [0, 0], "listen": "127.0.0.1"}
LISTENER = {"host": "127.0.0.1", "ports": [0, 0]}


class Proxy:
    """A way to a port that can be cut, and be there again."""

    def __init__(self, port: int) -> None:
        self.goal = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        self.is_cut = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            if self.is_cut:
                one.close()
                continue
            other = socket.create_connection(("127.0.0.1", self.goal))
            self.open += [one, other]
            for a, b in ((one, other), (other, one)):
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    def _pass(self, a: socket.socket, b: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while came := a.recv(1 << 16):
                b.sendall(came)
        for one in (a, b):
            one.close()

    def cut(self) -> None:
        self.is_cut = True
        for one in self.open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.open.clear()

    def close(self) -> None:
        self.cut()
        self.listener.close()


class Through:
    """What NVFlare is between two lanes, which may be there or not."""

    def __init__(self) -> None:
        self.to: Lane | None = None
        self.is_there = True
        self.messages = 0

    def fire(self, kind: str, number: int, message: bytes) -> None:
        self.ask(kind, number, [message], 0.0)

    def ask(self, kind: str, number: int, parts: Sequence[Buffer], seconds: float) -> bytes:
        if not self.is_there or self.to is None:
            raise Unreachable("NVFlare is not there")
        self.messages += 1
        self.to.receive(kind, number, b"".join(parts))
        return self.to.answer()

    def takes_at_once(self) -> bool:
        return False


class Ends:
    """Two processes of a session, of which the second one listens and the first one connects."""

    def __init__(self, folder: Path, is_proxied: bool = False, is_silent: bool = False) -> None:
        root = Root(folder)
        kits = [root.kit("east"), root.kit("west")]
        folders = [folder / "fed" / f"{name}-None-0" for name in ("east", "west")]
        declare(folders[0], None, {"west": LISTENER})
        declare(folders[1], LOOPBACK)
        self.lanes: list[Lane] = []
        self.came: list[list[Packet]] = [[], []]
        self.lost: list[str] = []
        self.through = [Through(), Through()]
        log = logging.getLogger("dfm.test")
        self.direct = [
            DirectConnections(folders[at], kits[at], "job", name, lambda _, at=at: self.lanes[at], log)
            for at, name in enumerate(("east", "west"))
        ]
        secrets = [Secret(kit, "job", direct.about) for kit, direct in zip(kits, self.direct, strict=True)]
        said = [check(kits[0], secret.hello, "hello", "job")[0] for secret in secrets]
        self.proxy = Proxy(said[1]["port"])
        if is_proxied:
            said[1] = said[1] | {"port": self.proxy.port}
        for at in range(2):
            channel = Channel(secrets[at], secrets[1 - at].hello, said[1 - at])
            to = self.direct[at].transport("there", self.through[at])
            self.lanes.append(Lane("there", channel, to, self.came[at].extend, self.lost.append, heartbeat=False))
        self.through[0].to, self.through[1].to = self.lanes[1], self.lanes[0]
        for at, name in ((1, "east"), (0, "west")):
            self.direct[at].meet("there", name, secrets[1 - at].hello, said[1 - at])
        if not is_silent:
            self.lanes[0].push(packet(0))
            until(lambda: self.came[1])
            self.came[1].clear()

    def is_connected(self) -> bool:
        return all(direct._native is not None and direct._native.is_connected("there") for direct in self.direct)

    def close(self) -> None:
        for one in (*self.lanes, *self.direct, self.proxy):
            one.close()


@pytest.fixture
def ends(tmp_path: Path):
    ends = Ends(tmp_path)
    until(ends.is_connected)
    yield ends
    ends.close()


@pytest.fixture
def cuttable(tmp_path: Path):
    ends = Ends(tmp_path, is_proxied=True)
    until(ends.is_connected)
    yield ends
    ends.close()


def packet(number: int, size: int = 10) -> Packet:
    return Packet("east", "west", number.to_bytes(4, "big") * (size // 4))


def contents(packets: list[Packet]) -> list[bytes]:
    return [bytes(one.content) for one in packets]


def test_all_goes_over_the_direct_connection(ends: Ends) -> None:
    ends.through[0].is_there = ends.through[1].is_there = False
    sent = [packet(number, size) for number, size in enumerate((10, 1 << 21, 10, 30 << 20, 10))]
    for at in range(2):
        for one in sent:
            ends.lanes[at].push(one)
    until(lambda: all(len(came) == len(sent) for came in ends.came))
    assert contents(ends.came[0]) == contents(ends.came[1]) == contents(sent)
    assert ends.lost == []


def test_what_is_small_goes_before_what_is_left_of_what_is_large(tmp_path: Path) -> None:
    kits = [Root(tmp_path).kit(name) for name in ("east", "west")]
    came: list[str] = []
    may_go_on = threading.Event()

    def receive(name: str, kind: str, number: int, message: object, is_asked: bool) -> bytes:
        came.append(kind)
        # Meanwhile nothing is read here.
        may_go_on.wait(60)
        return b""

    ends = [_native.Direct(*own_pair(kit), "job", receive, lambda *_: None) for kit in kits]
    for end, other, kit in ((ends[0], "west", kits[1]), (ends[1], "east", kits[0])):
        end.meet(other, own_pair(kit)[0])
    ends[0].connect("west", "127.0.0.1", ends[1].listen("127.0.0.1", 0, 0))
    for number in ends[1].descriptors():
        # Else the system would take all of it while nobody reads.
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            with socket.socket(fileno=os.dup(number)) as one:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    large = [bytes(4 << 20)]
    asks = [threading.Thread(target=ends[0].ask, args=("west", "piece", one, large, 60.0)) for one in range(3)]
    for ask in asks:
        ask.start()
    until(lambda: came)
    ends[0].say("west", "batch", 1, b"small", 60.0)
    may_go_on.set()
    for ask in asks:
        ask.join()
    assert sorted(came) == ["batch", "piece", "piece", "piece"]
    assert came[-1] == "piece"
    for end in ends:
        end.close()


def test_what_is_under_way_when_it_is_cut_comes_through_nvflare_and_once(cuttable: Ends) -> None:
    """Then it is connected again, and NVFlare is not needed any more."""
    chance = random.Random(7)
    sent = [packet(number, chance.choice((10, 1000, 3 << 20))) for number in range(40)]
    for number, one in enumerate(sent):
        cuttable.lanes[number % 2].push(one)
        if number == 20:
            cuttable.proxy.cut()
    until(lambda: sum(map(len, cuttable.came)) == len(sent))
    assert contents(cuttable.came[1]) == contents(sent[::2])
    assert contents(cuttable.came[0]) == contents(sent[1::2])
    assert cuttable.through[0].messages
    cuttable.proxy.is_cut = False
    until(cuttable.is_connected)
    cuttable.through[0].is_there = cuttable.through[1].is_there = False
    cuttable.lanes[0].push(packet(99))
    until(lambda: contents(cuttable.came[1])[-1] == packet(99).content)
    assert cuttable.lost == []


def test_nobody_connects_who_has_nothing_to_say(tmp_path: Path) -> None:
    """The first message has it connect, and goes through NVFlare itself."""
    ends = Ends(tmp_path, is_silent=True)
    assert ends.direct[0]._sought
    ends.lanes[0].push(packet(1))
    until(ends.is_connected)
    until(lambda: contents(ends.came[1]) == contents([packet(1)]))
    assert ends.through[0].messages and not ends.direct[0]._sought
    ends.close()


def test_a_forked_process_has_none_of_it_and_ends_nothing(ends: Ends) -> None:
    """Else nobody would see that the process which forked has ended, or what its fork closes would end for both."""
    natives = [direct._native for direct in ends.direct if direct._native is not None]
    numbers = [number for native in natives for number in native.descriptors()]
    assert len(numbers) == 5
    child = os.fork()
    if not child:
        closed = all(os.readlink(f"/proc/self/fd/{number}") == os.devnull for number in numbers)
        for native in natives:
            native.close()
        os._exit(0 if closed else 1)
    assert os.waitpid(child, 0)[1] == 0
    ends.through[0].is_there = ends.through[1].is_there = False
    ends.lanes[0].push(packet(1))
    until(lambda: contents(ends.came[1]) == contents([packet(1)]))
    ends.close()
    until(lambda: not any(native.descriptors() for native in natives))


def test_nothing_is_connected_that_no_kit_names(tmp_path: Path) -> None:
    root = Root(tmp_path)
    kit = root.kit("east")
    folder, log = tmp_path / "fed" / "east-None-0", logging.getLogger()
    direct = DirectConnections(folder, kit, "job", "east", lambda _: None, log)
    through = Through()
    assert direct.about == {}
    assert direct.transport("there", through) is through
    direct.meet("there", "west", Secret(kit, "job").hello, {"port": 1})
    direct.close()


@pytest.mark.parametrize(
    ("place", "port", "may"),
    [
        (Place("h", 9100, 9107), 9100, True),
        (Place("h", 9100, 9107), 9107, True),
        (Place("h", 9100, 9107), 9108, False),
        (Place("h", 9100, 9107), 22, False),
        (Place("h", 0, 0), 41234, True),
        (Place("h", 0, 0), 0, False),
        (Place("h", 0, 0), 65536, False),
        (Place("h", 0, 1 << 20), True, False),
        (Place("h", 9100, 9107), "9100", False),
        (Place("h", 9100, 9107), None, False),
    ],
)
def test_a_process_may_say_a_port_that_the_kit_of_the_other_names(place: Place, port: object, may: bool) -> None:
    assert place.has(port) is may


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"format": 2, "own": null, "others": {}}', '{"format": 1, "own": [], "others": {}}', "[" * 9999],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path, text: str) -> None:
    declare(tmp_path)
    (tmp_path / "dfm" / "direct.json").write_text(text)
    with pytest.raises(ValueError, match=r"direct\.json is damaged: .*; provision the federation again"):
        read_places(tmp_path)


def test_a_kit_without_the_file_says_nothing(tmp_path: Path) -> None:
    assert read_places(tmp_path) == Places(None, {})


def test_where_no_port_is_free_the_session_goes_on_without(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kit = Root(tmp_path).kit("east")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        folder = tmp_path / "fed" / "east-None-0"
        declare(folder, {"ports": [port, port], "listen": "127.0.0.1"})
        direct = DirectConnections(folder, kit, "job", "east", lambda _: None, logging.getLogger("dfm.test"))
    assert direct.about == {}
    assert "nobody can connect to this session's process" in caplog.text
    direct.close()
