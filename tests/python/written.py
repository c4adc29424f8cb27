"""How do tests of pipelines' blocks write one, as it is after it was saved, and run it to its end?"""
# pyright: basic

from dfm.api import Pipeline


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
