"""Does a federation on Flare work where a clock is wrong by an hour?"""
# pyright: basic, reportMissingImports=false

import json
import os
import subprocess
import sys

import application
import pytest
from application import EXPECTED
from eventually import until
from flare_federation import as_home, running
from sessions import Application, started_with

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]
PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import work

def get_pipeline(args):
    with Pipeline() as pipeline:
        Yield(value=work.Echo(value=work.Add(a=work.Add(a=1, site="east"), site="west"), site="home"))
    return pipeline
"""


@pytest.fixture(scope="module")
def federation(command, small):
    with running(command, small) as federation:
        yield federation


def wrong(world, hours):
    """The environment of a process whose clock is so many hours ahead."""
    return {"LD_PRELOAD": str(world), "DFM_TEST_AHEAD": str(round(hours * 3600))}


def used(federation, folder, **environment):
    """Uses a federation from a clock like that: a job, its record and receipt, and what the server says of it."""
    begun = Application(federation, federation.kit("home@*"), folder / "tokens", **environment)
    assert begun.end() == ("FINISHED", [])
    assert begun.tokens() == EXPECTED

    def dfm(*words):
        command = [federation.command, "--config", federation.registry, *words]
        done = subprocess.run(command, env=as_home() | environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (folder / "pipeline.py").write_text(PIPELINE)
    record, receipt = folder / "job.jsonl", folder / "receipt.json"
    submitted = "fed", "submit", "small", "--poc", "--record", record, "--receipt", receipt, "pipeline"
    assert dfm(*submitted, folder / "pipeline.py") == "yield [0]: 3\n"
    assert "1 came to what it had come to" in dfm("fed", "replay", record)
    dfm("jobs", "verify", receipt, "--federation", "small", "--poc")
    assert json.loads(dfm("--json", "jobs", "list", "small", "--poc"))["jobs"]
    dfm("jobs", "list", "small", "--poc")


def test_an_application_that_is_an_hour_ahead(federation, tmp_path, world):
    used(federation, tmp_path, **wrong(world, 1))


def test_a_site_that_is_an_hour_ahead(federation, tmp_path, world):
    with started_with(federation, "west", wrong(world, 1)):
        used(federation, tmp_path)


def test_an_application_whose_clock_is_before_its_certificate_is_told(federation, tmp_path, world):
    words = [sys.executable, application.__file__, federation.kit("home@*"), tmp_path / "tokens"]
    environment = os.environ | {"PYTHONPATH": str(federation.registry.parent)} | wrong(world, -48)
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "holds from" in done.stderr and "set this machine's clock if that is wrong" in done.stderr


def test_a_site_whose_clock_is_before_its_certificate_says_so_and_does_not_start(federation, world):
    log = federation.kit("west") / "poc.log"
    with started_with(federation, "west", wrong(world, -48), is_there=False):
        until(lambda: "set this machine's clock if that is wrong" in log.read_text())
