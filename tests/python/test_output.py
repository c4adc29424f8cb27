"""Is nothing lost without a word where stdout takes no more?"""
# pyright: basic

import os
import subprocess

import pytest
from small_federation import Small

pytestmark = pytest.mark.timeout(60)

PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import text

def get_pipeline(args=None):
    with Pipeline() as p:
        Yield(value=text.Count(to=2000))
    return p
"""
SUBMIT = "fed submit small --target local pipeline count.py"
COMMANDS = [
    "--version",
    "fed --help",
    "fed schema",
    "doctor",
    "--json fed check small",
    "fed config list-all",
    "completion generate --shell bash",
    "fed plan small count.py",
    "--json site requests list kit",
    "site audit show log",
    "site audit export log",
    "site audit verify log",
    SUBMIT,
    f"--json {SUBMIT}",
]


@pytest.fixture(scope="module")
def small(own: Small) -> Small:
    own.write("count.py", PIPELINE)
    own.write("kit/requests/.keep", "")
    own.write("log/log.jsonl", "torn\n")
    return own


def run(small: Small, words: str, stdout: int, *shell: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*shell, *small.command(*words.split())],
        cwd=small.folder,
        env=small.environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("words", COMMANDS)
def test_a_full_disk_fails_the_command_which_says_so(small: Small, words: str) -> None:
    with open("/dev/full", "wb") as full:
        done = run(small, words, full.fileno())
    assert done.returncode == 1
    assert "error: the output cannot be written: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr and "finished" not in done.stderr


@pytest.mark.parametrize("words", COMMANDS)
def test_a_closed_pipe_ends_the_command_as_sigpipe_does(small: Small, words: str) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = run(small, words, writes)
    finally:
        os.close(writes)
    assert done.returncode == 141
    assert not done.stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&-", "1</dev/null"])
@pytest.mark.parametrize("words", COMMANDS)
def test_a_stdout_that_is_closed_fails_the_command_which_says_so(small: Small, words: str, closed: str) -> None:
    done = run(small, words, subprocess.DEVNULL, "sh", "-c", f'exec "$0" "$@" {closed}')
    assert done.returncode == 1
    assert "error: the output cannot be written: stdout is closed" in done.stderr
    assert "Traceback" not in done.stderr and "finished" not in done.stderr


@pytest.mark.parametrize("words", ["--quiet fed gen code small", "fed no-such-command"])
def test_what_writes_nothing_to_stdout_needs_none(small: Small, words: str) -> None:
    done = run(small, words, subprocess.DEVNULL, "sh", "-c", 'exec "$0" "$@" >&-')
    assert "stdout" not in done.stderr
