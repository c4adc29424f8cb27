"""How does an application run pipelines in a federation?"""

from dfm._missing import missing
from dfm.api import ErrorToken, StopToken
from dfm.session._callbacks import STATUS_PLACE, Callback
from dfm.session._delivery import Token
from dfm.session._dispatch import AsyncioDispatcher, CallbackRunner, DirectDispatcher, Dispatcher, ManualDispatcher
from dfm.session._job import Job
from dfm.session._logging import configure_session_logging
from dfm.session._open import SessionOptions, from_env, open_session
from dfm.session._prepared import PreparedPipeline
from dfm.session._progress import Progress, SiteProgress
from dfm.session._session import Session
from dfm.session._status import JobStatus
from dfm.session._waits import Asking, NodeAt, Others, Outside, Running, Silent, Wait, Waiting

CallbackDispatcher = Dispatcher
"""Another name for it."""
DfmDataCallback = Callback
"""Another name for it."""

__all__ = [
    "STATUS_PLACE",
    "Asking",
    "AsyncioDispatcher",
    "Callback",
    "CallbackDispatcher",
    "CallbackRunner",
    "DfmDataCallback",
    "DirectDispatcher",
    "Dispatcher",
    "ErrorToken",
    "Job",
    "JobStatus",
    "ManualDispatcher",
    "NodeAt",
    "Others",
    "Outside",
    "PreparedPipeline",
    "Progress",
    "Running",
    "Session",
    "SessionOptions",
    "Silent",
    "SiteProgress",
    "StopToken",
    "Token",
    "Wait",
    "Waiting",
    "configure_session_logging",
    "from_env",
    "open_session",
]


def __getattr__(name: str) -> object:
    raise missing("dfm.session", name)
