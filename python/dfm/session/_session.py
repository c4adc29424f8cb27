"""How does an application plan pipelines and run them?"""

from __future__ import annotations

import asyncio
import atexit
import dataclasses
import functools
import json
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self, TypedDict, cast

from dfm import _native
from dfm._advice import DISCOVERY_PLACE
from dfm.api import Pipeline
from dfm.api._pipeline import save
from dfm.api.discovery import Discovery
from dfm.errors import PipelineError, PlanError, SessionError
from dfm.exec._adapters import Operation
from dfm.session._discover import discovery, patience
from dfm.session._dispatch import CallbackRunner, DirectDispatcher, Dispatcher
from dfm.session._home import Home, Links, Settings
from dfm.session._job import Callback, Job, JobStatus, NodeId, Results, checked_frames
from dfm.session._keeping import Looking


class Placement(TypedDict):
    """Where one node runs, and why."""

    node: NodeId
    operation: str
    site: str
    provider: str | None
    why: str


class PreparedPipeline:
    """A pipeline that was checked, placed and compiled; it can be executed any number of times."""

    def __init__(self, pipeline: Pipeline, plan: _native.Plan) -> None:
        self.pipeline = pipeline
        self.plan = plan
        report = json.loads(plan.report())
        self.params = frozenset(cast(list[str], report["params"]))
        """The parameter places that each parameter set has to give."""
        self.yields = cast(list[str], report["yields"])
        """The places that values come to."""
        self.warnings = cast(list[str], report["warnings"])
        """What works, but probably not as it was meant."""
        self.patience = patience(pipeline)
        """Seconds until all sites have answered a pipeline in discovery mode; `None` for any other."""

    @functools.cached_property
    def placements(self) -> list[Placement]:
        """Where each node runs, in the order of the pipeline."""
        return cast(list[Placement], json.loads(self.plan.placements()))

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


