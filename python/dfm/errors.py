"""What can go wrong, as exceptions that a program can tell apart?"""

import json
from collections.abc import Mapping
from typing import NotRequired, TypedDict, cast

from dfm._shown import shown


class DfmError(Exception):
    """Every error that dfm raises on purpose; its text says what is wrong, where, and what to do."""

    def __str__(self) -> str:
        # Python shows it on a terminal where nobody catches it, and a site may have written parts of it.
        return shown(Exception.__str__(self))


class PipelineError(DfmError):
    """A pipeline was written wrongly, or uses what is not available; raised by the line that does so."""

    def __init__(self, message: str, line: str | None = None) -> None:
        """`line` is the user's `file:line`."""
        super().__init__(f"{line}: {message}" if line else message)
        self.line = line


class ValuePipelineError(PipelineError, ValueError):
    """A value is not what a parameter, or a part of the API, takes."""


class ArgumentPipelineError(PipelineError, TypeError):
    """Something of the API is called with other arguments than it takes."""


class PartError(PipelineError, AttributeError):
    """A node's result has no such part."""


class MissingPipelineError(PipelineError, FileNotFoundError):
    """There is no file of this name that a pipeline could be read from."""

    __str__ = DfmError.__str__


class Also(TypedDict):
    """Another statement that a problem is about."""

    node: int | str
    """The pipeline's node."""
    message: str
    """What it has to do with it."""


class Problem(TypedDict):
    """One reason why a federation cannot run a pipeline."""

    code: str
    """Stable, such as `plan-unknown-operation`."""
    node: int | str | None
    """The pipeline's node that it is about, if it is about one."""
    message: str
    """What is wrong."""
    help: str | None
    """What to do."""
    also: NotRequired[list[Also]]
    """The other statements that it is about, if there are any."""


class PlanError(DfmError):
    """The federation cannot run the pipeline; `problems` has every reason, not only the first."""

    def __init__(self, document: str, locations: Mapping[int | str, str] | None = None) -> None:
        """`document` is the planner's JSON, `{"problems": [...]}`; `locations` gives the user's line of each node."""
        super().__init__(document)
        self.problems = cast(list[Problem], json.loads(document)["problems"])
        self.locations = dict(locations or {})

    def __str__(self) -> str:
        return shown("\n".join(self._text(problem) for problem in self.problems))

    def _text(self, problem: Problem) -> str:
        node = problem["node"]
        text = ("" if node is None else f"{self._place(node)}: ") + problem["message"]
        for also in problem.get("also", []):
            text += f"\n  {self._place(also['node'])}: {also['message']}"
        return f"{text}\n  help: {problem['help']}" if problem["help"] else text

    def _place(self, node: int | str) -> str:
        return self.locations.get(node) or f"node {node}"


class Public(DfmError):
    """For adapters: its text is no secret, so that every site tells it to the application as it is.

    Of any other exception an application learns what the site's policy lets it. What it was raised from is never told.
    """


class SessionError(DfmError):
    """A session cannot be opened, or cannot do what was asked of it."""


class JobError(DfmError):
    """A job failed, was cancelled, or did not end in time."""


class ParameterError(JobError, ValueError):
    """A parameter set is not what the pipeline wants."""


class UnknownPlaceError(JobError, KeyError):
    """No `Yield` of the pipeline names this place."""

    __str__ = DfmError.__str__


class AdviceError(DfmError):
    """A value is not possible, as the sites' advice says."""


class PartialError(AdviceError):
    """The sites' advice ends here, although there is more to give."""


class LimitError(Public):
    """More was asked of a site than it does; the text names the limit."""


class RefusedError(Public):
    """A site's policy does not allow what was asked of it; the text names the rule."""


class SecretError(DfmError, KeyError, ValueError):
    """A site's vault has no secret of this key."""

    __str__ = DfmError.__str__


class StateError(DfmError):
    """What a site keeps for its adapters cannot be read or written."""


class SendingError(DfmError, ValueError):
    """An adapter sent to what is no place of its own node, or when its call was over."""


class EncodingError(DfmError):
    """A value cannot be sent to another process, or what came from one cannot be read."""
