"""Does a session on a real NVFlare federation do what one on the local target does, and say what goes wrong?

All tests of sessions share one federation that runs; here those that break it come last.
"""
# pyright: basic, reportMissingImports=false

import dataclasses
import gc
import json
import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from dfm.api import Advise, ErrorToken, PickledObject, Pipeline, PlaceParam, Yield
from dfm.errors import JobError, PlanError, SessionError
from dfm.session import JobStatus, Running
from eventually import until
from flare_federation import as_home, opened, written
from pipelines import CASES, chain, echoes
from processes import read

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare


@pytest.fixture(scope="module")
def flare(federation):
    with opened(federation) as session:
        yield session


def tokens(session, fed, case):
    """All that an application sees, in an order of its own: by place and frame, the items of a stream as they came."""
    build, frames = CASES[case]
    frames = [{name: value() if callable(value) else value for name, value in one.items()} for one in frames]
    seen = []
    job = session.execute(written(lambda: build(fed)), frames, default_callback=lambda *token: seen.append(token))
    assert job.wait_until_finished(60)
    told = [(place, str(frame.frame), str(node), site, shown(data)) for site, node, frame, place, data in seen]
    return job.get_status(), sorted(told, key=lambda token: token[:4])


def shown(data):
    if isinstance(data, ErrorToken):
        return [(one.site, one.node, one.operation, one.frame, one.type, one.message, one.line) for one in data.errors]
    if hasattr(data, "tobytes"):
        return (str(data.dtype), data.shape, data.tobytes())
    return f"{type(data).__name__} {data}"


@pytest.mark.parametrize("case", CASES)
def test_flare_gives_the_tokens_that_local_gives(shared, flare, fed, case):
    expected = tokens(shared, fed, case)
    assert len(expected[1]) > 1
    assert tokens(flare, fed, case) == expected


