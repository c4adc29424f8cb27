"""How is a wheel built from the sources alone, as pip does it? As maturin does, after the command that goes into it."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import maturin
from maturin import build_sdist, get_requires_for_build_sdist, get_requires_for_build_wheel

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_wheel",
]

ROOT = Path(__file__).parents[1]


def _build_command() -> None:
    """Puts the command where `make` has it, which makes it by itself."""
    place = ROOT / "target" / "wheel-data" / "scripts" / "dfm"
    subprocess.run(["cargo", "build", "--package", "dfm-cli", "--release", "--locked"], cwd=ROOT, check=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    shutil.copy2(target / "release" / "dfm", place)


def prepare_metadata_for_build_wheel(*arguments: Any, **named: Any) -> Any:
    (ROOT / "target" / "wheel-data").mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(*arguments, **named)


def build_wheel(*arguments: Any, **named: Any) -> Any:
    _build_command()
    return maturin.build_wheel(*arguments, **named)


def build_editable(*arguments: Any, **named: Any) -> Any:
    _build_command()
    return maturin.build_editable(*arguments, **named)
