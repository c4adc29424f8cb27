"""Can an application, or another site, learn what one site adds to a secure sum?"""
# pyright: basic, reportMissingImports=false

import copy
import json
import logging
from typing import Any, ClassVar

import msgpack
import pytest
from dfm.api import Pipeline, PlaceParam, TryFromCache, Yield
from dfm.errors import RefusedError
from dfm.exec._counting import Counting
from dfm.exec._deciding import Deciding
from dfm.exec._leaving import Leaving
from dfm.exec._noise import Noising
from dfm.exec._policy import Leaves, PerDay, SitePolicy, SumsPolicy
from dfm.exec._release import Releasing
from dfm.exec._session_key import PURPOSE, SessionKey
from dfm.exec._site import Asker
from dfm.exec._sums import Sums
from dfm.flare._identity import Untrusted, check_client, sign
from dfm.testing import Federation, _loop_links
from kits import Root

SITES = ["east", "west", "north"]
TERMS = {"name": "7", "sites": SITES, "least": 2, "bound": 100.0, "precision": 1e-3}
TRUSTING = SitePolicy(leaves=Leaves(sums=SumsPolicy(2, dishonest=0)))
"""Lets two of the three suffice, so that a net may say who is lost."""
ANN = Asker("ann@x", "x", "lead")


@pytest.fixture(scope="module")
def kits(tmp_path_factory):
    root = Root(tmp_path_factory.mktemp("kits"))
    return {name: root.kit(name) for name in SITES} | {"ann": root.kit("ann@x", "lead")}


def key(kit, session="s1"):
    def check(site, statement):
        try:
            return check_client(kit, statement, PURPOSE, "s1", site)
        except Untrusted as error:
            raise RefusedError(str(error)) from None

    return SessionKey(lambda content: sign(kit, PURPOSE, session, content), check)


def leaving(site, policy=TRUSTING, audit=None):
    logger = logging.getLogger("dfm.test")
    deciding = Deciding(policy, site, ANN, logger, lambda _: None)
    counting = Counting(site, ANN.user, None, policy.per_day)
    noising = Noising(site, ANN.user, lambda: None)
    return Leaving(site, deciding, counting, Releasing(site, ANN, logger, {}), noising, audit)


def call(sums, step, job=1, **given):
    found = sums.step(f"secure-sum.{step}", job)
    assert found is not None and sorted(found[1]) == sorted(given)
    return found[0](**given)


class Round:
    """A sum of three sites that sign what they say, as far as an attack wants it; values are 1, 2 and 4."""

    def __init__(self, kits, terms=TERMS, policy=TRUSTING, keys=None, logs=None):
        self.terms = terms
        signing = {site: key(kits[site]) for site in SITES} | (keys or {})
        self.sums = {site: Sums(site, signing[site], leaving(site, policy, (logs or {}).get(site))) for site in SITES}
        self.tickets, self.keys = {}, {}

    def say_keys(self):
        for site, sums in self.sums.items():
            told = call(sums, "keys", terms=self.terms)
            self.tickets[site], self.keys[site] = told["sum"], told["said"]
        return self.keys

    def share(self, keys=None):
        keys = keys or self.say_keys()
        step = {"shares": {}}
        for site, sums in self.sums.items():
            step["shares"][site] = call(sums, "shares", sum=self.tickets[site], keys=keys)["said"]
        return step["shares"]

    def mask(self, shares=None):
        shares = shares or self.share()
        return {
            site: call(
                sums,
                "masked",
                sum=self.tickets[site],
                shares={other: said[site] for other, said in shares.items()},
                value=2**number,
            )
            for number, (site, sums) in enumerate(self.sums.items())
        }

    def agree(self, **survivors):
        return {
            site: call(sums, "agreed", sum=self.tickets[site], survivors=survivors.get(site, SITES))["said"]
            for site, sums in self.sums.items()
        }

    def tell(self, site, agreed):
        return call(self.sums[site], "told", sum=self.tickets[site], agreed=agreed)


def refused(why):
    return pytest.raises(RefusedError, match=why)


def test_honest_sites_have_a_sum(kits):
    honest = Round(kits)
    masked = honest.mask()
    agreed = honest.agree()
    told = {site: honest.tell(site, agreed) for site in SITES}
    added = call(honest.sums["east"], "added", masked=masked)
    given = {"terms": TERMS, "keys": honest.keys, "added": added, "told": told}
    assert call(honest.sums["north"], "total", **given, mean=False) == 7


