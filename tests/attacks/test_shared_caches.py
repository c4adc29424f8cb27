"""What does a user find in a site's cache that the configuration shares with all or with a group, and what can they put
there?"""
# pyright: basic, reportMissingImports=false

import logging

import pytest
from dfm._native import CacheStep, NotFound
from dfm.exec import FsspecConfig
from dfm.exec._adapters import Adapters
from dfm.exec._cache_owners import owners_for
from dfm.exec._site import Asker
from dfm.flare._channel import Secret
from dfm.flare._sealing import SiteSealing
from dfm.flare._signing import Signer
from kits import Root

ANN, BOB, OWN = (
    Asker("ann@x", "x", "lead", False),
    Asker("bob@y", "y", "lead", False),
    Asker("eve@s", "s", "lead", True),
)
STRANGER = Asker("carl@z", "z", "lead", False)


@pytest.fixture
def cache(tmp_path):
    """Looks up and stores under the key `k`, as a site does that works for somebody."""

    class Cache:
        def __init__(self, asker, shared=True, groups=None):
            settings = {
                "site": "s",
                "federation": "f",
                "api_version": "1.0.0",
                "bindings": [],
                "info": {},
                "impl": None,
            }
            settings |= {
                "vault": {},
                "providers": {},
                "cache": {"base_path": str(tmp_path / "cache"), "shared": shared, "groups": groups or {}},
            }
            self.adapters = Adapters(settings, "home", "session", logging.getLogger("dfm.test"), asker)

        def look_up(self):
            return self.adapters.bound(CacheStep.LOOK_UP, None).body(("k",))

        def store(self, value):
            key = self.look_up().key
            self.adapters.bound(CacheStep.STORE, None).body(key, value)

    return Cache


def test_nobody_plants_a_value_that_another_reads(cache):
    cache(ANN).store("forged")
    assert isinstance(cache(BOB).look_up(), NotFound)
    assert isinstance(cache(OWN).look_up(), NotFound)
    assert cache(ANN).look_up().value == "forged"
    # What is stored twice does not get there either: the key of the site's own runs is given to nobody else.
    cache(OWN).store("own")
    cache(ANN).store("forged again")
    assert cache(BOB).look_up().value == "own"
    assert cache(OWN).look_up().value == "own"
    assert cache(ANN).look_up().key != cache(OWN).look_up().key


def test_what_the_sites_own_run_has_kept_is_found_by_all(cache):
    cache(OWN).store("own")
    assert cache(ANN).look_up().value == cache(BOB).look_up().value == "own"


def test_a_cache_that_nobody_has_declared_shared_is_not(cache):
    cache(OWN, shared=False).store("own")
    for asker in (ANN, BOB):
        assert isinstance(cache(asker, shared=False).look_up(), NotFound)
        assert isinstance(cache(asker).look_up(), NotFound)


def test_a_group_finds_and_keeps_what_is_its_own(cache):
    groups = {"study": ["ann@x", "bob@y"], "trial": ["eve@s"]}
    cache(ANN, False, groups).store("of the study")
    assert cache(BOB, False, groups).look_up().value == "of the study"
    assert isinstance(cache(OWN, False, groups).look_up(), NotFound)
    assert isinstance(cache(STRANGER, False, groups).look_up(), NotFound)
    cache(STRANGER, False, groups).store("forged")
    assert cache(ANN, False, groups).look_up().value == "of the study"


def test_a_name_makes_nobody_a_group(cache):
    """Neither a user who is called as it is, nor another group that has its name and other users."""
    cache(ANN, False, {"study": ["ann@x", "bob@y"]}).store("of the study")
    for name in ("study", "group", "shared"):
        assert isinstance(cache(Asker(name, "x", "lead", False), False, {"other": ["eve@s"]}).look_up(), NotFound)
    assert isinstance(cache(BOB, False, {"trial": ["ann@x", "bob@y"]}).look_up(), NotFound)
    assert isinstance(cache(BOB, False, {"ann@x": ["bob@y"]}).look_up(), NotFound)


def test_who_joins_or_leaves_a_group_finds_nothing_of_before_and_leaves_nothing(cache):
    cache(ANN, False, {"study": ["ann@x", "bob@y"]}).store("of both")
    assert isinstance(cache(STRANGER, False, {"study": ["ann@x", "bob@y", "carl@z"]}).look_up(), NotFound)
    assert isinstance(cache(BOB, False, {"study": ["bob@y"]}).look_up(), NotFound)
    # Their order says nothing, nor who is there twice.
    assert cache(BOB, False, {"study": ["bob@y", "ann@x", "bob@y"]}).look_up().value == "of both"


def test_a_group_in_a_shared_cache_finds_also_what_is_everybodys(cache):
    groups = {"study": ["ann@x", "bob@y"]}
    cache(OWN, True, groups).store("own")
    assert cache(ANN, True, groups).look_up().value == "own"
    cache(ANN, True, groups).store("of the study")
    assert cache(BOB, True, groups).look_up().value == "of the study"
    assert cache(STRANGER, True, groups).look_up().value == "own"
    assert cache(OWN, True, groups).look_up().value == "own"


def test_where_a_site_refuses_calls_nobody_finds_the_results_of_others():
    groups = {"study": ["ann@x", "bob@y"]}
    for user in ("ann@x", "bob@y", "eve@s"):
        asker = Asker(user, "x", "lead", False)
        assert owners_for(asker, FsspecConfig(shared=True, groups=groups), restricted=True) == [(user,)]


def test_a_site_takes_its_own_organisations_runs_for_its_own_and_no_others(tmp_path):
    """By certificates that it has checked, whatever the application says of itself."""
    root = Root(tmp_path)
    site = root.kit("east")
    for user, own in ((root.kit("ann@x", "lead"), True), (root.kit("bob@y", "lead", org="elsewhere"), False)):
        application = Secret(user, "job", Signer().about | {"organisation": "org"})
        sealing = SiteSealing(site, "job", "home", Secret(site, "job"), application.hello)
        assert sealing.is_own is own
