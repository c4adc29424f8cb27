"""Do some rounds of random faults break no promise? `make soak` plays many more."""
# pyright: basic, reportMissingImports=false

import functools
import threading
from collections import Counter

import programs
import pytest
import soak
import targets
from eventually import until


@pytest.mark.timeout(600)
def test_jobs_end_as_they_have_to_whatever_happens(small):
    before = threading.active_count()
    seen, broken = soak.sessions(targets.local, "round", 100)
    assert not broken and sum(seen.values()) == 100
    until(lambda: threading.active_count() <= before)


@pytest.mark.flare
@pytest.mark.timeout(300)
def test_jobs_on_flare_end_as_they_have_to_whatever_happens(federation):
    seen, broken = soak.sessions(functools.partial(targets.flare, federation), "f", 10)
    assert not broken and sum(seen.values()) == 10
    assert {"cut", "kill", "stop", "cancel"} <= seen.keys(), "take a seed with all of them"


@pytest.mark.timeout(120)
def test_nothing_outlives_an_application_that_is_killed(small):
    assert not soak.victims(small, "victim", 3)


def test_programs_hold_every_construct():
    """A driver that has lost one would still pass."""
    kinds = Counter(
        type(one).__name__ for seed in range(300) for one in programs.everything(programs.program(f"{seed}"))
    )
    assert {one.__name__ for one in programs.Statement.__args__} == kinds.keys() and min(kinds.values()) > 50, kinds
