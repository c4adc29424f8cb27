"""Which pipeline does a seed stand for, and what has to come of it?

A program is plain data. `written` writes it down with the generated API; `outcome` says by plain recursion what its job
delivers where nothing goes wrong with the sites.
"""
# pyright: basic

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from dfm.api import EachSite, ForEach, If, Pipeline, PlaceParam, Repeat, TryFromCache, Yield

SITES = ("home", "server", "east", "west")
MOST = SITES[:3]
"""The sites that offer every operation; the last offers some."""
FAILED = "an error"
"""What stands for an `ErrorToken`."""
LARGE = 100_000
"""Bytes of a large value, which travels in a segment."""

Operand = int | str
"""A literal, the name of a parameter (`p0`, `p1`), or that of an earlier result."""
Place = tuple[str, tuple[int, ...], str]
"""A place, a frame, and the text of the value that was delivered there."""


class Stream(list[int]):
    """What a generator makes; it is delivered item by item, all in its own frame."""


@dataclass
class Call:
    """`out` becomes what an operation makes of its operands at a site."""

    out: str
    operation: str
    site: str
    operands: list[Operand]


@dataclass
class Deliver:
    place: str
    value: Operand


@dataclass
class Loop:
    """Its body runs for each item; `collected` is a list of each of what `of` is there."""

    seq: str
    element: str
    body: list[Statement]
    of: str
    collected: str


@dataclass
class Choice:
    left: Operand
    least: int
    body: list[Statement]
    otherwise: list[Statement]


@dataclass
class Rounds:
    """`carried` begins as `start` and becomes `following`, until that is at least `enough`."""

    start: Operand
    at_most: int
    carried: str
    body: list[Statement]
    following: str
    enough: int
    result: str
    count: str


@dataclass
class Everywhere:
    """One more than `value` at each of the sites."""

    value: Operand
    at_least: int | None
    collected: str


@dataclass
class Cached:
    """One more than `of` is kept under a key that nothing else has."""

    out: str
    key: str
    of: Operand
    site: str


Statement = Call | Deliver | Loop | Choice | Rounds | Everywhere | Cached


@dataclass
class Program:
    statements: list[Statement]
    params: list[dict[str, int]]
    """One frame each."""


@dataclass
class Author:
    """Makes up a program."""

    chance: random.Random
    room: int
    """Statements that may still be written."""
    names: int = 0
    places: int = 0
    unused: set[str] = field(default_factory=set[str])

    def program(self) -> Program:
        params = [
            {name: self.chance.randrange(9) for name in ("p0", "p1")} for _ in range(self.chance.choice([1, 1, 2, 5]))
        ]
        statements = self.block({"p0": "number", "p1": "number"}, 0)
        # Each pipeline wants both, so that a parameter set is always the same two.
        return Program([*statements, Deliver("both", "p0"), Deliver("other", "p1")], params)

    def block(self, scope: dict[str, str], depth: int) -> list[Statement]:
        """Statements that know what is in scope, by name the kind of value; what none of them uses is delivered."""
        scope, own = dict(scope), set[str]()
        statements: list[Statement] = []
        for _ in range(self.chance.randint(1, 4)):
            if self.room <= 0:
                break
            self.room -= 1
            statement, made = self.statement(scope, depth)
            scope |= made
            own |= made.keys()
            self.unused |= made.keys()
            statements.append(statement)
        for name in sorted(own & self.unused):
            statements.append(self.deliver(name))
        self.unused -= own
        return statements

    def deliver(self, value: Operand) -> Deliver:
        self.places += 1
        return Deliver(f"y{self.places}", value)

    def name(self) -> str:
        self.names += 1
        return f"v{self.names}"

    def use(self, name: str) -> str:
        self.unused.discard(name)
        return name

    def number(self, scope: dict[str, str]) -> Operand:
        if self.chance.random() < 0.2:
            return self.chance.randrange(9)
        return self.use(self.chance.choice([name for name, kind in scope.items() if kind == "number"]))

    def statement(self, scope: dict[str, str], depth: int) -> tuple[Statement, dict[str, str]]:
        """One more statement and what it makes, by name the kind of value."""
        lists = [name for name, kind in scope.items() if kind == "list"]
        kinds = ["add"] * 4 + ["thread", "large"] + ["list", "count"] * 2 + ["fail"] * (self.chance.random() < 0.3)
        kinds += ["total", "total", *["loop"] * 6] if lists else []
        kinds += ["choice", "rounds", "everywhere", "cached"] if depth < 3 else []
        kind = self.chance.choice(kinds)
        site = self.chance.choice(MOST if kind in ("thread", "fail", "count") else SITES)
        if kind == "loop" and depth >= 3:
            kind = "total"
        out = self.name()
        if kind in ("add", "thread", "fail"):
            operation = {"add": "Add", "thread": "AddOnThread", "fail": "Fail"}[kind]
            operands = [self.number(scope) for _ in range(2 if kind == "add" else 1)]
            return Call(out, operation, site, operands), {out: "number"}
        if kind == "count":
            operation = self.chance.choice(["Count", "CountAsync"])
            return Call(out, operation, site, [self.chance.randrange(20)]), {out: "list"}
        if kind == "large":
            return Call(out, "Large", site, [self.number(scope)]), {out: "large"}
        if kind == "list":
            return Call(out, "List", site, [self.number(scope) for _ in range(self.chance.randrange(4))]), {out: "list"}
        if kind == "total":
            return Call(out, "Total", site, [self.use(self.chance.choice(lists))]), {out: "number"}
        if kind == "loop":
            seq, element = self.use(self.chance.choice(lists)), self.name()
            body = self.block(scope | {element: "number"}, depth + 1)
            of = Call(self.name(), "Add", site, [element, 1])
            return Loop(seq, element, [*body, of], of.out, out), {out: "list"}
        if kind == "choice":
            left, least = self.number(scope), self.chance.randrange(12)
            return Choice(left, least, self.block(scope, depth + 1), self.block(scope, depth + 1)), {}
        if kind == "rounds":
            start, carried, count = self.number(scope), self.name(), self.name()
            body = self.block(scope | {carried: "number"}, depth + 1)
            following = Call(self.name(), "Add", site, [carried, self.chance.randrange(1, 5)])
            rounds = Rounds(
                start,
                self.chance.randrange(1, 5),
                carried,
                [*body, following],
                following.out,
                self.chance.randrange(12),
                out,
                count,
            )
            return rounds, {out: "number", count: "number"}
        if kind == "everywhere":
            return Everywhere(self.number(scope), self.chance.choice([None, 1]), out), {out: "dictionary"}
        return Cached(out, f"{self.chance.random()}", self.number(scope), site), {out: "number"}


