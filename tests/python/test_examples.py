"""Do the examples do what their READMEs say, through the installed `dfm` command?"""

import csv
import os
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[2]
EXAMPLES = REPOSITORY / "examples"
DFM = Path(sys.executable).with_name("dfm")
# Python runs this first in every process. A site's process has a socket to home as its standard input, and no other way
# to the world; it gets another one, and all that goes up from there is written down on its way.
TAP = """
import os, socket, stat, threading

def forward(source, target, record):
    while True:
        data, files, _, _ = socket.recv_fds(source, 1 << 20, 253)
        if record is not None:
            record.write(data + b"<descriptor>" * len(files))
        if not data:
            target.shutdown(socket.SHUT_WR)
            return
        sent = socket.send_fds(target, [data], files) if files else 0
        target.sendall(data[sent:])
        for file in files:
            os.close(file)

if stat.S_ISSOCK(os.fstat(0).st_mode):
    home = socket.socket(fileno=os.dup(0))
    site, inner = socket.socketpair()
    os.dup2(inner.fileno(), 0)
    inner.close()
    record = open(os.path.join(os.environ["TAP_RECORDS"], str(os.getpid())), "wb", buffering=0)
    threading.Thread(target=forward, args=(site, home, record), daemon=True).start()
    threading.Thread(target=forward, args=(home, site, None), daemon=True).start()
"""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the examples with their generated code."""
    copy = tmp_path_factory.mktemp("checkout") / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns("fed", "data", "deploy", "workspace", "*.egg-info"))
    for name in ("examplefed", "gradient", "stations"):
        run([str(DFM), "fed", "gen", "code", name], copy / name, {})
    return copy


def run(command: list[str], folder: Path, variables: dict[str, str]) -> str:
    """What a command prints that runs in an example's folder; a failure shows what it said."""
    done = start(command, folder, variables)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def start(command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs a command in an example's folder."""
    path = os.pathsep.join(filter(None, [str(folder), variables.get("PYTHONPATH")]))
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **variables, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def run_module(folder: Path, module: str, *arguments: str, **variables: str) -> str:
    """What a program of an example prints."""
    return run([sys.executable, "-m", module, *arguments], folder, variables)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (
            ["--greetme-from", "app"],
            "concierge, place greeting, frame [0]: Hello from the local app, World! How are you?",
        ),
        (
            ["--greetme-from", "server", "--name", "Ada"],
            "server, place greeting, frame [0]: Hello from the server, Ada! How are you?",
        ),
        (
            ["--greetme-from", "reception"],
            "reception, place greeting, frame [0]: Welcome to the reception desk at examplefed, World. "
            "Today is Thursday, 2025-04-17 and it is 10 o'clock. We hope you are having a good experience.",
        ),
        (["--message", "Good morning, {name}."], "concierge, place greeting, frame [0]: Good morning, World."),
    ],
)
def test_every_site_greets_in_its_own_way(examples: Path, arguments: list[str], answer: str) -> None:
    assert run_module(examples / "examplefed", "examplefed.apps.concierge", *arguments) == answer + "\n"


def test_only_the_app_takes_a_message(examples: Path) -> None:
    arguments = ["-m", "examplefed.apps.concierge", "--greetme-from", "server", "--message", "Hi, {name}"]
    done = start([sys.executable, *arguments], examples / "examplefed", {})
    assert (done.returncode, done.stdout) == (2, "")
    assert "--message: server greets in its own words; use --greetme-from app" in done.stderr


def test_a_failure_is_told_without_a_traceback_of_the_application(examples: Path) -> None:
    arguments = ["-m", "examplefed.apps.concierge", "--message", "Good morning, {who}."]
    done = start([sys.executable, *arguments], examples / "examplefed", {})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("KeyError: 'who'\n  in users.GreetMe at site 'concierge', frame [0], from ")
    assert "apps/concierge.py" not in done.stderr.partition("Traceback")[2]


def test_the_pipeline_is_submitted_without_an_application(examples: Path) -> None:
    path = str(examples / "examplefed" / "examplefed" / "apps" / "pipeline.py")
    submit = [str(DFM), "fed", "submit", "examplefed", "--target", "local", "pipeline", path]
    assert "Welcome to the reception desk at examplefed, World." in run(submit, examples / "examplefed", {})


