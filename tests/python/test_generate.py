"""Does generated code survive processes that are killed over it, and processes that generate at once?"""

import resource
import signal
import subprocess
from pathlib import Path

import pytest
from small_federation import Small


@pytest.fixture(scope="module")
def small(own: Small) -> Small:
    return own


def generate(small: Small, written: int | None = None) -> subprocess.Popen[bytes]:
    """Starts `dfm fed gen code`; whoever writes more bytes than `written` into a file is killed there."""

    def limit() -> None:
        if written is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))

    command = small.command("--quiet", "fed", "gen", "code", "small")
    return subprocess.Popen(command, cwd=small.folder, env=small.environment(), preexec_fn=limit)


def files(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_a_killed_process_left_is_gone_with_the_next(small: Small) -> None:
    folder = small.folder / "small" / "fed"
    whole = files(folder)
    (folder / "fed_info.json").unlink()
    assert generate(small, written=100).wait(60) == -signal.SIGXFSZ
    assert [name for name in files(folder) if name not in whole], "it was killed over a draft"
    assert generate(small).wait(60) == 0
    assert files(folder) == whole


def test_two_at_once_make_one_package(small: Small) -> None:
    folder = small.folder / "small" / "fed"
    whole = files(folder)
    for _ in range(5):
        for name in whole:
            (folder / name).unlink()
        both = [generate(small), generate(small)]
        assert [process.wait(60) for process in both] == [0, 0]
        assert files(folder) == whole
