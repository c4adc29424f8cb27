"""When does a client start at all, and what does it say of a session's process that ended before it should?"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownParameterType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingParameterType=false

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

from nvflare.apis.fl_constant import FLContextKey
from nvflare.apis.fl_context import FLContext
from nvflare.apis.job_def import JobMetaKey
from nvflare.apis.job_launcher_spec import JobHandleSpec, JobReturnCode
from nvflare.app_common.job_launcher.client_process_launcher import ClientProcessJobLauncher
from nvflare.app_common.job_launcher.process_launcher import ProcessHandle

from dfm._running.ended import how_ended
from dfm.flare._cells import ENDED, ask, job_cell
from dfm.flare._driver import use_driver
from dfm.flare._identity import Credentials, out_of_date, read_credentials, sign
from dfm.flare._packets import Unreachable
from dfm.flare._session_job import NAME

_START = 30.0
"""Seconds from a process's beginning until its session has surely begun at the server too."""
_AGAIN = 0.5
"""Seconds between two attempts to tell it."""


class SessionLauncher(ClientProcessJobLauncher):
    """Starts the processes of jobs as NVFlare does.

    NVFlare ends a whole job when one client's process was killed or failed. A session tells whose work is lost with it,
    and the other sites go on. So for a session's job, and for no other, such an end is told to the session alone.
    """

    def __init__(self) -> None:
        super().__init__()
        # A client makes it before it connects, and works in its kit. NVFlare would wait without an end, and not begin
        # once the clock is right.
        if why := out_of_date(Path.cwd()):
            raise RuntimeError(why)
        use_driver()

    def launch_job(self, job_meta: dict[str, Any], fl_ctx: FLContext) -> JobHandleSpec:
        """Starts the process of a job."""
        handle = super().launch_job(job_meta, fl_ctx)
        is_session = str(job_meta.get(JobMetaKey.JOB_NAME.value)).startswith(NAME)
        if not is_session or not isinstance(handle, ProcessHandle):
            return handle
        engine: Any = fl_ctx.get_engine()
        workspace: Any = fl_ctx.get_prop(FLContextKey.WORKSPACE_OBJECT)
        credentials = read_credentials(Path(workspace.get_root_dir()))
        return _Handle(handle, engine.get_cell(), credentials, str(job_meta[JobMetaKey.JOB_ID.value]))


class _Handle(ProcessHandle):
    def __init__(self, handle: ProcessHandle, cell: Any, credentials: Credentials, job: str) -> None:
        super().__init__(process_adapter=handle.adapter)
        self._cell = cell
        self._credentials = credentials
        self._job = job
        self._begun = time.monotonic()

    def wait(self) -> None:
        super().wait()
        if code := self.adapter.poll():
            signed = sign(self._credentials, ENDED, self._job, {"how": how_ended(code)})
            while not self._tell(signed) and time.monotonic() < self._begun + _START:
                time.sleep(_AGAIN)

    def _tell(self, signed: str) -> bool:
        """Whether the session was told, which may not have begun yet, or be over."""
        with contextlib.suppress(Unreachable):
            ask(self._cell, job_cell("server", self._job), ENDED, {}, signed.encode())
            return True
        return False

    def poll(self) -> Any:
        code = super().poll()
        return JobReturnCode.UNKNOWN if code == JobReturnCode.EXECUTION_ERROR else code
