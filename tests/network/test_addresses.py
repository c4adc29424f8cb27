"""By which addresses is a federation on Flare reached, and through which proxies?"""
# pyright: basic, reportMissingImports=false

import contextlib
import json
import socket
import threading

import pytest
from application import EXPECTED
from dfm.api import Yield
from eventually import until
from flare_federation import declared, opened, running, written
from link import Link, aimed, target_of, through
from sessions import Application, named, reached, started_with, took

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
HOST, SIX = "server.example", "::1"


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


def test_a_site_reaches_its_server_by_such_a_name(federation, tmp_path, world):
    address = tmp_path / "address"
    address.write_text(SIX)
    settings = federation.kit("west") / "startup" / "fed_client.json"
    before = settings.read_text()
    link = Link(target_of(before)[1], at=(SIX, 0))
    settings.write_text(aimed(before, HOST, link.port))
    with started_with(federation, "west", named(world, HOST, address)):
        settings.write_text(before)
        application = Application(federation, federation.kit("home@*"), tmp_path / "tokens")
        assert application.end() == ("FINISHED", [])
        assert application.tokens() == EXPECTED
    assert link.made
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


class Proxy:
    """An HTTP proxy that connects whoever asks for that, to whatever port of this machine."""

    def __init__(self):
        self.asked = []
        """What it was asked for."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._connect, args=(self._listener.accept()[0],), daemon=True).start()

    def _connect(self, near):
        with near, contextlib.suppress(OSError):
            asked = b""
            while not asked.endswith(b"\r\n\r\n"):
                asked += near.recv(1)
            method, where, _ = asked.split(maxsplit=2)
            self.asked.append((method.decode(), where.decode()))
            with socket.create_connection(("127.0.0.1", int(where.rpartition(b":")[2]))) as far:
                near.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
                threading.Thread(target=self._pass, args=(far, near), daemon=True).start()
                self._pass(near, far)

    def _pass(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


PROJECT = """\
api_version: 3
name: small
participants:
  - {name: server, type: server, org: center, fed_learn_port: 8102, default_host: localhost}
  - {name: east, type: client, org: east}
  - {name: west, type: client, org: west}
  - {name: home@small.example, type: admin, org: university, role: lead}
builders:
  - {path: nvflare.lighter.impl.workspace.WorkspaceBuilder}
  - {path: nvflare.lighter.impl.static_file.StaticFileBuilder, args: {config_folder: config, scheme: grpc}}
  - {path: nvflare.lighter.impl.cert.CertBuilder}
  - {path: nvflare.lighter.impl.signature.SignatureBuilder}
"""


def test_a_federation_by_grpc_goes_through_the_proxies_of_the_environment(command, small, tmp_path):
    """An application and a site."""
    (tmp_path / "project.yaml").write_text(PROJECT)
    record = f"federation_dir: {small / 'small'}, config_path: federation.dfm.yaml"
    (tmp_path / "federations.yaml").write_text(
        f"federations:\n  small: {{{record}, project_path: {tmp_path / 'project.yaml'}}}\n"
    )
    of_site, of_application = Proxy(), Proxy()
    with running(command, tmp_path) as federation:
        kit = federation.kit("home@*")
        with started_with(federation, "east", {"https_proxy": of_site.url}):
            said = {"https_proxy": of_application.url, "PYTHONPATH": str(small)}
            application = Application(federation, kit, tmp_path / "tokens", **said)
            assert application.end() == ("FINISHED", [])
            assert application.tokens() == EXPECTED
        address = json.loads((kit / "startup" / "fed_admin.json").read_text())["admin"]
    for proxy in (of_site, of_application):
        assert set(proxy.asked) == {("CONNECT", f"{address['host']}:{address['port']}")}
