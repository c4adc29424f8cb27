"""What can an application do with a job that it has started?"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, assert_never

from dfm import _native
from dfm._discovery.advice import SiteAdvice
from dfm._html import table, titled
from dfm._results import as_text, error_text
from dfm._shown import clean_logger
from dfm._values import error_token
from dfm.api import STATUS_PLACE_NAME, ErrorToken, StopToken
from dfm.errors import JobError
from dfm.exec import Frame
from dfm.exec._secrets import Secrets
from dfm.exec._telling import Telling
from dfm.session._dispatch import CallbackRunner, Work, guarded, runs_here
from dfm.session._home import Home
from dfm.session._interface import Interface, NodeId, unknown_place
from dfm.session._keeping import END, Keeping, Key, error_key
from dfm.session._measured import Measured
from dfm.session._notebook import cancelled_with_its_cell, wait_shown
from dfm.session._progress import Progress, sites_of
from dfm.session._receipt import whole_receipt
from dfm.session._status import OPEN, JobStatus
from dfm.session._waits import Outside, Wait, waits

STATUS_PLACE = STATUS_PLACE_NAME
"""Where errors and the end of a job are told."""

Callback = Callable[[str, NodeId | None, Frame, str, Any], Any]
"""Takes (from_site, node, frame, place, data)."""

_SHOWN_ERRORS = 5
"""So many errors are shown in a notebook."""
_RAISED = Telling(Secrets(), clean_logger("dfm.session"))
"""How an application hears of its own callbacks' exceptions, whose texts may be none that can be sent."""
_KEPT_RAISED = 100
"""So many different exceptions of callbacks are kept; each is logged."""
_CREDIT = 64
"""With each so many items of a stream their sender is told that they are consumed."""
_SPARE = 0.5
"""Seconds more than the other sites that the homesite itself has to answer."""


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """What arrived for the application."""

    from_site: str
    """Where it was made."""
    node: NodeId | None
    """The `Yield` that sent it; on the status place, the node that failed."""
    frame: Frame
    """The run that it belongs to."""
    place: str
    """The place that the pipeline names."""
    data: Any
    """The value; an `ErrorToken` or `StopToken`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Callbacks:
    """What a job's tokens go to; a token that has no callback is kept."""

    default: Callback | None = None
    """For each place that has none of its own."""
    by_place: Mapping[str, Callback] = dataclasses.field(default_factory=dict[str, Callback])
    runner: CallbackRunner | None = None
    """Calls them; `None` where there are none."""

    def at(self, place: str) -> Callback | None:
        """The callback for a place's tokens."""
        return self.by_place.get(place, self.default)


@dataclasses.dataclass(frozen=True, slots=True)
class KeptJob:
    """What is kept of a job that can outlive this process."""

    keeping: Keeping
    came: Mapping[Key, int] = dataclasses.field(default_factory=dict[Key, int])
    """How many tokens of each series came before those that will be received."""


