"""How do objects that are not plain data travel between sites?

The native codec carries what JSON knows, bytes, tuples and buffers. Everything else comes here: `reduce` names a
safe way to rebuild the object and the simpler value that it needs; `restore` does it. No name leads to code that the
receiving site has not already configured: classes are rebuilt only from the packages that the site allows.

What arrives may be from somebody who does not mean well. So each of the ways to rebuild something looks at the state
that it is given before it makes anything, and makes nothing that is much larger than what came, or takes long.
"""

import base64
import collections
import contextlib
import functools
import importlib
import itertools
import os
import pickle
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

from dfm import _native
from dfm._shown import clean_logger
from dfm.errors import LimitError
from dfm.values import _builtin, _classes, _files
from dfm.values._form import Unsent, harmless, malformed

MAX_VALUE = "DFM_MAX_VALUE"
"""The environment variable with the most bytes that a value may have which a site sends or takes."""
_MAX_VALUE = 1 << 30
"""NVFlare holds a message several times in each process that it passes."""
_LEAST_MAX_VALUE = 1 << 16
_BECOMES = 4
"""A value may become so many times as large in memory as the largest one that a site takes."""
_PART = 64
"""About what a part of a value takes in memory, in bytes."""
MOST_PARTS = 1 << 24
"""Parts of a value, the same one counted wherever it is, as it is sent as often: that takes a second or two. What has
more is an array or a table."""
MOST_ELEMENTS = 1 << 20
"""A loop goes through at most so many elements of one sequence, as the engine has it: each costs memory at once."""
_MOST_PLACES = 8
"""Of the way to a part of a value so many steps are told."""
_LONG_KEY = 60
"""Characters of a key that are told there."""
_PLAINER = (
    "return plain data, an array, a table, an image, a dataclass or a pydantic model, or have dfm.values.register say "
    "how its type travels (docs/values.md)"
)
_BY_VARIABLE = f"send less at once, or set the environment variable {MAX_VALUE} of the sites that pass it to more"
_BY_POLICY = (
    "send less at once, or have the owners of the sites that pass it raise `limits.value-bytes` of their policies "
    "(local/policy.yaml in a kit)"
)


class Policy(threading.local):
    """What the site of this thread sends, and takes from others. A thread without a site has the default."""

    def __init__(
        self, lenient: bool = False, packages: tuple[str, ...] | None = None, max_value: int = _MAX_VALUE
    ) -> None:
        self.lenient = lenient
        """Whether it takes what Flare's sites refuse: objects without an encoding, as pickles, which run code where
        they are opened; classes of any package; values of any size."""
        self.packages = packages
        """Top-level packages whose classes may be rebuilt here; None for a thread that has no site: it rebuilds none,
        and its values are judged where they are sent."""
        self.modules: tuple[str, ...] = ()
        """Modules of these packages that may be imported for that, beside those that are imported already."""
        self.max_value = max_value
        """The most bytes of a value."""
        self.smaller = _BY_VARIABLE
        """What to do about a value that is larger."""
        self.opens_pickles = False
        """Whether what is being decoded is from somebody whose pickles this site opens all the same."""
        self.opens_users = False
        """Whether its user is such a one, whose pipelines' literals may be pickles then."""
        self.doubts: dict[str, str] = {}
        """What Flare's sites would refuse of the value that is being encoded, by what is told once."""
        self.told: set[str] = set()
        """What has been told."""


policy = Policy()

_OUR_OWN = ("dfm.api._tokens", "dfm._discovery.answers", "dfm._discovery.advice", "dfm.errors")
"""Modules of dfm whose classes are rebuilt everywhere."""


