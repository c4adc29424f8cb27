"""Can who runs the server read, change, repeat, leave out or forge what an application and a site say to each other?

The session's job at the server has all packets in its hands, keeps them, and says to either who the other is.
"""
# pyright: basic, reportMissingImports=false

import json

import msgpack
import pytest
from dfm._native import Carried, Hole
from dfm.api import ErrorToken, PlaceParam, Yield
from dfm.errors import SessionError
from dfm.flare import _sealing, _shared, _told
from dfm.flare._channel import HELLO, Forged, Secret, public
from dfm.flare._connection import Connection
from dfm.flare._had import FlareKeeps
from dfm.flare._identity import Untrusted, sign
from dfm.flare._links import FlareLinks
from dfm.flare._sealing import HomeSealing, Reader, SiteSealing, _Come, outline_of
from dfm.flare._session_job import SHARED
from dfm.flare._signing import Signer
from dfm.session import JobStatus
from flare_federation import opened, written
from hypothesis import given, settings
from hypothesis import strategies as st
from kits import Root

JOB = "job"
MARK = "paraquat"
"""Stands in all that the server should not read."""


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    root = Root(tmp_path_factory.mktemp("kits"))
    names = {"ann": ("ann@x", "lead"), "bob": ("bob@x", "lead"), "east": ("east", None), "west": ("west", None)}
    return {name: root.kit(*of) for name, of in names.items()} | {"server": root.kit("server", file="server")}


def message(**what):
    return bytearray(msgpack.packb(what) or b"")


ORDER = {"Stop": [1, 2]}
"""An application's, to a site."""
REPORT = {"Report": [1, MARK]}
"""A site's, which is kept."""
ANSWER = {"Unfinished": [1, 1, MARK]}
"""A site's, which is not."""


class Application:
    def __init__(self, kits, user="ann"):
        self.signer = Signer()
        self.secret = Secret(kits[user], JOB, self.signer.about)
        self.hello = self.secret.hello
        self.end = HomeSealing(kits[user], JOB, "home", self.secret, self.signer)
        self.end.begin(1)

    def say(self, site, **what):
        ((_, sealed),) = self.end.seal([Carried(site, message(**what))])
        return sealed


class Site:
    def __init__(self, kits, application, name="east"):
        self.secret = Secret(kits[name], JOB)
        self.end = SiteSealing(kits[name], JOB, "home", self.secret, application.hello)
        application.end.meet(name, self.secret.hello)

    def open(self, head, body):
        """The only packet in it, if there is any."""
        found = self.end.open(head, body)
        return found[0] if found else None


@pytest.fixture
def application(kits):
    return Application(kits)


@pytest.fixture
def site(kits, application):
    return Site(kits, application)


def both(application, site):
    """What seals at one end, and what opens at the other, with something to say, each way."""
    end = application.end
    return {
        "order": (lambda: application.say("east", **ORDER), site.open, ORDER),
        "kept": (lambda: site.end.seal(message(**REPORT)), lambda *sealed: end.open("east", *sealed), REPORT),
        "passing": (lambda: site.end.seal(message(**ANSWER)), lambda *sealed: end.open("east", *sealed), ANSWER),
    }


WAYS = ["order", "kept", "passing"]


@pytest.mark.parametrize("way", WAYS)
def test_what_is_said_is_read_by_its_receiver_alone(application, site, way):
    seal, read, said = both(application, site)[way]
    for _ in range(3):
        head, body = seal()
        assert MARK.encode() not in bytes(head) + bytes(body)
        assert msgpack.unpackb(bytes(read(head, body))) == said


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_changed_is_refused(application, site, way):
    seal, read, _ = both(application, site)[way]
    head, body = (bytes(part) for part in seal())
    for at in range(len(head)):
        with pytest.raises(Forged):
            read(head[:at] + bytes([head[at] ^ 1]) + head[at + 1 :], body)
        with pytest.raises(Forged):
            read(head[:at], body)
    for at in range(len(body)):
        application.end.begin(1)
        application.end._got[1], application.end._passing, site.end._come = {}, {}, _Come()
        with pytest.raises(Forged):
            read(head, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])


