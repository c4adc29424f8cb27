"""How do a site's bindings become calls of its adapters?

Reads a site's `site.json`, and nothing else: what it does not bind cannot be called here.
"""

from __future__ import annotations

import copy
import getpass
import importlib
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, cast

from dfm._advice import DISCOVERY_PLACE, ErrorFieldAdvice, SiteAdvice
from dfm.exec._advisors import Advisor, advisors
from dfm.exec._cache import Cache
from dfm.exec._site import DfmContext, EnvironmentVault, Provider, SecretsVault, Site, SiteSettings

Operation = tuple[str, str | None]
"""An operation's name, and the provider that is meant, if any."""


class BindingError(Exception):
    """What is wrong with the configuration of an operation at this site, for its administrator."""


class Bound:
    """An adapter that is ready to be called."""

    __slots__ = (
        "accepted",
        "advisors",
        "body",
        "copied",
        "discoverable",
        "exposed",
        "fixed",
        "kind",
        "models",
        "params",
        "plain",
    )

    def __init__(self, body: Callable[..., Any], kind: str) -> None:
        self.body = body
        self.kind = kind
        """`coroutine`, `async generator`, `thread` or `generator`."""
        self.fixed: dict[str, Any] = {}
        """Arguments whose value does not depend on the call."""
        self.copied: dict[str, Any] = {}
        """Those of them that an adapter could change: each call gets its own."""
        self.params: list[tuple[str, str]] = []
        """(argument, the operation's parameter)."""
        self.exposed: list[tuple[str, str]] = []
        """(argument, the parameter that overrides its source)."""
        self.models: list[tuple[str, type[Any]]] = []
        """(parameter, the class that a literal is rebuilt into)."""
        self.accepted: set[str] = set()
        """The parameters that it takes."""
        self.discoverable: set[str] = set()
        """Those of them that may be asked for."""
        self.advisors: list[Advisor] = []
        """Who says which values they may take, in the order in which they are asked."""
        self.plain = False
        """Whether the parameters are the arguments, under their own names."""

    def keep(self, argument: str, value: Any) -> None:
        """Takes a value of the configuration."""
        (self.copied if isinstance(value, list | dict) else self.fixed)[argument] = value

    def filled_by(self, names: Iterable[str]) -> set[str]:
        """The arguments whose value these parameters give."""
        wanted = set(names)
        return {argument for argument, param in (*self.params, *self.exposed) if param in wanted}

    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        """The adapter's arguments for a call with these parameters.

        Raises:
            BindingError: one of them is not offered.
        """
        if not self.accepted.issuperset(given):
            unknown = next(name for name in given if name not in self.accepted)
            raise BindingError(f"this site takes no parameter '{unknown}' there")
        for name, model in self.models:
            if isinstance(given.get(name), dict):
                given[name] = cast(Any, model).model_validate(given[name])
        if self.plain:
            return given
        arguments = dict(self.fixed)
        if self.copied:
            arguments |= copy.deepcopy(self.copied)
        for argument, param in self.params:
            if param in given:
                arguments[argument] = given[param]
        for argument, param in self.exposed:
            if param in given:
                arguments[argument] = given[param]
        return arguments


