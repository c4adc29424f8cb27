"""How do a job's tokens come to its application, each of them once?

They come on the homesite's thread, and the application has them on any: called back, taken out of what is kept, or as
they come. Of a job that can outlive this process it is noted how far the application is with each series.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dfm import _native
from dfm._shown import clean_logger
from dfm._values import error_token
from dfm.api import ErrorToken, StopToken
from dfm.exec import Frame
from dfm.exec._secrets import Secrets
from dfm.exec._telling import Telling
from dfm.session._callbacks import STATUS_PLACE, Callbacks
from dfm.session._dispatch import CallbackRunner, Work, guarded
from dfm.session._home import Home
from dfm.session._interface import NodeId
from dfm.session._keeping import Keeping, Key
from dfm.session._status import JobStatus

_RAISED = Telling(Secrets(), clean_logger("dfm.session"))
"""How an application hears of its own callbacks' exceptions, whose texts may be none that can be sent."""
_KEPT_RAISED = 100
"""So many different exceptions of callbacks are kept; each is logged."""
_CREDIT = 64
"""With each so many items of a stream their sender is told that they are consumed."""


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
class KeptJob:
    """What is kept of a job that can outlive this process."""

    keeping: Keeping
    came: Mapping[Key, int] = dataclasses.field(default_factory=dict[Key, int])
    """How many tokens of each series came before those that will be received."""


