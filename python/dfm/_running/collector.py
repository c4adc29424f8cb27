"""How does what is exported get to the operator's collector, without anybody waiting for it?

All that knows OpenTelemetry is here; it is imported where an environment variable names a collector. A thread of its
own makes spans and log records of what it is given, and sends them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, Protocol

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Observation
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from dfm._running.threads import started

_SCOPE = "dfm"
_BATCH = 128
"""So many spans or records go in one request at most."""
_MOST_WAITING = 65_536
"""So many things wait to be exported; what is more is dropped."""
_GATHER = 0.2
"""Seconds for which things gather, so that who gives them wakes the thread once for many."""
_PATIENCE = 1.0
"""Seconds that the end of a session waits for what is under way."""
_GAUGES = (
    ("dfm.jobs.open", "Jobs that are not done here"),
    ("dfm.calls.running", "Calls that run"),
    ("dfm.calls.waiting", "Calls that wait for their turn"),
)
_QUIET = (
    "opentelemetry.exporter.otlp",
    "opentelemetry.sdk.metrics._internal.export",
    "opentelemetry.exporter.http",
    "urllib3.connectionpool",
)
_LEVELS = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "CRITICAL": SeverityNumber.FATAL,
}

_random = RandomIdGenerator()

Attributes = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class At:
    """A span in which others are: a job's."""

    trace: int
    span: int
    sampled: bool
    remote: bool = False

    @functools.cached_property
    def inside(self) -> otel_context.Context:
        """The context of what is in it."""
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if self.sampled else trace.TraceFlags.DEFAULT)
        span = trace.NonRecordingSpan(trace.SpanContext(self.trace, self.span, self.remote, flags))
        return trace.set_span_in_context(span, otel_context.Context())


class Watched(Protocol):
    """A site whose numbers are exported."""

    common: dict[str, str]
    """What all that it exports has as attributes."""

    def numbers(self) -> dict[str, int]:
        """How they are now."""
        ...