@pytest.mark.parametrize("way", WAYS)
def test_what_is_repeated_or_in_another_order_or_sent_back_is_refused(application, site, way):
    seal, read, _ = both(application, site)[way]
    first, second, third = ((bytes(head), bytes(body)) for head, body in (seal(), seal(), seal()))
    read(*first)
    with pytest.raises(Forged):
        read(*first)
    if way == "passing":
        # Of what is not kept, the server may leave out what it likes: nobody waits for it for ever.
        read(*third)
        with pytest.raises(Forged):
            read(*second)
    else:
        with pytest.raises(Forged):
            read(*third)
    with pytest.raises(Forged):
        read(first[0], second[1])
    backwards = site.open if way != "order" else lambda *sealed: application.end.open("east", *sealed)
    with pytest.raises(Forged):
        backwards(*second)


@pytest.mark.parametrize("way", WAYS)
def test_only_what_is_of_another_job_may_come_sooner_and_nothing_comes_twice(application, site, way):
    """So it need not wait for a large value."""
    end = application.end
    end.begin(2)
    if way == "order":
        seal, read, kind = (lambda said: application.say("east", **said)), site.open, "Stop"
    else:
        seal, read = (lambda said: site.end.seal(message(**said))), (lambda *sealed: end.open("east", *sealed))
        kind = "Report" if way == "kept" else "Noted"
    one, two = ([tuple(map(bytes, seal({kind: [job, MARK]}))) for _ in range(3)] for job in (1, 2))
    come = [*two[:2], one[0], two[2], *one[1:]]
    for sealed in come:
        assert read(*sealed) is not None
        for again in (*come[: come.index(sealed)], sealed):
            with pytest.raises(Forged):
                read(*again)


def test_what_is_said_of_a_job_at_once_goes_together_and_what_is_large_alone(application, site, monkeypatch):
    monkeypatch.setattr(_sealing, "_ALONE_FROM", 200)
    application.end.begin(2)
    small, large = ("x" * 20, "x" * 200)
    said = [(1, small), (2, small), (1, small), (1, large), (1, large), (1, small), *([(2, small)] * 20)]
    sealed = application.end.seal([Carried("east", message(Stop=[job, text])) for job, text in said])
    assert len(sealed) == 8
    came = [msgpack.unpackb(bytes(packet))["Stop"] for _, one in sealed for packet in site.end.open(*one)]
    for job in (1, 2):
        assert [one for one in came if one[0] == job] == [list(one) for one in said if one[0] == job]


LARGE = 1 << 20


def for_both(kits, large=b"x" * LARGE, after=MARK):
    """Two sites, and what is sealed of a value that both get, one of them twice; and what each is told without."""
    application = Application(kits)
    sites = {name: Site(kits, application, name) for name in ("east", "west")}
    whole = bytes(message(Item=[1, 0, [0], {"head": b"", "buffers": [{"Inline": large}]}, after]))
    begin = whole.index(large)
    cut = bytearray(whole[:begin] + whole[begin + len(large) :])
    hole = Hole(begin, 1, begin, len(large))
    packets = [Carried("east", cut, [hole]), Carried("west", bytearray(whole)), Carried("east", cut, [hole])]
    return sites, whole, application.end.seal(packets)


def taken(site, sealed, name):
    """What a site makes of all that the session's job gives it."""
    found = []
    for to, (head, body) in sealed:
        if to == SHARED:
            site.end.take_shared(head, body)
        elif to == name:
            found += [bytes(packet) for packet in site.end.open(head, body)]
    return found


