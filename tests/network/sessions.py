"""How do tests of networks open a session through a link, and wait for its jobs?"""
# pyright: basic, reportMissingImports=false

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import application
import pytest
from dfm.session import JobStatus
from eventually import until
from flare_federation import opened, running
from link import through
from processes import gone


@contextlib.contextmanager
def patient(command, small, seconds=None):
    """A federation whose processes and applications have a patience of so many seconds, or the one that they have where
    nobody says another."""
    with pytest.MonkeyPatch.context() as patch:
        if seconds is None:
            patch.delenv("DFM_FLARE_PATIENCE", raising=False)
        else:
            patch.setenv("DFM_FLARE_PATIENCE", str(seconds))
        with running(command, small) as federation:
            yield federation


@contextlib.contextmanager
def reached(federation, folder, **how):
    """A session through a link, and that link."""
    with through(federation.kit("home@*"), folder, **how) as (kit, link), opened(federation, admin_package=kit) as one:
        one.connect()
        yield one, link


def took(job):
    """The seconds until a job is at its end, as it should be."""
    begin = time.monotonic()
    assert job.wait_until_finished(250), job.waiting()
    assert job.get_status() is JobStatus.FINISHED, job.errors
    return time.monotonic() - begin


class Application:
    """One in a process of its own, as `application.py`; it has begun its job, or come back to one."""

    def __init__(self, federation, kit, file, *job, within=(), **environment):
        """`within` is the command that runs it, if not this process."""
        self._file = file
        environment = {**os.environ, "PYTHONPATH": str(federation.registry.parent), **environment}
        command = [*within, sys.executable, application.__file__, kit, file, *job]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        self.job = job[0] if job else self._line()

    def _line(self):
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "it has ended"
        return line.strip()

    def end(self):
        """How its job has ended, and the errors; its process ends as well."""
        status, errors = self._line(), json.loads(self._line())
        return status, errors

    def tokens(self):
        """Those that came, by place, without the errors that came in the place of some."""
        found = {"yield": [], "total": [], "later": []}
        for line in self._file.read_text().splitlines() if self._file.exists() else []:
            place, value = json.loads(line)
            if not isinstance(value, list):
                found[place].append(value)
        return found


def named(world, host, file):
    """The environment of a process to which a host of this name is where the file says."""
    return {"LD_PRELOAD": str(world), "DFM_TEST_HOST": host, "DFM_TEST_ADDRESS": str(file)}


@contextlib.contextmanager
def started_with(federation, site, environment, is_there=True):
    """Has a site's client run with more in its environment than the others have; `is_there` if it connects so."""
    _start_anew(federation, site, environment, is_there)
    try:
        yield
    finally:
        _start_anew(federation, site, {}, is_there=True)


def _start_anew(federation, site, environment, is_there):
    end_client(federation, site)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        federation.dfm("poc", "start", "-f", "small", "--skip-prepare")
    if is_there:
        federation.wait()


def end(process):
    """Kills a process, and waits until it is gone."""
    os.kill(process, signal.SIGKILL)
    until(lambda: gone(process))


def end_client(federation, site):
    """The same with a site's client, until `dfm poc start` knows of it."""
    process = federation.process(site)
    end(process)
    until(lambda: not Path(f"/proc/{process}").exists())
