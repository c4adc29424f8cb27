"""How does an application ask a site for a greeting and print what comes back?"""

import argparse
import os
import sys
from typing import Literal

from dfm.api import ErrorToken, Pipeline, PlaceParam, Yield
from dfm.errors import DfmError
from dfm.exec import Frame
from dfm.session import SessionOptions

from examplefed.fed.api.users import GreetMe
from examplefed.fed.runtime.concierge import get_session
from examplefed.fed.site.concierge.users import GreetMe as GreetMeHere

__all__ = ["GreetMe", "Yield", "greet", "main", "make_pipeline"]

USER = "concierge@examplefed.com"


def make_pipeline(greetme_from: str, message: str | None) -> Pipeline:
    """The site's greeting of whom the parameter `name` names; only the concierge (`app`) takes a `message`."""
    name = PlaceParam(place="name")
    with Pipeline(name="greet") as pipeline:
        if greetme_from == "app":
            greeting = GreetMeHere(name=name, greeting=message)
        else:
            greeting = GreetMe(site=greetme_from, name=name)
        Yield(value=greeting, place="greeting")
    return pipeline


def show(from_site: str, node: int | str | None, frame: Frame, place: str, data: object) -> None:
    """Prints one token; an error is told at the end of the job."""
    if not isinstance(data, ErrorToken):
        print(f"{from_site}, place {place}, frame {frame.frame}: {data}", flush=True)


def greet(
    name: str, greetme_from: str, message: str | None, target: Literal["flare", "local"], federation_path: str | None
) -> None:
    """Greets once; raises what the sites report."""
    options: SessionOptions = {"user": USER}
    if federation_path is not None:
        options["flare_workspace"] = federation_path
    with get_session(target=target, **options) as session:
        job = session.execute(
            make_pipeline(greetme_from, message), input_params={"name": name}, place_callbacks={"greeting": show}
        )
        job.wait_until_finished()
        job.raise_for_errors()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Asks a site of the greeting federation for a greeting.")
    parser.add_argument("--name", default="World", help="who is greeted (default: %(default)s)")
    parser.add_argument(
        "--greetme-from", choices=["app", "server", "reception"], default="app", help="who greets (default: app)"
    )
    parser.add_argument(
        "--message", metavar="FORMAT", help="another greeting, with {name} where the name goes; only the app takes one"
    )
    parser.add_argument("--target", choices=["local", "flare"], default="local", help="where (default: local)")
    parser.add_argument(
        "--federation-path",
        default=os.environ.get("DFM_FEDERATION_WORKSPACE_PATH"),
        help="the provisioned project, for --target flare (default: $DFM_FEDERATION_WORKSPACE_PATH)",
    )
    args = parser.parse_args()
    if args.message is not None and args.greetme_from != "app":
        parser.error(f"--message: {args.greetme_from} greets in its own words; use --greetme-from app")
    try:
        greet(args.name, args.greetme_from, args.message, args.target, args.federation_path)
    except DfmError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
