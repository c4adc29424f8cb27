"""Does `dfm doctor` say what is there, and what to do about what is not?"""

import json
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import pytest
from small_federation import Small


@pytest.fixture
def small(command: Path, tmp_path: Path) -> Small:
    made = Small(tmp_path, command)
    made.create()
    return made


def looked_at(small: Small, exit: int) -> dict[str, tuple[str, str | None]]:
    """By what was found: its state, and what to do."""
    done = small.run("--json", "doctor")
    assert (done.returncode, done.stderr) == (exit, "")
    return {one["what"]: (one["state"], one["help"]) for one in json.loads(done.stdout)["found"]}


def change(small: Small, old: str, new: str) -> None:
    config = small.folder / "small" / "configs" / "federation.dfm.yaml"
    config.write_text(config.read_text().replace(old, new))


def test_a_whole_installation_and_its_federations_are_told(small: Small) -> None:
    found = looked_at(small, exit=0)
    assert found[f"dfm {metadata.version('data-federation-mesh')} ({small.dfm})"] == ("ok", None)
    assert found[f"nvflare {metadata.version('nvflare')} (wanted: =={metadata.version('nvflare')})"] == ("ok", None)
    assert found["small: 3 sites"] == ("ok", None)


def test_code_that_is_stale_is_told(small: Small) -> None:
    change(small, "A stream of numbers", "Numbers")
    (bad,) = [(told, help) for told, (state, help) in looked_at(small, exit=1).items() if state == "bad"]
    assert bad[0].startswith("the generated code of `small` is not that of its configuration any more")
    assert bad[1] == "run `dfm fed gen code small`"


def test_a_configuration_with_faults_is_told(small: Small) -> None:
    change(small, "returns: string", "returns: strin")
    (bad,) = [(told, help) for told, (state, help) in looked_at(small, exit=1).items() if state == "bad"]
    assert bad[0].startswith("small: ") and bad[0].endswith("errors")
    assert bad[1] == "`dfm fed check small` shows them"


def test_a_python_without_dfm_is_told(command: Path, tmp_path: Path) -> None:
    alone = Small(tmp_path, tmp_path / "dfm")
    shutil.copy(command, alone.dfm)
    alone.write("python3", "#!/bin/sh\nexit 1\n", mode=0o755)
    found = looked_at(alone, exit=1)
    assert found[f"the Python {tmp_path / 'python3'} has no dfm"] == (
        "bad",
        "install it there: `pip install data-federation-mesh`",
    )
    assert any(told.startswith("no federation in the registry") for told in found)


def test_people_read_it_in_parts(small: Small) -> None:
    done = subprocess.run(small.command("doctor"), cwd=small.folder, env=small.environment(), stdout=subprocess.PIPE)
    lines = done.stdout.decode().splitlines()
    assert [line for line in lines if line and not line.startswith("  ")] == ["installed", "federations"]
    assert "  ok    small: 3 sites" in lines


def test_another_dfm_that_comes_first_is_told(small: Small) -> None:
    small.write("first/dfm", "#!/bin/sh\n", mode=0o755)
    path = f"{small.folder / 'first'}:{small.dfm.parent}:/usr/bin:/bin"
    done = subprocess.run(
        small.command("--json", "doctor"), env=small.environment({"PATH": path}), cwd=small.folder, capture_output=True
    )
    bad = [one["what"] for one in json.loads(done.stdout)["found"] if one["state"] == "bad"]
    assert (done.returncode, bad) == (1, [f"another dfm comes first on the PATH: {small.folder / 'first' / 'dfm'}"])


def test_another_nvflare_than_the_tested_one_is_told(small: Small) -> None:
    small.write("others/nvflare-2.9.7.dist-info/METADATA", "Metadata-Version: 2.1\nName: nvflare\nVersion: 2.9.7\n")
    done = subprocess.run(
        small.command("--json", "doctor"),
        env=small.environment({"PYTHONPATH": str(small.folder / "others")}),
        cwd=small.folder,
        capture_output=True,
    )
    bad = [(one["what"], one["help"]) for one in json.loads(done.stdout)["found"] if one["state"] == "bad"]
    assert bad == [("nvflare 2.9.7 (tested: ==2.9.0)", "run `pip install 'nvflare==2.9.0'`")]


def test_a_strangers_distribution_is_told(small: Small) -> None:
    stranger = small.folder / "strangers" / "dfm-0.1.dist-info"
    small.write("strangers/dfm-0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: dfm\nVersion: 0.1\n")
    done = subprocess.run(
        small.command("--json", "doctor"),
        env=small.environment({"PYTHONPATH": str(stranger.parent)}),
        cwd=small.folder,
        capture_output=True,
    )
    bad = [one["what"] for one in json.loads(done.stdout)["found"] if one["state"] == "bad"]
    assert bad == ["a distribution `dfm` 0.1 is installed there too, which is somebody else's"]