@pytest.mark.parametrize("large", [b"x" * LARGE, bytes(5 * LARGE)])
@pytest.mark.parametrize("after", [MARK, MARK * 20_000])
def test_what_several_sites_get_goes_to_the_server_once_and_is_read_by_each_of_them(kits, large, after):
    sites, whole, sealed = for_both(kits, large, after)
    assert sum(len(bytes(body)) for _, (_, body) in sealed) < len(large) + 3 * (len(after) + 1000)
    shared = [(head, body) for to, (head, body) in sealed if to == SHARED]
    assert [json.loads(head)["to"] for head, _ in shared] == [["east", "west"]]
    assert all(MARK.encode() not in bytes(body) and large[:100] not in bytes(body) for _, (_, body) in sealed)
    for name, site in sites.items():
        copies = [(to, (head, bytearray(body))) for to, (head, body) in sealed]
        assert taken(site, copies, name) == [whole] * (2 if name == "east" else 1)
        assert not site.end._shared._sealed and not site.end._shared._opened


def test_a_part_that_was_changed_or_left_out_or_is_anothers_is_refused(kits):
    for change in ("bit", "none", "short", "number", "other"):
        sites, _, sealed = for_both(kits)
        if change == "other":
            others = for_both(kits)[2]
            sealed = [(to, (head, others[0][1][1] if to == SHARED else body)) for to, (head, body) in sealed]
        (head, body), rest = sealed[0][1], sealed[1:]
        body = bytearray(body)
        if change == "bit":
            body[LARGE // 2] ^= 1
        shared = (head if change != "number" else json.dumps(json.loads(head) | {"shared": 77}).encode()), body
        shared = (shared[0], body[:-1]) if change == "short" else shared
        told = rest if change == "none" else [(SHARED, shared), *rest]
        with pytest.raises(Forged):
            taken(sites["east"], told, "east")


def test_parts_that_come_twice_or_say_no_number_or_are_too_many_are_refused(site):
    for head in (b"", b"[]", b'{"shared": "1"}', b'{"shared": -1}', b'{"shared": null}', b"{}"):
        with pytest.raises(Forged):
            site.end.take_shared(head, b"x")
    site.end.take_shared(b'{"shared": 1}', b"x")
    with pytest.raises(Forged):
        site.end.take_shared(b'{"shared": 1}', b"x")
    with pytest.raises(Forged):
        for number in range(2, 200):
            site.end.take_shared(b'{"shared": %d}' % number, b"x")
    assert len(site.end._shared._sealed) == 64


def test_how_many_bytes_of_parts_wait_is_bounded(site, monkeypatch):
    monkeypatch.setattr(_shared, "MOST_WAITING", 100)
    site.end.take_shared(b'{"shared": 1}', bytes(60))
    with pytest.raises(Forged):
        site.end.take_shared(b'{"shared": 2}', bytes(60))


PLACE, COUNT = _shared._PLACE.pack, _shared._COUNT.pack


@pytest.mark.parametrize(
    "said",
    [
        b"",
        COUNT(0) + b"text",
        COUNT(1) + b"text",
        COUNT((1 << 32) - 1) + b"text" * 100,
        COUNT((1 << 32) - 1),
        COUNT(1) + PLACE(5, 1, 1, True, bytes(32), bytes(16)) + b"text",
        COUNT(2) + PLACE(3, 1, 1, False, bytes(32), bytes(16)) + PLACE(2, 1, 1, True, bytes(32), bytes(16)) + b"text",
        COUNT(1) + PLACE(1, 1, 1 << 63, True, bytes(32), bytes(16)) + b"text",
        COUNT(200) + PLACE(1, 1, 1 << 30, False, bytes(32), bytes(16)) * 200 + b"text",
    ],
)
def test_an_application_that_says_nothing_of_where_parts_belong_is_refused(application, site, said):
    with pytest.raises((Untrusted, Forged)):
        site.end._shared.whole(said)
    together = bytearray(PART(2, len(said)) + said)
    with pytest.raises((Untrusted, Forged)):
        site.end.open(*application.end._seal("east", 1, _sealing._SEVERAL, together))


def test_an_application_that_comes_back_finds_no_parts_of_the_one_before(kits, site):
    site.end.take_shared(b'{"shared": 1}', b"x")
    site.end.meet(Application(kits).hello)
    assert not site.end._shared._sealed


PART = _sealing._PART.pack
STOP = bytes(message(**ORDER))


@pytest.mark.parametrize(
    "said",
    [
        b"\x00",
        PART(False, len(STOP)) + STOP[:-1],
        PART(False, len(STOP)) + STOP + b"\x00" * (_sealing._PART.size - 1),
        PART(False, (1 << 64) - 1) + STOP,
        PART(True, 10) + bytes(10),
        PART(False, len(STOP)) + STOP + PART(True, 0),
    ],
    ids=["a byte", "cut short", "cut short behind a part", "longer than all", "no statement", "an empty statement"],
)
def test_an_application_that_says_at_once_what_is_nothing_is_refused_all_of_it(application, site, said):
    with pytest.raises(Untrusted):
        site.end.open(*application.end._seal("east", 1, _sealing._SEVERAL, bytearray(said)))


def test_what_an_application_says_first_of_a_job_is_not_left_out(application, site):
    _, second = (application.say("east", Stop=[job, 1]) for job in (1, 1))
    with pytest.raises(Forged):
        site.end.open(*second)
    assert site.open(*application.say("east", Check=[1, [], []])) is not None


@settings(deadline=None)
@given(st.permutations(range(1, 30)))
def test_each_number_comes_once_in_whatever_order(numbers):
    come, had = _Come(), {0}
    for number in numbers:
        assert [one for one in range(31) if one in come] == sorted(had)
        come.add(number)
        had.add(number)
        with pytest.raises(Forged):
            come.add(number)
    assert (come._begins, come._ends) == ([0], [30])


def test_how_much_may_be_missing_is_bounded(monkeypatch):
    monkeypatch.setattr(_sealing, "_MOST_MISSING", 3)
    come = _Come()
    for number in (2, 4, 6):
        come.add(number)
    with pytest.raises(Forged):
        come.add(8)


def test_what_one_site_says_is_not_taken_for_anothers(kits, application, site):
    other = Site(kits, application, "west")
    head, body = other.end.seal(message(**REPORT))
    with pytest.raises(Forged):
        application.end.open("east", head, body)
    head, body = application.say("west", **ORDER)
    with pytest.raises(Forged):
        site.end.open(head, body)


def test_nothing_is_held_of_jobs_that_were_cancelled(application, site):
    for job in (1, 2):
        site.end.seal(message(Report=[job, MARK]))
    site.open(*application.say("east", Cancel=1))
    assert site.end._sent.keys() == {2}
    site.end.note_order(message(Cancel=2))
    assert not site.end._sent


@pytest.mark.parametrize("name", ["west", "server", "ann"])
def test_nobody_is_introduced_as_another_site(kits, application, name):
    with pytest.raises(Untrusted):
        application.end.meet("east", Secret(kits[name], JOB, {"site": "east"}).hello)
    with pytest.raises(Untrusted):
        application.end.meet("server", Secret(kits["east"], JOB, {"site": "server"}).hello)


def test_a_site_is_not_replaced_by_another_process(kits, application, site):
    with pytest.raises(Untrusted, match="another process"):
        application.end.meet("east", Secret(kits["east"], JOB).hello)


def test_no_application_takes_the_place_of_one_but_the_next_of_the_same_user(kits, application, site):
    for name in ("bob", "east", "server"):
        with pytest.raises(Untrusted):
            site.end.meet(Secret(kits[name], JOB).hello)
    again = Application(kits)
    first = application.say("east", **ORDER)
    site.end.meet(again.hello)
    with pytest.raises(Forged):
        site.end.open(*first)
    # An earlier one is not put back, or all that it said could be said once more.
    with pytest.raises(Untrusted, match="come before"):
        site.end.meet(application.hello)


def kept(application, site, count=4):
    """What the server has of a job: the application's record and what a site has sent."""
    record = message(Plan=[1, MARK, []]), message(Input=[1, [[MARK, MARK]]]), message(Input=[1, [[MARK, MARK]]])
    packets = [(to, *map(bytes, one)) for to, one in application.end.seal([Carried("home", one) for one in record])]
    return packets + [("east", *map(bytes, site.end.seal(message(**REPORT)))) for _ in range(count)]


def come_back(kits, application, site, user="ann"):
    """An application after another one's end."""
    again = Application(kits, user)
    again.end.trust([(application.hello, application.end.escrow)])
    again.end.meet("east", site.secret.hello)
    again.end.recall(1)
    return again


def test_an_application_that_comes_back_reads_what_was_kept_for_the_one_before(kits, application, site):
    packets = kept(application, site)
    assert not any(MARK.encode() in head + body for _, head, body in packets)
    again = come_back(kits, application, site)
    found = [again.end.open_kept(*packet) for packet in packets]
    assert [outline for outline, _ in found] == [outline_of(head) for _, head, _ in packets]
    assert all(MARK.encode() in bytes(packet or b"") for _, packet in found)
    again.end.recalled(1)
    # What was on its way is as good, and what is said to this one follows it.
    late = site.end.seal(message(**REPORT))
    site.end.meet(again.hello)
    for head, body in (late, site.end.seal(message(**REPORT))):
        assert again.end.open("east", head, body) is not None
    # What it notes itself goes on where the other's record ended, and the next one reads both.
    packets += [(to, *map(bytes, one)) for to, one in again.end.seal([Carried("home", message(Input=[1, []]))])]
    last = come_back(kits, again, site)
    last.end.trust([(application.hello, application.end.escrow)])
    assert all(last.end.open_kept(*packet) for packet in packets)


@pytest.mark.parametrize("missing", [0, 1, 3, 4, 5])
def test_nothing_of_what_was_kept_is_left_out_or_put_elsewhere(kits, application, site, missing):
    """But for the last that came of each, which is as if it had never come."""
    packets = kept(application, site)
    for changed in (packets[:missing] + packets[missing + 1 :], packets[: missing + 1] + packets[missing:]):
        again = come_back(kits, application, site)
        with pytest.raises(Forged):
            [again.end.open_kept(*packet) for packet in changed]
    from_other = [("home" if site == "east" else "east", *packet) for site, *packet in packets]
    with pytest.raises(Forged):
        come_back(kits, application, site).end.open_kept(*from_other[missing])


def test_what_lacks_its_value_is_seen_and_only_what_was_had_may_lack_it(kits, application, site):
    packets = kept(application, site)
    again = come_back(kits, application, site)
    keeps = FlareKeeps.__new__(FlareKeeps)
    keeps._homesite = "home"
    history = [(site, *again.end.open_kept(site, head, None)) for site, head, _ in packets]
    told = {"about": {"about": application.end.note({"id": "s-1"}), "status": None}, "had": [], "notes": {}}
    with pytest.raises(SessionError, match="was changed, or is not all"):
        keeps._found(again.end, told, history, "")


def recalled(again, application, packets, **told):
    """What an application that comes back makes of what the server tells it."""
    keeps = FlareKeeps.__new__(FlareKeeps)
    keeps._homesite = "home"
    history = [(site, *again.end.open_kept(site, head, body)) for site, head, body in packets]
    about = {"about": application.end.note({"id": "s-1", "literals": "own"}), "status": None}
    return keeps._found(again.end, {"about": about, "had": [], "notes": {}} | told, history, "")


def test_what_the_server_says_of_a_job_replaces_nothing_that_its_application_has_noted(kits, application, site):
    packets = kept(application, site)
    about = {"about": application.end.note({"id": "s-1", "literals": "own"}), "status": None, "literals": "forged"}
    found = recalled(come_back(kits, application, site), application, packets, about=about)
    assert (found.about["id"], found.about["literals"]) == ("s-1", "own")


@pytest.mark.parametrize(
    "told",
    [
        {"about": None},
        {"about": {}},
        {"about": {"about": 1, "status": None}},
        {"had": 1},
        {"had": [[1, 2, 3]]},
        {"had": [[1, ["x"], 3]]},
        {"notes": []},
        {"notes": {"a": "b"}},
    ],
)
def test_what_a_server_tells_of_a_job_in_another_shape_is_refused(kits, application, site, told):
    packets = kept(application, site)
    with pytest.raises(SessionError, match="was changed, or is not all"):
        recalled(come_back(kits, application, site), application, packets, **told)


@pytest.mark.parametrize(
    "told", [b"", b"[]", b"{", b"[" * 100_000, b'{"begin": -1}', b'{"a": 99999999999}', b'{"a": NaN}']
)
def test_what_is_told_between_processes_is_a_small_object(told):
    with pytest.raises(ValueError, match="what was told is no"):
        _told.read(told)
    with pytest.raises(ValueError, match="is longer than"):
        _told.read(b" " * (20 << 20))
    assert _told.read(_told.tell({"had": 4_000_000_000})) == {"had": 4_000_000_000}


def test_another_users_application_reads_nothing_of_what_was_kept(kits, application, site):
    packets = kept(application, site)
    thief = come_back(kits, application, site, "bob")
    for packet in packets:
        with pytest.raises((Forged, Untrusted)):
            thief.end.open_kept(*packet)
    about = application.end.note({"name": MARK})
    for kit in ("bob", "east", "server"):
        reader = Reader(kits[kit], JOB, "home")
        reader.trust([(application.hello, application.end.escrow)])
        with pytest.raises(Untrusted):
            reader.own(about)
    owner = Reader(kits["ann"], JOB, "home")
    owner.trust([(application.hello, application.end.escrow)])
    assert owner.own(about) == {"name": MARK}


def test_an_escrow_is_of_its_own_application_alone(kits, application, site):
    packets = kept(application, site)
    other = Application(kits)
    forged = Application(kits)
    # The server puts keys of its own into a hello of its own, or another's escrow beside a true one.
    made = sign(kits["server"], HELLO, JOB, {"key": "AAAA" + public(forged.secret.key).hex()})
    for hello, kept_keys in (
        (application.hello, other.end.escrow),
        (application.hello, "AAAA"),
        (made, forged.end.escrow),
    ):
        again = Application(kits)
        again.end.trust([(hello, kept_keys)])
        again.end.meet("east", site.secret.hello)
        again.end.recall(1)
        with pytest.raises((Untrusted, Forged)):
            again.end.open_kept(*packets[0])


def changes(body):
    """What a server might do to a packet with a body like that."""
    return bytes(body[:-1]) + bytes([body[-1] ^ 1])


@pytest.mark.flare
def test_a_server_reads_nothing_and_what_it_changes_is_told(federation, fed, monkeypatch):
    """The application's own process shows what the server's has: all between the two but for their own seal."""
    seen, change = [], {"to": False, "from": False}
    push, take = Connection.push, FlareLinks._take

    def passed(packet, way):
        seen.append(b" ".join((packet.receiver.encode(), bytes(packet.content), bytes(packet.body))))
        return packet._replace(body=changes(packet.body)) if change[way] and packet.body else packet

    monkeypatch.setattr(Connection, "push", lambda self, *sent: push(self, *(passed(one, "to") for one in sent)))

    def taken(self, connection, packets):
        take(self, connection, [passed(packet, "from") for packet in packets])

    monkeypatch.setattr(FlareLinks, "_take", taken)

    def echo():
        value = fed.Echo(site="east", value=PlaceParam(place="p"))
        Yield(value=fed.Echo(site="west", value=value), place="echo")
        Yield(value=fed.Fail(site="east", value=MARK), place=f"{MARK}-place")

    with opened(federation) as session:
        job = session.execute(written(echo), {"p": MARK})
        assert job.results("echo") == [MARK]
        assert MARK in str(job.errors)
        assert len(seen) > 10 and not [one for one in seen if MARK.encode() in one]
        for way in ("to", "from"):
            change[way] = True
            job = session.execute(written(echo), {"p": MARK})
            assert job.wait_until_finished(60)
            assert job.get_status() is JobStatus.FAILED
            assert "was changed or left out on its way" in str(job.errors), job.errors
            assert all(isinstance(one, ErrorToken) for one in job.results("echo"))
            change[way] = False