def set_policy(
    lenient: bool, packages: Iterable[str], modules: Iterable[str] = (), most_bytes: int | None = None
) -> None:
    """Says what the site of this thread takes. `modules` may be imported for a value, as the site's configuration names
    them, and so may the generated ones. No value is larger than `most_bytes`, which its owner says, or than the
    environment says; without either, than what is usual.

    Raises:
        ValueError: the environment does not say how large values may be.
    """
    policy.lenient = lenient
    policy.packages = tuple(packages)
    policy.modules = tuple(modules)
    said = max_value()
    if most_bytes is None or (MAX_VALUE in os.environ and said < most_bytes):
        policy.max_value, policy.smaller = said, _BY_VARIABLE
    else:
        policy.max_value, policy.smaller = most_bytes, _BY_POLICY


@contextlib.contextmanager
def acting_for(lenient: bool, packages: tuple[str, ...] | None, modules: tuple[str, ...]) -> Generator[None]:
    """Lets this thread take for a while what a site takes whose own thread is another one."""
    before = vars(policy).copy()
    vars(policy).update(lenient=lenient, packages=packages, modules=modules, doubts={})
    try:
        yield
    finally:
        vars(policy).update(before)


def max_value() -> int:
    """The most bytes that a value may have, as the environment says.

    Raises:
        ValueError: it says something else.
    """
    text = os.environ.get(MAX_VALUE, str(_MAX_VALUE))
    if not text.isdecimal() or int(text) < _LEAST_MAX_VALUE:
        raise ValueError(f"{MAX_VALUE} is a number of bytes from {_LEAST_MAX_VALUE} on, not {text!r}")
    return int(text)


def sent(value: object, size: int) -> str | None:
    """Judges a value that was encoded: what its user should hear of it, once for each type.

    Raises:
        TypeError: it is too large.
    """
    doubts, policy.doubts = policy.doubts, {}
    if size > policy.max_value:
        kind: type[Any] = type(value)
        why = Unsent(f"it has {size} bytes, and this site sends no more than {policy.max_value}", policy.smaller)
        if not policy.lenient:
            raise _refused(kind, why)
        doubts[f"size of {_name(kind)}"] = f"a value of type {_name(kind)} is too large: {why}; {why.remedy}"
    return _told(doubts)


def _told(doubts: dict[str, str]) -> str | None:
    new = [text for about, text in doubts.items() if about not in policy.told]
    policy.told.update(doubts)
    if not new:
        return None
    return f"{'; '.join(new)}. Flare's sites refuse that; strict=True, or --strict, makes it an error here"


