"""Do the pipelines and applications that the guides show do what the pages say, in a federation around them?"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from flare_federation import Federation
from guide import Guide, shown
from test_tutorial import ROOT


def tried(guide: Guide, pipeline: str, runs: str) -> list[str]:
    """What is printed by `runs`, beside a pipeline that is written so."""
    (namespace,) = (one.stem for one in (guide.folder / guide.name / "fed" / "api").glob("[a-z]*.py"))
    begin = f"from {guide.name}.fed.api import {namespace}\nwith Pipeline() as pipeline:\n"
    return guide.tried(begin + pipeline + "\n" + dedent(runs).strip() + "\n").splitlines()


def bound(*operations: str, package: str) -> str:
    lines = (
        f'"#/operations/{one}": {{adapter: {package}.lib.{one.split(".")[1]}, args: from-operation}}'
        for one in operations
    )
    return "".join(f"      {line}\n" for line in lines)


def test_nodes_within_values(command: Path, tmp_path: Path) -> None:
    config = f"""\
schemas:
  Rows: {{type: object, properties: {{first: {{type: integer}}}}, required: [first]}}
operations:
  model.Rows: {{returns: {{$ref: "#/schemas/Rows"}}}}
  model.Fit: {{returns: number}}
  model.Compare:
    parameters: {{models: {{type: array}}, options: {{type: object}}}}
    required: [models, options]
    returns: string
sites:
  app: {{}}
  north:
    send_cost: {{app: {{fixed_time: 0.01}}}}
    interface:
{bound("model.Rows", "model.Fit", "model.Compare", package="learn")}
  south:
    send_cost: {{north: {{fixed_time: 0.01}}}}
    interface:
{bound("model.Fit", package="learn")}
"""
    library = """\
class Rows:
    async def body(self) -> dict[str, int]:
        return {"first": 7}


class Fit:
    def __init__(self, site: Any) -> None:
        self.site = site

    async def body(self) -> float:
        return {"north": 0.5, "south": 0.25}[self.site.name]


class Compare:
    async def body(self, models: list[float], options: dict[str, Any]) -> str:
        return f"{models} {options}"
"""
    guide = Guide(tmp_path, command, "learn", config, library)
    block = shown("semantics.md", "Compare(").strip()
    pipeline = f"""\
    from learn.fed.api.model import Compare, Fit, Rows
    rows = Rows(site="north")
    compared = {block}
    Yield(value=compared)
"""
    assert tried(guide, pipeline, 'print(session.run(pipeline, unit="m"))') == [
        "{'yield': [\"[0.5, 0.25] {'start': 7, 'unit': 'm'}\"]}"
    ]


WEATHER = f"""\
operations:
  weather.Report: {{parameters: {{station: {{type: string}}}}, required: [station], returns: string}}
  weather.Model: {{parameters: {{city: {{type: string}}}}, required: [city], returns: string}}
  weather.Run: {{parameters: {{model: {{type: string}}, city: {{type: string}}}}, returns: string}}
sites:
  app: {{}}
  north:
    interface:
{bound("weather.Report", "weather.Model", "weather.Run", package="climate")}
"""
ADAPTERS = """\
class Report:
    async def body(self, station: str) -> str:
        return f"report of {station}"


class Model:
    async def body(self, city: str) -> str:
        return f"model of {city}"


class Run:
    async def body(self, model: str | None = None, city: str | None = None) -> str:
        print("one run")
        return f"run of {model or city}"
