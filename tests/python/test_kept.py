"""What do a site's adapters begin, end and keep, and what of it outlasts a job, a session and a process?"""
# pyright: basic, reportMissingImports=false

import importlib
import os
import signal
import stat
from pathlib import Path

import kept_federation
import numpy as np
import pytest
from dfm.api import ErrorToken, Pipeline, Yield
from dfm.errors import DfmError, JobError, LimitError, SessionError, StateError
from dfm.exec._state import InMemory, OnDisk, State
from dfm.testing import Federation

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def package(command: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("kept")
    kept_federation.write(folder, command)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("XDG_STATE_HOME", str(folder / "states"))
        yield folder


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("KEPT_LOG", str(path))
    return path


@pytest.fixture
def ops(package: Path, log: Path):
    return importlib.import_module("kept.fed.api.life"), importlib.import_module("kept.fed.api.keep")


def new_session():
    return importlib.import_module("kept.fed.runtime.home").get_session(target="local")


def asking(*operations, **params):
    """A pipeline of so many calls, one after the other."""
    with Pipeline() as pipeline:
        before = None
        for number, operation in enumerate(operations):
            before = operation(site="away", dfm_after=before, **params)
            Yield(value=before, place=str(number))
    return pipeline


def ask(session, *operations, **params):
    found = session.run(asking(*operations, **params))
    return [found[str(number)][0] for number in range(len(operations))]


def test_an_object_is_set_up_once_before_its_first_call_and_torn_down_at_the_end(ops, log):
    life, _ = ops
    with new_session() as session:
        first = ask(session, life.Once, life.Once)
        assert ask(session, life.Once) == first[:1] and first[0] == first[1]
        assert log.read_text() == f"{first[0]} begins\n"
    assert log.read_text() == f"{first[0]} begins\n{first[0]} ends\n"


def test_a_job_may_have_an_object_of_its_own(ops, log):
    life, _ = ops
    with new_session() as session:
        one = ask(session, life.OfJob, life.OfJob)
        two = ask(session, life.OfJob)
    assert one[0] == one[1] != two[0]
    told = log.read_text().splitlines()
    assert sorted(told) == sorted(f"{name} {what}" for name in (one[0], two[0]) for what in ("begins", "ends"))
    assert told[0] == f"{one[0]} begins" and told.index(f"{one[0]} ends") < told.index(f"{two[0]} ends")


def test_all_bindings_of_a_site_may_share_an_object(ops, log):
    life, _ = ops
    with new_session() as session:
        assert len({*ask(session, life.OfSite, life.AlsoOfSite)}) == 1
        assert ask(session, life.Once) != ask(session, life.OfSite)
    assert len(log.read_text().splitlines()) == 4


def test_a_setup_that_fails_is_the_calls_error_and_the_next_call_tries_another_object(ops, log):
    life, _ = ops
    with new_session() as session:
        job = session.execute(asking(life.Broken))
        assert job.wait_until_finished(60)
        (error,) = [error for token in job.errors for error in token.errors]
        assert (error.site, error.operation, error.message) == ("away", "life.Broken", "the database is away")
        assert ask(session, life.Broken) == ["Broken 2"]


@pytest.mark.parametrize("here", [new_session, lambda: Federation("kept", homesite="home")], ids=["local", "test"])
@pytest.mark.parametrize("site", ["away", "home"])
def test_an_adapter_that_exits_where_it_begins_or_ends_costs_its_own_calls_alone(ops, log, here, site):
    exits = importlib.import_module("kept.fed.api.exits")

    def told(operation):
        with Pipeline() as pipeline:
            Yield(value=operation(site=site), place="value")
        try:
            return session.run(pipeline)["value"]
        except DfmError as error:
            return type(error), "no licence" in str(error)

    with here() as opened:
        session = getattr(opened, "session", opened)
        assert told(exits.Made) == (SessionError, True)
        assert told(exits.SetUp) == told(exits.SetUpOnThread) == (JobError, True)
        assert told(exits.Down) == ["done"]


def test_generators_are_set_up_as_well(ops):
    life, _ = ops
    with new_session() as session:
        assert [str(one) for one in ask(session, life.Stream)] == ["Stream 1"]


def test_an_object_is_set_up_in_tests_too_and_keeps_nothing_elsewhere(ops, log):
    life, keep = ops
    with Federation("kept", homesite="home") as federation:
        name = federation.call("away", "life.Once")
        assert federation.call("away", "life.OfJob").startswith("Plain")
        assert ask(federation.session, life.Once) == [name]
        assert ask(federation.session, keep.CountOnDisk) == [1]
    assert f"{name} ends" in log.read_text()
    with Federation("kept", homesite="home") as federation:
        assert ask(federation.session, keep.CountOnDisk) == [1]


def test_what_is_kept_on_disk_outlasts_a_process_and_a_session_and_nothing_else_does(ops, package):
    _, keep = ops
    with new_session() as session:
        assert ask(session, keep.Count, keep.CountShared) == [1, 2], "bindings that name it alike share it"
        assert ask(session, keep.Count) == [3], "a job later it is there"
        assert ask(session, keep.CountOnDisk, keep.CountOnDisk) == [1, 2]
        (process,) = ask(session, keep.Process)
        os.kill(process, signal.SIGKILL)
        job = session.execute(asking(keep.Process))
        job.wait_until_finished(60)
        (now,) = ask(session, keep.Process)
        assert now != process
        assert ask(session, keep.Count) == [1], "memory ends with its process"
        assert ask(session, keep.CountOnDisk) == [3]
    with new_session() as session:
        assert ask(session, keep.CountOnDisk) == [4]
        assert ask(session, keep.Count) == [1]
    (files,) = (package / "states" / "dfm" / "kept" / "away").iterdir()
    (file,) = files.iterdir()
    assert stat.S_IMODE(files.stat().st_mode) == 0o700 and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(set(path.name) <= set("0123456789abcdef") for path in (files, file)), "no name is anybody's text"


def test_a_state_has_a_limit_that_the_binding_sets(ops):
    _, keep = ops
    with new_session() as session:
        job = session.execute(asking(keep.Put, name="big", value="x" * 6000))
        assert job.wait_until_finished(60)
        (token,) = job.results("0")
        assert isinstance(token, ErrorToken)
        assert token.errors[0].type == "LimitError" and "may have 5000: `limit`" in token.errors[0].message


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_state_is_a_dictionary_of_what_can_be_sent(tmp_path, on_disk):
    def opened() -> State:
        return State("the state", OnDisk(tmp_path / "state") if on_disk else kept, 3000)

    kept = InMemory()
    state = opened()
    assert len(state) == 0 and list(state) == [] and state.get("w") is None and "w" not in state
    weights = np.arange(3.0)
    state["w"] = weights
    weights[0] = 7
    state.update(step=1, names=("a", b"b"))
    state.set("step", 2)
    state = opened()
    np.testing.assert_array_equal(state["w"], [0, 1, 2])
    assert list(state) == ["names", "step", "w"] and len(state) == 3
    assert state["names"] == ("a", b"b") and state.pop("step") == 2 and "step" not in state
    with pytest.raises(KeyError, match="step"):
        del state["step"]
    with pytest.raises(TypeError, match="names are texts, not 3"):
        state[3] = 1  # pyright: ignore
    with pytest.raises(LimitError, match="may have 3000"):
        state["more"] = b"x" * 3000
    state["w"] = b"x" * 2500
    state["w"] = b"y" * 2500
    assert state["w"] == b"y" * 2500, "what is replaced does not count"


def test_a_state_holds_nothing_that_would_be_pickled():
    with pytest.raises((TypeError, ValueError)):
        State("the state", InMemory(), 1 << 20)["f"] = lambda: 1


def test_a_file_that_is_damaged_or_others_may_write_is_not_read(tmp_path):
    state = State("the state", OnDisk(tmp_path / "state"), 1 << 20)
    state["n"] = 1
    (file,) = (tmp_path / "state").iterdir()
    file.chmod(0o666)
    with pytest.raises(StateError, match="cannot be read: .* only this account may write"):
        state["n"]
    file.chmod(0o600)
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(StateError, match="damaged; delete it"):
        state["n"]
    state["n"] = 2
    assert state["n"] == 2