def test_keys_that_their_site_has_not_signed_are_refused(kits):
    attack = Round(kits)
    honest = attack.say_keys()
    stranger = Round(kits, keys={"west": key(kits["ann"])}).say_keys()["west"]
    elsewhere = Round(kits, keys={"west": key(kits["west"], session="s2")}).say_keys()["west"]
    other_terms = Round(kits, terms=TERMS | {"least": 3}).say_keys()["west"]
    forged = honest["west"] | {"keys": stranger["keys"]}
    unsigned = honest["west"] | {"by": None, "signed": None}
    for said, why in [
        (stranger, "is signed by the user 'ann@x'"),
        (elsewhere, "made for another job"),
        (other_terms, "is not signed by it"),
        (forged, "is not signed by it"),
        (unsigned, "no signed statement"),
        (honest["north"], "is signed by the participant 'north'"),
    ]:
        victim = Round(kits)
        own = victim.say_keys()["east"]
        with refused(why):
            call(
                victim.sums["east"],
                "shares",
                sum=victim.tickets["east"],
                keys={"east": own, "west": said, "north": honest["north"]},
            )


def test_sites_that_sign_nothing_take_no_part_where_others_do(kits):
    with refused("no signed statement"):
        Round(kits, keys={"north": None}).share()


def test_a_site_is_not_counted_twice(kits):
    for sites in (["east", "west", "west"], ["east", "east"]):
        with refused("on its terms, numbers would not stay hidden"):
            call(Round(kits).sums["east"], "keys", terms=TERMS | {"sites": sites})


def test_too_few_are_refused_whatever_a_net_says(kits):
    sums = Round(kits).sums["east"]
    hidden = "on its terms, numbers would not stay hidden"
    for terms, why in [
        ({"least": 1}, hidden),
        ({"sites": ["east"], "least": 1}, hidden),
        ({"sites": ["west", "north"]}, "in the place of who is no site of this sum"),
        ({"bound": 1e300}, hidden),
        ({"sites": "east"}, "no terms"),
        ({"sites": [1, 2, "east"]}, "which have names"),
        ({"least": -1}, hidden),
        ({"more": 1}, "no terms"),
    ]:
        with refused(why):
            call(sums, "keys", terms=TERMS | terms)
    attack = Round(kits)
    keys = attack.say_keys()
    with refused("only 1 sites take part"):
        call(attack.sums["east"], "shares", sum=attack.tickets["east"], keys={"east": keys["east"]})


def test_a_site_that_is_told_of_other_survivors_than_the_others_tells_nothing(kits):
    attack = Round(kits)
    attack.mask()
    agreed = attack.agree(east=["east", "west"])
    for site in SITES:
        with refused("was told of other sites, keys or contributions|of its own"):
            attack.tell(site, agreed)


def test_what_another_has_not_said_is_not_counted_as_its_word(kits):
    attack = Round(kits)
    attack.mask()
    agreed = attack.agree(east=["east", "west"], west=["east", "west"])
    # East's word in the place of the others', under their names.
    with refused("is not signed by it"):
        attack.tell("east", {"east": agreed["east"], "north": agreed["east"]})
    with refused("takes part in no such sum, or it is over"):
        attack.tell("east", agreed)


def test_masks_are_taken_off_once(kits):
    attack = Round(kits)
    attack.mask()
    agreed = attack.agree()
    assert attack.tell("east", agreed)
    for step, given in [
        ("told", {"agreed": agreed}),
        ("agreed", {"survivors": ["east", "west"]}),
        ("masked", {"shares": {}, "value": 1}),
    ]:
        with refused("takes part in no such sum, or it is over"):
            call(attack.sums["east"], step, sum=attack.tickets["east"], **given)


def test_the_same_masks_come_onto_one_value_only(kits):
    attack = Round(kits)
    shares = attack.share()
    attack.mask(shares)
    for_east = {site: said["east"] for site, said in shares.items()}
    with refused("taken once"):
        call(attack.sums["east"], "masked", sum=attack.tickets["east"], shares=for_east, value=50)
    with refused("taken once"):
        attack.agree()


