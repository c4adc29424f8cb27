"""Does a user see what others' jobs are called, are given or say, with NVFlare's own commands?"""
# pyright: basic, reportMissingImports=false

import re
from types import SimpleNamespace
from typing import Any

import pytest
from dfm.api import Pipeline, Yield
from dfm.errors import SessionError
from flare_federation import opened

pytest.importorskip("nvflare")
pytestmark = pytest.mark.flare

from dfm.flare._connection import Connection  # noqa: E402
from dfm.flare._kit import find_kit  # noqa: E402
from dfm.flare._login import log_in  # noqa: E402
from nvflare.fuel.flare_api.api_spec import AuthorizationError  # noqa: E402

MARK = "paraquat"
"""Stands in a pipeline's name and parameter."""


@pytest.fixture(scope="module")
def theirs(federation, fed):
    """The NVFlare job of another's session, which runs."""
    with opened(federation) as session:
        with Pipeline(name=MARK) as pipeline:
            Yield(value=fed.Echo(site="east", value=MARK))
        assert MARK in str(session.run(pipeline))
        yield session._home._links._connection.job


@pytest.fixture(params=["other", "member", "org"])
def flare(federation, request):
    session = log_in(find_kit(str(federation.kit(f"{request.param}@*")), None, None))
    session.who = request.param
    yield session
    session.close()


def refused(ask):
    """What of an attack came home; nothing, where NVFlare refuses it."""
    try:
        return str(ask())
    except AuthorizationError:
        return None
    except Exception as error:
        assert "not_authorized" in str(error).lower() or "not authorized" in str(error).lower(), error
        return None


READS = {
    "meta": lambda flare, job: flare.get_job_meta(job),
    "logs": lambda flare, job: flare.get_job_logs(job, "all"),
    "download": lambda flare, job: flare.download_job_result(job),
    "clone": lambda flare, job: flare.clone_job(job),
    "delete": lambda flare, job: flare.delete_job(job),
    "abort": lambda flare, job: flare.abort_job(job),
    "command": lambda flare, job: flare.do_app_command(job, "dfm_list", {}),
}


@pytest.mark.parametrize("read", READS)
def test_who_has_no_part_in_a_job_reads_nothing_of_it(flare, theirs, read):
    assert refused(lambda: READS[read](flare, theirs)) is None


TARGETS = {
    "cat": lambda flare: flare.cat_target("west", file="log.txt"),
    "tail": lambda flare: flare.tail_target("west", file="log.txt"),
    "grep": lambda flare: flare.grep_target("west", pattern="dfm", file="log.txt"),
    "ls": lambda flare: flare.ls_target("west"),
    "environment": lambda flare: flare.get_client_env(["west"]),
}


@pytest.mark.parametrize("look", TARGETS)
def test_who_is_no_admin_of_a_site_reads_none_of_its_files(flare, look):
    told = refused(lambda: TARGETS[look](flare)) or "not_authorized"
    assert "not_authorized" in told.lower() or "not authorized" in told.lower(), told


def test_the_list_of_jobs_tells_nothing_of_what_they_do(flare, theirs):
    told = refused(lambda: flare.list_jobs(detailed=True))
    if flare.who == "member":
        assert told is None
    else:
        assert told is not None and theirs in told and MARK not in told
        (job,) = [one for one in flare.list_jobs(detailed=True) if one["job_id"] == theirs]
        assert re.fullmatch("dfm-[0-9a-f]{8}", job["name"]) and job["name"] == job["job_folder_name"]


def test_another_users_job_of_the_same_name_does_not_keep_an_application_from_its_own():
    """NVFlare takes any name for a job, and lists them in the order in which they were submitted."""

    class Flare:
        def list_jobs(self, name_prefix):
            states = {"first": "FINISHED:COMPLETED", "others": "RUNNING", "own": "RUNNING"}
            return [{"job_id": job, "job_name": name_prefix, "status": status} for job, status in states.items()]

        def do_app_command(self, job, *_):
            if job == "others":
                raise AuthorizationError("not authorized")
            return {"executions": [{"number": 3}]}

    connection: Any = Connection.__new__(Connection)
    connection._session, connection._kit, connection._flare = "ab12cd34", SimpleNamespace(user="ann"), Flare()
    assert connection._find(3) == "own"
    with pytest.raises(SessionError, match="may not use the job 'ab12cd34-4': not authorized"):
        connection._find(4)
