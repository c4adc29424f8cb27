"""What does `dfm jobs results NAME JOB` run?

The command calls `main` in a process of its own: JOB FORMAT OUTPUT in `sys.argv`, as for `dfm._command.submit`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from dfm._command.screen import FAILED
from dfm._command.submit import INTERRUPTED, Printer, WrongInput, set_up, wait
from dfm.errors import DfmError
from dfm.session import JobStatus, from_env


def main() -> None:
    """Prints what is kept of a job and what comes, and exits with what came of it. All of it stays kept."""
    job_id, format, output = sys.argv[1:]
    set_up(format)
    printer = Printer(format, Path(output) if output else None)
    try:
        sys.exit(_print(job_id, printer))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (WrongInput, DfmError) as error:
        printer.refuse(error)
        sys.exit(FAILED)


def _print(job_id: str, printer: Printer) -> int:
    printer.prepare()
    session = from_env()
    begin = time.perf_counter()
    job = session.reattach(job_id, printer, keep=True)
    try:
        wait(job, printer)
        status = job.get_status()
    finally:
        job.detach()
        session.close()
    printer.summary(status, time.perf_counter() - begin)
    return 0 if status is JobStatus.FINISHED and printer.saved_all else FAILED
