"""Does `dfm fed check --adapters` say what is wrong between adapters and bindings, whatever an import does?"""

import json
import logging
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dfm.exec import DfmContext, Provider, SecretsVault, Site
from dfm.exec._site import SiteSettings

OPERATION = """\
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: fed}
operations:
  work.Do:
    parameters: {a: {type: integer}, b: {type: integer}}
    required: [a, b]
sites:
  home:
    interface:
      "#/operations/work.Do":
"""
OPTIONAL = OPERATION.replace("b: {type: integer}}", "b: {type: integer}, c: {type: integer, default: null}}").replace(
    "[a, b]", "[a]"
)
CONSTANT = "{a: a, b: b, c: {const: x}}"
GOOD = "class Good:\n    def __init__(self, site, provider, size=1): ...\n    async def body(self, a, b): ...\n"


def check(
    command: Path, folder: Path, binding: str, module: str, *options: str, before: str = OPERATION
) -> list[dict[str, Any]]:
    """The problems of a federation whose adapter is bound and written like this, each with its line of the file."""
    package = folder / "fed"
    package.mkdir(exist_ok=True)
    (package / "adapters.py").write_text(module)
    indented = "".join(f"        {line}\n" for line in binding.splitlines())
    (package / "f.dfm.yaml").write_text(before + indented)
    words = [command, "--json", "fed", "check", "fed/f.dfm.yaml", "--adapters", *options]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert ran.stderr == "", ran.stderr
    document = json.loads(ran.stdout)
    assert ran.returncode == (2 if document["errors"] else 0)
    lines = (before + indented).splitlines()
    for problem in document["problems"]:
        at = problem["at"]
        problem["token"] = lines[at["line"] - 1][at["column"] - 1 :]
    return document["problems"]


def only(problems: list[dict[str, Any]]) -> dict[str, Any]:
    """The only one."""
    assert len(problems) == 1, problems
    return problems[0]


def test_what_fits_is_not_mentioned(command: Path, tmp_path: Path) -> None:
    binding = "adapter: {path: fed.adapters.Good, args: {size: 2}}\nargs: from-operation"
    assert check(command, tmp_path, binding, f"print('a word')\nimport sys\nsys.stdin.read()\n{GOOD}") == []


@pytest.mark.parametrize(
    "body, args, code, words, token",
    [
        (
            "async def body(self, a): ...",
            "from-operation",
            "unknown-argument",
            "takes no argument `b`",
            "from-operation",
        ),
        ("async def body(self, a): ...", "{a: a, b: b}", "unknown-argument", "takes no argument `b`", "b: b}"),
        ("async def body(self, a, b, c): ...", "{a: a, b: b}", "missing-argument", "needs the argument `c`", "fed.ad"),
        ("async def body(self, *, a, b, c=1): ...", "{a: a, b: b}", "", "", ""),
        ("async def body(self, **given): ...", "{a: a, b: b}", "", "", ""),
        ("@staticmethod\n    async def body(a, b): ...", "{a: a, b: b}", "", "", ""),
        ("@classmethod\n    async def body(cls, a, b): ...", "{a: a, b: b}", "", "", ""),
        ("async def body(self, a, b, /): ...", "{a: a, b: b}", "unknown-argument", "takes no argument `a`", "a: a"),
        ("def body(self, a, b): ...", "{a: a, b: b}", "is-async", "is a plain method", "fed.ad"),
        ("def body(self, a, b): ...", "{a: a, b: b}\nis-async: false", "", "", ""),
        ("async def body(self, a, b): ...", "{a: a, b: b}\nis-async: false", "is-async", "is a coroutine", "fed.ad"),
        ("async def body(self, a, b):\n        yield 1", "{a: a, b: b}", "", "", ""),
        ("async def body(self, a: int, b: float | None): ...", "{a: a, b: b}", "", "", ""),
        (
            "async def body(self, a: 'list[int]', b): ...",
            "{a: a, b: b}",
            "annotation",
            "of type `list`, and it gets",
            "a",
        ),
        ("async def body(self, a, b, c: int): ...", CONSTANT, "annotation", "gets the type string", "c: {"),
        ("async def body(self, a: 'NoSuchName', b, c: str): ...", CONSTANT, "", "", ""),
        ("bdy = 1", "{a: a, b: b}", "without-body", "has no method `body`", "fed.ad"),
    ],
)
def test_a_body_is_held_against_its_binding(
    command: Path, tmp_path: Path, body: str, args: str, code: str, words: str, token: str
) -> None:
    module = f"class A:\n    def __init__(self, site, provider): ...\n    {body}\n"
    problems = check(command, tmp_path, f"adapter: fed.adapters.A\nargs: {args}", module)
    if not code:
        assert problems == []
        return
    problem = problems[0]
    assert problem["code"] == f"adapter-{code}" and words in problem["message"], problem
    assert problem["token"].startswith(token) and problem["help"], problem
    assert problem["severity"] == ("warning" if code in ("is-async", "annotation") else "error")


