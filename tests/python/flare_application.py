"""An application that is killed in the middle of its work: `python flare_application.py KIT FILE DIE [JOB]`.

It writes each token that it gets into FILE, and kills itself when it gets its token number DIE, counted from 0. With a
JOB it goes on with that. It tells the job's id and, at its end, the status.
"""

import importlib
import json
import os
import signal
import sys
from typing import Any

from dfm.api import Pipeline, PlaceParam, StopToken, Yield
from dfm.exec import Frame
from dfm.session import STATUS_PLACE, Job, Session

STREAMS = ("home", "server", "east")
ITEMS, FRAMES = 300, 4
CHAIN = ("east", "home", "west", "home", "server")


def build() -> Pipeline:
    """Streams from three sites, and a value that comes by the homesite twice before it is yielded."""
    work = importlib.import_module("small.fed.api.work")
    with Pipeline(name="streams") as pipeline:
        for site in STREAMS:
            Yield(value=work.Count(to=ITEMS, site=site), place=site)
        value = PlaceParam(place="start")
        for site in CHAIN:
            value = work.Add(a=value, site=site)
        Yield(value=value, place="sum")
        Yield(value=work.Fail(value=1, site="east"), place="bad")
    return pipeline


def main() -> None:
    kit, path, die, *job_id = sys.argv[1:]
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    seen = 0

    def had(site: str, node: object, frame: Frame, place: str, data: Any) -> None:
        nonlocal seen
        if seen == int(die):
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1
        data = None if isinstance(data, StopToken) else data if isinstance(data, int) else data.errors[0].message
        os.write(out, json.dumps([place, frame.frame if place != STATUS_PLACE else [], data]).encode() + b"\n")

    runtime = importlib.import_module("small.fed.runtime.home")
    session: Session = runtime.get_session(target="flare", admin_package=kit)
    job: Job
    if job_id:
        # It may be over before `reattach` returns.
        print(job_id[0], flush=True)
        job = session.reattach(job_id[0], had)
    else:
        session.connect()
        job = session.execute(build(), [{"start": start} for start in range(FRAMES)], default_callback=had)
        print(job.job_id, flush=True)
    job.wait_until_finished()
    print(job.get_status().value, flush=True)
    session.close()


if __name__ == "__main__":
    main()
