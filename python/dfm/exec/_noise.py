"""What noise do numbers get that leave a site, and how much may one user learn, where its policy says `leaves.noise`?

Each value that leaves is the result of one operation, of which the policy says how far one record moves it. Its numbers
get noise of that size, and what this costs is taken off the user's budget before it leaves. All that one user gets is
differentially private by sequential composition (Dwork and Roth 2014, theorems 3.6, 3.16 and A.1).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import math
import os
from collections.abc import Callable, Generator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, cast

from dfm import _native
from dfm._private import private_folder
from dfm.errors import RefusedError
from dfm.exec._own_files import read_own, write_own
from dfm.exec._parts import DEEPEST, type_name
from dfm.exec._policy import Noise
from dfm.exec._types import scalar

_LARGEST = 1 << 62
"""Whole numbers from here on are not told: with noise they might not have 64 bits."""
_ABOUT = 1 + 1e-9
"""What sums of floating point may be beyond what they stand for."""


class Noising:
    """Gives numbers noise, and keeps what a user has learnt."""

    def __init__(self, site: str, user: str, folder: Callable[[], Path | None]) -> None:
        """`folder` is where the site keeps what its users have learnt; without one, this process keeps it alone."""
        self._where = f"site '{site}'"
        self._user = user
        self._folder = folder
        self._alone = _Spent()
        self.deciding: Callable[[int], list[str]] = lambda _: []
        """The operations whose results decide what a job does here."""

    def check(self, policy: Noise, job: int) -> None:
        """Judges what a job does here before it is done: what a decision says leaves by what comes, and does not come.

        Raises:
            RefusedError: something is decided by a result that would have noise.
        """
        for operation in self.deciding(job):
            if _sensitivity(policy, operation) != 0:
                raise self._refused(
                    f"what a condition, a loop or rounds over results of '{operation}' would tell; decide at the "
                    "application, by what has noise"
                )

    def noised(self, policy: Noise, value: Any, operation: str | None, makers: list[str]) -> Any:
        """What leaves for a value: another one, where anything of this site's data may be in it.

        Raises:
            RefusedError: it may not leave, or nothing may any more for this user.
        """
        if operation is None or makers != [operation]:
            makers = [one for one in makers if _sensitivity(policy, one) != 0]
            if makers:
                raise self._refused(f"a value made of results of '{makers[0]}'; let each leave by itself")
            return value
        by = _sensitivity(policy, operation)
        if by is None:
            raise self._refused(f"a result of '{operation}', of which it says no sensitivity")
        if by == 0:
            return value
        numbers = _Numbers(self._refused)
        numbers.look(value, 0)
        try:
            added = numbers.added(policy, by)
        except ImportError:
            raise self._refused(
                "anything: the site has no package `opendp`; its admin installs `data-federation-mesh[privacy]`"
            ) from None
        self._spend(policy)
        return added(value)

    def _spend(self, policy: Noise) -> None:
        """Takes one value's cost off the budget."""
        if (folder := self._folder()) is None:
            self._alone = self._after(policy, self._alone)
            return
        path = folder / f"{hashlib.sha256(self._user.encode()).hexdigest()[:32]}.json"
        try:
            with _alone_in(folder):
                spent = self._after(policy, _read(path))
                write_own(path, json.dumps({"user": self._user, **spent._asdict()}).encode())
        except OSError:
            raise self._refused("anything: what is learnt cannot be kept") from None

    def _after(self, policy: Noise, spent: _Spent | None) -> _Spent:
        """What one more value comes to."""
        if spent is None:
            raise self._refused(f"anything: what user '{self._user}' has learnt so far cannot be read")
        most = policy.budget
        after = _Spent(spent.epsilon + policy.epsilon, spent.delta + (policy.delta or 0.0))
        if after.epsilon > most.epsilon * _ABOUT or after.delta > most.delta * _ABOUT:
            raise self._refused(
                f"more for user '{self._user}', whose budget of epsilon {most.epsilon:g} and delta {most.delta:g} is "
                "used up"
            )
        return after

    def _refused(self, what: str) -> RefusedError:
        return RefusedError(f"{self._where} lets not leave, by `leaves.noise` of its policy, {what}")


def _sensitivity(policy: Noise, operation: str) -> float | None:
    """By how much one record moves an operation's result; None if that is not said."""
    return next((by for pattern, by in policy.sensitivities if _native.is_like(operation, pattern)), None)