def most_parts() -> tuple[int, int]:
    """The most parts of a value that this site goes through, each counted as often as it is in it, and the most bytes
    of texts in them."""
    if policy.lenient:
        return 4 * MOST_PARTS, sys.maxsize
    most = _BECOMES * policy.max_value
    return min(MOST_PARTS, most // _PART), most


def too_many_parts(value: object) -> TypeError:
    """The error for a value that has more, for the native module."""
    parts, texts = most_parts()
    why = f"it has more than {parts} parts, or {texts} bytes of texts, each counted as often as it is in it"
    return harmless(TypeError(f"a value of type {_name(type(value))} is too large: {why}; {policy.smaller}"))


def received(size: int) -> int | None:
    """Judges a value that has arrived, before it is decoded.

    Returns:
        The most bytes that it may become; None for as many as it likes.

    Raises:
        ValueError: it is too large.
    """
    if policy.lenient:
        return None
    if size > policy.max_value:
        raise _too_large(f"a value of {size} bytes came")
    return _BECOMES * policy.max_value


def check_growth(size: int) -> None:
    """Judges a part of a value, before it is made.

    Raises:
        ValueError: it would become too large.
    """
    if size > _BECOMES * policy.max_value and not policy.lenient:
        raise _too_large(f"a value came that would become {size} bytes")


def _too_large(what: str) -> ValueError:
    return harmless(ValueError(f"{what}, and this site takes no more than {policy.max_value}; {policy.smaller}"))


def _doubt(kind: type[Any], why: str) -> None:
    if policy.lenient:
        policy.doubts[_name(kind)] = f"a value of type {_name(kind)} {why}"


def _name(kind: type[Any]) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def dumps(value: object) -> bytes:
    """The value as one piece of bytes.

    Raises:
        TypeError, ValueError: what cannot be encoded, and what to do.
    """
    return _native.dumps(value)


def loads(data: bytes) -> Any:
    """The value that `dumps` turned into bytes.

    Raises:
        ValueError, TypeError: what does not fit, or what this process does not accept.
    """
    return _native.loads(data)


def from_text(text: str) -> Any:
    """The value whose bytes a pipeline has as base64.

    Raises:
        ValueError, TypeError: as `loads`.
    """
    data = base64.b64decode(text)
    if policy.opens_users:
        policy.opens_pickles = True
        try:
            return loads(data)
        finally:
            policy.opens_pickles = False
    if policy.lenient:
        policy.lenient = False
        try:
            return loads(data)
        except TypeError as error:
            if (warning := _told({text: str(error)})) is not None:
                clean_logger("dfm.session").warning("a literal of the pipeline: %s", warning)
        finally:
            policy.lenient = True
    return loads(data)


def elements(value: Any) -> list[Any]:
    """A sequence's elements: a table's are its rows as dictionaries, a dictionary's its (key, value) pairs.

    Raises:
        TypeError: the value is no sequence.
        LimitError: it has too many.
        ValueError: two columns of a table have one name, so that its rows are no dictionaries.
    """
    check_columns(value)
    kind = cast("type[Any]", type(value))
    module = kind.__module__.partition(".")[0]
    rows = getattr(value, "num_rows", None) if module == "pyarrow" else None
    if isinstance(rows, int) or hasattr(kind, "__len__"):
        _check_elements(rows if isinstance(rows, int) else len(value))
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value).items())
    if module == "pandas" and hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict("records")
    if module == "polars" and hasattr(value, "to_dicts"):
        return value.to_dicts()
    if module == "pyarrow" and hasattr(value, "to_pylist"):
        return value.to_pylist()
    if isinstance(value, str | bytes | bytearray | memoryview) or hasattr(kind, "__pydantic_fields__"):
        raise harmless(TypeError(f"a ForEach goes through a sequence, and a value of type {kind.__name__} is none"))
    try:
        found = list(itertools.islice(cast("Iterable[Any]", value), MOST_ELEMENTS + 1))
    except TypeError:
        raise harmless(
            TypeError(f"a ForEach goes through a sequence, and a value of type {kind.__name__} is none")
        ) from None
    _check_elements(len(found))
    return found


def check_columns(value: Any) -> None:
    """Raises:
    ValueError: two columns of a table have one name, of which a dictionary of a row's cells would leave one out.
    """
    module = type(value).__module__.partition(".")[0]
    names: Any = ()
    if module == "pandas" and hasattr(value, "columns"):
        names = value.columns
    elif module == "pyarrow" and hasattr(value, "num_rows"):
        names = value.schema.names
    counts: collections.Counter[Any] = collections.Counter(names)
    twice: list[Any] = [name for name, count in counts.items() if count > 1]
    if twice:
        raise ValueError(
            f"the table has more than one column {twice[0]!r}, so that a row is no dictionary of its cells; give each "
            "column a name of its own"
        )


def _check_elements(count: int) -> None:
    if count > MOST_ELEMENTS:
        raise LimitError(f"a loop goes through at most {MOST_ELEMENTS} elements of one sequence, and this has {count}")


def error_token(failures: Sequence[_native.Failure], lines: Mapping[int | str, str] = MappingProxyType({})) -> Any:
    """What stands for a value that could not be made. `lines` has the user's `file:line` of nodes."""
    from dfm.api import ErrorRecord, ErrorToken

    return ErrorToken(
        errors=[
            ErrorRecord(
                site=one.site,
                node=one.node,
                operation=one.operation,
                frame=None if one.frame is None else list(one.frame),
                type=one.kind,
                message=one.message,
                stack_trace=one.stack_trace,
                line=None if one.node is None else lines.get(one.node),
            )
            for one in failures
        ]
    )