class Job:
    """One execution of a pipeline."""

    def __init__(
        self,
        home: Home,
        number: int,
        interface: Interface,
        callbacks: Callbacks,
        kept: KeptJob | None = None,
        plan: _native.Plan | None = None,
        record: _native.JobRecord | None = None,
        recorder: _native.Recorder | None = None,
    ) -> None:
        """`plan` is for `measured`; `record` is where it is written what happens in it, and `recorder` also what it
        takes to run it again."""
        self.job_id = home.job_id(number)
        """Its name, unique among all jobs; with it `Session.reattach` finds the job again, where it can."""
        self._home = home
        self._number = number
        self._homesite = home.settings.homesite
        self._interface = interface
        self._callbacks = callbacks
        self._plan = plan
        self._measurement: _native.Measurement | None = None
        self._parts: dict[str, str] = {}
        """Of its receipt, as sites have sent them."""
        self._asked: dict[tuple[str, NodeId, tuple[int, ...]], str] = {}
        """Site, node and frame of each call that waits for a person → the request that they have to decide of."""
        self._record = record
        self._recorder = recorder
        self._unrecorded = ""
        self._received = 0  # tokens, had or not
        self._told: dict[str, _native.Notes] = {}  # what each site has told last of how far it is
        self._begun, self._over = time.monotonic(), 0.0
        self._status = JobStatus.SUBMITTED
        self._input_open = True
        self._input_lock = threading.Lock()
        self._detached = False
        self._later: list[tuple[str, NodeId | None, Frame, str, Sequence[Any], Key]] = []
        """What came while nobody received it, of a job that ends with this process."""
        self._frames = 0
        self._tokens: list[Token] = []
        self._errors: list[ErrorToken] = []
        self._raised: dict[tuple[str, str, str], ErrorToken] = {}
        """What callbacks have raised, by the place, the kind and the text."""
        self._finished = threading.Event()
        self._lock = threading.Lock()
        self._watchers: list[Callable[[], None]] = []
        self._keeping = keeping = kept.keeping if kept else None
        self._came: dict[Key, int] = dict(kept.came if kept else {})
        self._had: dict[Key, int] = dict(keeping.had if keeping else {})
        self._skip = dict(self._had)
        self._called_back = True  # whether its callbacks can be called
        self._open = 0  # tokens that came and that the application has not had
        self._kept: dict[int, Key] = {}  # those of `_tokens` among them
        # Nobody can ask for what a job has kept that is not there any more.
        self._forget = weakref.finalize(self, keeping.forget) if keeping else None
        if self._forget is not None:
            self._forget.atexit = False

    # The application's side.

    def __repr__(self) -> str:
        tokens, errors = len(self._tokens), len(self.errors)
        counted = [
            f"{count} {what}{'s' if count != 1 else ''}" for count, what in ((tokens, "token"), (errors, "error"))
        ]
        return f"<Job {self.job_id}: {', '.join([self._status.value, *counted])}>"

    def _repr_html_(self) -> str:
        """For notebooks, which show it: how far it is at each site, and the first errors."""
        told = [one for error in self.errors[:_SHOWN_ERRORS] for one in error.errors]
        rows = [(one.site, error_text(one)) for one in told]
        parts = [self.progress.as_html()]
        if rows:
            parts.append(table(("site", "error"), rows))
        return titled(f"job {self.job_id}", *parts)

    @property
    def callback_runner(self) -> CallbackRunner:
        """What calls this job's callbacks.

        Raises:
            JobError: it has none.
        """
        if self._callbacks.runner is None:
            raise JobError("this job has no callbacks; give execute() a default_callback or place_callbacks")
        return self._callbacks.runner

    def get_status(self) -> JobStatus:
        """How far it is."""
        return self._status

    @property
    def progress(self) -> Progress:
        """How far it is now, by what its sites have told; they do so twice a second, and nobody is asked."""
        noted = self._record is not None or self._recorder is not None
        calls = self._plan.calls() if self._plan is not None and noted else ()
        return Progress(
            job_id=self.job_id,
            status=self._status,
            seconds=(self._over or time.monotonic()) - self._begun,
            frames=self._frames,
            input_open=self._input_open,
            tokens=self._received,
            errors=len(self._errors),
            sites=sites_of(calls, self._frames, dict(self._told)),
        )

    @property
    def errors(self) -> list[ErrorToken]:
        """Every original error so far, once each, and then what callbacks have raised; these change no status."""
        with self._lock:
            return [*self._errors, *self._raised.values()]

    @property
    def yields(self) -> Sequence[str]:
        """The places that values come to."""
        return self._interface.yields

    @property
    def follows(self) -> bool:
        """Whether tokens may still come to it."""
        return not self._detached and not self._finished.is_set()

    def raise_for_errors(self) -> None:
        """Raises:
        JobError: there were errors, of callbacks too; it tells all of them.
        """
        if errors := self.errors:
            raise JobError("\n\n".join(error_text(one) for error in errors for one in error.errors))
        if self._status is JobStatus.ABORTED:
            raise JobError("the job was cancelled")

    def wait_until_finished(self, timeout: float | None = None) -> bool:
        """Waits for the end of the job and of the callbacks that run on a thread of dfm's own.

        Args:
            timeout: seconds; None for as long as it takes.

        Returns:
            Whether it is at its end.

        Raises:
            JobError: this is a callback of the job itself, for whose end it would wait.
            SessionError: this process was forked from the one that has the session.
        """
        if not self._finished.is_set():
            self._home.check_process()
        if runs_here(self._callbacks.runner) and not self._finished.is_set():
            raise JobError(
                f"the job '{self.job_id}' cannot be waited for in its own callback, which would wait for itself; wait "
                "where the job was executed, or on another thread"
            )
        with cancelled_with_its_cell(self.cancel):
            return wait_shown(self._finished, timeout, self) and self._status is not JobStatus.UNKNOWN

    def waiting(self, patience: float = 2.0) -> list[Wait]:
        """What it waits for at this moment: what runs, and what needs what; nothing at its end.

        Each site that is not done is asked, and names up to a dozen calls that run, a dozen nodes that wait, and how
        many more there are. Each of them is data, and its `str()` a sentence.

        Args:
            patience: seconds that the sites have to answer. One that has not, as an adapter holds it up, is told.
        """
        if self._status is JobStatus.SUBMITTED:
            return [Outside("sites")]
        if self._status is not JobStatus.RUNNING:
            return [] if self._finished.is_set() else [Outside("callbacks")]
        asking = self._home.unfinished(self._number, patience)
        try:
            found = self._home.run(asking, within=patience + _SPARE)
        except TimeoutError:
            found = {self._homesite: None}
        input_open: list[Wait] = [Outside("input")] if self._input_open else []
        return waits(found, self._interface.lines, patience, self._asked) + input_open

    def results(self, place: str = "yield") -> list[Any]:
        """Waits for the end of the job; the values that came to `place`, in the order of frames and of streams' items.

        A frame that failed has an `ErrorToken`; nothing is raised for that, see `raise_for_errors`.

        Args:
            place: the `place` of a `Yield`; one that names none has the place `yield`.

        Raises:
            UnknownPlaceError: no `Yield` names the place, nor does one without a name if none is given here.
            JobError: the place's tokens go to a callback, or the job was cancelled.
        """
        self._interface.check_place(place)
        self._check_kept(place)
        self.wait_until_finished()
        if self._status is JobStatus.ABORTED:
            raise JobError("the job was cancelled, so its results are not complete")
        tokens = [(at, token) for at, token in enumerate(self._tokens) if token.place == place]
        for at, _ in tokens:
            self._give(at)
        return [token.data for _, token in sorted(tokens, key=lambda one: one[1].frame.frame)]

    def tokens(self, place: str) -> list[Token]:
        """What has come to `place` so far that no callback took, in the order of its arrival."""
        return [token for token in self._tokens if token.place == place]

    def measured(self) -> Measured:
        """Waits for the end of the job; what it took, beside what its plan had expected.

        Raises:
            JobError: it was not executed with `measure=True`, or was cancelled.
        """
        self.wait_until_finished()
        if self._measurement is None or self._plan is None:
            raise JobError("this job was cancelled, or not measured; execute it with measure=True")
        return Measured(self._plan, self._measurement)

    def receipt(self) -> dict[str, Any]:
        """Waits for the end of the job; what its results are made of: for each site that took part, which operations
        ran there, by which bindings and policy, and what it got from and gave to others.

        Returns:
            Plain data, to be kept as JSON. On Flare each site has signed its own part, and `dfm jobs verify` says
            whether that is so and the parts agree; on the local target nobody signs.

        Raises:
            JobError: it was not executed with `receipt=True`, was cancelled, or an earlier application began it.
        """
        self.wait_until_finished()
        if self._homesite not in self._parts:
            raise JobError(
                "this job has no receipt: it was executed without receipt=True, was cancelled, or another application "
                "began it"
            )
        return whole_receipt(self.job_id, self._homesite, self._parts)

    def check_recorded(self) -> None:
        """Waits for the end of the job, whose recording is whole then.

        Raises:
            JobError: it could not be written.
        """
        self.wait_until_finished()
        if self._unrecorded:
            raise JobError(f"the job was not recorded: {self._unrecorded}")

    async def __aiter__(self) -> AsyncIterator[Token]:
        """The tokens that no callback takes, as they come, errors included, from the first one on."""
        if self._callbacks.default is not None:
            raise JobError("this job's tokens go to its default_callback")
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            # In a loop that is closed nobody waits for it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        with self._lock:
            self._watchers.append(wake)
        seen = 0
        try:
            while True:
                over = self._finished.is_set()
                while seen < len(self._tokens):
                    yield self._tokens[seen]
                    self._give(seen)
                    seen += 1
                if over:
                    return
                with cancelled_with_its_cell(self.cancel):
                    await changed.wait()
                changed.clear()
        finally:
            with self._lock:
                self._watchers.remove(wake)

    def send_input_params(self, input_params: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Adds a frame for each parameter set, in their order. Any thread may send; those of one call stay together.

        Raises:
            JobError: the input has ended, or the parameters are not the pipeline's.
        """
        frames = self._interface.frames(input_params, self._frames)

        def send() -> None:
            for frame in frames:
                self._home.start(self._number, frame)

        # Who is counted first is sent first, whichever threads send.
        with self._input_lock:
            if not self._input_open or self._finished.is_set():
                raise JobError("the job's input has ended; execute with autostop=False to send more parameters later")
            self._frames += len(frames)
            self._home.soon(send)

    def send_stop_frame(self) -> None:
        """Ends the job's input: it finishes when what it has is done."""
        with self._input_lock:
            if self._input_open:
                self._input_open = False
                self._home.soon(lambda: self._home.stop(self._number))

    def cancel(self) -> None:
        """Ends the job at once; what its adapters still do is dropped. Without effect on one that is at its end."""
        self.cancel_at(self._home)

    def cancel_at(self, home: Home) -> None:
        """As `cancel`, and waits until the homesite knows."""

        async def cancel() -> None:
            home.cancel(self._number)
            self.end(JobStatus.ABORTED)

        home.run(cancel())

    def detach(self) -> None:
        """Stops receiving: callbacks are called no more. The job goes on.

        On Flare, what this application has not had is kept, and so is what comes: `Session.reattach` gets it. What
        runs at the homesite waits for that. On the local target, later tokens are kept in memory until then.
        """
        self._detached = True
        if self._keeping is None:
            self._home.detached[self.job_id] = self
        if self._keeping is not None and self._forget is not None and self._forget.detach():
            self._keeping.leave()
            if not self._finished.is_set():
                self._leave()

    def come_back(self, callbacks: Callbacks) -> None:
        """After `detach` in the same process: receives again, what came meanwhile first."""

        async def receive() -> None:
            over = self._finished.is_set()
            self._finished.clear()
            self._callbacks, self._called_back = callbacks, True
            self._detached = False
            later, self._later = self._later, []
            for one in later:
                self._deliver(*one)
            if over:
                self._say_finished()

        self._home.run(receive())

    def _leave(self) -> None:
        self._home.soon(lambda: self._home.leave(self._number))
        self._status = JobStatus.UNKNOWN
        self._input_open = False
        self._say_finished()

    # The homesite's side, on its thread.

    def opened(self, frames: int, stop: bool) -> None:
        """Notes that the job has begun with so many frames."""
        self._frames = frames
        self._input_open = not stop

    def receive(self, event: _native.JobEvent) -> None:
        """Takes one of its events."""
        match event:
            case _native.Yielded():
                value = event.value
                if isinstance(value, SiteAdvice):
                    value = dataclasses.replace(value, node=event.series.node)
                self._deliver_last(event.series, value)
            case _native.Items(of, values):
                frame, key = Frame(of.frame), of.key
                for first in range(0, len(values), _CREDIT):
                    some = values[first : first + _CREDIT]
                    before = self._came.get(key, 0)
                    total = before + len(some)
                    told = total // _CREDIT > before // _CREDIT
                    consumed = functools.partial(self._consumed, key, total) if told else None
                    self._deliver(of.site, of.node, frame, of.place, some, key, consumed)
            case _native.Failed(of, failures):
                self._deliver_last(of, error_token(failures, self._interface.lines))
            case _native.StreamEnded(of):
                self._end_series(of.key)
            case _native.Opened():
                self._status = JobStatus.RUNNING
            case _native.Reported(_, failure):
                error = error_token([failure], self._interface.lines)
                self._errors.append(error)
                self._note_failed(failure)
                frame = Frame(failure.frame or (0,))
                self._deliver(failure.site, failure.node, frame, STATUS_PLACE, [error], error_key(failure))
            case _native.Measured(_, measurement):
                self._measurement = measurement
            case _native.Asks(_, at, levels, request):
                self._note_asked((at.site, at.node, levels), at.label, request)
            case _native.Receipt(_, site, text):
                self._parts[site] = text
            case _native.Noted(_, notes, happened):
                self._told[notes.site] = notes
                if self._record is not None:
                    self._record.add(notes, happened)
                if self._recorder is not None:
                    self._recorder.add_noted(notes, happened)
            case _native.Kept(_, site, packet):
                if self._recorder is not None:
                    self._recorder.packet(site, packet)
            case _native.Ended():
                self.end(JobStatus.FAILED if self._errors else JobStatus.FINISHED)
            case _:
                assert_never(event)

    def _note_asked(self, call: tuple[str, NodeId, tuple[int, ...]], operation: str, request: str) -> None:
        """A call waits for a person at its site to decide of this request; with an empty one, it waits no more."""
        if request and request not in self._asked.values():
            self._home.settings.logger.info(
                "site '%s' waits for a person to approve '%s': its admin finds %s with `dfm site requests list`",
                call[0],
                operation,
                request,
            )
        if request:
            self._asked[call] = request
        else:
            self._asked.pop(call, None)

    def _note_failed(self, failure: _native.Failure) -> None:
        line = None if failure.node is None else self._interface.lines.get(failure.node)
        for record in (self._record, self._recorder):
            if record is not None:
                record.failed(failure, line)

    def end(self, status: JobStatus) -> None:
        """Says the job's end, once."""
        if self._status not in OPEN:
            return
        self._input_open = False
        if self._callbacks.at(STATUS_PLACE) is not None:
            self._deliver(self._homesite, None, Frame(), STATUS_PLACE, [StopToken()], END)
        self._status = status
        if self._keeping is not None:
            self._keeping.ended(status.value)
            self._forget_if_over()
        self._say_finished()

    def break_off(self, failure: _native.Failure) -> None:
        """Says the job's end when one of its events cannot be handed on: the last resort, which calls nothing back."""
        self._errors.append(error_token([failure], self._interface.lines))
        self._note_failed(failure)
        self._input_open = False
        self._status = JobStatus.FAILED
        self._say_finished()

    def _say_finished(self) -> None:
        self._over = time.monotonic()
        if self._record is not None:
            self._record.end(self._status.value, self._frames, self._received, len(self._errors))
        if self._recorder is not None:
            try:
                self._recorder.end(self._status.value, self._frames, self._received, len(self._errors))
            except OSError as error:
                self._unrecorded = str(error)
        if (exports := self._home.driver.exports) is not None:
            exports.end_root(self._number, self._status.value, self._frames, self._received, len(self._errors))

        def finish() -> None:
            self._finished.set()
            with self._lock:
                for wake in self._watchers:
                    wake()

        runner = self._callbacks.runner
        if runner is not None and runner.waits_for_callbacks:
            runner.submit(finish)
            runner.finish()
        else:
            finish()

    def _deliver_last(self, of: _native.Series, value: Any) -> None:
        """Delivers what ends a series."""
        key = of.key
        self._deliver(of.site, of.node, Frame(of.frame), of.place, [value], key)
        self._end_series(key)

    def _deliver(
        self,
        site: str,
        node: NodeId | None,
        frame: Frame,
        place: str,
        values: Sequence[Any],
        key: Key,
        consumed: Callable[[], None] | None = None,
    ) -> None:
        """Keeps the values, or has them called back; `consumed` follows the last of them.

        What an earlier application has had of the series is left out.
        """
        before = self._came.get(key, 0)
        self._came[key] = before + len(values)
        if place != STATUS_PLACE:
            self._received += len(values)
        if skip := max(0, self._skip.get(key, 0) - before):
            values = values[skip:]
        if self._detached or not values:
            if self._keeping is None and values:
                self._later.append((site, node, frame, place, values, key))
            if consumed is not None:
                consumed()
            return
        if self._keeping is not None:
            with self._lock:
                self._open += len(values)
        callback, runner = self._callbacks.at(place), self._callbacks.runner
        if callback is not None and runner is not None:
            last = len(values) - 1
            for at, value in enumerate(values):
                after = consumed if at == last else None
                if self._keeping is not None:
                    after = functools.partial(self._note, key, after)
                work = guarded(callback, site, node, frame, place, value, failed=self._note_raised, after=after)
                self._call_back(runner, work, frame, consumed)
            return
        if self._keeping is not None:
            self._kept |= dict.fromkeys(range(len(self._tokens), len(self._tokens) + len(values)), key)
        self._tokens.extend(Token(site, node, frame, place, value) for value in values)
        with self._lock:
            for wake in self._watchers:
                wake()
        if consumed is not None:
            consumed()

    def _call_back(self, runner: CallbackRunner, work: Work, frame: Frame, consumed: Callable[[], None] | None) -> None:
        """Has a callback called. Where that is not possible any more, it is an error of the job, told once, and what
        sends the tokens does not wait for them to be had."""
        try:
            runner.submit(work)
        except RuntimeError as error:
            if self._called_back:
                self._called_back = False
                message = f"tokens came that the application was not called back with: {error}"
                frame_of = tuple(frame.frame)
                failure = _native.Failure(self._homesite, None, None, frame_of, "CallbackError", message, "")
                self.receive(_native.Reported(self._number, failure))
            if consumed is not None:
                consumed()

    def _note_raised(
        self, error: BaseException, site: str, node: NodeId | None, frame: Frame, place: str, data: Any
    ) -> None:
        """Logs what a callback has raised, on whatever thread, and keeps it once."""
        kind, message, trace = _RAISED.told(error)
        self._home.settings.logger.error("a callback raised, for a token of place '%s':\n%s", place, trace or message)
        said = f"{message} (raised by the callback of place '{place}')"
        with self._lock:
            if len(self._raised) < _KEPT_RAISED and (place, kind, said) not in self._raised:
                failure = _native.Failure(self._homesite, node, None, tuple(frame.frame), kind, said, trace)
                self._raised[place, kind, said] = error_token([failure], self._interface.lines)

    def _give(self, at: int) -> None:
        """Notes that the application has had this one of the tokens that no callback takes."""
        if (key := self._kept.pop(at, None)) is not None:
            self._note(key)

    def _note(self, key: Key, then: Callable[[], None] | None = None) -> None:
        """Notes, on whatever thread, that the application has had the next token of a series."""
        if self._keeping is not None and not self._detached:
            with self._lock:
                total = self._had[key] = self._had.get(key, 0) + 1
                self._open -= 1
            self._keeping.note(key, total)
            self._forget_if_over()
        if then is not None:
            then()

    def _forget_if_over(self) -> None:
        """Once the application has had all of a job that is at its end, nothing of it has to be kept."""
        over = self._status is JobStatus.ABORTED
        over = over or (self._status in (JobStatus.FINISHED, JobStatus.FAILED) and self._open == 0)
        if over and self._forget is not None:
            self._forget()

    def _consumed(self, key: tuple[int, ...], total: int) -> None:
        """Notes, on whatever thread, that the application has had so many items of a stream."""
        self._home.soon(lambda: self._home.consumed(self._number, key[0], key[1:], total))

    def _end_series(self, key: Key) -> None:
        """Forgets how far a series has come whose last token is there: there may be any number of frames."""
        self._came.pop(key, None)
        self._skip.pop(key, None)

    def _check_kept(self, place: str) -> None:
        if self._callbacks.at(place) is not None:
            raise JobError(f"the tokens of place '{place}' go to a callback; results() has what no callback takes")


class Results(dict[str, list[Any]]):
    """Yield place → its values; asked for another place, it says which there are."""

    def __missing__(self, place: str) -> list[Any]:
        raise unknown_place(place, list(self))

    def _repr_html_(self) -> str:
        """For notebooks, which show it: each place and its values."""
        rows = [(place, as_text(value)) for place, values in self.items() for value in values]
        return titled("results", table(("place", "value"), rows))
