"""Does an application that was killed find its job again and get every token exactly once? What does `dfm jobs` say?"""

import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import flare_application as application
import pytest
from dfm import _native
from dfm._running.loop import SiteLoop
from dfm._values import error_token
from dfm.api import PlaceParam, Yield
from dfm.errors import SessionError
from dfm.exec import Frame
from dfm.flare import _told
from dfm.flare._had import FlareKeeping, FlareKeeps, Surroundings
from dfm.flare._links import FlareLinks
from dfm.flare._packets import Packet
from dfm.session import STATUS_PLACE, JobStatus
from dfm.session._callbacks import Callbacks
from dfm.session._delivery import Delivery, KeptJob
from dfm.session._keeping import PositionFile
from dfm.session._open import seconds_kept
from flare_federation import Federation, opened, written

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

NEVER = 1 << 30


class Application:
    """Runs of an application that are parts of one job."""

    def __init__(self, federation: Federation, folder: Path) -> None:
        self.federation, self.file = federation, folder / "tokens"
        self.job = ""

    def run(self, die: int) -> tuple[int, str]:
        """Goes on until it has had so many tokens more; its exit code and its last word."""
        words = [application.__file__, self.federation.kit("home@*"), self.file, die, *([self.job] if self.job else [])]
        environment = os.environ | {"PYTHONPATH": str(self.federation.registry.parent)}
        command = [sys.executable, *map(str, words)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=120)
        told = done.stdout.split()
        self.job = self.job or told[0]
        return done.returncode, told[-1]

    def tokens(self) -> dict[tuple[str, int], list[Any]]:
        """What all its runs have had, in order, by place and frame."""
        tokens: dict[tuple[str, int], list[Any]] = defaultdict(list)
        for line in self.file.read_text().splitlines():
            place, frame, data = json.loads(line)
            tokens[place, *frame].append(data)
        return tokens


def expected() -> dict[tuple[str, int], list[Any]]:
    no_luck = "no luck with 1"
    tokens: dict[tuple[Any, ...], list[Any]] = {("_dfm_status_",): [no_luck] * application.FRAMES + [None]}
    for frame in range(application.FRAMES):
        tokens |= {(site, frame): list(range(application.ITEMS)) for site in application.STREAMS}
        tokens |= {("sum", frame): [frame + len(application.CHAIN)], ("bad", frame): [no_luck]}
    return tokens


@pytest.fixture(scope="module")
def flare(federation: Federation) -> Iterator[Any]:
    with opened(federation) as session:
        yield session


def jobs(federation: Federation, *words: str) -> Any:
    """What `dfm --json jobs` answers."""
    return json.loads(federation.dfm("--json", "jobs", words[0], "small", "--poc", *words[1:]))


def wait_for(federation: Federation, job: str, status: str) -> dict[str, Any]:
    """Waits until a job is so far. Of one that has just begun, the server may not have heard."""
    deadline = time.monotonic() + 60
    while (shown := {one["id"]: one for one in jobs(federation, "list")["jobs"]}.get(job, {})).get("status") != status:
        assert time.monotonic() < deadline, shown
    return shown


def east_counts(fed: ModuleType) -> None:
    Yield(value=fed.Count(to=50, site="east"), place="numbers")
    Yield(value=fed.Add(a=PlaceParam(place="start"), site="west"), place="sum")


def test_an_application_that_is_killed_again_and_again_gets_every_token_exactly_once(
    federation: Federation, tmp_path: Path
) -> None:
    app = Application(federation, tmp_path)
    for die in (100, 700, 1):
        assert app.run(die) == (-9, app.job)
        assert app.job in [job["id"] for job in jobs(federation, "list")["jobs"]]
    assert app.run(NEVER) == (0, "FAILED")
    assert app.tokens() == expected()


def test_a_large_parameter_is_had_by_its_site_whatever_becomes_of_its_application(
    federation: Federation, flare: Any, fed: ModuleType
) -> None:
    """It is not in the job's record."""
    value, had = os.urandom(300_000), list[Any]()

    def add(site: str, node: object, frame: object, place: str, data: Any) -> None:
        had.append(data)

    pipeline = written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="value"), site="west")))
    job = flare.execute(pipeline, {"value": value})
    job.detach()
    with opened(federation) as again:
        found = again.reattach(job.job_id, place_callbacks={"yield": add})
        assert found.wait_until_finished(60)
        assert (found.get_status(), found.errors) == (JobStatus.FINISHED, [])
    assert value in had


