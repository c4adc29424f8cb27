"""How long does it take to simulate what no machine here could run?"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rows import Row
from side import Side, timed

_SITES, _FRAMES = 1000, 50

ROWS = [
    Row("simulate", "`dfm fed simulate`: 1,000 sites, 100,000 firings, one site lost", beside="", below=10.0),
    Row("firing", "one firing of it, the command's start and the plan included", beside=""),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    if not side.ours:
        return
    Path("many.json").write_text(json.dumps(_pipeline()))
    Path("network.yaml").write_text(
        "dfm-network: 1\n"
        "send_cost: {fixed_time: 0.02, bandwidth: 10000000}\n"
        "sites:\n"
        f"  a: {{copies: {_SITES}, at_once: 4}}\n"
        "  b: {lost_at: 1}\n"
    )
    command = [str(Path(sys.executable).parent / "dfm"), "fed", "simulate", "benchfed", "many.json"]
    command += ["--network", "network.yaml", "--frames", str(_FRAMES)]
    seconds = timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), 3)
    yield "simulate", seconds
    yield "firing", seconds / (2 * _SITES * _FRAMES)


def _pipeline() -> dict[str, Any]:
    """Each site makes a value for its neighbour; the last one goes to the application."""
    names = [f"a-{number}" for number in range(1, _SITES)] + ["b"]
    statements: list[dict[str, Any]] = []
    for number, name in enumerate(names):
        first, second = 2 * number, 2 * number + 1
        value: dict[str, Any] = {"param": "value", "multiuse": True}
        for node, site, given in ((first, name, value), (second, names[number - 1], {"node": first})):
            operation = {"kind": "operation", "node": node, "operation": "bench.Same", "site": site}
            statements.append(operation | {"arguments": {"value": given}})
    statements.append({"kind": "yield", "node": "last", "place": "last", "value": {"node": 2 * _SITES - 1}})
    return {"dfm_pipeline": 1, "mode": "execute", "statements": statements}
