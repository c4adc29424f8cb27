"""What does `dfm fed replay FILE` run, and how does it tell what happens?

The command calls `main` in a process of its own with FILE FORMAT HOW: the recording; `text`, `quiet` or `json`; and
`tell` to run nothing, `step` to ask before each call, `pdb` to stop in each, or nothing. It exits with 1 where
something went otherwise than it did then.
"""

from __future__ import annotations

import bdb
import contextlib
import datetime
import json
import pdb
import sys
from collections.abc import Generator, Mapping
from typing import Any

from dfm import _native, _results
from dfm._command.screen import FAILED, put, tell
from dfm._command.submit import INTERRUPTED, counted, set_up
from dfm._running.replayed import Call, Left, Outcome, Replay
from dfm._shown import indented
from dfm.errors import DfmError, SessionError
from dfm.session._generated import read_generated
from dfm.session._waits import waits

_OURS = ["__main__", "dfm", "dfm.*", "asyncio", "asyncio.*", "contextlib", "pydantic", "pydantic.*"]
"""Modules that the debugger does not stop in."""


def main() -> None:
    """Replays the recording and exits with what came of it."""
    file, format, how = sys.argv[1:]
    set_up(format)
    try:
        recording = _native.Recording(file)
        teller = Teller(format, asks=how == "step" and sys.stdin.isatty())
        teller.begin(recording)
        sys.exit(_tell(recording, teller) if how == "tell" else _run(recording, teller, how == "pdb"))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Left:
        tell("left before the end")
        sys.exit(FAILED)
    except (DfmError, OSError, ValueError) as error:
        tell(indented(f"error: {error}"))
        sys.exit(FAILED)


def _tell(recording: _native.Recording, teller: Teller) -> int:
    for text, _ in recording.lines():
        teller.happened(json.loads(text), alone=True)
    return 0


def _run(recording: _native.Recording, teller: Teller, debugs: bool) -> int:
    beginning = json.loads(recording.beginning)
    code = read_generated(f"{beginning['federation']}.fed")
    if not _native.same_api(beginning["api_version"], code.api_version):
        raise SessionError(
            f"the job is of version {beginning['api_version']} of '{code.package}', which speaks {code.api_version} "
            "now; replay it with the configuration of then, or `--tell` what happened"
        )
    replay = Replay(recording, code.site(beginning["homesite"]), teller, debugged if debugs else contextlib.nullcontext)
    replay.run()
    return teller.end(replay)


@contextlib.contextmanager
def debugged() -> Generator[None]:
    """Stops in the debugger at the first line of the user's, and where one raises."""
    debugger = pdb.Pdb(skip=_OURS, nosigint=True)
    debugger.set_trace()
    try:
        yield
    except bdb.BdbQuit:
        raise Left from None
    except Exception as error:
        tell(indented(f"{type(error).__name__}: {error}"))
        pdb.post_mortem(error.__traceback__)
        raise
    finally:
        sys.settrace(None)


