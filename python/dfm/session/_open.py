"""How is a session opened from generated code, or from what `dfm fed submit` says?"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import logging
import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from dfm import _native, _values
from dfm._running.threads import NO_THREAD
from dfm._shown import clean_logger
from dfm.errors import SessionError
from dfm.session._dispatch import Dispatcher
from dfm.session._generated import read_generated
from dfm.session._home import Links, Settings
from dfm.session._policies import tried
from dfm.session._session import Parts, Session
from dfm.session._strict import SiteCheck
from dfm.session._workers import Workers

if TYPE_CHECKING:
    from dfm.flare._standby import Standby

Target = Literal["flare", "local"]

_KEEP = 3600.0
"""Seconds for which Flare jobs are kept for an application that is gone."""

_OF_RUNTIME = ("homesite", "fed_package", "api_version")
"""What the generated runtime that `get_session` is imported from says itself."""

_PATHS = ((str, os.PathLike), "a folder's path")
_TAKEN: dict[str, tuple[tuple[type[Any], ...], str]] = {
    "admin_package": _PATHS,
    "flare_workspace": _PATHS,
    "job_workspace": _PATHS,
    "user": ((str,), "the name of a user"),
    "strict": ((bool,), "True or False"),
    "sites": ((list, tuple, set, frozenset), "a list of the sites that pipelines may use"),
    "policies": ((Mapping,), "a dictionary of sites and the files with their policies"),
    "max_concurrent_jobs": ((int,), "a number from 1 on"),
}
"""Of what types options are, and in words."""


class SessionOptions(TypedDict, total=False):
    """What `get_session` takes beside the target and the logger."""

    callback_dispatcher: Dispatcher
    """Where callbacks are called; a `DirectDispatcher` if not given."""
    admin_package: str | Path
    """For Flare: the user's startup kit."""
    user: str
    """For Flare: the user's name."""
    flare_workspace: str | Path
    """For Flare: where provisioned kits are."""
    job_workspace: str | Path
    """For Flare: where jobs are prepared."""
    keep: float
    """For Flare: for how many seconds jobs and what they yield are kept after this application was last heard of, and
    the last token came; 3,600 if not given."""
    strict: bool
    """For the local target: whether what Flare would refuse is an error, not only a warning."""
    sites: Sequence[str]
    """The only sites that pipelines may use. For the local target, `prepare` may name others; on Flare no other takes
    part in the session."""
    policies: Mapping[str, str | Path]
    """For the local target: files with the policies that sites are to have, as they would on Flare."""
    max_concurrent_jobs: int
    """For the local target: how many jobs run at the same time, while others wait; any number if not given."""


def open_session(
    *,
    fed_package: str,
    homesite: str,
    target: Target,
    logger: logging.Logger | None,
    api_version: str | None,
    options: Mapping[str, Any] | None = None,
    **more: Any,
) -> Session:
    """The session of a federation whose generated code is in `fed_package`, for an application at `homesite`.

    `api_version` is that of the code which calls this, if it is generated itself; `options`, or `more`, are
    `SessionOptions`.

    Raises:
        SessionError: as `parts_of`.
    """
    return Session.of(parts_of(fed_package, homesite, target, logger, api_version, {**(options or {}), **more}))