def reduce(value: Any) -> tuple[str, Any]:
    """A name for `restore`, and a simpler value for it.

    Raises:
        TypeError: the value's type has no encoding.
    """
    kind = cast("type[Any]", type(value))
    if kind.__module__ == "dfm.api._references" and kind.__name__ == "PickledObject":
        # The receiver still may refuse what its user asks for.
        return _pickled(value.value, Unsent("it was given as a PickledObject", _PLAINER))
    why = Unsent("it has no encoding that is safe to send", _PLAINER)
    try:
        if (found := _builtin.reduced(value) or _files.reduced(value) or _classes.reduced(value, _path)) is not None:
            return found
    except Unsent as unsent:
        why = unsent
    except Exception as error:
        why = Unsent("taking it apart failed", _PLAINER, error)
    if policy.lenient:
        return _pickled(value, why)
    raise _refused(kind, why) from why.cause


def taken_apart(value: object) -> tuple[str, Any] | None:
    """As `reduce`, for who only looks at what would be sent; None for what has no encoding, or goes as a pickle."""
    doubts, policy.doubts = policy.doubts, {}
    try:
        if type(value).__name__ == "PickledObject" and type(value).__module__ == "dfm.api._references":
            return None
        return _builtin.reduced(value) or _files.reduced(value) or _classes.reduced(value, _path)
    except Exception:
        return None
    finally:
        policy.doubts = doubts


def refused(value: object, why: str, remedy: str) -> TypeError:
    """The error for plain data that cannot be sent, for the native module."""
    return _refused(type(value), Unsent(why, remedy))


def _refused(kind: type[Any], why: Unsent) -> TypeError:
    """The error for a value that cannot be sent: of which type it is, why that is, and what to do."""
    policy.doubts = {}  # of what is not sent, nobody has to hear that Flare's sites would refuse it
    if why.cause is None:
        return harmless(TypeError(f"a value of type {_name(kind)} cannot be sent: {why}; {why.remedy}"))
    cause = "".join(traceback.format_exception_only(why.cause)).strip()
    return TypeError(f"a value of type {_name(kind)} cannot be sent: {why}: {cause}; {why.remedy}")


def model_of(path: str, fields: dict[str, Any], *, validated: bool = True) -> Any:
    """A model's object of what a pipeline gives for its fields, which the model validates unless they hold nodes yet.

    Raises:
        TypeError: this process does not accept the class, or it is no model.
        ValueError: the model does not accept the fields.
    """
    kind: Any = _class(path)
    if not hasattr(kind, "__pydantic_fields__") or not hasattr(kind, "model_validate"):
        raise harmless(TypeError(f"{path} is not a pydantic model here"))
    return kind.model_validate(fields, by_name=True) if validated else kind.model_construct(**fields)


def restore(name: str, state: Any) -> Any:
    """The object that `reduce` took apart.

    Raises:
        ValueError: no such name, or a state that is not of its form.
        TypeError: this process does not accept it.
    """
    rebuild: Callable[[Any], Any] | None
    if type(name) is not str:
        raise malformed()
    if name == "pickle":
        return _restore_pickle(state)
    if name in _classes.NAMES:
        rebuild = functools.partial(_classes.restored, name, found=_class)
    elif (rebuild := _builtin.RESTORE.get(name) or _files.restorer(name)) is None:
        raise harmless(
            ValueError(
                f"no encoding is called {name[:60]!r} here; the other site runs another version of dfm, or nothing "
                "that is imported here registers it"
            )
        )
    try:
        return rebuild(state)
    except (TypeError, ValueError):
        raise
    except Exception as error:
        raise ValueError(f"an object came that cannot be made: {error}") from None


