"""Which small federation do tests run through the installed command?

`write` makes it in a folder, and `dfm fed gen code` its package `small`. The application's site is `home`; `left` and
`right` have processes of their own. It runs wherever dfm is installed, with no other package.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONFIG = """\
dfm: 1.0.0
info:
  api-version: 1.0.0
  code-package: small
operations:
  text.Join:
    description: What was given, and where it was joined
    parameters:
      first: {type: string}
      second: {type: string, default: nothing}
    required: [first]
    returns: string
  text.Count:
    description: A stream of numbers
    parameters:
      to: {type: integer}
    required: [to]
    returns: integer
  text.Misspelt:
    returns: string
  make.Value:
    description: A value of a kind
    parameters:
      kind: {type: string, enum: [array, image, table, bytes, text, record, odd, printed]}
    required: [kind]
    returns: object
  fail.Raise:
    parameters:
      message: {type: string}
    required: [message]
    returns: string
  fail.Wait:
    description: Tells its process to a FIFO, then waits for ever
    parameters:
      fifo: {type: string}
      blocking: {type: boolean, default: false}
    required: [fifo]
    returns: string
sites:
  home:
    send_cost: {left: {fixed_time: 0.001}, right: {fixed_time: 0.001}}
    interface:
      "#/operations/text.Join": {adapter: small.lib.Join, is-async: false, args: from-operation}
  left:
    send_cost: {home: {fixed_time: 0.001}, right: {fixed_time: 0.001}}
    interface:
      "#/operations/text.Join": {adapter: small.lib.Join, is-async: false, args: from-operation}
      "#/operations/text.Count": {adapter: small.lib.Count, is-async: false, args: from-operation}
      "#/operations/text.Misspelt": {adapter: small.lib.Mispelt}
      "#/operations/fail.Raise": {adapter: small.lib.Raise, is-async: false, args: from-operation}
      "#/operations/fail.Wait": {adapter: small.lib.Wait, args: from-operation}
  right:
    send_cost: {home: {fixed_time: 0.001}, left: {fixed_time: 0.001}}
    interface:
      "#/operations/text.Join": {adapter: small.lib.Join, is-async: false, args: from-operation}
      "#/operations/make.Value": {adapter: small.lib.Value, is-async: false, args: from-operation}
"""

ADAPTERS = '''\
"""What do the sites do?"""

import asyncio
import os
import threading
from collections.abc import Iterator
from typing import Any


class Adapter:
    def __init__(self, site: Any, provider: Any) -> None:
        self.site = site


class Join(Adapter):
    def body(self, first: str, second: str) -> str:
        return f"{first}+{second}@{self.site.name}"


class Count(Adapter):
    def body(self, to: int) -> Iterator[int]:
        yield from range(to)


class Misspelt(Adapter):
    async def body(self) -> str:
        return ""


class Value(Adapter):
    def body(self, kind: str) -> Any:
        if kind == "array":
            import numpy

            return numpy.arange(6).reshape(2, 3)
        if kind == "image":
            from PIL import Image

            return Image.new("RGB", (4, 3), (255, 0, 0))
        if kind == "table":
            import pyarrow

            return pyarrow.table({"x": [1, 2, 3]})
        if kind == "printed":
            print("one line")
            print("not ended", end="")
            return "done"
        return {"bytes": bytes(range(200)), "text": "plain", "record": {"a": [1, None]}, "odd": {1, 2}}[kind]


class Raise(Adapter):
    def body(self, message: str) -> str:
        raise ValueError(message)


class Wait(Adapter):
    async def body(self, fifo: str, blocking: bool) -> str:
        with open(fifo, "w") as there:
            print(os.getpid(), file=there)
        if blocking:
            threading.Event().wait()
        await asyncio.Event().wait()
        return "never"
'''


class Small:
    """The federation in a folder, and a `dfm` to run there."""

    def __init__(self, folder: Path, dfm: Path) -> None:
        self.folder = folder
        self.dfm = dfm

    def save_join(self) -> None:
        """Writes `join.json`, a pipeline as the library saves it, with a parameter `word` for `text.Join`."""
        self.save("join.json", "text.Join", {"first": {"param": "word", "multiuse": False}})

    def save(self, file: str, operation: str, arguments: dict[str, Any]) -> None:
        """Writes a pipeline as the library saves it, with one operation at `left`."""
        common: dict[str, Any] = {"block": None, "after": []}
        call: dict[str, Any] = {
            "kind": "operation",
            "node": 0,
            "operation": operation,
            "class": f"small.fed.api.{operation}",
            "site": "left",
            "provider": None,
            "retry": None,
            "timeout": None,
            "arguments": arguments,
        } | common
        value = {"node": 0, "path": list[int]()}
        out = {"kind": "yield", "node": 1, "place": "out", "multiuse": False, "value": value, **common}
        document: dict[str, Any] = {
            "dfm_pipeline": 1,
            "name": file.removesuffix(".json"),
            "mode": "execute",
            "package": "small",
            "api_version": "1.0.0",
        }
        self.write(file, json.dumps(document | {"statements": [call, out]}))

    def create(self) -> None:
        """Writes its files, and makes its package with the command."""
        self.write("small/__init__.py", "")
        self.write("small/lib.py", ADAPTERS)
        self.write("small/configs/federation.dfm.yaml", CONFIG)
        for words in (
            "fed config set small --federation-dir small --config-path configs/federation.dfm.yaml",
            "fed gen code small",
        ):
            self.run(*words.split(), config=True).check_returncode()

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """Writes one file, and the folders that it is in."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """What the command sees: nothing of the tests' own settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DFM_", "PYTHON", "VIRTUAL"))}
        return kept | {"NO_COLOR": "1", "HOME": str(self.folder)} | dict(more or {})

    def command(self, *words: str) -> list[str]:
        """The command line of `dfm` with these words."""
        return [str(self.dfm), *words]

    def run(
        self, *words: str, cwd: Path | None = None, config: bool = False, more: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs `dfm` to its end; `config` names the registry, as the first command, which makes it, has to; `more` is
        what it sees besides in its environment."""
        options = ["--config", str(self.folder / "federations.yaml")] if config else []
        return subprocess.run(
            self.command(*options, *words),
            cwd=cwd or self.folder,
            env=self.environment(more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