"""


@pytest.fixture(scope="module")
def climate(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Guide:
    return Guide(tmp_path_factory.mktemp("climate"), command, "climate", WEATHER, ADAPTERS)


def test_a_loop_over_elements(climate: Guide) -> None:
    block = shown("semantics.md", "with ForEach(seq=stations)", within=4)
    pipeline = f'    stations = ["a", "b"]\n{block}    Yield(value=everything, place="everything")\n'
    assert tried(
        climate, pipeline, "results = session.run(pipeline)\nprint(sorted(results['reports']), results['everything'])"
    ) == ["['report of a', 'report of b'] [['report of a', 'report of b']]"]


@pytest.mark.parametrize(("page", "made"), [("caches.md", "run of Oslo"), ("semantics.md", "run of model of Oslo")])
def test_a_cache_of_a_step(climate: Guide, page: str, made: str) -> None:
    begin = "    city = PlaceParam('city', multiuse=True)\n" if page == "semantics.md" else ""
    block = shown(page, 'TryFromCache(key=("forecast"', within=4).replace('"forecast"', f'"{page}"')
    runs = 'for _ in range(2):\n    print(session.run(pipeline, city="Oslo")["yield"])'
    assert tried(climate, begin + block, runs) == ["one run", f"['{made}']", f"['{made}']"]


STEP = "{type: object, properties: {w: {type: number}, change: {type: number}, loss: {type: number}}}"
ROUNDS = f"""\
operations:
  model.Gradient: {{parameters: {{w: {{type: number}}}}, required: [w], returns: number}}
  model.Step:
    parameters: {{parts: {{type: object}}, gradients: {{type: array}}, w: {{type: number}}}}
    required: [w]
    returns: RETURNS
sites:
  app: {{}}
  server:
    interface:
{bound("model.Step", package="learn")}
  oslo:
    interface:
{bound("model.Gradient", package="learn")}
  rome:
    interface:
{bound("model.Gradient", package="learn")}
"""
LEARNERS = """\
class Gradient:
    def __init__(self, site: Any) -> None:
        self.aim = {"oslo": 2.0, "rome": 4.0}[site.name]

    async def body(self, w: float) -> float:
        return w - self.aim


class Step:
    async def body(self, w: float, parts: Any = None, gradients: Any = None) -> dict[str, float]:
        change = sum(gradients or parts.values()) / 4
        return {"w": w - change, "change": abs(change), "loss": change * change}
"""


def test_rounds_until_done(command: Path, tmp_path: Path) -> None:
    config = f"schemas: {{Step: {STEP}}}\n" + ROUNDS.replace("RETURNS", '{$ref: "#/schemas/Step"}')
    learners = Guide(tmp_path, command, "learn", config, LEARNERS)
    block = shown("semantics.md", 'start={"w": zeros}', within=4)
    pipeline = f"    zeros = 1.0\n    gradients = [0.5, 0.25]\n{block}".replace(
        "gradients=gradients", "gradients=[model.Gradient(site=one, w=rounds['w']) for one in ('oslo', 'rome')]"
    )
    runs = 'results = session.run(pipeline)\nprint(round(results["w"][0], 3), len(results["loss"]) > 10)'
    assert tried(learners, pipeline, runs) == ["3.0 True"]


def test_rounds_at_each_site(command: Path, tmp_path: Path) -> None:
    learners = Guide(tmp_path, command, "learn", ROUNDS.replace("RETURNS", STEP), LEARNERS)
    block = shown("iterating.md", 'with Pipeline(name="learn")')
    jobs = shown("iterating.md", "while count == 50")
    program = f"from learn.fed.api import model\n{block}w = 1.0\n{jobs}print(round(w, 3), count < 50)\n"
    assert learners.tried(program) == "3.0 True\n"


def test_at_each_site(command: Path, tmp_path: Path) -> None:
    sites = "".join(
        f"  {name}:\n    interface:\n{bound('clinic.Load', 'clinic.Fit', package='fits')}"
        for name in ("one", "two", "three")
    )
    config = f"""\
operations:
  clinic.Load: {{parameters: {{year: {{type: integer}}}}, required: [year], returns: array}}
  clinic.Fit: {{parameters: {{table: {{type: array}}}}, required: [table], returns: number}}
  clinic.Average: {{parameters: {{fits: {{type: object}}}}, required: [fits], returns: number}}
sites:
  app:
    interface:
{bound("clinic.Average", package="fits")}{sites}"""
    library = """\
class Load:
    def __init__(self, site: Any) -> None:
        self.site = site

    async def body(self, year: int) -> list[int]:
        return [year, len(self.site.name)]


class Fit:
    async def body(self, table: list[int]) -> float:
        return float(table[1])


class Average:
    async def body(self, fits: dict[str, float]) -> float:
        return sum(fits.values()) / len(fits)
