"""What of what happens at a site is exported to the collector of its operator, and as what?

A site notes what happens in its jobs; this makes spans, log records and numbers of that. Values are in none of them.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dfm import _native
from dfm._running.said import calling
from dfm._shown import clean_logger
from dfm.exec import _span
from dfm.exec._adapters import Adapters

if TYPE_CHECKING:
    from dfm._running.collector import At, Begun, Collector

_SHORT = 1e-3
"""A call that waited for fewer seconds than this for its turn did not wait."""
_HEARD = (_native.Opened, _native.Noted, _native.Over, _native.Traced)
_LONGEST = 1000
"""Characters of what an adapter says of a span."""
_Fired = tuple[int | str, tuple[int, ...], float, float, float, bool]
_Sent = tuple[int | str, tuple[int, ...], str, float, int]


@dataclasses.dataclass
class _Job:
    """A job at this site."""

    attributes: dict[str, Any]
    operations: dict[int | str, dict[str, str]]
    """What each node's calls have as attributes."""
    begun: float
    given: At | None = None
    """The span that the application has for it."""
    part: Begun | None = None
    """The span of what this site does for it, once something is to be in it."""
    is_root: bool = False
    """Whether that is the application's own."""
    notes: _native.Notes | None = None
    """How far it was when that was counted last."""


