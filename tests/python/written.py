"""How do tests write a pipeline, as it is after it was saved, and run it to its end, or learn why it is refused?"""
# pyright: basic

from collections.abc import Callable

import pytest
from dfm.api import Pipeline
from dfm.errors import PipelineError


def written(build):
    """The pipeline of what `build` writes, after it was saved and read."""
    with Pipeline() as pipeline:
        build()
    return Pipeline.model_validate_json(pipeline.model_dump_json())


def run(session, build, params=None, seconds=30):
    """The job of that pipeline, which has ended."""
    job = session.execute(written(build), params or {})
    assert job.wait_until_finished(seconds)
    return job


def refusal(build: Callable[[], object]) -> str:
    """Why what `build` writes cannot be written."""
    with pytest.raises(PipelineError) as refused, Pipeline():
        build()
    return str(refused.value)