class Adapters:
    """All that one site can call. Adapters are imported and constructed on first use, once."""

    def __init__(
        self,
        settings: dict[str, Any],
        homesite: str,
        session: str,
        logger: logging.Logger,
        user: tuple[str, str, str] | None = None,
    ) -> None:
        """`settings` is the content of the site's `site.json`; `user` for whom the site works, with their
        organisation and role, where certificates say so."""
        self._settings = settings
        self._homesite = homesite
        self._session = session
        self.logger = logger
        """The site's own."""
        self.user = user
        self._bindings = {(b["operation"], b["provider"]): b for b in cast(list[dict[str, Any]], settings["bindings"])}
        self._bound: dict[Operation, Bound] = {}
        self._site: Site | None = None
        self._providers: dict[str, Provider] = {}
        asking = self._bound[DISCOVERY_PLACE, None] = Bound(self._advise, "coroutine")
        asking.accepted = {"operation", "provider", "given", "asked", "unknown", "seconds"}
        asking.plain = True
        self._cache: Cache | None = None

    def bound(self, operation: str, provider: str | None) -> Bound:
        """The adapter for an operation.

        Raises:
            BindingError: the site does not offer it, or its configuration does not fit its code.
        """
        key = (operation, provider)
        if (found := self._bound.get(key)) is None:
            found = self._bound[key] = self._bind(key)
        return found

    def problem(self, operation: str, provider: str | None) -> str:
        """What is wrong with an operation; an empty text for nothing."""
        try:
            self.bound(operation, provider)
        except BindingError as error:
            return str(error)
        return ""

    async def _advise(self, operation: str, provider: str | None, **asks: Any) -> SiteAdvice:
        """Asks an operation's advisors; that is a call like any other, which every site offers."""
        from dfm.exec._advise import advise  # which needs this module

        site = self._settings["site"]
        try:
            bound = self.bound(operation, provider)
        except BindingError as error:
            advice = ErrorFieldAdvice(str(error))
        else:
            by = f" by provider '{provider}'" if provider else ""
            advice = await advise(f"'{operation}' at site '{site}'{by}", bound, **asks, logger=self.logger)
        return SiteAdvice(operation, site, provider, advice)

    def _bind(self, key: Operation) -> Bound:
        operation, provider = key
        if operation in ("$look-up", "$store"):
            return self._bind_cache(operation)
        if (binding := self._bindings.get(key)) is None:
            by = f" by provider '{provider}'" if provider else ""
            raise BindingError(f"site '{self._settings['site']}' does not offer '{operation}'{by}")
        path = binding["adapter"]["path"]
        what = f"the adapter {path} of '{operation}' at site '{self._settings['site']}'"
        body = self.body(operation, provider, binding["adapter"], what)
        bound = Bound(body, kind_of(body))
        models = {name: import_class(model, what) for name, model in binding["models"].items()}
        for name, source in cast(dict[str, dict[str, Any]], binding["arguments"]).items():
            if "param" in source:
                param = source["param"]
                bound.params.append((name, param))
                if param in binding["defaults"]:
                    default = binding["defaults"][param]
                    if param in models:
                        default = cast(Any, models[param]).model_validate(default)
                    bound.keep(name, default)
            elif "const" in source:
                bound.keep(name, source["const"])
            else:
                bound.fixed[name] = self._value(source, f"the argument '{name}' of {what}")
            if "exposed" in source:
                bound.exposed.append((name, source["exposed"]))
        _check_signature(body, set(binding["arguments"]), what)
        bound.models = list(models.items())
        bound.accepted = set(binding["parameters"])
        bound.discoverable = set(binding["discoverable"])
        try:
            bound.advisors = advisors(body, dict(bound.params) | dict(bound.exposed))
        except ValueError as error:
            raise BindingError(f"{what}: {error}") from None
        bound.plain = (
            not (bound.fixed or bound.copied or bound.exposed)
            and all(name == param for name, param in bound.params)
            and {param for _, param in bound.params} == bound.accepted
        )
        return bound

    def body(self, operation: str, provider: str | None, adapter: dict[str, Any], what: str) -> Callable[..., Any]:
        """The body of an adapter, which is imported and constructed for it.

        Raises:
            BindingError: that fails, or it has none.
        """
        made = construct(
            what, import_class(adapter["path"], what), self.site(), self._provider(provider), **adapter["args"]
        )
        body = getattr(made, "body", None)
        if not callable(body):
            raise BindingError(f"{what} has no method 'body'")
        return body

    def _bind_cache(self, operation: str) -> Bound:
        if self._cache is None:
            site = self.site()
            self._cache = Cache(lambda: site.cache_storage("results"), self.logger)
        bound = Bound(self._cache.look_up if operation == "$look-up" else self._cache.store, "thread")
        bound.accepted = {"parts"} if operation == "$look-up" else {"key", "value"}
        bound.plain = True
        return bound

    def _value(self, source: dict[str, Any], what: str) -> Any:
        try:
            if "secret" in source:
                return self.site().secret_for_key(source["secret"])
            if "site" in source:
                return getattr(self.site(), source["site"])
            provider, name = source["provider"]
            return getattr(self._provider(provider), name)
        except KeyError as error:
            raise BindingError(f"{what}: {error.args[0] if error.args else error}") from None
        except AttributeError as error:
            raise BindingError(f"{what}: {error}") from None

    def site(self) -> Site:
        """The site's object, constructed on first use.

        Raises:
            BindingError: its class cannot be imported or constructed.
        """
        if self._site is None:
            settings = self._settings
            name = settings["site"]
            user, organisation, role = self.user or (_local_user(), "", "")
            context = DfmContext(
                federation_name=settings["federation"],
                api_version=settings["api_version"],
                this_site=name,
                homesite=self._homesite,
                job_id=self._session,
                logger=self.logger,
                user=user,
                organisation=organisation,
                role=role,
                settings=SiteSettings(
                    info=settings["info"],
                    cache=settings["cache"],
                    vault=self.vault(settings["vault"]),
                    providers={name: provider["info"] for name, provider in settings["providers"].items()},
                ),
            )
            impl: dict[str, Any] = settings["impl"] or {"path": "dfm.exec.Site", "args": {}}
            what = f"the class {impl['path']} of site '{name}'"
            self._site = cast(Site, construct(what, import_class(impl["path"], what), context, **impl["args"]))
        return self._site

    def vault(self, settings: dict[str, Any]) -> SecretsVault:
        """Where the site's secrets are.

        Raises:
            BindingError: its class cannot be imported or constructed.
        """
        what = f"the secrets vault of site '{self._settings['site']}'"
        kind = EnvironmentVault if settings["path"] is None else import_class(settings["path"], what)
        return cast(SecretsVault, construct(what, kind, **settings["args"]))

    def _provider(self, name: str | None) -> Provider | None:
        if name is None:
            return None
        if name not in self._providers:
            impl: dict[str, Any] = self._settings["providers"][name]["impl"] or {
                "path": "dfm.exec.Provider",
                "args": {},
            }
            what = f"the class {impl['path']} of provider '{name}'"
            made = construct(what, import_class(impl["path"], what), self.site(), name, **impl["args"])
            self._providers[name] = cast(Provider, made)
        return self._providers[name]