class Exports:
    """What one site exports. Its methods are called on the site's loop, but for `root`, and take a moment."""

    def __init__(self, collector: Collector, site: _native.Site, adapters: Adapters, soon: Callable[..., Any]) -> None:
        """`soon` calls something on the site's loop."""
        self._collector = collector
        self._site = site
        self._soon = soon
        self._thread = threading.get_ident()
        self._mask = adapters.telling.secrets.mask
        self._adapters = adapters
        self._session = adapters.session
        self._name = adapters.name
        self.common = {"dfm.federation": adapters.federation, "dfm.site": adapters.name}
        """What all has as attributes."""
        self._jobs: dict[int, _Job] = {}
        self._roots: dict[int, Begun] = {}
        self._running = self._waiting = 0
        _span.listeners.append(self._measured)
        collector.watch(self)

    def close(self) -> None:
        """Has all sent that is to be, if the collector is there for it."""
        if self._measured in _span.listeners:
            _span.listeners.remove(self._measured)
        self._collector.flush()
        self._collector.leave(self)

    def numbers(self) -> dict[str, int]:
        """From any thread: how many jobs and calls there are, as `Watched`."""
        return {
            "dfm.jobs.open": len(self._jobs),
            "dfm.calls.running": self._running,
            "dfm.calls.waiting": self._waiting,
        }

    # At home.

    def root(
        self, job: int, job_id: str, pipeline: str, begun: float, planned: tuple[float, float] | None
    ) -> _native.Trace | None:
        """From any thread: begins the span of a job, in whatever the caller is in; what the other sites are told of it.
        `planned` is when the planning of its pipeline began and ended, unless a job before has that."""
        about = self.common | {"dfm.job": job_id, "dfm.pipeline": pipeline}
        root = self._roots[job] = self._collector.begin(f"job {pipeline}", begun, about)
        at = root.at
        if planned is not None:
            self._collector.later(lambda: self._collector.span(at, None, "plan", *planned, about, False))
        if "traces" not in self._collector.signals:
            return None
        return _native.Trace((at.trace >> 64, at.trace & (1 << 64) - 1), at.span, at.sampled)

    def end_root(self, job: int, status: str, frames: int, tokens: int, errors: int) -> None:
        """Ends the span of a job."""
        if (root := self._roots.pop(job, None)) is None:
            return
        counts = {"dfm.status": status, "dfm.frames": frames, "dfm.tokens": tokens, "dfm.errors": errors}
        now = time.time()
        self._collector.later(lambda: self._collector.end(root, now, counts, errors > 0))

    # At every site.

    def hear(self, event: _native.Event) -> None:
        """Takes an event of the site, as far as it is exported."""
        if not isinstance(event, _HEARD):
            return
        match event:
            case _native.Opened(job, name):
                self._open(job, name)
            case _native.Traced(job, trace):
                if (here := self._jobs.get(job)) is not None and self._adapters.joins_traces:
                    here.given = _at(trace)
            case _native.Noted(job, notes, happened):
                if notes.site == self._name and (here := self._jobs.get(job)) is not None:
                    self._look()
                    self._collector.later(functools.partial(self._export, here, notes, happened), 1 + len(happened))
            case _native.Over(job):
                self._look()
                if (here := self._jobs.pop(job, None)) is not None:
                    self._collector.later(functools.partial(self._end, here, time.time()))

    def _look(self) -> None:
        self._running, self._waiting = self._site.calls()[0], self._site.waiting()

    def _open(self, job: int, name: str) -> None:
        about = {"dfm.job": f"{self._session}-{job}", "dfm.pipeline": name} | self.common
        operations: dict[int | str, dict[str, str]] = {}
        for node, operation, provider in self._site.operations(job):
            operations[node] = {"dfm.operation": operation} | ({} if provider is None else {"dfm.provider": provider})
        self._jobs[job] = _Job(
            about, operations, time.time(), part=(root := self._roots.get(job)), is_root=root is not None
        )
        count = self._collector.count
        self._collector.later(lambda: count("dfm.jobs", "{job}", "Jobs that have begun here", 1, self.common))

    def _measured(self, span: _span.Span, begin: float, seconds: float) -> None:
        """From whatever thread an adapter runs on: it has measured something."""
        if (call := calling()) is None:
            return
        if threading.get_ident() == self._thread:
            self._tell(call, span, begin, seconds)
        else:
            self._soon(self._tell, call, span, begin, seconds)

    def _tell(self, call: int, span: _span.Span, begin: float, seconds: float) -> None:
        try:
            origin = self._site.origin(call)
        except RuntimeError:
            return  # it measures within the site, such as in a value that is being encoded
        if origin is None or (here := self._jobs.get(origin[0])) is None:
            return
        _, node, frame = origin
        said = {key: self._plain(value) for key, value in span.attributes.items()}
        if span.error is not None:
            said["error.message"] = self._plain(span.error)
        name = str(self._plain(span.name))

        def export() -> None:
            at = self._part(here)
            if at.sampled:
                around = _inside(at, node, frame) if span.outer is None else dataclasses.replace(at, span=span.outer.id)
                about = here.attributes | _placed(here, node, frame) | said
                self._collector.span(around, span.id, name, begin, begin + seconds, about, span.error is not None)

        self._collector.later(export)

    def _plain(self, value: Any) -> bool | int | float | str:
        return value if isinstance(value, bool | int | float) else self._mask(str(value))[:_LONGEST]

    # On the collector's thread.

    def _part(self, here: _Job) -> At:
        """Where what this site does for a job is."""
        if here.part is None:
            begin = self._collector.begin
            here.part = begin(f"part of {self._name}", here.begun, here.attributes, here.given)
        return here.part.at

    def _export(self, here: _Job, notes: _native.Notes, happened: _native.Happened) -> None:
        at = self._part(here)
        fired, sent = happened.fired(), happened.sent()
        self._count(here, notes, fired, sent)
        if "traces" in self._collector.signals and at.sampled:
            self._export_spans(here, at, fired, sent)
        for node, frame, when, level, logger, text in happened.said():
            about = here.attributes | _placed(here, node, frame) | {"logger.name": logger}
            self._collector.line(_inside(at, node, frame), when, level, text, about)

    def _export_spans(self, here: _Job, at: At, fired: list[_Fired], sent: list[_Sent]) -> None:
        span = self._collector.span
        for node, frame, begin, seconds, waited, failed in fired:
            about = here.attributes | _placed(here, node, frame)
            name = about.get("dfm.operation", "cache")
            if waited >= _SHORT:
                span(at, None, f"wait for {name}", begin - waited, begin, about, False)
            span(at, _id(at, node, frame), name, begin, begin + seconds, about, failed)
        for node, frame, to, when, size in sent:
            about = here.attributes | _placed(here, node, frame) | {"dfm.to": to, "dfm.bytes": size}
            span(_inside(at, node, frame), None, f"send to {to}", when, when, about, False)

    def _count(self, here: _Job, notes: _native.Notes, fired: list[_Fired], sent: list[_Sent]) -> None:
        collector, common = self._collector, self.common
        for node, _, _, seconds, waited, failed in fired:
            of = common | here.operations.get(node, {})
            collector.took("dfm.call.duration", "How long calls take, with all tries", seconds, of)
            collector.took("dfm.call.wait", "How long calls wait for their turn", waited, of)
            if failed:
                collector.count("dfm.errors", "{call}", "Calls that ended with an error", 1, of)
        for node, _, to, _, size in sent:
            of = common | here.operations.get(node, {}) | {"dfm.to": to}
            collector.count("dfm.sent", "By", "Bytes of values that were sent to other sites", size, of)
        before = here.notes.left_out if here.notes is not None else 0
        here.notes = notes
        if notes.left_out > before:
            left_out = notes.left_out - before
            collector.count("dfm.left_out", "1", "What happened and was not noted", left_out, common)

    def _end(self, here: _Job, now: float) -> None:
        # The application's own ends with the job.
        if here.part is not None and not here.is_root:
            _, done, failed = here.notes.calls if here.notes is not None else (0, 0, 0)
            self._collector.end(here.part, now, {"dfm.calls": done, "dfm.errors": failed}, failed > 0)


