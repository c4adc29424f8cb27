"""How is a pipeline read back from its JSON form?"""

import base64
import importlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any, cast

from dfm import _native
from dfm.api import _lines
from dfm.api._blocks import Block, Collected, ForEach, If, Otherwise, TryFromCache, WriteToCache, around
from dfm.api._conditions import COMPARISONS, And, Condition, Not, Or, Truth
from dfm.api._document import ADVISE
from dfm.api._each_site import EachSite, Gathered
from dfm.api._graph import Graph, current
from dfm.api._operation import Operation, Statement, Yield
from dfm.api._references import Advise, Node, NodeRef, PlaceParam, Retry, Step
from dfm.api._repeat import Outcome, Repeat
from dfm.api._secure_sum import SecureMean, SecureSum
from dfm.api._sites import BestOf
from dfm.errors import EncodingError, PipelineError

_KINDS = frozenset(
    (
        "operation",
        "yield",
        "for_each",
        "collect",
        "if",
        "otherwise",
        "try_from_cache",
        "write_to_cache",
        "each_site",
        "gather",
        "secure_sum",
        "repeat",
        "again",
        "outcome",
    )
)
_AFTER_THEIR_OWN = frozenset(("collect", "again", "outcome", "gather", "secure_sum", "otherwise"))
"""The kinds that come after what they are about, and after nothing else."""


def read_document(document: dict[str, Any], source: str, discovers: bool = False) -> Graph:
    """The pipeline's content, from its JSON form; every statement is made by its generated class.

    Raises:
        PipelineError: what in `source` does not fit.
    """
    graph = Graph(discovers)
    around = current.graph
    current.graph = graph
    try:
        for index, statement in enumerate(_get(document, "statements", list, source)):
            line = _lines.reading.line = f"{source}: statement {index}"
            try:
                _read_statement(graph, statement, document, line)
                _check_place(graph, statement, line)
            except PipelineError:
                raise
            except (AttributeError, LookupError, TypeError, ValueError) as error:
                raise PipelineError(f"the statement is damaged: {error}", line) from None
        for statement in graph.statements.values():
            if isinstance(statement, Block):
                statement.dfm_has_body()
                statement.dfm_check_body(graph.lines[statement.dfm_place()[1]])
    finally:
        current.graph = around
        _lines.reading.line = None
    return graph


def _check_place(graph: Graph, statement: dict[str, Any], line: str) -> None:
    """Refuses a statement that says of itself what is not so."""
    node, block = statement["node"], statement.get("block")
    if graph.blocks.get(node) != block:
        raise PipelineError(
            f"the node {node!r} says that it stands in the block {block!r}, and stands beside what it is about", line
        )
    if statement["kind"] in _AFTER_THEIR_OWN and statement.get("after"):
        raise PipelineError(
            f"the node {node!r} says which nodes it comes after, and comes after what it is about", line
        )


