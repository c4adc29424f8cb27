"""Can somebody take over another user's session, or end a site's part in it?

The attackers are users of the federation, whose messages may say any origin, for NVFlare binds that only of clients;
and a local user of a site's machine without any credential.
"""
# pyright: basic, reportMissingImports=false

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dfm.api import Yield
from dfm.errors import SessionError
from dfm.flare._cells import BATCH, ENDED, JOIN, ask, job_cell
from dfm.flare._channel import Secret
from dfm.flare._identity import read_credentials, sign
from dfm.flare._kit import Kit
from dfm.flare._login import connected, log_in
from dfm.flare._packets import Packet, Unreachable, pack
from dfm.flare._session_job import OPEN
from eventually import until
from flare_federation import opened, written
from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.cellnet.defs import MessageHeaderKey
from pipelines import chain
from processes import read

pytestmark = pytest.mark.flare

BYE = b"".join(map(bytes, pack([Packet("home", "", b'{"bye": true}')]).parts))


class Attacker:
    """Somebody who sends messages of dfm's in another's name; `core` is their cell."""

    def __init__(self, core):
        self.core_cell = core
        self._origin = None
        honest = core._send_to_endpoint

        def send(endpoint, message, *more, **options):
            if self._origin is not None and message.get_header(MessageHeaderKey.CHANNEL) == "dfm":
                message.set_header(MessageHeaderKey.ORIGIN, self._origin)
            return honest(endpoint, message, *more, **options)

        core._send_to_endpoint = send

    def say(self, origin, target, topic, headers, content):
        """Sends a message; one whose origin is not the attacker's gets no answer, whatever becomes of it."""
        self._origin = origin
        with pytest.raises(Unreachable):
            ask(self, target, topic, headers, content)


@contextlib.contextmanager
def user(federation, name):
    """An attacker who is a user of the federation."""
    session = connected(federation.kit(f"{name}@*").name, federation.kit(f"{name}@*"), 5.0)
    try:
        cell = session.api.get_cell()
        assert cell is not None
        yield Attacker(cell.core_cell)
    finally:
        session.close()


@contextlib.contextmanager
def neighbour(federation, session):
    """An attacker who reaches what the client's parent process listens on for the processes of its jobs."""
    words = read(Path(f"/proc/{federation.process('west', session)}/cmdline")).decode()
    (url,) = set(re.findall(r"tcp://[\w.]+:\d+", words))
    more = {"secure": False, "credentials": {}, "parent_resources": {"connection_security": "clear"}}
    core = CoreCell(fqcn="west.stranger", root_url="tcp://localhost:1", parent_url=url, **more)
    core.start()
    until(lambda: core.agents)
    try:
        yield Attacker(core)
    finally:
        core.stop()


def try_all(attacker, federation, connection, kit):
    """Everything that a message of dfm's can say, from everybody that it may be said to be from, to everybody."""
    job = connection.job
    application = connection._flare.api.get_cell().get_fqcn()
    server, west, east = (job_cell(name, job) for name in ("server", "west", "east"))
    # The attacker does reach the session, and gets answers to what they say in their own name.
    with pytest.raises(Unreachable, match="no messages are expected from"):
        ask(attacker, server if kit else west, BATCH, {"dfm_number": 1, "dfm_kind": "batch"}, BYE)
    for origin, target in ((application, server), (west, server), (server, west), (east, west), (server, application)):
        kinds = [{"dfm_number": number, "dfm_kind": kind} for number in (1, 0) for kind in ("batch", "beat", "piece")]
        for headers in (*kinds, {"dfm_number": 1}, {}):
            attacker.say(origin, target, BATCH, headers, BYE)
    for origin in ("west", west, application):
        for content in (b"by a stranger", b"{}", b""):
            attacker.say(origin, server, ENDED, {}, content)
            attacker.say(origin, server, JOIN, {}, content)
        if kit is not None:
            credentials = read_credentials(kit)
            attacker.say(origin, server, ENDED, {}, sign(credentials, ENDED, job, {"how": "ended"}).encode())
            attacker.say(origin, server, JOIN, {}, Secret(credentials, job).hello.encode())


@pytest.mark.parametrize("name", ["member", "other", "org", "admin"])
def test_no_user_speaks_in_anothers_session_or_ends_a_sites_part_in_it(federation, fed, name, monkeypatch):
    with opened(federation) as session, user(federation, name) as attacker:
        assert session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
        connection = session._home._links._connection
        with monkeypatch.context() as patch:
            patch.setattr("dfm.flare._cells._TIMEOUT", 0.2)
            try_all(attacker, federation, connection, federation.kit(f"{name}@*"))
        job = connection.job
        assert session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
        assert session._home._links._connection.job == job


def test_a_local_user_without_credentials_is_heard_by_no_session(federation, fed, monkeypatch):
    with opened(federation) as session:
        assert session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
        connection = session._home._links._connection
        with neighbour(federation, connection.job) as attacker, monkeypatch.context() as patch:
            patch.setattr("dfm.flare._cells._TIMEOUT", 0.2)
            try_all(attacker, federation, connection, None)
        job = connection.job
        assert session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
        assert session._home._links._connection.job == job


