"""By which addresses is a federation on Flare reached, and through which proxies?"""
# pyright: basic, reportMissingImports=false

import json
import socket

import pytest
from application import EXPECTED
from dfm.api import Yield
from eventually import until
from flare_federation import declared, opened, running, written
from link import Link, through
from sessions import Application, named, reached, started_with, took

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
HOST, SIX = "six.example", "::1"


@pytest.fixture(scope="module")
def federation(command, small):
    with running(command, small) as federation:
        yield federation


def test_an_application_reaches_its_server_by_an_address_of_ipv6(federation, fed, tmp_path):
    with reached(federation, tmp_path, host=f"[{SIX}]", at=(SIX, 0)) as (session, link):
        job = session.execute(written(lambda: Yield(value=fed.Add(a=1, site="west"))))
        took(job)
        assert job.results() == [2] and link.made


def test_an_application_reaches_its_server_by_a_name_that_has_only_such_an_address(federation, tmp_path, world):
    address = tmp_path / "address"
    address.write_text(SIX)
    with through(federation.kit("home@*"), tmp_path, host=HOST, at=(SIX, 0)) as (kit, _):
        application = Application(federation, kit, tmp_path / "tokens", **named(world, HOST, address))
        assert application.end() == ("FINISHED", [])
        assert application.tokens() == EXPECTED


def test_nvflares_clients_know_no_ipv6(federation, tmp_path, world):
    """Whoever mends that has `docs/deploy.md` to mend as well."""
    address = tmp_path / "address"
    address.write_text(SIX)
    settings, log = federation.kit("west") / "startup" / "fed_client.json", federation.kit("west") / "log.txt"
    before = settings.read_text()
    content = json.loads(before)
    service = content["servers"][0]["service"]
    link = Link(int(service["target"].rpartition(":")[2]), at=(SIX, 0))
    service["target"] = f"{HOST}:{link.port}"
    settings.write_text(json.dumps(content))
    with started_with(federation, "west", named(world, HOST, address), is_there=False):
        until(lambda: "Address family for hostname not supported" in log.read_text())
        settings.write_text(before)
        assert not link.made
    link.close()


def test_direct_connections_are_made_over_ipv6(federation, fed):
    with declared(federation, "server", "west", host=SIX, listen=SIX), opened(federation) as session:
        assert session.run(written(lambda: Yield(value=fed.Add(a=fed.Add(a=1, site="east"), site="west"))))
        connection = session._home._links._connection
        until(lambda: connection._direct._native.is_connected(connection._cell))
        log = federation.kit("east") / connection.job / "log.txt"
        until(lambda: all(f" direct connection to {name}\n" in log.read_text() for name in ("server", "west")))


def test_proxies_of_the_environment_are_not_asked(federation, tmp_path):
    """NVFlare would need them to let it through: a network's owner has to."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0)
        said = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        environment = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY"), said)
        application = Application(federation, federation.kit("home@*"), tmp_path / "tokens", **environment)
        assert application.end() == ("FINISHED", [])
        with pytest.raises(BlockingIOError):
            proxy.accept()
