"""What can an application do with a job that it has started?"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, assert_never

from dfm import _native
from dfm._discovery.advice import SiteAdvice
from dfm._html import table, titled
from dfm._results import as_text, error_text
from dfm._values import error_token
from dfm.api import ErrorToken, StopToken
from dfm.errors import JobError
from dfm.exec import Frame
from dfm.session._callbacks import STATUS_PLACE, Callbacks
from dfm.session._delivery import Delivery, KeptJob, Token
from dfm.session._dispatch import CallbackRunner, runs_here
from dfm.session._home import Home
from dfm.session._interface import Interface, NodeId, unknown_place
from dfm.session._keeping import END, error_key
from dfm.session._measured import Measured
from dfm.session._notebook import cancelled_with_its_cell, wait_shown
from dfm.session._progress import Progress, sites_of
from dfm.session._receipt import whole_receipt
from dfm.session._status import OPEN, JobStatus
from dfm.session._waits import Outside, Wait, waits

_SHOWN_ERRORS = 5
"""So many errors are shown in a notebook."""
_SPARE = 0.5
"""Seconds more than the other sites that the homesite itself has to answer."""


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
        self._delivery = Delivery(home, number, interface.lines, callbacks, kept)
        self._plan = plan
        self._measurement: _native.Measurement | None = None
        self._parts: dict[str, str] = {}
        """Of its receipt, as sites have sent them."""
        self._asked: dict[tuple[str, NodeId, tuple[int, ...]], str] = {}
        """Site, node and frame of each call that waits for a person → the request that they have to decide of."""
        self._record = record
        self._recorder = recorder
        self._unrecorded = ""
        self._told: dict[str, _native.Notes] = {}  # what each site has told last of how far it is
        self._begun, self._over = time.monotonic(), 0.0
        self._status = JobStatus.SUBMITTED
        self._input_open = True
        self._input_lock = threading.Lock()
        self._frames = 0
        self._errors: list[ErrorToken] = []
        self._finished = threading.Event()

    # The application's side.

    def __repr__(self) -> str:
        tokens, errors = len(self._delivery.tokens), len(self.errors)
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
        if (runner := self._delivery.callbacks.runner) is None:
            raise JobError("this job has no callbacks; give execute() a default_callback or place_callbacks")
        return runner

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
            tokens=self._delivery.received,
            errors=len(self._errors),
            sites=sites_of(calls, self._frames, dict(self._told)),
        )

    @property
    def errors(self) -> list[ErrorToken]:
        """Every original error so far, once each, and then what callbacks have raised; these change no status."""
        return [*self._errors, *self._delivery.raised()]

    @property
    def yields(self) -> Sequence[str]:
        """The places that values come to."""
        return self._interface.yields

    @property
    def follows(self) -> bool:
        """Whether tokens may still come to it."""
        return not self._delivery.detached and not self._finished.is_set()

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
        if runs_here(self._delivery.callbacks.runner) and not self._finished.is_set():
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
        return self._delivery.take(place)

    def tokens(self, place: str) -> list[Token]:
        """What has come to `place` so far that no callback took, in the order of its arrival."""
        return [token for token in self._delivery.tokens if token.place == place]

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
        delivery = self._delivery
        if delivery.callbacks.default is not None:
            raise JobError("this job's tokens go to its default_callback")
        loop, changed = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            # In a loop that is closed nobody waits for it.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(changed.set)

        delivery.watch(wake)
        seen = 0
        try:
            while True:
                over = self._finished.is_set()
                while seen < len(delivery.tokens):
                    yield delivery.tokens[seen]
                    delivery.give(seen)
                    seen += 1
                if over:
                    return
                with cancelled_with_its_cell(self.cancel):
                    await changed.wait()
                changed.clear()
        finally:
            delivery.unwatch(wake)

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
        left = self._delivery.detach()
        if not self._delivery.is_kept():
            self._home.detached[self.job_id] = self
        elif left and not self._finished.is_set():
            self._leave()

    def come_back(self, callbacks: Callbacks) -> None:
        """After `detach` in the same process: receives again, what came meanwhile first."""

        async def receive() -> None:
            over = self._finished.is_set()
            self._finished.clear()
            self._delivery.come_back(callbacks)
            self._report_uncalled()
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
        self._take(event)
        self._report_uncalled()

    def _report_uncalled(self) -> None:
        """Where the application cannot be called back any more, that is an error of the job."""
        if (failure := self._delivery.uncalled()) is not None:
            self._take(_native.Reported(self._number, failure))

    def _take(self, event: _native.JobEvent) -> None:
        match event:
            case _native.Yielded():
                value = event.value
                if isinstance(value, SiteAdvice):
                    value = dataclasses.replace(value, node=event.series.node)
                self._delivery.deliver_last(event.series, value)
            case _native.Items(of, values):
                self._delivery.deliver_items(of, values)
            case _native.Failed(of, failures):
                self._delivery.deliver_last(of, error_token(failures, self._interface.lines))
            case _native.StreamEnded(of):
                self._delivery.end_series(of.key)
            case _native.Opened():
                self._status = JobStatus.RUNNING
            case _native.Reported(_, failure):
                error = error_token([failure], self._interface.lines)
                self._errors.append(error)
                self._note_failed(failure)
                frame = Frame(failure.frame or (0,))
                of_error = failure.site, failure.node, frame, STATUS_PLACE
                self._delivery.deliver(*of_error, [error], error_key(failure))
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
        if self._delivery.callbacks.at(STATUS_PLACE) is not None:
            self._delivery.deliver(self._homesite, None, Frame(), STATUS_PLACE, [StopToken()], END)
            self._report_uncalled()
        self._status = status
        self._delivery.end(status)
        self._say_finished()

    def break_off(self, failure: _native.Failure) -> None:
        """Says the job's end when one of its events cannot be handed on: the last resort, which calls nothing back."""
        self._errors.append(error_token([failure], self._interface.lines))
        self._note_failed(failure)
        self._input_open = False
        self._status = JobStatus.FAILED
        self._delivery.break_off()
        self._say_finished()

    def _say_finished(self) -> None:
        self._over = time.monotonic()
        if self._record is not None:
            self._record.end(self._status.value, self._frames, self._delivery.received, len(self._errors))
        if self._recorder is not None:
            try:
                self._recorder.end(self._status.value, self._frames, self._delivery.received, len(self._errors))
            except OSError as error:
                self._unrecorded = str(error)
        if (exports := self._home.driver.exports) is not None:
            exports.end_root(self._number, self._status.value, self._frames, self._delivery.received, len(self._errors))

        def finish() -> None:
            self._finished.set()
            self._delivery.wake()

        runner = self._delivery.callbacks.runner
        if runner is not None and runner.waits_for_callbacks:
            runner.submit(finish)
            runner.finish()
        else:
            finish()

    def _check_kept(self, place: str) -> None:
        if self._delivery.callbacks.at(place) is not None:
            raise JobError(f"the tokens of place '{place}' go to a callback; results() has what no callback takes")


class Results(dict[str, list[Any]]):
    """Yield place → its values; asked for another place, it says which there are."""

    def __missing__(self, place: str) -> list[Any]:
        raise unknown_place(place, list(self))

    def _repr_html_(self) -> str:
        """For notebooks, which show it: each place and its values."""
        rows = [(place, as_text(value)) for place, values in self.items() for value in values]
        return titled("results", table(("place", "value"), rows))
