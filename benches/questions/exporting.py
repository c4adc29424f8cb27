"""What does it cost that a job is exported to a collector?"""

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from questions.alternating import chain
from rows import Row
from side import Side

ROWS = [
    Row("result", "warm job that is exported to a collector, to its result", beside="quiet result", slower=1.03),
    Row("end", "the same, to its end", beside="quiet end", slower=1.03),
]

_COLLECTOR = """
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Takes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Takes)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
"""Takes all that is sent, in a process of its own."""


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    with subprocess.Popen([sys.executable, "-c", _COLLECTOR], stdout=subprocess.PIPE, text=True) as collector:
        assert collector.stdout is not None
        port = collector.stdout.readline().strip()
        os.environ["DFM_HISTORY"] = "0"
        sessions: list[Any] = []
        for endpoint in ("", f"http://127.0.0.1:{port}"):
            os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
            sessions.append(side.session())
        quiet, exported = side.in_turns(sessions, side.pipeline(lambda of: chain(of, ["a"])), turns=60, runs=10)
        for session in sessions:
            session.close()
        collector.terminate()
    yield "quiet result", quiet.result
    yield "result", exported.result
    yield "quiet end", quiet.end
    yield "end", exported.end
