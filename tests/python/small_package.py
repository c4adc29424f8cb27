"""How does a test get the package `small`, that of the federation in the folder beside?

It offers what two of the examples do, whose packages are beside it and take its generated code for theirs.
"""

import shutil
import subprocess
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
OFFERED = ("clinics", "offices")


def generate(command: Path, folder: Path) -> None:
    """Has `dfm` generate it in a folder, from which it can be imported then."""
    shutil.copytree(Path(__file__).parent / "small", folder / "small")
    for name in OFFERED:
        shutil.copytree(EXAMPLES / name / name, folder / name, ignore=shutil.ignore_patterns("fed", "data"))
        shutil.copy(folder / name / "configs" / "federation.dfm.yaml", folder / "small" / f"{name}.dfm.yaml")
    registry = folder / "federations.yaml"
    record = "federation_dir: small, config_path: federation.dfm.yaml, project_path: project.yaml"
    registry.write_text(f"federations:\n  small: {{{record}}}\n")
    subprocess.run([command, "--config", registry, "fed", "gen", "code", "small", "--quiet"], check=True)
    for name in OFFERED:
        (folder / name / "fed").symlink_to(folder / "small" / "fed")
