"""How long does it take to plan many operations, and does it grow with their number?"""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rows import Row
from side import Side, timed


def _independent(side: Side, count: int) -> None:
    for number in range(count):
        side.operations.Same(value=str(number))


def _chain(side: Side, count: int) -> None:
    _chained(side, count, ["a"])


def _alternating(side: Side, count: int) -> None:
    _chained(side, count, ["a", "b"])


def _chained(side: Side, count: int, sites: list[str]) -> None:
    node: Any = "1"
    for number in range(count):
        node = side.operations.Same(site=sites[number % len(sites)], value=node)


def _fan(side: Side, count: int) -> None:
    """One, all but two after it, one after all of them."""
    first = side.operations.Same(value="1")
    side.operations.Same(value="1", dfm_after=[side.operations.Same(value=first) for _ in range(count - 2)])


def _diamonds(side: Side, count: int) -> None:
    """One, two after it, one after both, two after it, …"""
    node: Any = "1"
    for _ in range(count // 4):
        node = side.operations.Same(value=node)
        left, right = side.operations.Same(value=node), side.operations.Same(value=node)
        node = side.operations.Same(value=left, dfm_after=right)


def _nested(side: Side, count: int) -> None:
    """Loops in conditions in loops, four operations in each."""
    for _ in range(count // 4):
        with side.api.ForEach(seq=["1", "2"]) as outer:
            node = side.operations.Same(value=outer)
            with side.api.If(cond=node == "1"):
                sequence = side.operations.Same(value=node)
                with side.api.ForEach(seq=sequence) as inner:
                    side.operations.Same(value=side.operations.Same(value=inner))


_SHAPES: dict[str, tuple[str, Callable[[Side, int], None]]] = {
    "independent": ("independent operations", _independent),
    "chain": ("in a chain at one site", _chain),
    "alternating": ("in a chain that changes site each time", _alternating),
    "fan": ("that fan out and in", _fan),
    "diamonds": ("in diamonds", _diamonds),
    "nested": ("in loops in conditions in loops", _nested),
}

ROWS = [
    Row("100", "planning 100 independent operations"),
    Row("1000", "planning 1,000", faster=50),
    *(
        Row(name, f"planning 10,000 {what}", beside=f"ten times 1,000, {name}", below=1.0, slower=1.5)
        for name, (what, _) in _SHAPES.items()
    ),
    Row("building", "writing the pipeline of 10,000", beside=""),
    Row("each site", "planning an `EachSite` of one operation at 200 sites", beside="200 operations", slower=1.5),
    Row("tree", "the same, put together in a tree of the best of some forms", beside="200 operations"),
]


def measure(side: Side) -> Iterator[tuple[str, float]]:
    session = side.session()
    for count in [100, 1000]:
        yield str(count), _planning(side, session, _independent, count)
    if side.ours:
        begin = time.perf_counter()
        _pipeline(side, _independent, 10000)
        yield "building", time.perf_counter() - begin
        for name, (_, write) in _SHAPES.items():
            yield f"ten times 1,000, {name}", 10 * _planning(side, session, write, 1000)
            yield name, _planning(side, session, write, 10000)
        yield from _at_sites()
    session.close()


def _at_sites() -> Iterator[tuple[str, float]]:
    """At 200 sites: an operation at each by its name, by an `EachSite`, and with what they make put together."""
    from dfm import _native

    fed = json.loads(Path("benchfed/fed/fed_info.json").read_text())
    same = {"operation": "bench.Same", "provider": None, "parameters": ["value"], "required": ["value"]}
    slow = same | {"operation": "bench.Sum", "compute_cost": {"compute_throughput": 1.0, "fixed_size": 1}}
    names = [f"site{number}" for number in range(200)]
    costs = fed["sites"]["home"]["send_cost"]["a"]
    fed["sites"] |= {name: {"offers": [same, slow], "send_cost": {"home": costs}} for name in names}
    fed["sites"]["home"]["offers"].append(slow)
    fed["operations"]["bench.Sum"] = {"parameters": {"value": {"required": True}}, "reduce": {"commutative": True}}

    def operation(node: int, name: str, site: Any, value: Any) -> dict[str, Any]:
        return {"kind": "operation", "node": node, "operation": name, "site": site, "arguments": {"value": value}}

    text = {"literal": "some text"}
    apart = [operation(node, "bench.Same", name, text) for node, name in enumerate(names)]
    each = [
        {"kind": "each_site", "node": 0, "sites": names, "errors": "fail"},
        operation(1, "bench.Same", {"each_site": 0}, text) | {"block": 0},
        {"kind": "gather", "node": 2, "each_site": 0, "value": {"node": 1}},
    ]
    together = [*each, operation(3, "bench.Sum", "home", {"node": 2})]
    for figure, statements in [("200 operations", apart), ("each site", each), ("tree", together)]:
        document = json.dumps({"dfm_pipeline": 1, "mode": "execute", "statements": statements})
        yield figure, timed(lambda document=document: _native.plan(json.dumps(fed), document, "home", None), 15)


def _planning(side: Side, session: Any, write: Callable[[Side, int], None], count: int) -> float:
    pipeline = _pipeline(side, write, count)
    if side.ours:
        return timed(lambda: session.prepare(pipeline), 5 if count == 10000 else 15)
    begin = time.perf_counter()
    session.prepare(pipeline)
    return time.perf_counter() - begin


def _pipeline(side: Side, write: Callable[[Side, int], None], count: int) -> Any:
    with side.api.Pipeline() as pipeline:
        write(side, count)
    return pipeline
