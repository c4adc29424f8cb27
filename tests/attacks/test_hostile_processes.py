"""Does what one process of a session says cost another one anything, or pass for what another one has said?

The attackers are a site, which sends the server's process what no honest one does, the user who has opened the session,
and the server's process itself.
"""
# pyright: basic, reportMissingImports=false

import asyncio
import hashlib
import json
import logging
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest
from dfm import _native
from dfm.flare import _executions, _lane, _told, client
from dfm.flare._cells import ENDED, JOIN, CellTransport, job_cell, serve_batches, serve_joins
from dfm.flare._channel import HELLO, Channel, Secret
from dfm.flare._identity import check_client, sign
from dfm.flare._lane import Lane
from dfm.flare._links import FlareLinks
from dfm.flare._packets import Packet
from dfm.flare._sealing import HomeSealing
from dfm.flare._session_job import SHARED
from dfm.flare._signing import Signer
from eventually import until
from nvflare.fuel.f3.cellnet.defs import ReturnCode
from nvflare.fuel.f3.cellnet.utils import make_reply
from session_processes import JOB, Cell, Running, Site, context


@pytest.fixture
def session(tmp_path, monkeypatch):
    running = Running(tmp_path, monkeypatch, ("east", "west", "north")).start()
    yield running
    running.stop()


def is_in_order(session, *sites):
    """Whether the application hears of nothing but the loss of these, and the others of no fault."""
    others = [name for name in session.names if name not in sites]
    return (
        session.app._closed is False
        and {one["lost"] for one in session.told("lost")} == set(sites) == session.server._lost.keys()
        and all(session.lane(name)._fault is None and not session.lane(name)._closed for name in others)
    )


def still_heard(session, name):
    """Something that a site says for the application, once it has come."""
    session.says(name, b"\0" * 100, "home", b"still there")
    until(lambda: any(bytes(packet.body) == b"still there" and packet.sender == name for packet in list(session.got)))


# The server's process.


class Lying:
    """A server's process, with its own key, that says in its signed answer where it likes the sites to be."""

    def __init__(self, running, sites):
        self.seen, self.lanes = [], {}
        cell = Cell(running.net, job_cell("server", JOB))
        kit, user = running.kits["server"], running.kits["ann@x"]
        mine, application = Secret(kit, JOB), Secret(user, JOB, Signer().about)

        def join(origin, request):
            if origin not in self.lanes:
                content = check_client(kit, request.decode(), HELLO, JOB, "east")
                to = CellTransport(cell, origin)
                self.lanes[origin] = Lane("east", Channel(mine, request.decode(), content), to, self.seen.extend, print)
            answer = {"to": hashlib.sha256(request).hexdigest(), "hello": mine.hello, "sites": sites}
            answer |= {"homesite": "home", "session": "s", "application": application.hello}
            return sign(kit, JOIN, JOB, answer).encode()

        serve_joins(cell, join)
        serve_batches(cell, self.lanes.get)


def test_what_is_for_a_site_goes_to_no_other_cell_than_that_sites(tmp_path, monkeypatch):
    running = Running(tmp_path, monkeypatch)
    server = Lying(running, ["east", "west"])
    east = client.SessionExecutor()
    east._begin(context(Cell(running.net, job_cell("east", JOB)), running.folders["east"], "east"))
    until(lambda: job_cell("server", JOB) in east._lanes)
    site = east._participant
    assert isinstance(site, Site)
    site.carry([Packet("east", "west", b"for west alone"), Packet("east", "home", b"for home")])
    until(lambda: any(packet.receiver == "home" for packet in server.seen))
    assert not any(packet.receiver == "west" for packet in server.seen)
    (lane,) = server.lanes.values()
    lane.push(Packet("west", "east", b"in west's name"))
    until(lambda: east._lanes[job_cell("server", JOB)]._fault)
    assert site.got == []
    east._end()


@pytest.mark.parametrize("sites", [{"east": "east.job", "west": "server.job"}, [1], "east", None, ["x" * 300]])
def test_an_answer_that_names_no_sites_is_none(tmp_path, monkeypatch, sites):
    running = Running(tmp_path, monkeypatch)
    server = Lying(running, sites)
    east = client.SessionExecutor()
    refused = []
    monkeypatch.setattr(east.logger, "error", refused.append)
    east._begin(context(Cell(running.net, job_cell("east", JOB)), running.folders["east"], "east"))
    until(lambda: refused)
    assert "takes no part in the session" in refused[0] and east._participant is None
    assert not server.seen
    east._end()


