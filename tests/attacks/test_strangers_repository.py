"""What can a repository that a stranger wrote do when somebody runs dfm in its folder?"""

import subprocess
from pathlib import Path

import pytest

pytest.importorskip("nvflare")

CONFIGURATION = """\
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: fed, description: From a stranger}
operations:
  work.Add: {description: Adds, parameters: {a: {type: integer}}, required: [a]}
sites:
  home: {}
  server: {}
  away: {}
"""
PROJECT = """\
api_version: 3
name: strange
description: From a stranger
participants:
  - {name: server, type: server, org: far, fed_learn_port: 8102, default_host: localhost, host_names: [127.0.0.1]}
  - {name: away, type: client, org: far}
  - {name: home@far.example, type: admin, org: far, role: lead}
"""


class Repository:
    """A stranger's repository, and dfm in its folder."""

    def __init__(self, folder: Path, command: Path) -> None:
        self.folder, self.command = folder / "repository", command
        self.write("packages/fed/f.dfm.yaml", CONFIGURATION)
        self.project(PROJECT)
        record = "{federation_dir: packages/fed, config_path: f.dfm.yaml, project_path: project.yaml}"
        self.write("federations.yaml", f"federations:\n  strange: {record}\n")

    def write(self, path: str, text: str) -> Path:
        """Writes a file of it, and its folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def project(self, text: str) -> None:
        """Writes its NVFlare project."""
        self.write("packages/fed/project.yaml", text)

    def dfm(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs the command there."""
        return subprocess.run([self.command, *words], cwd=self.folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def repository(tmp_path: Path, command: Path) -> Repository:
    return Repository(tmp_path, command)


@pytest.mark.parametrize(
    "words",
    [
        "doctor",
        "fed check strange",
        "fed gen provision strange",
        "fed plan strange pipeline.py",
        "fed submit strange --target local pipeline pipeline.py",
        "jobs list strange --poc",
        "poc start -f strange --prepare-only",
        "poc wait -f strange --timeout 1",
        "poc status -f strange",
    ],
)
def test_no_module_in_the_current_folder_is_imported(repository: Repository, words: str) -> None:
    # There are kits to ask about before the trap is there.
    assert repository.dfm("fed", "gen", "code", "strange").returncode == 0
    made = repository.dfm("poc", "start", "-f", "strange", "--prepare-only")
    assert made.returncode == 0, made.stderr
    pipeline = "from dfm.api import Pipeline\n\ndef get_pipeline():\n    with Pipeline() as p:\n        pass\n    return p\n"
    repository.write("elsewhere/pipeline.py", pipeline)
    trap = f"open({str(repository.folder / 'sprung')!r}, 'a').write(__name__)\nraise ImportError(__name__)\n"
    for module in ("json", "yaml", "asyncio", "platform", "socket", "nvflare", "dfm"):
        repository.write(f"{module}.py", trap)
    repository.dfm(*words.replace("pipeline.py", "elsewhere/pipeline.py").split())
    assert not (repository.folder / "sprung").exists(), (repository.folder / "sprung").read_text()