def test_a_sum_is_of_one_job(kits):
    attack = Round(kits)
    keys = attack.say_keys()
    with refused("takes part in no such sum"):
        call(attack.sums["east"], "shares", job=2, sum=attack.tickets["east"], keys=keys)
    attack.sums["east"].forget(1)
    with refused("takes part in no such sum"):
        call(attack.sums["east"], "shares", sum=attack.tickets["east"], keys=keys)


def test_what_has_another_shape_is_refused_and_nothing_else_happens(kits):
    junk = [
        None,
        1,
        "x",
        b"x",
        [],
        {1: 2},
        {"east": 1},
        {"east": {}},
        {"east": {"keys": 1}},
        {"east": b"x", "west": b""},
    ]
    for said in junk:
        for step, name in [("shares", "keys"), ("masked", "shares"), ("agreed", "survivors"), ("told", "agreed")]:
            attack = Round(kits)
            shares = attack.share() if step != "shares" else attack.say_keys()
            if step in ("agreed", "told"):
                attack.mask(shares)
            given = {"sum": attack.tickets["east"], name: copy.deepcopy(said)}
            given |= {"value": 1} if step == "masked" else {}
            try:
                told = call(attack.sums["east"], step, **given)
            except RefusedError:
                continue
            assert told in (None, {"sum": attack.tickets["east"], "said": None})
    home = Round(kits).sums["north"]
    for said in junk:
        with pytest.raises(RefusedError):
            call(home, "added", masked=said)
        with pytest.raises(RefusedError):
            call(home, "total", terms=TERMS, keys=said, added=said, told=said, mean=False)


def test_open_sums_are_bounded(kits, monkeypatch):
    monkeypatch.setattr("dfm.exec._sums._MOST", 9)
    sums = Round(kits).sums["east"]
    for _ in range(3):
        call(sums, "keys", terms=TERMS)
    with refused("no more secure sums until others are over"):
        call(sums, "keys", terms=TERMS)
    sums.forget(1)
    call(sums, "keys", terms=TERMS)


def test_a_policys_word_on_sums_is_kept_by_the_site(kits):
    for leaves, terms, why in [
        (Leaves(kinds=["number"]), TERMS, "says no `sums`"),
        (Leaves(sums=SumsPolicy(3)), TERMS, "over 2 sites: it wants 3"),
        (Leaves(sums=SumsPolicy(2)), TERMS, "dishonest` of its policy .1., where 2 sites suffice: .* say at_least=3"),
        (
            Leaves(sums=SumsPolicy(2, 3)),
            TERMS | {"least": 3},
            "dishonest` of its policy .3., where 3 sites suffice: .* say at_least=4",
        ),
        (None, TERMS, "dishonest` of its policy .1., where 2 sites suffice: .* say at_least=3"),
    ]:
        with refused(why):
            Round(kits, terms=terms, policy=SitePolicy(leaves=leaves)).say_keys()
    Round(kits, policy=SitePolicy(leaves=Leaves(sums=SumsPolicy(2, 0), kinds=["nothing"]))).mask()
    for leaves in (None, Leaves(sums=SumsPolicy(2, 2))):
        Round(kits, terms=TERMS | {"least": 3}, policy=SitePolicy(leaves=leaves)).mask()


def test_what_adds_up_numbers_lets_none_leave_that_are_not_masked():
    guard = leaving("east", SitePolicy(leaves=Leaves(sums=SumsPolicy(2, 0), disclosures=["public"])))
    masked = {"numbers": b"12345678", "form": "number"}
    assert guard.judge(masked, 1, "home", "secure-sum.masked", ["secure-sum.masked"]) is masked
    for makers in (["secure-sum.added"], ["secure-sum.total"], ["secure-sum.masked", "work.Rows"], []):
        if makers:
            with refused("disclosures"):
                guard.judge(masked, 1, "home", makers[-1], makers)


