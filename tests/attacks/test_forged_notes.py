"""Can a site forge what an application is told of a job: how far others are with it, or what they have said?"""
# pyright: basic, reportMissingImports=false

import json
import subprocess
from typing import Any

import msgpack
import pytest
from dfm import _native
from dfm.api import Yield
from dfm.session._progress import sites_of
from flare_federation import written

MOST = (1 << 64) - 1


def packed(message: Any) -> bytes:
    return bytes(msgpack.packb(message) or b"")


FORGED = "well\x1b[2J\u202e\n09:41:07.312Z west work.Echo [0] INFO west.log: all is well"


class Job:
    """A job of which site east says what it likes, at home and as it is recorded."""

    def __init__(self, plan: _native.Plan, state) -> None:
        self.state = state
        self.plan = plan
        self.site = _native.Site("home")
        for site in ("east", "west"):
            self.site.add_pipe(site)
        self.site.open(1, "job", plan, {})
        self.site.note(1)
        self.site.start(1, {})
        self.site.stop(1)
        history = _native.History.of("small", str(state / "dfm" / "history" / "small"))
        assert history is not None
        self.history, self.record = history, history.begin("0f-1", "job", "local", "home", [], plan, None)
        self.nodes = {
            site: node for site, node in ((one["site"], one["node"]) for one in json.loads(plan.placements()))
        }

    def says(self, site: str, noted: list[Any], counts: list[int]) -> dict[str, _native.Notes]:
        """What home has heard of each site when this one has said that."""
        self.site.receive_packet(site, packed({"Noted": [1, noted, counts]}))
        told: dict[str, _native.Notes] = {}
        for event in self.site.events():
            if isinstance(event, _native.Noted):
                told[event.notes.site] = event.notes
                self.record.add(event.notes, event.happened)
        return told

    def logs(self, command, small) -> str:
        """What is shown of what was said, when the job is over."""
        self.record.end("FINISHED", 1, 1, 0)
        assert self.history.flush() is None
        environment = {"XDG_STATE_HOME": str(self.state), "PATH": "/usr/bin:/bin"}
        show = [command, "--config", small / "federations.yaml", "jobs", "logs", "small", "0f-1"]
        done = subprocess.run(show, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def job(shared, fed, tmp_path):
    def build():
        Yield(value=fed.Echo(value=1, site="east"), place="a")
        Yield(value=fed.Echo(value=2, site="west"), place="b")

    return Job(shared.prepare(written(build)).plan, tmp_path)


def line(node, text, at=1.0, level="INFO", logger="east.log"):
    return {"Said": [node, [0], [at, level, logger, text]]}


def test_a_site_counts_for_itself_alone_and_no_number_of_it_breaks_anything(job):
    told = job.says("east", [], [MOST] * 6)
    assert list(told) == ["east"]
    (east, west) = sites_of([("east", 1), ("west", 1)], 1, told)
    assert (east.known, east.done, east.failed) == (MOST, MOST, MOST)
    assert (west.known, west.done, west.failed) == (1, 0, 0)
    job.says("east", [], [0, 5, 7, 0, 0, 0])
    (east, _) = sites_of([("east", 1), ("west", 1)], 1, told)
    assert east.done <= east.known


@pytest.mark.parametrize("counts", [[-1] * 6, [1.5] * 6, ["1"] * 6, [1 << 64] * 6, [1] * 5, [None] * 6])
def test_what_is_no_count_is_no_message(job, counts):
    try:
        packet = packed({"Noted": [1, [], counts]})
    except OverflowError:
        return  # there is no such number in MessagePack
    job.site.receive_packet("east", packet)
    kinds = [type(event).__name__ for event in job.site.events()]
    assert "Closed" in kinds and "Noted" not in kinds


def test_a_line_that_a_site_makes_up_is_one_line_of_its_own(job, command, small):
    job.says("east", [line(job.nodes["east"], FORGED, logger="east\n09:41 west")], [1, 1, 0, 0, 0, 0])
    job.says("east", [line(job.nodes["west"], "in west's name")], [1, 1, 0, 0, 0, 0])
    shown = job.logs(command, small)
    (first, *rest) = shown.splitlines()
    assert " east work.Echo [0] INFO " in first
    assert all(line.startswith(" ") for line in rest), "what goes on below is no line of its own"
    assert "\x1b" not in shown and "\u202e" not in shown and "in west's name" not in shown


def test_the_traces_of_a_job_are_told_by_home_alone(job):
    east = _native.Site("east", "home")
    east.note_all()
    east.add_pipe("home")
    east.add_pipe("west")
    east.receive_packet("west", packed({"Note": [1, [[1, 2], 3, True]]}))
    for wrong in ([[1, 2], 3], [[1, 2], "3", True], [[-1, 2], 3, True], ["0" * 32, 3, True], [[1] * 9, 3, True]):
        other = _native.Site("east", "home")
        other.note_all()
        other.add_pipe("home")
        other.receive_packet("home", packed({"Note": [1, wrong]}))
        assert "Closed" in [type(event).__name__ for event in other.events()], wrong
    assert not any(isinstance(event, _native.Traced) for event in east.events())


def test_what_a_site_counts_is_its_own_and_breaks_no_record(job, command, small):
    east, west = job.nodes["east"], job.nodes["west"]
    numbers = [1, 0, 0, 0, 0, 0]
    mine = [{"More": [{"Done": east}, MOST, 0]}, {"More": [{"Sent": [east, "home"]}, MOST, MOST]}]
    others = [{"More": [of, 5, 0]} for of in ("Started", {"Done": west}, {"Came": east}, {"Sent": [east, "nowhere"]})]
    assert "east" in job.says("east", mine + others, numbers)
    assert "failed" not in job.logs(command, small)
    (path,) = (job.state / "dfm" / "history" / "small").glob("*.jsonl")
    more = [line for line in map(json.loads, path.read_text().splitlines()) if line.get("what") == "more"]
    assert sorted((one["site"], one["of"], one["node"]) for one in more) == [
        ("east", "done", east),
        ("east", "sent", east),
    ]


@pytest.mark.parametrize("wrong", [{"Done": []}, "Nothing", {"Sent": 1}, ["Done", 1]])
def test_what_is_no_kind_of_number_is_no_message(job, wrong):
    job.site.receive_packet("east", packed({"Noted": [1, [{"More": [wrong, 1, 0]}], [0] * 6]}))
    kinds = [type(event).__name__ for event in job.site.events()]
    assert "Closed" in kinds and "Noted" not in kinds