@pytest.mark.parametrize("what", [{"site": "OTHER"}, {"api_version": "9.0.0"}, {"dfm": "0.0.1"}, {"problem": "it"}])
def test_the_servers_words_do_not_replace_what_a_site_has_signed_of_itself(tmp_path, monkeypatch, what):
    running = Running(tmp_path, monkeypatch)
    fits = {"site": "east", "api_version": "1.2.3", "dfm": metadata.version("data-federation-mesh")}
    sealing = HomeSealing(running.kits["ann@x"], JOB, "home", Secret(running.kits["ann@x"], JOB), Signer())
    links: Any = FlareLinks.__new__(FlareLinks)
    links._connection = SimpleNamespace(sealing=sealing)
    links._home = SimpleNamespace(settings=SimpleNamespace(api_version="1.2.3", package="p"))
    links._reasons, links._sites, links._changed = {}, {}, asyncio.Event()
    hello = Secret(running.kits["east"], JOB, fits | what).hello
    links._heed({"ready": "east", "hello": hello, "problem": ""} | fits)
    assert links._reasons.keys() == {"east"} and links._sites == {"east": None}


# A site.


def test_a_packet_that_no_site_may_give_to_the_server_costs_the_one_who_gave_it(session):
    session.says("west", b"x", receiver="east")
    until(lambda: "west" in session.server._lost)
    until(lambda: is_in_order(session, "west"))
    still_heard(session, "east")


def test_a_site_gives_the_server_nothing_for_several_sites(session):
    session.says("west", _told.tell({"shared": 1, "job": 1, "to": ["east", "home"]}), SHARED, b"x")
    until(lambda: "west" in session.server._lost)
    until(lambda: is_in_order(session, "west"))
    still_heard(session, "east")
    assert session.executors["east"]._participant.got == []


@pytest.mark.parametrize("what", [{"ended": "é" * (4 << 20)}, {"ready": 1, "problem": "é" * (4 << 20)}])
def test_what_a_site_says_of_itself_is_cut_before_others_are_told(session, what):
    session.says("west", json.dumps(what, ensure_ascii=False).encode())
    session.says("west", _told.tell({"ended": "at last"}))
    until(lambda: session.told("lost"))
    until(lambda: is_in_order(session, "west"))
    assert max(len(bytes(packet.content)) for packet in session.got if not packet.receiver) < 100_000
    still_heard(session, "east")


def test_a_site_says_once_that_it_is_ready_or_has_ended_and_is_not_heard_after_that(session):
    for _ in range(100):
        session.says("west", b'{"ready": true}')
    for _ in range(100):
        session.says("west", b'{"ended": "it has"}')
    until(lambda: session.told("lost"))
    until(lambda: session.lane("west")._closed)
    still_heard(session, "east")
    assert len(session.told("ready")) == 3 and len(session.told("lost")) == 1
    assert is_in_order(session, "west")


def test_a_site_that_sends_more_than_is_taken_is_lost_and_nobody_else(session, monkeypatch):
    monkeypatch.setattr(_lane, "MOST_WAITING", 4 << 20)
    take = session.net["app"].takers["dfm", "batch"]
    session.net["app"].takers["dfm", "batch"] = lambda _: make_reply(ReturnCode.SERVICE_UNAVAILABLE)
    session.says("east", b"\0" * 100, "home", b"e" * 1000)
    for _ in range(20):
        session.says("west", b"\0" * 100, "home", b"w" * (500 << 10))
        until(lambda: not session.lane("west")._shares.total() or session.lane("west")._closed)
    until(lambda: "west" in session.server._lost)
    session.net["app"].takers["dfm", "batch"] = take
    until(lambda: session.told("lost"))
    assert "it sends more" in session.told("lost")[0]["reason"]
    still_heard(session, "east")
    assert any(bytes(packet.body) == b"e" * 1000 for packet in session.got)
    assert is_in_order(session, "west")


def test_a_client_that_bears_the_homesites_name_does_not_speak_as_the_application(tmp_path, monkeypatch):
    running = Running(tmp_path, monkeypatch, ("east", "west"), homesite="west").start()
    try:
        to: Any = running.server._lanes["west"]._transport
        assert to._target == "app"
        with pytest.raises(KeyError):
            running.says("west", _told.tell({"bye": True}))
        assert job_cell("west", JOB) not in running.server._lanes_of_cells
        assert not running.server._ended(sign(running.kits["west"], ENDED, JOB, {"how": "ended"}))
        app_says(running, {"begin": 1, "id": "s-1", "about": "x"}, "west")
        until(lambda: running.server._executions._about)
    finally:
        running.stop()


# The user who has opened the session.


def app_says(session, what, homesite="home"):
    session.app.push(Packet(homesite, "", _told.tell(what)))


@pytest.mark.parametrize("size", [10, 5 << 20])
def test_a_part_for_several_sites_goes_to_these_alone_and_to_nobody_who_is_none(session, size):
    part, told = bytes(size), {"shared": 1, "job": 1, "to": ["east", "north", "home", "", "nobody", 7, None]}
    session.app.push(Packet("home", SHARED, _told.tell(told), part))
    for name in session.names:
        session.app.push(Packet("home", name, b"to be opened by it"))
    sites = {name: session.executors[name]._participant for name in session.names}
    until(lambda: all(site.got and site.got[-1][1] == b"to be opened by it" for site in sites.values()))
    assert {name: len(site.got) for name, site in sites.items()} == {"east": 2, "west": 1, "north": 2}
    assert [_told.read(sites[name].got[0][1]) for name in ("east", "north")] == [{"shared": 1, "job": 1}] * 2
    assert not any("shared" in str(bytes(packet.content)) for packet in session.got) and is_in_order(session)