@pytest.mark.parametrize(
    "body, args, told",
    [
        ("async def body(self, a, b, c): ...", "from-operation", True),
        ("async def body(self, a, *, x, c): ...", "{a: a, x: b, c: c}", True),
        ("async def body(self, a, b=None, c=1): ...", "from-operation", False),
        ("async def body(self, a, b=None, *, c): ...", "from-operation", False),
        ("async def body(self, **given): ...", "from-operation", False),
        ("@staticmethod\n    async def body(a, b=3, c=None): ...", "from-operation", False),
    ],
)
def test_what_a_call_may_lack_is_not_needed(command: Path, tmp_path: Path, body: str, args: str, told: bool) -> None:
    module = f"class A:\n    {body}\n"
    problems = check(command, tmp_path, f"adapter: fed.adapters.A\nargs: {args}", module, before=OPTIONAL)
    if not told:
        assert problems == []
        return
    problem = only(problems)
    assert (problem["code"], problem["severity"]) == ("adapter-optional-argument", "warning")
    assert "is optional without a default" in problem["message"] and "`default`" in problem["help"], problem
    assert problem["token"].startswith(("from-operation", "x: b")), problem


@pytest.mark.parametrize(
    "constructor, args, words",
    [
        ("self, site, provider", "{size: 1}", "unexpected keyword argument 'size'"),
        ("self, site, provider, size", "{}", "missing a required argument: 'size'"),
        ("self, *, site, provider, a, b=1", "{b: 1}", "missing a required argument: 'a'"),
    ],
)
def test_a_constructor_is_held_against_its_arguments(
    command: Path, tmp_path: Path, constructor: str, args: str, words: str
) -> None:
    module = f"class A:\n    def __init__({constructor}): ...\n    async def body(self, a, b): ...\n"
    binding = f"adapter: {{path: fed.adapters.A, args: {args}}}\nargs: from-operation"
    problem = only(check(command, tmp_path, binding, module))
    assert problem["code"] == "adapter-constructor" and words in problem["message"], problem


