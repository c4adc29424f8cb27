"""Does `dfm poc` run a whole federation on this machine, tell the truth about it, and leave nothing of it?

All tests share one federation that runs; those that break it come last.
"""

import importlib
import json
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dfm.flare._kit import Kit
from dfm.flare._session_job import write_job
from eventually import until
from processes import marked, read
from small_federation import Small

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

EXAMPLE = Path(__file__).parents[2] / "examples" / "examplefed" / "examplefed"

ROLES = ("lead", "member", "org_admin")
"""Of users that the federation `greet` has beside the admin of its project; each is called as its role."""
# An application whose session others try to open; prints what each gets, before which NVFlare has words of its own.
OPEN = """
import os, pathlib, sys
from dfm.flare._channel import Secret
from dfm.flare._identity import read_credentials
from nvflare.fuel.flare_api.flare_api import new_secure_session

session = new_secure_session(os.path.basename(sys.argv[1]), sys.argv[1])
hello = Secret(read_credentials(pathlib.Path(sys.argv[1])), sys.argv[2]).hello
request = {"hello": hello, "escrow": "none", "cell": session.api.get_cell().get_fqcn()}
request |= {"homesite": "concierge", "session": "x"}
try:
    print(session.do_app_command(sys.argv[2], "dfm_open", request), flush=True)
except Exception as error:
    print(type(error).__name__, flush=True)
os._exit(0)
"""
APPLICATION = f"""
import subprocess, sys
from dfm.session import from_env
from examplefed.apps.pipeline import get_pipeline

with from_env() as session:
    print(session.run(get_pipeline()))
    job = session._home._links._connection.job
    for kit in sys.argv[1:]:
        done = subprocess.run([sys.executable, "-c", {OPEN!r}, kit, job], capture_output=True, text=True)
        print(done.stdout.splitlines()[-1], flush=True)
    print(session.run(get_pipeline()))
"""
SUBMIT = """
import os, sys, time
from nvflare.fuel.flare_api.flare_api import new_secure_session

session = new_secure_session(os.path.basename(sys.argv[1]), sys.argv[1])
print(session.submit_job(sys.argv[2]), flush=True)
os._exit(0)
"""