def program(seed: str) -> Program:
    """The program that a seed stands for."""
    chance = random.Random(seed)
    return Author(chance, room=chance.choice([3, 10, 30])).program()


def written(fed: Any, program: Program) -> Pipeline:
    """The pipeline, of operations of the module `fed`."""
    with Pipeline() as pipeline:
        _write(fed, program.statements, {name: PlaceParam(place=name, multiuse=True) for name in ("p0", "p1")})
    return pipeline


def _write(fed: Any, statements: list[Statement], nodes: dict[str, Any]) -> None:
    def node(operand: Operand) -> Any:
        return nodes[operand] if isinstance(operand, str) else operand

    for one in statements:
        match one:
            case Call(out, operation, site, operands):
                nodes[out] = _OPERATIONS[operation](fed, site, [node(operand) for operand in operands])
            case Deliver(place, value):
                Yield(value=node(value), place=place)
            case Loop(seq, element, body, of, collected):
                with ForEach(seq=node(seq)) as item:
                    inner = {**nodes, element: item}
                    _write(fed, body, inner)
                nodes[collected] = item.collect(inner[of])
            case Choice(left, least, body, otherwise):
                with If(cond=fed.Add(a=node(left), b=0) >= least) as test:
                    _write(fed, body, dict(nodes))
                with test.otherwise():
                    _write(fed, otherwise, dict(nodes))
            case Rounds(start, at_most, carried, body, following, enough, result, count):
                with Repeat(start={"x": node(start)}, at_most=at_most) as rounds:
                    inner = {**nodes, carried: rounds["x"]}
                    _write(fed, body, inner)
                    rounds.next(x=inner[following])
                    rounds.until(inner[following] >= enough)
                nodes[result], nodes[count] = rounds.result("x"), rounds.count
            case Everywhere(value, at_least, collected):
                with EachSite(offers=[fed.Add], sites=list(SITES), at_least=at_least) as here:
                    added = fed.Add(site=here, a=node(value))
                nodes[collected] = here.collect(added)
            case Cached(out, key, of, site):
                with TryFromCache(key=(key, node(of))) as kept:
                    kept.cache(fed.Add(a=node(of), b=1, site=site))
                nodes[out] = kept


