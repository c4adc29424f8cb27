"""What do the targets in Python need? Seeds of honest encoders, and what may become of an input."""
# pyright: basic

import importlib
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

atheris: Any = importlib.import_module("atheris")
"""Has no types, and is not there where types are checked."""
ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "tests" / "attacks"), str(ROOT / "fuzz" / "targets")]


def watched() -> Any:
    """Within it, what is imported of dfm is watched for the ways that inputs take."""
    return atheris.instrument_imports(include=["dfm"])


def fuzz(name: str, seeds: Iterable[bytes], one: Callable[[bytes], None]) -> None:
    """Gives `one` inputs, the seeds first, for as long as the command line says. What it raises is a finding."""
    folder = ROOT / "target" / "fuzz" / "seeds" / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (folder / str(number)).write_bytes(seed)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


def scratch() -> Path:
    """A folder for the files of one input after the other."""
    return Path(tempfile.mkdtemp(prefix="dfm-fuzz-"))