class World:
    """A registry with two federations whose sites have the same names, and their workspace."""

    def __init__(self, folder: Path, command: Path):
        self.folder = folder
        self.command = command
        self.registry = folder / "federations.yaml"
        for name in ("greet", "other"):
            shutil.copytree(EXAMPLE, folder / name / "examplefed", ignore=shutil.ignore_patterns("fed"))
        project = folder / "greet" / "examplefed" / "configs" / "project.yaml"
        users = "".join(
            f"  - {{name: {one}@examplefed.com, type: admin, org: examplefed, role: {one}}}\n" for one in ROLES
        )
        project.write_text(project.read_text().replace("builders:", f"{users}\nbuilders:"))
        record = "config_path: configs/federation.dfm.yaml, project_path: configs/project.yaml"
        lines = [f"  {name}: {{federation_dir: {name}/examplefed, {record}}}\n" for name in ("greet", "other")]
        self.registry.write_text("federations:\n" + "".join(lines))

    def dfm(self, *words: str, exit: int = 0) -> str:
        done = subprocess.run([self.command, "--config", self.registry, *words], capture_output=True, text=True)
        assert done.returncode == exit, done.stdout + done.stderr
        return done.stdout + done.stderr

    def submit(self, *words: str, user: str = "concierge") -> subprocess.CompletedProcess[str]:
        """Runs a pipeline or a script of `greet`."""
        self.dfm("fed", "gen", "code", "greet")
        command = [self.command, "--config", self.registry, "fed", "submit", "greet", "--poc", *words]
        environment = os.environ | {"DFM_FLARE_USER": f"{user}@examplefed.com"}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def states(self, name: str) -> dict[str, str]:
        """Each site's state, and the reason where there is one."""
        sites = json.loads(self.dfm("--json", "poc", "status", "-f", name))["sites"]
        return {site: ": ".join(filter(None, (one["state"], one["reason"]))) for site, one in sites.items()}

    def record(self, name: str, site: str) -> dict[str, Any]:
        return json.loads((self.poc(name) / "run" / f"{site}.json").read_text())

    def poc(self, name: str) -> Path:
        return self.folder / "workspace" / f"{name}_poc"

    def kits(self, name: str) -> Path:
        """The folder of the kits that were made last."""
        return Path((self.poc(name) / "run" / "kits").read_text().strip())

    def add_lounge(self, name: str) -> None:
        configs = self.folder / name / "examplefed" / "configs"
        config, project = configs / "federation.dfm.yaml", configs / "project.yaml"
        config.write_text(config.read_text() + "\n  lounge:\n    interface: {}\n")
        lounge = "  - name: lounge\n    type: client\n    org: examplefed\n"
        project.write_text(project.read_text().replace("builders:", f"{lounge}\nbuilders:"))

    def processes(self, name: str) -> list[int]:
        """All that were started for a federation, by what is in their environment."""
        return marked(f"DFM_POC={self.poc(name)}")

    def job_processes(self, name: str, job: str) -> dict[int, bytes]:
        """Those of NVFlare's job with this id, with their command lines."""
        commands = {process: read(Path(f"/proc/{process}/cmdline")) for process in self.processes(name)}
        return {process: command for process, command in commands.items() if job.encode() in command}

    def start_job(self, name: str, processes: int) -> None:
        """Submits the job of a session that no application opens, and returns when it has so many processes."""
        written = write_job(Path(tempfile.mkdtemp(dir=self.folder)), "dfm-waits", "nobody")
        admin = self.kits(name) / "concierge@examplefed.com"
        submit = [sys.executable, "-c", SUBMIT, admin, written]
        done = subprocess.run(submit, check=True, capture_output=True, text=True)
        job = done.stdout.splitlines()[-1]
        until(lambda: len(self.job_processes(name, job)) >= processes, 60)
        assert len(self.job_processes(name, job)) == processes

    def listens(self, name: str) -> set[tuple[str, int]]:
        """The addresses that a federation's processes listen on."""
        sockets: set[str] = set()
        for process in self.processes(name):
            for path in Path(f"/proc/{process}/fd").glob("*"):
                try:
                    sockets.add(os.readlink(path).removeprefix("socket:[").removesuffix("]"))
                except OSError:
                    continue
        addresses: set[tuple[str, int]] = set()
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and fields[9] in sockets:
                    host, port = fields[1].split(":")
                    addresses.add((host, int(port, 16)))
        return addresses

    def kill(self, process: int) -> None:
        descriptor = os.pidfd_open(process)
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        # Readable when it has ended.
        select.select([descriptor], [], [], 5)
        os.close(descriptor)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, command: Path) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("poc"), command)
    try:
        yield world
    finally:
        for name in ("greet", "other"):
            world.dfm("poc", "cleanup", "-f", name)


@pytest.fixture(scope="module")
def running(world: World) -> World:
    """With the federation `greet` that is ready."""
    assert "`greet` is not running" in world.dfm("poc", "wait", "-f", "greet", exit=1)
    world.dfm("poc", "start", "-f", "greet")
    answer = json.loads(world.dfm("--json", "poc", "wait", "-f", "greet", "--timeout", "90").splitlines()[0])
    assert answer["ready"]
    return world


@pytest.mark.parametrize("name", ["a b", "a'b", 'a"b', "a\\b", "a\tb"])
def test_a_path_that_no_job_can_run_in_is_refused_before_anything_is_made(
    own: Small, tmp_path: Path, name: str
) -> None:
    done = own.run("--workspace", str(tmp_path / name), "poc", "start", "-f", "small")
    assert done.returncode == 2
    assert "NVFlare takes no path with a " in done.stderr and "--workspace DIR" in done.stderr
    assert not (tmp_path / name).exists()


