"""Does a pipeline in discovery mode say which values its operations' parameters may take, and at which sites?"""

import json
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dfm.api import Advise, BestOf, EachSite, ForEach, Pipeline, PlaceParam, Yield
from dfm.api.discovery import (
    DISCOVERY_PLACE,
    AdviceError,
    AdvisedOneOf,
    BranchFieldAdvice,
    ErrorFieldAdvice,
    SingleFieldAdvice,
    SiteAdvice,
)
from dfm.errors import PipelineError, PlanError
from dfm.exec import Frame
from dfm.session import JobStatus, Session, Token

OSLO = SingleFieldAdvice("month", AdvisedOneOf(["May", "June"]), None)
BERGEN = SingleFieldAdvice("month", AdvisedOneOf(["May"]), None)


@pytest.fixture
def report(fed: ModuleType) -> Pipeline:
    """Asks which cities and months there are."""
    with Pipeline(mode="discovery") as pipeline:
        fed.Report(city=Advise(), month=Advise(), site=Advise(), dfm_node_id="report")
    return pipeline


def test_every_site_and_provider_that_offers_an_operation_answers(shared: Session, report: Pipeline) -> None:
    found = shared.discover(report)["report"]
    assert list(found) == [("east", None), ("east", "archive"), ("west", None)]
    assert found["east", None] == BranchFieldAdvice("city", [("Oslo", OSLO), ("Bergen", BERGEN)])
    archive = found["east", "archive"]
    assert isinstance(archive, BranchFieldAdvice) and list(archive) == ["Rome"]
    assert found.operation == "work.Report" and found.line is not None and found.line.startswith(__file__)


def test_the_pipeline_and_the_session_choose_who_is_asked(shared: Session, fed: ModuleType) -> None:
    with Pipeline(mode="discovery") as pipeline:
        named = fed.Report(city=Advise(), month=Advise(), site="west")
        listed = fed.Report(city=Advise(), month=Advise(), site=BestOf(["west", "east"]), provider="archive")
        rest = fed.Report(city=Advise(), month=Advise())
    found = shared.discover(pipeline)
    assert list(found[named]) == [("west", None)] and list(found[listed]) == [("east", "archive")]
    assert list(found[rest]) == [("east", None), ("east", "archive"), ("west", None)]
    with Pipeline(mode="discovery") as pipeline:
        fed.Report(city=Advise(), month=Advise())
    assert list(shared.discover(pipeline, restrict_to_sites=["west"])[0]) == [("west", None)]
    with pytest.raises(PlanError, match="restriction excludes"):
        shared.discover(pipeline, restrict_to_sites="homesite")


def test_given_values_are_checked_and_what_a_run_gives_is_not(shared: Session, fed: ModuleType) -> None:
    east = fed.__name__.replace("api.work", "site.east.work")
    with Pipeline(mode="discovery") as pipeline:
        elsewhere = fed.Report(city="Oslo", month="July")
        spoken = __import__(east, fromlist=["Report"]).Report(city=Advise(), month="June", language="fr")
        later = fed.Report(city=elsewhere, month=PlaceParam("when"), site="west")
        with ForEach(seq=later) as one:
            inside = fed.Report(city=Advise(), month=one, note="not discoverable", site="west")
        Yield(value=later)
    found = shared.discover(pipeline)
    good = found[elsewhere]["west", None]
    assert good == SingleFieldAdvice("city", "Oslo", SingleFieldAdvice("month", "July", None))
    bad = found[elsewhere]["east", None]
    assert isinstance(bad, SingleFieldAdvice) and list(bad) == []
    assert bad.collect_error_messages() == {"month": ["'July' is not possible; it can be one of 'May', 'June'"]}
    tree = found[spoken]["east", None]
    assert isinstance(tree, BranchFieldAdvice) and list(tree) == []
    assert tree.collect_error_messages() == {
        "month": ["'June' is not possible; it can be one of 'May'"],
        "language": ["nobody speaks fr here"],
    }
    assert found[later].unknown == {"city": "node 0", "month": "the parameter place 'when'"}
    assert found[later]["west", None] is None
    assert list(_tree(found[inside]["west", None])) == ["Oslo"]


