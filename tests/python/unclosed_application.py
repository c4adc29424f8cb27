"""An application that ends without closing its session: `python unclosed_application.py TARGET HOW`.

HOW is `line` for its last line, `error` for an exception, `open` for a job whose input is open. It tells the job's id.
"""

import importlib
import sys

from dfm.api import Pipeline, PlaceParam, Yield
from dfm.session import Session


def main() -> None:
    target, how, *kit = sys.argv[1:]
    work = importlib.import_module("small.fed.api.work")
    options = {"admin_package": kit[0]} if kit else {}
    session: Session = importlib.import_module("small.fed.runtime.home").get_session(target=target, **options)
    session.connect()
    with Pipeline() as pipeline:
        Yield(value=work.Add(a=PlaceParam(place="start"), site="east"))
    print(session.run(pipeline, start=1)["yield"])
    job = session.execute(pipeline, {"start": 2}, autostop=how != "open")
    print(job.job_id, flush=True)
    if how == "error":
        raise RuntimeError("the application is wrong")


main()
