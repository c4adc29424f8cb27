"""How does an application run pipelines in a federation?"""

from dfm.api import ErrorToken, StopToken
from dfm.session._dispatch import AsyncioDispatcher, DirectDispatcher, Dispatcher, ManualDispatcher
from dfm.session._job import STATUS_PLACE, Callback, Job, JobStatus, Token
from dfm.session._logging import configure_session_logging
from dfm.session._open import SessionOptions, from_env, open_session
from dfm.session._session import PreparedPipeline, Session

__all__ = [
    "STATUS_PLACE",
    "AsyncioDispatcher",
    "Callback",
    "DirectDispatcher",
    "Dispatcher",
    "ErrorToken",
    "Job",
    "JobStatus",
    "ManualDispatcher",
    "PreparedPipeline",
    "Session",
    "SessionOptions",
    "StopToken",
    "Token",
    "configure_session_logging",
    "from_env",
    "open_session",
]
