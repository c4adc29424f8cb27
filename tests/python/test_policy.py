"""Is a site's policy read from its kit, and does it count the sessions that it lets in?"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dfm.exec._policy import OWN, PolicyError, SitePolicy, read_policy

ADMITTED = """
import logging, sys
from pathlib import Path
from dfm.flare._admission import admit
admission = admit(Path(sys.argv[1]), "east", sys.argv[2], logging.getLogger())
print(admission.problem or "in", flush=True)
sys.stdin.read()
"""


def kit_with(folder: Path, text: str | None) -> Path:
    (folder / "local").mkdir()
    if text is not None:
        (folder / "local" / "policy.yaml").write_text(text)
    return folder


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    policy = read_policy(kit_with(tmp_path, None))
    assert policy.errors == "type"
    assert policy.limits.sessions_per_user == 16
    assert SitePolicy() == OWN
    assert OWN.errors == "full"


def test_a_file_says_what_holds_instead(tmp_path: Path) -> None:
    policy = read_policy(kit_with(tmp_path, "errors: message\nlimits: {calls-at-once: 3}\n"))
    assert (policy.errors, policy.limits.calls_at_once) == ("message", 3)


def test_a_broken_policy_is_explained_and_a_link_to_nowhere_is_one(tmp_path: Path) -> None:
    kit = kit_with(tmp_path, "errors: fully\n")
    with pytest.raises(PolicyError, match=r"(?s)policy.yaml:1:9.*did you mean `full`"):
        read_policy(kit)
    path = kit / "local" / "policy.yaml"
    path.unlink()
    path.symlink_to("nowhere")
    with pytest.raises(PolicyError, match="there is no such file"):
        read_policy(kit)


class Sessions:
    """Processes that ask a kit to be let in."""

    def __init__(self, kit: Path) -> None:
        self._kit = kit
        self._processes: list[subprocess.Popen[str]] = []

    def open(self, user: str) -> str:
        words = [sys.executable, "-c", ADMITTED, str(self._kit), user]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._processes.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    def kill(self, number: int) -> None:
        self._processes[number].kill()
        self._processes[number].wait()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


def test_a_user_has_only_so_many_sessions_and_others_have_theirs(tmp_path: Path) -> None:
    sessions = Sessions(kit_with(tmp_path, "limits: {sessions-per-user: 2}\n"))
    try:
        assert [sessions.open("home") for _ in range(2)] == ["in", "in"]
        assert "user 'home' has 2 sessions open there: `sessions-per-user`" in sessions.open("home")
        assert sessions.open("other") == "in", "another user's are not counted"
        sessions.kill(0)
        assert sessions.open("home") == "in", "a process that was killed counts no more"
        assert "sessions-per-user" in sessions.open("home")
    finally:
        sessions.close()
    folder = tmp_path / "sessions"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_broken_policy_lets_nobody_in_and_tells_only_its_log_why(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from dfm.flare._admission import admit

    admission = admit(kit_with(tmp_path, "errors: fully\n"), "east", "home", logging.getLogger("test"))
    assert admission.policy is None
    assert admission.problem is not None
    assert "broken" in admission.problem
    assert "fully" not in admission.problem
    assert "`errors` cannot be `fully`" in caplog.text


def test_the_command_says_what_a_policy_decides(command: Path, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("errors: message\n")
    words = [command, "site", "policy", "check", path]
    done = subprocess.run([*words, "--json"], capture_output=True, text=True)
    assert done.returncode == 0
    decided = json.loads(done.stdout)["policy"]
    assert (decided["errors"], decided["limits"]["sessions_per_user"]) == ("message", 16)
    path.write_text("error: message\n")
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})
    assert done.returncode == 2
    assert "a policy has no key `error`" in done.stderr
    assert "did you mean `errors`?" in done.stderr


def test_what_a_policy_decides_is_shown_in_its_own_words(command: Path, tmp_path: Path) -> None:
    text = "errors: message\nlogs: all\naudit: {parameters: full, folder: elsewhere}\nlimits: {calls-at-once: 3}\n"
    (tmp_path / "policy.yaml").write_text(text)
    words = [command, "site", "policy", "check", tmp_path / "policy.yaml"]
    shown = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert shown[:7] == [
        "default: allow",
        "errors: message",
        "logs: all",
        "traces: joined",
        "audit parameters: full",
        "audit when-full: stop",
        "audit folder: elsewhere",
    ]
    assert "calls-at-once: 3" in shown
