"""Is what a site on Flare exports in the trace of the application, each from its own environment?"""
# pyright: basic, reportMissingImports=false

import os
import signal

import pytest
from eventually import until
from receiver import attributes, receiving

pytest.importorskip("nvflare")
pytestmark = [pytest.mark.flare, pytest.mark.timeout(120)]

PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import work

def get_pipeline(args=None):
    with Pipeline(name="far") as p:
        seen = work.Echo(value=1, site="east")
        Yield(value=work.Echo(value=seen, site="west"))
    return p
"""


def start_again(federation, site):
    os.kill(federation.process(site), signal.SIGKILL)
    federation.dfm("poc", "start", "-f", "small")
    federation.wait()


def test_what_a_site_exports_is_in_the_applications_trace(federation, small, monkeypatch):
    path = small / "far.py"
    path.write_text(PIPELINE)
    with receiving() as receiver, monkeypatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        start_again(federation, "east")
        federation.dfm("fed", "submit", "small", "--poc", "pipeline", str(path))
        until(lambda: "dfm.east" in receiver.services() and any(one.name == "work.Echo" for one in receiver.spans()))
    start_again(federation, "east")
    spans = {span.name: span for span in receiver.spans()}
    assert len({span.trace_id for span in spans.values()}) == 1
    call, part, job = spans["work.Echo"], spans["part of east"], spans["job far"]
    assert call.parent_span_id == part.span_id and part.parent_span_id == job.span_id
    assert {attributes(span)["dfm.site"] for span in spans.values()} == {"east", "home"}, "west exports nothing"