def test_a_job_goes_on_without_its_application_and_what_it_yielded_is_kept(
    federation: Federation, flare: Any, fed: ModuleType, tmp_path: Path
) -> None:
    job = flare.execute(written(lambda: east_counts(fed)), [{"start": 1}, {"start": 2}])
    job.detach()
    assert job.get_status() is JobStatus.UNKNOWN
    assert not job.wait_until_finished()
    shown = wait_for(federation, job.job_id, "FINISHED")
    assert (shown["tokens"], shown["errors"], shown["frames"]) == (102, 0, 2)
    assert (shown["kept"], shown["followed"], shown["homesite"]) == (True, False, "home")

    for _ in range(2):
        words = ["jobs", "results", "small", job.job_id, "--poc", "--output", str(tmp_path)]
        printed = federation.dfm(*words).splitlines()
        assert sorted(printed)[-2:] == [f"sum [{n}]: {n + 2} -> {tmp_path / f'sum-{n}.json'}" for n in (0, 1)]
        assert len(printed) == 102
    assert json.loads((tmp_path / "sum-1.json").read_text()) == 3

    sums: list[int] = []

    def add(site: str, node: object, frame: object, place: str, value: int) -> None:
        sums.append(value)

    with opened(federation) as other:
        again = other.reattach(job.job_id, place_callbacks={"sum": add})
        assert again.results("numbers") == [*range(50)] * 2
        assert sorted(sums) == [2, 3]
        assert again.get_status() is JobStatus.FINISHED


def test_a_job_that_this_session_has_left_comes_back_to_it(flare: Any, fed: ModuleType) -> None:
    job = flare.execute(written(lambda: east_counts(fed)), None, autostop=False)
    job.send_input_params({"start": 5})
    job.detach()
    again = flare.reattach(job.job_id)
    again.send_input_params({"start": 6})
    again.send_stop_frame()
    assert again.results("sum") == [6, 7]
    assert again.results("numbers") == [*range(50)] * 2
    # Its results were had, so nothing is kept.
    over = flare.reattach(job.job_id)
    assert over.wait_until_finished(10)
    assert (over.get_status(), over.results("sum")) == (JobStatus.FINISHED, [])


