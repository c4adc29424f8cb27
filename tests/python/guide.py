"""How does a test run what a guide shows?

`shown` is a block of a page, found by some words in it. A `Guide` is a federation around such blocks, made by the
installed command, and runs programs that use it, each in a process of its own.
"""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

from small_federation import Small
from test_tutorial import ROOT

LIBRARY = "from pathlib import Path\nfrom typing import Any\n\n\n"


def shown(page: str, words: str, *, within: int = 0) -> str:
    """The one block of a page of docs/ that has these words, moved to the right by so many spaces."""
    text = (ROOT / "docs" / page).read_text()
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    (found,) = [block for block in blocks if words in block]
    return indent(dedent(found), " " * within)


class Guide(Small):
    """A federation and its package of the same name, in a folder."""

    def __init__(self, folder: Path, dfm: Path, name: str, config: str, library: str = "") -> None:
        super().__init__(folder, dfm)
        self.name = name
        self.write(f"{name}/__init__.py", "")
        self.write(f"{name}/lib.py", LIBRARY + library)
        info = f"dfm: 1.0.0\ninfo: {{code-package: {name}, api-version: 1.0.0}}\n"
        self.write(f"{name}/federation.dfm.yaml", info + config)
        for words in (
            f"fed config set {name} --federation-dir {name} --config-path federation.dfm.yaml",
            f"fed gen code {name}",
            f"fed check {name} --adapters",
        ):
            done = self.run(*words.split(), config=True)
            assert done.returncode == 0, done.stdout + done.stderr

    def program(self, text: str, name: str = "program.py", ends_with: int = 0) -> str:
        """What a program prints that is run in the folder."""
        done = subprocess.run(
            [sys.executable, self.write(name, text)],
            cwd=self.folder,
            env=self.environment({"PYTHONPATH": str(self.folder)}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == ends_with, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def tried(self, body: str, *, homesite: str = "app") -> str:
        """What a program prints whose `body` runs beside a `federation` of `dfm.testing`."""
        return self.program(
            "from dfm.api import *\nfrom dfm.errors import Public, RefusedError\nfrom dfm.testing import Federation\n"
            f'with Federation("{self.name}", homesite="{homesite}") as federation:\n'
            "    session = federation.session\n" + indent(dedent(body), "    ")
        )
