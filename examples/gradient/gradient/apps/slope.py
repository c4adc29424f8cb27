"""How does an application get a picture of how steep a terrain is?"""

import argparse
import sys
from pathlib import Path
from typing import Literal

from dfm.api import Pipeline, PlaceParam, Yield
from dfm.errors import DfmError
from PIL import Image

from gradient.fed.api.images import Render
from gradient.fed.api.terrain import GradientMagnitude, MakeField
from gradient.fed.runtime.home import get_session


def make_pipeline() -> Pipeline:
    """Each operation is offered at one site, so the planner knows where it runs."""
    with Pipeline(name="slope") as pipeline:
        field = MakeField(size=PlaceParam(place="size"), seed=PlaceParam(place="seed"))
        steepness = GradientMagnitude(field=field)
        Yield(value=Render(field=steepness), place="picture")
    return pipeline


def draw(size: int, seed: int, target: Literal["flare", "local"]) -> Image.Image:
    """The picture; raises what the sites report."""
    with get_session(target=target) as session:
        return session.run(make_pipeline(), size=size, seed=seed)["picture"][0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draws how steep a made-up terrain is.")
    parser.add_argument("--size", type=int, default=512, help="rows, and columns (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="another number gives other hills (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("slope.png"), help="the picture (default: %(default)s)")
    parser.add_argument("--target", choices=["local", "flare"], default="local", help="where (default: local)")
    args = parser.parse_args()
    try:
        picture = draw(args.size, args.seed, args.target)
    except DfmError as error:
        sys.exit(str(error))
    picture.save(args.output)
    print(f"{args.output}: {picture.width} x {picture.height} pixels")


if __name__ == "__main__":
    main()
