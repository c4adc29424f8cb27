"""Which federation has adapters that begin and end something, and keep values?

Its package is `kept`; the application's site is `home`, and `away` has a process of its own. What adapters begin and
end goes into the file that the environment variable KEPT_LOG names.
"""

import subprocess
from pathlib import Path

CONFIG = """\
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: kept}
operations:
  life.Once: {description: Which object was called, returns: string}
  life.OfJob: {returns: string}
  life.OfSite: {returns: string}
  life.AlsoOfSite: {returns: string}
  life.Broken: {returns: string}
  life.Stream: {returns: string}
  exits.Made: {returns: string}
  exits.SetUp: {returns: string}
  exits.SetUpOnThread: {returns: string}
  exits.Down: {returns: string}
  keep.Count: {description: How often it has been called, returns: integer}
  keep.CountShared: {returns: integer}
  keep.CountOnDisk: {returns: integer}
  keep.Put:
    parameters: {name: {type: string}, value: {type: object}}
    required: [name, value]
    returns: object
  keep.Process: {description: The process id, returns: integer}
sites:
  home:
    interface: &all
      "#/operations/life.Once": {adapter: kept.lib.Async, is-async: false}
      "#/operations/life.OfJob": {adapter: kept.lib.Plain, is-async: false, scope: job}
      "#/operations/life.OfSite": {adapter: kept.lib.Async, scope: site}
      "#/operations/life.AlsoOfSite": {adapter: kept.lib.Async, scope: site}
      "#/operations/life.Broken": {adapter: kept.lib.Broken}
      "#/operations/life.Stream": {adapter: kept.lib.Stream}
      "#/operations/exits.Made": {adapter: kept.lib.ExitsMade}
      "#/operations/exits.SetUp": {adapter: kept.lib.ExitsSetUp}
      "#/operations/exits.SetUpOnThread": {adapter: kept.lib.ExitsSetUpOnThread}
      "#/operations/exits.Down": {adapter: kept.lib.ExitsDown}
      "#/operations/keep.Count": {adapter: kept.lib.Count, state: {name: counts}}
      "#/operations/keep.CountShared": {adapter: kept.lib.Count, state: {name: counts}}
      "#/operations/keep.CountOnDisk": {adapter: kept.lib.Count, state: {on-disk: true, per-user: true}}
      "#/operations/keep.Put":
        {adapter: kept.lib.Put, args: from-operation, state: {on-disk: true, limit: 5000}}
      "#/operations/keep.Process": {adapter: kept.lib.Process}
  away: {interface: *all}
"""

ADAPTERS = '''\
"""What do the sites begin, end and keep?"""

import os
from typing import Any


def note(what: str) -> None:
    with open(os.environ["KEPT_LOG"], "a") as file:
        print(what, file=file)


class ExitsMade:
    def __init__(self) -> None:
        raise SystemExit("no licence")

    async def body(self) -> str:
        return "made"


class ExitsSetUp:
    async def setup(self) -> None:
        raise SystemExit("no licence")

    async def body(self) -> str:
        return "set up"


class ExitsSetUpOnThread:
    def setup(self) -> None:
        raise SystemExit("no licence")

    async def body(self) -> str:
        return "set up"


class ExitsDown:
    async def body(self) -> str:
        return "done"

    async def teardown(self) -> None:
        raise SystemExit("no licence")


class Adapter:
    made = 0

    def __init__(self, site: Any) -> None:
        self.site = site
        type(self).made += 1
        self.name = f"{type(self).__name__} {type(self).made}"
        self.open = False


class Async(Adapter):
    async def setup(self) -> None:
        note(f"{self.name} begins")
        self.open = True

    async def body(self) -> str:
        assert self.open
        return self.name

    async def teardown(self) -> None:
        note(f"{self.name} ends")


class Plain(Adapter):
    def setup(self) -> None:
        note(f"{self.name} begins")
        self.open = True

    def body(self) -> str:
        assert self.open
        return self.name

    def teardown(self) -> None:
        note(f"{self.name} ends")


class Broken(Adapter):
    async def setup(self) -> None:
        if type(self).made < 2:
            raise OSError("the database is away")

    async def body(self) -> str:
        return self.name

    def teardown(self) -> None:
        raise OSError("and stays away")


class Stream(Adapter):
    def setup(self) -> None:
        self.open = True

    async def body(self):
        assert self.open
        yield self.name


class Count(Adapter):
    async def body(self) -> int:
        self.site.state["count"] = self.site.state.get("count", 0) + 1
        return self.site.state["count"]


class Put(Adapter):
    async def body(self, name: str, value: Any) -> Any:
        self.site.state.update({name: value})
        return dict(self.site.state)


class Process(Adapter):
    async def body(self) -> int:
        return os.getpid()
'''


def write(folder: Path, command: Path) -> None:
    """Makes the package in a folder."""
    files = {"__init__.py": "", "lib.py": ADAPTERS, "configs/federation.dfm.yaml": CONFIG}
    for name, text in files.items():
        file = folder / "kept" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    registry = folder / "federations.yaml"
    registry.write_text("federations:\n  kept: {federation_dir: kept, config_path: configs/federation.dfm.yaml}\n")
    subprocess.run([command, "--config", registry, "fed", "gen", "code", "kept", "--quiet"], check=True)
