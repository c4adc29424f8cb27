"""What does `dfm fed submit NAME pipeline PATH` run?

The command starts this module with everything decided: `python -m dfm._submit PATH FORMAT OUTPUT [ARGUMENT…]`, FORMAT
being `text` or `json`, and OUTPUT the folder for results or empty.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, cast

from dfm import _results
from dfm.api import ErrorToken, Pipeline
from dfm.errors import DfmError
from dfm.exec import Frame
from dfm.exec._adapters import user_traceback
from dfm.session import STATUS_PLACE, Job, JobStatus, from_env

_WRONG, _FAILED, _INTERRUPTED, _TERMINATED = 2, 1, 130, 143


class _WrongInput(Exception):
    """What is wrong with the user's file."""


def main() -> None:
    """Runs the pipeline and exits with what came of it."""
    path, format, output = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    signal.signal(signal.SIGTERM, _terminate)
    try:
        sys.exit(_submit(path, sys.argv[4:], _Printer(format == "json", Path(output) if output else None)))
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except _WrongInput as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_WRONG)
    except DfmError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(_FAILED)


def _terminate(number: int, frame: FrameType | None) -> None:
    sys.exit(_TERMINATED)


def _submit(path: Path, arguments: list[str], printer: _Printer) -> int:
    pipeline, parameters = _load(path, arguments)
    with from_env() as session:
        prepared = session.prepare(pipeline)
        begin = time.perf_counter()
        job = session.execute(prepared, parameters, default_callback=printer)
        _wait(job, printer, begin)
        status = job.get_status()
        printer.summary(status, time.perf_counter() - begin)
    return 0 if status is JobStatus.FINISHED else _FAILED


def _wait(job: Job, printer: _Printer, begin: float) -> None:
    if job.wait_until_finished(1.0):
        return
    shows = sys.stderr.isatty()
    while not job.wait_until_finished(0.5):
        if shows:
            print(f"\r{printer.progress()}, {time.perf_counter() - begin:.0f} s ", end="", file=sys.stderr, flush=True)
    if shows:
        print("\r\033[K", end="", file=sys.stderr)


Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


def _load(path: Path, arguments: list[str]) -> tuple[Pipeline, Parameters]:
    if path.suffix == ".json":
        return Pipeline.load_from_file(path), {}
    sys.path.insert(0, str(path.resolve().parent))
    module = _import(path)
    get_pipeline = getattr(module, "get_pipeline", None)
    if not callable(get_pipeline):
        raise _WrongInput(
            f"{path} has no function get_pipeline; it needs `def get_pipeline(args: list[str] | None = None)`, which "
            "returns a dfm.api.Pipeline"
        )
    pipeline = _called(path, get_pipeline, arguments)
    if not isinstance(pipeline, Pipeline):
        raise _WrongInput(f"get_pipeline in {path} returned {type(pipeline).__name__}, not a dfm.api.Pipeline")
    get_parameters = getattr(module, "get_pipeline_parameters", None)
    parameters: object = _called(path, get_parameters, arguments) if callable(get_parameters) else {}
    if not isinstance(parameters, Mapping | Sequence) or isinstance(parameters, str):
        raise _WrongInput(
            f"get_pipeline_parameters in {path} returned {type(parameters).__name__}, not a dictionary or a list of "
            "them"
        )
    return pipeline, cast(Parameters, parameters)


def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("dfm_submitted_pipeline", path)
    if spec is None or spec.loader is None:
        raise _WrongInput(f"{path} is neither a Python file (.py) nor a saved pipeline (.json)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (DfmError, SystemExit):
        raise
    except Exception as error:
        raise _WrongInput(f"{path} cannot be loaded:\n{user_traceback(error)}") from None
    return module


def _called(path: Path, function: Any, arguments: list[str]) -> Any:
    try:
        return function(arguments)
    except DfmError:
        raise
    except Exception as error:
        raise _WrongInput(f"{function.__name__} in {path} raised:\n{user_traceback(error)}") from None


class _Printer:
    """Shows each token as it comes, and keeps it if the user wants that."""

    def __init__(self, as_json: bool, output: Path | None) -> None:
        self._json = as_json
        self._output = output
        self._values = 0
        self._errors = 0
        self._saved: dict[str, int] = {}

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
            print(json.dumps(document | ({"file": str(where)} if where else {})), flush=True)
        else:
            print(f"{place} {frame.frame}: {_results.as_text(data)}" + (f" -> {where}" if where else ""), flush=True)

    def _error(self, token: ErrorToken) -> None:
        for error in token.errors:
            if self._json:
                print(json.dumps({"error": error.model_dump()}), flush=True)
            else:
                print(f"error: {_results.error_text(error)}", file=sys.stderr, flush=True)

    def _save(self, frame: Frame, place: str, data: Any) -> Path | None:
        if self._output is None:
            return None
        name = "-".join([place, *map(str, frame.frame)])
        count = self._saved[name] = self._saved.get(name, -1) + 1
        return _results.save(data, self._output, name if count == 0 else f"{name}-item{count}")

    def progress(self) -> str:
        """What has come so far."""
        return f"running: {_counted(self._values, 'value')}, {_counted(self._errors, 'error')}"

    def summary(self, status: JobStatus, seconds: float) -> None:
        """The last line."""
        counts = f"{_counted(self._values, 'value')}, {_counted(self._errors, 'error')}"
        if self._json:
            print(json.dumps({"status": status.value, "values": self._values, "errors": self._errors}), flush=True)
        else:
            print(f"{status.value.lower()}: {counts} in {seconds:.2f} s", file=sys.stderr)


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


if __name__ == "__main__":
    main()