"""
    guide = Guide(tmp_path, command, "fits", config, library)
    block = shown("semantics.md", "EachSite(offers=[Load]", within=4)
    pipeline = f"    from fits.fed.api import clinic\n    from fits.fed.api.clinic import Load\n{block}"
    assert tried(guide, pipeline, "print(session.run(pipeline, year=2024))") == [
        "{'model': [3.6666666666666665], 'missing': [[]]}"
    ]


def test_sums_that_nobody_sees_in_parts(command: Path, tmp_path: Path) -> None:
    sites = "".join(
        f"  {name}:\n    interface:\n{bound('clinic.Count', package='sums')}" for name in ("one", "two", "three")
    )
    config = f"""\
operations:
  clinic.Count: {{parameters: {{year: {{type: integer}}}}, required: [year], returns: object}}
sites:
  app: {{}}
{sites}"""
    library = """\
class Count:
    async def body(self, year: int) -> dict[str, int]:
        return {"n": year - 2020}
"""
    guide = Guide(tmp_path, command, "sums", config, library)
    block = shown("semantics.md", "SecureSum(here, counts", within=4)
    assert tried(guide, block, "print(session.run(pipeline, year=2025))") == [
        "{'counts': [{'n': 15}], 'mean': [{'n': 5.0}]}"
    ]


def test_what_may_be_asked(command: Path, tmp_path: Path) -> None:
    config = """\
operations:
  weather.Report:
    parameters: {city: {type: string}, month: {type: string}}
    required: [city, month]
    returns: string
sites:
  app: {}
  bergen:
    interface:
      "#/operations/weather.Report":
        adapter: {path: forecasts.lib.Report, args: {catalogue: {Bergen: [May]}}}
        args: from-operation
  oslo:
    providers:
      archive:
        interface:
          "#/operations/weather.Report":
            adapter:
              path: forecasts.lib.Report
              args: {catalogue: {Oslo: [May], Drammen: [May], Moss: [June, July]}}
            args: from-operation
"""
    block = shown("discovery.md", "class Report:").replace(
        "class Report:\n",
        "class Report:\n"
        "    def __init__(self, catalogue: Any) -> None:\n        self.catalogue = Catalogue(catalogue)\n\n",
    )
    library = f"""\
from dfm.exec.discovery import AdvisedOneOf, field_advisor


class Catalogue:
    def __init__(self, months: dict[str, list[str]]) -> None:
        self._months = months

    def cities(self) -> list[str]:
        return list(self._months)

    def months(self, city: Any) -> list[str]:
        return self._months[city]


{block}"""
    guide = Guide(tmp_path, command, "forecasts", config, library)
    asking = shown("discovery.md", "found = session.discover(pipeline)")
    begin = """\
from dfm.api import Advise, Pipeline
from dfm.testing import Federation
from forecasts.fed.api import weather

federation = Federation("forecasts", homesite="app")
federation.__enter__()
session = federation.session




"""
    (line,) = (number for number, one in enumerate((begin + asking).splitlines(), 1) if "report = " in one)
    answer = shown("discovery.md", "weather.Report (node 0")
    said = guide.program(begin + asking + "federation.__exit__(None, None, None)\n", "forecast.py")
    said = said.replace(f"{guide.folder}/forecast.py:{line}", "forecast.py:12")
    assert said == answer
    tree = shown("discovery.md", "tree.select")
    end = "\nprint(list(tree))\nprint(tree.select('Oslo').field)\nprint(tree.collect_error_messages())\n"
    said = guide.program(begin + asking + tree + end + "federation.__exit__(None, None, None)\n", "forecast.py")
    *_, places, field, errors = said.splitlines()
    assert (places, field) == ("['Oslo', 'Drammen']", "month")
    assert errors.startswith("{'month': [\"'May' is not possible; it can be")


@pytest.fixture(scope="module")
def examplefed(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, where the commands of the guides' pages are given."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "examples" / "examplefed", folder / "examplefed")
    shutil.copy(ROOT / "examples" / "federations.yaml", folder)
    shutil.copy(folder / "examplefed" / "examplefed" / "apps" / "pipeline.py", folder)
    subprocess.run([command, "fed", "gen", "code", "examplefed"], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("words", ["--svg p.svg", "submit examplefed", "fed simulate"])
def test_commands_about_plans(command: Path, examplefed: Path, words: str) -> None:
    (examplefed / "network.yaml").write_text(shown("planning.md", "dfm-network: 1"))
    for line in shown("planning.md", words).splitlines():
        given = re.sub(r"\s*#.*", "", line).removeprefix("dfm ").replace("--poc", "--target local").split()
        done = subprocess.run([command, *given], cwd=examplefed, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        for written in set(given) & {"p.svg", "p.mmd", "run.svg", "costs.yaml"}:
            assert (examplefed / written).stat().st_size > 100


def test_how_far_a_job_is_and_what_it_gives(climate: Guide) -> None:
    said = climate.program(f"""\