def test_why_a_step_is_refused_says_nothing_of_what_it_was_given(kits):
    """Whatever a site says of a RefusedError is told, so a net could have it quote what the site keeps."""
    secret = "Ada Lovelace, E75.2"
    wrong = [
        secret,
        44.512345,
        {secret: secret},
        {secret: {"keys": secret}},
        [secret],
        {"east": {secret: 1}},
        {44.512345: 1},
    ]
    given = {
        "keys": [
            *({"terms": one} for one in wrong),
            *({"terms": TERMS | one} for one in ({"sites": [secret, secret]}, {"sites": ["east", secret], "least": 3})),
            *({"terms": TERMS | one} for one in ({"bound": -44.512345}, {"least": 44512345}, {secret: 1})),
            {"terms": TERMS | {"precision": 1e-300, "bound": 44.512345}},
        ],
        "shares": [{"sum": None, "keys": one} for one in wrong],
        "masked": [{"sum": None, "shares": one, "value": 1} for one in wrong],
        "agreed": [{"sum": None, "survivors": one} for one in wrong],
        "told": [{"sum": None, "agreed": one} for one in wrong],
    }
    for step, all_given in given.items():
        for one in all_given:
            for ticket in ("", *wrong) if "sum" in one else ("",):
                attack = Round(kits)
                if step != "keys":
                    shares = attack.share()
                    if step in ("agreed", "told"):
                        attack.mask(shares)
                    one = one | {"sum": ticket or attack.tickets["east"]}
                with pytest.raises(RefusedError) as caught:
                    call(attack.sums["east"], step, **one)
                assert not any(part in str(caught.value) for part in ("Ada", "E75", "44")), caught.value


class Log:
    """Stands for a site's audit."""

    def __init__(self):
        self.lines = []

    def refused(self, job, operation, why):
        self.lines.append((job, operation, why))


def test_no_bound_tells_which_site_has_a_number_beyond_it(kits):
    """Whoever asks with one bound after the other would have the number in a score of sums."""
    answers = {}
    for bound in (100.0, 3.0, 1.5):
        log = Log()
        attack = Round(kits, terms=TERMS | {"bound": bound, "least": 3}, logs={"north": log})
        masked = attack.mask()
        agreed = attack.agree()
        told = {site: attack.tell(site, agreed) for site in SITES}
        added = call(attack.sums["east"], "added", masked=masked)
        given = {"terms": attack.terms, "keys": attack.keys, "added": added, "told": told, "mean": False}
        try:
            answers[bound] = call(attack.sums["west"], "total", **given)
        except RefusedError as error:
            answers[bound] = str(error)
            assert not any(site in str(error) for site in SITES)
        beyond = [(1, "secure-sum.masked", "a number is none, or beyond the bound of the sum, which it spoils")]
        assert log.lines == ([] if bound == 100 else beyond)
    assert answers.pop(100.0) == 7
    assert all("at a site that nobody is told of" in answer for answer in answers.values())


def test_each_bound_is_another_question(kits):
    per_day = PerDay(questions=2)
    # Such a policy is counted by the site, over all sums; here each has sites of its own.
    attack = Round(kits, policy=SitePolicy(leaves=TRUSTING.leaves, per_day=per_day))
    for bound, precision in [(100.0, 1e-3), (50.0, 1e-3), (100.0, 1e-3), (50.0, 1e-2)]:
        attack.terms = TERMS | {"bound": bound, "precision": precision}
        if precision == 1e-2:
            with refused("`per-day.questions` of its policy is 2"):
                attack.mask()
        else:
            attack.mask()


def test_what_is_refused_of_a_sum_is_written_down(kits):
    log = Log()
    attack = Round(kits, logs={"east": log})
    with refused("numbers would not stay hidden"):
        call(attack.sums["east"], "keys", terms=TERMS | {"least": 1})
    ((job, operation, why),) = log.lines
    assert (job, operation) == (1, "secure-sum.keys") and "stay hidden" in why


POLICY = """default: deny
rules: {looks: {decision: allow, operations: [work.Echo]}}
leaves: {disclosures: [public]}
errors: type
per-day: {values: 1}
"""


