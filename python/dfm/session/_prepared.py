"""What does a pipeline become that was checked, placed and compiled?"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict, cast

from dfm import _native
from dfm._discovery.outcome import patience
from dfm.api import ErrorInfo, ErrorToken, Node, Pipeline
from dfm.api._conditions import Condition
from dfm.api._lines import user_line
from dfm.api._pipeline import save
from dfm.errors import PlanError, SessionError, ValuePipelineError
from dfm.exec._adapters import Operation
from dfm.session._interface import Interface, NodeId
from dfm.session._literals import hoisted


class Alternative(TypedDict):
    """Where a node could run as well."""

    site: str
    provider: str | None
    seconds: float


class Placement(TypedDict):
    """Where one node runs, and why."""

    node: NodeId
    operation: str
    site: str
    provider: str | None
    why: str
    alternatives: list[Alternative]


class PreparedPipeline:
    """A pipeline that was checked, placed and compiled; it can be executed any number of times."""

    def __init__(self, pipeline: Pipeline, plan: _native.Plan, literals: Mapping[str, Any]) -> None:
        self.pipeline = pipeline
        self.plan = plan
        report = json.loads(plan.report())
        self.literals = literals
        """What the pipeline yields as it is written, under the parameter places that dfm has for that."""
        self.params = frozenset(cast(list[str], report["params"])) - frozenset(literals)
        """The parameter places that each parameter set has to give."""
        self.yields = cast(list[str], report["yields"])
        """The places that values come to."""
        self._copies = cast("list[tuple[str, NodeId]]", report["copies"])
        self._optional = frozenset(cast(list[NodeId], report["optional"]))
        self.warnings = cast(list[str], report["warnings"])
        """What works, but probably not as it was meant."""
        self.sums = cast(list[str], report["sums"])
        """What sites refuse of its secure sums unless their policies allow it."""
        self.patience = patience(pipeline)
        """Seconds until all sites have answered a pipeline in discovery mode; `None` for any other."""
        self.planned: tuple[float, float] | None = None
        """When the planning of it began and ended, until the trace of its first job has that."""

    @functools.cached_property
    def lines(self) -> dict[NodeId, str]:
        """The user's line of each node, also of those that an `EachSite` made."""
        lines = self.pipeline.dfm_lines()
        return lines | {copy: lines[node] for copy, node in self._copies if node in lines}

    @functools.cached_property
    def interface(self) -> Interface:
        """What an application has to know of it to talk to its jobs."""
        return Interface(self.lines, self.params, self.yields, self.literals)

    @functools.cached_property
    def placements(self) -> list[Placement]:
        """Where each node runs, in the order of the pipeline."""
        return cast(list[Placement], json.loads(self.plan.placements()))

    def leaves_out(self, errors: Iterable[ErrorToken]) -> bool:
        """Whether it does without all that failed, as the `EachSite`s say it in whose bodies that is."""

        def left_out(error: ErrorInfo) -> bool:
            if error.node is not None:
                return error.node in self._optional
            # An error of no node is that of a site, and so of all that it has to do.
            nodes = [one["node"] for one in self.placements if one["site"] == error.site]
            return bool(nodes) and self._optional.issuperset(nodes)

        return all(left_out(error) for token in errors for error in token.errors)

    def operations(self) -> dict[str, list[Operation]]:
        """What each site has to be able to call."""
        return dict(self.plan.operations())

    def explain(self) -> str:
        """For people: where each node runs and why, when it is done, and what each alternative would have cost."""
        return self.plan.explain()

    def save_to_file(self, path: str | Path) -> None:
        """Writes the plan to a local path or any fsspec URL: the pipeline, with each operation at its chosen site.

        `Pipeline.load_from_file` and the command read it like any pipeline, and every session places it so again.
        """
        save(self.plan.saved(self.pipeline.model_dump_json()), path)

    def _repr_svg_(self) -> str | None:
        """For notebooks, which show it: the pipeline with its sites as lanes and the expected sizes on its edges."""
        return self.plan.picture()


def planned(
    pipeline: Pipeline, fed_info: str, homesite: str, allowed: list[str] | None, *, straight: bool = False
) -> PreparedPipeline:
    """Checks a pipeline and chooses a site for each node.

    Args:
        pipeline: what is to be executed.
        fed_info: what the federation offers and knows of its costs, as JSON.
        homesite: the application's own site.
        allowed: the only sites that may be used, unless the pipeline names others; `None` for all.
        straight: whether it has no trees but those that it was saved with.

    Raises:
        PlanError: the federation cannot run it; has every reason.
        SessionError: the planner itself fails.
    """
    began = time.time()
    try:
        document, literals = hoisted(pipeline)
        plan = _native.plan(fed_info, document, homesite, allowed, straight)
    except ValueError as error:
        raise PlanError(str(error), pipeline.dfm_lines()) from None
    except _native.Panic as error:
        raise SessionError(f"dfm's own planner fails at this pipeline, which is a fault of dfm: {error}") from error
    prepared = PreparedPipeline(pipeline, plan, literals)
    prepared.planned = began, time.time()
    # Where nothing was chosen, no cost could have made a difference.
    chosen = bool(prepared.warnings) and any(one["alternatives"] for one in prepared.placements)
    prepared.warnings = [
        f"sites were chosen without knowing a cost: {warning}; name the site in the pipeline, or the cost in the "
        "configuration"
        for warning in prepared.warnings
        if chosen
    ]
    prepared.warnings += prepared.sums
    if (warning := _gives_nothing(pipeline, plan)) is not None:
        prepared.warnings.append(warning)
    return prepared


def check_is_pipeline(pipeline: object) -> None:
    """Refuses what a session cannot run, and says how it becomes a pipeline.

    Raises:
        ValuePipelineError: it is no pipeline.
    """
    if isinstance(pipeline, Pipeline):
        return
    match pipeline:
        case PreparedPipeline():
            hint = "it is prepared already"
        case Node() | Condition():
            hint = "give the pipeline that it was written in, the p of `with Pipeline() as p:`"
        case str() | Path():
            hint = f"a file is read with Pipeline.load_from_file({str(pipeline)!r})"
        case _ if callable(pipeline):
            name = getattr(pipeline, "__name__", "it")
            hint = f"give what it returns: {name}()"
        case _:
            hint = "write one in a `with Pipeline() as p:` block, and give p"
    raise ValuePipelineError(f"a session takes a Pipeline, not {pipeline!r}; {hint}", user_line())


def _gives_nothing(pipeline: Pipeline, plan: _native.Plan) -> str | None:
    """That the application gets nothing of a pipeline, where that is probably not as it was meant."""
    line = pipeline.dfm_without_a_yield()
    if line is None or plan.acts():
        return None
    named = f"the pipeline '{pipeline.name}'" if pipeline.name else "the pipeline"
    return (
        f"{line}: {named} has no Yield, so that its job gives the application no value; write Yield(value=…) in "
        "its `with` block for what the application is to have. (A pipeline needs none if one of its operations has "
        "no `returns` in the configuration, and so is called for what it does.)"
    )