_OPERATIONS: dict[str, Callable[[Any, str, list[Any]], Any]] = {
    "Add": lambda fed, site, of: fed.Add(a=of[0], b=of[1], site=site),
    "AddOnThread": lambda fed, site, of: fed.AddOnThread(a=of[0], site=site),
    "Fail": lambda fed, site, of: fed.Fail(value=of[0], site=site),
    "Total": lambda fed, site, of: fed.Total(items=of[0], site=site),
    "Count": lambda fed, site, of: fed.Count(to=of[0], site=site),
    "CountAsync": lambda fed, site, of: fed.CountAsync(to=of[0], site=site),
    "List": lambda fed, site, of: fed.Echo(value=of, site=site),
    "Large": lambda fed, site, of: fed.Echo(value=[of[0], bytes(LARGE)], site=site),
}
_MEANINGS: dict[str, Callable[..., Any]] = {
    "Add": lambda a, b: a + b,
    "AddOnThread": lambda a: a + 1,
    "Fail": lambda _: FAILED,
    "Total": sum,
    "Count": lambda to: Stream(range(to)),
    "CountAsync": lambda to: Stream(range(to)),
    "List": lambda *items: list(items),
    "Large": lambda first: [first, bytes(LARGE)],
}


def told(value: Any) -> str:
    """A value's text, short for a large one."""
    text = repr(value)
    return text if len(text) < 1000 else f"{text[:20]}… of {len(text)}, {zlib.crc32(text.encode())}"


@dataclass
class Outcome:
    """What comes of a program where all goes well."""

    tokens: list[Place] = field(default_factory=list[Place])
    fails: bool = False
    """Whether an operation fails; no place may be waiting for what it makes."""


def outcome(program: Program) -> Outcome:
    """What its job delivers where all goes well."""
    made = Outcome()
    for frame, params in enumerate(program.params):
        _run(program.statements, dict(params), (frame,), made)
    return made


def _run(statements: list[Statement], values: dict[str, Any], frame: tuple[int, ...], made: Outcome) -> None:
    def value(operand: Operand) -> Any:
        return values[operand] if isinstance(operand, str) else operand

    def fail(*blocks: list[Statement]) -> None:
        made.tokens.extend((place, frame, FAILED) for block in blocks for place in _places(block))

    for one in statements:
        match one:
            case Call(out, operation, _, operands):
                of = [value(operand) for operand in operands]
                values[out] = FAILED if FAILED in of else _MEANINGS[operation](*of)
                made.fails |= operation == "Fail"
            case Deliver(place, operand):
                of = value(operand)
                if isinstance(of, Stream):
                    made.tokens.extend((place, frame, told(item)) for item in of)
                else:
                    made.tokens.append((place, frame, FAILED if of == FAILED else told(of)))
            case Loop(seq, element, body, of, collected):
                if values[seq] == FAILED:
                    fail(body)
                    values[collected] = FAILED
                    continue
                each: list[Any] = []
                for index, item in enumerate(values[seq]):
                    inner = {**values, element: item}
                    _run(body, inner, (*frame, index), made)
                    each.append(inner[of])
                values[collected] = FAILED if FAILED in each else each
            case Choice(left, least, body, otherwise):
                if value(left) == FAILED:
                    fail(body, otherwise)
                else:
                    _run(body if value(left) >= least else otherwise, dict(values), frame, made)
            case Rounds(start, at_most, carried, body, following, enough, result, count):
                now, rounds = value(start), 0
                if now == FAILED:
                    fail(body)
                    values[result] = values[count] = FAILED
                    continue
                while rounds < at_most:
                    inner = {**values, carried: now}
                    _run(body, inner, (*frame, rounds), made)
                    now, rounds = inner[following], rounds + 1
                    if now >= enough:
                        break
                values[result], values[count] = now, rounds
            case Everywhere(operand, _, collected):
                of = value(operand)
                values[collected] = FAILED if of == FAILED else {site: of + 1 for site in SITES}
            case Cached(out, _, operand, _):
                values[out] = FAILED if value(operand) == FAILED else value(operand) + 1


def _places(statements: list[Statement]) -> Iterator[str]:
    """Each place that a block delivers to, those of the blocks inside it too."""
    return (one.place for one in _all(statements) if isinstance(one, Deliver))


def everything(program: Program) -> Iterator[Statement]:
    """Each statement of a program, those in its blocks too."""
    return _all(program.statements)


def _all(statements: list[Statement]) -> Iterator[Statement]:
    for one in statements:
        yield one
        match one:
            case Loop(body=body) | Rounds(body=body):
                yield from _all(body)
            case Choice(body=body, otherwise=otherwise):
                yield from _all([*body, *otherwise])
            case _:
                pass
