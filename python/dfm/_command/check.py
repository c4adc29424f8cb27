"""Do adapters fit their bindings, and are the classes there that a configuration names?

`dfm fed check --adapters` runs this: LIMIT in `sys.argv`, the seconds for importing one class, and a JSON list of tasks
on stdin. Lines of stdout are JSON: `null` when a task begins, its problems when it is done. The code that is imported
may end the process, or hang until a watchdog of the interpreter's own ends it, which then writes where it was.
"""

from __future__ import annotations

import faulthandler
import functools
import importlib
import inspect
import json
import os
import sys
import traceback
import typing
from collections.abc import Callable
from typing import Any, Literal, TypedDict

import dfm
from dfm.exec._bodies import body_misfits, kind_of
from dfm.exec._classes import NoClassError, class_at
from dfm.exec._fitting import fitting


class Task(TypedDict):
    """A class to look at; for an adapter also what its binding says."""

    path: str
    kind: Literal["adapter", "site", "provider", "vault", "type"]
    args: list[str]
    arguments: list[str]
    optional: list[str]
    """Of these, what a call may lack."""
    is_async: bool
    types: dict[str, str]
    """JSON types that arguments are delivered as, where that is known."""


class Problem(TypedDict):
    """What is wrong, in words, with the argument it is about, if any."""

    kind: str
    message: str
    help: str
    argument: str | None


def main() -> None:
    """Works through the tasks."""
    limit = float(sys.argv[1])
    tasks: list[Task] = json.load(sys.stdin)
    # Nothing that is imported reads the tasks, or writes among the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    for task in tasks:
        print("null", file=answers)
        faulthandler.dump_traceback_later(limit, exit=True, file=answers)
        problems = _problems(task)
        faulthandler.cancel_dump_traceback_later()
        print(json.dumps(problems), file=answers)
    sys.stdout.flush()
    # Threads that were left behind are nobody's reason to wait.
    os._exit(0)


def _problems(task: Task) -> list[Problem]:
    path = task["path"]
    found = _imported(path, task["kind"] != "type")
    if found is None:
        return []
    if not isinstance(found, type):
        return [found]
    if task["kind"] == "type":
        return []
    problems = _constructor_problems(found, task)
    if task["kind"] != "adapter":
        return problems
    body: Any = inspect.getattr_static(found, "body", None)
    body = getattr(body, "__func__", body)
    if not callable(body):
        message = f"the adapter `{path}` has no method `body`"
        return [*problems, _problem("no-body", message, "write `async def body(self, …)`, which dfm calls")]
    return problems + _body_problems(path, found, body, task)


@functools.cache
def _imported(path: str, needed: bool) -> type[Any] | Problem | None:
    """The class of this path, or why there is none; nothing for one not needed whose package is not here."""
    module = path.rpartition(".")[0]
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if not needed and missing == module.partition(".")[0]:
            # Another site's, perhaps.
            return None
        if not (module + ".").startswith(missing + "."):
            message = f"importing `{module}` failed: {_reason(error)}"
            return _problem("import", message, f"install `{missing}` here, or check where the site's packages are")
    except Exception as error:
        return _problem("import", f"importing `{module}` failed: {_reason(error)}", "mend the module")
    except BaseException as error:
        message = f"importing `{module}` ended with {_reason(error)}"
        return _problem("import", message, "a module that is imported should define things, not run")
    try:
        return class_at(path)
    except NoClassError as error:
        message = f"`{path}` cannot be imported: {error.told}{error.detail}"
        return _problem("import", message, error.hint or "write its module and its name")


def _reason(error: BaseException) -> str:
    """The exception in one line, with the last line of the user's that led to it."""
    lines = traceback.format_exception_only(error)
    words = lines[-1].strip() if lines else type(error).__name__
    if isinstance(error, SyntaxError):
        return f"{words} ({error.filename}:{error.lineno})"
    own = (os.path.dirname(dfm.__file__), os.path.dirname(importlib.__file__), "<frozen")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(own)]
    return f"{words} ({frames[-1].filename}:{frames[-1].lineno})" if frames else words


_OFFERED = {
    "adapter": ("site", "provider"),
    "site": ("dfm_context", "cache_config", "secrets_vault_config"),
    "provider": ("site", "name"),
    "vault": (),
}
"""What constructors get that name it, besides what is configured."""


