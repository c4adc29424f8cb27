"""What does `dfm fed submit NAME pipeline PATH` run?

The command calls `main` in a process of its own with everything decided: PATH FORMAT OUTPUT MEASURE RECEIPT RECORD
[ARGUMENT…] in `sys.argv`, FORMAT being `text`, `quiet` for text without what is about progress, or `json`,
OUTPUT the folder for results or empty, MEASURE empty or, for a job that is measured, JSON with the files for its
picture and its costs, or null, RECEIPT the file for its receipt or empty, and RECORD empty or JSON with the file for
its recording and what of the values is in that. DFM_PARAMS, which no other user of the machine can see, is a JSON
object.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Literal, NamedTuple, cast

from dfm import _results
from dfm._command.screen import FAILED, Telling, put, showing, tell
from dfm._shown import indented, one_line, shown
from dfm.api import ErrorToken, Pipeline
from dfm.api.discovery import Discovery, ErrorFieldAdvice
from dfm.errors import DfmError, ParameterError, PipelineError, PlanError
from dfm.exec import Frame
from dfm.exec._telling import user_traceback
from dfm.session import STATUS_PLACE, Job, JobStatus, Session, Wait, from_env
from dfm.session._measured import Measured, write
from dfm.session._waits import described

INTERRUPTED = 130
_WRONG, _TERMINATED = 2, 143
_STILL = 5.0
"""Seconds without anything new after which it is asked what a job waits for, and then again."""


_FEW = 5
"""So many frames of errors that were told already are named."""


class WrongInput(Exception):
    """What is wrong with what the user gave."""


class Wanted(NamedTuple):
    """What is wanted of a job beside its results."""

    measure: dict[str, str | None] | None
    """The files for its picture and its costs, if it is measured."""
    receipt: Path | None
    """The file for its receipt."""
    file: str | None = None
    """The file for its recording."""
    values: Literal["full", "hash", "none"] = "full"
    """What of the values is in that."""


def main() -> None:
    """Runs the pipeline and exits with what came of it."""
    path, format, output, measure, receipt, record, *arguments = sys.argv[1:]
    params = os.environ.pop("DFM_PARAMS")
    # As if the user's file were run by itself.
    sys.argv = [path, *arguments]
    set_up(format)
    printer = Printer(format, Path(output) if output else None)
    try:
        wanted = Wanted(
            json.loads(measure) if measure else None,
            Path(receipt) if receipt else None,
            **(json.loads(record) if record else {}),
        )
        sys.exit(_submit(Path(path), arguments, printer, wanted, json.loads(params)))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except ParameterError as error:
        printer.refuse(ParameterError(f"{error}; `--param NAME=VALUE` gives a parameter"))
        sys.exit(FAILED)
    except (WrongInput, DfmError) as error:
        printer.refuse(error)
        sys.exit(_WRONG if isinstance(error, WrongInput) else FAILED)


def set_up(format: str) -> None:
    """Shows on stderr what the command shows there in a format, and lets signals end what runs as an exception does."""
    for stream in (sys.stdout, sys.stderr):
        cast(Any, stream).reconfigure(errors="backslashreplace")
    _show_warnings()
    if format != "quiet":
        _tell_progress()
    logging.getLogger("nvflare").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _terminate)


def _show_warnings() -> None:
    """Shows dfm's own warnings as the command shows its; the log of the user's file is the user's."""
    logger, handler = logging.getLogger("dfm"), Telling()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(_Labelled())
    logger.addHandler(handler)
    logger.propagate = False


class _Labelled(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {super().format(record)}"


def _tell_progress() -> None:
    """Says on stderr what a session waits for. NVFlare's own messages are about what the session tells more clearly."""
    logger, handler = logging.getLogger("dfm.session"), Telling()
    handler.addFilter(lambda record: record.levelno < logging.WARNING)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)


