"""How do tests wait for a job that somebody submitted to NVFlare by themselves?"""
# pyright: basic

import time


def ended(flare, job, seconds=40):
    """What NVFlare says of a job once it is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        meta = flare.get_job_meta(job)
        if str(meta["status"]).startswith("FINISHED"):
            return meta
        time.sleep(0.2)
    raise AssertionError(f"the job is {meta['status']}")