def test_a_tree_can_be_walked_and_printed(shared: Session, report: Pipeline) -> None:
    found = shared.discover(report)
    tree = _tree(found["report"]["east", None])
    months = tree.select("Bergen")
    assert months == BERGEN and months is not None and months.select("May") is None
    with pytest.raises(AdviceError, match="'city' cannot be 'Rome'; it can be: 'Oslo', 'Bergen'"):
        tree.select("Rome")
    assert str(found) == (
        f"work.Report (node report, {found['report'].line})\n"
        "  at east\n"
        "    city:\n"
        "      'Oslo'\n"
        "        month: one of 'May', 'June'\n"
        "      'Bergen'\n"
        "        month: one of 'May'\n"
        "  at east by archive\n"
        "    city:\n"
        "      'Rome'\n"
        "        month: one of 'April'\n"
        "  at west\n"
        "    city:\n"
        "      'Oslo'\n"
        "        month: one of 'July'"
    )


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("raise", "its advisor failed with LookupError: the catalogue is lost"),
        ("hang", "'work.Ask' at site '{site}' has not answered within 0.2 s"),
        ("strange", "its advisor answered 'strange', which is none of dfm.exec.discovery's answers"),
    ],
)
def test_an_advisor_that_fails_is_an_error_in_its_tree(
    shared: Session, fed: ModuleType, how: str, message: str
) -> None:
    with Pipeline(mode="discovery") as pipeline:
        fed.Ask(how=how, value=Advise(), timeout=0.2)
        fed.Report(city=Advise(), month=Advise(), site="west")
    found = shared.discover(pipeline)
    for site in ("east", "west"):
        assert found[0][site, None] == SingleFieldAdvice("value", None, ErrorFieldAdvice(message.format(site=site)))
    assert list(_tree(found[1]["west", None])) == ["Oslo"]


def test_the_traceback_of_an_advisor_is_in_the_log(
    small: Path, fed: ModuleType, caplog: pytest.LogCaptureFixture
) -> None:
    east = __import__("small.fed.runtime.east", fromlist=["get_session"])
    with east.get_session(target="local") as session, caplog.at_level(logging.ERROR):
        with Pipeline(mode="discovery") as pipeline:
            fed.Ask(how="raise", value=Advise(), site="east")
        session.discover(pipeline)
    told = caplog.messages[-1]
    assert "the advisor of 'value' of 'work.Ask' at site 'east' failed" in told
    assert "small/advised.py" in told and "_advise.py" not in told


@pytest.fixture
def private(small: Path) -> Iterator[Session]:
    """A session whose sites may be lost."""
    runtime = __import__("small.fed.runtime.home", fromlist=["get_session"])
    with runtime.get_session(target="local") as session:
        yield session


@pytest.mark.parametrize(
    ("how", "message"),
    [("die", "the process of site 'west' exited with code 3"), ("block", "has not answered within 5.1 s: an adapter")],
)
def test_a_site_that_is_lost_or_blocked_takes_no_other_with_it(
    private: Session, fed: ModuleType, how: str, message: str
) -> None:
    with Pipeline(mode="discovery") as pipeline:
        fed.Report(city=Advise(), month=Advise(), site="east", timeout=0.1)
        fed.Ask(how=how, value=Advise(), site="west", timeout=0.1)
    found = private.discover(pipeline)
    lost = found[1]["west", None]
    assert isinstance(lost, ErrorFieldAdvice) and message in lost.msg
    assert list(_tree(found[0]["east", None])) == ["Oslo", "Bergen"]


