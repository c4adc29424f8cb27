"""An application in a process of its own, which a test may stop: `python application.py KIT FILE [JOB]`.

It writes each token that it gets into FILE, as one that came or as the error that came in its place. With a JOB it goes
on with that. It tells the job's id and, at its end, the status and what went wrong.
"""
# pyright: basic

import importlib
import json
import os
import sys

from dfm.api import ErrorToken, Pipeline, StopToken, Yield
from dfm.session import STATUS_PLACE

ITEMS, WAITS = 3000, 3


def main() -> None:
    kit, path, *job_id = sys.argv[1:]
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def had(site, node, frame, place, data) -> None:
        if place != STATUS_PLACE and not isinstance(data, StopToken):
            value = [one.message for one in data.errors] if isinstance(data, ErrorToken) else data
            os.write(out, json.dumps([place, value]).encode() + b"\n")

    session = importlib.import_module("small.fed.runtime.home").get_session(target="flare", admin_package=kit)
    if job_id:
        job = session.reattach(job_id[0], had)
    else:
        session.connect()
        job = session.execute(counting(), default_callback=had)
        print(job.job_id, flush=True)
    job.wait_until_finished()
    print(job.get_status().value, flush=True)
    print(json.dumps([one.message for token in job.errors for one in token.errors]), flush=True)
    session.close()


def counting() -> Pipeline:
    """What counts at one site, and adds up at another, where something else takes its time."""
    work = importlib.import_module("small.fed.api.work")
    with Pipeline() as pipeline:
        items = work.Count(to=ITEMS, site="east")
        Yield(value=items)
        Yield(value=work.Total(items=items, site="west"), place="total")
        Yield(value=work.Wait(seconds=WAITS, site="east"), place="later")
    return pipeline


EXPECTED = {"yield": [*range(ITEMS)], "total": [sum(range(ITEMS))], "later": [WAITS]}
"""What it is to have, by place."""


if __name__ == "__main__":
    main()