def test_what_comes_right_behind_all_that_was_kept_is_not_lost(
    federation: Federation, flare: Any, fed: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    flare.connect()
    pipeline = written(lambda: Yield(value=fed.Count(to=50, site="east"), place="numbers"))
    assert flare.run(pipeline) == {"numbers": [*range(50)]}
    east, came = federation.process("east", flare._home._links._connection.job), threading.Event()
    answered, soon = FlareKeeps.take_answer, SiteLoop.soon

    def take_answer(keeps: FlareKeeps, job: int, told: object) -> None:
        answered(keeps, job, told)
        os.kill(east, signal.SIGCONT)
        # Until it is here, this thread does nothing else.
        assert came.wait(60)

    def see(loop: SiteLoop, work: Any) -> None:
        soon(loop, work)
        if any(isinstance(one, Packet) and one.sender == "east" for one in getattr(work, "args", [[]])[-1]):
            came.set()

    os.kill(east, signal.SIGSTOP)
    try:
        job = flare.execute(pipeline)
        job.detach()
        monkeypatch.setattr(FlareKeeps, "take_answer", take_answer)
        monkeypatch.setattr(SiteLoop, "soon", see)
        again = flare.reattach(job.job_id)
    finally:
        os.kill(east, signal.SIGCONT)
    assert again.wait_until_finished(20)
    assert again.results("numbers") == [*range(50)]


def test_a_job_is_cancelled_by_its_application_or_without_it(
    federation: Federation, flare: Any, fed: ModuleType
) -> None:
    pipeline = written(lambda: Yield(value=fed.Wait(seconds=600, site="east")))
    job = flare.execute(pipeline)
    shown = wait_for(federation, job.job_id, "RUNNING")
    assert (shown["waiting"], shown["application"], shown["followed"]) == (["east"], True, True)
    assert jobs(federation, "cancel", job.job_id)["by"] == "application"
    assert job.wait_until_finished(20)
    assert job.get_status() is JobStatus.ABORTED

    left = flare.execute(pipeline)
    left.detach()
    assert wait_for(federation, left.job_id, "RUNNING")["kept"]
    assert jobs(federation, "cancel", left.job_id)["by"] == "server"
    assert jobs(federation, "show", left.job_id)["status"] == "ABORTED"
    with pytest.raises(AssertionError, match="at its end: ABORTED"):
        jobs(federation, "cancel", left.job_id)
    over = flare.reattach(left.job_id)
    assert over.wait_until_finished(10)
    assert over.get_status() is JobStatus.ABORTED


def test_the_logs_of_a_jobs_processes_are_found(federation: Federation, flare: Any, fed: ModuleType) -> None:
    job = flare.execute(written(lambda: Yield(value=fed.AddOnThread(a=1, site="east"))))
    assert job.results() == [2]
    logs = jobs(federation, "logs", job.job_id)["logs"]
    assert {"server", "east", "west"} <= set(logs)
    assert "it was printed that 1 + 1 are asked for" in logs["east"]
    assert set(jobs(federation, "logs", job.job_id, "--site", "east")["logs"]) == {"east"}


def test_the_sites_of_a_federation_tell_what_happened_in_a_job(
    federation: Federation, flare: Any, fed: ModuleType
) -> None:
    job = flare.execute(written(lambda: east_counts(fed)), [{"start": 1}, {"start": 2}])
    assert job.wait_until_finished(60)
    flare._history.flush()
    shown = jobs(federation, "show", job.job_id)
    told = (shown["target"], shown["status"], shown["frames"], shown["tokens"], shown["params"], shown["left_out"])
    assert told == ("flare", "FINISHED", 2, 102, ["start"], 0)
    calls = {(one["operation"], one["site"]): (one["calls"], one["sent"] > 0) for one in shown["nodes"]}
    assert calls == {("work.Count", "east"): (2, True), ("work.Add", "west"): (2, True)}


def test_what_cannot_be_found_again_is_told(federation: Federation, flare: Any, shared: Any, fed: ModuleType) -> None:
    with pytest.raises(SessionError, match="knows no job '00000000-1'"):
        flare.reattach("00000000-1")
    with pytest.raises(SessionError, match="is not a job's id"):
        flare.reattach("nonsense")
    job = flare.execute(written(lambda: Yield(value=fed.Wait(seconds=600, site="east"))))
    with pytest.raises(SessionError, match="receives the tokens of job .* already"):
        flare.reattach(job.job_id)
    job.cancel()
    with pytest.raises(
        AssertionError, match=r"its session is not over \(NVFlare's job [^,]*, RUNNING\): the server has not"
    ):
        jobs(federation, "show", f"{job.job_id}999")
    with pytest.raises(SessionError, match="jobs of the local target do not outlive their session"):
        shared.reattach("00000000-1")


PROJECT = """\
api_version: 3
name: small
participants:
  - {name: server, type: server, org: dfm, fed_learn_port: 8002, admin_port: 8003}
  - {name: east, type: client, org: dfm}
  - {name: west, type: client, org: dfm}
  - {name: ann@small.local, type: admin, org: dfm, role: lead}
  - {name: bob@small.local, type: admin, org: dfm, role: lead}
builders:
  - {path: nvflare.lighter.impl.workspace.WorkspaceBuilder}
  - {path: nvflare.lighter.impl.static_file.StaticFileBuilder, args: {config_folder: config, scheme: tcp}}
  - {path: nvflare.lighter.impl.cert.CertBuilder}
  - {path: nvflare.lighter.impl.signature.SignatureBuilder}
"""


def test_another_users_job_cannot_be_taken(federation: Federation, fed: ModuleType, tmp_path: Path) -> None:
    # Kits of more users, from a copy of what signs them.
    shutil.copytree(federation.folder, tmp_path / "workspace" / "small_poc", symlinks=True)
    (tmp_path / "project.yaml").write_text(PROJECT)
    record = f"federation_dir: {federation.registry.parent / 'small'}, config_path: federation.dfm.yaml"
    registry = tmp_path / "federations.yaml"
    registry.write_text(f"federations:\n  small: {{{record}, project_path: {tmp_path / 'project.yaml'}}}\n")
    words = [federation.command, "--config", registry, "poc", "start", "-f", "small", "--prepare-only"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ann, bob = (max(tmp_path.glob(f"workspace/small_poc/small/prod_*/{user}@*")) for user in ("ann", "bob"))

    with opened(federation, admin_package=ann) as owner, opened(federation, admin_package=bob) as thief:
        job = owner.execute(written(lambda: east_counts(fed)), {"start": 1})
        job.detach()
        with pytest.raises(SessionError, match="user 'bob@small.local' may not use the job"):
            thief.reattach(job.job_id)
        assert owner.reattach(job.job_id).results("sum") == [2]


def test_a_line_that_was_torn_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "job"
    first = PositionFile(path)
    first.note((0, 0), 5)
    first.note((0, 1), 7)
    first.close(remove=False)
    whole = path.read_bytes()
    for torn in (whole[:-3], whole[:-1], whole + b"     ", whole + b"\0" * 40, whole + b"           3 [0, {}]\n"):
        path.write_bytes(torn)
        second = PositionFile(path)
        assert second.read().items() <= {(0, 0): 5, (0, 1): 7}.items()
        assert second.read()[(0, 0)] == 5
        second.note((2, 2), 1)
        second.close(remove=False)
        assert PositionFile(path).read()[(2, 2)] == 1


@pytest.mark.parametrize(("keep", "seconds"), [(0, 0.0), (None, 3600.0), ("7.5", 7.5)])
def test_a_job_is_kept_as_long_as_is_said(keep: Any, seconds: float) -> None:
    assert seconds_kept({"keep": keep}) == seconds


@pytest.mark.parametrize("keep", [-1, "nan", float("inf"), "an hour", [], ""])
def test_what_is_no_time_is_refused(keep: Any) -> None:
    with pytest.raises(SessionError, match="keep, or DFM_FLARE_KEEP, is a number of seconds from 0 on, not "):
        seconds_kept({"keep": keep})


def test_a_position_file_holds_what_was_noted_last(tmp_path: Path) -> None:
    path = tmp_path / "had" / "job"
    first = PositionFile(path)
    assert first.read() == {}
    for total in range(1, 100):
        first.note((0, 0), total)
    first.note("end", 1)
    first.note((0, 0), 100)
    # The next application goes on in the same file, whatever became of the first.
    second = PositionFile(path)
    assert second.read() == {(0, 0): 100, "end": 1}
    second.note((1, 2, 3), 7)
    assert PositionFile(path).read() == {(0, 0): 100, "end": 1, (1, 2, 3): 7}
    with open(path, "ab") as file:
        file.write(
            b'           5 {"a": 1}\n           x [1]\n\xff\n           3 ' + b"[" * 100_000 + b"\n           4 [[1]]\n"
        )
    assert PositionFile(path).read() == {(0, 0): 100, "end": 1, (1, 2, 3): 7}, "what nobody noted says nothing"
    second.close(remove=True)
    assert not path.exists()


def test_what_is_noted_when_nobody_can_ask_for_it_any_more_leaves_no_file(tmp_path: Path) -> None:
    """A callback returns on its thread as the job's end is told on another."""
    path = tmp_path / "job"
    file = PositionFile(path)
    file.note((1, 0), 1)
    file.close(remove=True)
    file.note((1, 0), 2)
    assert not path.exists()


def test_nothing_is_told_of_tokens_of_a_job_that_is_forgotten(tmp_path: Path) -> None:
    async def keep() -> None:
        told: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        at = tmp_path / "job", told.append, loop
        keeping = FlareKeeping(1, *at, lambda then: then(), over=lambda: None, is_cut_off=lambda: False)
        keeping.note((1, 0), 1)
        keeping.flush()
        keeping.note((1, 0), 2)
        keeping.forget()
        keeping.flush()
        assert [next(iter(one)) for one in told] == ["had", "forget"]

    asyncio.run(keep())


class Pushed:
    """A connection of which each message is known."""

    def __init__(self) -> None:
        self.messages: list[list[bytes]] = []

    def push(self, *packets: Packet) -> None:
        self.messages.append([bytes(packet.content) for packet in packets])


def test_what_the_sessions_job_is_told_goes_with_what_is_sent_and_only_questions_do_not_wait() -> None:
    async def tell() -> None:
        links = cast(Any, FlareLinks.__new__(FlareLinks))
        settings = SimpleNamespace(homesite="home")
        links._home = SimpleNamespace(loop=asyncio.get_running_loop(), settings=settings)
        links._connection = pushed = Pushed()
        links._untold, links._telling = [], None
        begin, confirm, forget = ({word: 1} for word in ("begin", "confirm", "forget"))
        links._tell(begin)
        assert pushed.messages == []
        links._push([Packet("home", "east", b"x")])
        links._tell(forget)
        links._tell(confirm)
        links._tell(forget)
        async with asyncio.timeout(20):
            while len(pushed.messages) < 3:
                await asyncio.sleep(0)
        said = {name: _told.tell(what) for name, what in (("begin", begin), ("confirm", confirm), ("forget", forget))}
        assert pushed.messages == [[said["begin"], b"x"], [said["forget"], said["confirm"]], [said["forget"]]]

    asyncio.run(tell())


def keeps_in(folder: Path, tell: Any) -> FlareKeeps:
    """Of a session whose job is open."""
    sealing = SimpleNamespace(begin=print, note=json.dumps)
    return FlareKeeps(
        folder,
        Surroundings(
            loop=asyncio.get_running_loop(),
            homesite="home",
            tell=tell,
            opened=lambda: asyncio.sleep(0),
            why_lost=str,
            once_begun=lambda job, then: then(),
            sealing=lambda: cast(Any, sealing),
            over=lambda job: None,
        ),
    )


def test_what_was_had_of_a_job_that_is_cut_off_stays_noted_without_the_errors_of_that(tmp_path: Path) -> None:
    """Whoever comes back to it gets the rest, each token once."""

    async def keep() -> None:
        told: list[dict[str, Any]] = []
        keeps = keeps_in(tmp_path, told.append)
        keeping = keeps.keeping(1, "a-1")
        home = SimpleNamespace(settings=SimpleNamespace(homesite="home", logger=logging.getLogger()))
        had = Delivery(cast(Any, home), 1, {}, Callbacks(None, {}, None), KeptJob(keeping))
        keeps.began(1, {"id": "a-1"})
        frame, lost = Frame((0,)), error_token([_native.Failure("east", None, None, (0,), "SiteLostError", "", "")], {})
        had.deliver("east", 0, frame, "yield", [0, 1], (0, 0))
        keeps.fail("it is silent")
        had.deliver("east", 0, frame, "yield", [lost], (0, 0))
        had.deliver("home", None, frame, STATUS_PLACE, [lost], "error")
        assert had.take("yield") == [0, 1, lost] and had.take(STATUS_PLACE) == [lost]
        had.end(JobStatus.FAILED)
        assert PositionFile(tmp_path / "a-1").read() == {(0, 0): 2}
        assert [next(iter(one)) for one in told] == ["begin"]
        # In another job of the session nothing is cut off.
        keeps.begin_again()
        again = keeps.keeping(2, "a-2")
        keeps.began(2, {"id": "a-2"})
        again.note((0, 0), 1)
        again.forget()
        assert not (tmp_path / "a-2").exists() and told[-1] == {"forget": 2}

    asyncio.run(keep())


def test_where_nothing_is_kept_any_more_nobody_waits_to_be_sure_of_it(tmp_path: Path) -> None:
    """The session's job is lost before what was made at home is to be told."""

    async def ask() -> None:
        told: list[dict[str, Any]] = []
        keeps = keeps_in(tmp_path, told.append)
        sure: list[int] = []
        keeps.when_sure(1, lambda: sure.append(1))
        keeps.fail("it was ended")
        assert sure == [1]
        keeps.when_sure(2, lambda: sure.append(2))
        assert sure == [1, 2] and told == [{"confirm": 1}]
        keeps.begin_again()
        keeps.when_sure(3, lambda: sure.append(3))
        assert sure == [1, 2]
        keeps.take_confirmation(3)
        assert sure == [1, 2, 3]

    asyncio.run(ask())
