"""What does a site's share of a pipeline do there, line by line, for a person who has to approve it?

A line for each block but the first, and for each step: what it is made of, and below it what of its result goes to
which site. Names are JSON texts, so that none is taken for more than a name; a net of which something is not known here
is not drawn at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

_OPERATION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ARGUMENT, _KEY, _CONDITION, _PLAIN = range(4)
"""What a step's field has: an argument, several, a condition or none, or what is JSON already."""
_STEPS: dict[str, tuple[str, dict[str, int]]] = {
    "yield": ("yield", {"place": _PLAIN, "value": _ARGUMENT}),
    "split": ("for each", {"sequence": _ARGUMENT}),
    "decide": ("if", {"condition": _CONDITION}),
    "enter": ("enter", {"block": _PLAIN}),
    "look-up": ("try from cache", {"key": _KEY}),
    "store": ("write to cache", {}),
    "join": ("cached or made", {}),
    "repeat": ("repeat", {"start": _ARGUMENT}),
    "again": ("next round", {"repeat": _PLAIN, "next": _ARGUMENT, "until": _CONDITION, "at_most": _PLAIN}),
    "gather": ("collect by key", {"keys": _PLAIN, "at_least": _PLAIN, "keep": _PLAIN, "missing": _PLAIN}),
    "collect": ("collect", {"errors": _PLAIN}),
}
"""Steps that call no operation: what they are called, and their fields besides the node that they come from."""
_SIGNS = {
    "equal": "==",
    "not-equal": "!=",
    "greater": ">",
    "greater-or-equal": ">=",
    "less": "<",
    "less-or-equal": "<=",
}


class UnknownError(Exception):
    """A net has what is not known here."""


