"""Can somebody make a receipt say that other sites contributed to a result than those that did?"""
# pyright: basic, reportMissingImports=false

import contextlib
import copy
import json
import logging

import pytest
from dfm._command.receipts import Trusted, _lines, verify
from dfm.api import Yield
from dfm.exec._contributions import Receipts, signed_text
from dfm.exec._deciding import Deciding
from dfm.exec._policy import OWN
from dfm.exec._session_key import PURPOSE, SessionKey
from dfm.exec._site import Asker
from dfm.flare._identity import sign
from dfm.session._receipt import whole_receipt
from flare_federation import opened, written
from hypothesis import given, settings
from hypothesis import strategies as st
from kits import Root

ANN = Asker("ann@x", "x", "lead")
SUM = {"sha256": "5" * 64, "bytes": 3}


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    root = Root(tmp_path_factory.mktemp("kits"))
    kits = {name: root.kit(name) for name in ("east", "west", "north")}
    kits |= {"server": root.kit("server", file="server"), "ann": root.kit("ann@x", "lead")}
    return kits | {"elsewhere": Root(tmp_path_factory.mktemp("other"), "other").kit("east")}


def passed(other, place, way, **more):
    return {way: other, "place": place, "frame": "0", "node": 1} | more


def part(
    site,
    kit,
    came=(),
    left=(),
    job=1,
    session="s1",
    asker=ANN,
    home="home",
    unlisted=0,
    application: str | None = "1" * 64,
):
    """What a site says, signed by that kit; None for an application."""
    key = kit and SessionKey(lambda content: sign(kit, PURPOSE, session, content), lambda *_: {})
    about = {"site": site, "federation": "fed", "api_version": "1.0.0", "bindings": []}
    deciding = Deciding(OWN, site, asker, logging.getLogger("dfm.test"), lambda _: None)
    receipts = Receipts(about, home, session, asker, deciding, key)
    if application is not None:
        receipts.begin(job, "0" * 64, application)
    said = {"calls": [{"operation": "work.Add", "calls": 1}], "came": list(came), "left": list(left)}
    return receipts.part(job, json.dumps(said | {"unlisted": unlisted}))


def parts(kits, **more):
    """The parts of a job in which west has used a value of east's for its result."""
    return {
        "east": part("east", kits["east"], [passed("home", "a", "from", **SUM)], [passed("west", 2, "to")]),
        "west": part("west", kits["west"], [passed("east", 2, "from")], [passed("home", 0, "to", **SUM)]),
        "home": part("home", None, [passed("west", 0, "from", **SUM)]),
    } | more


def faults(kits, given):
    receipt = given if "format" in given else whole_receipt("s1-1", "home", given)
    return verify(json.loads(json.dumps(receipt)), Trusted(kits["east"].root, "server")).faults


def test_an_honest_receipt_says_who_contributed(kits):
    receipt = whole_receipt("s1-1", "home", parts(kits))
    found = verify(receipt, Trusted(kits["east"].root, "server"))
    assert (found.faults, found.user, found.job, found.application) == ([], "ann@x", "s1-1", "1" * 64)
    assert [(one["site"], one["signed"]) for one in found.contributions] == [
        ("east", True),
        ("home", False),
        ("west", True),
    ]
    assert [(one["from"], one["sha256"]) for one in found.results] == [("west", "5" * 64)]


def test_the_servers_part_is_signed_by_who_the_server_is(kits):
    by_server = {"server": part("server", kits["server"], [], [])}
    assert faults(kits, parts(kits, **by_server)) == []
    assert any("is signed by 'north'" in one for one in faults(kits, parts(kits, server=part("server", kits["north"]))))


def test_a_receipt_of_an_earlier_dfm_says_that_it_does_not_tell_two_sessions_of_one_name(kits):
    earlier = {name: signed_anew(kits, name, application=None) for name in ("east", "west")}
    found = verify(whole_receipt("s1-1", "home", parts(kits, **earlier)), Trusted(kits["east"].root, "server"))
    assert (found.faults, found.application) == ([], "")
    assert list(_lines(found))[-1].startswith("they do not say of which application they are")


def without(kits, site):
    return {name: one for name, one in parts(kits).items() if name != site}


def changed(kits, site, change):
    receipt = whole_receipt("s1-1", "home", parts(kits))
    change(receipt["parts"][site])
    return receipt


def rewritten(before, after):
    def change(one):
        assert before in one["text"]
        one["text"] = one["text"].replace(before, after)

    return change


def as_home(kits):
    """A user hides what east has done by calling it the application's site, whose part nobody signs."""
    given = parts(kits)
    east = part("east", None, [], [passed("west", 2, "to")], home="east")
    return whole_receipt("s1-1", "east", {"east": east, "west": given["west"]})


