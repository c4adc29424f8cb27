"""What has an application to know of a pipeline to talk to a job of it, or to come back to one?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

from dfm.api import STATUS_PLACE_NAME
from dfm.errors import ParameterError, UnknownPlaceError
from dfm.session._literals import kept, recalled

NodeId = int | str


@dataclasses.dataclass(frozen=True)
class Interface:
    """What goes into a job, and where what comes out of it does."""

    lines: Mapping[NodeId, str]
    """The user's line of each node."""
    params: frozenset[str]
    """The parameter places that each parameter set has to give."""
    yields: Sequence[str]
    """The places that values come to."""
    literals: Mapping[str, Any]
    """What goes with each parameter set, under places that dfm has for that."""

    def about(self) -> dict[str, Any]:
        """As JSON, for an application that comes back."""
        return {
            "lines": list(self.lines.items()),
            "params": sorted(self.params),
            "yields": self.yields,
            "literals": kept(self.literals),
        }

    @classmethod
    def recalled(cls, about: Mapping[str, Any]) -> Self:
        """What `about` made."""
        return cls(
            dict(cast("list[tuple[NodeId, str]]", about["lines"])),
            frozenset(cast("list[str]", about["params"])),
            cast("list[str]", about["yields"]),
            recalled(about.get("literals", {})),
        )

    def frames(self, params: Mapping[str, Any] | Sequence[Mapping[str, Any]], before: int = 0) -> list[dict[str, Any]]:
        """The parameter sets, each of which gives just what the pipeline wants; with the literals.

        Args:
            params: one, or a list of them.
            before: how many there were already.

        Raises:
            ParameterError: one gives too little or too much.
        """
        if not isinstance(cast(object, params), Mapping | Iterable) or isinstance(params, str | bytes):
            raise ParameterError(
                "a job takes a parameter set, which is a dictionary such as {'year': 2024}, or a list of them, not "
                f"{params!r}"
            )
        sets = [params] if isinstance(params, Mapping) else list(params)
        for index, one in enumerate(sets, start=before):
            if not isinstance(cast(object, one), Mapping):
                raise ParameterError(f"parameter set {index} is not a dictionary but {type(one).__name__}")
            unknown, missing = sorted(set(one) - self.params), sorted(self.params - set(one))
            if unknown:
                known = ", ".join(f"'{name}'" for name in sorted(self.params)) or "none"
                raise ParameterError(
                    f"parameter set {index} has '{unknown[0]}', which the pipeline does not take; it takes: {known}"
                )
            if missing:
                raise ParameterError(f"parameter set {index} has no value for the parameter place '{missing[0]}'")
        return [{**one, **self.literals} for one in sets]

    def check_place(self, place: str) -> None:
        """Raises:
        UnknownPlaceError: no `Yield` names the place, which is not the status place either.
        """
        if place != STATUS_PLACE_NAME and place not in self.yields:
            raise unknown_place(place, self.yields)


def unknown_place(place: str, yields: Sequence[str]) -> UnknownPlaceError:
    """That no `Yield` names a place, and which one was probably meant."""
    import difflib  # slow to import, and rarely needed

    names = [f"'{name}'" for name in dict.fromkeys(yields)]
    near = difflib.get_close_matches(place, yields, 1)
    help = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(names)}" if names else "there is none"
    return UnknownPlaceError(f"no Yield of the pipeline names the place '{place}'; {help}")