def exports_of(site: _native.Site, adapters: Adapters, soon: Callable[..., Any]) -> Exports | None:
    """What a site exports; None where the environment names no collector."""
    if not (signals := wanted(os.environ)):
        return None
    # On the local target, where users have no role, the application's process says for all what they would all say.
    says = adapters.name == adapters.homesite or adapters.asker.role
    level = logging.WARNING if says else logging.DEBUG
    collector = _collector(adapters.name, signals, level)
    return None if collector is None else Exports(collector, site, adapters, soon)


@functools.cache
def _collector(site: str, signals: tuple[str, ...], level: int) -> Collector | None:
    logger = clean_logger("dfm.otel")
    if (protocol := os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf") != "http/protobuf":
        logger.log(
            level,
            "nothing is exported: OTEL_EXPORTER_OTLP_PROTOCOL is %r, and dfm speaks 'http/protobuf' alone; a collector "
            "takes that at its port 4318",
            protocol,
        )
        return None
    try:
        from dfm._running.collector import Collector
    except ImportError as error:
        logger.log(
            level,
            "nothing is exported to the collector that the environment names (%s): "
            "pip install 'data-federation-mesh[otel]'",
            error,
        )
        return None
    return Collector(f"dfm.{site}", signals, logger)


def wanted(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Of traces, metrics and logs those for which the environment names a collector."""
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return ()
    common = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return tuple(
        signal
        for signal in ("traces", "metrics", "logs")
        if (common or environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"))
        and (environment.get(f"OTEL_{signal.upper()}_EXPORTER") or "otlp") == "otlp"
    )


def _at(trace: _native.Trace) -> At:
    from dfm._running.collector import At

    first, second = trace.id
    return At(first << 64 | second, trace.span, trace.sampled, remote=True)


def _inside(at: At, node: int | str, frame: tuple[int, ...]) -> At:
    """In the span of a call, whether that has been exported yet or not."""
    return dataclasses.replace(at, span=_id(at, node, frame))


def _id(at: At, node: int | str, frame: tuple[int, ...]) -> int:
    """The id of a call's span."""
    digest = hashlib.blake2b(f"{at.span} {node!r} {frame}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) or 1


def _placed(here: _Job, node: int | str, frame: tuple[int, ...]) -> dict[str, Any]:
    of = here.operations.get(node, {})
    return of | {"dfm.node": str(node), "dfm.frame": ".".join(map(str, frame))}
