"""Whose pickles does a site open, which lets them run code there?"""
# pyright: basic, reportMissingImports=false

import logging

import pytest
from dfm import _values
from dfm.api import PickledObject, Pipeline, PlaceParam, Yield
from dfm.session import JobStatus

NAMED = {"site": "west", "pickle_from": ["ann@x", "east", "home"]}


def test_a_site_opens_pickles_of_those_that_it_names():
    assert _values.pickles_of({"site": "west"}, "home", "ann@x") == set()
    assert _values.pickles_of(NAMED, "home", "bob@y") == {"east"}
    assert _values.pickles_of(NAMED, "home", "ann@x") == {"east", "home"}
    assert _values.pickles_of(NAMED, "west", "ann@x") == set()


def test_no_user_is_a_site_nor_is_one_by_the_name_of_it():
    """Whoever has an application has a site's name for it, and may be called as a site is."""
    for user in ("east", "home", "", "ann@x ", "ANN@X"):
        assert _values.pickles_of(NAMED, "home", user) == {"east"}
        assert _values.pickles_of(NAMED, "east", user) == {"home"}


@pytest.fixture
def strict(small):
    from small.fed.runtime.home import get_session

    with get_session(target="local", logger=logging.getLogger("pickles"), strict=True) as session:
        yield session


def written(value):
    with Pipeline() as pipeline:
        Yield(value=value())
    return pipeline


def test_a_pickle_is_opened_from_the_site_that_is_named_and_from_no_other(strict, fed):
    """`west` names `east`, and not whoever runs this."""
    opened = written(lambda: fed.Echo(value=fed.Pickle(value=1, site="east"), site="west"))
    assert strict.run(opened) == {"yield": [{"of": 1}]}


@pytest.mark.parametrize("site", ["home", "server"])
def test_a_pickle_of_others_is_refused(strict, fed, site):
    job = strict.execute(written(lambda: fed.Echo(value=fed.Pickle(value=1, site=site), site="west")))
    assert refused(job) == "west"


def test_an_application_opens_none(strict, fed):
    assert refused(strict.execute(written(lambda: fed.Pickle(value=1, site="east")))) == "home"


def test_a_pickle_of_the_applications_user_is_refused(strict, fed):
    pickled = PickledObject(value={"of": 1})
    job = strict.execute(written(lambda: fed.Echo(value=PlaceParam(place="x"), site="west")), {"x": pickled})
    assert refused(job) == "west"
    assert refused(strict.execute(written(lambda: fed.Echo(value=pickled, site="west")))) == "west"


def refused(job):
    assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
    (error,) = job.errors[0].errors
    assert "does not accept pickled objects" in error.message
    return error.site