def test_every_site_is_connected(running: World) -> None:
    assert running.states("greet") == {"server": "connected", "reception": "connected"}
    # The only one that runs needs no name.
    lines = [line.split() for line in running.dfm("poc", "status").splitlines()]
    assert [(words[:2], words[3]) for words in lines] == [
        (["server", "connected"], "MB"),
        (["reception", "connected"], "MB"),
    ]


def test_the_doctor_tells_what_runs(running: World) -> None:
    found = json.loads(running.dfm("--json", "doctor"))["found"]
    (told,) = [one for one in found if one["part"] == "running"]
    assert told["what"].startswith("the federation greet on this machine: ")
    assert told["help"] == "`dfm poc status -f greet` says how they are"


def test_nothing_listens_beyond_the_loopback(running: World) -> None:
    addresses = running.listens("greet")
    assert {host for host, _ in addresses} == {"0100007F"}


def test_keys_are_their_owners(running: World) -> None:
    for path in [*running.poc("greet").rglob("*.key"), *running.poc("greet").rglob("cert.json")]:
        assert path.stat().st_mode & 0o077 == 0


def test_storage_is_in_the_kit(running: World) -> None:
    server = Path(running.record("greet", "server")["kit"])
    assert (server / "jobs").is_dir()
    assert (server / "snapshots").is_dir()


def test_a_start_leaves_alone_what_runs(running: World) -> None:
    before = running.record("greet", "server")
    assert "is running already" in running.dfm("poc", "start", "-f", "greet")
    assert running.record("greet", "server") == before


def test_the_logs_are_shown(running: World) -> None:
    assert "Successfully registered client:reception" in running.dfm("poc", "logs", "reception")
    assert "did you mean `reception`?" in running.dfm("poc", "logs", "recepton", "--federation", "greet", exit=2)
    assert "name the federation with `--federation greet`" in running.dfm("poc", "logs", "-f", "greet", exit=2)


def test_two_federations_do_not_meet(running: World) -> None:
    running.dfm("poc", "start", "-f", "other")
    running.dfm("poc", "wait", "-f", "other", "--timeout", "90")
    assert not running.listens("greet") & running.listens("other")
    assert "add `-f NAME`" in running.dfm("poc", "status", exit=2)
    running.dfm("poc", "stop", "-f", "other")
    assert running.processes("other") == []
    assert running.states("other") == {"server": "stopped", "reception": "stopped"}
    assert running.states("greet") == {"server": "connected", "reception": "connected"}


def test_a_kit_of_another_federation_is_refused(running: World) -> None:
    def answer(name: str) -> str:
        """What the server of `greet` says to a client of federation `name` that believes anybody."""
        kit = Path((running.poc(name) / "run" / "kits").read_text().strip()) / "reception" / "startup"
        target = json.loads((server / "fed_server.json").read_text())["servers"][0]["service"]["target"]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(kit / "client.crt", kit / "client.key")
        try:
            with socket.create_connection(("127.0.0.1", int(target.split(":")[1])), timeout=1) as plain:
                return "accepted" if context.wrap_socket(plain).recv(1) else "closed"
        except TimeoutError:
            return "accepted"
        except (ssl.SSLError, OSError) as error:
            return str(error)

    server = Path(running.record("greet", "server")["kit"]) / "startup"
    assert answer("greet") == "accepted"
    assert "unknown ca" in answer("other").lower()


@pytest.mark.parametrize(
    ("role", "code", "told"),
    [
        ("lead", 0, "yield [0]: Welcome to the reception desk"),
        ("member", 1, "user 'member@examplefed.com' may not submit jobs"),
        ("org_admin", 1, "user 'org_admin@examplefed.com' may not submit jobs"),
    ],
)
def test_only_roles_that_may_submit_open_sessions(running: World, role: str, code: int, told: str) -> None:
    pipeline = running.folder / "greet" / "examplefed" / "apps" / "pipeline.py"
    done = running.submit("pipeline", str(pipeline), user=role)
    assert done.returncode == code, done.stderr
    assert told in (done.stderr if code else done.stdout)


