"""Does a job end as it has to, whatever happens to the processes that run it meanwhile?

A round is what one seed stands for: a few programs, their jobs, and one fault at some moment. `play` raises `Broken`,
which says the seed, for a job that does not end, or ends with other tokens than the program's or an error that is none.
"""
# pyright: basic

from __future__ import annotations

import ast
import contextlib
import os
import random
from collections import Counter
from typing import Any

import programs
from dfm.api import ErrorToken, Pipeline, StopToken
from dfm.errors import SessionError
from dfm.session import Job, JobStatus, Session
from targets import Sites, at_some_time

PATIENCE = 60.0
"""Seconds in which anything of a job happens, on the slowest machine that anybody tries this on."""


class Broken(AssertionError):
    """A promise was not kept."""


def play(sites: Sites, fed: Any, seed: str) -> str:
    """One round; the name of its fault."""
    chance = random.Random(seed)
    fault = chance.choice(sites.names)
    runs = [
        Run(seed if number == 0 else f"{seed}.{number}", chance) for number in range(chance.choice([1, 1, 1, 2, 4]))
    ]
    if fault == "callback":
        chance.choice(runs).spoilt = chance.randrange(1, 5)
    try:
        _play(sites, fed, chance, runs, fault)
    except AssertionError as broken:
        raise Broken(f"seed {seed!r}, {fault}: {broken}") from None
    return fault


class Run:
    """One program, its job, and what that delivered."""

    def __init__(self, seed: str, chance: random.Random) -> None:
        self.program = programs.program(seed)
        outcome = programs.outcome(self.program)
        self.wanted = Counter(outcome.tokens)
        self.fails = outcome.fails
        self.had: list[programs.Place] = []
        self.spoilt = 0
        """In which of its callbacks the application raises."""
        self._at_once = chance.random() < 0.5

    def begin(self, session: Session, fed: Any) -> None:
        """Executes it: its parameter sets come all at once, or one after the other while the job begins."""
        prepared = session.prepare(programs.written(fed, self.program))
        places = dict.fromkeys((place for place, _, _ in self.wanted), self._take)
        if self._at_once:
            self.job = session.execute(prepared, self.program.params, True, _ignore, places)
            return
        self.job = session.execute(prepared, None, False, _ignore, places)
        for params in self.program.params:
            self.job.send_input_params(params)
        self.job.send_stop_frame()

    def _take(self, _: str, __: Any, frame: Any, place: str, data: Any) -> None:
        if isinstance(data, StopToken):
            return
        value = programs.FAILED if isinstance(data, ErrorToken) else programs.told(data)
        self.had.append((place, tuple(frame.frame), value))
        if len(self.had) == self.spoilt:
            raise RuntimeError("a callback of the application")


def _ignore(*_: Any) -> None:
    """A token of the status place."""


def _play(sites: Sites, fed: Any, chance: random.Random, runs: list[Run], fault: str) -> None:
    session = sites.session
    happens = {**sites.harmless, **sites.harmful}.get(fault, sites.harmless["nothing"])
    with happens(sites, chance):
        begun: list[Run] = []
        for run in runs:
            try:
                run.begin(session, fed)
            except SessionError as error:
                if fault not in sites.harmful:
                    raise Broken(f"a job cannot begin: {error}") from None
            else:
                begun.append(run)
        jobs = [run.job for run in begun]
        if fault == "cancel":
            with at_some_time(chance, jobs[0].cancel):
                pass
        elif fault == "close":
            with Pipeline() as closing:
                fed.Fork(how="close", site=chance.choice(["server", "east"]))
            jobs.append(session.execute(closing))
        for job in jobs:
            _wait(job)
    for run in begun:
        _judge(run, harmed=fault not in sites.harmless, cancelled=fault == "cancel" and run is runs[0])


def _wait(job: Job) -> None:
    """Waits for a job's end, as long as anything of it happens."""
    before = None
    while not job.wait_until_finished(PATIENCE):
        waits = job.waiting()
        now = [(type(one), getattr(one, "node", None), getattr(one, "frame", None)) for one in waits]
        if now == before:
            raise Broken("it does not end: " + "; ".join(map(str, waits)))
        before = now


def _judge(run: Run, harmed: bool, cancelled: bool) -> None:
    status, errors, had, wanted = run.job.get_status(), run.job.errors, Counter(run.had), run.wanted
    lacks, more = sorted((wanted - had).elements()), sorted((had - wanted).elements())
    # What a fault took away is an error at its place, or is not there; all else is as it has to be.
    strange = [token for token in more if token[2] != programs.FAILED and not _is_part(token, wanted)]
    match status:
        case JobStatus.FINISHED:
            well = not run.fails and not lacks and not more
        case JobStatus.FAILED:
            well = bool(errors) and (not strange if harmed else run.fails and not lacks and not more)
        case _:
            well = cancelled and not strange
    if not well:
        told = "; ".join(f"{one.errors[0].site}: {one.errors[0].message}" for one in errors[:3])
        raise Broken(f"{status.name}, lacks {lacks[:5]}, has too many {more[:5]}, errors: {told}")


def _is_part(token: programs.Place, wanted: Counter[programs.Place]) -> bool:
    """Whether it is what a block at each site made at those that were not lost, where fewer suffice."""
    place, frame, text = token
    if not text.startswith("{"):
        return False
    whole = [ast.literal_eval(other) for at, of, other in wanted if (at, of) == (place, frame)]
    return any(ast.literal_eval(text).items() <= one.items() for one in whole)


def left(before: set[str]) -> list[str]:
    """Which descriptors this process has that it had not before, as links."""
    return sorted(f"{fd} {link}" for fd, link in descriptors().items() if f"{fd} {link}" not in before)


def descriptors() -> dict[str, str]:
    """What this process has open."""
    found = {}
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[fd] = os.readlink(f"/proc/self/fd/{fd}")
    return found