class Delivery:
    """What has come of a job, and what its application has had of that."""

    def __init__(
        self, home: Home, number: int, lines: Mapping[NodeId, str], callbacks: Callbacks, kept: KeptJob | None
    ) -> None:
        """Of the job with this number; `lines` are the user's for each node."""
        self.callbacks = callbacks
        """What tokens go to now."""
        self.tokens: list[Token] = []
        """Those that no callback takes, in the order of their arrival."""
        self.received = 0
        """How many values came, had or not."""
        self.detached = False
        """Whether nobody receives."""
        self._home = home
        self._number = number
        self._lines = lines
        self._later: list[tuple[str, NodeId | None, Frame, str, Sequence[Any], Key]] = []
        """What came while nobody received it, of a job that ends with this process."""
        self._raised: dict[tuple[str, str, str], ErrorToken] = {}
        """What callbacks have raised, by the place, the kind and the text."""
        self._lock = threading.Lock()
        self._watchers: list[Callable[[], None]] = []
        self._keeping = keeping = kept.keeping if kept else None
        self._came: dict[Key, int] = dict(kept.came if kept else {})
        self._had: dict[Key, int] = dict(keeping.had if keeping else {})
        self._skip = dict(self._had)
        self._can_call = True
        """Whether callbacks can be called."""
        self._uncalled: _native.Failure | None = None
        self._open = 0
        """Tokens that came and that the application has not had."""
        self._kept: dict[int, Key] = {}
        """The series of those of `tokens` among them, by their index."""
        self._over: JobStatus | None = None
        """How the job ended; `None` before."""
        # Nobody can ask for what a job has kept that is not there any more.
        self._forget = weakref.finalize(self, keeping.forget) if keeping else None
        if self._forget is not None:
            self._forget.atexit = False

    # The application's side.

    def raised(self) -> list[ErrorToken]:
        """What callbacks have raised, each once."""
        with self._lock:
            return [*self._raised.values()]

    def take(self, place: str) -> list[Any]:
        """The values of a place that no callback takes, in the order of frames and of streams' items."""
        tokens = [(at, token) for at, token in enumerate(self.tokens) if token.place == place]
        for at, _ in tokens:
            self.give(at)
        return [token.data for _, token in sorted(tokens, key=lambda one: one[1].frame.frame)]

    def give(self, at: int) -> None:
        """Notes that the application has had this one of `tokens`."""
        if (key := self._kept.pop(at, None)) is not None:
            self._note(key)

    def watch(self, wake: Callable[[], None]) -> None:
        """Has `wake` called when there are more `tokens`, and at the job's end."""
        with self._lock:
            self._watchers.append(wake)

    def unwatch(self, wake: Callable[[], None]) -> None:
        """Has it called no more."""
        with self._lock:
            self._watchers.remove(wake)

    def wake(self) -> None:
        """Calls all that watch."""
        with self._lock:
            for wake in self._watchers:
                wake()

    def is_kept(self) -> bool:
        """Whether the job can outlive this process."""
        return self._keeping is not None

    def detach(self) -> bool:
        """Receives no more. Returns whether the application leaves what is kept of the job for one that comes back."""
        self.detached = True
        if self._keeping is None or self._forget is None or not self._forget.detach():
            return False
        self._keeping.leave()
        return True

    # The homesite's side, on its thread.

    def come_back(self, callbacks: Callbacks) -> None:
        """Receives again, what came meanwhile first."""
        self.callbacks, self._can_call = callbacks, True
        self.detached = False
        later, self._later = self._later, []
        for one in later:
            self.deliver(*one)

    def deliver(
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
            self.received += len(values)
        if skip := max(0, self._skip.get(key, 0) - before):
            values = values[skip:]
        if self.detached or not values:
            if self._keeping is None and values:
                self._later.append((site, node, frame, place, values, key))
            if consumed is not None:
                consumed()
            return
        is_noted = self._is_noted(values[0])
        if is_noted:
            with self._lock:
                self._open += len(values)
        callback, runner = self.callbacks.at(place), self.callbacks.runner
        if callback is not None and runner is not None:
            last = len(values) - 1
            for at, value in enumerate(values):
                after = consumed if at == last else None
                if is_noted:
                    after = functools.partial(self._note, key, after)
                work = guarded(callback, site, node, frame, place, value, failed=self._note_raised, after=after)
                self._call_back(runner, work, frame, consumed)
            return
        if is_noted:
            self._kept |= dict.fromkeys(range(len(self.tokens), len(self.tokens) + len(values)), key)
        self.tokens.extend(Token(site, node, frame, place, value) for value in values)
        self.wake()
        if consumed is not None:
            consumed()

    def _is_noted(self, value: Any) -> bool:
        """Whether it is noted that the application has had a token: who comes back gets the rest of a job that is only
        cut off, and so what errors stand for here."""
        if self._keeping is None:
            return False
        return not (isinstance(value, ErrorToken | StopToken) and self._keeping.is_cut_off())

    def deliver_items(self, of: _native.Series, values: Sequence[Any]) -> None:
        """Delivers items of a stream, whose sender hears from time to time how many the application has had."""
        frame, key = Frame(of.frame), of.key
        for first in range(0, len(values), _CREDIT):
            some = values[first : first + _CREDIT]
            before = self._came.get(key, 0)
            total = before + len(some)
            told = total // _CREDIT > before // _CREDIT
            consumed = functools.partial(self._consumed, key, total) if told else None
            self.deliver(of.site, of.node, frame, of.place, some, key, consumed)

    def deliver_last(self, of: _native.Series, value: Any) -> None:
        """Delivers what ends a series."""
        key = of.key
        self.deliver(of.site, of.node, Frame(of.frame), of.place, [value], key)
        self.end_series(key)

    def end_series(self, key: Key) -> None:
        """Forgets how far a series has come whose last token is there: there may be any number of frames."""
        self._came.pop(key, None)
        self._skip.pop(key, None)

    def uncalled(self) -> _native.Failure | None:
        """That callbacks cannot be called any more; told once."""
        failure, self._uncalled = self._uncalled, None
        return failure

    def end(self, status: JobStatus) -> None:
        """The job is at its end, and all of it was delivered."""
        self._over = status
        if self._keeping is not None:
            self._keeping.ended(status.value)
            self._forget_if_over()

    def break_off(self) -> None:
        """The job is at its end, and not all of it could be delivered; whoever comes back is told nothing of that."""
        self._over = JobStatus.FAILED

    def _call_back(self, runner: CallbackRunner, work: Work, frame: Frame, consumed: Callable[[], None] | None) -> None:
        """Has a callback called. Where that is not possible any more, it is an error of the job, and what sends the
        tokens does not wait for them to be had."""
        try:
            runner.submit(work)
        except RuntimeError as error:
            if self._can_call:
                self._can_call = False
                message = f"tokens came that the application was not called back with: {error}"
                frame_of = tuple(frame.frame)
                of = self._home.settings.homesite, None, None, frame_of
                self._uncalled = _native.Failure(*of, "CallbackError", message, "")
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
                of = self._home.settings.homesite, node, None, tuple(frame.frame)
                self._raised[place, kind, said] = error_token([_native.Failure(*of, kind, said, trace)], self._lines)

    def _consumed(self, key: tuple[int, ...], total: int) -> None:
        """Tells a stream's sender, from whatever thread, that the application has had so many of its items."""
        home = self._home
        home.soon(lambda: home.consumed(self._number, key[0], key[1:], total))

    def _note(self, key: Key, then: Callable[[], None] | None = None) -> None:
        """Notes, on whatever thread, that the application has had the next token of a series."""
        if self._keeping is not None and not self.detached:
            with self._lock:
                total = self._had[key] = self._had.get(key, 0) + 1
                self._open -= 1
            self._keeping.note(key, total)
            self._forget_if_over()
        if then is not None:
            then()

    def _forget_if_over(self) -> None:
        """Once the application has had all of a job that is at its end, nothing of it has to be kept."""
        over = self._over is JobStatus.ABORTED or (self._over is not None and self._open == 0)
        if over and self._forget is not None:
            self._forget()