class Collector:
    """The collector that the environment names, for this process. To give it something takes a moment."""

    def __init__(self, service: str, signals: Iterable[str], logger: logging.Logger) -> None:
        """`service` is what this process is called, unless the environment says it; `signals` is what is exported."""
        # What these would say of a collector that is down is said once, by this.
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.signals = frozenset(signals)
        self._logger = logger
        self._warned = False
        self._waiting: collections.deque[tuple[int, Callable[[], None]]] = collections.deque()
        self._many = 0
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._hurry = False
        self._watched: list[Watched] = []
        resource = Resource.create()
        if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
            resource = resource.merge(Resource({SERVICE_NAME: service}))
        self._ids = _Ids()
        self._spans: list[ReadableSpan] = []
        self._records: list[ReadableLogRecord] = []
        tracers = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        tracers.add_span_processor(_TakesSpans(self._spans))
        self._tracer, self._sampler = tracers.get_tracer(_SCOPE), tracers.sampler
        loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        loggers.add_log_record_processor(_TakesRecords(self._records))
        self._log = loggers.get_logger(_SCOPE)
        self._span_exporter = OTLPSpanExporter() if "traces" in self.signals else None
        self._log_exporter = OTLPLogExporter() if "logs" in self.signals else None
        readers = [PeriodicExportingMetricReader(_Metrics(self._told))] if "metrics" in self.signals else []
        self._meters = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
        self._meter = self._meters.get_meter(_SCOPE)
        self._made: dict[str, Counter | Histogram] = {}
        for name, description in _GAUGES:
            self._meter.create_observable_gauge(name, [functools.partial(self._now, name)], description=description)
        self._meter.create_observable_gauge(
            "process.memory.usage", [_memory], unit="By", description="Memory that this process has"
        )
        started(self._run, "dfm-collector")

    # From any thread.

    def later(self, work: Callable[[], None], size: int = 1) -> None:
        """Does it on the collector's thread. `size` is how much it makes to be exported."""
        with self._lock:
            if self._many + size > _MOST_WAITING:
                return
            self._many += size
            self._waiting.append((size, work))
            if len(self._waiting) == 1:
                self._wake.notify_all()

    def begin(self, name: str, begin: float, attributes: Attributes, inside: At | None = None) -> Begun:
        """Begins a span: in another one, or in what the thread is in that calls this."""
        context = inside.inside if inside is not None else otel_context.get_current()
        around = trace.get_current_span(context).get_span_context()
        own = around.trace_id if around.is_valid else _random.generate_trace_id()
        sampled = self._sampler.should_sample(context, own, name).decision.is_sampled()
        return Begun(At(own, _random.generate_span_id(), sampled), name, begin, attributes, context)

    def watch(self, site: Watched) -> None:
        """Looks at a site's numbers whenever numbers are exported, on a thread of its own."""
        with self._lock:
            self._watched.append(site)

    def leave(self, site: Watched) -> None:
        """Looks at them no more."""
        with self._lock, contextlib.suppress(ValueError):
            self._watched.remove(site)

    def flush(self, patience: float = _PATIENCE) -> None:
        """Waits until all that was given is sent, or no longer than this; not at all while the collector is down."""
        done = threading.Event()
        with self._lock:
            if self._warned:
                return
            self._waiting.append((0, done.set))
            self._hurry = True
            self._wake.notify_all()
        done.wait(patience)

    # On the collector's thread.

    def span(
        self, inside: At, span: int | None, name: str, begin: float, end: float, attributes: Attributes, failed: bool
    ) -> None:
        """Exports a span that is over; `span` is its id, any if not given."""
        with self._ids.next_are(inside.trace, span):
            self._span(name, inside.inside, begin, end, attributes, failed)

    def end(self, begun: Begun, end: float, attributes: Attributes, failed: bool) -> None:
        """Exports a span that has begun, with these attributes too."""
        with self._ids.next_are(begun.at.trace, begun.at.span):
            self._span(begun.name, begun.context, begun.begin, end, {**begun.attributes, **attributes}, failed)

    def _span(
        self,
        name: str,
        context: otel_context.Context,
        begin: float,
        end: float,
        attributes: Attributes,
        failed: bool,
    ) -> None:
        made = self._tracer.start_span(name, context, attributes=attributes, start_time=_nanoseconds(begin))
        if failed:
            made.set_status(trace.StatusCode.ERROR)
        made.end(_nanoseconds(end))

    def line(self, inside: At, at: float, level: str, text: str, attributes: Attributes) -> None:
        """Exports a log record."""
        if self._log_exporter is not None:
            record = LogRecord(
                timestamp=_nanoseconds(at),
                observed_timestamp=_nanoseconds(at),
                context=inside.inside,
                severity_text=level,
                severity_number=_LEVELS.get(level, SeverityNumber.UNSPECIFIED),
                body=text,
                attributes=attributes,
            )
            self._log.emit(record)

    def count(self, name: str, unit: str, description: str, more: int, attributes: Attributes) -> None:
        """Counts so many more of something."""
        counter = self._made.get(name)
        if counter is None:
            counter = self._made[name] = self._meter.create_counter(name, unit, description)
        assert isinstance(counter, Counter)
        counter.add(more, attributes)

    def took(self, name: str, description: str, seconds: float, attributes: Attributes) -> None:
        """Notes how long something took."""
        histogram = self._made.get(name)
        if histogram is None:
            histogram = self._made[name] = self._meter.create_histogram(name, "s", description)
        assert isinstance(histogram, Histogram)
        histogram.record(seconds, attributes)

    def _run(self) -> None:
        while True:
            with self._lock:
                self._wake.wait_for(lambda: self._waiting)
                self._wake.wait_for(lambda: self._hurry, _GATHER)
                taken, self._waiting = self._waiting, collections.deque()
                self._many, self._hurry = 0, False
            answers: list[Callable[[], None]] = []
            for size, work in taken:
                if size == 0:
                    answers.append(work)
                    continue
                try:
                    work()
                except Exception as error:
                    self._warn(f"something could not be exported: {error!r}")
                if len(self._spans) >= _BATCH or len(self._records) >= _BATCH:
                    self._send()
                # Jobs come first: who waits for the interpreter's lock gets it now, and not in 5 ms.
                time.sleep(0)
            self._send()
            if answers:
                self._meters.force_flush(int(_PATIENCE * 1000))
            for answer in answers:
                answer()

    def _send(self) -> None:
        for first in range(0, len(self._spans), _BATCH):
            if self._span_exporter is not None:
                self._told(self._span_exporter.export(self._spans[first : first + _BATCH]) is SpanExportResult.SUCCESS)
        self._spans.clear()
        for first in range(0, len(self._records), _BATCH):
            if self._log_exporter is not None:
                sent = self._log_exporter.export(self._records[first : first + _BATCH])
                self._told(sent is LogRecordExportResult.SUCCESS)
        self._records.clear()

    def _told(self, success: bool) -> None:
        if success:
            self._warned = False
        else:
            self._warn("the collector does not take what is exported")

    def _warn(self, why: str) -> None:
        if not self._warned:
            self._warned = True
            self._logger.warning(
                "%s: what it does not take is left out, and jobs go on (OTEL_EXPORTER_OTLP_ENDPOINT is %r)",
                why,
                os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
            )

    def _now(self, name: str, _: CallbackOptions) -> list[Observation]:
        with self._lock:
            watched = list(self._watched)
        # A process may have several sessions of one federation.
        sums: dict[frozenset[tuple[str, str]], int] = {}
        for site in watched:
            of = frozenset(site.common.items())
            sums[of] = sums.get(of, 0) + site.numbers()[name]
        return [Observation(number, dict(of)) for of, number in sums.items()]


