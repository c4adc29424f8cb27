"""What does `dfm jobs` ask a running federation?

The command starts `python -m dfm.flare._jobs` with a request on stdin, and reads one JSON document from stdout.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from nvflare.fuel.flare_api import api_spec

from dfm._shown import clean_logger
from dfm.errors import SessionError
from dfm.flare._connection import log_in
from dfm.flare._job import CANCEL, LIST, WAITS, name_of
from dfm.flare._kit import Kit, find_kit
from dfm.session._waits import described, waits

_PATIENCE = 60.0
"""Seconds after which an answer will not come any more."""


def main() -> None:
    """Answers the request, and exits with 0, or with 1 when it cannot."""
    request = json.load(sys.stdin)
    # NVFlare writes to stdout, which belongs to the answer.
    answer, sys.stdout = sys.stdout, sys.stderr
    logging.disable(logging.ERROR)
    # NVFlare waits for some answers for ever.
    threading.Timer(_PATIENCE, os._exit, (1,)).start()
    try:
        kit = find_kit(None, request["workspace"], os.environ.get("DFM_FLARE_USER"))
        found = {"list": _list, "show": _show, "logs": _logs, "cancel": _cancel}[request["what"]](kit, request)
    except SessionError as error:
        found = {"error": str(error)}
    # A name of half a character is no text to who reads this.
    text = json.dumps(found, ensure_ascii=False).encode(errors="replace")
    answer.buffer.write(text)
    answer.flush()
    # NVFlare's threads would keep the interpreter for seconds.
    sys.stderr.flush()
    os._exit(1 if "error" in found else 0)


def _list(kit: Kit, request: dict[str, Any]) -> dict[str, Any]:
    return {"jobs": [job for _, jobs in _sessions(log_in(kit)) for job in jobs]}


def _show(kit: Kit, request: dict[str, Any]) -> dict[str, Any]:
    flare = log_in(kit)
    flare_job, job = _find(flare, request["job"])
    if job["status"] != "RUNNING":
        return job
    try:
        told = flare.do_app_command(flare_job, WAITS, {"execution": job["number"]})
    except Exception:
        # It has ended meanwhile.
        return job
    return job | {"waits": described(waits(told["found"], dict(told["lines"]), told["patience"]))}


def _cancel(kit: Kit, request: dict[str, Any]) -> dict[str, Any]:
    flare = log_in(kit)
    flare_job, job = _find(flare, request["job"])
    if job["status"] != "RUNNING":
        raise SessionError(f"the job '{job['id']}' is at its end: {job['status']}")
    try:
        answer = flare.do_app_command(flare_job, CANCEL, {"execution": job["number"]})
    except api_spec.AuthorizationError as error:
        raise SessionError(f"user '{kit.user}' may not cancel the job '{job['id']}': {error}") from None
    except Exception:
        # The process of its session does not answer, so the whole session ends.
        flare.abort_job(flare_job)
        return {"id": job["id"], "by": "nvflare"}
    if "error" in answer:
        raise SessionError(f"the job '{job['id']}' cannot be cancelled: {answer['error']}")
    return {"id": job["id"], "by": answer["by"]}


def _logs(kit: Kit, request: dict[str, Any]) -> dict[str, Any]:
    flare, site = log_in(kit), request["site"]
    session = request["job"].rpartition("-")[0]
    jobs = [str(job["job_id"]) for job in _named(flare, session)]
    if not jobs:
        raise SessionError(f"the federation knows no job '{request['job']}'")
    here = _local_logs(kit, jobs)
    if here:
        logs = {name: text for name, text in here.items() if site in (None, name)}
    else:
        logs = {}
        for job in jobs:
            try:
                logs |= flare.get_job_logs(job, site or "all")["logs"]
            except Exception as error:
                raise SessionError(f"NVFlare does not give the logs of its job {job}: {error}") from None
    if not logs:
        raise SessionError(f"no log of the job '{request['job']}' is kept" + (f" at site '{site}'" if site else ""))
    return {"id": request["job"], "nvflare": jobs, "logs": logs}


def _local_logs(kit: Kit, jobs: list[str]) -> dict[str, str]:
    """The logs of those participants whose kits are used on this machine."""
    logs: dict[str, str] = {}
    for path in sorted(path for job in jobs for path in kit.folder.parent.glob(f"*/{job}/log.txt")):
        name = path.parent.parent.name
        logs[name] = logs.get(name, "") + path.read_text(encoding="utf-8", errors="replace")
    return logs


def _named(flare: Any, session: str) -> list[dict[str, Any]]:
    name = name_of(session)
    return [job for job in _all(flare, name) if job["name"] == name]


def _all(flare: Any, prefix: str) -> list[dict[str, Any]]:
    try:
        return flare.list_jobs(name_prefix=prefix, detailed=True)
    except Exception as error:
        raise SessionError(f"the federation's server does not list its jobs: {error}") from None


def _find(flare: Any, job_id: str) -> tuple[str, dict[str, Any]]:
    """NVFlare's job that has an execution, and that."""
    session = job_id.rpartition("-")[0]
    for flare_job, jobs in _sessions(flare, session):
        for job in jobs:
            if job["id"] == job_id:
                return flare_job, job
    over = [f"{job['job_id']}, {job['status']}" for job in _named(flare, session)] if session else []
    if over:
        raise SessionError(
            f"nothing is kept of the job '{job_id}': its session is over (NVFlare's job {over[-1]}); `dfm jobs logs` "
            "may have its logs"
        )
    raise SessionError(f"the federation knows no job '{job_id}'; `dfm jobs list` shows those that there are")


def _sessions(flare: Any, session: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """NVFlare's jobs that run sessions which this user may ask, and what they know of their executions."""
    for meta in _all(flare, name_of(session)):
        if meta["status"] != "RUNNING":
            continue
        try:
            told = flare.do_app_command(meta["job_id"], LIST, {})
        except api_spec.AuthorizationError:
            continue
        except Exception as error:
            clean_logger("dfm.session").warning("job %s does not answer: %s", meta["job_id"], error)
            continue
        more = {"user": meta.get("submitter_name"), "nvflare": meta["job_id"], "homesite": told.get("homesite")}
        more |= {"application": told.get("application", False), "silent": told.get("silent")}
        yield str(meta["job_id"]), [one | more for one in told["executions"]]


if __name__ == "__main__":
    main()