def test_a_session_is_opened_by_its_own_user_alone(running: World) -> None:
    application = running.folder / "application.py"
    application.write_text(APPLICATION)
    kits = Path((running.poc("greet") / "run" / "kits").read_text().strip())
    others = [str(kits / f"{role}@examplefed.com") for role in ROLES]
    done = running.submit("script", str(application), "--", *others, str(kits / "concierge@examplefed.com"))
    first, *refusals, own, last = done.stdout.splitlines()
    assert refusals == ["AuthorizationError"] * len(ROLES)
    # The same user in another application is let through by NVFlare, and refused by the session.
    assert own == "{'error': 'the session belongs to another application'}"
    assert first == last and "Welcome" in first


def test_the_next_submit_finds_its_job_started(running: World) -> None:
    pipeline = running.folder / "greet" / "examplefed" / "apps" / "pipeline.py"
    note = running.kits("greet") / "concierge@examplefed.com" / "dfm" / "standby.json"
    first, left = running.submit("pipeline", str(pipeline)), json.loads(note.read_text())
    second, next_one = running.submit("pipeline", str(pipeline)), json.loads(note.read_text())
    assert first.stdout == second.stdout and "Welcome" in second.stdout
    assert f"job {left['job']} was started for this session before" in second.stderr
    assert f"job {left['session']}-1" in second.stderr.splitlines()
    assert next_one["job"] != left["job"] and next_one["session"] != left["session"]


@pytest.mark.parametrize("note", ["no JSON", "[]", "{}", '{"job": "a", "session": "b", "clients": 1}', "[" * 100_000])
def test_what_is_no_note_of_a_job_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, note: str) -> None:
    standby: Any = importlib.import_module("dfm.flare._standby")
    monkeypatch.setenv(standby.SESSION, "1")
    (tmp_path / "small_poc").mkdir()
    (tmp_path / "small_poc" / ".poc").touch()
    kit = Kit(tmp_path / "small_poc" / "small" / "prod_00" / "ada", "ada")
    (kit.folder / "dfm").mkdir(parents=True)
    standby.leave(kit, left := standby.Standby("a", "b", []))
    assert standby.claim(kit) == left and standby.wanted(kit)
    standby.leave(kit, left)
    (kit.folder / "dfm" / "standby.json").write_text(note)
    assert standby.claim(kit) is None and list((kit.folder / "dfm").iterdir()) == []


@pytest.mark.parametrize("note", ['{"job": "no such job", "session": "1234abcd", "clients": []}', None])
def test_a_job_that_is_not_there_any_more_is_made_anew(running: World, note: str | None) -> None:
    """`None` stands for a job whose client's process was killed."""
    pipeline = running.folder / "greet" / "examplefed" / "apps" / "pipeline.py"
    path = running.kits("greet") / "concierge@examplefed.com" / "dfm" / "standby.json"
    if note is not None:
        path.write_text(note)
    else:
        job = json.loads(path.read_text())["job"]

        def clients() -> list[int]:
            return [one for one, command in running.job_processes("greet", job).items() if b"worker_process" in command]

        until(clients, 60)
        running.kill(clients()[0])
    done = running.submit("pipeline", str(pipeline))
    assert done.returncode == 0 and "Welcome" in done.stdout, done.stderr
    assert "was started for this session before" not in done.stderr
    assert path.exists() and len(list(path.parent.glob("standby*"))) == 1


def test_a_job_without_a_client_that_is_needed_is_ended_and_made_anew(running: World) -> None:
    pipeline = running.folder / "greet" / "examplefed" / "apps" / "pipeline.py"
    path = running.kits("greet") / "concierge@examplefed.com" / "dfm" / "standby.json"
    left = json.loads(path.read_text())
    path.write_text(json.dumps(left | {"clients": ["elsewhere"]}))
    done = running.submit("pipeline", str(pipeline))
    assert done.returncode == 0 and "Welcome" in done.stdout, done.stderr
    assert "was started for this session before" not in done.stderr
    until(lambda: not running.job_processes("greet", left["job"]), 60)