class Teller:
    """Tells what happens, as it does."""

    def __init__(self, format: str, asks: bool) -> None:
        self._json = format == "json"
        self._asks = asks
        self._home = ""
        self._operations: dict[tuple[str, int | str], str] = {}
        self._calls = 0
        self._same = 0
        self._differs = ""
        """The first difference."""
        self._status: str | None = None
        """How the job ended."""

    def begin(self, recording: _native.Recording) -> None:
        """Which job it is."""
        beginning: dict[str, Any] = json.loads(recording.beginning)
        self._home = beginning["homesite"]
        self._operations = {(one["site"], one["node"]): one["operation"] for one in beginning["nodes"]}
        self._status = recording.status
        if self._json:
            told = ("job", "pipeline", "federation", "homesite", "target", "at", "values", "api_version")
            put(json.dumps({name: beginning[name] for name in told} | {"status": self._status}))
            return
        at = datetime.datetime.fromtimestamp(beginning["at"], datetime.UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        ended = self._status.lower() if self._status else "cut short: its application was killed, or the file was cut"
        self._say(
            f"job {beginning['job']}, {beginning['pipeline']} of {beginning['federation']}, recorded {at} at "
            f"{self._home} on {beginning['target']}: {ended}"
        )

    def began(self, frame: tuple[int, ...], parameters: Mapping[str, Any]) -> None:
        """As `Audience`."""
        if self._json:
            self._document("parameters", frame=frame, parameters=parameters)
        else:
            self._say(f"{_at(frame)} begins{_given(parameters)}")

    def happened(self, event: dict[str, Any], alone: bool = False) -> None:
        """As `Audience`; what is `alone` in telling it tells all of it."""
        if not alone and (event["what"] not in ("fired", "said") or event["site"] == self._home):
            return
        if self._json:
            put(json.dumps({"then": event}))
        elif text := self._told(event):
            self._say(text)

    def _told(self, event: dict[str, Any]) -> str:
        frame = _at(event.get("frame") or ())
        match event["what"]:
            case "fired":
                failed = ", failed" if event["failed"] else ""
                return f"{event['site']}  {self._operation(event)} {frame} took {event['seconds']:.3f} s{failed}"
            case "said":
                return f"{event['site']}  {self._operation(event)} {frame} {event['level']} {event['text']}"
            case "packet" if "bytes" in event:
                digest = f", sha256 {event['sha256']}" if "sha256" in event else ""
                node = f" for {event['node']!r}" if "node" in event else ""
                return f"{event['from']}  {event['kind']}{node} {frame} {event['bytes']} bytes{digest}".rstrip()
            case "error":
                line = f", from {event['line']}" if event.get("line") else ""
                where = f"{event.get('operation') or 'the site'} {frame}".rstrip()
                return f"{event['site']}  {where} error: {event['kind']}: {event['message']}{line}"
            case "came":
                return f"{self._home}  {event['node']!r} {frame} came to the application"
            case "left-out":
                return f"left out: {event['count']} more"
            case "ended":
                came = f"{counted(event['tokens'], 'token')}, {counted(event['errors'], 'error')}"
                return f"ended: {event['status'].lower()}, {came}"
            case _:
                return ""

    def _operation(self, event: dict[str, Any]) -> str:
        return self._operations.get((event["site"], event["node"]), str(event["node"]))

    def calls(self, call: Call) -> None:
        """As `Audience`."""
        self._calls += 1
        if self._json:
            return
        self._say(f"{self._calls} {self._home}  {call.operation} {_at(call.frame)}{_given(call.parameters or {})}")
        if self._asks and input("  run it? [Enter: yes, q: leave] ").strip().lower() in ("q", "n"):
            raise Left

    def came(self, call: Call, now: Outcome, then: Outcome | None) -> None:
        """As `Audience`."""
        same = then is not None and now.is_like(then)
        self._same += same
        if self._json:
            told = {"then": _outcome(then), "same": same} if then is not None and not same else {"same": same}
            place = {"site": self._home, "node": call.node, "operation": call.operation, "frame": call.frame}
            given = {} if call.parameters is None else {"given": _results.as_json(dict(call.parameters))}
            put(json.dumps({"call": place | given, "now": _outcome(now), **told}))
        elif then is None:
            self._say(f"    {_shown(now)}  (then: it had not ended, or what it came to is not in the file)")
        elif same:
            self._say(f"    {_shown(now)}  (as then)")
        else:
            self._say(f"    now   {_shown(now)}")
            self._say(f"    then  {_shown(then)}")
        if then is not None and not same and not self._differs:
            self._differs = (
                f"{call.operation} {_at(call.frame)} at {self._home}: then {_shown(then)}, now {_shown(now)}"
            )

    def yielded(self, site: str, place: str, frame: tuple[int, ...], value: Any) -> None:
        """As `Audience`."""
        if self._json:
            self._document("yielded", site=site, place=place, frame=frame, value=value)
        else:
            self._say(f"{place} {_at(frame)} from {site}: {_results.as_text(value)}")

    def failed(self, failure: _native.Failure) -> None:
        """As `Audience`."""
        where = failure.operation or "the site"
        told = (
            f"{failure.site}  {where} {_at(failure.frame or ())}".rstrip()
            + f" error: {failure.kind}: {failure.message}"
        )
        if self._json:
            told = {"site": failure.site, "node": failure.node, "operation": failure.operation, "kind": failure.kind}
            put(json.dumps({"error": told | {"frame": failure.frame, "message": failure.message}}))
        else:
            trace = f"\n{failure.stack_trace.rstrip()}" if failure.site == self._home and failure.stack_trace else ""
            self._say(told + trace)

    def end(self, replay: Replay) -> int:
        """What came of it: the exit code."""
        if replay.broken:
            tell(indented(f"error: {replay.broken}"))
            return FAILED
        if not self._differs and replay.not_called and replay.over:
            call = replay.not_called[0]
            self._differs = f"{call.operation} {_at(call.frame)} at {self._home} had ended then, and has not now"
        why = [] if replay.waits is None else [str(one) for one in waits({self._home: replay.waits}, {}, 0.0)]
        if self._json:
            told = {"calls": self._calls, "same": self._same, "difference": self._differs or None, "over": replay.over}
            put(json.dumps({"replayed": told | {"waiting": why, "not_opened": replay.not_opened or None}}))
            return FAILED if self._differs else 0
        if replay.not_opened:
            self._say(f"a value in the file is not opened, and was not compared: {replay.not_opened}")
        if not replay.over:
            self._say("the job is not at its end where the recording is" + "".join(f"; {one}" for one in why))
        calls = f"{counted(self._calls, 'call')} at {self._home}"
        if self._differs:
            self._say(f"differs: {calls}, {self._same} as then; the first difference: {self._differs}")
            return FAILED
        ended = f"; the job had {self._status.lower()}" if self._status else ""
        self._say(
            f"as then: {calls}, {self._same} came to what {'it' if self._same == 1 else 'they'} had come to{ended}"
        )
        return 0

    def _document(self, what: str, **told: Any) -> None:
        put(json.dumps({what: {name: _results.as_json(value) for name, value in told.items()}}))

    def _say(self, text: str) -> None:
        put(indented(text))


def _at(frame: Any) -> str:
    return f"[{', '.join(map(str, frame))}]" if frame else ""


def _given(parameters: Mapping[str, Any]) -> str:
    shown = (f"{name}={_short(value)}" for name, value in parameters.items() if not name.startswith("_dfm_"))
    return "".join(f"  {one}" for one in shown)


def _short(value: Any) -> str:
    text = _results.as_text(value)
    return repr(text) if isinstance(value, str) else text


def _shown(outcome: Outcome) -> str:
    if outcome.failure is not None:
        return f"{outcome.failure.kind}: {outcome.failure.message}"
    if outcome.kind == "streamed":
        return f"{counted(len(outcome.items), 'item')}: {', '.join(map(_short, outcome.items[:5]))}"
    return _short(outcome.value)


def _outcome(outcome: Outcome | None) -> Any:
    if outcome is None:
        return None
    if outcome.failure is not None:
        return {"error": {"kind": outcome.failure.kind, "message": outcome.failure.message}}
    return {
        "items" if outcome.kind == "streamed" else "value": _results.as_json(
            outcome.items if outcome.kind == "streamed" else outcome.value
        )
    }