def parts_of(
    fed_package: str,
    homesite: str,
    target: Target,
    logger: logging.Logger | None,
    api_version: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Parts:
    """What such a session is made of; `options` are `SessionOptions`.

    Raises:
        SessionError: the generated code is not there, of another version, the target is not available, or an option is
            not what it may be.
    """
    options = options or {}
    _check_options(fed_package, homesite, target, logger, options)
    sites: Sequence[str] | None = options.get("sites")
    at_once, strict, policies = options.get("max_concurrent_jobs"), options.get("strict"), options.get("policies")
    try:
        _values.max_value()
    except ValueError as error:
        raise SessionError(str(error)) from None
    code = read_generated(fed_package)
    if api_version is not None and not _native.same_api(api_version, code.api_version):
        raise SessionError(
            f"the runtime of '{homesite}' is for version {api_version} of '{code.package}', but the federation "
            f"speaks {code.api_version}; generate the code again: dfm fed gen code {code.package}"
        )
    logger = clean_logger(logger or "dfm.session")
    flare_links, standby = (None, None) if target == "local" else _flare_links(options)
    strict = os.environ.get("DFM_STRICT") == "1" if strict is None else strict
    settings = Settings(
        homesite=homesite,
        site=code.site(homesite),
        api_version=code.api_version,
        package=code.package,
        lenient=target == "local" and not strict,  # there all processes are the user's own
        session=secrets.token_hex(4) if standby is None else standby.session,
        logger=logger,
        at_once=at_once if target == "local" else None,
        sites=None if sites is None or target == "local" else frozenset(sites),
    )
    check_sites = None
    if flare_links is not None:
        make_links = functools.partial(flare_links, standby=standby)
    else:
        check_sites = SiteCheck(homesite, strict, logger)
        given = json.loads(os.environ.get("DFM_POLICIES", "{}")) if policies is None else policies
        held = tried(given, homesite, code.sites)
        folder = code.folder.parent
        make_links = functools.partial(Workers, sites=code.sites, folder=folder, policies=held)
    return Parts(
        settings=settings,
        make_links=make_links,
        fed_info=code.fed_info,
        dispatcher=options.get("callback_dispatcher"),
        come_back=flare_links,
        check_sites=check_sites,
        sites=sites,
        history=_history(code.package),
    )


def _check_options(
    fed_package: str, homesite: str, target: object, logger: object, options: Mapping[str, object]
) -> None:
    """That `get_session` was given what it takes."""
    known = SessionOptions.__annotations__
    for name in options:
        if name in _OF_RUNTIME:
            site = options[name] if name == "homesite" else "SITE"
            raise SessionError(
                f"get_session takes no '{name}', as the generated code that it is imported from says it: this is of "
                f"the site '{homesite}'; for an application at another, import it from {fed_package}.runtime.{site}"
            )
        if name not in known:
            import difflib  # slow to import, and rarely needed

            near = difflib.get_close_matches(name, ["target", "logger", *known], 1)
            hint = f"did you mean '{near[0]}'? It takes" if near else "it takes"
            raise SessionError(f"get_session takes no '{name}'; {hint}: target, logger, {', '.join(known)}")
    if target not in ("local", "flare"):
        raise SessionError(
            f"there is no target {target!r}; choose 'local', where sites are processes of this machine, or 'flare', "
            "where they are those of a provisioned federation or a POC"
        )
    if logger is not None and not isinstance(logger, str | logging.Logger):
        raise SessionError(f"logger takes a logger, as logging.getLogger(name) gives, not {_told(logger)}")
    for name, (kinds, what) in _TAKEN.items():
        # True is a number to Python alone.
        is_one = isinstance(value := options.get(name), kinds) and (bool in kinds or not isinstance(value, bool))
        if value is not None and not is_one:
            raise SessionError(f"{name} takes {what}, not {_told(value)}{_instead(name, value)}")
    dispatcher = options.get("callback_dispatcher")
    if isinstance(dispatcher, type) or (dispatcher is not None and not hasattr(dispatcher, "runner")):
        one = f"{dispatcher.__name__}()" if isinstance(dispatcher, type) else "ManualDispatcher()"
        raise SessionError(f"callback_dispatcher takes a dispatcher, such as {one}, not {_told(dispatcher)}")
    sites, at_once = options.get("sites"), options.get("max_concurrent_jobs")
    if isinstance(sites, Sequence) and not all(isinstance(site, str) for site in cast("Sequence[object]", sites)):
        raise SessionError(f"sites takes the names of sites as texts, not {sites!r}")
    if isinstance(at_once, int) and at_once < 1:
        raise SessionError(f"max_concurrent_jobs is a number from 1 on, not {at_once!r}")


def _told(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    return repr(value) if isinstance(value, str | int | float | bool) else f"a value of type {type(value).__name__}"


def _instead(name: str, value: object) -> str:
    """What to write where it can be seen what is meant."""
    return f"; write [{value!r}]" if name == "sites" and isinstance(value, str) else ""


def _history(package: str) -> _native.History | None:
    try:
        return _native.History.of(package)
    except OSError:
        raise SessionError(NO_THREAD) from None


def _flare_links(options: Mapping[str, Any]) -> tuple[Callable[..., Links], Standby | None]:
    """How a session makes its links, and the job that was left for it."""
    if importlib.util.find_spec("nvflare") is None:
        raise SessionError(
            "the target 'flare' needs NVIDIA FLARE, which is not installed here: "
            "pip install 'data-federation-mesh[flare]'"
        )
    from dfm.flare._kit import find_kit
    from dfm.flare._links import FlareLinks
    from dfm.flare._standby import claim

    def option(name: str) -> str | None:
        value = options.get(name) or os.environ.get(f"DFM_FLARE_{name.removeprefix('flare_').upper()}")
        return str(value) if value else None

    kit = find_kit(option("admin_package"), option("flare_workspace"), option("user"))
    links = functools.partial(FlareLinks, kit=kit, job_workspace=option("job_workspace"), keep=seconds_kept(options))
    return links, claim(kit)


def seconds_kept(options: Mapping[str, Any]) -> float:
    """For how many seconds jobs are kept, as the options or the environment say.

    Raises:
        SessionError: what they say is no such number.
    """
    given = options.get("keep")
    if given is None:
        given = os.environ.get("DFM_FLARE_KEEP") or _KEEP
    with contextlib.suppress(ValueError, TypeError):
        if 0 <= (seconds := float(given)) < math.inf:
            return seconds
    raise SessionError(f"keep, or DFM_FLARE_KEEP, is a number of seconds from 0 on, not {given!r}")


def from_env(logger: logging.Logger | None = None, **options: Any) -> Session:
    """The session that `dfm fed submit` started this process for.

    Raises:
        SessionError: the process was not started by it.
    """
    try:
        package, homesite = os.environ["DFM_PACKAGE"], os.environ["DFM_HOMESITE"]
        target = cast(Target, os.environ["DFM_TARGET"])
    except KeyError as error:
        raise SessionError(
            f"the environment variable {error.args[0]} is not set; from_env() works in what `dfm fed submit` starts"
        ) from None
    return open_session(
        fed_package=f"{package}.fed",
        homesite=homesite,
        target=target,
        logger=logger,
        api_version=None,
        options=options,
    )
