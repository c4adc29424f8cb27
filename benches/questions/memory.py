"""How much memory does a site take?"""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import side as helpers
from rows import Row
from side import Side

ROWS = [
    Row("site", "a site, above a bare interpreter with the same imports but dfm's", unit="MB", beside="", below=40),
    Row("home", "the application's site, likewise", unit="MB", beside="", below=40),
    Row("all", "all processes of a session with three sites", unit="MB"),
]

_BARE = """
import importlib, sys
for name in sys.stdin.readline().split():
    try:
        importlib.import_module(name)
    except Exception:
        pass
print(flush=True)
sys.stdin.read()
"""


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()
    modules: dict[str, list[str]] = {"home": []}
    for site in ["a", "b"]:

        def names(operations: Any, site: str = site) -> Any:
            return operations.Modules(site=site, value=operations.Same(site="home", value="1"))

        modules[site] = side.run(session, session.prepare(side.pipeline(names)))[1][0]
    modules["home"] = list(sys.modules)
    pids = list(helpers.processes())
    yield "all", sum(helpers.memory(pid) for pid in pids)
    if side.ours:
        above: dict[str, float] = {}
        for pid, site in zip(pids, ["home", "a", "b"], strict=True):
            above[site] = helpers.memory(pid, "Rss") - _bare(modules[site])
        yield "home", above["home"]
        yield "site", max(above["a"], above["b"])
    session.close()


def _bare(modules: list[str]) -> float:
    """The memory of an interpreter that has imported these and does nothing."""
    wanted = [name for name in modules if name.partition(".")[0] not in ("dfm", "benchfed", "__main__")]
    with subprocess.Popen([sys.executable, "-c", _BARE], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(" ".join(wanted) + "\n")
        process.stdin.flush()
        process.stdout.readline()
        return helpers.memory(process.pid, "Rss")
