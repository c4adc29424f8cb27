"""Does the local target say what Flare would refuse: as a warning once, or as an error where it is strict?"""
# pyright: basic, reportMissingImports=false

import fractions
import logging
import types

import pytest
from dfm import _values
from dfm.api import ForEach, PickledObject, Pipeline, PlaceParam, Yield
from dfm.errors import JobError, PipelineError, SessionError
from dfm.session import JobStatus, Session
from dfm.session._strict import KITS
from small_federation import Small

LIMIT = 1 << 20


def opened(**options) -> Session:
    from small.fed.runtime.home import get_session

    return get_session(target="local", logger=logging.getLogger("strict"), **options)


@pytest.fixture
def lenient(small):
    with opened() as session:
        yield session


@pytest.fixture
def strict(small):
    with opened(strict=True) as session:
        yield session


def echo(fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=PlaceParam(place="x"), site="east"))
    return pipeline


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "strict"]


def test_a_pickled_value_is_warned_about_once_for_each_type_and_site(lenient, fed, caplog, capfd):
    prepared = lenient.prepare(echo(fed))
    for value in (types.SimpleNamespace(a=1), types.SimpleNamespace(a=2), fractions.Fraction(1, 2)):
        assert lenient.run(prepared, x=value) == {"yield": [value]}
    lenient.close()
    (told,) = warnings(caplog)
    assert told.startswith(
        "the parameter place 'x', sent from site 'home' to 'east': a value of type types.SimpleNamespace goes "
        "as a pickle, as it has no encoding that is safe to send; return plain data"
    )
    assert "strict=True" in told
    there = capfd.readouterr().err
    assert there.count("WARNING east: the result of 'work.Echo', sent from site 'east' to 'home'") == 1


def test_of_what_is_not_sent_the_next_value_does_not_warn(lenient, fed, caplog):
    prepared = lenient.prepare(echo(fed))
    with pytest.raises(JobError, match="pickling it fails"):
        lenient.run(prepared, x=[types.SimpleNamespace(a=1), lambda: 0])
    assert lenient.run(prepared, x=range) == {"yield": [range]}
    (told,) = warnings(caplog)
    assert "type builtins.type goes as a pickle" in told and "SimpleNamespace" not in told and "function" not in told


def test_a_pickled_value_is_an_error_where_that_is_strict(strict, fed):
    job = strict.execute(echo(fed), {"x": types.SimpleNamespace(a=1)})
    with pytest.raises(
        JobError, match=r"'x' cannot be sent to site 'east': .*SimpleNamespace .* no encoding that is safe"
    ):
        job.wait_until_finished(20)
        job.raise_for_errors()


def literal(fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=PickledObject(value=types.SimpleNamespace(a=1)), site="east"))
    return pipeline


def test_a_pickled_literal_is_warned_about_or_an_error(lenient, strict, fed, capfd):
    for _ in range(2):
        assert lenient.run(literal(fed)) == {"yield": [types.SimpleNamespace(a=1)]}
    lenient.close()
    told = "WARNING east: a literal of the pipeline: this site does not accept pickled objects"
    assert capfd.readouterr().err.count(told) == 1
    job = strict.execute(literal(fed))
    assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
    (error,) = job.errors[0].errors
    assert (error.site, error.operation) == ("east", "work.Echo")
    assert "does not accept pickled objects" in error.message


def test_a_saved_pipeline_opens_no_pickle(lenient, fed, tmp_path):
    literal(fed).save_to_file(tmp_path / "saved.json")
    with pytest.raises(PipelineError, match="does not accept pickled objects"):
        Pipeline.load_from_file(tmp_path / "saved.json")