def test_a_job_that_waits_for_its_application_is_opened_by_its_own_user_alone(federation, fed):
    """NVFlare lets a project's admin command every session's job, and `dfm fed submit` leaves one that is not open."""
    with opened(federation) as session:
        assert session.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
        job = session._home._links._connection._submit("dfm-1234abcd", standby=True)
        kit = federation.kit("admin@*")
        thief = log_in(Kit(kit, kit.name))
        hello = Secret(read_credentials(kit), job).hello
        request = {"hello": hello, "escrow": "none", "cell": "stranger", "homesite": "home", "session": "1234abcd"}
        answers = []

        def answered():
            with contextlib.suppress(Exception):
                answers.append(thief.do_app_command(job, OPEN, request | {"keep": 0}))
            return answers

        until(answered, 60)
        assert answers == [{"error": "it belongs to user 'home@small.example'"}]
        thief.close()
        session._home._links._connection._flare.abort_job(job)


@pytest.mark.parametrize("name", ["other", "admin"])
def test_another_users_job_is_not_taken_over(federation, fed, name):
    """NVFlare lets a project's admin command every session's job."""
    with opened(federation) as session:
        job = session.execute(written(lambda: chain(fed)), {"start": 0}, autostop=False)
        assert job.job_id
        kit = federation.kit(f"{name}@*")
        with (
            opened(federation, admin_package=kit) as thief,
            pytest.raises(SessionError, match="may not use|belongs to"),
        ):
            thief.reattach(job.job_id)
        job.send_stop_frame()
        assert job.results() == [24]


def test_a_site_knows_for_whom_it_works(federation, fed):
    sites = ("home", "server", "east")
    for name, who in (("home", ["university", "lead"]), ("other", ["company", "lead"])):
        with opened(federation, admin_package=federation.kit(f"{name}@*")) as session:
            told = session.run(written(lambda: [Yield(value=fed.WhoAmI(site=site), place=site) for site in sites]))
        assert [told[site][0]["user"] for site in sites] == [[f"{name}@small.example", *who]] * 3


@contextlib.contextmanager
def lead_refused(federation, site):
    """A site's own policy lets no application submit jobs, inside."""
    policy = federation.kit(site) / "local" / "authorization.json"
    before = policy.read_text()
    told = json.loads(before)
    told["permissions"]["lead"]["submit_job"] = "none"
    policy.write_text(json.dumps(told))
    try:
        yield
    finally:
        policy.write_text(before)


def restarted(federation, site):
    """Has NVFlare read a site's policy."""
    pid = federation.process(site)
    words, environment = (read(Path(f"/proc/{pid}/{name}")).split(b"\0")[:-1] for name in ("cmdline", "environ"))
    folder = os.readlink(f"/proc/{pid}/cwd")
    os.kill(pid, signal.SIGKILL)
    until(lambda: not read(Path(f"/proc/{pid}/cmdline")))
    variables = dict(one.split(b"=", 1) for one in environment)
    with open(os.devnull, "r+") as null:
        subprocess.Popen(words, env=variables, cwd=folder, stdin=null, stdout=null, stderr=null, start_new_session=True)
    request = {"timeout": 60, "kit": str(federation.kit("admin@*")), "sites": [site]}
    wait = [sys.executable, "-c", "from dfm.flare._poc import main; main()", "wait"]
    subprocess.run(wait, input=json.dumps(request), text=True, check=True, capture_output=True)


def test_a_site_serves_no_role_that_its_own_policy_does_not_let_submit(federation, fed):
    refused = "it lets no user of the role 'lead' submit jobs"
    with (
        opened(federation) as session,
        lead_refused(federation, "east"),
        pytest.raises(SessionError, match=refused),
    ):
        session.run(written(lambda: chain(fed)), start=0)


def test_a_site_that_nvflare_lets_refuse_a_user_says_so(federation, fed):
    with lead_refused(federation, "east"):
        restarted(federation, "east")
        with opened(federation) as session:
            assert session.run(written(lambda: Yield(value=fed.Echo(site="west", value=1)))) == {"yield": [1]}
            refused = (
                r"site 'east' has no part in the session: it lets user 'home@small\.example' submit no jobs, by its own"
            )
            with pytest.raises(SessionError, match=refused):
                session.run(written(lambda: chain(fed)), start=0)
        with lead_refused(federation, "west"):
            restarted(federation, "west")
            refused = r"as sites refuse it: 'east': it lets user .* submit no jobs, by its own .*; 'west': it lets user"
            with opened(federation) as session, pytest.raises(SessionError, match=refused):
                session.run(written(lambda: Yield(value=fed.Echo(site="west", value=1))))
    for site in ("east", "west"):
        os.kill(federation.process(site), signal.SIGKILL)
    federation.dfm("poc", "start", "-f", "small")
    federation.wait()
