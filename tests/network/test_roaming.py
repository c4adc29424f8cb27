"""What becomes of a job on Flare when its application or its server leaves an address, and nobody tells connections?"""
# pyright: basic, reportMissingImports=false

import json
import shutil
import subprocess
import time

import pytest
from application import EXPECTED
from eventually import until
from link import Link, through
from sessions import Application, named, patient

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
SPACE, HERE, THERE = "dfm-roams", "dfm-here", "dfm-there"
SERVER, FIRST, SECOND, MOVED = "10.99.7.1", "10.99.7.2", "10.99.7.3", "10.99.7.4"
HOST = "server.example"


@pytest.fixture(scope="module")
def federation(command, small):
    with patient(command, small) as federation:
        yield federation


def ip(*words, inside=False):
    command = ["ip", "netns", "exec", SPACE, "ip", *words] if inside else ["ip", *words]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def network():
    """What has a link to this machine, and an address on it."""
    if shutil.which("ip") is None or not ip("netns", "add", SPACE):
        pytest.skip("only root can make a network on Linux")
    try:
        assert ip("link", "add", HERE, "type", "veth", "peer", "name", THERE, "netns", SPACE)
        assert ip("addr", "add", f"{SERVER}/24", "dev", HERE) and ip("link", "set", HERE, "up")
        assert ip("addr", "add", f"{FIRST}/24", "dev", THERE, inside=True)
        assert ip("link", "set", "lo", "up", inside=True) and ip("link", "set", THERE, "up", inside=True)
        yield
    finally:
        ip("link", "del", HERE)
        ip("netns", "del", SPACE)


def test_an_application_goes_on_from_another_address(federation, tmp_path, network):
    """As a laptop that changes to another network."""
    way = {"host": SERVER, "at": (SERVER, 0), "delay": 0.05, "rate": 100_000}
    with through(federation.kit("home@*"), tmp_path, **way) as (kit, _):
        application = Application(federation, kit, tmp_path / "tokens", within=("ip", "netns", "exec", SPACE))
        until(lambda: len(application.tokens()["yield"]) > 100)
        assert ip("addr", "del", f"{FIRST}/24", "dev", THERE, inside=True)
        assert ip("addr", "add", f"{SECOND}/24", "dev", THERE, inside=True)
        begin = time.monotonic()
        assert application.end() == ("FINISHED", [])
        assert application.tokens() == EXPECTED
        print(f"\nit was at its end after {time.monotonic() - begin:.1f} s")


def test_an_application_finds_a_server_that_has_left_its_address(federation, tmp_path, network, world):
    """As one whose machine is another one from now on."""
    address = tmp_path / "address"
    address.write_text(SERVER)
    way = {"host": HOST, "delay": 0.05, "rate": 100_000}
    with through(federation.kit("home@*"), tmp_path, at=(SERVER, 0), **way) as (kit, link):
        said = {"within": ("ip", "netns", "exec", SPACE), **named(world, HOST, address)}
        application = Application(federation, kit, tmp_path / "tokens", **said)
        until(lambda: len(application.tokens()["yield"]) > 100)
        assert ip("addr", "del", f"{SERVER}/24", "dev", HERE) and ip("addr", "add", f"{MOVED}/24", "dev", HERE)
        settings = federation.kit("home@*") / "startup" / "fed_admin.json"
        moved = Link(json.loads(settings.read_text())["admin"]["port"], at=(MOVED, link.port))
        address.write_text(MOVED)
        assert application.end() == ("FINISHED", [])
        assert application.tokens() == EXPECTED
        moved.close()