def test_the_picture_of_the_slope_is_drawn(examples: Path, tmp_path: Path) -> None:
    output = tmp_path / "slope.png"
    run_module(examples / "gradient", "gradient.apps.slope", "--size", "96", "--output", str(output))
    with Image.open(output) as picture:
        assert (picture.format, picture.size) == ("PNG", (96, 96))
        colours = {colour for _, colour in picture.getcolors(96 * 96) or []}
    # The flattest and the steepest place have the ends of the palette.
    assert {(68, 1, 84), (253, 231, 37)} <= colours


LABELS = {
    "seattle": b"Seattle, 2012 to 2015",
    "san_francisco": b"San Francisco, 2010",
    "new_york": b"New York, 2013",
}
"""What each station's means are labelled with."""
CANARY = -61.728181828


def add_canaries(examples: Path) -> None:
    """Gives each station its records, and one more that none of them could have measured."""
    run_module(examples / "stations", "stations.apps.prepare")
    files = {file.parent.name: file for file in (examples / "stations" / "stations" / "data").glob("*/*.csv")}
    assert set(files) == set(LABELS)
    when = {"date": "2015/12/31 23:00", "month": "12"}
    for file in files.values():
        with file.open(newline="") as text:
            columns = next(csv.reader(text))
        with file.open("a") as text:
            text.write("\n" + ",".join(when.get(column, str(CANARY)) for column in columns))


def has_canary(said: bytes) -> bool:
    """Whether that record is in what a station said, in any form."""
    forms = [
        form
        for temperature in (CANARY, (CANARY - 32) * 5 / 9)
        for form in (str(temperature).encode(), struct.pack("<d", temperature), struct.pack(">d", temperature))
    ]
    return any(form in said for form in forms)


def test_the_stations_are_compared_and_no_record_leaves_one(examples: Path, tmp_path: Path) -> None:
    add_canaries(examples)
    tap, records, output = tmp_path / "tap", tmp_path / "records", tmp_path / "chart.png"
    tap.mkdir()
    records.mkdir()
    (tap / "sitecustomize.py").write_text(TAP)
    tapped = {"PYTHONPATH": str(tap), "TAP_RECORDS": str(records)}
    run_module(examples / "stations", "stations.apps.compare", "--output", str(output), **tapped)

    with Image.open(output) as chart:
        assert (chart.format, chart.size) == ("PNG", (960, 540))
        # The paper and all three lines.
        colours = {colour for _, colour in chart.getcolors(960 * 540) or []}
        assert {(255, 255, 255), (0, 114, 178), (86, 180, 233), (213, 94, 0)} <= colours
    crossed = sorted(file.read_bytes() for file in records.iterdir())
    assert len(crossed) == 3
    for label in LABELS.values():
        assert any(label in said for said in crossed), "each station's means went through the tap"
    for said in crossed:
        assert len(said) < 2000
        assert b"<descriptor>" not in said
        assert not has_canary(said)


NOTEBOOK = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        done = shell.run_cell("".join(cell["source"]))
        done.raise_error()
        if done.result is not None:
            print("shown as", *shell.display_formatter.format(done.result)[0])
"""
"""Runs a notebook's cells, as its kernel would, and says as what their results are shown."""


def test_the_notebook_of_the_stations_runs_from_its_first_cell_to_its_last(examples: Path) -> None:
    run_module(examples / "stations", "stations.apps.prepare")
    told = run([sys.executable, "-c", NOTEBOOK, "stations.ipynb"], examples / "stations", {})
    shown = [set(line.split()[2:]) for line in told.splitlines() if line.startswith("shown as")]
    wanted = ["text/html", "text/html", "image/svg+xml", "image/png", "text/html"]
    assert [kind in kinds for kind, kinds in zip(wanted, shown, strict=True)] == [True] * 5, told
    assert told.count("Seattle, 2012 to 2015") == 1 and "chart Image" in told


def test_the_stations_say_which_years_they_know(examples: Path) -> None:
    run_module(examples / "stations", "stations.apps.prepare")
    command = [str(DFM), "fed", "submit", "stations", "--target", "local", "pipeline", "stations/apps/years.py"]
    told = run(command, examples / "stations", {})
    assert "at seattle\n    year: one of 2012, 2013, 2014, 2015\n" in told
    assert "at san_francisco\n    year: one of 2010\n  at new_york\n    year: 2013\n" in told


