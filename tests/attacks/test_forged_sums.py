"""Can an application, or another site, learn what one site adds to a secure sum?"""
# pyright: basic, reportMissingImports=false

import copy
import logging

import pytest
from dfm.errors import RefusedError
from dfm.exec._counting import Counting
from dfm.exec._deciding import Deciding
from dfm.exec._leaving import Leaving
from dfm.exec._noise import Noising
from dfm.exec._policy import OWN, Leaves, SitePolicy
from dfm.exec._release import Releasing
from dfm.exec._session_key import PURPOSE, SessionKey
from dfm.exec._site import Asker
from dfm.exec._sums import Sums
from dfm.flare._identity import Untrusted, check_client, sign
from kits import Root

SITES = ["east", "west", "north"]
TERMS = {"name": "7", "sites": SITES, "least": 2, "bound": 100.0, "precision": 1e-3}
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


def leaving(site, policy=OWN):
    logger = logging.getLogger("dfm.test")
    deciding = Deciding(policy, site, ANN, logger, lambda _: None)
    counting = Counting(site, ANN.user, None, policy.per_day)
    noising = Noising(site, ANN.user, lambda: None)
    return Leaving(site, deciding, counting, Releasing(site, ANN, logger, {}), noising)


def call(sums, step, job=1, **given):
    found = sums.step(f"secure-sum.{step}", job)
    assert found is not None and sorted(found[1]) == sorted(given)
    return found[0](**given)


class Round:
    """A sum of three sites that sign what they say, as far as an attack wants it; values are 1, 2 and 4."""

    def __init__(self, kits, terms=TERMS, policy=OWN, keys=None):
        self.terms = terms
        signing = {site: key(kits[site]) for site in SITES} | (keys or {})
        self.sums = {site: Sums(site, signing[site], leaving(site, policy)) for site in SITES}
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
        with refused("is named twice"):
            call(Round(kits).sums["east"], "keys", terms=TERMS | {"sites": sites})


def test_too_few_are_refused_whatever_a_net_says(kits):
    sums = Round(kits).sums["east"]
    for terms, why in [
        ({"least": 1}, "more than half"),
        ({"sites": ["east"], "least": 1}, "over 2 to 255 sites"),
        ({"sites": ["west", "north"]}, "'east' is no site of this sum"),
        ({"bound": 1e300}, "too many digits"),
        ({"sites": "east"}, "no terms"),
        ({"sites": [1, 2, "east"]}, "which have names"),
        ({"least": -1}, "there is no secure sum"),
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
        (Leaves(sums=3), TERMS, "over 2 sites: it wants 3"),
    ]:
        with refused(why):
            Round(kits, terms=terms, policy=SitePolicy(leaves=leaves)).say_keys()
    Round(kits, policy=SitePolicy(leaves=Leaves(sums=2, kinds=["nothing"]))).mask()


def test_what_adds_up_numbers_lets_none_leave_that_are_not_masked():
    guard = leaving("east", SitePolicy(leaves=Leaves(sums=2, disclosures=["public"])))
    masked = {"numbers": b"12345678", "form": "number"}
    assert guard.judge(masked, 1, "home", "secure-sum.masked", ["secure-sum.masked"]) is masked
    for makers in (["secure-sum.added"], ["secure-sum.total"], ["secure-sum.masked", "work.Rows"], []):
        if makers:
            with refused("disclosures"):
                guard.judge(masked, 1, "home", makers[-1], makers)
