"""Does a federation that was written for another tool of this format run as it is?"""
# pyright: basic, reportMissingImports=false

import importlib
import json
import logging
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import moved_federation
import pytest
from dfm.api import Pipeline, Yield
from dfm.errors import SessionError
from dfm.session._generated import read_generated
from dfm.testing import Federation

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def folder(command: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moved")
    moved_federation.write(folder, command)
    sys.path.insert(0, str(folder))
    return folder


@pytest.fixture(scope="module")
def moved(folder: Path):
    with Federation("moved", homesite="home") as federation:
        yield federation


@pytest.mark.parametrize(
    "given, answer",
    [
        ({}, "Hello, you!Hello, you!"),
        ({"greeting": "Bye", "times": 1}, "Bye, you!"),
        ({"greeting": None, "times": None, "ending": None}, "Hello, you!Hello, you!"),
        ({"ending": "?", "times": 0}, ""),
        ({"ending": ""}, "Hello, youHello, you"),
    ],
)
def test_an_exposed_argument_under_a_parameters_name_is_its_default_at_the_site(moved, given, answer):
    from moved.fed.site.home.users import Greet

    assert moved.call("home", "users.Greet", name="you", **given) == answer
    with Pipeline() as pipeline:
        Yield(value=Greet(name="you", **given))
    assert moved.session.run(pipeline) == {"yield": [answer]}


def test_elsewhere_the_parameter_is_what_the_operation_says(moved):
    from moved.fed.api.users import Greet
    from moved.fed.site.away.users import Greet as There

    with pytest.raises(ValueError, match="greeting"), Pipeline():
        There(name="you")
    with Pipeline() as pipeline:
        Yield(value=Greet(site="away", name="you", greeting="Hi"))
    assert moved.session.run(pipeline) == {"yield": ["Hi, you."]}


def test_a_class_in_a_list_of_types_and_a_schema_with_a_dotted_name(moved):
    from moved.fed.api.geo import Move
    from moved.fed.schema import Point
    from moved.lib import Step

    assert moved.call("home", "geo.Move", point={"x": 1.0}) == 1.0
    assert moved.call("home", "geo.Move", point=Point(x=1.0), by=Step()) == 2.5
    with Pipeline() as pipeline:
        Yield(value=Move(point=Point(x=2.0), by=None))
    assert moved.session.run(pipeline) == {"yield": [2.0]}


def test_a_constructor_gets_what_it_names(moved):
    seen = moved.call("home", "users.Seen")
    shut = ["the vault cannot read its secret 'broken': it raised ValueError"] * 2
    missing = ["the secret 'nothing' is not there: set the environment variable MOVED_NOTHING at this site"] * 2
    assert seen == {
        "size": 4,
        "provider": None,
        "site": "home",
        "floor": 3,
        "secret": 6,
        "errors": missing + shut,
        "itself": True,
        "name": "home",
    }
    assert moved.call("home", "users.Seen", "alone") == {"provider": "alone", "site": "home", "floor": 3}
    assert moved.call("home", "users.Seen", "named") == {"args": 0, "kwargs": ["provider", "site"], "colour": "red"}
    assert moved.call("away", "users.Seen") == {}


@pytest.mark.parametrize(
    "old, new, code, words",
    [
        (
            "def __init__(self, size, *,",
            "def __init__(self, *,",
            "adapter-constructor",
            "unexpected keyword argument 'size'",
        ),
        ("def __init__(self, site, name, colour)", "def __init__(self, site, name, hue)", "class-constructor", "'hue'"),
        ("cache_config, floor)", "cache_config, storey)", "class-constructor", "'storey'"),
        ("def __init__(self, word)", "def __init__(self)", "class-constructor", "'word'"),
        ("class Positional", "class Other", "class-not-importable", "'Positional'"),
    ],
)
def test_every_constructor_that_would_fail_is_found(folder, command, tmp_path, old, new, code, words):
    assert old in moved_federation.LIB
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved/lib.py").write_text(moved_federation.LIB.replace(old, new))
    (tmp_path / "moved/f.dfm.yaml").write_text(moved_federation.CONFIG)
    ran = subprocess.run(
        [command, "--json", "fed", "check", "moved/f.dfm.yaml", "--adapters"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2 and f'"{code}"' in ran.stdout and words in ran.stdout, ran.stdout + ran.stderr


def test_code_of_another_engine_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "made_elsewhere.py").write_text("from nv_dfm_core.api import Yield\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="dfm fed gen code NAME.*dfm migrate PATH"):
        importlib.import_module("made_elsewhere")


@pytest.mark.parametrize("module", ["dfm.api", "dfm.session"])
def test_code_that_another_version_generated_says_what_to_do(tmp_path, monkeypatch, module):
    package = f"later_{module.replace('.', '_')}"
    (tmp_path / package / "fed").mkdir(parents=True)
    asks = f"from {module} import Later\n"
    (tmp_path / package / "fed/__init__.py").write_text(f"# Generated by dfm; do not edit\n{asks}")
    (tmp_path / package / "written.py").write_text(asks)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=f"'Later' of '{module}'.*run `dfm fed gen code {package}`"):
        importlib.import_module(f"{package}.fed")
    with pytest.raises(ImportError, match=f"cannot import name 'Later' from '{module}'"):
        importlib.import_module(f"{package}.written")


@pytest.mark.parametrize("name", ["fed_info.json", "runtime/home/site.json"])
@pytest.mark.parametrize(
    "text, words", [('{"format": 2}', "has format 2, but this version of dfm reads 1"), ("{", "is not what dfm writes")]
)
def test_files_that_another_version_generated_say_what_to_do(tmp_path, monkeypatch, name, text, words):
    package = f"other_{len(text)}_{len(name)}"
    folder = tmp_path / package / "fed"
    (folder / "runtime/home").mkdir(parents=True)
    (folder / "__init__.py").touch()
    for path in ("fed_info.json", "runtime/home/site.json"):
        whole = {"format": 1, "code_package": package, "api_version": "1.0.0", "site": "home"}
        (folder / path).write_text(text if path == name else json.dumps(whole))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SessionError, match=f"{name} {words}.*dfm fed gen code {package}"):
        read_generated(f"{package}.fed")


def test_spans_are_told_to_the_log(moved, caplog):
    import dfm.telemetry

    caplog.set_level("DEBUG", "dfm.testing")
    moved.call("home", "users.Seen")
    (told,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("seen took")]
    assert told.endswith("s {'a': 1, 'b': 2}"), told
    context: Any = SimpleNamespace(logger=logging.getLogger("dfm.testing"))
    with pytest.raises(KeyError), dfm.telemetry.adapter_span(context, "Adapter", "a.B"):
        raise KeyError("gone")
    told = caplog.records[-1].getMessage()
    assert told.startswith("Adapter took") and "and failed: 'gone' {'operation': 'a.B'}" in told