def test_a_job_is_recorded_and_run_again_without_its_federation(flare, fed, small, tmp_path):
    def pipeline():
        Yield(value=fed.Echo(value=fed.Add(a=PlaceParam(place="a"), site="east"), site="home"), place="out")

    job = flare.execute(written(pipeline), {"a": 1}, record=tmp_path / "job.jsonl")
    assert job.results("out") == [2]
    job.check_recorded()
    line = [sys.executable, "-c", "from dfm._command.replay import main; main()"]
    line += [str(tmp_path / "job.jsonl"), "text", ""]
    done = subprocess.run(line, cwd=small, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "out [0] from home: 2" in done.stdout.splitlines()
    assert done.stdout.splitlines()[-1].startswith("as then: 1 call at home, 1 came to what it had come to")


def test_discovery_finds_what_it_finds_on_local(shared, flare, fed):
    with Pipeline(mode="discovery") as pipeline:
        report = fed.Report(city=Advise(), month=Advise(), site=Advise())
        fed.Report(city="Oslo", month="June")
        fed.Ask(how="raise", value=Advise())
    found = flare.discover(pipeline)
    assert list(found[report]) == [("east", None), ("east", "archive"), ("west", None)]
    assert found == shared.discover(pipeline)
    with Pipeline(mode="discovery") as pipeline:
        strange = fed.Ask(how="object", value=Advise(), site="west")
        report = fed.Report(city=Advise(), month=Advise(), site="west")
    found = flare.discover(pipeline)
    assert "a value of type builtins.object" in found[strange]["west", None].msg
    assert list(found[report]["west", None]) == ["Oslo"]


def test_only_the_first_execution_pays_for_the_jobs_start(flare, fed):
    prepared = flare.prepare(written(lambda: chain(fed)))
    job = flare._home._links._connection.job
    for _ in range(10):
        flare.run(prepared, start=1)
    assert flare._home._links._connection.job == job


def test_operations_run_in_the_process_of_their_site(flare, fed, federation):
    results = flare.run(written(lambda: [Yield(value=fed.WhoAmI(site=s), place=s) for s in ("home", "server", "east")]))
    pids = {site: values[0]["pid"] for site, values in results.items()}
    job = flare._home._links._connection.job
    assert pids["home"] == os.getpid()
    for site in ("server", "east"):
        assert job in read(Path(f"/proc/{pids[site]}/cmdline")).decode()
        assert pids[site] in federation.processes()
        assert results[site][0]["site"] == site


def test_several_executions_at_once(flare, fed):
    prepared = flare.prepare(written(lambda: chain(fed)))
    jobs = [flare.execute(prepared, {"start": n}) for n in range(20)]
    assert [job.results() for job in jobs] == [[n + 24] for n in range(20)]


def test_nothing_of_a_session_lives_when_it_is_closed(federation, fed):
    """NVFlare keeps its cell for a while, and what it knows of streams."""
    with opened(federation) as session:
        assert session.run(written(lambda: chain(fed)), start=1) == {"yield": [25]}
        home = weakref.ref(session._home)
    del session
    # Threads that have been told to end, such as its lane's, may be at their last step.
    until(lambda: gc.collect() >= 0 and home() is None)


def test_a_session_that_is_closed_while_it_logs_in_is_logged_out(federation, monkeypatch):
    """Else NVFlare would keep its connection, and make it again, as long as the application lives."""
    from dfm.flare import _connection
    from nvflare.fuel.f3.cellnet.core_cell import CoreCell

    real = _connection.log_in

    def until_closed(kit, check):
        found = real(kit, check)
        assert check.__self__._closing.wait(30)
        return found

    monkeypatch.setattr(_connection, "log_in", until_closed)
    before = set(CoreCell.ALL_CELLS)
    with opened(federation) as session:
        session.connect()
    until(lambda: set(CoreCell.ALL_CELLS) <= before)


def test_two_sessions_at_once(federation, flare, fed):
    with opened(federation) as other:
        for session in (other, flare):
            assert session.run(written(lambda: chain(fed)), start=1) == {"yield": [25]}
        assert other._home._links._connection.job != flare._home._links._connection.job


def test_a_cancelled_execution_ends_at_once_and_the_session_goes_on(flare, fed):
    job = flare.execute(written(lambda: Yield(value=fed.Wait(seconds=600, site="east"))))
    until(lambda: any(isinstance(one, Running) for one in job.waiting()))
    session = flare._home._links._connection.job
    job.cancel()
    assert job.get_status() is JobStatus.ABORTED
    assert flare.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
    assert flare._home._links._connection.job == session


def test_every_value_arrives_as_it_left(flare, fed):
    worldly = pytest.importorskip("worldly", exc_type=ImportError)
    worldly.check(flare, fed)


def test_a_value_that_needs_pickle_is_refused(flare, fed):
    job = flare.execute(written(lambda: echoes(fed)), {"start": PickledObject(value={1})})
    assert job.wait_until_finished(20)
    assert job.get_status() is JobStatus.FAILED
    assert "pickle" in job.errors[0].errors[0].message


def test_a_literal_that_needs_pickle_is_refused(flare, fed):
    job = flare.execute(written(lambda: Yield(value=fed.Echo(value=PickledObject(value={1}), site="east"))))
    assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
    (error,) = job.errors[0].errors
    assert (error.site, error.operation) == ("east", "work.Echo") and "accept pickled objects" in error.message


def test_a_pickle_is_opened_where_the_site_names_its_user(flare, fed):
    """`west` names the user of the kit `home`, and `east`."""
    job = written(lambda: Yield(value=fed.Echo(value=PlaceParam(place="start"), site="west")))
    assert flare.run(job, start=PickledObject(value={1})) == {"yield": [{1}]}
    literal = PickledObject(value={"of": 2})
    assert flare.run(written(lambda: Yield(value=fed.Echo(value=literal, site="west")))) == {"yield": [{"of": 2}]}
    of_east = written(lambda: Yield(value=fed.Echo(value=fed.Pickle(value=3, site="east"), site="west")))
    assert flare.run(of_east) == {"yield": [{"of": 3}]}
    of_server = written(lambda: Yield(value=fed.Echo(value=fed.Pickle(value=3, site="server"), site="west")))
    job = flare.execute(of_server)
    assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
    assert "accept pickled objects" in job.errors[0].errors[0].message


@dataclasses.dataclass
class Own:
    """Of a package that the federation does not name."""

    x: int


def test_a_class_of_another_package_is_refused(flare, fed):
    job = flare.execute(written(lambda: echoes(fed)), {"start": Own(1)})
    assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
    told = job.errors[0].errors[0].message
    assert "a value of type test_flare_run.Own cannot be sent: sites rebuild classes of small" in told
    assert "this is one of package 'test_flare_run'; name that in `values: {packages: […]}`" in told


def test_a_site_refuses_what_it_does_not_offer(federation, fed, monkeypatch):
    """Even when the application's own copy of the federation claims that it does."""
    with opened(federation) as session:
        info = json.loads(session._fed_info)
        east = info["sites"]["east"]["offers"]
        who = next(offer for offer in east if offer["operation"] == "work.WhoAmI")
        who["parameters"].append("secret")
        east.append(next(offer for offer in info["sites"]["west"]["offers"] if offer["operation"] == "work.Die"))
        session._fed_info = json.dumps(info)

        with pytest.raises(SessionError, match=r"site 'east' does not offer 'work\.Die', .*`dfm poc restart`"):
            session.prepare(written(lambda: Yield(value=fed.Die(how="exit", site="east"))))

        pipeline = written(lambda: Yield(value=fed.WhoAmI(site="east")))
        document = json.loads(pipeline.model_dump_json())
        document["statements"][0]["arguments"]["secret"] = {"literal": "none"}
        monkeypatch.setattr(Pipeline, "model_dump_json", lambda self: json.dumps(document))
        job = session.execute(pipeline)
        with pytest.raises(JobError, match="takes no parameter 'secret'"):
            job.wait_until_finished(20)
            job.raise_for_errors()


def test_messages_that_are_not_sealed_or_from_elsewhere_are_refused(federation, flare, fed):
    from dfm.flare._cells import BATCH, JOIN, CellTransport, ask
    from dfm.flare._packets import Packet, Unreachable, pack

    assert flare.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
    connection = flare._home._links._connection
    cell, target = connection._flare.api.get_cell(), connection._cell
    bye = b"".join(map(bytes, pack([Packet("home", "", b'{"bye": true}')]).parts))
    for number in (1, 10**6, -1, "1", None):
        for kind, content in (("batch", bye), ("beat", b"x" * 32), ("piece", b"x" * 80), ("other", b""), (None, bye)):
            with pytest.raises(Unreachable, match="is not sealed by"):
                ask(cell, target, BATCH, {"dfm_number": number, "dfm_kind": kind}, content)
    with pytest.raises(Unreachable, match="takes no part"):
        ask(cell, target, JOIN, {}, b"{}")
    with opened(federation) as other:
        assert other.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}
        connected = other._home._links._connection
        with pytest.raises(Unreachable, match="no messages are expected from"):
            CellTransport(connected._flare.api.get_cell(), target).ask("beat", 0, [connected._lane.answer()], 2.0)
    assert flare.run(written(lambda: chain(fed)), start=0) == {"yield": [24]}