def test_what_is_wrong_with_a_receipt_is_told_in_the_order_of_its_sites(kits):
    sites = [f"site-{number}" for number in range(8)]
    unsigned = {site: json.dumps({"text": json.loads(part(site, kits["east"]))["text"]}) for site in sites}
    found = faults(kits, parts(kits) | unsigned)
    assert found == [f"the part of site '{site}' is not signed" for site in sites]
    silent = {site: part(site, None) for site in sites}
    gave = part("home", None, [passed("west", 0, "from", **SUM)], [passed(site, 3, "to") for site in sites])
    denied = [one for one in faults(kits, parts(kits, home=gave) | silent) if "does not say so" in one]
    assert denied == [
        f"site 'home' says that it gave 1 value to site '{site}', which does not say so" for site in sites
    ]


ATTACKS = {
    "a contributor is left out": (lambda kits: without(kits, "east"), "values of site 'east', whose part is not there"),
    "the application's part is left out": (lambda kits: without(kits, "home"), "own part is not there"),
    "a contributor is called the application": (as_home, "whose application was at another site"),
    "another digest": (
        lambda kits: changed(kits, "home", rewritten("5" * 64, "6" * 64)),
        "'home' says that it got 1 value from site 'west', which does not say so",
    ),
    "a result is left out": (
        lambda kits: parts(kits, home=part("home", None)),
        "'west' says that it gave 1 value to site 'home', which does not say so",
    ),
    "a signed part is changed": (
        lambda kits: changed(kits, "west", rewritten("work.Add", "work.Mul")),
        "the part of site 'west' was changed after it was signed",
    ),
    "the signature is taken away": (
        lambda kits: changed(kits, "west", lambda one: (one.pop("key"), one.pop("signature"))),
        "the part of site 'west' is not signed",
    ),
    "no signature at all": (
        lambda kits: {name: json.dumps({"text": json.loads(one)["text"]}) for name, one in parts(kits).items()},
        "no site has signed it",
    ),
    "of another job": (lambda kits: parts(kits, east=part("east", kits["east"], job=2)), "another job, 's1-2'"),
    "of another session": (
        lambda kits: parts(kits, east=part("east", kits["east"], session="s2")),
        "another job, 's2-1'",
    ),
    "of another user": (
        lambda kits: parts(kits, north=part("north", kits["north"], asker=Asker("bob@y", "y", "lead"))),
        "the same user: 'ann@x', 'bob@y'",
    ),
    "of another session that the user has called the same": (
        lambda kits: parts(kits, north=part("north", kits["north"], application="2" * 64)),
        "have not worked for the same application, but in two sessions of one name",
    ),
    "of another session of an earlier dfm": (
        lambda kits: parts(kits, north=part("north", kits["north"], application=None)),
        "have not worked for the same application, but in two sessions of one name",
    ),
    "another site's": (
        lambda kits: parts(kits, east=parts(kits)["west"]),
        "part of site 'east' is that of site 'west'",
    ),
    "signed by another site": (lambda kits: parts(kits, east=part("east", kits["west"])), "is signed by 'west'"),
    "signed by a user": (lambda kits: parts(kits, east=part("east", kits["ann"])), "is signed by 'ann@x'"),
    "of another federation": (
        lambda kits: parts(kits, east=part("east", kits["elsewhere"])),
        "not signed by a site of this federation",
    ),
    "a site leaves its source out": (
        lambda kits: parts(kits, west=part("west", kits["west"], [], [passed("home", 0, "to", **SUM)])),
        "'east' says that it gave 1 value to site 'west', which does not say so",
    ),
    "a site makes a source up": (
        lambda kits: parts(kits, east=part("east", kits["east"])),
        "'west' says that it got 1 value from site 'east', which does not say so",
    ),
    "more than is listed": (
        lambda kits: parts(kits, north=part("north", kits["north"], unlisted=3)),
        "'north' has more values than its part lists",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_receipt_that_is_not_what_sites_have_signed_has_faults(kits, attack):
    forge, why = ATTACKS[attack]
    found = faults(kits, forge(kits))
    assert any(why in one for one in found), found


def test_a_result_is_what_its_giver_has_signed_and_not_what_the_application_calls_it(kits):
    def given(place, node, operation, digest):
        return passed("home", place, "to", node=node, operation=operation, sha256=digest * 64, bytes=3)

    def got(place, node, digest):
        return passed("west", place, "from", node=node, operation="work.Forged", sha256=digest * 64, bytes=99)

    left = [given(0, "treated", "work.Add", "a"), given(1, "placebo", "work.Mul", "b")]
    west = part("west", kits["west"], [], left)
    told = []
    for names in (("for treated", "for placebo"), ("for placebo", "for treated")):
        home = part("home", None, [got(0, names[0], "a"), got(1, names[1], "b")])
        found = verify(
            whole_receipt("s1-1", "home", {"west": west, "home": home}), Trusted(kits["east"].root, "server")
        )
        assert found.faults == []
        told.append([{key: one[key] for key in one if key != "used_by"} for one in found.results])
        assert [one["used_by"] for one in found.results] == list(names)
        assert sum("as the application says, which nobody signs" in line for line in _lines(found)) == 2
    assert told[0] == told[1]
    assert [(one["sha256"][0], one["node"], one["operation"], one["bytes"], one["signed"]) for one in told[0]] == [
        ("a", "treated", "work.Add", 3, True),
        ("b", "placebo", "work.Mul", 3, True),
    ]
    found = verify(whole_receipt("s1-1", "home", {"home": home}), Trusted(kits["east"].root, "server"))
    assert found.faults and not any(one["signed"] or one["node"] for one in found.results)


def signed_anew(kits, site, /, **odd):
    """A part that its site has signed with that in it."""
    honest = json.loads(parts(kits)[site])
    key = SessionKey(lambda content: sign(kits[site], PURPOSE, "s1", content), lambda *_: {})
    text = json.dumps(json.loads(honest["text"]) | odd)
    return json.dumps({"text": text, "signature": key.sign(signed_text(text)), "key": key.statement()})


@pytest.mark.parametrize(
    ("field", "odd"),
    [
        *((field, [field]) for field in ("user", "organisation", "application", "pipeline", "bindings", "policy")),
        *(("calls", [odd]) for odd in (7, {"operation": 1, "calls": 1}, {"operation": "a.B", "calls": "1"})),
        ("calls", [{"operation": "work.Add", "calls": 1, "provider": ["x"]}]),
        *(
            ("left", [passed("home", 0, "to", **SUM) | {key: {"x": 1}}])
            for key in ("place", "frame", "node", "operation", "sha256", "bytes")
        ),
    ],
)
def test_what_a_site_has_signed_of_another_type_is_a_fault(kits, field, odd):
    found = verify(
        whole_receipt("s1-1", "home", parts(kits, west=signed_anew(kits, "west", **{field: odd}))),
        Trusted(kits["east"].root, "server"),
    )
    assert any(one.startswith("the part of site 'west' ") for one in found.faults)
    assert all(isinstance(line, str) for line in _lines(found))


ODD = st.recursive(
    st.none() | st.integers() | st.text() | st.just("[" * 100_000) | st.just("9" * 5000),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(), of, max_size=3),
)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_stands_in_a_receipt_is_one_or_has_faults(kits, data):
    honest = whole_receipt("s1-1", "home", parts(kits))
    receipt = copy.deepcopy(honest)
    by_its_site = False
    if data.draw(st.booleans()):
        receipt[data.draw(st.sampled_from(sorted(receipt)))] = data.draw(ODD)
    else:
        one = receipt["parts"]["west"]
        if data.draw(st.booleans()):
            one[data.draw(st.sampled_from(sorted(one)))] = data.draw(ODD)
        else:
            said = json.loads(one["text"])
            said[data.draw(st.sampled_from(sorted(said)))] = data.draw(ODD)
            one["text"] = json.dumps(said)
            by_its_site = data.draw(st.booleans())
            if by_its_site:
                receipt["parts"]["west"] = json.loads(signed_anew(kits, "west", **said))
    found = verify(receipt, Trusted(kits["east"].root, "server"))
    assert found.faults or receipt == honest or by_its_site
    assert all(isinstance(line, str) for line in _lines(found))


@pytest.mark.flare
def test_each_site_signs_what_it_has_contributed(federation, fed, tmp_path):
    with opened(federation) as session:
        east = fed.Echo
        pipeline = written(lambda: Yield(value=fed.Add(a=east(value=1, site="east"), b=1, site="west")))
        job = session.execute(pipeline, receipt=True)
        assert job.results() == [2]
        path = tmp_path / "receipt.json"
        path.write_text(json.dumps(job.receipt()))
        plain = session.execute(pipeline)
        plain.wait_until_finished()
        with contextlib.suppress(Exception):
            plain.receipt()
            raise AssertionError("nobody has asked for one")
    told = json.loads(federation.dfm("--json", "jobs", "verify", str(path), "--federation", "small", "--poc"))
    assert (told["faults"], told["user"]) == ([], "home@small.example")
    assert {one["site"]: [call["operation"] for call in one["calls"]] for one in told["contributions"]} == {
        "east": ["work.Echo"],
        "west": ["work.Add"],
        "home": [],
    }
    assert all(one["pipeline"] for one in told["contributions"] if one["signed"]) and len(told["application"]) == 64
    root = federation.kit("east") / "startup" / "rootCA.pem"
    assert "the parts agree" in federation.dfm("jobs", "verify", str(path), "--root", str(root))