def test_execute_delivers_on_the_place_of_discovery(shared: Session, report: Pipeline) -> None:
    tokens: list[Token] = []

    def take(site: str, node: int | str | None, frame: Frame, place: str, data: Any) -> None:
        tokens.append(Token(site, node, frame, place, data))

    job = shared.execute(report, default_callback=take)
    job.wait_until_finished()
    assert job.get_status() is JobStatus.FINISHED
    answers = [token for token in tokens if token.place == DISCOVERY_PLACE]
    assert {(token.from_site, token.node) for token in answers} == {("east", "report"), ("west", "report")}
    assert {(token.data.site, token.data.provider) for token in answers} == {
        ("east", None),
        ("east", "archive"),
        ("west", None),
    }
    # Programs that were written for another engine get a list of pairs.
    assert all([(node, advice)] == list(token.data) for token in answers for node, advice in token.data)
    assert {node for token in answers for node, _ in token.data} == {"report"}
    results = shared.run(report)
    assert list(results) == [DISCOVERY_PLACE] and all(isinstance(one, SiteAdvice) for one in results[DISCOVERY_PLACE])


def test_a_site_is_asked_only_for_what_it_offers(shared: Session, fed: ModuleType) -> None:
    with Pipeline(mode="discovery") as pipeline:
        fed.Report(city=Advise(), month=Advise(), note="a", site="west")
    document = pipeline.model_dump()
    document["statements"][0]["arguments"]["note"] = {"advise": True}

    class Hostile(Pipeline, frozen=True):
        def model_dump_json(self, **options: Any) -> str:
            return json.dumps(document)

    job = shared.execute(Hostile(mode="discovery"))
    answer = job.results(DISCOVERY_PLACE)[0]
    assert answer.advice == ErrorFieldAdvice(
        "'work.Report' at site 'west' does not let its parameter 'note' be asked for"
    )


def test_what_cannot_be_asked_is_refused(shared: Session, fed: ModuleType) -> None:
    with Pipeline(mode="discovery") as pipeline, pytest.raises(PipelineError, match="note takes a string"):
        fed.Report(city=Advise(), month=Advise(), note=Advise())
    with Pipeline() as pipeline:
        fed.Add(a=1)
    with pytest.raises(PipelineError, match="is to be executed"):
        shared.discover(pipeline)
    with Pipeline(mode="discovery") as pipeline:
        fed.Ask(how="x", value=Advise(), site="home")
    with pytest.raises(PlanError, match="home does not offer 'work.Ask'"):
        shared.discover(pipeline)


def test_a_pipeline_in_discovery_mode_is_saved_and_loaded(report: Pipeline, tmp_path: Path) -> None:
    report.save_to_file(tmp_path / "report.json")
    loaded = Pipeline.load_from_file(tmp_path / "report.json")
    assert loaded == report and loaded.mode == "discovery"


def test_the_command_prints_what_was_found(small: Path, command: Path, report: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    report.save_to_file(file)

    def submit(*options: str) -> subprocess.CompletedProcess[str]:
        words = [command, "--config", small / "federations.yaml", "fed", "submit", "small", "--target", "local"]
        words += [*options, "--homesite", "home", "pipeline", file]
        return subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=60)

    shown = submit()
    assert shown.returncode == 0, shown.stderr
    assert "  at west\n    city:\n      'Oslo'\n        month: one of 'July'\n" in shown.stdout
    lines = [json.loads(line) for line in submit("--json").stdout.splitlines()]
    assert lines[0] == {
        "node": "report",
        "operation": "work.Report",
        "site": "east",
        "provider": None,
        "advice": {
            "field": "city",
            "branches": [
                {"value": "Oslo", "next": {"field": "month", "one_of": ["May", "June"], "next": None}},
                {"value": "Bergen", "next": {"field": "month", "one_of": ["May"], "next": None}},
            ],
        },
    }


def _tree(edge: object) -> SingleFieldAdvice | BranchFieldAdvice:
    assert isinstance(edge, SingleFieldAdvice | BranchFieldAdvice), edge
    return edge


def test_each_of_an_each_sites_sites_is_asked(shared: Session, fed: ModuleType) -> None:
    with Pipeline(mode="discovery") as pipeline:
        with EachSite(sites=["east", "west"]) as here:
            report = fed.Report(site=here, city=Advise(), month=Advise())
        fed.Ask(how="raise", value=Advise(), site="west", dfm_after=here.collect(report))
    found = shared.discover(pipeline)
    assert list(found[report]) == [("east", None), ("east", "archive"), ("west", None)]
