"""How is a job run again from its recording?

The homesite's engine gets what the other sites had sent, in the order of then, and runs its own operations really, one
after the other and on the thread that waits for it, so that a debugger sees them. What they come to is compared with
what they had come to.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import json
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from dfm import _native, _values
from dfm._running.loop import SiteLoop
from dfm._running.said import streaming
from dfm._running.sent import Sending
from dfm._shown import clean_logger
from dfm.exec._adapters import Adapters, Step, run_here
from dfm.exec._bodies import is_awaited
from dfm.exec._bound import Bound
from dfm.exec._keys import key_of
from dfm.exec._sending import current

Frame = tuple[int, ...]
_Firing = tuple[int, Frame]
"""A transition of the homesite's net, in a frame."""


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of an operation of the homesite."""

    node: int | str
    operation: str
    frame: Frame
    parameters: Mapping[str, Any] | None
    """What the pipeline gives it; None for a call that was refused before its adapter was called."""


@dataclasses.dataclass
class Outcome:
    """What a call has come to."""

    items: list[Any] = dataclasses.field(default_factory=list[Any])
    """Of a generator."""
    kind: str = ""
    """As `CameTo` has it; empty while it runs."""
    value: Any = None
    failure: _native.Failure | None = None

    def add(self, came: _native.CameTo) -> None:
        """Takes an item, or the end."""
        if came.kind == "item":
            self.items.append(came.value)
        else:
            self.kind, self.value, self.failure = came.kind, came.value, came.failure

    def is_like(self, other: Outcome) -> bool:
        """Whether both are the same by their types and content, or the same error."""
        if self.kind != other.kind:
            return False
        if self.failure is not None and other.failure is not None:
            one, two = self.failure, other.failure
            return (one.kind, one.message) == (two.kind, two.message)
        if self.kind == "streamed":
            return _is_same(self.items, other.items)
        return _is_same(self.value, other.value)


class Audience(Protocol):
    """Whoever is told what happens."""

    def began(self, frame: Frame, parameters: Mapping[str, Any]) -> None:
        """A parameter set begins."""
        ...

    def happened(self, event: dict[str, Any]) -> None:
        """Something happened at another site, as a job's record has it."""
        ...

    def calls(self, call: Call) -> None:
        """A call begins. It may raise `Left`."""
        ...

    def came(self, call: Call, now: Outcome, then: Outcome | None) -> None:
        """A call has ended, and how it had ended then."""
        ...

    def yielded(self, site: str, place: str, frame: Frame, value: Any) -> None:
        """A value comes to the application."""
        ...

    def failed(self, failure: _native.Failure) -> None:
        """The application is told an error."""
        ...


class Left(BaseException):
    """Nobody wants to see more."""


class ReplayedAdapters(Adapters):
    """The homesite's adapters, each of whose calls is told. All run on the event loop. What a cache had, it has again:
    nothing of the site's own is read or written."""

    replay: Replay

    def _bind(self, operation: Step, provider: str | None) -> Bound:
        bound = super()._bind(operation, provider)
        if not isinstance(operation, _native.CacheStep):
            streams = bound.kind in ("generator", "async generator")
            bound.body = self._items_told(bound) if streams else self._told(bound)
            bound.kind = "async generator" if streams else "coroutine"
        return bound

    def _bind_cache(self, step: _native.CacheStep) -> Bound:
        async def body(**_: Any) -> Any:
            call = current.get()
            assert isinstance(call, Sending)
            return self.replay.cached(call.call, step)

        bound = Bound(body, "coroutine")
        bound.accepted = {"parts"} if step is _native.CacheStep.LOOK_UP else {"key", "value"}
        bound.plain = True
        return bound

    def _told(self, bound: Bound) -> Callable[..., Any]:
        body = bound.body

        async def run(**arguments: Any) -> Any:
            call = current.get()
            assert isinstance(call, Sending)
            with self.replay.calling(call.call, _given(bound, arguments)):
                value = body(**arguments)
                return await value if is_awaited(value) else value

        return run

    def _items_told(self, bound: Bound) -> Callable[..., Any]:
        body = bound.body

        async def run(**arguments: Any) -> AsyncIterator[Any]:
            call = streaming.get()
            assert call is not None
            with self.replay.calling(call, _given(bound, arguments)):
                made = body(**arguments)
                if inspect.isasyncgen(made):
                    async for item in made:
                        yield item
                else:
                    for item in made:
                        yield item

        return run


