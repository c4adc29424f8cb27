"""How does a test get the package `small`, that of the federation in the folder beside?"""

import shutil
import subprocess
from pathlib import Path


def generate(command: Path, folder: Path) -> None:
    """Has `dfm` generate it in a folder, from which it can be imported then."""
    shutil.copytree(Path(__file__).parent / "small", folder / "small")
    registry = folder / "federations.yaml"
    record = "federation_dir: small, config_path: federation.dfm.yaml, project_path: project.yaml"
    registry.write_text(f"federations:\n  small: {{{record}}}\n")
    subprocess.run([command, "--config", registry, "fed", "gen", "code", "small", "--quiet"], check=True)
