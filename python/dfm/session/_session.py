"""How does an application plan pipelines and run them?"""

from __future__ import annotations

import asyncio
import atexit
import dataclasses
import functools
import importlib
import json
import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Never, Self, cast

from dfm import _native
from dfm._discovery.advice import DISCOVERY_PLACE
from dfm._discovery.outcome import discovery
from dfm._html import table, titled
from dfm.api import ErrorToken, Pipeline
from dfm.api.discovery import Discovery
from dfm.errors import JobError, ParameterError, PipelineError, SessionError
from dfm.session._callbacks import Callback, Callbacks, check_callbacks, checked_places
from dfm.session._delivery import KeptJob
from dfm.session._dispatch import CallbackRunner, DirectDispatcher, Dispatcher
from dfm.session._home import Execution, Home, Links, Settings
from dfm.session._interface import Interface
from dfm.session._job import Job, Results
from dfm.session._keeping import Looking, Recalled
from dfm.session._prepared import PreparedPipeline, check_is_pipeline, planned
from dfm.session._status import OPEN, JobStatus


def _offered(offer: dict[str, Any]) -> str:
    return offer["operation"] + (f" ({offer['provider']})" if offer["provider"] else "")


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a session is made of."""

    settings: Settings
    make_links: Callable[[Home], Links]
    fed_info: str
    dispatcher: Dispatcher | None = None
    come_back: Callable[..., Links] | None = None
    new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    """Makes the homesite's event loop; the usual one if not given."""
    check_sites: Callable[[Iterable[str]], None] | None = None
    """Is told each pipeline's sites, and raises a `SessionError` for one that cannot be used."""
    sites: Sequence[str] | None = None
    """The only sites that may be used, unless a pipeline names others; `None` for all."""
    history: _native.History | None = None
    """Where a record of each job is written; `None` for nowhere."""


