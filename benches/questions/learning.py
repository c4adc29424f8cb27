"""How long does a program that learns at three sites in rounds take, and how long is it, beside the same elsewhere?"""

import ast
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import environments
from rows import Row
from side import Side

ELSEWHERE = {"flower": ["flwr[simulation]==1.42.0"], "nvflare": ["nvflare==2.9.0"]}
"""The environments that the others need, and what is installed in each."""

_WHAT = "logistic regression over the rows of three sites, until its weights stay as they are"
ROWS = [
    Row("again", f"{_WHAT}, all being there", beside="Flower again"),
    Row("again", "the same", beside="NVFlare again"),
    Row("fresh", "the same, from a fresh process on", beside="Flower fresh"),
    Row("fresh", "the same", beside="NVFlare fresh"),
    Row("lines", "lines of that program and its configuration", unit="lines", beside="Flower lines"),
    Row("lines", "the same", unit="lines", beside="NVFlare lines"),
]
_RUNS = 3
_PROGRAMS = environments.HERE / "learning"
_EXAMPLE = environments.REPOSITORY / "examples" / "clinics"
_SIMULATION = "num-supernodes=3 client-resources-num-cpus=1 init-args-num-cpus=3"
"""A process for each clinic, as the others have; Flower would have one for two cores, which all clinics shared."""


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    folder = Path("learning").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    package = _prepare(folder)
    flower, nvflare = (environments.installed(name, needs).parent for name, needs in ELSEWHERE.items())
    run = [str(flower / "flwr"), "run", str(_PROGRAMS / "flower_app"), "--stream", "--federation-config", _SIMULATION]
    found: dict[str, list[float]] = {}
    try:
        for suffix, command in (
            ("", [sys.executable, str(_PROGRAMS / "on_dfm.py")]),
            ("Flower ", run),
            ("NVFlare ", [str(nvflare / "python"), str(_PROGRAMS / "plain_nvflare" / "job.py")]),
        ):
            fresh, again, found[suffix] = _learnt(command, folder)
            yield f"{suffix}fresh", fresh
            yield f"{suffix}again", again
            if any(abs(one - other) > 1e-8 for one, other in zip(found[suffix], found[""], strict=True)):
                raise RuntimeError(f"{suffix}finds other weights")
    finally:
        # `flwr run` leaves its SuperLink, and a simulation that is interrupted its processes.
        for pid in environments.mentioning(str(folder)):
            os.kill(pid, signal.SIGKILL)

    apps, lib = package / "apps", package / "lib"
    ours = _lines(apps / "learn.py", "MEASURES", "make_pipeline", "learn")
    ours += _lines(lib / "rows.py", "DATA", "LABEL", "Rows", "Moments", "Terms")
    ours += _lines(lib / "models.py", "Adapter", "Scale", "Newton")
    others = ("rows.Range", "rows.Histogram", "models.Edges", "models.Summary", "clinic4", "clinic5")
    yield "lines", ours + _lines_without(package / "configs" / "federation.dfm.yaml", "description", *others)
    app = _PROGRAMS / "flower_app"
    yield "Flower lines", sum(map(_lines, app.glob("*/*.py"))) + _lines_without(app / "pyproject.toml", "description")
    yield "NVFlare lines", sum(map(_lines, (_PROGRAMS / "plain_nvflare").glob("*.py")))


def _prepare(folder: Path) -> Path:
    """The example with its code and its rows; its package."""
    copy = folder / "clinics"
    shutil.copytree(_EXAMPLE, copy, ignore=shutil.ignore_patterns("fed", "data"))
    shutil.copy(_EXAMPLE.parent / "federations.yaml", folder)
    dfm = str(Path(sys.executable).parent / "dfm")
    subprocess.run([dfm, "fed", "gen", "code", "clinics"], cwd=folder, check=True, stdout=sys.stderr)
    prepare = [sys.executable, "-m", "clinics.apps.prepare", "--clinics", "3"]
    subprocess.run(prepare, cwd=copy, check=True)
    return copy / "clinics"


def _learnt(command: list[str], folder: Path) -> tuple[float, float, list[float]]:
    """The seconds that a program takes from its start, and once all is there; the weights that it finds."""
    learnt = folder / "learnt.json"
    path = f"{Path(command[0]).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": f"{folder / 'clinics'}:{_PROGRAMS}", "LEARNT": str(learnt)}
    # Flower and Ray ask nobody else for anything.
    quiet = {"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "RAY_USAGE_STATS_ENABLED": "0"}
    variables = os.environ | own | quiet | {"FLWR_HOME": str(folder / "flwr")}
    told: list[tuple[float, float, list[float]]] = []
    for _ in range(_RUNS):
        begin = time.time()
        subprocess.run(command, cwd=folder, env=variables, check=True, stdout=sys.stderr)
        found = json.loads(learnt.read_text())
        learnt.unlink()
        told.append((found["over"] - begin, found["again"], found["weights"]))
    fresh, again, weights = zip(*told, strict=True)
    return statistics.median(fresh), statistics.median(again), weights[0]


def _lines(path: Path, *names: str) -> int:
    """How many lines a file has, or what defines these names in it; imports, comments and docstrings not counted."""
    count = 0
    for node in ast.parse(path.read_text()).body:
        defined = {getattr(node, "name", None), *(getattr(one, "id", None) for one in getattr(node, "targets", []))}
        is_code = not isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)
        if not is_code or (names and defined.isdisjoint(names)):
            continue
        for inner in ast.walk(node):
            if isinstance(inner, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(inner) is not None:
                inner.body = inner.body[1:] or [ast.Pass()]
        count += sum(1 for line in ast.unparse(node).splitlines() if line.strip())
    return count


def _lines_without(path: Path, *keys: str) -> int:
    """How many lines a configuration has without such entries and what is indented below them."""
    count, left_out = 0, None
    for line in filter(str.strip, path.read_text().splitlines()):
        depth = len(line) - len(line.lstrip())
        if left_out is None or depth <= left_out:
            left_out = depth if any(key in line.partition(": ")[0].partition(" = ")[0] for key in keys) else None
        count += left_out is None
    return count