import asyncio

from climate.fed.api import weather
from climate.fed.runtime.app import get_session
from dfm.api import *

with Pipeline() as pipeline:
    Yield(value=weather.Report(site="north", station=PlaceParam("station")), place="reports")
parameters = [{{"station": "a"}}, {{"station": "b"}}]


async def main() -> None:
{shown("jobs.md", "async for token", within=4)}


with get_session(target="local") as session:
    job = session.execute(pipeline, parameters)
    job.wait_until_finished()
{shown("jobs.md", "progress = job.progress", within=4)}
    asyncio.run(main())
    print("called back")
{shown("jobs.md", "def store(", within=4)}
""")
    said, _, called = said.partition("called back\n")
    assert sorted(called.splitlines()) == ["[0] report of a", "[1] report of b"]
    progress, counts, site, *tokens = said.splitlines()
    assert progress.startswith("finished, 2 of 2 steps")
    assert counts.startswith("2 2 ")
    assert site.startswith("north 2 2 0 ")
    assert sorted(tokens) == ["reports report of a", "reports report of b"]


def test_what_a_job_waits_for(climate: Guide) -> None:
    asking = shown("semantics.md", "job.wait_until_finished(60)", within=4).replace("60", "0.01")
    said = climate.tried(f"""\
from climate.fed.api import weather
with Pipeline() as pipeline:
    Yield(value=weather.Report(site="north", station=PlaceParam("station")), place="reports")
from dfm.testing import Clock
async def never(station): await __import__("asyncio").Event().wait()
with Federation("climate", homesite="app", clock=Clock(), fakes={{"north": {{"weather.Report": never}}}}) as federation:
    job = federation.session.execute(pipeline, [{{"station": "a"}}])
    job.wait_until_finished(0.1)
{asking}
    job.cancel()
""")
    kinds = shown("semantics.md", "(users.Slow) at site 'server' has been")
    running, waiting = said.splitlines()
    assert re.match(
        r"node \d+ \(weather.Report\) at site 'north' has been running for [\d.]+ s, frame \[0\], from ", running
    )
    assert re.match(
        r"node \d+ \(yield reports\) at site 'app' waits for node \d+ \(weather.Report\) at site 'north'", waiting
    )
    assert "has been running for" in kinds
    assert "(yield greeting) at site 'home' waits for" in kinds


@pytest.mark.flare
def test_a_job_that_outlives_its_application(federation: Federation, tmp_path: Path) -> None:
    pytest.importorskip("nvflare")
    begin = """\
import os
from pathlib import Path
from dfm.api import Pipeline, PlaceParam, Yield
from small.fed.api import work
from small.fed.runtime.home import get_session

with Pipeline() as pipeline:
    Yield(value=work.Add(a=PlaceParam("start"), site="east"), place="sum")
parameters = [{"start": 1}, {"start": 2}]
"""
    killed = "def store(site, node, frame, place, data): os._exit(9)\n"
    had = "def store(site, node, frame, place, data):\n    if place == 'sum': print(data)\n"
    folder = federation.registry.parent
    environment = os.environ | {"PYTHONPATH": str(folder), "DFM_FLARE_ADMIN_PACKAGE": str(federation.kit("home@*"))}

    def run(program: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", begin + program]
        return subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    first = run(killed + shown("jobs.md", "job.job_id)"))
    assert first.returncode == 9, first.stderr
    then = run(had + shown("jobs.md", "session.reattach"))
    assert then.returncode == 0, then.stderr
    assert sorted(then.stdout.split()) == ["2", "3"]
