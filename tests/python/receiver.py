"""What has a collector been sent? This one takes OTLP over HTTP, and reads it with OpenTelemetry's own classes."""

import gzip
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_KINDS: dict[str, Any] = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}


def attributes(of: Any) -> dict[str, Any]:
    """Those of a span, a record, a point or a resource."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in of.attributes}


class Receiver:
    """What came, by its path."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.raw = b""
        """All bytes that came."""
        self.endpoint = ""

    def _all(self, path: str, outer: str, inner: str) -> Iterator[Any]:
        for found, request in list(self.requests):
            if found == path:
                for of_resource in getattr(request, f"resource_{outer}"):
                    for of_scope in getattr(of_resource, f"scope_{outer}"):
                        yield from getattr(of_scope, inner)

    def spans(self) -> list[Any]:
        """All spans."""
        return list(self._all("/v1/traces", "spans", "spans"))

    def records(self) -> list[Any]:
        """All records of logs."""
        return list(self._all("/v1/logs", "logs", "log_records"))

    def points(self, name: str) -> list[Any]:
        """All points of a metric."""
        found: list[Any] = []
        for metric in self._all("/v1/metrics", "metrics", "metrics"):
            if metric.name == name:
                found += getattr(metric, metric.WhichOneof("data")).data_points
        return found

    def services(self) -> set[str]:
        """The names of the processes that have sent something."""
        found: set[str] = set()
        for path, request in self.requests:
            outer = getattr(request, "resource_" + {"/v1/traces": "spans", "/v1/logs": "logs"}.get(path, "metrics"))
            found |= {attributes(one.resource)["service.name"] for one in outer}
        return found


@contextmanager
def receiving() -> Generator[Receiver]:
    """A receiver that listens meanwhile."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.raw += body
            receiver.requests.append((self.path, _KINDS[self.path].FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