def test_a_value_that_is_too_large_is_warned_about_or_an_error(small, fed, monkeypatch, caplog):
    monkeypatch.setenv("DFM_MAX_VALUE", str(LIMIT))
    with opened() as session:
        prepared = session.prepare(echo(fed))
        for size in (2 * LIMIT, 3 * LIMIT, LIMIT // 2):
            assert session.run(prepared, x=bytes(size)) == {"yield": [bytes(size)]}
    (told,) = warnings(caplog)
    assert "a value of type builtins.bytes is too large: it has 20971" in told and "DFM_MAX_VALUE" in told
    with opened(strict=True) as session, pytest.raises(JobError, match=r"no more than 1048576; .* DFM_MAX_VALUE"):
        session.run(echo(fed), x=bytes(2 * LIMIT))


def test_a_result_that_is_too_large_names_its_operation_and_site(small, fed, monkeypatch):
    monkeypatch.setenv("DFM_MAX_VALUE", str(LIMIT))
    with Pipeline() as pipeline:
        part = fed.Echo(value=PlaceParam(place="x"), site="east")
        with ForEach(seq=[1, 2]) as item:
            copy = fed.Echo(value=part, site="east")
        Yield(value=fed.Echo(value=item.collect(copy), site="east"), place="big")
        Yield(value=fed.Add(a=1, site="west"), place="other")
    with opened(strict=True) as session:
        job = session.execute(pipeline, {"x": bytes(LIMIT * 3 // 4)})
        assert job.wait_until_finished(20) and job.get_status() is JobStatus.FAILED
        assert job.results("other") == [2]
        (error,) = job.errors[0].errors
        assert (error.site, error.operation, error.type) == ("east", "work.Echo", "EncodingError")
        assert error.message.startswith(
            "the result cannot be sent to site 'home': a value of type builtins.list cannot"
        )


@pytest.mark.parametrize(
    ("variable", "policy", "holds", "named"),
    [
        (None, 1 << 20, 1 << 20, "limits.value-bytes"),
        (1 << 17, 1 << 20, 1 << 17, "DFM_MAX_VALUE"),
        (1 << 33, 1 << 20, 1 << 20, "limits.value-bytes"),
        (None, 1 << 33, 1 << 33, "limits.value-bytes"),
        (1 << 33, None, 1 << 33, "DFM_MAX_VALUE"),
        (None, None, 1 << 30, "DFM_MAX_VALUE"),
    ],
)
def test_the_lower_of_the_owners_limit_and_the_variables_holds_and_is_named(
    monkeypatch, variable, policy, holds, named
):
    monkeypatch.delenv("DFM_MAX_VALUE", raising=False)
    if variable is not None:
        monkeypatch.setenv("DFM_MAX_VALUE", str(variable))
    with _values.acting_for(False, (), ()):
        _values.set_policy(False, (), (), policy)
        assert _values.received(holds) == 4 * holds
        with pytest.raises(ValueError, match=f"no more than {holds}; .*{named}"):
            _values.received(holds + 1)


def test_a_limit_that_is_none_is_told(small, monkeypatch):
    monkeypatch.setenv("DFM_MAX_VALUE", "plenty")
    with pytest.raises(SessionError, match="DFM_MAX_VALUE is a number of bytes from 65536 on, not 'plenty'"):
        opened()


def test_a_site_without_a_startup_kit_is_warned_about_once_or_an_error(small, fed, monkeypatch, caplog):
    monkeypatch.setenv(KITS, "server west")
    with opened() as session:
        for _ in range(2):
            assert session.run(echo(fed), x=1) == {"yield": [1]}
    (told,) = warnings(caplog)
    assert told.startswith("Flare would refuse site 'east': the NVFlare project has no client of that name")
    with opened(strict=True) as session:
        with pytest.raises(SessionError, match="Flare would refuse site 'east'"):
            session.prepare(echo(fed))
        with Pipeline() as pipeline:
            Yield(value=fed.Add(a=fed.Add(a=1, site="west"), site="home"))
        assert session.run(pipeline) == {"yield": [3]}


def test_two_sessions_of_a_process_keep_to_their_own_rules(strict, lenient, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Echo(value=PlaceParam(place="x"), site="east"))
    value = types.SimpleNamespace(a=1)
    assert lenient.run(pipeline, x=value) == {"yield": [value]}
    with pytest.raises(JobError, match="has no encoding that is safe to send"):
        strict.run(pipeline, x=value)


PROJECT = """\
api_version: 3
name: small
participants:
  - {name: server, type: server, org: here, fed_learn_port: 8002, admin_port: 8003}
  - {name: left, type: client, org: here}
  - {name: admin@here.org, type: admin, org: here, role: project_admin}
"""
PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import text


def get_pipeline(args):
    with Pipeline() as pipeline:
        Yield(value=text.Join(first="a", site="right"))
    return pipeline
"""


def test_submit_warns_of_what_flare_would_refuse_and_with_strict_fails(command, tmp_path):
    own = Small(tmp_path, command)
    own.create()
    own.write("small/configs/project.yaml", PROJECT)
    added = own.run("fed", "config", "set", "small", "--project-path", "configs/project.yaml", config=True)
    added.check_returncode()
    own.write("pipeline.py", PIPELINE)
    words = ["fed", "submit", "small", "--target", "local", "pipeline", "pipeline.py"]
    done = own.run(*words)
    assert (done.returncode, done.stdout) == (0, "yield [0]: a+nothing@right\n")
    assert "warning: Flare would refuse site 'right'" in done.stderr
    done = own.run(*words, "--strict")
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: Flare would refuse site 'right'" in done.stderr


def test_submit_warns_of_generated_code_that_is_not_that_of_the_configuration(command, tmp_path):
    own = Small(tmp_path, command)
    own.create()
    own.write("pipeline.py", PIPELINE)
    words = ["fed", "submit", "small", "--target", "local", "pipeline", "pipeline.py"]
    assert "submit-stale-code" not in own.run(*words).stderr
    config = tmp_path / "small/configs/federation.dfm.yaml"
    config.write_text(config.read_text().replace("default: nothing", "default: more"))
    done = own.run(*words)
    assert done.returncode == 0
    assert "submit-stale-code" in done.stderr and "run `dfm fed gen code small`" in done.stderr
