"""Does an application learn what its results are made of?"""
# pyright: basic, reportMissingImports=false

import json

import pytest
from dfm.api import EachSite, ForEach, Pipeline, PlaceParam, SecureSum, Yield
from dfm.errors import JobError
from dfm.exec._policy import read_file
from dfm.testing import Asker, Federation


def written(build):
    with Pipeline() as pipeline:
        build()
    return pipeline


def said(receipt):
    return {site: json.loads(part["text"]) for site, part in receipt["parts"].items()}


def test_a_receipt_says_which_sites_contributed_and_what_passed_between_them(shared, fed):
    def build():
        Yield(value=fed.Total(items=fed.Echo(value=PlaceParam("v"), site="east"), site="west"))

    job = shared.execute(written(build), {"v": [1, 2]}, receipt=True)
    assert job.results() == [3]
    receipt = job.receipt()
    assert json.loads(json.dumps(receipt)) == receipt and receipt["job"] == job.job_id
    sites = said(receipt)
    assert {site: one["calls"] for site, one in sites.items()} == {
        "east": [{"operation": "work.Echo", "calls": 1}],
        "west": [{"operation": "work.Total", "calls": 1}],
        "home": [],
    }
    (param,) = sites["east"]["came"]
    assert (param["from"], param["place"], len(param["sha256"])) == ("home", "v", 64)
    (to_west,), (from_east,) = sites["east"]["left"], sites["west"]["came"]
    assert (to_west["to"], to_west["operation"], from_east["from"]) == ("west", "work.Echo", "east")
    assert to_west["place"] == from_east["place"]
    assert "sha256" not in to_west | from_east, "who has a digest could guess what the application never gets"
    (result,), (left,) = sites["home"]["came"], sites["west"]["left"]
    assert (result["from"], result["sha256"], result["bytes"]) == ("west", left["sha256"], left["bytes"])
    assert not any("key" in part for part in receipt["parts"].values()), "nobody signs on the local target"


def test_each_value_is_in_a_receipt_whatever_way_it_takes(shared, fed):
    def build():
        with ForEach(fed.Count(to=5, site="east")) as number:
            found = fed.Echo(value=number, site="west")
        Yield(value=number.collect(found), place="all")
        Yield(value=fed.Count(to=3, site="east"), place="stream")

    job = shared.execute(written(build), receipt=True)
    assert (job.results("all"), job.results("stream")) == ([[0, 1, 2, 3, 4]], [0, 1, 2])
    sites = said(job.receipt())

    def passed(site, way, key, other):
        return sorted((one["place"], one["frame"]) for one in sites[site][way] if one[key] == other)

    for one, other, many in (("east", "west", 5), ("east", "home", 3)):
        left = passed(one, "left", "to", other)
        assert len(left) == many and left == passed(other, "came", "from", one)
    assert sites["east"]["calls"] == [{"operation": "work.Count", "calls": 2}]
    assert sites["west"]["calls"] == [{"operation": "work.Echo", "calls": 5}]


def test_a_receipt_says_who_is_in_a_secure_sum_and_nothing_of_their_parts(shared, fed):
    sites = ["server", "east", "west"]

    def build():
        with EachSite(sites=sites) as here:
            own = fed.Add(site=here, a=PlaceParam("value"))
        Yield(value=SecureSum(here, own, bound=1000))

    job = shared.execute(written(build), {"value": 41}, receipt=True)
    assert job.results() == [126]
    parts = said(job.receipt())
    for site in sites:
        assert {"operation": "work.Add", "calls": 1} in parts[site]["calls"]
        left = [one["operation"] for one in parts[site]["left"]]
        assert left.count("secure-sum.masked") == 1 and "work.Add" not in left


def test_a_receipt_names_the_policy_in_force(small, fed, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("default: allow\nleaves: {kinds: [number]}\n")
    asker = Asker("ada@u.example", "university", "lead")
    with Federation("small", homesite="home", policies={"east": file}, asker=asker) as running:
        job = running.session.execute(written(lambda: Yield(value=fed.Echo(value=1, site="east"))), receipt=True)
        east = said(job.receipt())["east"]
        assert (east["policy"], east["user"]) == (read_file(file).digest, "ada@u.example")
        refused = running.session.execute(written(lambda: Yield(value=fed.Echo(value="x", site="east"))), receipt=True)
        assert said(refused.receipt())["east"]["left"] == []


def test_who_has_not_asked_for_a_receipt_has_none(shared, fed):
    job = shared.execute(written(lambda: Yield(value=fed.Echo(value=1, site="east"))))
    with pytest.raises(JobError, match="executed without receipt=True"):
        job.receipt()
