"""Does a session on a real federation give the same over direct connections, and where there is none?"""
# pyright: basic

import logging
import re
from pathlib import Path

import pytest
from dfm.api import PlaceParam, Yield
from dfm.flare import _cells, _direct
from dfm.flare._identity import own_pair, read_credentials
from dfm.session import JobStatus
from eventually import until
from flare_federation import declared, opened, written
from pipelines import CASES
from test_flare_run import tokens

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare


@pytest.fixture(scope="module")
def direct(federation, fed):
    """A session whose processes all speak straight to each other."""
    with declared(federation, "server", "west"), opened(federation) as session:
        session.run(written(lambda: Yield(value=fed.Add(a=fed.Add(a=1, site="east"), site="west"))))
        connected(federation, session, {"east": {"server", "west"}, "west": {"server"}})
        yield session


def log_of(federation, session, site) -> str:
    """What a site's process of the session has logged."""
    return Path(federation.kit(site), session._home._links._connection.job, "log.txt").read_text()


def connected(federation, session, clients):
    """Returns once the application and these clients are connected to all that they may be."""
    connection = session._home._links._connection
    until(lambda: connection._direct._native.is_connected(connection._cell))

    def has(site):
        return set(re.findall(r" direct connection to (.*)", log_of(federation, session, site)))

    until(lambda: all(others <= has(site) for site, others in clients.items()))


def test_what_a_configuration_declares_is_connected(federation, fed):
    """Once there is something to say; that of these tests says so of `west` alone, as long as no test here says
    otherwise."""
    with opened(federation) as session:
        session.run(written(lambda: Yield(value=fed.Add(a=1, site="west"))))
        assert " direct connection to " not in log_of(federation, session, "east")
        session.run(written(lambda: Yield(value=fed.Add(a=fed.Add(a=1, site="east"), site="west"))))
        until(lambda: " direct connection to west\n" in log_of(federation, session, "east"))
        assert " direct connection to server" not in log_of(federation, session, "east")


@pytest.mark.parametrize("case", CASES)
def test_direct_connections_give_the_tokens_that_local_gives(shared, direct, fed, case):
    assert tokens(direct, fed, case) == tokens(shared, fed, case)


def test_once_there_is_a_direct_connection_no_message_goes_through_nvflare(direct, fed, monkeypatch):
    """Of this process; a value that goes on from site to site comes back too."""

    def through_nvflare(*_):
        raise AssertionError("a message went through NVFlare")

    monkeypatch.setattr(_cells.CellTransport, "fire", through_nvflare)
    monkeypatch.setattr(_cells.CellTransport, "ask", through_nvflare)
    value = pytest.importorskip("numpy").arange(1_000_000)

    def build():
        node = PlaceParam(place="value")
        for site in ("east", "west", "east", "server"):
            node = fed.Echo(value=node, site=site)
        Yield(value=node)

    job = direct.execute(written(build), {"value": value})
    assert job.wait_until_finished(60) and job.get_status() is JobStatus.FINISHED, job.errors
    assert (job.results()[0] == value).all()


def test_what_is_under_way_when_a_connection_is_lost_comes_through_nvflare(federation, direct, fed):
    """It is lost in the middle of a stream, again and again, and is there again afterwards."""
    connection = direct._home._links._connection
    native = connection._direct._native
    certificate, _ = own_pair(read_credentials(federation.kit("server")))
    seen = []

    def take(*token):
        seen.append(token[-1])
        if len(seen) in (10, 40, 80):
            native.part(connection._cell)
            native.meet(connection._cell, certificate)

    counted = written(lambda: Yield(value=fed.Count(to=100, site="east")))
    job = direct.execute(counted, default_callback=take)
    assert job.wait_until_finished(60) and job.get_status() is JobStatus.FINISHED, job.errors
    assert seen[:-1] == list(range(100))
    until(lambda: native.is_connected(connection._cell))


def test_a_port_that_nobody_reaches_costs_a_line_in_the_log(federation, fed, monkeypatch, caplog):
    """Whoever listens does so at another address."""
    monkeypatch.setattr(_direct, "_TELL", 0.0)
    caplog.set_level(logging.INFO, "dfm")
    with declared(federation, "server", host="127.0.0.2"), opened(federation) as session:
        assert session.run(written(lambda: Yield(value=fed.Add(a=1, b=2, site="west"))))["yield"] == [3]
        until(lambda: "no direct connection to server at 127.0.0.2:" in caplog.text)
        assert session.run(written(lambda: Yield(value=fed.Add(a=2, b=2, site="west"))))["yield"] == [4]