def _given(bound: Bound, arguments: dict[str, Any]) -> dict[str, Any]:
    """What a pipeline gives of an adapter's arguments: the others are the site's, secrets among them."""
    if bound.plain:
        return arguments
    return {param: arguments[name] for name, param in (*bound.params, *bound.exposed) if name in arguments}


class Replay:
    """A job that is run again."""

    def __init__(
        self,
        recording: _native.Recording,
        settings: dict[str, Any],
        audience: Audience,
        around: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """`settings` is the content of the homesite's `site.json`; `around` makes what each call of an adapter runs
        in, a context manager."""
        self._beginning: dict[str, Any] = json.loads(recording.beginning)
        self._lines = [(json.loads(text), packet) for text, packet in recording.lines()]
        self._home: str = self._beginning["homesite"]
        # What is kept from job to job is not the recording's to change.
        forgets = [one | {"state": (one.get("state") or {}) | {"on_disk": False}} for one in settings["bindings"]]
        self._settings = settings | {"bindings": forgets}
        own = (one for one in self._beginning["nodes"] if one["site"] == self._home)
        self._operations: dict[int | str, str] = {one["node"]: one["operation"] for one in own}
        self._nodes: dict[int, int | str] = {}
        """The node of each transition whose end is in the recording."""
        self._audience = audience
        self._around = around
        self._then: dict[_Firing, Outcome] = {}
        self._now: dict[_Firing, Outcome] = {}
        self._told: dict[_Firing, Call] = {}
        self._job = 0
        self._frames = 0
        self._left = False
        self.over = False
        """Whether the job has come to its end."""
        self.broken = ""
        """What fault of dfm has ended it."""
        self.waits: _native.Unfinished | None = None
        """What is not done of it at the homesite, if it has not."""
        self.not_called: list[Call] = []
        """Calls that had ended then and have not now."""
        self.not_opened = ""
        """Why a value in the recording is not opened here."""

    def run(self) -> None:
        """Runs it, to the end of the recording.

        Raises:
            Left: nobody wants to see more.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._changed = asyncio.Event()
        self.site = _native.Site(self._home)
        driver = SiteLoop(self.site, self._on_event, self._break_off)
        logger = clean_logger("dfm.session").getChild(self._home)
        adapters = ReplayedAdapters(self._settings, self._home, "replay", logger)
        adapters.replay = self
        driver.take_on(adapters)
        adapters.run = run_here
        driver.carry = _nowhere
        # As if it had come from another site: what is in the file may be anybody's.
        _values.set_policy(False, _values.packages_of(self._settings), _values.modules_of(self._settings))
        self.site.open_pickles(set())
        _values.policy.opens_users = False
        try:
            self._read_ends()
            for line, packet in self._lines:
                if packet is None:
                    self._audience.happened(line)
                else:
                    self._repeat(line, packet)
                    driver.turn()
                    await self._settled()
                if self._left:
                    raise Left
                if self.broken:
                    return
            if not self.over:
                self.waits, _ = self.site.ask(0, self._job)
            for at in self._then:
                if (call := self._call(at)) is not None:
                    self.not_called.append(call)
        finally:
            await driver.end()

    def _read_ends(self) -> None:
        """What the calls had come to."""
        for line, packet in self._lines:
            if packet is None or line["from"] != self._home or line["kind"] not in ("made", "result", "failed"):
                continue
            try:
                came = self.site.came_to(packet)
            except (ValueError, TypeError) as error:
                self.not_opened = str(error)
                continue
            if came is not None:
                self._nodes[came.transition] = line.get("node")
                self._then.setdefault((came.transition, came.frame), Outcome()).add(came)

    def _repeat(self, line: dict[str, Any], packet: bytes) -> None:
        if line["from"] == self._home and line["kind"] == "parameters":
            try:
                given = self.site.parameters(packet) or {}
            except (ValueError, TypeError) as error:
                given = {"": str(error)}
            self._audience.began((self._frames,), given)
            self._frames += 1
        self.site.repeat(line["from"], packet)

    async def _settled(self) -> None:
        """Waits until no call runs any more."""
        while not self.broken and not self._left:
            self._changed.clear()
            if self.site.calls() == (0, False):
                return
            await self._changed.wait()

    @contextlib.contextmanager
    def calling(self, call: int, parameters: Mapping[str, Any]) -> Generator[None]:
        """What an adapter is called in."""
        firing, origin = self.site.firing(call), self.site.origin(call)
        assert firing is not None and origin is not None
        self._told[firing] = told = Call(origin[1], self.site.operation(call) or "", origin[2], parameters)
        try:
            self._audience.calls(told)
            with self._around():
                yield
        except Left:
            self._left = True
            raise asyncio.CancelledError from None
        finally:
            # Once what follows from its end has been done.
            asyncio.get_running_loop().call_soon(self._changed.set)

    def cached(self, call: int, step: _native.CacheStep) -> Any:
        """What the cache had said."""
        asyncio.get_running_loop().call_soon(self._changed.set)
        firing = self.site.firing(call)
        then = self._then.get(firing) if firing is not None else None
        if step is _native.CacheStep.STORE:
            return then.value if then is not None else None
        if then is not None and then.kind == "found":
            return _native.Found("", then.value)
        return _native.NotFound(str(then.value) if then is not None and then.kind == "not-found" else "")

    def _on_event(self, event: _native.OuterEvent) -> None:
        self._changed.set()
        match event:
            case _native.Opened(job):
                self._job = job
            case _native.Kept(_, site, packet) if site == self._home:
                if not self._left and (came := self.site.came_to(packet)) is not None:
                    self._take((came.transition, came.frame), came)
            case _native.Yielded(of, value):
                self._audience.yielded(of.site, of.place, of.frame, value)
            case _native.Items(of, values):
                for value in values:
                    self._audience.yielded(of.site, of.place, of.frame, value)
            case _native.Reported(_, failure):
                self._audience.failed(failure)
            case _native.Ended():
                self.over = True
            case _:
                pass

    def _take(self, at: _Firing, came: _native.CameTo) -> None:
        now = self._now.setdefault(at, Outcome())
        now.add(came)
        if came.kind == "item":
            return
        del self._now[at]
        then, call = self._then.pop(at, None), self._told.pop(at, None) or self._call(at)
        if call is not None:
            self._audience.came(call, now, then)

    def _call(self, at: _Firing) -> Call | None:
        """The call of an operation that has fired; None for what is none."""
        node, operation = self._nodes.get(at[0]), None
        if node is not None:
            operation = self._operations.get(node)
        elif (found := self.site.node(self._job, at[0])) is not None:
            node, operation = found
        return None if node is None or operation is None else Call(node, operation, at[1], None)

    def _break_off(self, what: str) -> None:
        self.broken = what
        self._changed.set()


def _nowhere(packets: object) -> None:
    """What goes to other sites goes to nobody."""


def _is_same(one: Any, other: Any) -> bool:
    try:
        return key_of((one,)) == key_of((other,))
    except TypeError:
        # It has no key; its bytes may differ where it does not.
        return _values.dumps(one) == _values.dumps(other)
