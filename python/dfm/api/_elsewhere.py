"""What does a pipeline say that another engine saved, in dfm's own form?

The file is data: of what it names, only generated operations are imported, and nothing is unpickled.
"""

from collections.abc import Callable, Iterator
from typing import Any, cast

from dfm.errors import PipelineError

BODY = "dfm_body"
"""The key that such a file has, and that every block in it has."""
_COMMON = {"site", "provider", "dfm_node_id", "dfm_after", "dfm_class_name"}
_COMPARE = {
    "==": "equal",
    "!=": "not-equal",
    ">": "greater",
    ">=": "greater-or-equal",
    "<": "less",
    "<=": "less-or-equal",
}


class Elsewhere:
    """Reads one file."""

    def __init__(self, source: str, class_of: Callable[[str], Any]) -> None:
        """`class_of` gives the generated class of a dotted path, or None."""
        self._source = source
        self._class_of = class_of
        self._version = ""
        self._at = "the pipeline"
        """What is read now."""
        self._deepest = 64

    def document(self, written: dict[str, Any]) -> dict[str, Any]:
        """The pipeline in dfm's form.

        Raises:
            PipelineError: it says something that dfm has not, or is damaged.
        """
        try:
            statements = list(self._statements(written[BODY], None, 0))
        except KeyError as error:
            raise self._wrong(f"{self._at} is damaged: it has no {error}") from None
        except (AttributeError, TypeError):
            raise self._wrong(f"{self._at} is damaged: something in it is not what it is in a saved pipeline") from None
        head = {"name": written.get("name"), "mode": written.get("mode", "execute")}
        return head | {"api_version": written.get("api_version") or self._version, "statements": statements}

    def _wrong(self, message: str) -> PipelineError:
        return PipelineError(message, self._source)

    def _statements(self, body: Any, around: Any, depth: int) -> Iterator[dict[str, Any]]:
        if depth > self._deepest:
            raise self._wrong(f"blocks are more than {self._deepest} deep in each other")
        for one in cast("list[dict[str, Any]]", body):
            self._at = "a statement"
            node = one["dfm_node_id"]["ident"]
            self._at = f"statement {node!r}"
            after = one.get("dfm_after")
            common: dict[str, Any] = {"node": node, "block": around}
            common["after"] = [] if after is None else [(after.get("dfm_node_id") or after)["ident"]]
            yield common | self._statement(one, around)
            if BODY in one:
                yield from self._statements(one[BODY], node, depth + 1)

    def _statement(self, one: dict[str, Any], around: Any) -> dict[str, Any]:
        path = cast(str, one["dfm_class_name"])
        root, _, name = path.rpartition(".")
        if not root.endswith(".api") or root.count(".") > 1:
            return self._operation(one, path)
        match name:
            case "Yield":
                value = self._value(one["value"], "value")
                return {"kind": "yield", "place": one["place"], "multiuse": one["multiuse"], "value": value}
            case "ForEach":
                return {"kind": "for_each", "sequence": self._value(one["seq"], "seq")}
            case "If":
                return {"kind": "if", "condition": self._condition(one["cond"], 0)}
            case "TryFromCache":
                return {"kind": "try_from_cache", "key": [self._value(one["key"], "key")], "site": None}
            case "_WriteToCache" | "WriteToCache":
                return {"kind": "write_to_cache", "cache": around, "value": self._value(one["value"], "value")}
            case _:
                raise self._wrong(f"a pipeline has no statement {name}")

    def _operation(self, one: dict[str, Any], path: str) -> dict[str, Any]:
        found = self._class_of(path)
        if found is None:
            raise self._wrong(f"{path} is not a generated operation; generate the federation's code")
        self._version = self._version or found.dfm_api_version
        site = one["site"]
        if isinstance(site, dict):
            tagged = cast("dict[str, Any]", site)
            site = {"advise": True} if tagged["tag"] == "@dfm-advise" else {"best_of": tagged["sites"]}
        arguments = {name: self._value(value, name) for name, value in one.items() if name not in _COMMON}
        given = {name: value for name, value in arguments.items() if value != {"literal": None}}
        where = {"site": site, "provider": one["provider"], "retry": None, "timeout": None}
        return {"kind": "operation", "operation": found.dfm_operation, "class": path, **where, "arguments": given}

    def _value(self, value: Any, name: str) -> dict[str, Any]:
        match value:
            case {"id": {"tag": "@dfm-node", "ident": node}, "sel": None}:
                return {"node": node, "path": []}
            case {"id": {"tag": "@dfm-node", "ident": node}, "sel": sel, "issubs": issubs}:
                step = "index" if isinstance(sel, int) else "key" if issubs else "attribute"
                return {"node": node, "path": [{step: sel}]}
            case {"tag": "@dfm-place-param", "place": place}:
                return {"param": place, "multiuse": value.get("multiuse", False)}
            case {"tag": "@dfm-advise"}:
                return {"advise": True}
            case {"tag": "__dfm__pickled__"}:
                raise self._wrong(f"{name} is pickled, and dfm unpickles nothing of a file; build the pipeline again")
            case _:
                return {"literal": value}

    def _condition(self, condition: Any, depth: int) -> dict[str, Any]:
        if depth > self._deepest:
            raise self._wrong(f"conditions are more than {self._deepest} deep in each other")
        match condition:
            case {"operator": "and" | "or" as word, "exp": [*several]}:
                return {word: [self._condition(one, depth + 1) for one in several]}
            case {"operator": "not", "exp": negated}:
                return {"not": self._condition(negated, depth + 1)}
            case {"operator": operator, "left": left, "right": right} if operator in _COMPARE:
                compared = self._value(left, "cond"), self._value(right, "cond")
                return {"compare": _COMPARE[operator], "left": compared[0], "right": compared[1]}
            case _:
                return {"truth": self._value(condition, "cond")}