def located(error: Exception, steps: Sequence[tuple[str, Any, Any]]) -> Exception:
    """The error of a part of a value that is being sent, saying which part.

    Args:
        error: what was wrong with the part.
        steps: the way to it, each (`item`, a list's index or a dictionary's key, None) or (`object`, what was reduced,
            the name that it was reduced to).
    """
    if not (where := _place(steps)):
        return error
    made = (TypeError if isinstance(error, TypeError) else ValueError)(f"{where}: {error}")
    if vars(error).get("dfm_public"):
        harmless(made)
    return made.with_traceback(error.__traceback__)


def _place(steps: Sequence[tuple[str, Any, Any]]) -> str:
    parts: list[str] = []
    at = 0
    while at < len(steps):
        kind, one, name = steps[at]
        at += 1
        if kind == "item":
            parts.append(f"[{shown_key(one)}]")
            continue
        # Of what an object was reduced to, its encoding knows what users call it.
        within = list(itertools.takewhile(lambda step: step[0] == "item", steps[at:]))
        at += len(within)
        parts.append(_place_in(name, one, [step[1] for step in within]))
    if len(parts) > _MOST_PLACES:
        parts[_MOST_PLACES:] = ["…"]
    return f"value{''.join(parts)}" if any(parts) else ""


def _place_in(name: str, value: Any, steps: list[Any]) -> str:
    match name, steps:
        case (("model" | "dataclass" | "named-tuple"), [1, field, *rest]):
            return f".{field}" + "".join(f"[{shown_key(one)}]" for one in rest)
        case "exception", [1, index, *rest]:
            return f".args[{index}]" + "".join(f"[{shown_key(one)}]" for one in rest)
        case "exception", [3, field, *rest]:
            return f".{field}" + "".join(f"[{shown_key(one)}]" for one in rest)
        case "exception", [4, *_]:
            return ".__cause__"
        case (("ordered-dict" | "counter"), rest):
            return "".join(f"[{shown_key(one)}]" for one in rest)
        case (("default-dict" | "deque"), [_, *rest]):
            return "".join(f"[{shown_key(one)}]" for one in rest)
        case _:
            return _files.place(name, value, steps)


def shown_key(key: Any) -> str:
    """An index or a key, as far as this site tells what values are like."""
    if type(key) is int:
        return str(key)
    from dfm.exec._telling import tells_data_here  # which needs this module

    if not tells_data_here():
        return "…"
    shown = repr(key) if isinstance(key, str | float | bool | None) else type(key).__name__
    return shown if len(shown) <= _LONG_KEY else f"{shown[:_LONG_KEY]}…"


def _path(kind: type[Any]) -> str:
    module, name = kind.__module__, kind.__qualname__
    if policy.packages is not None and not _is_known(module):
        if not policy.lenient:
            package = module.partition(".")[0]
            raise Unsent(
                f"sites rebuild classes of {_known_packages()}, and this is one of package '{package}'",
                "name that in `values: {packages: […]}` of the federation's configuration, or return plain data",
            )
        _doubt(kind, "is of a package that is not the federation's")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not isinstance(found, type):
        raise Unsent(
            f"there is no class {name} in module {module}", "define its class in a module, outside of functions"
        )
    return f"{module}:{name}"


def _known_packages() -> str:
    return ", ".join(policy.packages or ()) or "no package"


def _is_known(module: str) -> bool:
    return module.partition(".")[0] in (policy.packages or ()) or module in _OUR_OWN


def _class(path: str) -> type[Any]:
    module, _, name = path.partition(":")
    package = module.partition(".")[0]
    if not policy.lenient and not _is_known(module):
        raise harmless(
            TypeError(
                f"this site does not rebuild objects of package '{package}' ({path[:200]}); its federation names only "
                f"{_known_packages()}: name it in `values: {{packages: […]}}` of its configuration"
            )
        )
    found: Any = _module(module)
    for part in name.split("."):
        # A class is one of its own module's: to go through what that has imported leads anywhere.
        found = vars(found).get(part)
        if not isinstance(found, type):
            raise TypeError(
                f"there is no class {name} in module {module} here; a class that crosses to another site must be in a "
                "module that can be imported there"
            )
        if found.__module__ != module and not policy.lenient:
            raise TypeError(
                f"this site does not rebuild {path}, which is defined in another module; send an object of a class of "
                "that module's own"
            )
    return cast("type[Any]", found)


