"""How do offices train one network, each with its own images, and go on without one that is away?"""

import argparse
import sys
from typing import Any, Literal

from dfm.api import EachSite, Pipeline, PlaceParam, Repeat, Yield
from dfm.errors import DfmError

from offices.fed.api.images import Train
from offices.fed.api.models import Average, Start
from offices.fed.runtime.home import get_session


def make_pipeline(
    steps: int = 5, at_most: int = 40, drill: dict[str, list[int]] | None = None, after: int = 0
) -> Pipeline:
    """Federated averaging; the steps' velocity stays at the offices.

    It begins `after` so many rounds of other jobs, with the network that they left, its parameter `begin`.
    """
    with Pipeline(name="learn") as pipeline:
        net = PlaceParam("begin") if after else Start(site="home")
        with Repeat(start={"net": net, "number": after + 1}, at_most=at_most) as rounds:
            with EachSite(at_least=2) as office:
                trained = Train(site=office, net=rounds["net"], number=rounds["number"], steps=steps, drill=drill or {})
            mean = Average(trained=office.collect(trained), number=rounds["number"])
            rounds.next(net=mean["net"], number=mean["next"])
            rounds.until(mean["loss"] < 0.1)
            Yield(value=mean["loss"], place="loss")
            Yield(value=office.missing(trained), place="missing")
        Yield(value=rounds.result("net"), place="net")
    return pipeline


def learn(pipeline: Pipeline, target: Literal["flare", "local"]) -> dict[str, list[Any]]:
    """What the places have; raises what the sites report, but for offices that are away."""
    with get_session(target=target) as session:
        return session.run(pipeline)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Trains a network on the digits of all offices.")
    parser.add_argument("--drill", metavar="OFFICE", help="this one is away from round 5 to 7")
    parser.add_argument("--target", choices=["local", "flare"], default="local", help="where (default: local)")
    args = parser.parse_args()
    try:
        found = learn(make_pipeline(drill={args.drill: [5, 7]} if args.drill else None), args.target)
    except DfmError as error:
        sys.exit(str(error))
    for number, (loss, missing) in enumerate(zip(found["loss"], found["missing"], strict=True), 1):
        print(f"round {number}: loss {loss:.4f}" + (f", without {', '.join(missing)}" if missing else ""))


if __name__ == "__main__":
    main()
