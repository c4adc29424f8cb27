"""Does a collector get one trace of a job across its sites, and does no job wait for one that is not there?"""
# pyright: basic

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from receiver import Receiver, attributes, receiving
from small_federation import ADAPTERS, CONFIG, Small

pytestmark = pytest.mark.timeout(90)

OPERATION = """\
  work.Measured:
    parameters:
      given: {type: string}
    required: [given]
    returns: string
sites:
"""
BINDING = '      "#/operations/work.Measured": {adapter: small.lib.%s, args: from-operation}\n'
MEASURES = """

import logging

log = logging.getLogger("small.measures")


class Measures(Adapter):
    async def body(self, given: str) -> str:
        with self.site.telemetry_span("outer", {"rows": 3}) as span:
            with self.site.telemetry_span("inner"):
                log.warning("it is measured")
            span.set_attribute("more", "yes")
            if given == "secret":
                span.set_attribute("request", "x" * 995 + self.site.secret_for_key("measured"))
        if given == "wrong":
            raise ValueError("it is wrong")
        return given


class OnThread(Adapter):
    def body(self, given: str) -> str:
        with self.site.telemetry_span("on a thread"):
            return given
"""
PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import work

def get_pipeline(args):
    with Pipeline(name="seen") as p:
        made = work.Measured(site="left", given=args[0])
        Yield(value=work.Measured(site="right", given=made))
    return p