def _module(name: str) -> Any:
    """A module, which a message's choice alone must not import: it may do things when it is imported."""
    if (found := sys.modules.get(name)) is not None:
        return found
    generated = any(name.startswith(f"{package}.fed.") for package in policy.packages or ())
    named = name in policy.modules or f"{name.partition('.')[0]}.*" in policy.modules
    if not (policy.lenient or generated or named or name in _OUR_OWN):
        raise TypeError(
            f"the module {name} is not imported here, and the site's configuration does not name it; import it in the "
            "application, or have the configuration name the class as the type of an operation"
        )
    return importlib.import_module(name)


def packages_of(site: Mapping[str, Any]) -> list[str]:
    """The packages whose classes a site rebuilds, `site` being the content of its `site.json`."""
    return [site["federation"], *site.get("packages", [])]


def pickles_of(site: Mapping[str, Any], home: str, user: str) -> set[str]:
    """The sites whose pickles a site opens in a session, `site` being the content of its `site.json`: of those that it
    names, and the application's own, `home`, if it names the application's user. A site of that name is not the user,
    and an application itself opens none, as what it keeps of a job may be read by a later one."""
    if site["site"] == home:
        return set()
    named: list[str] = site.get("pickle_from", [])
    sites = {name for name in named if "@" not in name and name != home}
    return sites | {home} if "@" in user and user in named else sites


def modules_of(site: Mapping[str, Any]) -> list[str]:
    """The modules that a site's configuration names, `site` being the content of its `site.json`: `name.*` for all of a
    package."""
    parts: list[Any] = [site["impl"], *(provider["impl"] for provider in site["providers"].values())]
    paths = [part["path"] for part in parts if part is not None]
    for binding in site["bindings"]:
        paths += [binding["adapter"]["path"], *binding["models"].values()]
        paths += [path for of in (*binding["types"].values(), binding["returns"]) for path in _classes_in(of)]
    packages = [f"{package}.*" for package in site.get("packages", [])]
    return sorted({path.rpartition(".")[0] for path in paths if "." in path}) + packages


def _classes_in(schema: Any) -> Iterator[str]:
    """The paths of the classes that a type names, as `site.json` has it."""
    if isinstance(schema, list):
        for one in cast("list[Any]", schema):
            yield from _classes_in(one)
    elif isinstance(schema, dict):
        keys = cast("dict[str, Any]", schema)
        if isinstance(path := keys.get("class"), str):
            yield path
        for key in ("anyOf", "oneOf", "allOf", "items", "additionalProperties"):
            yield from _classes_in(keys.get(key))


def _pickled(value: Any, why: Unsent) -> tuple[str, Any]:
    buffers: list[pickle.PickleBuffer] = []
    kind = cast("type[Any]", type(value))
    _doubt(kind, f"goes as a pickle, as {why}; {why.remedy}")
    try:
        data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        return "pickle", [data, [memoryview(buffer.raw()) for buffer in buffers]]
    except Exception as error:
        raise _refused(kind, Unsent(f"{why}, and pickling it fails", why.remedy, error)) from None


def _restore_pickle(state: Any) -> Any:
    if not (policy.lenient or policy.opens_pickles):
        raise harmless(
            TypeError(
                "this site does not accept pickled objects, for opening one runs its maker's code: have "
                "dfm.values.register say how its type travels, or pass simpler data; whom a site trusts so far, its "
                "`pickle_from` in the federation's configuration names"
            )
        )
    return pickle.loads(state[0], buffers=state[1])