def _submit(
    path: Path,
    arguments: list[str],
    printer: Printer,
    wanted: Wanted,
    given: dict[str, Any],
) -> int:
    session = from_env()
    pipeline, parameters = load(path, arguments)
    if given:
        parameters = _with(given, pipeline, parameters)
    printer.prepare()
    session.narrow(pipeline)
    with session:
        if pipeline.mode == "discovery":
            if wanted.file is not None:
                raise WrongInput("a discovery is not recorded, as it runs no operation; leave `--record` out")
            return 0 if printer.discovered(session.discover(pipeline)) and printer.saved_all else FAILED
        with printer.starting(session):
            prepared = session.prepare(pipeline)
        begin, job = time.perf_counter(), None
        try:
            job = session.execute(
                prepared,
                parameters,
                default_callback=printer,
                measure=wanted.measure is not None,
                receipt=wanted.receipt is not None,
                record=wanted.file,
                record_values=wanted.values,
            )
            if os.environ["DFM_TARGET"] == "flare":
                printer.name(job.job_id)
            wait(job, printer)
        except KeyboardInterrupt:
            # One of which nobody here knows yet ends with its session.
            if job is not None:
                job.cancel()
            printer.cancelled()
            raise
        status = job.get_status()
        printer.summary(status, time.perf_counter() - begin)
        if wanted.measure is not None:
            printer.measured(job.measured(), wanted.measure)
        if wanted.receipt is not None and status in (JobStatus.FINISHED, JobStatus.FAILED):
            _save_receipt(wanted.receipt, job)
        if wanted.file is not None:
            job.check_recorded()
            printer.recorded(wanted.file, wanted.values)
    return 0 if status is JobStatus.FINISHED and printer.saved_all else FAILED