"""
GIVEN = "a value that stays where it is"
OFF = {name: "" for name in os.environ if name.startswith("OTEL_")}


class Seen:
    def __init__(self, small: Small) -> None:
        self.small = small
        self.pipeline = str(small.write("seen.py", PIPELINE))

    def submit(self, given: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        words = ("fed", "submit", "small", "--target", "local", *words, "pipeline", self.pipeline, "--", given)
        return self.small.run(*words, more=OFF | more)


@pytest.fixture(scope="module")
def seen(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    small = Small(tmp_path_factory.mktemp("seen"), command)
    small.create()
    config = CONFIG.replace("sites:\n", OPERATION, 1)
    for site, kind in (("left", "Measures"), ("right", "OnThread")):
        head = re.search(rf"  {site}:\n    send_cost: .*\n    interface:\n", config)
        assert head is not None
        binding = BINDING % kind if kind == "Measures" else (BINDING % kind).replace("}\n", ", is-async: false}\n")
        config = config[: head.end()] + binding + config[head.end() :]
    small.write("small/configs/federation.dfm.yaml", config)
    small.write("small/lib.py", ADAPTERS + MEASURES)
    small.run("fed", "gen", "code", "small").check_returncode()
    return Seen(small)


def named(receiver: Receiver, name: str) -> Any:
    (span,) = [span for span in receiver.spans() if span.name == name]
    return span


def test_one_trace_has_a_job_at_all_its_sites(seen: Seen) -> None:
    with receiving() as receiver:
        done = seen.submit(GIVEN, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        assert done.returncode == 0, done.stderr
    spans = receiver.spans()
    assert len({span.trace_id for span in spans}) == 1
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)

    def way(span: Any) -> list[str]:
        above = by_id.get(span.parent_span_id)
        return [span.name] if above is None else [*way(above), span.name]

    ways = {tuple(way(span)) for span in spans if not span.name.startswith("wait")}
    assert ways == {
        ("job seen",),
        ("job seen", "plan"),
        ("job seen", "part of left"),
        ("job seen", "part of left", "work.Measured"),
        ("job seen", "part of left", "work.Measured", "outer"),
        ("job seen", "part of left", "work.Measured", "outer", "inner"),
        ("job seen", "part of left", "work.Measured", "send to right"),
        ("job seen", "part of right"),
        ("job seen", "part of right", "work.Measured"),
        ("job seen", "part of right", "work.Measured", "on a thread"),
        ("job seen", "part of right", "work.Measured", "send to home"),
    }
    outer = attributes(named(receiver, "outer"))
    assert (outer["rows"], outer["more"], outer["dfm.site"]) == (3, "yes", "left")
    job = attributes(named(receiver, "job seen"))
    assert (job["dfm.status"], job["dfm.tokens"], job["dfm.federation"]) == ("FINISHED", 1, "small")
    assert attributes(named(receiver, "send to right"))["dfm.bytes"] > len(GIVEN)
    assert receiver.services() == {"dfm.home", "dfm.left", "dfm.right"}


def test_logs_and_numbers_say_where_they_are_from(seen: Seen) -> None:
    with receiving() as receiver:
        seen.submit(GIVEN, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    (record,) = [record for record in receiver.records() if record.body.string_value == "it is measured"]
    about = attributes(record)
    assert (about["dfm.site"], about["dfm.operation"], about["dfm.frame"]) == ("left", "work.Measured", "0")
    assert (record.severity_text, about["logger.name"]) == ("WARNING", "small.measures")
    (call,) = [span for span in receiver.spans() if span.span_id == record.span_id]
    assert call.name == "work.Measured" and call.trace_id == record.trace_id
    of_sites = {attributes(point)["dfm.site"]: point for point in receiver.points("dfm.call.duration")}
    assert {site: point.count for site, point in of_sites.items()} == {"left": 1, "right": 1}
    assert {attributes(point)["dfm.operation"] for point in of_sites.values()} == {"work.Measured"}
    sent = {attributes(point)["dfm.to"] for point in receiver.points("dfm.sent")}
    assert sent == {"right", "home"}
    waiting = {attributes(point)["dfm.site"] for point in receiver.points("dfm.calls.waiting")}
    assert waiting == {"home", "left", "right"}
    assert all(point.as_int > 1 << 20 for point in receiver.points("process.memory.usage"))


def test_a_call_that_fails_is_an_error_in_its_trace(seen: Seen) -> None:
    with receiving() as receiver:
        assert seen.submit("wrong", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint).returncode == 1
    failed = {span.name for span in receiver.spans() if span.status.code == 2}
    assert failed == {"job seen", "part of left", "work.Measured"}
    (point,) = receiver.points("dfm.errors")
    assert (attributes(point)["dfm.site"], point.as_int) == ("left", 1)


def test_a_secret_is_masked_before_what_has_it_is_cut(seen: Seen) -> None:
    with receiving() as receiver:
        more = {"DFM_SECRET_MEASURED": "sesame-street"}
        done = seen.submit("secret", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **more)
        assert done.returncode == 0, done.stderr
    assert attributes(named(receiver, "outer"))["request"] == "x" * 995 + "***"


def test_no_value_is_exported(seen: Seen) -> None:
    with receiving() as receiver:
        seen.submit(GIVEN, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert receiver.spans() and GIVEN.encode() not in receiver.raw


def test_only_what_the_environment_names_is_exported(seen: Seen) -> None:
    with receiving() as receiver:
        seen.submit(GIVEN, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_SDK_DISABLED="true")
        assert receiver.requests == []
        seen.submit(GIVEN, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{receiver.endpoint}/v1/traces")
        assert {path for path, _ in receiver.requests} == {"/v1/traces"}
        receiver.requests.clear()
        more = {"OTEL_TRACES_EXPORTER": "none", "OTEL_SERVICE_NAME": "ours"}
        seen.submit(GIVEN, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, **more)
        assert {path for path, _ in receiver.requests} == {"/v1/metrics", "/v1/logs"}
        assert receiver.services() == {"ours"}
        receiver.requests.clear()
        seen.submit(GIVEN, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint, OTEL_TRACES_SAMPLER="always_off")
        assert receiver.spans() == []


def test_no_job_waits_for_a_collector_that_is_down_and_that_is_said_once(seen: Seen) -> None:
    done = seen.submit(GIVEN, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert done.returncode == 0
    told = [line for line in done.stderr.splitlines() if "the collector does not take" in line]
    assert 1 <= len(told) <= 3, done.stderr
    assert "Traceback" not in done.stderr and "opentelemetry" not in done.stderr


def test_a_protocol_that_is_not_spoken_is_said(seen: Seen) -> None:
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    done = seen.submit(GIVEN, **more)
    assert done.returncode == 0
    assert done.stderr.count("OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', and dfm speaks 'http/protobuf' alone") == 1


def test_a_package_that_is_missing_is_named_once_and_the_job_runs(seen: Seen, tmp_path: Path) -> None:
    (tmp_path / "opentelemetry.py").write_text("")
    more = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "PYTHONPATH": str(tmp_path)}
    done = seen.submit(GIVEN, **more)
    assert done.returncode == 0
    assert done.stderr.count("pip install 'data-federation-mesh[otel]'") == 1, done.stderr


def test_a_site_may_keep_what_it_exports_to_itself(seen: Seen, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("traces: own\nlogs: none\n")
    with receiving() as receiver:
        done = seen.submit(GIVEN, "--policy-of", f"left={policy}", OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
        assert done.returncode == 0, done.stderr
    traces: dict[bytes, set[str]] = {}
    for span in receiver.spans():
        traces.setdefault(span.trace_id, set()).add(attributes(span)["dfm.site"])
    assert sorted(map(sorted, traces.values())) == [["home", "right"], ["left"]]
    assert "it is measured" in {record.body.string_value for record in receiver.records()}, "it is the site's own"
    assert "it is measured" not in json.dumps(seen.small.run("--json", "jobs", "list", "small").stdout)


def test_nothing_of_it_is_imported_unless_the_environment_names_a_collector() -> None:
    code = "import sys, dfm._running.loop; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
