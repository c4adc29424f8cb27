"""How does what was done since the last version become a new one?

Run by `make release VERSION=X.Y.Z`: the crates, and with them the command and the Python package, get the version, and
the changelog's first chapter its name and day. What it has changed is committed and tagged, if all else was before.
"""

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CARGO, CHANGELOG = ROOT / "Cargo.toml", ROOT / "CHANGELOG.md"
UNRELEASED = "## Unreleased\n"
DECLARED = re.compile(r'^version = "(\d+)\.(\d+)\.(\d+)"$', re.MULTILINE)


def main(version: str) -> str | None:
    """What is wrong, before anything is changed; None when it is done."""
    declared = DECLARED.search(CARGO.read_text(encoding="utf-8"))
    if declared is None:
        return f"{CARGO} declares no version"
    before = ".".join(declared.groups())
    numbers = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        return f"VERSION is three numbers, such as 0.2.0, not {version}"
    if tuple(map(int, numbers.groups())) <= tuple(map(int, declared.groups())):
        return f"{version} is not above {before}, which the crates have"
    changes = CHANGELOG.read_text(encoding="utf-8")
    if not changes.partition(UNRELEASED)[2].partition("\n## ")[0].strip():
        return f"{CHANGELOG} has nothing under '{UNRELEASED.strip()}'"
    if run("git", "status", "--porcelain"):
        return "there are changes that are not committed"
    CARGO.write_text(CARGO.read_text(encoding="utf-8").replace(declared[0], f'version = "{version}"'), encoding="utf-8")
    today = datetime.datetime.now(datetime.UTC).date()
    CHANGELOG.write_text(changes.replace(UNRELEASED, f"{UNRELEASED}\n## {version} ({today})\n"), encoding="utf-8")
    for lock in run("git", "ls-files", "*Cargo.lock").splitlines():
        # Each has the crates' version, too; whatever reads the manifest beside it brings it up to date.
        run("cargo", "metadata", "--format-version", "1", "--manifest-path", str(Path(lock).with_suffix(".toml")))
    run("git", "commit", "--all", "--message", f"Release {version}")
    run("git", "tag", "--annotate", "--message", f"dfm {version}", f"v{version}")
    return None


def run(*command: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