def _read_statement(graph: Graph, statement: Any, document: dict[str, Any], line: str) -> None:
    if not isinstance(statement, dict):
        raise PipelineError("a statement is a dictionary", line)
    statement = cast(dict[str, Any], statement)
    kind = statement.get("kind")
    if kind not in _KINDS:
        raise PipelineError(f"a statement of kind {kind!r} is not available yet", line)
    block, node = statement.get("block"), _get(statement, "node", (int, str), line)
    if block is not None and not isinstance(graph.statements.get(block), Block):
        raise PipelineError(f"the block {block!r} is none that a statement before this one opens", line)
    graph.open[:] = reversed(list(around(graph, block)))
    if kind == "collect":
        loop, value = _node(graph, statement.get("for_each"), line), _get(statement, "value", dict, line)
        if not isinstance(loop, ForEach | Repeat):
            raise PipelineError("'for_each' is not the node id of a ForEach or a Repeat", line)
        Collected(loop, _read_argument(graph, "value", value, line), statement.get("errors", "fail"), node)
        return
    if kind in ("again", "outcome"):
        if not isinstance(repeat := graph.statements.get(_get(statement, "repeat", (int, str), line)), Repeat):
            raise PipelineError("'repeat' is not the node id of a Repeat", line)
        if kind == "outcome":
            Outcome(repeat, node)
            return
        given = cast(dict[str, Any], _get(statement, "next", dict, line))
        values = {name: _read_argument(graph, name, value, line) for name, value in given.items()}
        until = statement.get("until")
        repeat.next(**values)
        if until is not None:
            repeat.until(_read_condition(graph, until, line))
        repeat.dfm_end_round(node)
        return
    if kind == "gather":
        value = _get(statement, "value", dict, line)
        if not isinstance(each := graph.statements.get(_get(statement, "each_site", (int, str), line)), EachSite):
            raise PipelineError("'each_site' is not the node id of an EachSite", line)
        missing = _get(statement, "missing", bool, line)
        Gathered(each, _read_argument(graph, "value", value, line), missing, node)
        return
    if kind == "secure_sum":
        value = _get(statement, "value", dict, line)
        if not isinstance(each := graph.statements.get(_get(statement, "each_site", (int, str), line)), EachSite):
            raise PipelineError("'each_site' is not the node id of an EachSite", line)
        added = SecureMean if _get(statement, "mean", bool, line) else SecureSum
        terms = {name: _get(statement, name, (int, float), line) for name in ("bound", "precision")}
        added(each, cast(Node, _read_argument(graph, "value", value, line)), **terms, dfm_node_id=node)
        return
    if kind == "otherwise":
        if not isinstance(test := graph.statements.get(_get(statement, "if", (int, str), line)), If):
            raise PipelineError("'if' is not the node id of an If", line)
        Otherwise(test, node)
        return
    common: dict[str, Any] = {
        "dfm_node_id": node,
        "dfm_after": [_node(graph, node, line) for node in _get(statement, "after", list, line)] or None,
    }
    if kind == "for_each":
        ForEach(_read_argument(graph, "sequence", _get(statement, "sequence", dict, line), line), **common)
        return
    if kind == "if":
        If(_read_condition(graph, _get(statement, "condition", dict, line), line), **common)
        return
    if kind == "repeat":
        given = cast(dict[str, Any], _get(statement, "start", dict, line))
        start = {name: _read_argument(graph, name, value, line) for name, value in given.items()}
        Repeat(start, _get(statement, "at_most", int, line), **common)
        return
    if kind == "each_site":
        choice = {name: statement.get(name) for name in ("sites", "at_least")}
        errors = statement.get("errors", "fail")
        EachSite(_get(statement, "offers", list, line), **choice, errors=errors, **common)
        return
    if kind == "try_from_cache":
        parts = [_read_argument(graph, "key", part, line) for part in _get(statement, "key", list, line)]
        TryFromCache(parts[0] if len(parts) == 1 else tuple(parts), statement.get("site"), **common)
        return
    if kind == "write_to_cache":
        if not isinstance(cache := graph.statements.get(_get(statement, "cache", (int, str), line)), TryFromCache):
            raise PipelineError("'cache' is not the node id of a TryFromCache", line)
        value = _read_argument(graph, "value", _get(statement, "value", dict, line), line)
        WriteToCache(cache, value, **common)
        return
    if kind == "yield":
        value = _read_argument(graph, "value", _get(statement, "value", dict, line), line)
        place, multiuse = _get(statement, "place", str, line), _get(statement, "multiuse", bool, line)
        Yield(value, place, multiuse, **common)
        return
    operation = _generated_class(statement, document, line)
    site = _get(statement, "site", (str, dict), line)
    arguments = cast(dict[str, dict[str, Any]], _get(statement, "arguments", dict, line))
    values = {name: _read_argument(graph, name, argument, line) for name, argument in arguments.items()}
    if site == ADVISE:
        site = Advise()
    elif not isinstance(site, str) and "each_site" in site:
        if not isinstance(site := graph.statements.get(cast(dict[str, Any], site)["each_site"]), EachSite):
            raise PipelineError("'each_site' is not the node id of an EachSite", line)
    elif not isinstance(site, str):
        site = BestOf(cast(dict[str, Any], site).get("best_of"))
    match statement.get("retry"):
        case None:
            pass
        case {"times": times, "backoff": backoff}:
            common["retry"] = Retry(times, backoff)
        case _:
            raise PipelineError("'retry' is neither null nor times and backoff", line)
    if statement.get("timeout") is not None:
        common["timeout"] = statement["timeout"]
    operation(site=site, provider=statement.get("provider"), **common, **values)
    if (meets := statement.get("meets")) is not None:
        graph.meets[node] = [_read_meeting(meeting, line) for meeting in meets]


def _read_meeting(meeting: Any, line: str) -> dict[str, Any]:
    match meeting:
        case {"site": str(site), "of": list()} if all(isinstance(name, str) for name in meeting["of"]):
            return {"site": site, "of": meeting["of"]}
        case _:
            raise PipelineError("where parts meet is a site and the list of the sites that they come from", line)


