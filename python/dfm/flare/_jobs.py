"""What does `dfm jobs` ask a running federation?

The command calls `main` in a process of its own with a request on stdin, and reads one JSON document from stdout.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from nvflare.fuel.flare_api import api_spec

from dfm import _native
from dfm._shown import clean_logger
from dfm.errors import SessionError
from dfm.flare._channel import Forged
from dfm.flare._identity import Untrusted, read_credentials
from dfm.flare._kit import Kit, find_kit
from dfm.flare._login import log_in_at_once
from dfm.flare._sealing import Reader
from dfm.flare._session_job import CANCEL, LIST, WAITS, name_of
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
    return {"jobs": [session.shown(job) for session in _sessions(log_in_at_once(kit), kit) for job in session.jobs]}


def _show(kit: Kit, request: dict[str, Any]) -> dict[str, Any]:
    flare = log_in_at_once(kit)
    session, job = _find(flare, kit, request["job"])
    shown = session.shown(job)
    if job["status"] != "RUNNING" or (about := session.about(job)) is None:
        return shown
    try:
        told = flare.do_app_command(session.nvflare, WAITS, {"execution": job["number"]})
    except Exception:
        # It has ended meanwhile.
        return shown
    return shown | {"waits": described(waits(session.answers(told), dict(about["lines"]), told["patience"]))}


def _cancel(kit: Kit, request: dict[str, Any]) -> dict[str, Any]:
    flare = log_in_at_once(kit)
    session, job = _find(flare, kit, request["job"])
    if job["status"] != "RUNNING":
        raise SessionError(f"the job '{job['id']}' is at its end: {job['status']}")
    try:
        answer = flare.do_app_command(session.nvflare, CANCEL, {"execution": job["number"]})
    except api_spec.AuthorizationError as error:
        raise SessionError(f"user '{kit.user}' may not cancel the job '{job['id']}': {error}") from None
    except Exception:
        # The process of its session does not answer, so the whole session ends.
        flare.abort_job(session.nvflare)
        return {"id": job["id"], "by": "nvflare"}
    if "error" in answer:
        raise SessionError(f"the job '{job['id']}' cannot be cancelled: {answer['error']}")
    return {"id": job["id"], "by": answer["by"]}


def _logs(kit: Kit, request: dict[str, Any]) -> dict[str, Any]:
    flare, site = log_in_at_once(kit), request["site"]
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


@dataclasses.dataclass(frozen=True)
class _Session:
    """NVFlare's job of a session that runs, and what its process at the server knows of its executions."""

    nvflare: str
    jobs: list[dict[str, Any]]
    of_all: dict[str, Any]
    """What is so of each of them."""
    reader: Reader
    """Reads what the session's application has said of them, if that was this user's."""

    def about(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """What only the job's own user knows: its pipeline's name, and where its lines are."""
        with contextlib.suppress(Untrusted):
            return self.reader.own(job["about"])
        return None

    def shown(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job as the command shows it."""
        about = self.about(job)
        shown = {key: value for key, value in job.items() if key != "about"}
        return shown | {"name": about["name"] if about is not None else None} | self.of_all

    def answers(self, told: dict[str, Any]) -> dict[str, _native.Unfinished | None]:
        """What the sites have answered; None of those that have not, or whose answer cannot be read."""
        plan, found = told["plan"], dict.fromkeys(told["answers"])
        with contextlib.suppress(Untrusted, Forged):
            _, whole = self.reader.read(self.of_all["homesite"], *_parts(plan))
            for site, answer in told["answers"].items():
                if answer is not None:
                    self.reader.meet(site, told["hellos"][site])
                    _, packet = self.reader.read(site, *_parts(answer))
                    found[site] = _native.read_answer(bytes(whole or b""), site, bytes(packet or b""))
        return found


def _parts(sealed: list[str] | None) -> tuple[bytes, bytes]:
    head, body = (base64.b64decode(part) for part in sealed or ("", ""))
    return head, body


def _find(flare: Any, kit: Kit, job_id: str) -> tuple[_Session, dict[str, Any]]:
    """The session that an execution is of, and that."""
    name = job_id.rpartition("-")[0]
    for session in _sessions(flare, kit, name):
        for job in session.jobs:
            if job["id"] == job_id:
                return session, job
    jobs = _named(flare, name) if name else []
    raise SessionError(_why_unknown(job_id, [(str(job["job_id"]), str(job["status"])) for job in jobs]))


def _why_unknown(job_id: str, sessions: list[tuple[str, str]]) -> str:
    """Why nobody tells of an execution; `sessions` are NVFlare's jobs of its session, the latest last, each with its
    status."""
    if not sessions:
        return f"the federation knows no job '{job_id}'; `dfm jobs list` shows those that there are"
    open_ones = [one for one in sessions if not one[1].startswith("FINISHED")]
    nvflare, status = (open_ones or sessions)[-1]
    if not open_ones:
        return (
            f"nothing is kept of the job '{job_id}': its session is over (NVFlare's job {nvflare}, {status}); "
            "`dfm jobs logs` may have its logs"
        )
    return (
        f"nothing is known of the job '{job_id}', though its session is not over (NVFlare's job {nvflare}, {status}): "
        "the server has not heard of it so far, does not answer, or may not tell you; ask again"
    )


def _sessions(flare: Any, kit: Kit, name: str = "") -> Iterator[_Session]:
    """The sessions that run and that this user may ask."""
    try:
        credentials = read_credentials(kit.folder)
    except Untrusted as error:
        raise SessionError(str(error)) from None
    for meta in _all(flare, name_of(name)):
        if meta["status"] != "RUNNING":
            continue
        job = str(meta["job_id"])
        try:
            told = flare.do_app_command(job, LIST, {})
        except api_spec.AuthorizationError:
            continue
        except Exception as error:
            clean_logger("dfm.session").warning("job %s does not answer: %s", job, error)
            continue
        of_all = {"user": meta.get("submitter_name"), "nvflare": job, "homesite": told.get("homesite")}
        of_all |= {"application": told.get("application", False), "silent": told.get("silent")}
        reader = Reader(credentials, job, str(told.get("homesite")))
        reader.trust((str(hello), str(escrow)) for hello, escrow in told.get("escrows", []))
        yield _Session(job, told["executions"], of_all, reader)