def import_class(path: str, what: str) -> type[Any]:
    """The class with this dotted path; `what` names it in an error.

    Raises:
        BindingError: there is no such module or class, or importing it fails.
    """
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise BindingError(
                f"{what}: there is no module '{error.name}'; is the path spelt as its file is?"
            ) from None
        raise BindingError(f"{what}: importing '{module_name}' failed: {error}") from None
    except Exception as error:
        raise BindingError(f"{what}: importing '{module_name}' failed:\n{user_traceback(error)}") from None
    found = getattr(module, name, None)
    if not isinstance(found, type):
        import difflib

        near = difflib.get_close_matches(name, [key for key, kept in vars(module).items() if isinstance(kept, type)], 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise BindingError(f"{what}: module '{module_name}' has no class '{name}'{hint}")
    return cast("type[Any]", found)


def construct(what: str, kind: Callable[..., Any], *args: Any, **kwargs: Any) -> object:
    """An object of the user's class.

    Raises:
        BindingError: its constructor raised.
    """
    try:
        return kind(*args, **kwargs)
    except Exception as error:
        raise BindingError(f"{what} could not be constructed:\n{user_traceback(error)}") from None


def kind_of(body: Callable[..., Any]) -> str:
    """`coroutine`, `async generator`, `thread` or `generator`: how a `body` runs."""
    if inspect.isasyncgenfunction(body):
        return "async generator"
    if inspect.isgeneratorfunction(body):
        return "generator"
    return "coroutine" if inspect.iscoroutinefunction(body) else "thread"


def _check_signature(body: Callable[..., Any], names: set[str], what: str) -> None:
    unknown, missing = body_misfits(body, names)
    if unknown:
        raise BindingError(f"{what}: its body takes no argument {_quoted(unknown)}, but the binding gives it")
    if missing:
        raise BindingError(f"{what}: its body needs {_quoted(missing)}, which the binding does not give")


def _quoted(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def body_misfits(body: Callable[..., Any], names: set[str], unbound: bool = False) -> tuple[list[str], list[str]]:
    """The arguments of these names that a `body` does not take, and those that it needs besides.

    `unbound` for a method that was looked up at its class: its first argument is the adapter itself.
    """
    try:
        parameters = list(inspect.signature(body).parameters.values())[1 if unbound else 0 :]
    except (TypeError, ValueError):
        return [], []
    taken = names
    if not any(one.kind is one.VAR_KEYWORD for one in parameters):
        taken = {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
    needed = {
        one.name
        for one in parameters
        if one.default is one.empty and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
    }
    return sorted(names - taken), sorted(needed - names)


def user_traceback(error: BaseException) -> str:
    """An exception's traceback without dfm's own frames."""
    from dfm import exec as this_package

    own = (this_package.__path__[0].rpartition("/")[0] + "/", "<frozen importlib", importlib.__path__[0])
    report = traceback.TracebackException.from_exception(error)
    pending = [report]
    while pending:
        one = pending.pop()
        one.stack = traceback.StackSummary.from_list(
            [frame for frame in one.stack if not frame.filename.startswith(own)]
        )
        pending.extend(nested for nested in (one.__cause__, one.__context__) if nested is not None)
    if not report.stack and sys.exc_info()[0] is None:
        return "".join(report.format_exception_only())
    return "".join(report.format()).rstrip()


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # of whom the system has no name, as in many containers