@pytest.mark.parametrize(
    "path, module, words",
    [
        ("fed.adapters.Goood", GOOD, "has no class 'Goood'"),
        ("fed.adapter.Good", GOOD, "there is no module 'fed.adapter'"),
        ("fed.adapters.Good", "import no_such_module\n", "No module named 'no_such_module'"),
        ("fed.adapters.Good", "1 / 0\n", "adapters.py:1)"),
        ("fed.adapters.Good", "def f(:\n", "SyntaxError"),
        ("fed.adapters.Good", "import sys\nsys.exit('enough')\n", "ended with SystemExit: enough"),
        (
            "fed.adapters.Good",
            "import os\nos.write(2, b'no licence')\nos._exit(3)\n",
            "exit code 3; its last words: no",
        ),
        ("fed.adapters.Good", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n", "exit code 137"),
    ],
)
def test_why_an_adapter_cannot_be_imported(command: Path, tmp_path: Path, path: str, module: str, words: str) -> None:
    problem = only(check(command, tmp_path, f"adapter: {path}\nargs: from-operation", module))
    assert problem["code"] == "adapter-not-importable" and words in problem["message"], problem
    assert problem["token"] == path and "Traceback" not in problem["message"]


def test_an_import_that_hangs_is_ended_and_the_others_are_checked(command: Path, tmp_path: Path) -> None:
    (tmp_path / "fed").mkdir()
    (tmp_path / "fed" / "others.py").write_text("class B:\n    def body(self): ...\n")
    config = OPERATION + "        {adapter: fed.adapters.Good, args: from-operation}\n    providers:\n"
    for provider, path in [("one", "fed.adapters.Also"), ("two", "fed.others.C")]:
        binding = f'{{"#/operations/work.Do": {{adapter: {path}, args: from-operation}}}}'
        config += f"      {provider}: {{interface: {binding}}}\n"
    (tmp_path / "fed" / "adapters.py").write_text("import threading\nthreading.Event().wait()\n")
    (tmp_path / "fed" / "f.dfm.yaml").write_text(config)
    words = [command, "fed", "check", "fed/f.dfm.yaml", "--adapters", "--import-timeout", "1"]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 2
    assert (
        "importing `fed.adapters` takes too long; it was at" in ran.stderr and ran.stderr.count("takes too long") == 1
    )
    assert "has no class 'C'" in ran.stderr and "2 errors" in ran.stderr, ran.stderr
    sarif = subprocess.run([*words, "--format", "sarif"], cwd=tmp_path, capture_output=True, text=True)
    results = json.loads(sarif.stdout)["runs"][0]["results"]
    assert [result["ruleId"] for result in results] == ["adapter-not-importable"] * 2


def test_types_are_imported_where_their_package_is_here(command: Path, tmp_path: Path) -> None:
    returns = "adapter: fed.adapters.Good\nargs: from-operation\nreturns: {}"
    problem = only(check(command, tmp_path, returns.format("fed.adapters.Result"), GOOD))
    assert problem["code"] == "type-not-importable" and problem["token"] == "fed.adapters.Result", problem
    assert check(command, tmp_path, returns.format("elsewhere.models.Result"), GOOD) == []
    assert check(command, tmp_path, returns.format("decimal.Decimal"), GOOD) == []


def test_the_examples_fit(command: Path) -> None:
    examples = Path(__file__).parents[2] / "examples"
    for name in ["examplefed", "gradient", "stations"]:
        words = [command, "fed", "check", name, "--adapters"]
        ran = subprocess.run(words, cwd=examples, capture_output=True, text=True)
        assert (ran.returncode, ran.stderr) == (0, f"`{name}`: nothing is wrong\n")


def test_what_has_no_class_of_its_own_has_what_dfms_has(command: Path, tmp_path: Path) -> None:
    binding = "adapter: fed.adapters.Good\nargs: {a: a, b: {from-site: weather}}"
    problem = only(check(command, tmp_path, binding, GOOD))
    assert (problem["code"], problem["token"]) == ("config-unknown-property", "weather}}")
    told = set(re.findall(r"`(\w+)`", problem["help"])) - {"impl"}
    settings = SiteSettings(
        info={},
        configured_cache={},
        configured_vault={},
        open_vault=lambda config: SecretsVault(),
        providers={},
    )
    site = Site(DfmContext("fed", "1.0.0", "home", "home", "job", logging.getLogger("dfm.test"), settings))
    # A state is a binding's, so that no argument can be the site's.
    assert told | {"state"} == {name for name in dir(site) if not name.startswith("_")}
    provider = Provider(site, "fast")
    assert told | {"name"} == {name for name in dir(provider) if not name.startswith("_")}