def test_submit_runs_a_pipeline_on_the_running_federation(federation, tmp_path):
    file = tmp_path / "pipeline.py"
    file.write_text(
        "from dfm.api import Pipeline, Yield\nfrom small.fed.api import work\n"
        "def get_pipeline(args):\n    with Pipeline() as p:\n"
        "        Yield(value=work.Add(a=work.Add(a=int(args[0]), site='east'), site='server'))\n    return p\n"
    )
    words = ["fed", "submit", "small", "--poc", "pipeline", str(file), "--", "5"]
    command = [federation.command, "--config", federation.registry, *words]

    def jobs(site):
        return {path.name for path in federation.kit(site).iterdir()}

    before = {site: jobs(site) for site in ("east", "west")}
    done = subprocess.run(command, env=as_home(), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "yield [0]: 7\n")
    assert "waiting for the server to start it" in done.stderr and "nvflare" not in done.stderr.lower()
    # A site that it does not need starts no process for it, nor for the session that may follow.
    assert jobs("west") == before["west"] and jobs("east") > before["east"]


def test_a_session_for_some_sites_has_no_others(federation, fed):
    with opened(federation, sites=["west"]) as session:
        build = lambda site: written(lambda: Yield(value=fed.Add(a=1, site=site)))  # noqa: E731
        assert session.run(build("west")) == {"yield": [2]}
        with pytest.raises(PlanError, match="east"):
            session.prepare(build("east"))
        with pytest.raises(SessionError, match="site 'east' has no part in the session, .* for west alone; name it in"):
            session.prepare(build("east"), restrict_to_sites=["east"])
        with pytest.raises(AssertionError, match="east has no such process"):
            federation.process("east", session._home._links._connection.job)


def test_a_kit_that_is_none_is_told(tmp_path, small):
    from small.fed.runtime.home import get_session

    with pytest.raises(SessionError, match=r"no startup/fed_admin\.json"):
        get_session(target="flare", admin_package=tmp_path)
