"""How do a site's bindings become calls of its adapters?

Reads a site's `site.json`, and nothing else: what it does not bind cannot be called here.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from dfm import _native, _values
from dfm._discovery.advice import DISCOVERY_PLACE, ErrorFieldAdvice, SiteAdvice
from dfm._discovery.advisors import advisors
from dfm.errors import RefusedError
from dfm.exec._approvals import Asking
from dfm.exec._audit_log import opened
from dfm.exec._bodies import check_signature, kind_of
from dfm.exec._bound import Bound
from dfm.exec._cache import Cache, digest
from dfm.exec._cache_owners import owners_for
from dfm.exec._classes import construct, import_class
from dfm.exec._contributions import Receipts
from dfm.exec._counting import Counting
from dfm.exec._deciding import Deciding, are_all
from dfm.exec._given import Given, encoded
from dfm.exec._instances import Instance, Run
from dfm.exec._leaving import MASKED, Leaving
from dfm.exec._noise import Noising
from dfm.exec._policy import OWN, SitePolicy
from dfm.exec._release import Declared, Releasing
from dfm.exec._secrets import Masking, Secrets
from dfm.exec._session_key import SessionKey
from dfm.exec._site import (
    Asker,
    DfmContext,
    Provider,
    SecretsVault,
    Site,
    SiteSettings,
    this_user,
    with_state,
)
from dfm.exec._state import LIMIT, InMemory, OnDisk, State
from dfm.exec._sums import Sums
from dfm.exec._telling import FAILURES, BindingError, Telling, user_traceback
from dfm.exec._types import Check, DeclarationError, check_of, checked_body, has_dates
from dfm.exec._vault import RememberingVault

if TYPE_CHECKING:
    from dfm.exec._configs import SecretsVaultConfig

Operation = tuple[str, str | None]
"""An operation's name, and the provider that is meant, if any."""
Step = str | _native.CacheStep
"""What a call is of: an operation's name, or what is asked of the cache."""