def _save_receipt(path: Path, job: Job) -> None:
    try:
        path.write_text(json.dumps(job.receipt(), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise WrongInput(f"the receipt cannot be saved: {error}") from None


def wait(job: Job, printer: Printer) -> None:
    """Waits for the job's end, and shows how far it is. If it is ended instead, as its time is up, says what the job
    waits for."""
    try:
        with printer.running(job):
            job.wait_until_finished()
    except SystemExit:
        printer.waiting(job.waiting())
        raise


Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def load(path: Path, arguments: list[str]) -> tuple[Pipeline, Parameters]:
    """The pipeline of a user's file, or a saved one, and its parameter sets.

    Raises:
        WrongInput: the file cannot be loaded, or does not hold what it should.
        DfmError: what it builds is no pipeline.
    """
    if path.suffix == ".json":
        if arguments:
            raise WrongInput(f"{path} is a saved pipeline, which takes nothing after `--`; give `--param NAME=VALUE`")
        return Pipeline.load_from_file(path), {}
    sys.path.insert(0, str(path.resolve().parent))
    module = _import(path)
    get_pipeline = getattr(module, "get_pipeline", None)
    if not callable(get_pipeline):
        raise WrongInput(
            f"{path} has no function get_pipeline; it needs `def get_pipeline(args: list[str] | None = None)`, which "
            "returns a dfm.api.Pipeline"
        )
    pipeline = _called(path, "get_pipeline", get_pipeline, arguments)
    if not isinstance(pipeline, Pipeline):
        raise WrongInput(f"get_pipeline in {path} returned {_kind(pipeline)}, not a dfm.api.Pipeline")
    get_parameters = getattr(module, "get_pipeline_parameters", None)
    parameters: object = {}
    if get_parameters is not None:
        parameters = _called(path, "get_pipeline_parameters", get_parameters, arguments)
    if not isinstance(parameters, Mapping | Sequence) or isinstance(parameters, str):
        raise WrongInput(
            f"get_pipeline_parameters in {path} returned {_kind(parameters)}, not a dictionary or a list of them"
        )
    return pipeline, cast(Parameters, parameters)


def _with(given: dict[str, Any], pipeline: Pipeline, parameters: Parameters) -> Parameters:
    """The parameter sets with what the command line gives each of them."""
    if pipeline.mode == "discovery":
        raise WrongInput("a discovery has no parameters; leave `--param` out")
    if isinstance(parameters, Mapping):
        return {**parameters, **given}
    return [{**one, **given} for one in parameters]


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dfm_submitted_pipeline", path)
    if spec is None or spec.loader is None:
        raise WrongInput(f"{path} is neither a Python file (.py) nor a saved pipeline (.json)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (DfmError, SystemExit):
        raise
    except Exception as error:
        raise WrongInput(f"{path} cannot be loaded:\n{user_traceback(error)}{_help(error)}") from None
    return module


def _help(error: Exception) -> str:
    """What to do about an import of generated code that is not there."""
    missing = error.name if isinstance(error, ImportError) else None
    package, federation = os.environ.get("DFM_PACKAGE"), os.environ.get("DFM_FEDERATION")
    if missing is None or package is None or not (missing == package or f"{missing}.".startswith(f"{package}.fed.")):
        return ""
    remedy = f"`dfm fed gen code {federation}`"
    # Where there is no generated code at all, the error says so itself.
    return "" if remedy in str(error) else f"\nthe generated code of '{federation}' has no such part; run {remedy}"


def _called(path: Path, name: str, function: Any, arguments: list[str]) -> Any:
    try:
        inspect.signature(function).bind(arguments)
    except (TypeError, ValueError) as error:
        raise WrongInput(
            f"{name} in {path} cannot be called with the list of arguments: {error}; write it as `def {name}(args)`"
        ) from None
    try:
        return function(arguments)
    except DfmError:
        raise
    except Exception as error:
        raise WrongInput(f"{name} in {path} raised:\n{user_traceback(error)}") from None


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__


class Watched:
    """A job that is looked at again and again."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._seen: object = None
        self._since = time.monotonic()
        self._why = ""

    def text(self, _: float) -> str:
        """How far it is, in a line."""
        progress, now = self._job.progress, time.monotonic()
        seen = progress.sites, progress.tokens, progress.errors
        if seen != self._seen:
            self._seen, self._since, self._why = seen, now, ""
        elif now - self._since > _STILL:
            self._since = now
            waits = self._job.waiting(1.0)
            self._why = f"; {waits[0]}" if waits else ""
        return f"{progress}{self._why}"


class Printer:
    """Shows each token as it comes, and keeps it if the user wants that."""

    def __init__(self, format: str, output: Path | None) -> None:
        self._json = format == "json"
        self._shows = format == "text"
        self._output = output
        self._values = 0
        self._errors = 0
        self._same: dict[tuple[object, ...], list[list[int] | None]] = {}
        """The frames of each error that came, by what is told of it."""
        self._saved: dict[str, int] = {}
        self.saved_all = True
        """Whether every value was saved that was to be."""

    def prepare(self) -> None:
        """Makes the folder for results."""
        if self._output is not None:
            try:
                self._output.mkdir(parents=True, exist_ok=True)
                has_files = any(self._output.iterdir())
            except OSError as error:
                raise WrongInput(f"--output: the folder {self._output} cannot be used: {error.strerror}") from None
            if has_files:
                logging.getLogger("dfm").warning(
                    "%s has files already: those that have the name of a result are replaced, the others stay, of an "
                    "earlier run too",
                    self._output,
                )

    def name(self, job_id: str) -> None:
        """Tells the id of a job that can be found again."""
        if self._json:
            put(json.dumps({"job": job_id}))
        else:
            tell(one_line(f"job {job_id}"))

    def __call__(self, from_site: str, node: int | str | None, frame: Frame, place: str, data: Any) -> None:
        if frame.is_stop_frame():
            return
        if place == STATUS_PLACE:
            self._errors += 1
            self._error(cast(ErrorToken, data))
        elif not isinstance(data, ErrorToken):
            self._values += 1
            self._value(from_site, frame, place, data)

    def _value(self, from_site: str, frame: Frame, place: str, data: Any) -> None:
        where = self._save(frame, place, data)
        if self._json:
            document = {"place": place, "frame": frame.frame, "site": from_site, "value": _results.as_json(data)}
            put(json.dumps(document | ({"file": str(where)} if where else {})))
        else:
            text = indented(_results.as_text(data))
            put(one_line(f"{place} {frame.frame}: ") + text + one_line(f" -> {where}" if where else ""))

    def _error(self, token: ErrorToken) -> None:
        for error in token.errors:
            if self._json:
                put(json.dumps({"error": error.model_dump()}))
                continue
            same = self._same.setdefault((error.site, error.node, error.type, error.message), [])
            if not same:
                tell(indented(f"error: {_results.error_text(error)}"))
            same.append(error.frame)

    def _save(self, frame: Frame, place: str, data: Any) -> Path | None:
        name = "-".join([place.replace("/", "%2F"), *map(str, frame.frame)])
        count = self._saved[name] = self._saved.get(name, -1) + 1
        what = f"the value of place '{place}' in frame {frame.frame}"
        return self._save_as(name if count == 0 else f"{name}-item{count}", data, what)

    def _save_as(self, name: str, data: Any, what: str) -> Path | None:
        if self._output is None:
            return None
        try:
            return _results.save(data, self._output, name)
        except Exception as error:
            self.saved_all = False
            self._problems([_problem(f"{what} cannot be saved: {error}", code="submit-save")])
            return None

    def discovered(self, found: Discovery) -> bool:
        """Shows which values are possible; whether every site that was asked could answer."""
        answers = found.to_data()
        if self._json:
            for answer in answers:
                put(json.dumps(_results.as_json(answer)))
        else:
            put(shown(str(found)))
        self._save_as("discovery", answers, "what was discovered")
        return not any(isinstance(tree, ErrorFieldAdvice) for one in found.values() for tree in one.values())

    def refuse(self, error: WrongInput | DfmError) -> None:
        """Says why there is no job."""
        if isinstance(error, PlanError) and self._json:
            lines = error.locations
            self._problems(
                [
                    _problem(one["message"], lines.get(cast(int, one["node"])), one["code"], one["help"])
                    for one in error.problems
                ]
            )
        else:
            self._problems([_problem(str(error), error.line if isinstance(error, PipelineError) else None)])

    def _problems(self, problems: list[dict[str, Any]]) -> None:
        if self._json:
            put(json.dumps({"problems": problems}))
        else:
            for problem in problems:
                tell(indented(f"error: {problem['message']}"))

    def starting(self, session: Session) -> AbstractContextManager[None]:
        """Shows how long it has been taking to reach the sites, and how long that usually takes."""
        usual = session.usual_start() if self._shows else None
        of = f" of usually {usual:.0f} s" if usual is not None else ""
        return showing(self._shows, lambda seconds: f"reaching the federation's sites: {seconds:.0f} s{of}")

    def running(self, job: Job) -> AbstractContextManager[None]:
        """Shows how far a job is, and, when nothing has come for a while, what it waits for."""
        return showing(self._shows, Watched(job).text)

    def waiting(self, waits: Sequence[Wait]) -> None:
        """What a job waits for that is ended before its end; nobody may be there to read it any more."""
        if self._json:
            put(json.dumps({"waiting": described(waits)}))
        else:
            for one in waits:
                tell(indented(f"waiting: {one}"))

    def cancelled(self) -> None:
        """That the user has ended the job."""
        if self._json or self._shows:
            tell("interrupted: the job was cancelled")

    def summary(self, status: JobStatus, seconds: float) -> None:
        """The last line."""
        counts = f"{counted(self._values, 'value')}, {counted(self._errors, 'error')}"
        if self._json:
            put(json.dumps({"status": status.value, "values": self._values, "errors": self._errors}))
        else:
            self._tell_again()
            tell(f"{status.value.lower()}: {counts} in {seconds:.2f} s")

    def _tell_again(self) -> None:
        """How often the errors came that were told once."""
        for (site, _, kind, message), (_, *frames) in self._same.items():
            if frames:
                frames.sort(key=lambda frame: frame or [])
                which = ", ".join(map(str, frames[:_FEW])) + ("" if len(frames) <= _FEW else ", …")
                text = f"{kind}: {message}".partition("\n")[0]
                tell(one_line(f"{counted(len(frames), 'more error')} like it at site '{site}', frames {which}: {text}"))

    def recorded(self, file: str, values: str) -> None:
        """Where the job is recorded, and who may have that."""
        if self._shows:
            private = (
                ", with all values that came here: keep it from whoever may not see them" if values == "full" else ""
            )
            tell(one_line(f"recorded in {file}{private}; `dfm fed replay {shlex.quote(file)}` runs it again"))

    def measured(self, run: Measured, files: Mapping[str, str | None]) -> None:
        """What the run took, also into the files that are wanted."""
        for name, text in (("svg", run.picture), ("costs", run.costs)):
            if (file := files[name]) is not None:
                write(file, text())
        if self._json:
            put(json.dumps({"measured": run.nodes}))
        else:
            put(shown(run.explain()))


def _problem(
    message: str, line: str | None = None, code: str = "submit-pipeline", help: str | None = None
) -> dict[str, Any]:
    file, _, number = (line or "").rpartition(":")
    at = {"file": file, "line": int(number)} if number.isdigit() else None
    return {"code": code, "severity": "error", "message": message, "at": at, "help": help}


def counted(count: int, word: str) -> str:
    """So many of something, for people."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"
