"""Do type checkers and formatters take generated code as it is, and do they find what is wrong in code that uses it?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ("clinics", "examplefed", "gradient", "stations")

USER_CODE = """\
from dfm.api import BestOf, Pipeline, PlaceParam, Yield, well_known_id
from examplefed.fed.api import users
from examplefed.fed.runtime.concierge import API_VERSION, get_session
from examplefed.fed.site.concierge import users as at_concierge
from examplefed.fed.site.nowhere import users as at_nowhere  # wrong: no such site
from examplefed.fed.site.reception import users as at_reception
from clinics.fed.api.models import Edges, Newton
from everything.fed.api import weather
from everything.fed.schema import Point, Region
from gradient.fed.api.terrain import GradientMagnitude, MakeField
from stations.fed.api.climate import MonthlyMeans

with Pipeline(name="greet") as pipeline:
    greet = users.GreetMe(site="reception", name=PlaceParam(place="who"))
    again = users.GreetMe(name=greet, site=BestOf(["server"]), dfm_node_id=well_known_id("again"))
    local = at_concierge.GreetMe(name=greet.fieldref("name"), greeting="Hi, {name}", dfm_after=again)
    users.GreetMe()  # wrong: the name is missing
    users.GreetMe(name=3)  # wrong: a name is a string
    users.GreetMe(nme="x", name="y")  # wrong: misspelt
    users.GreetMe(name="x", greeting="y")  # wrong: only the concierge exposes it
    at_reception.GreetMe(name="x", greeting="y")  # wrong: the reception does not
    at_concierge.GreetMe(name="x", site="server")  # wrong: the concierge's version runs there
    at_concierge.GreetMe(name="x", provider="nobody")  # wrong: it has no providers
    greet.name = "z"  # wrong: a node does not change
    MakeField(size=greet)  # wrong: a text is no number
    MakeField(size=greet.fieldref(0))
    at_concierge.GreetMe(name=greet, greeting=greet)
    Yield(value=local)
    MakeField(size=16)
    MakeField(size="16")  # wrong: a number
    GradientMagnitude(field=MakeField())
    GradientMagnitude(field=[[1.0]])  # wrong: only the result of a node
    MonthlyMeans(unit="fahrenheit")
    MonthlyMeans(unit="kelvin")  # wrong: none of its choices
    step = Newton(terms=None, weights=None)
    GradientMagnitude(field=step.loss)
    at_concierge.GreetMe(name=step.loss)  # wrong: a number is no text
    Yield(value=step.lost)  # wrong: the result has no such field
    Edges(ranges=step.weights, bins=3)
    point = Point(lat=1.0, lon=2.0)
    weather.Forecast(place=point)
    weather.Forecast(place={"lat": 1.0, "lon": 2.0})  # wrong: a model of the schema's
    Point(lat="north", lon=2.0)  # wrong: a number
    point.lat = 2.0  # wrong: frozen

version: str = API_VERSION
region: type[Region] = Region
session = get_session(target="local", user="me")
get_session(target="cloud")  # wrong: no such target
get_session(usr="me")  # wrong: no such option
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the generated packages of all examples, and of a configuration with everything in it."""
    folder = tmp_path_factory.mktemp("project")
    registry = folder / "federations.yaml"
    everything = ROOT / "tests/configs/valid/everything.dfm.yaml"
    records = {name: f"examples/{name}/{name}/configs/federation.dfm.yaml" for name in EXAMPLES}
    paths = {name: str(ROOT / path) for name, path in records.items()} | {"everything": str(everything)}
    federations = {name: {"federation_dir": str(folder / name), "config_path": path} for name, path in paths.items()}
    registry.write_text(json.dumps({"federations": federations}))
    dfm = str(Path(sys.executable).with_name("dfm"))
    for name in federations:
        command = [dfm, "--config", str(registry), "fed", "gen", "code", name, "--output-dir", str(folder)]
        subprocess.run(command, check=True, cwd=folder)
    models = folder / "everything/lib/models.py"
    models.parent.mkdir()
    for package in (models.parent, models.parent.parent):
        (package / "__init__.py").touch()
    models.write_text("class Model:\n    pass\n\n\nclass Forecast:\n    pass\n")
    return folder


def test_formatters_and_linters_leave_it_as_it_is(project: Path) -> None:
    for command in (("format", "--diff"), ("check",)):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "."], cwd=project, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_exactly_the_wrong_lines_are_reported(project: Path) -> None:
    (project / "use.py").write_text(USER_CODE)
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.11", "extraPaths": [str(ROOT / "python")]}
    (project / "pyrightconfig.json").write_text(json.dumps(settings))
    ran = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson"],
        cwd=project,
        capture_output=True,
        text=True,
    )
    lines = [line.strip() for line in USER_CODE.splitlines()]
    reported: dict[str, str] = {}
    for diagnostic in json.loads(ran.stdout)["generalDiagnostics"]:
        path, line = Path(diagnostic["file"]), int(diagnostic["range"]["start"]["line"])
        # The unknown import makes its name unknown as well: that line is reported more than once.
        where = lines[line] if path.name == "use.py" else f"{path}:{line + 1}"
        reported.setdefault(where, diagnostic["message"])
    wrong = {line for line in lines if "# wrong" in line}
    assert reported.keys() == wrong, {where: why for where, why in reported.items() if where not in wrong}