class Adapters:
    """All that one site can call. Adapters are imported and constructed on first use, once."""

    def __init__(
        self,
        settings: dict[str, Any],
        homesite: str,
        session: str,
        logger: logging.Logger,
        asker: Asker | None = None,
        policy: SitePolicy = OWN,
        key: SessionKey | None = None,
    ) -> None:
        """`settings` is the content of the site's `site.json`; `asker` is the user of this process if not given, and
        `policy` what the site itself decides; `key` signs what it says and writes down."""
        self.asker = asker or this_user()
        """For whom the site works."""
        self._settings = settings
        self.name = cast(str, settings["site"])
        """The site's."""
        self.federation = cast(str, settings["federation"])
        """The federation's package."""
        self.homesite = homesite
        """The application's site."""
        self.session = session
        """Its session."""
        self.logger = logger
        """The site's own."""
        self.policy = policy
        """What the site itself decides."""
        self.telling = Telling(Secrets(), logger, policy.errors)
        """What leaves the site of its errors."""
        self.hands_out_logs = policy.logs == "all"
        """Whether the application learns what its calls log and print."""
        self.joins_traces = policy.traces == "joined"
        """Whether what is exported of a job is in the application's trace."""
        self.deciding = Deciding(policy, self.name, self.asker, logger, self._follow)
        """Which calls its policy allows."""
        self.asking = Asking(policy.requests, self.name, homesite, self.asker, session, logger)
        """What a person has to approve."""
        self._counting = Counting(self.name, self.asker.user, policy.counts, policy.per_day)
        self.audit: _native.Audit | None = None
        """What the site writes down; None for nothing."""
        if (said := policy.audit) is not None:
            of = self.name, session, self.asker, logger
            self.audit = opened(said.folder, *of, full=said.full, goes_on=said.goes_on, key=key)
        self.receipts = Receipts(settings, homesite, session, self.asker, self.deciding, key)
        """What it says of its contributions to jobs."""
        declared = {
            one["operation"]: Declared(**one["disclosure"]) for one in settings["bindings"] if "disclosure" in one
        } | {DISCOVERY_PLACE: Declared("public", None)}
        releasing = Releasing(self.name, self.asker, logger, declared)
        self.noising = Noising(self.name, self.asker.user, lambda: self.deciding.held().learnt)
        """What its user has learnt, of what has noise."""
        self.leaving = Leaving(self.name, self.deciding, self._counting, releasing, self.noising, self.audit)
        """Which values may leave."""
        self._sums = Sums(self.name, key, self.leaving)
        self._masking = Masking(self.telling.secrets)
        self._masked: list[logging.Filterer] = []
        self.mask(logger)
        self._bindings = {(b["operation"], b["provider"]): b for b in cast(list[dict[str, Any]], settings["bindings"])}
        self._bound: dict[tuple[Step, str | None], Bound] = {}
        self._of_jobs: dict[int, dict[tuple[Step, str | None], Bound]] = {}
        self._per_job = {key for key, binding in self._bindings.items() if binding.get("scope") == "job"}
        self._of_site: dict[str, Instance] = {}
        self._states: dict[str, State] = {}
        self._site: Site | None = None
        self._providers: dict[str, Provider] = {}
        asking = self._bound[DISCOVERY_PLACE, None] = Bound(self._advise, "coroutine")
        asking.accepted = {"operation", "provider", "given", "asked", "unknown", "seconds"}
        asking.plain = True
        self._cache: Cache | None = None
        self.run: Run = run_here
        """Runs what adapters do at their beginning and their end."""

    def close(self) -> None:
        """Leaves the loggers as they were."""
        for where in self._masked:
            where.removeFilter(self._masking)
        self._counting.close()
        if self.audit is not None:
            self.audit.close()

    def _follow(self, changed: SitePolicy) -> None:
        self.telling.follow(changed.errors)
        self.hands_out_logs = changed.logs == "all"
        self.joins_traces = changed.traces == "joined"
        self._counting.allow(changed.per_day)

    def rest(self) -> None:
        """No call begins for now."""
        self._counting.rest()
        if self.audit is not None:
            self.audit.settle()

    def mask_process(self) -> None:
        """Keeps the secrets out of all that this process, which is the site's alone, logs by whatever logger."""
        for handler in logging.getLogger().handlers:
            self.mask(handler)

    def mask(self, where: logging.Filterer) -> None:
        """Keeps the secrets out of what is logged there."""
        # Before anything that breaks a secret's lines or escapes its characters.
        where.filters.insert(0, self._masking)
        self._masked.append(where)

    def bound(self, operation: Step, provider: str | None, job: int | None = None) -> Bound:
        """The adapter for an operation, in a job that may have one of its own.

        Raises:
            BindingError: the site does not offer it, or its configuration does not fit its code.
        """
        key = (operation, provider)
        among = self._bound
        if job is not None and self._per_job and key in self._per_job:
            among = self._of_jobs.setdefault(job, {})
        if (found := among.get(key)) is None:
            if (step := self._sums.step(operation, job)) is not None:
                return self._step(str(operation), *step)
            found = among[key] = self._bind(operation, provider)
        return found

    def _step(self, operation: str, body: Callable[..., Any], parameters: list[str]) -> Bound:
        """A step of a secure sum, which every site offers."""
        bound = Bound(body, "thread")
        bound.accepted = bound.required = set(parameters)
        bound.plain = True
        if self.audit is not None and operation == MASKED:
            bound.judge = self._write_down
        return bound

    def _write_down(self, given: dict[str, Any], job: int | None) -> None:
        if self.audit is not None and job is not None:
            self.audit.call(job, MASKED, None, encoded(self._sums.about(job, given["sum"])).text)

    def begin(self, job: int, pipeline: str, application: str) -> None:
        """A job of this application begins, whose net at this site has this digest, which its user has signed."""
        self.receipts.begin(job, pipeline, application)
        if self.audit is not None:
            self.audit.job(job, pipeline, application)

    async def set_up(self, bound: Bound) -> None:
        """Has an adapter's `setup` run, if that has not been; of one that fails, the next call makes another object.

        Raises:
            Exception: what the `setup` raises.
        """
        instance = bound.instance
        if instance is None or instance.ready:
            return
        try:
            await instance.set_up(self.run)
        except FAILURES:
            for among in (self._bound, *self._of_jobs.values()):
                for key in [key for key, one in among.items() if one.instance is instance]:
                    del among[key]
            self._of_site = {key: one for key, one in self._of_site.items() if one is not instance}
            raise

    def leave(self, job: int) -> list[Instance]:
        """The objects that a job has had for itself, which is over."""
        self.receipts.end(job)
        self.asking.forget(job)
        self._sums.forget(job)
        return _instances(self._of_jobs.pop(job, {}))

    def leave_all(self) -> list[Instance]:
        """All objects; whoever calls an adapter then gets another one."""
        jobs = [one for job in list(self._of_jobs) for one in self.leave(job)]
        found = [*_instances(self._bound), *jobs]
        self._bound = {key: bound for key, bound in self._bound.items() if bound.instance is None}
        self._of_site.clear()
        return found

    async def tear_down(self, instances: Iterable[Instance]) -> None:
        """Has the `teardown` of objects run that nobody calls any more; what fails is for the site's log."""
        for instance in instances:
            try:
                await instance.tear_down(self.run)
            except FAILURES as error:
                self.logger.error("the teardown of %s failed:\n%s", instance.what, user_traceback(error))

    def problem(self, operation: str, provider: str | None) -> str:
        """Why an operation cannot be called here; an empty text if it can."""
        try:
            self.bound(operation, provider)
        except Exception as error:
            return self.telling.text(error, f"'{operation}' at site '{self._settings['site']}'")
        return ""

    def refusal(self, operation: str) -> str:
        """Why no call of an operation is allowed; an empty text if one may be."""
        return "" if self._sums.step(operation, None) is not None else self.deciding.problem(operation)

    def opens_pickles_of(self) -> set[str]:
        """The sites in this session whose pickles it opens."""
        return _values.pickles_of(self._settings, self.homesite, self.asker.user)

    def most_at_once(self) -> list[tuple[str, str | None, int]]:
        """The operations, each with its provider, that run only so many calls at the same time."""
        bounds = [(b["operation"], b["provider"], b.get("max_concurrent")) for b in self._bindings.values()]
        return [(operation, provider, most) for operation, provider, most in bounds if most is not None]

    async def _advise(self, operation: str, provider: str | None, **asks: Any) -> SiteAdvice:
        """Asks an operation's advisors; that is a call like any other, which every site offers."""
        from dfm._discovery.asking import advise  # which needs this module

        site = self.name
        try:
            bound = self.bound(operation, provider)
        except Exception as error:
            advice = ErrorFieldAdvice(self.telling.text(error, f"'{operation}' at site '{site}'"))
        else:
            by = f" by provider '{provider}'" if provider else ""
            what = f"'{operation}' at site '{site}'{by}"
            if (refused := self.refusal(operation)) and self.audit is not None:
                self.audit.refused(None, operation, refused)
            try:
                if bound.advisors and not refused:
                    await self.set_up(bound)
            except FAILURES as error:
                refused = self.telling.text(error, what)
            if refused:
                advice = ErrorFieldAdvice(refused)
            else:
                advice = await advise(what, bound, **asks, telling=self.telling)
        return SiteAdvice(operation, site, provider, advice)

    def _bind(self, operation: Step, provider: str | None) -> Bound:
        if isinstance(operation, _native.CacheStep):
            return self._bind_cache(operation)
        key = operation, provider
        if (binding := self._bindings.get(key)) is None:
            by = f" by provider '{provider}'" if provider else ""
            raise BindingError(
                f"site '{self._settings['site']}' does not offer '{operation}'{by}, as it was started with another "
                "configuration than the caller's code was generated from: `dfm poc restart` starts a POC with the "
                "present one, a new kit from `dfm fed gen provision` any other site"
            )
        path = binding["adapter"]["path"]
        what = f"the adapter {path} of '{operation}' at site '{self._settings['site']}'"
        body = self.body(operation, provider, binding["adapter"], what)
        kind = kind_of(body)

        def made(schema: Any, of: str, plainly: bool = False) -> Check | None:
            return check_of(schema, of, lambda path: import_class(path, f"the type of {of}"), plainly=plainly)

        at = f"'{operation}' at site '{self._settings['site']}'"
        bound = Bound(checked_body(body, kind, binding.get("returns"), at, made), kind)
        if (adapter := getattr(body, "__self__", None)) is not None:
            bound.instance = self._instance(key, adapter, what)
        for name, schema in cast("dict[str, Any]", binding.get("types", {})).items():
            of = f"the parameter '{name}' of {at}"
            if (check := made(schema, of, plainly=True)) is not None:
                bound.checks.append((name, check))
                if has_dates(schema, lambda path, of=of: import_class(path, f"the type of {of}")):
                    bound.dates.add(name)
        checks = dict(bound.checks)
        models = {name: import_class(model, what) for name, model in binding["models"].items()}
        for name, source in cast(dict[str, dict[str, Any]], binding["arguments"]).items():
            if "param" in source:
                param = source["param"]
                bound.params.append((name, param))
                if param in binding["defaults"]:
                    default = binding["defaults"][param]
                    if param in models:
                        default = cast(Any, models[param]).model_validate(default)
                    elif (check := checks.get(param)) is not None:
                        default = check(default)
                    bound.keep(name, default)
            elif "const" in source:
                value = source["const"]
                if (check := checks.get(source.get("exposed", ""))) is not None:
                    # The adapter may take more there than the parameter does.
                    with contextlib.suppress(DeclarationError):
                        value = check(value)
                bound.keep(name, value)
            else:
                bound.fixed[name] = self._value(source, f"the argument '{name}' of {what}")
            if "exposed" in source:
                bound.exposed.append((name, source["exposed"]))
        check_signature(body, set(binding["arguments"]), what)
        bound.accepted = set(binding["parameters"])
        bound.required = set(binding.get("required", []))
        bound.discoverable = set(binding["discoverable"])
        try:
            bound.advisors = advisors(body, dict(bound.params) | dict(bound.exposed))
        except ValueError as error:
            raise BindingError(f"{what}: {error}") from None
        bound.defaults = bound.as_told(_held_for(binding))
        if not self.deciding.is_open():
            bound.judge = functools.partial(self._judge, operation, provider, bound.defaults)
        bound.plain = (
            not (bound.fixed or bound.copied or bound.exposed)
            and all(name == param for name, param in bound.params)
            and {param for _, param in bound.params} == bound.accepted
        )
        return bound

    def _judge(
        self, operation: str, provider: str | None, defaults: dict[str, Any], given: dict[str, Any], job: int | None
    ) -> None:
        try:
            asks = self.deciding.check(operation, given, defaults)
            if job is not None and (leaves := self.deciding.held().leaves) is not None and leaves.noise is not None:
                self.noising.check(leaves.noise, job)
            wanted = asks is not None or self.audit is not None or self._counting.wants_questions()
            asked = encoded(given) if wanted else Given("", [])
            if asks is not None:
                fits = functools.partial(are_all, given=given, defaults=defaults)
                decision = self.asking.check(asks, operation, provider, asked, job, fits)
                if self.audit is not None:
                    self.audit.decided(job, operation, decision.request, decision.until)
            self._counting.call()
            self._counting.question(operation, provider, asked.text)
            if self.audit is not None:
                self.audit.call(job, operation, provider, asked.text)
        except RefusedError as error:
            if self.audit is not None:
                self.audit.refused(job, operation, str(error))
            raise

    def body(self, operation: str, provider: str | None, adapter: dict[str, Any], what: str) -> Callable[..., Any]:
        """The body of an adapter, which is imported and constructed for it.

        Raises:
            BindingError: that fails, or it has none.
        """
        shared = self._of_site.get(self._shared_by((operation, provider)))
        if shared is not None:
            return cast(Any, shared.made).body
        site = with_state(self.site(), self._state((operation, provider)))
        offered = {"site": site, "provider": self._provider(provider)}
        made = construct(what, import_class(adapter["path"], what), offered, adapter["args"])
        body = getattr(made, "body", None)
        if not callable(body):
            raise BindingError(f"{what} has no method 'body'")
        return body

    def _instance(self, key: Operation, adapter: object, what: str) -> Instance:
        if self._bindings[key].get("scope") != "site":
            return Instance(adapter, what)
        shared = self._shared_by(key)
        if shared not in self._of_site:
            self._of_site[shared] = Instance(adapter, what)
        return self._of_site[shared]

    def _shared_by(self, key: Operation) -> str:
        """A name for the bindings that share an object, where their scope is the site."""
        binding = self._bindings[key]
        return digest([binding["adapter"], key[1], binding.get("state")]) if binding.get("scope") == "site" else ""

    def _state(self, key: Operation) -> State:
        """What is kept for a binding: for those that share an object or a name, the same."""
        settings, said = self._settings, cast("dict[str, Any]", self._bindings[key].get("state") or {})
        federation, site, (operation, provider) = settings["federation"], settings["site"], key
        owner = said.get("name") or self._shared_by(key) or operation
        name = digest([federation, site, provider, owner, self.asker.user if said.get("per_user") else None])
        if (state := self._states.get(name)) is None:
            kept = InMemory()
            if said.get("on_disk"):
                base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
                folder = said.get("base_path") or os.path.join(base, "dfm", federation, site)
                kept = OnDisk(Path(folder, name))
            what = f"the state of '{said.get('name') or operation}' at site '{site}'"
            state = self._states[name] = State(what, kept, said.get("limit") or LIMIT)
        return state

    def _bind_cache(self, step: _native.CacheStep) -> Bound:
        if self._cache is None:
            site = self.site()
            made_by = self._settings["api_version"], digest(self._settings["bindings"])
            owners = owners_for(self.asker, site.dfm_context.settings.cache, self.deciding.restricts())
            self._cache = Cache(
                lambda: site.cache_storage("results"), self.logger, [(*owner, *made_by) for owner in owners]
            )
        match step:
            case _native.CacheStep.LOOK_UP:
                bound = Bound(functools.partial(self._look_up, self._cache), "thread")
                bound.accepted = {"parts"}
            case _native.CacheStep.STORE:
                bound = Bound(self._cache.store, "thread")
                bound.accepted = {"key", "value"}
        bound.plain = True
        return bound

    def _look_up(self, cache: Cache, parts: tuple[Any, ...]) -> _native.Found | _native.NotFound:
        """What is found of these parts: nothing, where the policy asks which operations have made a value that leaves.
        An entry does not say it, and the body that it spares may be another one than it was made by."""
        leaves = self.deciding.policy().leaves
        found = cache.look_up(parts)
        return _native.NotFound(found.key) if leaves is not None and leaves.asks_who_made_it() else found

    def _value(self, source: dict[str, Any], what: str) -> Any:
        try:
            if "secret" in source:
                secret = self.site().secret_for_key(source["secret"])
                self.telling.secrets.note(secret)
                return secret
            if "site" in source:
                found = getattr(self.site(), source["site"])
            else:
                provider, name = source["provider"]
                found = getattr(self._provider(provider), name)
            # As an argument, which is data, a site is its name.
            return found.name if found is self._site else found
        except KeyError as error:
            raise BindingError(what, f": {error.args[0] if error.args else error}") from None
        except AttributeError as error:
            raise BindingError(what, f": {error}") from None

    def site(self) -> Site:
        """The site's object, constructed on first use.

        Raises:
            BindingError: its class cannot be imported or constructed.
        """
        if self._site is None:
            settings = self._settings
            name = settings["site"]
            context = DfmContext(
                federation_name=settings["federation"],
                api_version=settings["api_version"],
                this_site=name,
                homesite=self.homesite,
                job_id=self.session,
                logger=self.logger,
                settings=SiteSettings(
                    info=settings["info"],
                    configured_cache=settings["cache"],
                    configured_vault=settings["vault"],
                    open_vault=lambda config: RememberingVault(self.vault(config), self.telling.secrets),
                    providers={name: provider["info"] for name, provider in settings["providers"].items()},
                ),
                user=self.asker.user,
                organisation=self.asker.organisation,
                role=self.asker.role,
            )
            if (impl := cast("dict[str, Any] | None", settings["impl"])) is None:
                self._site = Site(context)
                return self._site
            what = f"the class {impl['path']} of site '{name}'"
            own = context.settings
            offered = {"dfm_context": context, "cache_config": own.cache, "secrets_vault_config": own.vault}
            self._site = cast(Site, construct(what, import_class(impl["path"], what), offered, impl["args"]))
        return self._site

    def vault(self, config: SecretsVaultConfig | None) -> SecretsVault:
        """Where the site's secrets are; None for where its configuration says.

        Raises:
            BindingError: its class cannot be imported or constructed.
        """
        what = f"the secrets vault of site '{self._settings['site']}'"
        said = self._settings["vault"]
        path, args = (said.get("path"), said.get("args", {})) if config is None else (config.path, config.args)
        kind = SecretsVault if path is None else import_class(path, what)
        return cast(SecretsVault, construct(what, kind, {}, args))

    def _provider(self, name: str | None) -> Provider | None:
        if name is None:
            return None
        if name not in self._providers:
            impl: dict[str, Any] = self._settings["providers"][name]["impl"] or {
                "path": "dfm.exec.Provider",
                "args": {},
            }
            what = f"the class {impl['path']} of provider '{name}'"
            kind = import_class(impl["path"], what)
            made = construct(what, kind, {"site": self.site(), "name": name}, impl["args"])
            if isinstance(made, Provider) and not made.name:
                made.name = name
            self._providers[name] = cast(Provider, made)
        return self._providers[name]


def _held_for(binding: dict[str, Any]) -> dict[str, Any]:
    """What holds for parameters that a call does not give: an exposed one is what its argument comes from, as far as
    the configuration says that, and not what the operation has for it elsewhere."""
    exposed = {source["exposed"]: source for source in binding["arguments"].values() if "exposed" in source}
    own = {name: default for name, default in binding["defaults"].items() if name not in exposed}
    return own | {name: source["const"] for name, source in exposed.items() if "const" in source}


def _instances(among: dict[tuple[Step, str | None], Bound]) -> list[Instance]:
    found = {id(bound.instance): bound.instance for bound in among.values() if bound.instance is not None}
    return list(found.values())


async def run_here(method: Callable[[], Any]) -> None:
    """Runs a method on the event loop, whatever it is."""
    value = method()
    if inspect.isawaitable(value):
        await value
