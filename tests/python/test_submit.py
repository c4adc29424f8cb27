"""Does `dfm fed submit` run pipelines and scripts as its reference says, and does it leave nothing of them running?"""
# pyright: basic

import json
import os
import re
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_federation import Small

PATIENCE = 30
"""Seconds after which what should end is taken not to."""

pytestmark = pytest.mark.timeout(60)

HEAD = """\
import sys
from dfm.api import Pipeline, PlaceParam, Yield
from small.fed.api import fail, make, text

def get_pipeline(args=None):
    with Pipeline(name="small") as p:
"""


@pytest.fixture(scope="module")
def small(own: Small) -> Small:
    return own


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def pipeline(small: Small, name: str, body: str, after: str = "") -> str:
    """Writes a pipeline file whose `with` block is `body`; returns its path."""
    text = HEAD + textwrap.indent(textwrap.dedent(body), " " * 8) + "\n    return p\n" + textwrap.dedent(after)
    return str(small.write(name, text))


def submit(small: Small, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return small.run("fed", "submit", "small", "--target", "local", *words, **options)


class Watched:
    """A process that is not ours."""

    def __init__(self, pid: int) -> None:
        self.handle = os.pidfd_open(pid)

    def gone(self, seconds: float = PATIENCE) -> bool:
        """Whether it ends in time."""
        poller = select.poll()
        poller.register(self.handle, select.POLLIN)
        return bool(poller.poll(seconds * 1000))


def told(fifo: Path) -> list[Watched]:
    """The processes that somebody tells to the FIFO; waits for that."""
    return [Watched(int(pid)) for pid in fifo.read_text().split()]


def started(small: Small, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        small.command("fed", "submit", "small", "--target", "local", *words),
        cwd=small.folder,
        env=small.environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# What it prints, and what it saves


def test_values_come_with_their_place_and_frame(small: Small) -> None:
    path = pipeline(
        small,
        "frames.py",
        """
        joined = text.Join(site="left", first=PlaceParam(place="who"))
        Yield(value=text.Join(site="right", first=joined, second="x"), place="answer")
        Yield(value=text.Count(to=2), place="numbers")
        """,
        after="def get_pipeline_parameters(args):\n    return [{'who': one} for one in args]\n",
    )
    done = submit(small, "pipeline", path, "--", "a", "b")
    assert done.returncode == 0, done.stderr
    lines = sorted(done.stdout.splitlines())
    assert lines == [
        "answer [0]: a+nothing@left+x@right",
        "answer [1]: b+nothing@left+x@right",
        *(f"numbers [{frame}]: {number}" for frame in (0, 1) for number in (0, 1)),
    ]
    assert done.stderr.startswith("finished: 6 values, 0 errors in "), done.stderr
    documents = [json.loads(line) for line in submit(small, "pipeline", path, "--json", "--", "c").stdout.splitlines()]
    answer = {"place": "answer", "frame": [0], "site": "right", "value": "c+nothing@left+x@right"}
    assert answer in documents
    assert documents[-1] == {"status": "FINISHED", "values": 3, "errors": 0}
    assert len(documents) == 4


def test_values_are_saved_by_their_type(small: Small, tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    pytest.importorskip("pyarrow")
    path = pipeline(
        small,
        "kinds.py",
        """
        for kind in ("array", "image", "table", "bytes", "text", "record", "odd"):
            Yield(value=make.Value(kind=kind), place=kind)
        Yield(value=text.Count(to=3), place="many")
        """,
    )
    done = submit(small, "pipeline", path, "--output", str(tmp_path / "deep" / "results"), "--json")
    assert done.returncode == 0, done.stderr
    wanted = ["array-0.npy", "image-0.png", "table-0.parquet", "bytes-0.bin", "text-0.txt", "record-0.json"]
    wanted += ["odd-0.json", "many-0.json", "many-0-item1.json", "many-0-item2.json"]
    results = tmp_path / "deep" / "results"
    assert sorted(one.name for one in results.iterdir()) == sorted(wanted)
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert {one["file"] for one in documents if "file" in one} == {str(results / name) for name in wanted}
    import numpy
    import pyarrow.parquet
    from PIL import Image

    assert numpy.load(results / "array-0.npy").tolist() == [[0, 1, 2], [3, 4, 5]]
    assert Image.open(results / "image-0.png").size == (4, 3)
    assert pyarrow.parquet.read_table(results / "table-0.parquet").to_pydict() == {"x": [1, 2, 3]}
    assert (results / "bytes-0.bin").read_bytes() == bytes(range(200))
    assert (results / "text-0.txt").read_text() == "plain"
    assert json.loads((results / "record-0.json").read_text()) == {"a": [1, None]}
    assert [json.loads((results / f"many-0{end}.json").read_text()) for end in ("", "-item1", "-item2")] == [0, 1, 2]
    assert "has files already" not in done.stderr
    again = submit(small, "pipeline", path, "--output", str(results), "--json")
    assert f"warning: {results} has files already" in again.stderr and again.returncode == 0


def test_a_saved_pipeline_runs_as_its_file_does(small: Small) -> None:
    path = pipeline(small, "to_save.py", 'Yield(value=text.Join(site="left", first="a"), place="answer")')
    script = small.write(
        "save.py",
        "import sys\nfrom to_save import get_pipeline\nget_pipeline().save_to_file(sys.argv[1])\n",
    )
    saved = small.folder / "saved.json"
    assert submit(small, "script", str(script), "--", str(saved)).returncode == 0
    ran, loaded = submit(small, "pipeline", path), submit(small, "pipeline", str(saved))
    assert (ran.returncode, loaded.returncode) == (0, 0), loaded.stderr
    assert ran.stdout == loaded.stdout == "answer [0]: a+nothing@left\n"


def test_an_error_is_told_once_and_fails_the_command(small: Small) -> None:
    path = pipeline(
        small,
        "fails.py",
        """
        bad = fail.Raise(message="no luck today")
        Yield(value=bad, place="one")
        Yield(value=text.Join(first=bad), place="two")
        Yield(value=text.Join(site="right", first="a"), place="three")
        """,
    )
    done = submit(small, "pipeline", path)
    assert done.returncode == 1
    assert done.stdout == "three [0]: a+nothing@right\n"
    assert done.stderr.count("error: ValueError: no luck today") == 1, done.stderr
    assert f"in fail.Raise at site 'left', frame [0], from {path}:8" in done.stderr
    assert "small/lib.py" in done.stderr and "/dfm/" not in done.stderr
    assert "failed: 1 value, 1 error in " in done.stderr
    documents = [json.loads(line) for line in submit(small, "pipeline", path, "--json").stdout.splitlines()]
    (error,) = [one["error"] for one in documents if "error" in one]
    assert (error["message"], error["site"], error["line"]) == ("no luck today", "left", f"{path}:8")
    assert documents[-1] == {"status": "FAILED", "values": 1, "errors": 1}


def test_an_error_that_comes_in_every_frame_is_shown_once_and_counted(small: Small) -> None:
    path = pipeline(
        small,
        "always_fails.py",
        """
        Yield(value=fail.Raise(message="no luck today"), place="one")
        Yield(value=PlaceParam(place="n"), place="two")
        """,
        """
        def get_pipeline_parameters(args=None):
            return [{"n": n} for n in range(8)]
        """,
    )
    done = submit(small, "pipeline", path)
    assert (done.returncode, done.stderr.count("error: ValueError: no luck today")) == (1, 1), done.stderr
    (again,) = re.findall(
        r"^7 more errors like it at site 'left', frames (.*), …: ValueError: no luck today$", done.stderr, re.M
    )
    assert len(again.split(", ")) == 5 and again.split(", ") == sorted(again.split(", "))
    assert "failed: 8 values, 8 errors in " in done.stderr
    documents = [json.loads(line) for line in submit(small, "pipeline", path, "--json").stdout.splitlines()]
    assert len([one for one in documents if "error" in one]) == 8


def test_what_an_adapter_prints_names_its_site(small: Small) -> None:
    path = pipeline(small, "prints.py", 'Yield(value=make.Value(site="right", kind="printed"), place="value")')
    done = submit(small, "pipeline", path)
    assert (done.returncode, done.stdout) == (0, "value [0]: done\n"), done.stderr
    assert {"right: one line", "right: not ended"} <= set(done.stderr.splitlines())


# What it passes on


ORDERS = [
    "fed submit small --target local {kind} {path} --timeout 60 -- ",
    "fed submit small {kind} {path} --timeout 60 --target local -- ",
    "--quiet fed submit --target=local small {kind} --timeout=60 {path} -- ",
    "fed submit --timeout 60 --homesite home --target local small {kind} {path} --quiet -- ",
]
ARGUMENTS = ["--poc", "-v", "--timeout", "3", "a b", "", "--", "ü", "$HOME", "*"]


@pytest.mark.parametrize("order", ORDERS)
def test_arguments_are_passed_on_untouched_wherever_options_stand(small: Small, order: str) -> None:
    body = "import json\nYield(value=text.Join(first=json.dumps(args), second=''), place='args')"
    for kind, path in [
        ("pipeline", pipeline(small, "arguments.py", body)),
        ("script", str(small.write("arguments_script.py", "import json, sys\nprint(json.dumps(sys.argv[1:]))\n"))),
        ("script", str(small.write("arguments.sh", f'exec {sys.executable} arguments_script.py "$@"\n'))),
    ]:
        done = small.run(*order.format(kind=kind, path=path).split(), *ARGUMENTS)
        assert done.returncode == 0, done.stderr
        printed = done.stdout.removeprefix("args [0]: ").removesuffix("+@home\n")
        assert json.loads(printed) == ARGUMENTS


def test_parameters_of_the_command_line_go_into_each_set(small: Small) -> None:
    path = pipeline(
        small,
        "with_params.py",
        """
        Yield(value=text.Join(first=PlaceParam(place="first"), second=PlaceParam(place="second")))
        Yield(value=PlaceParam(place="more"), place="told")
        """,
        """
        def get_pipeline_parameters(args=None):
            return [{"first": one, "second": "file"} for one in "ab"]
        """,
    )
    given = ["--param", "second=line=x", "--param", 'more={"n": [1, null]}']
    done = submit(small, *given, "pipeline", path)
    assert done.returncode == 0, done.stderr
    wanted = ["told [0]: {'n': [1, None]}", "told [1]: {'n': [1, None]}"]
    assert sorted(done.stdout.splitlines()) == [*wanted, "yield [0]: a+line=x@home", "yield [1]: b+line=x@home"]
    for words, told in [
        (["--param", "secnd=1", "pipeline", path], "has 'secnd', which the pipeline does not take"),
        (["--param", "more=1", "--param", "more=2", "pipeline", path], "`--param more=` is given twice"),
        (["--param", "more", "pipeline", path], "write it as NAME=VALUE"),
        (["--param", "more=1", "script", path], "give a script its arguments after `--`"),
    ]:
        done = submit(small, *words)
        assert (done.returncode != 0, done.stdout) == (True, "")
        assert told in done.stderr, done.stderr


def test_another_python_than_that_of_the_active_environment_is_told(small: Small, tmp_path: Path) -> None:
    path = pipeline(small, "says.py", 'Yield(value="a")')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    for folder, told in [(tmp_path, 1), (Path(sys.prefix), 0)]:
        words = small.command("fed", "submit", "small", "--target", "local", "pipeline", path)
        environment = small.environment({"VIRTUAL_ENV": str(folder)})
        done = subprocess.run(words, cwd=small.folder, env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr.count("warning[python-not-active]")) == (0, told), done.stderr


@pytest.mark.parametrize(
    "words",
    [
        "fed submit small --target local pipeline no_dfm.py",
        "fed plan small no_dfm.py",
        "fed simulate small no_dfm.py",
        "fed check small --adapters",
        "site audit show kit",
        "site requests list kit",
        "jobs verify receipt.json --root root.pem",
    ],
)
def test_a_python_without_dfm_is_told_in_one_way(small: Small, tmp_path: Path, words: str) -> None:
    pipeline(small, "no_dfm.py", 'Yield(value="a")')
    (tmp_path / "bin").mkdir()
    (dfm := tmp_path / "bin" / "dfm").write_bytes(small.dfm.read_bytes())
    dfm.chmod(0o755)
    own = tmp_path / "bin" / "python3"
    # `-S` finds no package that is installed.
    own.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    own.chmod(0o755)
    done = subprocess.run(
        [str(dfm), *words.split()],
        cwd=small.folder,
        env=small.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode != 0
    assert f"dfm is not installed for {sys.executable}" in done.stderr, done.stdout + done.stderr
    assert "use the dfm command of an environment that it is in" in done.stderr
    assert "ModuleNotFoundError" not in done.stderr and "NVIDIA FLARE" not in done.stderr


def test_the_environment_says_what_an_application_needs(small: Small, tmp_path: Path) -> None:
    script = small.write(
        "environment.py",
        """\
import json, os
from small.fed.api import text
from dfm.api import Pipeline, Yield
from dfm.session import from_env

with Pipeline() as p:
    Yield(value=text.Join(site="left", first="a"))
with from_env() as session:
    values = session.run(p)
print(json.dumps([session.homesite, values, {k: v for k, v in os.environ.items() if k.startswith("DFM_")}]))
""",
    )
    done = submit(small, "script", str(script), cwd=tmp_path, config=True)
    assert done.returncode == 0, done.stderr
    home, values, variables = json.loads(done.stdout)
    assert (home, values) == ("home", {"yield": ["a+nothing@left"]})
    assert variables["DFM_FEDERATION"] == "small"
    assert variables["DFM_TARGET"] == "local"
    assert variables["DFM_FEDERATION_WORKSPACE_PATH"] == str(small.folder / "workspace" / "small")
    elsewhere = submit(small, "script", str(script), "--workspace", str(tmp_path), "--homesite", "right")
    home, _, variables = json.loads(elsewhere.stdout)
    assert home == "right"
    assert variables["DFM_FEDERATION_WORKSPACE_PATH"] == str(tmp_path / "small")


@pytest.mark.parametrize(
    ("name", "mode", "text", "code"),
    [
        ("code.py", 0o644, "raise SystemExit(7)\n", 7),
        ("code.sh", 0o644, "exit 5\n", 5),
        ("code", 0o755, "#!/bin/sh\nexit 9\n", 9),
        ("killed.sh", 0o644, "kill -TERM $$\n", 143),
        ("raises.py", 0o644, "raise ValueError('mine')\n", 1),
        ("fine.sh", 0o644, "exit 0\n", 0),
    ],
)
def test_a_scripts_exit_code_is_the_commands(small: Small, name: str, mode: int, text: str, code: int) -> None:
    done = submit(small, "script", str(small.write(name, text, mode)))
    assert done.returncode == code, done.stderr
    if name == "code":
        assert submit(small, "script", name, cwd=small.folder).returncode == code


# What it ends


WAITING = """
        Yield(value=fail.Wait(fifo=args[0], blocking=len(args) > 1))
        """
LEAVES_A_CHILD = "tail -f /dev/null & one=$!; setsid tail -f /dev/null & echo $$ $one $! > $1\n"


def test_when_the_time_is_up_everything_ends(small: Small, tmp_path: Path) -> None:
    waiting = pipeline(small, "waiting.py", WAITING)
    where = rf", frame \[0\], from {waiting}:8"
    runs = rf"node 0 \(fail\.Wait\) at site 'left' has been running for \d+\.\d s{where}"
    silent = "site 'left' does not answer within 2 s: an adapter may hold it up"
    needs = rf"node 1 \(yield yield\) at site 'home' waits for node 0 \(fail\.Wait\) at site 'left'{where}"
    ways = [
        (["pipeline", waiting], [], rf"waiting: {runs}\nwaiting: {needs}\n"),
        (["pipeline", waiting], ["blocking"], rf"waiting: {silent}\nwaiting: {needs}\n"),
        (["--json", "pipeline", waiting], [], ""),
    ]
    for index, end in enumerate(["wait", "exec tail -f /dev/null", "trap '' TERM INT; wait; wait"]):
        ways.append((["script", str(small.write(f"long{index}.sh", LEAVES_A_CHILD + end + "\n"))], [], ""))
    running: list[tuple[subprocess.Popen[str], list[Watched], str]] = []
    for index, (words, arguments, said) in enumerate(ways):
        os.mkfifo(fifo := tmp_path / str(index))
        submitted = started(small, *words, "--timeout", "12", "--", str(fifo), *arguments)
        running.append((submitted, told(fifo), said))
    outputs: list[str] = []
    for submitted, processes, said in running:
        stdout, stderr = submitted.communicate(timeout=PATIENCE)
        assert submitted.returncode == 124
        assert re.fullmatch(said + "the time was up after 12 s; everything was ended\n", stderr), stderr
        assert processes and all(process.gone(0) for process in processes)
        outputs.append(stdout)
    (document,) = [json.loads(line) for line in outputs.pop(2).splitlines()]
    first, second = document["waiting"]
    assert re.fullmatch(runs, first["text"]) and re.fullmatch(needs, second["text"])
    assert (first["site"], first["node"], first["frame"]) == ("left", 0, [0])
    assert second["waits_for"] == [{"site": "left", "node": 0, "operation": "fail.Wait"}]
    assert outputs == [""] * 5


def test_what_a_script_left_running_ends_with_it(small: Small, fifo: Path) -> None:
    script = small.write("leaves.sh", LEAVES_A_CHILD + "read -r _ < $1\nexit 3\n")
    running = started(small, "script", str(script), "--", str(fifo))
    processes = told(fifo)
    fifo.write_text("go on\n")
    _, stderr = running.communicate(timeout=PATIENCE)
    assert (running.returncode, stderr) == (3, "")
    assert all(process.gone(0) for process in processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_pipeline(small: Small, fifo: Path, number: signal.Signals) -> None:
    running = started(small, "pipeline", pipeline(small, "waiting.py", WAITING), "--", str(fifo))
    (worker,) = told(fifo)
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=PATIENCE)
    assert running.returncode == 128 + number, stderr
    assert (stdout, "Traceback" in stderr) == ("", False), stderr
    assert ("interrupted: the job was cancelled\n" in stderr) == (number == signal.SIGINT), stderr
    assert worker.gone(0)


def test_ctrl_c_ends_a_script_and_its_children(small: Small, fifo: Path) -> None:
    running = started(small, "script", str(small.write("children.sh", LEAVES_A_CHILD + "wait\n")), "--", str(fifo))
    processes = told(fifo)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130, stderr
    assert all(process.gone(0) for process in processes)


def test_a_second_ctrl_c_ends_at_once(small: Small, fifo: Path) -> None:
    script = small.write(
        "stubborn.py",
        """\
import os, signal, sys

def note(number, frame):
    with open(sys.argv[1], "w") as there:
        print(os.getpid(), file=there)

signal.signal(signal.SIGINT, note)
note(0, None)
while True:
    signal.pause()
""",
    )
    running = started(small, "script", str(script), "--", str(fifo))
    told(fifo)
    running.send_signal(signal.SIGINT)
    (stubborn,) = told(fifo)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=4)
    assert running.returncode == 130
    assert stubborn.gone(0)


@pytest.mark.parametrize("blocking", [[], ["blocking"]], ids=["waiting", "blocking"])
def test_nothing_is_left_when_the_command_is_killed(small: Small, fifo: Path, blocking: list[str]) -> None:
    running = started(small, "pipeline", pipeline(small, "waiting.py", WAITING), "--", str(fifo), *blocking)
    (worker,) = told(fifo)
    application = application_of(running)
    running.kill()
    running.communicate(timeout=PATIENCE)
    assert application.gone() and worker.gone()


def test_nothing_is_left_of_a_script_when_the_command_is_killed(small: Small, fifo: Path) -> None:
    running = started(small, "script", str(small.write("children.sh", LEAVES_A_CHILD + "wait\n")), "--", str(fifo))
    there = told(fifo)
    running.kill()
    running.communicate(timeout=PATIENCE)
    assert all(one.gone() for one in there)


def test_nothing_is_left_when_the_application_is_killed(small: Small, fifo: Path) -> None:
    running = started(small, "pipeline", pipeline(small, "waiting.py", WAITING), "--", str(fifo), "blocking")
    (worker,) = told(fifo)
    application = application_of(running)
    signal.pidfd_send_signal(application.handle, signal.SIGKILL)
    running.communicate(timeout=PATIENCE)
    assert running.returncode == 137
    assert worker.gone(0)


def test_nothing_is_left_when_the_supervisor_is_killed(small: Small, fifo: Path) -> None:
    running = started(small, "script", str(small.write("children.sh", LEAVES_A_CHILD + "wait\n")), "--", str(fifo))
    there = told(fifo)
    (supervisor,) = children(running.pid)
    os.kill(supervisor, signal.SIGKILL)
    running.communicate(timeout=PATIENCE)
    assert running.returncode == 137
    assert all(one.gone(0) for one in there)


def application_of(command: subprocess.Popen[str]) -> Watched:
    """The user's process, which the command runs by way of another one."""
    (supervisor,) = children(command.pid)
    (application,) = children(supervisor)
    return Watched(application)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# What is wrong with what the user gave


ADAPTER = "the adapter small.lib.Mispelt of 'text.Misspelt' at site 'left'"
NO_ANSWER = "def get_pipeline(args=None):\n    "
REMEDY = "run `dfm fed gen code small`"
BAD_PIPELINES: list[tuple[str, str, int, list[str]]] = [
    # file, its text, the exit code, what the message says
    ("empty.py", "", 2, ["empty.py has no function get_pipeline", "def get_pipeline(args"]),
    ("number.py", "get_pipeline = 3\n", 2, ["number.py has no function get_pipeline"]),
    ("none.py", NO_ANSWER + "pass\n", 2, ["get_pipeline in ", "none.py returned None, not a dfm.api.Pipeline"]),
    (
        "arity.py",
        "def get_pipeline():\n    pass\n",
        2,
        ["get_pipeline in ", "arity.py", "too many positional arguments; write it as `def get_pipeline(args)`"],
    ),
    ("raises.py", NO_ANSWER + "return 1 / 0\n", 2, ['raises.py", line 2, in get_pipeline', "ZeroDivisionError"]),
    ("exits.py", NO_ANSWER + "raise SystemExit(4)\n", 4, []),
    ("parses.py", "import argparse\n" + NO_ANSWER + "argparse.ArgumentParser().parse_args(['-z'])\n", 2, ["-z"]),
    ("syntax.py", "def get_pipeline(:\n", 2, ['syntax.py", line 1', "SyntaxError"]),
    ("imports.py", "import nowhere_at_all\n", 2, ['imports.py", line 1', "No module named 'nowhere_at_all'"]),
    ("ungenerated.py", "import small.fed.nothing\n", 2, ["No module named 'small.fed.nothing'", REMEDY]),
    ("null.py", "\0", 2, ["null.py cannot be loaded", "null bytes"]),
    (
        "params.py",
        HEAD + "        Yield(value=text.Join(first='a'))\n    return p\nget_pipeline_parameters = lambda args: 3\n",
        2,
        ["get_pipeline_parameters in ", "params.py returned int, not a dictionary or a list of them"],
    ),
    (
        "params_none.py",
        HEAD + "        Yield(value=text.Join(first='a'))\n    return p\n"
        "def get_pipeline_parameters(args):\n    pass\n",
        2,
        ["returned None, not a dictionary"],
    ),
    (
        "no_value.py",
        HEAD + "        Yield(value=text.Join(first=PlaceParam(place='who')))\n    return p\n",
        1,
        ["parameter set 0 has no value for the parameter place 'who'; `--param NAME=VALUE` gives a parameter"],
    ),
    (
        "wrong_type.py",
        HEAD + "        Yield(value=text.Join(first=3))\n    return p\n",
        1,
        ["wrong_type.py:7: text.Join", "first", "string"],
    ),
    (
        "unknown.py",
        HEAD + "        Yield(value=text.Join(frist='a', first='b'))\n    return p\n",
        1,
        ["unknown.py:7: text.Join", "frist", "first"],
    ),
    ("missing.py", HEAD + "        Yield(value=text.Join())\n    return p\n", 1, ["missing.py:7: text.Join", "first"]),
    (
        "not_offered.py",
        HEAD + "        Yield(value=fail.Raise(message='a', site='right'))\n    return p\n",
        1,
        ["not_offered.py:7: ", "right", "fail.Raise", "left"],
    ),
    (
        "no_site.py",
        HEAD + "        Yield(value=text.Join(first='a', site='rigth'))\n    return p\n",
        1,
        ["no_site.py:7: ", "rigth", "right"],
    ),
    (
        "twice.py",
        HEAD + "        Yield(value=text.Join(first='a'), place='x')\n"
        "        Yield(value=text.Join(first='b'), place='x')\n    return p\n",
        1,
        ["twice.py:8: ", "'x'", "twice.py:7", "multiuse"],
    ),
    (
        "adapter.py",
        HEAD + "        Yield(value=text.Misspelt())\n    return p\n",
        1,
        [ADAPTER, "did you mean 'Misspelt'?"],
    ),
    ("api.py", "from dfm.api import Pipelin\n", 2, ['api.py", line 1', "cannot import name 'Pipelin'"]),
    ("list.json", "[]", 1, ["list.json is not a saved pipeline"]),
    ("broken.json", "{", 1, ["broken.json is not JSON"]),
    ("format.json", '{"dfm_pipeline": 99, "statements": []}', 1, ["format.json", "99", "1"]),
    ("text.txt", "hello", 2, ["text.txt is neither a Python file (.py) nor a saved pipeline (.json)"]),
    ("latin.json", '{"name": "\\udce4"}', 1, ["latin.json"]),
]


@pytest.mark.parametrize(("name", "text", "code", "words"), BAD_PIPELINES, ids=[one[0] for one in BAD_PIPELINES])
def test_a_pipeline_that_is_wrong_gets_one_clear_message(
    small: Small, name: str, text: str, code: int, words: list[str]
) -> None:
    path = small.folder / name
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    done = submit(small, "pipeline", name)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert_clear(done.stderr)
    in_json = submit(small, "pipeline", name, "--json")
    assert in_json.returncode == code
    if done.stderr.startswith("error"):
        (problem,) = json.loads(in_json.stdout)["problems"]
        assert problem["message"] and "Traceback" not in in_json.stderr


def assert_clear(stderr: str) -> None:
    """One message, which shows none of dfm's own code."""
    assert stderr.count("error:") <= 1, stderr
    assert "<string>" not in stderr
    for file in re.findall(r'File "(.*)"', stderr):
        assert "/dfm/" not in file and "/pydantic" not in file and not file.startswith("<"), stderr


BAD_USES: list[tuple[str, int, list[str]]] = [
    ("fed submit small --target local pipeline saved.json -- 3", 2, ["takes nothing after `--`", "--param"]),
    ("fed submit smal --target local pipeline p.py", 2, ["`federations.yaml` has no federation `smal`", "`small`"]),
    ("fed submit small --target local pipeline p.py", 2, ["`p.py` does not exist"]),
    ("fed submit small --target local pipeline small", 2, ["`small` is not a file"]),
    ("fed submit small --target local script notes", 2, ["`notes` is neither executable nor a", "chmod +x notes"]),
    ("fed submit small --target local pipelin p.py", 2, ["pipelin", "[possible values: script, pipeline]"]),
    ("fed submit small --target here pipeline p.py", 2, ["here", "[possible values: flare, local]"]),
    ("fed submit small --target local pipeline", 2, ["<PATH>"]),
    ("fed submit small --target local script fine.sh --timeout soon", 2, ["--timeout", "soon"]),
    (
        "fed submit small --target local script fine.sh --timeout -1",
        2,
        ["--timeout takes a number of seconds from 0 on, not -1"],
    ),
    ("fed submit small --target local script fine.sh --homesite hom", 2, ["no site `hom`", "did you mean `home`?"]),
    ("--config nowhere.yaml fed submit small --target local script fine.sh", 2, ["nowhere.yaml"]),
    ("fed submit gone --target local script fine.sh", 2, ["gone.dfm.yaml"]),
    ("fed submit binary --target local script fine.sh", 2, ["binary.dfm.yaml"]),
    (
        "fed submit twice --target local script fine.sh",
        2,
        ["twice.dfm.yaml:3:1", "the key `info` is there twice", "first here"],
    ),
    ("fed submit ungenerated --target local pipeline fine.py", 1, ["ungenerated", "dfm fed gen code ungenerated"]),
    (
        "fed submit small script fine.sh",
        2,
        ["`small` has no startup kits", "dfm fed gen provision small", "--target local"],
    ),
    (
        "fed submit small --target local script no_interpreter",
        1,
        ["no_interpreter` cannot be started", "`#!/nowhere/at/all`"],
    ),
]


@pytest.fixture(scope="module")
def bad(small: Small) -> Small:
    small.write("notes", "nothing to run")
    small.write("fine.sh", "exit 0\n")
    small.write("saved.json", "{}")
    pipeline(small, "fine.py", "Yield(value=text.Join(first='a'))")
    small.write("no_interpreter", "#!/nowhere/at/all\n", 0o755)
    small.write("binary.dfm.yaml", "\0\1\2")
    small.write("twice.dfm.yaml", "dfm: 1.0.0\ninfo: {api-version: 1.0.0, code-package: a}\ninfo: {}\n")
    small.write(
        "ungenerated.dfm.yaml",
        (small.folder / "small/configs/federation.dfm.yaml")
        .read_text()
        .replace("code-package: small", "code-package: ungenerated"),
    )
    registry = (small.folder / "federations.yaml").read_text()
    for name in ("gone", "binary", "twice", "ungenerated"):
        registry += f"  {name}:\n    federation_dir: .\n    config_path: {name}.dfm.yaml\n"
    small.write("federations.yaml", registry)
    return small


@pytest.mark.parametrize(("words", "code", "told"), BAD_USES, ids=[one[0] for one in BAD_USES])
def test_a_wrong_use_gets_one_clear_message(bad: Small, words: str, code: int, told: list[str]) -> None:
    done = bad.run(*words.split())
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    for word in told:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert_clear(done.stderr)


def test_output_that_cannot_be_written_fails_the_command(small: Small) -> None:
    path = pipeline(small, "fine.py", "Yield(value=text.Join(first='a'))")
    small.write("in_the_way", "")
    done = submit(small, "pipeline", path, "--output", "in_the_way/results")
    assert done.returncode in (1, 2), done.stderr
    assert "in_the_way" in done.stderr and "Traceback" not in done.stderr


# In a terminal


@pytest.mark.parametrize("kind", ["pipeline", "script"])
def test_ctrl_c_in_a_terminal_ends_it(small: Small, fifo: Path, kind: str) -> None:
    path = pipeline(small, "waiting.py", WAITING)
    if kind == "script":
        path = str(small.write("children.sh", LEAVES_A_CHILD + "wait\n"))
    command = small.command("fed", "submit", "small", "--target", "local", kind, path, "--", str(fifo))
    pid, terminal = os.forkpty()
    if pid == 0:
        os.chdir(small.folder)
        os.execve(command[0], command, small.environment())
    processes = told(fifo)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130
    assert all(process.gone(0) for process in processes)
