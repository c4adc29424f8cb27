"""How do tests wait for a job that somebody submitted to NVFlare by themselves?"""
# pyright: basic

from eventually import until


def ended(flare, job, seconds=150):
    """What NVFlare says of a job once it is over."""
    meta = {}

    def over():
        meta.update(flare.get_job_meta(job))
        return str(meta["status"]).startswith("FINISHED")

    until(over, seconds)
    return meta
