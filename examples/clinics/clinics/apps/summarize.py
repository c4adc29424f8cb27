"""How is a column distributed over all clinics that have it?"""

import argparse
import sys

from dfm.api import EachSite, Pipeline, PlaceParam, Yield
from dfm.errors import DfmError

from clinics.fed.api.models import Edges, Summary
from clinics.fed.api.rows import Histogram, Range
from clinics.fed.runtime.home import get_session


def make_pipeline(bins: int = 10) -> Pipeline:
    """Count, mean, standard deviation and a histogram, on however many clinics there are."""
    column = PlaceParam("column", multiuse=True)
    with Pipeline(name="summarize") as pipeline:
        with EachSite(errors="skip") as clinic:
            extent = Range(site=clinic, column=column)
        edges = Edges(ranges=clinic.collect(extent), bins=bins)
        with EachSite(at_least=1) as clinic:
            histogram = Histogram(site=clinic, column=column, edges=edges)
        Yield(value=Summary(histograms=clinic.collect(histogram)), place="summary")
        Yield(value=clinic.missing(histogram), place="missing")
    return pipeline


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Summarizes a column over all clinics that have it.")
    parser.add_argument("column", nargs="?", default="mean_radius", help="its name (default: %(default)s)")
    args = parser.parse_args()
    try:
        with get_session(target="local") as session:
            found = session.run(make_pipeline(), column=args.column)
    except DfmError as error:
        sys.exit(str(error))
    (summary,), (missing,) = found["summary"], found["missing"]
    print(f"{summary['count']} values, mean {summary['mean']:.4f}, standard deviation {summary['deviation']:.4f}")
    for low, high, count in zip(summary["edges"], summary["edges"][1:], summary["bins"], strict=False):
        print(f"{low:12.4f} to {high:.4f}: {count}")
    print(f"without: {', '.join(missing) or 'none'}")


if __name__ == "__main__":
    main()