@pytest.fixture
def forging(small, fed, tmp_path, monkeypatch):
    """A session of a user whose planner makes any net of steps, with the site east, which lets nothing leave; and what
    makes the node of a step there."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    with Federation("small", homesite="home", policies={"east": policy}) as running:
        known = json.loads(running.session._fed_info)
        offers = known["sites"]["east"]["offers"]
        echo = next(offer for offer in offers if offer["operation"] == "work.Echo")

        def step(name, **given):
            operation = f"secure-sum.{name}"
            echoes = known["operations"]["work.Echo"]
            parameters = dict.fromkeys(given, echoes["parameters"]["value"])
            known["operations"][operation] = echoes | {"parameters": parameters}
            offers.append(echo | {"operation": operation, "parameters": [*given], "required": [*given]})
            monkeypatch.setattr(running.session, "_fed_info", json.dumps(known))
            own = {"value": None, "dfm_operation": operation}
            annotations = dict.fromkeys(own, ClassVar) | dict.fromkeys(given, Any)
            kind = type(
                "Step", (fed.Echo,), own | {"__annotations__": annotations, "__module__": __name__}, frozen=True
            )
            return kind(**given, site="east")

        yield running.session, step


def errors_of(session, build, params=None):
    with Pipeline() as pipeline:
        build()
    job = session.execute(pipeline, params or {})
    assert job.wait_until_finished(30)
    return [error.message for token in job.errors for error in token.errors]


def test_no_step_of_a_sum_is_given_what_a_site_keeps(forging, fed):
    session, step = forging
    secret = [{"Ada Lovelace, E75.2, born 1815-12-10": 1}]
    for name, parameter in [("keys", "terms"), ("shares", "keys"), ("agreed", "survivors"), ("told", "agreed")]:

        def build(name=name, parameter=parameter):
            kept = fed.Echo(value=PlaceParam("v"), site="east")
            Yield(value=step(name, **{parameter: kept[0]}))

        told = errors_of(session, build, {"v": secret})
        assert any(f"takes its '{parameter}' from where it may not" in one for one in told), told
        assert not any("Ada" in one for one in told)


def test_no_net_says_what_a_site_adds(forging, fed):
    """If all others add what it says, the total is what the one adds."""
    session, step = forging
    for value, params in [
        (lambda: 0, {}),
        (lambda: PlaceParam("v"), {"v": 0}),
        (lambda: fed.Echo(value=0, site="home"), {}),
    ]:

        def build(value=value):
            Yield(value=step("masked", value=value()))

        told = errors_of(session, build, params)
        assert any("takes its 'value' from where it may not" in one for one in told), told


def take_past_the_cache(packet: bytes) -> bytes:
    """What opens a job, with a net in which what an operation makes goes to the join of a look-up, as if stored."""
    message = msgpack.unpackb(packet, raw=False, strict_map_key=False)
    if not (isinstance(message, dict) and "Open" in message):
        return packet
    _, _, places, transitions = message["Open"][2]
    kinds = [next(iter(step)) for step, *_ in transitions]
    if "join" not in kinds:
        return packet
    stored = next(at for at, place in enumerate(places) if place[:2] == [kinds.index("join"), 1])
    store = transitions[kinds.index("store")]
    store[2] = [arc for arc in store[2] if arc[1] != stored]
    maker = next(one for one, kind in zip(transitions, kinds, strict=True) if kind == "call" and one[1] == store[1])
    maker[2].append([None, stored, {"value": []}, False])
    return msgpack.packb(message) or b""


def test_no_site_adds_what_a_cache_had(forging, fed, monkeypatch):
    """Whoever has put a 0 there before sees in the total what another site adds."""
    session, step = forging
    opened = []
    deliver = _loop_links.LoopLinks._deliver

    def forge(links, sender, receiver, packet):
        forged = take_past_the_cache(bytes(packet))
        if forged != bytes(packet):
            opened.append(receiver)
        deliver(links, sender, receiver, forged)

    monkeypatch.setattr(_loop_links.LoopLinks, "_deliver", forge)

    def build():
        with TryFromCache(key="k", site="east") as kept:
            kept.cache(fed.Echo(value=44, site="east"))
        Yield(value=step("masked", value=kept))

    told = errors_of(session, build)
    assert opened == ["east"]
    assert any("takes its 'value' from where it may not" in one for one in told), told


def test_only_the_applications_site_adds_up(forging, fed):
    """Taking off the masks of many lost sites takes as long as anybody wants, on a thread that nothing stops."""
    session, step = forging
    for name, parameter in [("added", "masked"), ("total", "added")]:

        def build(name=name, parameter=parameter):
            Yield(value=step(name, **{parameter: fed.Echo(value=1, site="home")}))

        told = errors_of(session, build)
        assert any("is for the application's site alone" in one for one in told), told