class Session:
    """A connection to a federation. Used as a context manager, it is connected and closed by itself."""

    def __init__(
        self,
        federation_name: str,
        homesite: str,
        target: Literal["flare", "local"] = "flare",
        logger: logging.Logger | None = None,
        **options: Any,
    ) -> None:
        """As `get_session(target, logger, **options)` of the generated `<federation_name>.fed.runtime.<homesite>`.

        Raises:
            SessionError: there is no generated code of that federation, or the target is not available.
        """
        from dfm.session._open import parts_of  # which needs this module

        package = federation_name.removesuffix(".fed")
        self._begin(parts_of(f"{package}.fed", homesite, target, logger, options=options))

    @classmethod
    def of(cls, parts: Parts) -> Self:
        """The session of these parts."""
        session = cls.__new__(cls)
        session._begin(parts)
        return session

    def _begin(self, parts: Parts) -> None:
        self._settings = parts.settings
        self._make_links = parts.make_links
        self._fed_info = parts.fed_info
        self._dispatcher = parts.dispatcher or DirectDispatcher()
        self._new_loop = parts.new_loop
        self._check_sites = parts.check_sites
        self._sites = parts.sites
        self._history = parts.history
        self._home: Home | None = None
        self._come_back = parts.come_back
        self._homes: dict[str, Home] = {}
        self._jobs: weakref.WeakSet[Job] = weakref.WeakSet()
        self._made = 0
        self._warned: set[str] = set()
        """What prepared pipelines were warned of; each is told once."""
        self._reached: float | None = None
        """How long it took until the first sites could be reached, until the first job's record says it."""

    def __repr__(self) -> str:
        settings, open = self._settings, sum(job.get_status() in OPEN for job in self._jobs)
        state = "not connected" if self._home is None else f"{open} open job{'s' if open != 1 else ''}"
        return f"<Session of '{settings.package}' at '{settings.homesite}' on {self._target}: {state}>"

    def _repr_html_(self) -> str:
        """For notebooks, which show it: the federation's sites and what each offers."""
        sites: dict[str, Any] = json.loads(self._fed_info)["sites"]
        rows = [
            (site, told["description"], ", ".join(_offered(one) for one in told["offers"]))
            for site, told in sites.items()
        ]
        return titled(repr(self), table(("site", "description", "operations"), rows))

    @property
    def _target(self) -> str:
        return "local" if self._come_back is None else "flare"

    @property
    def homesite(self) -> str:
        """The site of this application."""
        return self._settings.homesite

    @property
    def callback_dispatcher(self) -> Dispatcher:
        """Where callbacks are called."""
        return self._dispatcher

    @property
    def logger(self) -> logging.Logger:
        """Where it tells what it does."""
        return self._settings.logger

    def connect(self, debug: bool = False) -> None:
        """Makes the session ready, and returns at once: what it needs of other sites is awaited when a pipeline does.

        On the local target their processes are started by the first pipeline that needs them; on Flare the session's
        job is submitted now, in the background. `debug` has dfm log what it does.
        """
        if debug:
            self._settings.logger.setLevel(logging.DEBUG)
        if self._home is None:
            self._home = Home(self._settings, self._make_links, self._new_loop)
            _open.add(self)

    def narrow(self, pipeline: Pipeline) -> None:
        """Has a session that is not connected take on no sites but those that a pipeline needs: on Flare, all others
        would start a process that does nothing.

        Raises:
            PlanError: the federation cannot run it; has every reason.
            SessionError: it was written for another federation, or for another version of it.
        """
        check_is_pipeline(pipeline)
        if self._target == "local":
            return
        self._check_version(pipeline)
        allowed = None if self._sites is None else list(self._sites)
        prepared = self._planned(pipeline, allowed)
        sites = {*prepared.operations()}
        if prepared.plan.has_trees():
            sites |= {*self._planned(pipeline, allowed, straight=True).operations()}
        self._settings = dataclasses.replace(self._settings, sites=frozenset(sites))

    def usual_start(self) -> float | None:
        """How many seconds it usually takes until the first sites of such a session can be reached, as the records of
        earlier ones have it; `None` where there are none."""
        return self._history.usual_reach(self._target) if self._history is not None else None

    def close(self, debug: bool = False) -> None:
        """Cancels the jobs that are not at their end, and ends the session at all sites."""
        homes = [self._home] if self._home is not None else []
        homes += [home for home in self._homes.values() if home not in homes]
        self._home, self._homes = None, {}
        if not homes:
            return
        _open.discard(self)
        if any(home.forked for home in homes):
            return
        # The last first: none that waits for its turn gets it from one that is cancelled.
        for job in sorted(self._jobs, key=lambda job: int(job.job_id.rpartition("-")[2]), reverse=True):
            if job.get_status() in OPEN:
                job.cancel()
        for home in homes:
            home.close()
        if self._history is not None and (problem := self._history.flush()):
            self._settings.logger.warning("not every job of this session has its record: %s", problem)

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
        check_is_pipeline(pipeline)
        home = self._connected()
        self._check_version(pipeline)
        if restrict_to_sites is None:
            allowed = None if self._sites is None else list(self._sites)
        elif restrict_to_sites == "homesite":
            allowed = [self.homesite]
        elif isinstance(restrict_to_sites, str):
            raise SessionError(f"restrict_to_sites takes a list of sites, or 'homesite', not '{restrict_to_sites}'")
        else:
            allowed = list(restrict_to_sites)
        prepared = self._planned(pipeline, allowed)
        problems = self._problems(home, prepared)
        if problems and prepared.plan.has_trees():
            # A site may let its values go home, and not to where they would meet others, or not be where they may.
            straight = self._planned(pipeline, allowed, straight=True)
            if not self._problems(home, straight):
                prepared, problems = straight, []
        if problems:
            raise SessionError("\n".join(problems))
        logger = self._settings.logger
        for warning in prepared.warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                logger.warning("%s", warning)
        if debug:
            logger.info("%s", prepared.explain())
        return prepared

    def _planned(self, pipeline: Pipeline, allowed: list[str] | None, *, straight: bool = False) -> PreparedPipeline:
        return planned(pipeline, self._fed_info, self.homesite, allowed, straight=straight)

    def _problems(self, home: Home, prepared: PreparedPipeline) -> list[str]:
        """Why its sites cannot run a plan, as far as they say; each once."""
        if self._check_sites is not None:
            self._check_sites(prepared.operations())
        # What is wrong at a site that is only asked is its answer.
        if prepared.patience is not None:
            return []
        begin = time.perf_counter()
        plan = prepared.plan
        wrong, refused = home.check(dict(plan.asked()), dict(plan.leaving()))
        if self._made == 0 and self._reached is None:
            self._reached = time.perf_counter() - begin
        if wrong:
            # What is wrong with an operation is so at each of its nodes: the first is told.
            first: dict[str, int | str] = {}
            for node, text in wrong:
                first.setdefault(text, node)
            return [_at_line(prepared, node, text) for text, node in first.items()]
        if not refused:
            return []
        crossings = plan.crossings()
        told = (
            _refused(prepared, node, to, why)
            for site, makers, why in refused
            for left, to, node, made_by in crossings
            if (left, made_by) == (site, makers)
        )
        return list(dict.fromkeys(told))

    def execute(
        self,
        pipeline: PreparedPipeline | Pipeline,
        input_params: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = MappingProxyType({}),
        autostop: bool = True,
        default_callback: Callback | None = None,
        place_callbacks: Mapping[str, Callback] | None = None,
        measure: bool = False,
        receipt: bool = False,
        *,
        record: str | Path | None = None,
        record_values: Literal["full", "hash", "none"] = "full",
        debug: bool = False,
        options: Any = None,
        force_modgen: bool = False,
    ) -> Job:
        """Starts a job and returns at once, with a pipeline that is prepared.

        Args:
            pipeline: what to execute; one that is not prepared is prepared first, which waits for its sites.
            input_params: one parameter set, or a list of them: one frame each.
            autostop: whether the input ends with these parameter sets. With False, None leaves it open without any.
            default_callback: gets every token that no other callback takes, those of the status place included.
            place_callbacks: a yield place's name, or the status or the discovery place's → the callback for its tokens.
                A callback takes (from_site, node, frame, place, data); one that raises stops nothing, and is in the
                job's errors.
            measure: whether the sites note how long each call takes and how big its result is, for `Job.measured`.
            receipt: whether the sites account for what they contribute, for `Job.receipt`.
            record: the file that is to have, at the job's end, all that `dfm fed replay` needs to run it again.
            record_values: what of the values is kept there: themselves, their digests and sizes, or their sizes alone.
            debug: log where each node runs.
            options, force_modgen: without effect; programs that were written for another engine give them.

        Raises:
            PlanError, SessionError: as `prepare`; or what is to be called back cannot be called so.
            JobError: the parameter sets are not what the pipeline wants, or the recording cannot be begun.
        """
        began = time.time()
        prepared = pipeline if isinstance(pipeline, PreparedPipeline) else self.prepare(pipeline)
        if debug:
            self._settings.logger.info("%s", prepared.explain())
        home = self._connected()
        if measure and prepared.patience is not None:
            raise SessionError("a pipeline in discovery mode runs no operation that could be measured")
        interface = prepared.interface
        frames = [] if input_params is None else interface.frames(input_params)
        check_callbacks(default_callback, place_callbacks, self._dispatcher)
        by_place = checked_places(place_callbacks, prepared.yields)
        self._made += 1
        number, job_id = self._made, home.job_id(self._made)
        keeping = home.keeps.keeping(number, job_id) if home.keeps is not None else None
        name, history = prepared.pipeline.name or job_id, None
        recorder = None
        if record is not None:
            recorder = self._recorder(record, record_values, job_id, name, prepared)
        if self._history is not None:
            params = sorted(prepared.params)
            reached, self._reached = self._reached, None
            history = self._history.begin(job_id, name, self._target, self.homesite, params, prepared.plan, reached)
        exports, trace = home.driver.exports, None
        if exports is not None:
            at, prepared.planned = prepared.planned, None
            trace = exports.root(number, job_id, name, began, at)
        callbacks = Callbacks(default_callback, by_place, self._runner(default_callback, by_place))
        kept = KeptJob(keeping) if keeping else None
        job = Job(home, number, interface, callbacks, kept, prepared.plan, history, recorder)
        job.opened(len(frames), autostop)
        self._jobs.add(job)
        execution = Execution(
            name,
            prepared.plan,
            sites=list(prepared.operations()),
            frames=frames,
            stop=autostop,
            about={"id": job_id, "name": name, **interface.about()},
            patience=prepared.patience,
            measure=measure,
            note=history is not None or recorder is not None or exports is not None,
            trace=trace,
            receipt=receipt,
            keep=recorder is not None,
        )
        home.soon(lambda: home.open(number, job, execution))
        return job

    def _recorder(
        self, path: str | Path, values: str, job_id: str, name: str, prepared: PreparedPipeline
    ) -> _native.Recorder:
        settings = self._settings
        of = settings.api_version, settings.package, job_id, name, self._target, self.homesite
        try:
            return _native.Recorder(path, values, *of, sorted(prepared.params), prepared.plan)
        except (OSError, ValueError) as error:
            raise JobError(f"the job cannot be recorded in {path}: {error}") from None

    def _runner(self, default: Callback | None, by_place: Mapping[str, Callback]) -> CallbackRunner | None:
        return self._dispatcher.runner() if default is not None or by_place else None

    def run(self, pipeline: PreparedPipeline | Pipeline, /, *unnamed: Never, **params: Any) -> dict[str, list[Any]]:
        """Executes a pipeline with one parameter set, whose parameters are given by name, and waits for its end.

        Returns:
            For each yield place its values, in order.

        Raises:
            JobError: an operation failed or a site was lost, and it is none that an `EachSite` leaves out.
            PlanError, SessionError, ParameterError: as `execute`.
        """
        if unnamed:
            raise ParameterError(
                f"run takes a pipeline and its parameters by name, not {unnamed[0]!r} alone: "
                "session.run(pipeline, year=2024). For a dictionary of them write session.run(pipeline, **parameters), "
                "and for a list of parameter sets session.execute(pipeline, parameter_sets)"
            )
        prepared = pipeline if isinstance(pipeline, PreparedPipeline) else self.prepare(pipeline)
        job = self.execute(prepared, params)
        try:
            job.wait_until_finished()
        except BaseException:
            job.cancel()
            raise
        if job.get_status() is JobStatus.ABORTED or not prepared.leaves_out(job.errors):
            job.raise_for_errors()
        found = Results((place, job.results(place)) for place in dict.fromkeys(prepared.yields))
        if any(isinstance(value, ErrorToken) for values in found.values() for value in values):
            job.raise_for_errors()
        return found

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
        check_is_pipeline(pipeline)
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
            SessionError: there is no such job, it is another user's or another site's, or nothing is kept of it. On
                the local target a job ends with its session, so it is one that this session has detached.
        """
        check_callbacks(default_callback, place_callbacks, self._dispatcher)
        if self._come_back is None:
            return self._back_to(job_id, default_callback, place_callbacks)
        session, _, digits = job_id.rpartition("-")
        if not session or not digits.isdecimal():
            raise SessionError(f"'{job_id}' is not a job's id, such as 'a1b2c3d4-1'; `dfm jobs list` shows them")
        number = int(digits)
        home = self._home if session == self._settings.session else self._homes.get(session)
        fresh = home is None
        if home is None:
            settings = dataclasses.replace(self._settings, session=session)
            home = Home(settings, functools.partial(self._come_back, execution=number))
        runner = None
        try:
            if any(job.job_id == job_id and job.follows for job in self._jobs):
                raise SessionError(f"this session receives the tokens of job '{job_id}' already")
            runner = self._runner(default_callback, place_callbacks or {})

            def take_up(found: Recalled) -> Job:
                interface = Interface.recalled(found.about)
                callbacks = Callbacks(default_callback, checked_places(place_callbacks, interface.yields), runner)
                record = None if keep or self._history is None else self._history.resume(job_id)
                kept = _what_is_kept(home, number, found, keep)
                job = Job(home, number, interface, callbacks, kept, record=record)
                job.opened(found.about.get("frames", 0), not found.about.get("input_open", False))
                home.resume(number, job, found)
                return job

            job = home.run(home.recall(number, take_up))
        except BaseException:
            if runner is not None:
                runner.finish()
            if fresh:
                home.close()
            raise
        self._homes[session] = home
        _open.add(self)
        self._jobs.add(job)
        return job

    def _back_to(self, job_id: str, default: Callback | None, place_callbacks: Mapping[str, Callback] | None) -> Job:
        home = self._connected()
        left = cast("Job | None", home.detached.get(job_id))
        if left is None:
            running = any(job.job_id == job_id and job.follows for job in self._jobs)
            why = "is received already" if running else "is none that this session has detached"
            raise SessionError(f"the job '{job_id}' {why}: jobs of the local target do not outlive their session")
        by_place = checked_places(place_callbacks, left.yields)
        del home.detached[job_id]
        left.come_back(Callbacks(default, by_place, self._runner(default, by_place)))
        return left

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
        if not _native.same_api(version, settings.api_version):
            raise SessionError(
                f"the pipeline was written for version {version} of '{package}', but the federation speaks "
                f"{settings.api_version}; generate the code again: dfm fed gen code {package}"
            )


def _what_is_kept(home: Home, number: int, found: Recalled, keep: bool) -> KeptJob:
    """Takes up what an earlier application has had of a job; with `keep`, what this one has is not noted."""
    assert home.keeps is not None
    keeping = home.keeps.keeping(number, home.job_id(number))
    if keep:
        keeping = Looking(keeping)
    keeping.come_back(found)
    return KeptJob(keeping, found.dropped)


def _refused(prepared: PreparedPipeline, node: int | str, to: str, why: str) -> str:
    """That a node's value may not leave its site, with the user's line."""
    return _at_line(prepared, node, f"what node {node!r} gives cannot go to site '{to}': {why}")


def _at_line(prepared: PreparedPipeline, node: int | str, text: str) -> str:
    """A sentence about a node, with the user's line."""
    line = prepared.lines.get(node)
    return f"{line}: {text}" if line else text


_open: set[Session] = set()
"""Those that are to be closed, also where nothing else refers to them any more: what they run on lives."""


def _close_all() -> None:
    for session in list(_open):
        try:
            session.close()
        except Exception as error:
            session.logger.warning("a session could not be closed at the end of the application: %s", error)


# Before the interpreter waits for threads, those of pools too: what a session runs on ends when it is closed, which
# needs them. The hook that was registered last is called first, so the pools' is registered before.
importlib.import_module("concurrent.futures.thread")
getattr(threading, "_register_atexit", atexit.register)(_close_all)
