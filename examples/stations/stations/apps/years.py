"""Which years does each station know? For `dfm fed submit stations pipeline`."""

from dfm.api import Advise, Pipeline

from stations.fed.api.climate import MonthlyMeans


def get_pipeline(args: list[str] | None = None) -> Pipeline:
    """Runs nothing, but asks every station that makes monthly means."""
    with Pipeline(name="years", mode="discovery") as pipeline:
        MonthlyMeans(year=Advise(), site=Advise())
    return pipeline
