"""What does `dfm fed submit examplefed pipeline` run?"""

from dfm.api import Pipeline

from examplefed.apps.concierge import GreetMe, Yield


def get_pipeline(args: list[str] | None = None) -> Pipeline:
    """Asks the reception for a greeting."""
    with Pipeline() as pipeline:
        greet = GreetMe(site="reception", name="World")
        Yield(value=greet)
    return pipeline


def get_pipeline_parameters(args: list[str] | None = None) -> dict[str, object]:
    """The pipeline has no parameters."""
    return {}