@pytest.mark.parametrize("what", [{}, {"shared": 1, "job": 1}, {"shared": "1", "job": 1, "to": []}])
def test_a_part_that_does_not_say_for_which_sites_it_is_costs_its_application_the_session(session, what):
    session.app.push(Packet("home", SHARED, _told.tell(what), b"x"))
    until(lambda: session.lost)
    assert not session.server._lost


def test_what_an_application_says_of_jobs_that_it_has_not_begun_is_not_kept(session):
    for number in range(10):
        app_says(session, {"had": number, "positions": [[1, [0], 1]], "notes": {"a": 1}})
    app_says(session, {"begin": 3, "id": "s-3", "about": "x"})
    app_says(session, {"had": 3, "positions": [[1, [0], 1]], "notes": {"a": 1}})
    until(lambda: session.server._executions._notes)
    assert session.server._executions._notes == {3: {"a": 1}}
    assert session.server._executions._told == {3: len("s-3") + len("x") + len("a") + 64}
    app_says(session, {"forget": 3})
    until(lambda: session.server._executions._told == {3: len("s-3") + len("x")})


@pytest.mark.parametrize(
    "what",
    [
        {"begin": 2, "id": "s-2", "about": "x" * 2000},
        {"had": 1, "positions": [], "notes": {str(number): 1 for number in range(100)}},
    ],
)
def test_an_application_that_tells_more_of_its_jobs_than_is_kept_is_heard_no_more(session, monkeypatch, what):
    monkeypatch.setattr(_executions, "_MOST_TOLD", 1000)
    app_says(session, {"begin": 1, "id": "s-1", "about": "x"})
    app_says(session, what)
    until(lambda: session.lost)
    assert "an application tells more of its jobs than the 1000 bytes that are kept" in session.lost[0]
    assert not session.server._lost


def test_notes_do_not_outlast_what_they_are_counted_with(monkeypatch):
    """As where an application begins an execution anew, or so many that the first ones are no more remembered."""
    monkeypatch.setattr(_executions, "_REMEMBERED", 2)
    executions = _executions.Executions("home", logging.getLogger("dfm.tests"))
    for _ in range(3):
        executions.begin(1, "s-1", "x")
        executions.had(1, [], {"a": 1})
    for number in range(2, 20):
        executions.begin(number, f"s-{number}", "x")
        executions.had(number, [], {"a": 1})
    assert executions._notes.keys() <= executions._about.keys() == executions._told.keys()
    executions.forget(19)
    assert executions._told[19] == len("s-19") + len("x") and 19 not in executions._notes


def head(outline):
    """A packet's head as a site might make it for an application that is away."""
    return b"a" * 16 + b"\0" * 7 + b"\1" + (b"\0" * 7 + b"\1") * 2 + outline + b"\0" * 32


def test_what_is_kept_for_an_application_that_is_away_has_an_end(session, monkeypatch, caplog):
    """Sites say themselves how many tokens they have for it; the heads of packets are not sealed for the server."""
    executions = session.server._executions
    executions._keeper = _native.Keeper(1 << 20)
    plan = msgpack.packb({"Plan": [1, ["east", "west", "home"], False, []]})
    token = msgpack.packb({"Token": [1, 0, [1], None]})
    app_says(session, {"begin": 1, "id": "s-1", "about": "x"})
    session.app.push(Packet("home", "home", head(plan), b""))
    until(lambda: executions.kept())
    app_says(session, {"leave": 1})
    until(lambda: not executions.follows(1))
    for _ in range(20):
        session.says("west", head(token), "home", b"w" * (100 << 10))
    until(lambda: not executions.kept())
    until(lambda: "nothing is kept any more" in caplog.text)
    still_heard(session, "east")
    assert is_in_order(session)


@pytest.mark.parametrize("key", ["hello", "escrow", "cell", "homesite", "session"])
@pytest.mark.parametrize("text", ["", 1, None, "x" * 100_000])
def test_what_an_application_asks_with_is_as_long_as_it_can_be(session, key, text):
    request = dict.fromkeys(("hello", "escrow", "cell", "homesite", "session"), "x") | {key: text}
    assert "not one of this version" in session.open(request)["error"]


@pytest.mark.parametrize("keep", [float("nan"), float("inf"), -1.0, "x", None, [1]])
def test_an_application_that_is_to_be_waited_for_without_an_end_is_refused(session, keep):
    request = dict.fromkeys(("hello", "escrow", "cell", "homesite", "session"), "x") | {"keep": keep}
    assert "number of seconds" in session.open(request)["error"]
