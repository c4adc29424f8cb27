"""How do clinics fit one model to the tumours of all, in rounds until it is good?"""

import argparse
import sys
from typing import Any, Literal

from dfm.api import EachSite, Pipeline, Repeat, Yield
from dfm.errors import DfmError

from clinics.fed.api.models import Newton, Scale
from clinics.fed.api.rows import Moments, Terms
from clinics.fed.runtime.home import get_session

MEASURES = 30


def make_pipeline(sites: list[str] | None = None) -> Pipeline:
    """Logistic regression by Newton's method; only sums leave a clinic."""
    with Pipeline(name="learn") as pipeline:
        with EachSite(sites=sites) as clinic:
            moments = Moments(site=clinic)
        scale = Scale(moments=clinic.collect(moments))
        with Repeat(start={"weights": [0.0] * (MEASURES + 1)}, at_most=50) as rounds:
            with EachSite(sites=sites) as clinic:
                terms = Terms(site=clinic, scale=scale, weights=rounds["weights"])
            step = Newton(terms=clinic.collect(terms), weights=rounds["weights"])
            rounds.next(weights=step.fieldref("weights"))
            rounds.until(step.change < 1e-9)
            Yield(value=step.loss, place="loss")
        Yield(value=rounds.result("weights"), place="weights")
        Yield(value=rounds.count, place="rounds")
    return pipeline


def learn(sites: list[str] | None, target: Literal["flare", "local"]) -> dict[str, list[Any]]:
    """What the places have; raises what the sites report."""
    with get_session(target=target) as session:
        return session.run(make_pipeline(sites))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fits a model to the tumours of all clinics.")
    parser.add_argument("--sites", nargs="+", help="the clinics that take part (default: all that can)")
    parser.add_argument("--target", choices=["local", "flare"], default="local", help="where (default: local)")
    args = parser.parse_args()
    try:
        found = learn(args.sites, args.target)
    except DfmError as error:
        sys.exit(str(error))
    for number, loss in enumerate(found["loss"], 1):
        print(f"round {number}: loss {loss:.6f}")
    print(f"{found['rounds'][0]} rounds; the weights: {' '.join(f'{weight:.4f}' for weight in found['weights'][0])}")


if __name__ == "__main__":
    main()