def test_a_new_site_joins_what_runs(running: World) -> None:
    before = [running.record("greet", site) for site in ("server", "reception")]
    # What a site has decided by itself is left alone, by a start that makes new kits too.
    own = {"authorization.json": '{"permissions": {}}\n', "policy.yaml": "errors: message\n"}
    local = running.kits("greet") / "reception" / "local"
    provisioned = {name: (local / name).read_text() for name in own}
    for name, text in own.items():
        (local / name).write_text(text)
    assert "is running already" in running.dfm("poc", "start", "-f", "greet")
    running.add_lounge("greet")
    started = running.dfm("poc", "start", "-f", "greet")
    assert "started lounge" in started and "`reception` keeps its own local/authorization.json; remove " in started
    new = running.kits("greet") / "reception" / "local"
    assert new != local and {name: (new / name).read_text() for name in own} == own
    for name, text in provisioned.items():
        (new / name).write_text(text)
    running.dfm("poc", "wait", "-f", "greet", "--timeout", "90")
    assert running.states("greet")["lounge"] == "connected"
    assert [running.record("greet", site) for site in ("server", "reception")] == before


def test_a_client_that_was_killed_is_told_and_comes_back(running: World) -> None:
    running.kill(running.record("greet", "reception")["process"])
    until(lambda: running.record("greet", "reception")["ended"] is not None)
    refusal = running.dfm("poc", "wait", "-f", "greet", exit=1)
    assert "`reception` failed: it was ended by signal 9" in refusal
    assert running.states("greet")["reception"] == "failed: it was ended by signal 9"
    running.dfm("poc", "start", "-f", "greet")
    running.dfm("poc", "wait", "-f", "greet", "--timeout", "90")


def test_a_busy_server_gets_ever_more_time_for_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nvflare.fuel.flare_api.api_spec import NoConnection

    poc: Any = importlib.import_module("dfm.flare._poc")
    asked: list[float] = []

    def connected(user: str, kit: Path, patience: float) -> str:
        asked.append(patience)
        if patience < 10:
            raise NoConnection
        return user

    monkeypatch.setattr(poc, "connected", connected)
    with socket.create_server(("127.0.0.1", 0)) as server:
        (tmp_path / "startup").mkdir()
        admin = {"host": "127.0.0.1", "port": server.getsockname()[1], "username": "ada"}
        (tmp_path / "startup" / "fed_admin.json").write_text(json.dumps({"admin": admin}))
        assert poc._Federation(tmp_path, [], time.monotonic() + 60)._login() == "ada"
    assert asked == [2, 4, 8, 16]


def test_a_server_that_cannot_start_says_why(running: World) -> None:
    running.dfm("poc", "start", "-f", "other", "--prepare-only")
    kits = Path((running.poc("other") / "run" / "kits").read_text().strip())
    (kits / "server" / "startup" / "server.key").unlink()
    running.dfm("poc", "start", "-f", "other", "--skip-prepare")
    refusal = running.dfm("poc", "wait", "-f", "other", "--timeout", "120", exit=1)
    assert "`server` failed: it ended with exit code" in refusal
    assert "server.key" in refusal


def test_nothing_is_left_whatever_was_killed(running: World) -> None:
    running.start_job("greet", processes=3)
    addresses = running.listens("greet")
    sites = {running.record("greet", site)["process"] for site in ("server", "reception", "lounge")}
    for other in set(running.processes("greet")) - sites:
        if b"poc\0supervise" in read(Path(f"/proc/{other}/cmdline")):
            running.kill(other)
    for site in ("server", "lounge"):
        running.kill(running.record("greet", site)["process"])
    assert running.states("greet")["server"] == "failed: it is gone, and so is what watched it"
    running.dfm("poc", "stop", "-f", "greet")
    assert running.processes("greet") == []
    assert addresses
    for _, port in addresses:
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0