class Session:
    """A connection to a federation. Used as a context manager, it is connected and closed by itself."""

    def __init__(
        self,
        *,
        settings: Settings,
        make_links: Callable[[Home], Links],
        fed_info: str,
        dispatcher: Dispatcher | None = None,
        come_back: Callable[..., Links] | None = None,
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
        check_sites: Callable[[Iterable[str]], None] | None = None,
    ) -> None:
        """Generated code makes sessions: `<package>.fed.runtime.<site>.get_session()`.

        `new_loop` makes the homesite's event loop; the usual one if not given. `check_sites` is told each pipeline's
        sites, and raises a `SessionError` for one that cannot be used.
        """
        self._settings = settings
        self._make_links = make_links
        self._fed_info = fed_info
        self._dispatcher = dispatcher or DirectDispatcher()
        self._new_loop = new_loop
        self._check_sites = check_sites
        self._home: Home | None = None
        self._come_back = come_back
        self._homes: dict[str, Home] = {}
        self._jobs: weakref.WeakSet[Job] = weakref.WeakSet()
        self._made = 0

    @property
    def homesite(self) -> str:
        """The site of this application."""
        return self._settings.homesite

    def connect(self) -> None:
        """Makes the session ready, and returns at once: what it needs of other sites is awaited when a pipeline does.

        On the local target their processes are started by the first pipeline that needs them; on Flare the session's
        job is submitted now, in the background.
        """
        if self._home is None:
            self._home = Home(self._settings, self._make_links, self._new_loop)
            _open.add(self)

    def close(self) -> None:
        """Cancels the jobs that are not at their end, and ends the session at all sites."""
        homes = [self._home] if self._home is not None else []
        homes += [home for home in self._homes.values() if home not in homes]
        self._home, self._homes = None, {}
        if not homes:
            return
        _open.discard(self)
        if any(home.forked for home in homes):
            return
        for job in list(self._jobs):
            if job.get_status() in (JobStatus.SUBMITTED, JobStatus.RUNNING):
                job.cancel()
        for home in homes:
            home.close()

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def prepare(
        self,
        pipeline: Pipeline,
        restrict_to_sites: Literal["homesite"] | Sequence[str] | None = None,
        debug: bool = False,
    ) -> PreparedPipeline:
        """Checks a pipeline, chooses a site for each node, and makes sure that the sites can call what they offer.

        Args:
            pipeline: what is to be executed.
            restrict_to_sites: the only sites that may be used.
            debug: log where each node will run.

        Raises:
            PlanError: the federation cannot run it; has every reason.
            SessionError: the session is not connected, a site's adapters cannot be called, or Flare would refuse a
                site and the session is strict.
        """
        home = self._connected()
        self._check_version(pipeline)
        if restrict_to_sites is None:
            allowed = None
        elif restrict_to_sites == "homesite":
            allowed = [self.homesite]
        else:
            allowed = list(restrict_to_sites)
        try:
            plan = _native.plan(self._fed_info, pipeline.model_dump_json(), self.homesite, allowed)
        except ValueError as error:
            raise PlanError(str(error), pipeline.dfm_lines()) from None
        prepared = PreparedPipeline(pipeline, plan)
        if self._check_sites is not None:
            self._check_sites(prepared.operations())
        # What is wrong at a site that is only asked is its answer.
        wrong = home.run(home.check(prepared.operations())) if prepared.patience is None else {}
        if wrong:
            raise SessionError("\n".join(dict.fromkeys(wrong.values())))
        logger = self._settings.logger
        for warning in prepared.warnings:
            logger.warning("%s", warning)
        if debug:
            logger.info("%s", prepared.explain())
        return prepared

    def execute(
        self,
        pipeline: PreparedPipeline | Pipeline,
        input_params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = MappingProxyType({}),
        autostop: bool = True,
        default_callback: Callback | None = None,
        place_callbacks: Mapping[str, Callback] | None = None,
        measure: bool = False,
    ) -> Job:
        """Starts a job and returns at once.

        Args:
            pipeline: what to execute; one that is not prepared is prepared first.
            input_params: one parameter set, or a list of them: one frame each.
            autostop: whether the input ends with these parameter sets. With False, None leaves it open without any.
            default_callback: gets every token that no other callback takes, those of the status place included.
            place_callbacks: a yield place's name → the callback for its tokens.
            measure: whether the sites note how long each call takes and how big its result is, for `Job.measured`.

        Raises:
            PlanError, SessionError: as `prepare`.
            JobError: the parameter sets are not what the pipeline wants.
        """
        prepared = pipeline if isinstance(pipeline, PreparedPipeline) else self.prepare(pipeline)
        home = self._connected()
        if measure and prepared.patience is not None:
            raise SessionError("a pipeline in discovery mode runs no operation that could be measured")
        frames = [] if input_params is None else checked_frames(input_params, prepared.params)
        by_place = checked_places(place_callbacks, prepared.yields)
        self._made += 1
        number, job_id, lines = self._made, f"{self._settings.session}-{self._made}", prepared.pipeline.dfm_lines()
        callbacks = (default_callback, by_place)
        keeping = home.keeps.keeping(number, job_id) if home.keeps is not None else None
        job = Job(
            home,
            number,
            job_id,
            self.homesite,
            lines,
            prepared.params,
            prepared.yields,
            callbacks,
            self._runner(*callbacks),
            prepared.plan,
            keeping,
        )
        job.opened(len(frames), autostop)
        self._jobs.add(job)
        sites = list(prepared.operations())
        name = prepared.pipeline.name or job_id
        about = {"id": job_id, "name": name, "lines": list(lines.items())}
        about |= {"params": sorted(prepared.params), "yields": prepared.yields}
        plan, patience = prepared.plan, prepared.patience
        home.soon(lambda: home.open(number, job, name, plan, sites, frames, autostop, about, patience, measure))
        return job

    def _runner(self, default: Callback | None, by_place: Mapping[str, Callback]) -> CallbackRunner | None:
        return self._dispatcher.runner() if default is not None or by_place else None

    def run(self, pipeline: PreparedPipeline | Pipeline, /, **params: Any) -> dict[str, list[Any]]:
        """Executes a pipeline with one parameter set and waits for its end.

        Returns:
            For each yield place its values, in order.

        Raises:
            JobError: an operation failed or a site was lost.
        """
        prepared = pipeline if isinstance(pipeline, PreparedPipeline) else self.prepare(pipeline)
        job = self.execute(prepared, params)
        try:
            job.wait_until_finished()
        except BaseException:
            job.cancel()
            raise
        job.raise_for_errors()
        return Results((place, job.results(place)) for place in dict.fromkeys(prepared.yields))

    def discover(
        self, pipeline: Pipeline, restrict_to_sites: Literal["homesite"] | Sequence[str] | None = None
    ) -> Discovery:
        """Which values may the parameters take? Asks every site and provider that offers the pipeline's operations.

        A site that cannot answer, or has not within the operation's `timeout` (30 s if it has none), is an
        `ErrorFieldAdvice` of its own; the others' answers are there all the same.

        Args:
            pipeline: one in discovery mode.
            restrict_to_sites: the only sites that may be asked.

        Raises:
            PipelineError: the pipeline is to be executed.
            PlanError: the federation does not offer its operations; has every reason.
            SessionError: the session is not connected.
        """
        if pipeline.mode != "discovery":
            raise PipelineError(f"{pipeline!r} is to be executed; discover() takes a Pipeline(mode='discovery')")
        prepared = self.prepare(pipeline, restrict_to_sites)
        job = self.execute(prepared)
        try:
            job.wait_until_finished()
        except BaseException:
            job.cancel()
            raise
        asked = [(one["node"], one["site"], one["provider"]) for one in prepared.placements]
        return discovery(pipeline, asked, job.tokens(DISCOVERY_PLACE), job.errors)

    def reattach(
        self,
        job_id: str,
        default_callback: Callback | None = None,
        place_callbacks: Mapping[str, Callback] | None = None,
        keep: bool = False,
    ) -> Job:
        """Goes on with a job of an application that is gone, or that left it with `Job.detach`.

        The callbacks, or `Job.results` and iteration, get each token that no application has had yet, in order. A token
        was had when its callback has returned, when `results` has returned it, or when an iteration asks for the next.
        What was running at the homesite runs again. The session need not be connected for this; closing it cancels
        the job, as any other.

        Args:
            job_id: as `Job.job_id` had it, or `dfm jobs list` has it.
            default_callback, place_callbacks: as in `execute`.
            keep: only look: after `Job.detach`, the same tokens are there for the next who reattaches.

        Raises:
            SessionError: there is no such job, it is another user's or another site's, or nothing is kept of it; on
                the local target always, where a job ends with its application.
        """
        if self._come_back is None:
            raise SessionError(
                f"the job '{job_id}' ended with its application: jobs of the local target do not outlive it"
            )
        session, _, digits = job_id.rpartition("-")
        if not session or not digits.isdecimal():
            raise SessionError(f"'{job_id}' is not a job's id, such as 'a1b2c3d4-1'; `dfm jobs list` shows them")
        number = int(digits)
        home = self._home if session == self._settings.session else self._homes.get(session)
        fresh = home is None
        if home is None:
            settings = dataclasses.replace(self._settings, session=session)
            home = Home(settings, functools.partial(self._come_back, execution=number))
        try:
            if any(job.job_id == job_id and job.follows for job in self._jobs):
                raise SessionError(f"this session receives the tokens of job '{job_id}' already")
            found = home.run(home.recall(number))
            about = found.about
            by_place = checked_places(place_callbacks, about["yields"])
        except BaseException:
            if fresh:
                home.close()
            raise
        self._homes[session] = home
        _open.add(self)
        assert home.keeps is not None
        keeping = home.keeps.keeping(number, job_id)
        if keep:
            keeping = Looking(keeping)
        keeping.come_back(found)
        callbacks, params = (default_callback, by_place), frozenset(cast(list[str], about["params"]))
        lines = {node: line for node, line in cast("list[tuple[NodeId, str]]", about["lines"])}
        runner = self._runner(*callbacks)
        yields, came = cast(list[str], about["yields"]), found.dropped
        job = Job(home, number, job_id, self.homesite, lines, params, yields, callbacks, runner, None, keeping, came)
        job.opened(about.get("frames", 0), not about.get("input_open", False))
        self._jobs.add(job)
        home.soon(lambda: home.resume(number, job, found))
        return job

    def _connected(self) -> Home:
        if self._home is None:
            raise SessionError(
                "the session is not connected; call connect(), or use it as `with get_session(...) as s:`"
            )
        return self._home

    def _check_version(self, pipeline: Pipeline) -> None:
        package, version = pipeline.dfm_federation()
        if package is None or version is None:
            return
        settings = self._settings
        if package != settings.package:
            raise SessionError(
                f"the pipeline is for the federation '{package}', but this session's is '{settings.package}'"
            )
        if version.partition(".")[0] != settings.api_version.partition(".")[0]:
            raise SessionError(
                f"the pipeline was written for version {version} of '{package}', but the federation speaks "
                f"{settings.api_version}; generate the code again: dfm fed gen code {package}"
            )


def checked_places(place_callbacks: Mapping[str, Callback] | None, yields: Sequence[str]) -> dict[str, Callback]:
    """The callbacks by place, each of which is a yield place of the pipeline.

    Raises:
        SessionError: one is not.
    """
    by_place = dict(place_callbacks or {})
    if unknown := sorted(set(by_place) - set(yields)):
        raise SessionError(
            f"place_callbacks names '{unknown[0]}', which is not a yield place of the pipeline; it has: "
            + (", ".join(f"'{place}'" for place in yields) or "none")
        )
    return by_place


_open: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for session in list(_open):
        session.close()