@dataclasses.dataclass(frozen=True)
class Begun:
    """A span that has begun."""

    at: At
    """Where what is in it is."""
    name: str
    begin: float
    attributes: Attributes
    context: otel_context.Context
    """What it is in."""


class _Ids(RandomIdGenerator):
    """Ids at random, but for a span whose ids are known before it is made."""

    def __init__(self) -> None:
        self._next: tuple[int | None, int | None] = None, None

    @contextlib.contextmanager
    def next_are(self, of_trace: int, span: int | None) -> Generator[None]:
        """The span that is made meanwhile, on the collector's thread, has these."""
        self._next = of_trace, span
        try:
            yield
        finally:
            self._next = None, None

    def generate_trace_id(self) -> int:
        return self._next[0] or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return self._next[1] or super().generate_span_id()


class _TakesSpans(SpanProcessor):
    def __init__(self, spans: list[ReadableSpan]) -> None:
        self._spans = spans

    def on_end(self, span: ReadableSpan) -> None:
        self._spans.append(span)


class _TakesRecords(LogRecordProcessor):
    def __init__(self, records: list[ReadableLogRecord]) -> None:
        self._records = records

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        of = log_record
        assert of.resource is not None
        self._records.append(ReadableLogRecord(of.log_record, of.resource, of.instrumentation_scope))

    def shutdown(self) -> None:
        pass

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


class _Metrics(OTLPMetricExporter):
    """Tells whether the collector took them."""

    def __init__(self, told: Callable[[bool], None]) -> None:
        super().__init__()
        self._tell = told

    def export(
        self, metrics_data: MetricsData, timeout_millis: float | None = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis)  # pyright: ignore[reportUnknownMemberType]
        self._tell(result is MetricExportResult.SUCCESS)
        return result


def _memory(_: CallbackOptions) -> list[Observation]:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return [Observation(int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"))]


def _nanoseconds(moment: float) -> int:
    return int(moment * 1e9)