def drawn(net: str, homesite: str) -> Iterator[str]:
    """The lines, or one that says that there are none: of a net as JSON, for an application at this site."""
    try:
        lines = _Drawing(json.loads(net), homesite).lines()
    except (UnknownError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        lines = ["the pipeline cannot be drawn, as this version of dfm does not know all of it; --json has it as it is"]
    yield from lines


class _Drawing:
    """Of one net."""

    def __init__(self, net: Any, homesite: str) -> None:
        _, blocks, places, transitions = _fields(net, "site", "blocks", "places", "transitions")
        self._blocks = [_fields(block, "parent", "each") for block in blocks]
        self._places = [_fields(place, "transition", "slot", "block", "source") for place in places]
        self._steps = [_fields(step, "step", "block", "outputs") for step in transitions]
        self._makers: dict[int, list[str]] = {}
        self._leaving: list[list[str]] = []
        for at, (step, _, outputs) in enumerate(self._steps):
            leaving: dict[str, None] = {}
            for arc in outputs:
                # Where it leads into a block, what it does not find is an error only there.
                site, place, carry, _ = _fields(arc, "site", "place", "carry", "inward")
                what = _carried(at, carry, step)
                if site is None:
                    self._makers.setdefault(place, []).append(what)
                else:
                    # Its user has it, and the site itself need not be there.
                    to = "the application at site" if site == homesite else "site"
                    leaving[f"→ {to} {text(site)}: {what}"] = None
            self._leaving.append(list(leaving))

    def lines(self) -> list[str]:
        """All of it."""
        lines: list[str] = []
        for at, (parent, each) in enumerate(self._blocks[1:], 1):
            often = "once for each element" if each else "once or not at all"
            lines.append(f"block {at}, within block {_number(parent)}: {often}")
        for at, (step, block, _) in enumerate(self._steps):
            where = f"block {_number(block)}: " if block else ""
            lines.append(f"{at:>4}  {where}{self._step(at, step)}")
            lines += [f"      {leaves}" for leaves in self._leaving[at]]
        return lines

    def _step(self, at: int, step: Any) -> str:
        kind, said = _only(step)
        inputs: dict[int, str] = {}
        used: set[int] = set()
        for place, (transition, slot, block, source) in enumerate(self._places):
            if transition == at:
                inputs[slot] = self._input(place, block, self._steps[at][1], source)
                if source == "start":
                    used.add(slot)  # it says no more than that the block is entered
        if kind == "call":
            # The node is where it stands in the user's code, and limits say how often and how long it is tried.
            _, operation, provider, arguments, _ = _fields(said, "node", "operation", "provider", "arguments", "limits")
            what = text(operation, _OPERATION) + ("" if provider is None else f" by {text(provider)}")
            given = [f"{text(name, _PARAMETER)}={_argument(one, inputs, used)}" for name, one in arguments]
        else:
            what, fields = _STEPS[kind]
            _, *values = _fields(said, "node", *fields)
            given = [
                f"{name}={_field(of, value, inputs, used)}"
                for (name, of), value in zip(fields.items(), values, strict=True)
            ]
        given += [inputs[slot] for slot in sorted(inputs.keys() - used)]
        return f"{what}({', '.join(given)})"

    def _input(self, place: int, block: int, step_block: int, source: Any) -> str:
        gathered = "" if block == step_block else f" (block {_number(block)})"
        if source == "here":
            return " or ".join(self._makers[place]) + gathered
        if source == "start":
            return f"the start{gathered}"
        kind, name = _only(source)
        return {"param": "parameter", "site": "a value of site"}[kind] + f" {text(name)}{gathered}"


def _carried(at: int, carry: Any, step: Any) -> str:
    """What of a step's result goes along an arc."""
    if carry == "signal":
        return f"that {at} is done"
    if carry == "key":
        return f"key of {at}"
    kind, said = _only(carry)
    if kind == "value":
        what = "element" if _only(step)[0] in ("split", "repeat") else "result"
        return f"{what} of {at}" + "".join(map(_selector, said))
    if kind == "stream":
        return f"result of {at}, or its items one by one" + ("" if said is None else f", for {text(said)}")
    if kind == "count" and type(said) is bool:
        return {
            "split": f"number of elements of {at}",
            "repeat": f"number of rounds of {at}",
            "decide": f"whether {at} is {json_text(said)}",
            "look-up": f"whether {at} has {'no' if said else 'a'} value",
        }[_only(step)[0]]
    raise UnknownError(kind)


def _selector(selector: Any) -> str:
    match _only(selector):
        case "attribute", str(name):
            return f".{text(name, _PARAMETER)}"
        case "index", int(index):
            return f"[{index}]"
        case "key", str(key):
            return f"[{text(key)}]"
        case kind, _:
            raise UnknownError(kind)


def _field(of: int, value: Any, inputs: Mapping[int, str], used: set[int]) -> str:
    if of == _ARGUMENT:
        return _argument(value, inputs, used)
    if of == _KEY:
        return f"[{', '.join(_argument(one, inputs, used) for one in value)}]"
    if of == _CONDITION:
        return "null" if value is None else _condition(value, inputs, used)
    return json_text(value)


def _argument(argument: Any, inputs: Mapping[int, str], used: set[int]) -> str:
    kind, said = _only(argument)
    if kind == "literal":
        return json_text(said)
    if kind == "slot":
        used.add(said)
        return inputs[said]
    if kind != "built":
        raise UnknownError(kind)
    form, parts = said
    told = [_argument(one, inputs, used) for one in parts]
    match form:
        case "list":
            return f"[{', '.join(told)}]"
        case "tuple":
            return f"({', '.join(told)})"
        case "dict":
            pairs = zip(told[::2], told[1::2], strict=True)
            return "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        case _:
            kind, path = _only(form)
            if kind != "model":
                raise UnknownError(kind)
            return f"object of {text(path)}({', '.join(told)})"


def _condition(condition: Any, inputs: Mapping[int, str], used: set[int]) -> str:
    kind, said = _only(condition)
    match kind:
        case "and" | "or":
            return "(" + f" {kind} ".join(_condition(one, inputs, used) for one in said) + ")"
        case "not":
            return f"not {_condition(said, inputs, used)}"
        case "compare":
            how, one, other = said
            return f"({_argument(one, inputs, used)} {_SIGNS[how]} {_argument(other, inputs, used)})"
        case "truth":
            return _argument(said, inputs, used)
        case _:
            raise UnknownError(kind)


def _fields(of: Any, *names: str) -> list[Any]:
    """What an object has under these names, and under no others."""
    said = cast("dict[str, Any]", of)
    if said.keys() != set(names):
        raise UnknownError(str(sorted(said)))
    return [said[name] for name in names]


def _only(of: Any) -> tuple[str, Any]:
    """The only member of an object."""
    ((kind, said),) = of.items()
    return kind, said


def _number(of: Any) -> int:
    if type(of) is not int:
        raise UnknownError(str(of))
    return of


def text(of: Any, as_it_is: re.Pattern[str] | None = None) -> str:
    """A name, as JSON where it is not what may be shown `as_it_is`.

    Raises:
        UnknownError: it is none.
    """
    if type(of) is not str:
        raise UnknownError(str(of))
    return of if as_it_is is not None and as_it_is.fullmatch(of) else json_text(of)


def json_text(of: Any) -> str:
    """A value as JSON, `unbroken`."""
    return unbroken(json.dumps(of))


def unbroken(written: str) -> str:
    """JSON in which no text has so many blanks that a terminal begins another line within it."""
    return written.replace("  ", " \\u0020")
