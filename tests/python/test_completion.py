"""Do real shells complete what is written after `dfm`, once `dfm completion setup` has set them up?"""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

PATIENCE = 30
"""Seconds after which what should appear is taken not to."""

SHELLS = [
    pytest.param("bash", id="bash"),
    pytest.param("zsh", id="zsh", marks=pytest.mark.shells),
    pytest.param("fish", id="fish", marks=pytest.mark.shells),
]


def environment(command: Path, home: Path) -> dict[str, str]:
    path = f"{command.parent}:{os.environ['PATH']}"
    return {"HOME": str(home), "PATH": path, "TERM": "xterm", "LANG": "C.UTF-8", "PS1": "$ "}


def typed(shell: str, keys: str, until: str, folder: Path, env: dict[str, str]) -> str:
    """What a new window of the shell has shown when `until` appears, after these keys."""
    leader, follower = pty.openpty()
    words = ["setsid", "--ctty", "--wait", shell, "-i"]
    process = subprocess.Popen(words, cwd=folder, env=env, stdin=follower, stdout=follower, stderr=follower)
    os.close(follower)
    seen = b""
    try:
        os.write(leader, keys.encode())
        deadline = time.monotonic() + PATIENCE
        while until.encode() not in seen:
            ready, _, _ = select.select([leader], [], [], deadline - time.monotonic())
            assert ready, f"{until!r} has not appeared in: {seen.decode(errors='replace')}"
            seen += os.read(leader, 65536)
    finally:
        # Which ends the shell.
        os.close(leader)
        process.wait(PATIENCE)
    return seen.decode(errors="replace")


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_that_was_set_up_completes_commands_federations_and_sites(
    shell: str, command: Path, small: Path, tmp_path: Path
) -> None:
    env = environment(command, tmp_path)
    subprocess.run([command, "completion", "setup", "--shell", shell], env=env, check=True)
    for keys, until in [
        ("dfm completion stat\t\r", f"{shell:<5} set up ("),
        ("dfm fed config show sm\t\r", "federation:     small"),
        ("dfm fed gen code small --check --runtime-site hom\t\r", "the code of `small` is up to date"),
    ]:
        typed(shell, keys, until, small, env)


def asked(command: Path, folder: Path, line: list[str]) -> list[str]:
    """The candidates for the last word of a line."""
    env = environment(command, folder) | {"DFM_COMPLETE": "fish"}
    done = subprocess.run([command, "--", *line], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [candidate.partition("\t")[0] for candidate in done.stdout.splitlines()]


def test_jobs_are_those_that_applications_have_begun_to_read_or_that_have_a_record(
    command: Path, small: Path, tmp_path: Path
) -> None:
    registry = ["--config", str(small / "federations.yaml"), "--workspace", str(tmp_path / "kits")]
    had = tmp_path / "kits" / "small_poc" / "project" / "prod_00" / "me@small.org" / "dfm" / "had"
    had.mkdir(parents=True)
    (had / "session-1").touch()
    assert asked(command, tmp_path, ["dfm", *registry, "jobs", "show", "small", "sess"]) == ["session-1"]
    assert asked(command, tmp_path, ["dfm", *registry, "jobs", "show", "small", "other"]) == []
    records = tmp_path / ".local" / "state" / "dfm" / "history" / "small"
    records.mkdir(parents=True)
    for name in ("session-1.jsonl", "session-2.jsonl", "session-3.txt"):
        (records / name).write_text("{}\n")
    assert asked(command, tmp_path, ["dfm", *registry, "jobs", "show", "small", "sess"]) == ["session-1", "session-2"]


def test_logs_are_those_of_participants_that_have_a_process(command: Path, small: Path, tmp_path: Path) -> None:
    registry = ["--config", str(small / "federations.yaml"), "--workspace", str(tmp_path / "kits")]
    line = ["dfm", *registry, "poc", "logs", "--federation", "small"]
    assert asked(command, tmp_path, [*line, "e"]) == []
    for participant in ("east", "server1"):
        (tmp_path / f"kits/small_poc/project/prod_00/{participant}/startup").mkdir(parents=True)
        (tmp_path / f"kits/small_poc/project/prod_00/{participant}/startup/start.sh").touch()
    (tmp_path / "kits/small_poc/project/prod_00/me@small.org/startup").mkdir(parents=True)
    assert asked(command, tmp_path, [*line, "e"]) == ["east"]
    assert asked(command, tmp_path, [*line, "s"]) == ["server1"]
    assert asked(command, tmp_path, [*line, "m"]) == []


def test_a_registry_or_a_configuration_that_is_broken_is_no_trouble_to_a_shell(command: Path, tmp_path: Path) -> None:
    (tmp_path / "federations.yaml").write_text("federations: [\n")
    assert asked(command, tmp_path, ["dfm", "fed", "check", "s"]) == []
    (tmp_path / "federations.yaml").write_text("federations:\n  shop: {federation_dir: ., config_path: f.dfm.yaml}\n")
    (tmp_path / "f.dfm.yaml").write_text("sites: [\n")
    assert asked(command, tmp_path, ["dfm", "fed", "check", "s"]) == ["shop"]
    assert asked(command, tmp_path, ["dfm", "fed", "gen", "code", "shop", "--runtime-site", "h"]) == []


def test_setting_up_again_changes_nothing_and_keeps_what_the_user_wrote(command: Path, tmp_path: Path) -> None:
    env = environment(command, tmp_path)
    (tmp_path / ".bashrc").write_text("alias l='ls -l'")
    for _ in range(2):
        subprocess.run([command, "completion", "setup", "--shell", "bash"], env=env, check=True)
    lines = (tmp_path / ".bashrc").read_text().splitlines()
    assert lines[0] == "alias l='ls -l'"
    assert len(lines) == 2
    assert lines[1].endswith("# dfm completion")


def status(command: Path, env: dict[str, str]) -> str:
    done = subprocess.run([command, "completion", "status"], env=env, check=True, capture_output=True, text=True)
    return done.stdout


def test_the_status_tells_what_is_missing(command: Path, tmp_path: Path) -> None:
    env = environment(command, tmp_path)
    assert "bash  not set up" in status(command, env)
    subprocess.run([command, "completion", "setup", "--shell", "bash"], env=env, check=True)
    assert "bash  set up (" in status(command, env)
    (tmp_path / ".bashrc").write_text("")
    assert "bash  not read by the shell" in status(command, env)
    (tmp_path / ".local" / "share" / "dfm" / "completion.bash").write_text("# old")
    assert "bash  of another version of dfm" in status(command, env)
