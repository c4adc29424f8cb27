"""What can a recording from a stranger have a site do that a pipeline from a stranger could not?

The attacker writes the file, and the user replays it where their own adapters and data are.
"""
# pyright: basic, reportMissingImports=false

import base64
import contextlib
import json
import pickle

import msgpack
import pytest
from dfm import _native, _values
from dfm._running.replayed import Replay
from dfm.api import Pipeline, PlaceParam, Yield
from dfm.session._generated import read_generated


class Seen:
    """Hears what is told of a replay."""

    def __init__(self):
        self.values, self.errors, self.called, self.outcomes = [], [], [], []

    def began(self, frame, parameters):
        pass

    def happened(self, event):
        pass

    def calls(self, call):
        self.called.append((call.operation, dict(call.parameters)))

    def came(self, call, now, then):
        self.outcomes.append((call.operation, now.kind, now.failure and (now.failure.kind, now.failure.message)))

    def yielded(self, site, place, frame, value):
        self.values.append(value)

    def failed(self, failure):
        self.errors.append((failure.site, failure.kind, failure.message))


@pytest.fixture(scope="module")
def honest(shared, fed, tmp_path_factory):
    """An honest recording: one call at `east`, whose result a call at `home` gets."""
    file = tmp_path_factory.mktemp("recordings") / "honest.jsonl"
    with Pipeline(name="honest") as pipeline:
        Yield(value=fed.Echo(value=fed.Add(a=PlaceParam(place="a"), site="east"), site="home"), place="out")
    job = shared.execute(pipeline, {"a": 1}, record=file)
    job.wait_until_finished()
    job.check_recorded()
    return file


def packed(message) -> bytes:
    data = msgpack.packb(message)
    assert data is not None
    return data


def replayed(file, tmp_path, change):
    """What is seen of a replay of the recording in which `change` has its will with each message, as plain data."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    for line in lines:
        if "data" in line:
            message = msgpack.unpackb(base64.b64decode(line["data"]), raw=False, strict_map_key=False)
            forged = change(line, message)
            if forged is not None:
                packet = forged if isinstance(forged, bytes) else packed(forged)
                line["data"] = base64.b64encode(packet).decode()
    forged = tmp_path / "forged.jsonl"
    forged.write_text("".join(json.dumps(line) + "\n" for line in lines))
    seen = Seen()
    replay = Replay(_native.Recording(forged), read_generated("small.fed").site("home"), seen, contextlib.nullcontext)
    replay.run()
    assert replay.broken == ""
    return seen


def sent_instead(value):
    """A change that puts other bytes into the place of the value that `east` has sent."""

    def change(line, message):
        if line["from"] == "east" and line["kind"] == "value":
            (job, place, frame, _) = message["Token"]
            return {"Token": [job, place, frame, {"Value": [value, []]}]}
        return None

    return change


def test_an_honest_recording_is_replayed(honest, tmp_path):
    seen = replayed(honest, tmp_path, lambda line, message: None)
    assert (seen.called, seen.values, seen.errors) == ([("work.Echo", {"value": 2})], [2], [])


def test_no_pickle_of_a_recording_is_opened(honest, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('opened')",))

    honest_reduce, _values.reduce = _values.reduce, lambda value: ("pickle", pickle.dumps(Bomb()))
    try:
        data = _values.dumps(Bomb())
    finally:
        _values.reduce = honest_reduce
    seen = replayed(honest, tmp_path, sent_instead(data[8:]))
    assert seen.called == [] and seen.values == []
    assert any(kind == "DecodingError" for _, kind, _ in seen.errors), seen.errors


def test_no_class_is_rebuilt_that_the_configuration_does_not_name(honest, tmp_path):
    class Odd:
        pass

    honest_reduce, _values.reduce = _values.reduce, lambda value: ("enum", ["http:HTTPStatus", "OK"])
    try:
        data = _values.dumps(Odd())
    finally:
        _values.reduce = honest_reduce
    seen = replayed(honest, tmp_path, sent_instead(data[8:]))
    assert seen.called == [] and any(kind == "DecodingError" for _, kind, _ in seen.errors), seen.errors


def of_home(nets, change):
    for net in nets:
        if net[0] == "home":
            change(net)
    return nets


def test_a_net_that_no_planner_makes_is_refused(honest, tmp_path):
    def change(line, message):
        if line["kind"] != "plan":
            return None
        job, name, nets = message["Plan"]
        return {"Plan": [job, name, of_home(nets, lambda net: net[2].clear())]}

    seen = replayed(honest, tmp_path, change)
    assert seen.called == [] and [kind for _, kind, _ in seen.errors] == ["PlanRefusedError"], seen.errors


def test_an_operation_that_the_site_does_not_bind_is_not_called(honest, tmp_path):
    def change(line, message):
        if line["kind"] != "plan":
            return None
        return packed(message).replace(b"work.Echo", b"os.system")

    seen = replayed(honest, tmp_path, change)
    assert seen.called == [] and seen.values == []
    assert any("does not offer 'os.system'" in message for _, _, message in seen.errors), seen.errors


def test_what_is_no_message_and_what_another_may_not_say_is_nothing(honest, tmp_path):
    def change(line, message):
        if line["from"] == "east" and line["kind"] == "value":
            return b"\x91" * 100_000
        if line["from"] == "east" and line["kind"] == "done":
            return {"Plan": [1, "again", []]}
        return None

    seen = replayed(honest, tmp_path, change)
    assert (seen.called, seen.values) == ([], [])
