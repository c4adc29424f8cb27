"""What is a pipeline's JSON form?"""

import base64
import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

from pydantic import BaseModel

from dfm.api._blocks import Collected, ForEach, If, Otherwise, TryFromCache, WriteToCache
from dfm.api._conditions import And, Comparison, Condition, Not, Or, Truth, as_condition
from dfm.api._each_site import EachSite, Gathered
from dfm.api._graph import SCALARS, Graph, has_inside, line_of
from dfm.api._operation import Operation, Statement, Yield, parameters_of
from dfm.api._references import Advise, Node, PlaceParam
from dfm.api._repeat import Again, Outcome, Repeat
from dfm.api._secure_sum import SecureSum
from dfm.api._sites import BestOf, Site
from dfm.errors import EncodingError, PipelineError

FORMAT = 1
ADVISE = {"advise": True}
"""Stands for a site, or a value, that is asked for."""
MARK = "$dfm"
"""A key that literals in plans use for values that JSON has no form for."""
_PLAIN_LEVELS = 40
"""Literals are part of the pipeline's JSON up to so many levels, for whose nesting its readers have a limit."""


def write_statements(graph: Graph) -> Iterator[dict[str, Any]]:
    """The pipeline's statements as plain JSON data, in their order."""
    for node, statement in graph.statements.items():
        after = [earlier.dfm_node_id for earlier in statement.dfm_predecessors()]
        common: dict[str, Any] = {"node": node, "block": graph.blocks.get(node), "after": after}
        match statement:
            case Operation():
                written = _operation(common, cast(Operation, statement))
                if node in graph.meets:
                    written["meets"] = graph.meets[node]
            case Yield():
                value = _argument(statement.value, "value", statement)
                rest = {"place": statement.place, "multiuse": statement.multiuse, "value": value}
                written = {"kind": "yield", **common, **rest}
            case ForEach():
                written = {"kind": "for_each", **common, "sequence": _argument(statement.seq, "seq", statement)}
            case Collected():
                value = _argument(statement.value, "node", cast(Collected, statement))
                rest = {"for_each": statement.loop.dfm_node_id, "value": value, "errors": statement.errors}
                written = {"kind": "collect", **common, **rest}
            case If():
                condition = _condition(as_condition(statement.cond, "If"), statement)
                written = {"kind": "if", **common, "condition": condition}
            case Otherwise():
                written = {"kind": "otherwise", **common, "if": statement.test.dfm_node_id}
            case TryFromCache():
                key = [_argument(part, "key", statement) for part in statement.dfm_key()]
                written = {"kind": "try_from_cache", **common, "key": key, "site": statement.site}
            case Repeat():
                start = {name: _argument(value, name, statement) for name, value in statement.start.items()}
                written = {"kind": "repeat", **common, "start": start, "at_most": statement.at_most}
            case Again():
                values = {name: _argument(value, name, statement) for name, value in statement.values.items()}
                until = None if statement.cond is None else _condition(statement.cond, statement)
                rest = {"repeat": statement.repeat.dfm_node_id, "next": values, "until": until}
                written = {"kind": "again", **common, **rest}
            case Outcome():
                written = {"kind": "outcome", **common, "repeat": statement.repeat.dfm_node_id}
            case EachSite():
                rest = {
                    "offers": list(statement.offers),
                    "sites": statement.sites and list(statement.sites),
                    "at_least": statement.at_least,
                    "errors": statement.errors,
                }
                written = {"kind": "each_site", **common, **rest}
            case Gathered():
                value = _argument(statement.value, "node", cast(Gathered, statement))
                rest = {"each_site": statement.each_site.dfm_node_id, "value": value, "missing": statement.only_missing}
                written = {"kind": "gather", **common, **rest}
            case SecureSum():
                value = _argument(statement.value, "node", cast(SecureSum, statement))
                rest = {"bound": statement.bound, "precision": statement.precision, "mean": statement.dfm_mean}
                written = {"kind": "secure_sum", **common, "each_site": statement.each_site.dfm_node_id, "value": value}
                written |= rest
            case WriteToCache():
                value = _argument(statement.value, "value", statement)
                written = {"kind": "write_to_cache", **common, "cache": statement.of.dfm_node_id, "value": value}
            case _:
                raise TypeError(type(statement))
        yield written


def _operation(common: dict[str, Any], operation: Operation) -> dict[str, Any]:
    kind = type(operation)
    values = operation.__dict__
    arguments: dict[str, Any] = {}
    given = operation.model_fields_set
    for parameter in parameters_of(kind):
        value = values[parameter.attribute]
        # Defaults are the site's business, as it may have its own; None for an optional parameter is "not given".
        if parameter.attribute in given and (value is not None or parameter.required):
            arguments[parameter.argument] = _argument(value, parameter.argument, operation, parameter.models)
    site, retry = operation.site, operation.retry
    return {
        "kind": "operation",
        **common,
        "operation": kind.dfm_operation,
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "site": _site(site),
        "provider": operation.provider,
        "retry": retry and {"times": retry.times, "backoff": retry.backoff},
        "timeout": operation.timeout,
        "arguments": arguments,
    }