# The same tap for a site of a real federation, all of whose ways to the world are NVFlare's encrypted sockets. What is
# sent is written down before it is encrypted, by the startup kit that is the process's current folder: what a session
# says, before its own keys seal it, and all that passes a socket.
FLARE_TAP = """
import os, ssl

from dfm.flare import _lane, _sealing

send, push, seal = ssl.SSLSocket.send, _lane.Lane.push, _sealing.SiteSealing.seal

def record(data):
    path = os.path.join(os.environ["TAP_RECORDS"], os.path.basename(os.getcwd()))
    with open(path, "ab", buffering=0) as record:
        record.write(data)

def recorded(self, data, flags=0):
    sent = send(self, data, flags)
    record(memoryview(data)[:sent])
    return sent

def pushed(self, *packets):
    for packet in packets:
        record(bytes(packet.content))
    push(self, *packets)

def sealed(self, packet):
    record(bytes(packet))
    return seal(self, packet)

ssl.SSLSocket.send, _lane.Lane.push, _sealing.SiteSealing.seal = recorded, pushed, sealed
"""


def readme_commands() -> list[str]:
    """The four commands of the README's first page that lead to a real federation, for `examplefed`."""
    block = re.search(r"^dfm poc start .*?(?=^```)", (REPOSITORY / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    assert block, "the README has no line that starts with `dfm poc start`"
    return block.group().splitlines()


def shell(command: str, folder: Path, **variables: str) -> str:
    """What a line of a README prints in a fresh shell."""
    fresh = {"PATH": f"{DFM.parent}:/usr/bin:/bin", "HOME": os.environ["HOME"], **variables}
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=fresh, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def running(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Has all three federations run at once, started as the README does; the folder of what their sites send."""
    begin, wait, _, stop = readme_commands()
    tap, records = tmp_path_factory.mktemp("tap"), tmp_path_factory.mktemp("records")
    (tap / "sitecustomize.py").write_text(FLARE_TAP)
    names = ("examplefed", "gradient", "stations")
    try:
        for command in (begin, wait):
            for name in names:
                shell(command.replace("examplefed", name), examples, PYTHONPATH=str(tap), TAP_RECORDS=str(records))
        yield records
    finally:
        for name in names:
            shell(stop.replace("examplefed", name), examples)


@pytest.mark.flare
def test_the_readmes_commands_lead_to_a_real_federation(examples: Path, running: Path) -> None:
    assert "Welcome to the reception desk at examplefed, World." in shell(readme_commands()[2], examples)


@pytest.mark.flare
def test_the_server_greets_on_flare_as_it_does_locally(examples: Path, running: Path) -> None:
    arguments = ["--greetme-from", "server", "--name", "Ada"]
    submit = "dfm fed submit examplefed --poc script examplefed/examplefed/apps/concierge.py -- --target flare "
    said = shell(submit + " ".join(arguments), examples)
    assert said == run_module(examples / "examplefed", "examplefed.apps.concierge", *arguments)


@pytest.mark.flare
def test_the_slope_is_the_same_on_flare(examples: Path, running: Path, tmp_path: Path) -> None:
    local, flare = tmp_path / "local.png", tmp_path / "flare.png"
    run_module(examples / "gradient", "gradient.apps.slope", "--size", "96", "--output", str(local))
    submit = "dfm fed submit gradient --poc script gradient/gradient/apps/slope.py -- --target flare"
    shell(f"{submit} --size 96 --output {flare}", examples)
    assert flare.read_bytes() == local.read_bytes()


@pytest.mark.flare
def test_no_record_leaves_a_station_on_flare(examples: Path, running: Path, tmp_path: Path) -> None:
    add_canaries(examples)
    local, flare = tmp_path / "local.png", tmp_path / "flare.png"
    run_module(examples / "stations", "stations.apps.compare", "--output", str(local))
    submit = "dfm fed submit stations --poc script stations/stations/apps/compare.py -- --target flare"
    shell(f"{submit} --output {flare}", examples)
    assert flare.read_bytes() == local.read_bytes()
    for site, label in LABELS.items():
        said = (running / site).read_bytes()
        assert label in said, "the station's means went through the tap"
        assert not has_canary(said)
