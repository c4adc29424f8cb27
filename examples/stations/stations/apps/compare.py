"""How does an application compare stations whose records it never sees?"""

import argparse
import sys
from pathlib import Path
from typing import Literal

from dfm.api import EachSite, Pipeline, PlaceParam, Yield
from dfm.errors import DfmError
from PIL import Image

from stations.fed.api.charts import DrawMonths
from stations.fed.api.climate import MonthlyMeans
from stations.fed.runtime.home import get_session


def make_pipeline() -> Pipeline:
    """Each station reads its records at home; twelve numbers of each are joined in one chart."""
    unit = PlaceParam(place="unit")
    with Pipeline(name="compare") as pipeline:
        with EachSite() as station:
            means = MonthlyMeans(site=station, unit=unit)
        Yield(value=DrawMonths(stations=station.collect(means)), place="chart")
    return pipeline


def draw(unit: Literal["celsius", "fahrenheit"], target: Literal["flare", "local"]) -> Image.Image:
    """The chart; raises what the sites report."""
    with get_session(target=target) as session:
        return session.run(make_pipeline(), unit=unit)["chart"][0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Draws the stations' monthly mean temperatures.")
    parser.add_argument("--unit", choices=["celsius", "fahrenheit"], default="celsius", help="(default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("stations.png"), help="the chart (default: %(default)s)")
    parser.add_argument("--target", choices=["local", "flare"], default="local", help="where (default: local)")
    args = parser.parse_args()
    try:
        chart = draw(args.unit, args.target)
    except DfmError as error:
        sys.exit(str(error))
    chart.save(args.output)
    print(f"{args.output}: {chart.width} x {chart.height} pixels")


if __name__ == "__main__":
    main()
