"""How long does a command take that only looks something up?"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rows import Row
from side import Side, timed

ROWS = [
    Row("help", "`dfm --help`", faster=200),
    Row("list", "`dfm fed config list-all`", faster=200),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    command = str(Path(sys.executable).parent / "dfm")
    runs = 30 if side.ours else 3
    for figure, words in [("help", ["--help"]), ("list", ["fed", "config", "list-all"])]:

        def call(words: list[str] = words) -> None:
            subprocess.run([command, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        yield figure, timed(call, runs)
