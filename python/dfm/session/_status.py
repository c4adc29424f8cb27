"""How far is a job?"""

import enum


class JobStatus(enum.Enum):
    """How far a job is."""

    SUBMITTED = "SUBMITTED"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    """Everything was done, without any error; what callbacks have raised is not counted."""
    FAILED = "FAILED"
    """Everything that could be done was, and there were errors."""
    ABORTED = "ABORTED"
    """It was cancelled, or its session closed."""
    UNKNOWN = "UNKNOWN"


OPEN = (JobStatus.SUBMITTED, JobStatus.RUNNING)
"""Of jobs that are not at their end."""