def _site(site: Site) -> Any:
    if isinstance(site, BestOf):
        return {"best_of": site.sites and list(site.sites)}
    if isinstance(site, EachSite):
        return {"each_site": site.dfm_node_id}
    return ADVISE if isinstance(site, Advise) else site


def _condition(condition: Condition, statement: Statement) -> dict[str, Any]:
    match condition:
        case And():
            return {"and": [_condition(one, statement) for one in condition.conditions]}
        case Or():
            return {"or": [_condition(one, statement) for one in condition.conditions]}
        case Not():
            return {"not": _condition(condition.condition, statement)}
        case Comparison():
            left, right = (_argument(one, "cond", statement) for one in (condition.left, condition.right))
            return {"compare": condition.dfm_compare, "left": left, "right": right}
        case Truth():
            return {"truth": _argument(condition.value, "cond", statement)}
        case _:
            raise TypeError(type(condition))


def _argument(value: object, name: str, statement: Statement, models: frozenset[type] = frozenset()) -> dict[str, Any]:
    if type(value) in SCALARS and _is_plain(value):
        return {"literal": value}
    if isinstance(value, Node):
        node, path = value.dfm_target()
        return {"node": node.dfm_node_id, "path": [{step: to} for step, to in path]}
    if isinstance(value, Advise):
        return ADVISE
    if isinstance(value, PlaceParam):
        return {"param": value.place, "multiuse": value.multiuse}
    if has_inside(value):
        return _made(value, name, statement, models)
    if isinstance(value, BaseModel) and type(value) in models:
        fields = value.model_dump(by_alias=True, exclude_unset=not _makes_defaults(value))
        if _is_plain(fields):
            return {"literal": fields}
    if _is_plain(value):
        return {"literal": value}
    from dfm import _values

    try:
        return {"encoded": base64.b64encode(_values.dumps(value)).decode()}
    except (EncodingError, TypeError, ValueError) as error:
        raise PipelineError(
            f"{statement.dfm_title}: {name} cannot be saved or sent: {error}", line_of(statement)
        ) from None


def _makes_defaults(value: object) -> bool:
    """Whether a model in it has a default that is made anew each time, so that another site would make another."""
    match value:
        case BaseModel():
            fields, given = type(value).model_fields.items(), value.model_fields_set
            made = (name for name, field in fields if name not in given and field.default_factory is not None)
            return any(True for _ in made) or any(map(_makes_defaults, vars(value).values()))
        case list() | tuple():
            return any(map(_makes_defaults, cast("Sequence[object]", value)))
        case dict():
            return any(map(_makes_defaults, cast("dict[object, object]", value).values()))
        case _:
            return False


def _made(value: object, name: str, statement: Statement, models: frozenset[type]) -> dict[str, Any]:
    """A value with nodes or places inside."""

    def part(value: object) -> dict[str, Any]:
        return _argument(value, name, statement)

    match value:
        case list():
            return {"list": [part(item) for item in cast(list[object], value)]}
        case tuple():
            return {"tuple": [part(item) for item in cast(tuple[object, ...], value)]}
        case dict():
            return {"dict": [[part(key), part(item)] for key, item in cast(dict[object, object], value).items()]}
        case BaseModel() if type(value) in models:
            names = {name: field.serialization_alias or field.alias for name, field in type(value).model_fields.items()}
            made = _makes_defaults(value)
            given = ((key, item) for key, item in vars(value).items() if made or key in value.model_fields_set)
            return {"dict": [[part(names.get(key) or key), part(item)] for key, item in given]}
        case BaseModel():
            kind = type(value)
            fields = [[key, part(item)] for key, item in vars(value).items()]
            return {"model": f"{kind.__module__}:{kind.__qualname__}", "fields": fields}
        case _:
            raise TypeError(type(value))


def _is_plain(value: object, levels: int = _PLAIN_LEVELS) -> bool:
    """Whether JSON gives exactly this value back."""
    kind = type(value)
    if value is None or kind is bool:
        return True
    if kind is str:
        return _is_unicode(cast(str, value))
    if kind is int:
        return -(2**63) <= cast(int, value) < 2**64
    if kind is float:
        return math.isfinite(cast(float, value))
    if levels == 0:
        return False
    if kind is list:
        return all(_is_plain(one, levels - 1) for one in cast(list[object], value))
    if kind is dict:
        items = cast(dict[object, object], value)
        keys = all(type(key) is str and _is_unicode(key) for key in items)
        return MARK not in items and keys and all(_is_plain(one, levels - 1) for one in items.values())
    return False


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogate, which JSON's other readers refuse."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
