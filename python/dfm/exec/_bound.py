"""What does one binding need to be called?"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterable
from typing import Any

from dfm._discovery.advisors import Advisor
from dfm.exec._instances import Instance
from dfm.exec._telling import BindingError
from dfm.exec._types import Check, DeclarationError, as_texts


class Bound:
    """An adapter that is ready to be called."""

    __slots__ = (
        "accepted",
        "advisors",
        "body",
        "checks",
        "copied",
        "dates",
        "defaults",
        "discoverable",
        "exposed",
        "fixed",
        "instance",
        "judge",
        "kind",
        "params",
        "plain",
        "required",
    )

    def __init__(self, body: Callable[..., Any], kind: str) -> None:
        self.body = body
        self.kind = kind
        """`coroutine`, `async generator`, `thread` or `generator`."""
        self.instance: Instance | None = None
        """The adapter's object; None for what has none."""
        self.fixed: dict[str, Any] = {}
        """Arguments whose value does not depend on the call."""
        self.copied: dict[str, Any] = {}
        """Those of them that an adapter could change: each call gets its own."""
        self.params: list[tuple[str, str]] = []
        """(argument, the operation's parameter)."""
        self.exposed: list[tuple[str, str]] = []
        """(argument, the parameter that overrides its source)."""
        self.checks: list[tuple[str, Check]] = []
        """(parameter, what holds its value against what is declared for it)."""
        self.dates: set[str] = set()
        """The parameters that are judged, and written down, as the texts that JSON has for the dates in them."""
        self.defaults: dict[str, Any] | None = None
        """What holds for parameters that a call does not give, as the policy judges it; None for what is no operation
        of the federation's."""
        self.accepted: set[str] = set()
        """The parameters that it takes."""
        self.required: set[str] = set()
        """Those of them that a pipeline has to give."""
        self.discoverable: set[str] = set()
        """Those of them that may be asked for."""
        self.advisors: list[Advisor] = []
        """Who says which values they may take, in the order in which they are asked."""
        self.judge: Callable[[dict[str, Any], int | None], None] | None = None
        """Raises a RefusedError for a call of a job with these parameters that the site's policy does not allow; it
        counts the others, and has them written down. None where all is allowed."""
        self.plain = False
        """Whether the parameters are the arguments, under their own names."""

    def keep(self, argument: str, value: Any) -> None:
        """Takes a value of the configuration."""
        (self.copied if isinstance(value, list | dict) else self.fixed)[argument] = value

    def filled_by(self, names: Iterable[str]) -> set[str]:
        """The arguments whose value these parameters give."""
        wanted = set(names)
        return {argument for argument, param in (*self.params, *self.exposed) if param in wanted}

    def as_judged(self, given: dict[str, Any]) -> dict[str, Any]:
        """A call's parameters, each as it is declared, as the site's policy and its audit have them."""
        if not self.dates:
            return given
        return {name: as_texts(value) if name in self.dates else value for name, value in given.items()}

    def as_told(self, said: dict[str, Any]) -> dict[str, Any]:
        """What JSON says of parameters, so; what is not as it is declared stays what it is."""
        told = dict(said)
        for name, check in self.checks:
            if name in self.dates and name in told:
                with contextlib.suppress(DeclarationError):
                    told[name] = check(told[name])
        return self.as_judged(told)

    def arguments(
        self, given: dict[str, Any], partly: bool = False, judged: bool = False, job: int | None = None
    ) -> dict[str, Any]:
        """The adapter's arguments for a call with these parameters; some may be missing where that is `partly` so.

        The site's policy judges the call, unless it has been `judged` or only asks.

        Raises:
            BindingError: one of them is not offered.
            RefusedError: the policy does not allow it.
            WaitsForApproval: a person has to approve it, and has not.
            DeclarationError: one of them is not what is declared for it, or missing.
        """
        # Where all is given, which is most often so, none is unknown or missing.
        if given.keys() != self.accepted:
            if not self.accepted.issuperset(given):
                unknown = next(name for name in given if name not in self.accepted)
                raise BindingError(f"this site takes no parameter '{unknown}' there")
            if not partly and not self.required <= given.keys():
                missing = next(name for name in sorted(self.required) if name not in given)
                raise DeclarationError(f"the parameter '{missing}' has to be given there")
        for name, check in self.checks:
            if name in given:
                given[name] = check(given[name])
        for _, param in self.exposed:
            # Given as nothing, it is what the configuration says, and has to be judged as that.
            if param in given and given[param] is None:
                del given[param]
        if self.judge is not None and not partly and not judged:
            self.judge(self.as_judged(given), job)
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