def _constructor_problems(made: type[Any], task: Task) -> list[Problem]:
    try:
        signature = inspect.signature(made)
    except (TypeError, ValueError):
        return []
    offered = _OFFERED[task["kind"]]
    args, kwargs = fitting(made, dict.fromkeys(offered), dict.fromkeys(task["args"]))
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        given = ", ".join([*offered, *(f"{name}=…" for name in task["args"])])
        message = f"the {task['kind']}'s class `{made.__name__}` cannot be constructed with ({given}): {error}"
        return [_problem("constructor", message, f"its constructor is `{made.__name__}{signature}`")]
    return []


def _body_problems(path: str, adapter: type[Any], body: Callable[..., Any], task: Task) -> list[Problem]:
    unknown, missing = body_misfits(body, set(task["arguments"]), _is_method(adapter))
    problems: list[Problem] = []
    for name in unknown:
        message = f"the body of `{path}` takes no argument `{name}`"
        problems.append(_problem("unknown-argument", message, f"it is `{_shown(body)}`", name))
    for name in missing:
        message = f"the body of `{path}` needs the argument `{name}`, which the binding does not give"
        problems.append(_problem("missing-argument", message, f"add it to `args`; it is `{_shown(body)}`"))
    always = set(task["arguments"]) - set(task["optional"])
    for name in body_misfits(body, always, _is_method(adapter))[1]:
        if name in task["optional"]:
            message = f"the body of `{path}` needs the argument `{name}`, whose parameter is optional without a default"
            help = f"add it to `required`, write its `default` there, or `{name}=None` here: it is `{_shown(body)}`"
            problems.append(_problem("optional-argument", message, help, name))
    problems += _annotation_problems(path, body, task)
    kind = kind_of(body)
    waits = kind in ("coroutine", "async generator")
    if waits and not task["is_async"]:
        message = f"the body of `{path}` is {_WORDS[kind]}, but the binding says `is-async: false`"
        problems.append(_problem("is-async", message, "leave `is-async` out"))
    elif not waits and task["is_async"]:
        message = f"the body of `{path}` is {_WORDS[kind]}, but `is-async` is true unless the binding says otherwise"
        problems.append(_problem("is-async", message, "write `is-async: false` in the binding, or `async def body`"))
    return problems


_DELIVERED: dict[str, tuple[type, ...]] = {
    "string": (str, bytes),
    "integer": (int, float),
    "number": (float,),
    "boolean": (bool, int),
    "array": (list, tuple, set, frozenset),
    "object": (dict,),
}
"""JSON type → the plain classes that such a value may be said to be of: some formats are other ones than the first."""
_PLAIN = frozenset(one for several in _DELIVERED.values() for one in several)


def _annotation_problems(path: str, body: Callable[..., Any], task: Task) -> list[Problem]:
    """What a body says of its arguments that cannot be; other classes than plain ones may be made in many ways."""
    try:
        said = typing.get_type_hints(body)
    except Exception:
        # Names that only a type checker knows.
        return []
    problems: list[Problem] = []
    for name, kind in task["types"].items():
        of = typing.get_origin(said.get(name)) or said.get(name)
        if kind in _DELIVERED and of in _PLAIN and of not in _DELIVERED[kind]:
            message = f"the body of `{path}` says that `{name}` is of type `{of.__name__}`, and it gets the type {kind}"
            help = "write the type that is delivered, or mend the operation's parameter"
            problems.append(_problem("annotation", message, help, name))
    return problems


_WORDS = {
    "coroutine": "a coroutine",
    "async generator": "an async generator",
    "generator": "a generator",
    "thread": "a plain method",
}
"""How a body is called in a message."""


def _is_method(adapter: type[Any]) -> bool:
    """Whether `body` is called with the adapter itself first."""
    return not isinstance(inspect.getattr_static(adapter, "body", None), staticmethod)


def _shown(body: Callable[..., Any]) -> str:
    try:
        return f"body{inspect.signature(body)}"
    except (TypeError, ValueError):
        return "body(…)"


def _problem(kind: str, message: str, help: str, argument: str | None = None) -> Problem:
    return {"kind": kind, "message": message, "help": help, "argument": argument}
