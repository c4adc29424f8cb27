"""What becomes of a job on Flare when a site's client starts anew, or its server moves?"""
# pyright: basic, reportMissingImports=false

import json
import shutil

import pytest
from application import EXPECTED
from dfm.api import Yield
from dfm.session import JobStatus
from eventually import until
from flare_federation import written
from link import Link, aimed, beyond, target_of
from sessions import Application, end, end_client, named, patient, reached, started_with, took

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
HOST = "moves.example"
PATIENCE = 30


@pytest.fixture(scope="module")
def federation(command, small):
    with patient(command, small, PATIENCE) as federation:
        yield federation


def test_a_client_that_starts_anew_far_away_is_told_and_takes_part_in_the_next_job(federation, fed, tmp_path):
    far = {"delay": 0.025}
    with beyond(federation, "east", **far), reached(federation, tmp_path, **far) as (session, _):
        session.prepare(written(lambda: Yield(value=fed.Add(a=1, site="east"))))
        in_job = session._home._links._connection.job
        job = session.execute(written(lambda: Yield(value=fed.Wait(seconds=60, site="east"))))
        process = federation.process("east", in_job)
        end_client(federation, "east")
        end(process)
        assert job.wait_until_finished(60) and job.get_status() is JobStatus.FAILED
        assert {(one.site, one.type) for token in job.errors for one in token.errors} == {("east", "SiteLostError")}
        federation.dfm("poc", "start", "-f", "small", "--skip-prepare")
        federation.wait()
        again = session.execute(written(lambda: Yield(value=fed.Add(a=1, site="east"))))
        took(again)
        assert again.results() == [2]


class Moving:
    """A server that is at one address, and then at another, under one name."""

    def __init__(self, port, file, **how):
        self._to, self._file, self._how = port, file, how
        self._at(2, 0)
        self.port = self._link.port

    def _at(self, last, port):
        address = f"127.0.0.{last}"
        self._link = Link(self._to, **self._how, at=(address, port))
        self._file.write_text(address)

    def move(self):
        """Ends all connections, and none can be made where it was."""
        self._link.close()
        self._at(3, self.port)

    def close(self):
        self._link.close()


def test_an_application_finds_its_server_at_another_address(federation, tmp_path, world):
    kit, file = tmp_path / "kit", tmp_path / "address"
    shutil.copytree(federation.kit("home@*"), kit)
    settings = kit / "startup" / "fed_admin.json"
    content = json.loads(settings.read_text())
    server = Moving(content["admin"]["port"], file, delay=0.05, rate=50_000)
    content["admin"] |= {"host": HOST, "port": server.port}
    settings.write_text(json.dumps(content))
    application = Application(federation, kit, tmp_path / "tokens", **named(world, HOST, file))
    until(lambda: len(application.tokens()["yield"]) > 100)
    server.move()
    assert application.end() == ("FINISHED", [])
    assert application.tokens() == EXPECTED
    server.close()


def test_a_site_finds_its_server_at_another_address(federation, tmp_path, world):
    file = tmp_path / "address"
    settings = federation.kit("east") / "startup" / "fed_client.json"
    before = settings.read_text()
    server = Moving(target_of(before)[1], file, delay=0.05, rate=50_000)
    settings.write_text(aimed(before, HOST, server.port))
    with started_with(federation, "east", named(world, HOST, file)):
        # Where it starts without that, it finds the server by its own kit again.
        settings.write_text(before)
        application = Application(federation, federation.kit("home@*"), tmp_path / "tokens")
        until(lambda: len(application.tokens()["yield"]) > 100)
        server.move()
        assert application.end() == ("FINISHED", [])
        assert application.tokens() == EXPECTED
    server.close()