def _read_condition(graph: Graph, condition: Any, line: str) -> Condition:
    match condition:
        case {"and": [_, *_] as all_of}:
            return And([_read_condition(graph, one, line) for one in cast(list[Any], all_of)])
        case {"or": [_, *_] as one_of}:
            return Or([_read_condition(graph, one, line) for one in cast(list[Any], one_of)])
        case {"not": negated}:
            return Not(_read_condition(graph, negated, line))
        case {"compare": str(name), "left": left, "right": right} if name in COMPARISONS:
            return COMPARISONS[name](
                _read_argument(graph, "left", left, line), _read_argument(graph, "right", right, line)
            )
        case {"truth": value}:
            return Truth(_read_argument(graph, "truth", value, line))
        case _:
            raise PipelineError("a condition is an and, an or, a not, a compare or a truth", line)


def _read_argument(graph: Graph, name: str, argument: Any, line: str) -> Any:
    match argument:
        case {"literal": literal}:
            return literal
        case {"advise": True}:
            return Advise()
        case {"param": str(place)}:
            return PlaceParam(place, bool(argument.get("multiuse", False)))
        case {"node": node}:
            path = tuple(_step(step, line) for step in argument.get("path", []))
            return NodeRef(cast(Statement, _node(graph, node, line)), path) if path else _node(graph, node, line)
        case {"list": list()} | {"tuple": list()} | {"dict": list()} | {"model": str(), "fields": list()}:
            return _read_made(graph, name, cast(dict[str, Any], argument), line)
        case {"encoded": str(text)}:
            from dfm import _values

            try:
                return _values.loads(base64.b64decode(text))
            except (EncodingError, TypeError, ValueError) as error:
                raise PipelineError(f"the value of {name} cannot be read: {error}", line) from None
        case _:
            raise PipelineError(f"{name} is neither a literal, a param, a node, an advise nor an encoded value", line)


def _read_made(graph: Graph, name: str, made: dict[str, Any], line: str) -> Any:
    """A value with nodes or places inside."""

    def read(part: Any) -> Any:
        return _read_argument(graph, name, part, line)

    if "list" in made:
        return [read(part) for part in made["list"]]
    if "tuple" in made:
        return tuple(read(part) for part in made["tuple"])
    if "dict" in made:
        return {read(key): read(part) for key, part in made["dict"]}
    from dfm import _values

    try:
        fields = {str(key): read(part) for key, part in made["fields"]}
        return _values.model_of(made["model"], fields, validated=False)
    except (EncodingError, TypeError, ValueError) as error:
        raise PipelineError(f"the value of {name} cannot be read: {error}", line) from None


def _step(step: Any, line: str) -> Step:
    match step:
        case {"attribute": str(name)}:
            return "attribute", name
        case {"index": int(index)}:
            return "index", index
        case {"key": str(key)}:
            return "key", key
        case _:
            raise PipelineError(f"a path's step is an attribute, an index or a key, not {step!r}", line)


def _node(graph: Graph, node: Any, line: str) -> Node:
    found = graph.statements.get(node) if isinstance(node, int | str) else None
    if not isinstance(found, Node):
        raise PipelineError(f"there is no node with the id {node!r} before this statement", line)
    return found


def _generated_class(statement: dict[str, Any], document: dict[str, Any], line: str) -> type[Operation]:
    """The generated class; a file must not have any other code imported."""
    path, name = _get(statement, "class", str, line), _get(statement, "operation", str, line)
    found = generated_class(path)
    if found is None or found.dfm_operation != name:
        raise PipelineError(
            f"{path} is not the generated class of the operation {name}; generate the federation's code, "
            "and see that Python finds it",
            line,
        )
    version = str(document.get("api_version"))
    if not _native.same_api(version, found.dfm_api_version):
        raise PipelineError(
            f"the pipeline was written for version {version} of {found.dfm_package}, but the generated code here is "
            f"version {found.dfm_api_version}; build the pipeline again with this code",
            line,
        )
    return found


@cache
def generated_class(path: str) -> type[Operation] | None:
    """The generated class of a dotted path; None for anything else, which is not imported."""
    parts = path.split(".")
    if (
        not path.isascii()
        or len(parts) < 5
        or not all(map(str.isidentifier, parts))
        or parts[1] != "fed"
        or parts[2] not in ("api", "site")
    ):
        return None
    spec = importlib.util.find_spec(parts[0])
    folders = spec.submodule_search_locations if spec is not None else None
    if not any(Path(folder, "fed", "fed_info.json").is_file() for folder in folders or ()):
        return None
    try:
        found = getattr(importlib.import_module(".".join(parts[:-1])), parts[-1], None)
    except ModuleNotFoundError:
        return None
    return cast("type[Operation]", found) if isinstance(found, type) and issubclass(found, Operation) else None


def _get(document: dict[str, Any], key: str, kind: Any, line: str) -> Any:
    if not isinstance(value := document.get(key), kind):
        raise PipelineError(f"'{key}' is missing or of the wrong type ({type(value).__name__})", line)
    return value