class _Numbers:
    """All numbers in a value, in their order."""

    def __init__(self, refused: Callable[[str], RefusedError]) -> None:
        self._refused = refused
        self._whole: list[int] = []
        self._real: list[float] = []

    def look(self, value: Any, depth: int) -> None:
        """Finds them.

        Raises:
            RefusedError: there is something else in it.
        """
        one: Any = scalar(value)
        kind: Any = cast(Any, type(one))
        if depth > DEEPEST:
            raise self._refused(f"a value of more than {DEEPEST} levels")
        if kind is dict and all(type(key) is str for key in one):
            for part in one.values():
                self.look(part, depth + 1)
        elif kind in (list, tuple):
            for part in one:
                self.look(part, depth + 1)
        elif _is_array(one):
            for number in one.reshape(-1).tolist():
                self.look(number, depth + 1)
        elif kind is int and abs(one) < _LARGEST:
            self._whole.append(one)
        elif kind is float and math.isfinite(one):
            self._real.append(one)
        elif kind in (int, float):
            raise self._refused("a number that is not finite, or of more than 62 bits")
        else:
            raise self._refused(
                f"a value that is, or has in it, one of type {type_name(value)}; numbers get noise, and lists, tuples, "
                "dictionaries and NumPy's arrays of them"
            )

    def added(self, policy: Noise, sensitivity: float) -> Callable[[Any], Any]:
        """What gives a value that has these numbers others, with noise. None of them is taken twice."""
        whole = iter(_measurement("i64", policy.epsilon, policy.delta, sensitivity)(self._whole) if self._whole else ())
        real = iter(_measurement("f64", policy.epsilon, policy.delta, sensitivity)(self._real) if self._real else ())

        def of(value: Any) -> Any:
            one: Any = scalar(value)
            kind: Any = cast(Any, type(one))
            if kind is dict:
                return {key: of(part) for key, part in one.items()}
            if kind in (list, tuple):
                return cast(Any, kind)(map(of, one))
            if _is_array(one):
                import numpy

                # With noise, a number may be more than a short one holds.
                wide = "i8" if one.dtype.kind in "iu" else "f8"
                return numpy.array([*map(of, one.reshape(-1).tolist())], wide).reshape(one.shape)
            return next(whole if kind is int else real)

        return of


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and getattr(getattr(value, "dtype", None), "kind", "") in ("i", "u", "f")


@lru_cache(maxsize=256)
def _measurement(
    kind: str, epsilon: float, delta: float | None, sensitivity: float
) -> Callable[[list[Any]], list[Any]]:
    """OpenDP's mechanism for lists of numbers that one record moves by `sensitivity` in all, in L1 (so in L2 too).

    Gaussian noise is that of zero-concentrated privacy whose rho gives these epsilon and delta (Bun and Steinke 2016,
    proposition 1.3: epsilon = rho + 2 sqrt(rho ln(1 / delta))).
    """
    import opendp.prelude as opendp  # pyright: ignore[reportMissingImports]

    dp: Any = opendp
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T=kind) if kind == "i64" else dp.atom_domain(T=kind, nan=False))
    if delta is None:
        most, made = epsilon, dp.m.make_laplace(domain, dp.l1_distance(T="f64"), scale=sensitivity / epsilon)
    else:
        log = math.log(1 / delta)
        most = (math.sqrt(epsilon + log) - math.sqrt(log)) ** 2
        made = dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=sensitivity / math.sqrt(2 * most))
    assert made.map(sensitivity) <= most * _ABOUT, "it would cost more than it is said to"
    return made


class _Spent(NamedTuple):
    """What values have cost so far."""

    epsilon: float = 0.0
    delta: float = 0.0


def _read(path: Path) -> _Spent | None:
    """What is kept in a user's file; None where nobody can say it."""
    try:
        said = json.loads(read_own(path))
        spent = _Spent(float(said["epsilon"]), float(said["delta"]))
    except FileNotFoundError:
        return _Spent()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return spent if min(spent) >= 0 and all(map(math.isfinite, spent)) else None


@contextlib.contextmanager
def _alone_in(folder: Path) -> Generator[None]:
    """Keeps the site's other processes from what is kept in a folder."""
    held = os.open(private_folder(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)
