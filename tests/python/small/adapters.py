"""What do the sites of the test federation run?"""
# pyright: basic

import asyncio
import contextlib
import contextvars
import dataclasses
import enum
import functools
import gc
import os
import signal
import time
import typing

import pydantic
from dfm import _native
from dfm._running.loop import SiteLoop
from dfm.api import PickledObject
from dfm.exec import Frame


class Adapter:
    def __init__(self, site, provider):
        self.site = site


class Add(Adapter):
    async def body(self, a, b):
        return a + b


class AddOnThread(Adapter):
    def body(self, a):
        print(f"it was printed that {a} + 1 are asked for")
        return a + 1


class Wait(Adapter):
    async def body(self, seconds):
        await asyncio.sleep(seconds)
        return seconds


variable = contextvars.ContextVar("variable", default="")


class OfATask(Adapter):
    async def body(self, how):
        if how == "cancel":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(1000)
        while how == "go on":
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)
        if how == "timeout":
            try:
                async with asyncio.timeout(0.01):
                    await asyncio.sleep(1000)
            except TimeoutError:
                return how
        before = asyncio.current_task()
        variable.set(how)
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            group.create_task(asyncio.sleep(0.01))
        return variable.get() if asyncio.current_task() is before else "another task"


class Block(Adapter):
    async def body(self, seconds, path):
        open(path, "w").close()
        time.sleep(seconds)
        return seconds


class Hold(Adapter):
    async def body(self, fifo):
        with open(fifo, "rb") as told:
            told.read(1)


class Fail(Adapter):
    async def body(self, value):
        return refuse(value)


def refuse(value):
    raise ValueError(f"no luck with {value}")


class Die(Adapter):
    async def body(self, how):
        if how != "exit":
            os.kill(os.getpid(), {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}[how])
        os._exit(3)


class Fork(Adapter):
    async def body(self, how):
        return forked(how)


class ForkOnThread(Adapter):
    def body(self, how):
        return forked(how)


class Panicking:
    """A site whose native code panics as soon as it is asked what there is to do."""

    def __init__(self, site):
        self._site = site

    def __getattr__(self, name):
        return getattr(self._site, name)

    def events(self):
        raise _native.Panic("index out of bounds")


def forked(how):
    if how == "panic":
        # Of several sites in one process, that of this thread's loop.
        loops = (one for one in gc.get_objects() if type(one) is SiteLoop)
        driver: typing.Any = next(one for one in loops if one._loop is asyncio.get_running_loop())
        driver.site = Panicking(driver.site)
        return []
    if how == "close":
        os.closerange(3, 1024)
        return [os.getpid()]
    child = os.fork()
    if child == 0:
        if how == "raise":
            raise ValueError("in a forked process")
        if how == "stay":
            os.setsid()
            signal.pause()
    return [os.getpid(), child]


class Count(Adapter):
    def body(self, to):
        yield from range(to)


class CountInto(Adapter):
    def body(self, to, path):
        with open(path, "w", buffering=1) as log:
            for number in range(to):
                print(number, file=log)
                yield number


class CountThenFail(Adapter):
    def body(self, to):
        yield from range(to)
        raise ValueError(f"no more than {to}")


class CountUntil(Adapter):
    def body(self, fifo):
        yield 1
        with open(fifo, "rb") as told:
            yield int(told.read(1))


class Tell(Adapter):
    def body(self, fifo, value):
        told = os.open(fifo, os.O_RDWR)  # waits for nobody; it stays open, so that what it holds is not lost
        os.write(told, b"%d" % value)
        return value


class CountAsync(Adapter):
    async def body(self, to):
        for number in range(to):
            if number % 10 == 0:
                await asyncio.sleep(0)
            yield number


class Total(Adapter):
    async def body(self, items):
        return sum(items)


class Sum(Adapter):
    async def body(self, parts):
        return sum(parts.values())


class Echo(Adapter):
    async def body(self, value):
        return value


class Pickle(Adapter):
    async def body(self, value):
        return PickledObject(value={"of": value})


class WhoAmI:
    def __init__(self, site, provider, extra):
        self.extra = extra
        self.made_in = os.getpid()

    async def body(self, site, context, secret, limit):
        told = {"site": site, "pid": os.getpid(), "secret": secret, "limit": limit, "extra": self.extra}
        return told | {"user": [context.user, context.organisation, context.role]}


class Flaky(Adapter):
    async def body(self, path, fails):
        with open(path, "a+") as tries:
            tries.write("x")
            tries.seek(0)
            made = len(tries.read())
        if made <= fails:
            raise ValueError(f"try {made} of {fails} that fail")
        return made


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


class Pair(typing.NamedTuple):
    left: int
    right: object


@dataclasses.dataclass
class Sample:
    size: float
    scale: dataclasses.InitVar[float]

    def __post_init__(self, scale):
        self.size *= scale


class Reading(pydantic.BaseModel):
    value: int

    @pydantic.field_validator("value")
    @classmethod
    def calibrated(cls, value):
        return value + 1


class NoValueError(Exception):
    def __init__(self, at, *, why):
        super().__init__(f"no value at {at}: {why}")
        self.at = at


class Send(Adapter):
    """Sends numbers to a place, and returns how many they were."""

    async def body(self, to, place, more):
        context = self.site.dfm_context
        send = functools.partial(context.send_to_place, None, context.homesite, place, True, None)
        for number in range(to):
            await send(number)
        for name, value in more.items():
            given = {"to_job": None, "to_site": context.homesite, "to_place": place, "is_yield": True, "frame": None}
            await context.send_to_place(**given | {name: Frame(value) if name == "frame" else value}, data="never")
        return f"{to} were sent"


class SendOnThread(Adapter):
    def body(self, to, place):
        context = self.site.dfm_context
        for number in range(to):
            context.send_to_place_sync(None, context.homesite, place, True, None, number)
        return f"{to} were sent"


class SendLate(Adapter):
    """Has a task of its own send once the body has returned."""

    late = None

    async def body(self, place):
        context = self.site.dfm_context
        if SendLate.late is not None:
            return await SendLate.late
        over = asyncio.Event()

        async def send():
            await over.wait()
            try:
                await context.send_to_place(None, context.homesite, place, True, None, "late")
            except ValueError as error:
                return str(error)

        SendLate.late = asyncio.create_task(send())
        over.set()
        return "early"


class SendTwice(Adapter):
    """Sends in each of two tries, of which the first fails."""

    tries = 0

    async def body(self, place):
        context = self.site.dfm_context
        SendTwice.tries += 1
        await context.send_to_place(None, context.homesite, place, True, None, f"try {SendTwice.tries}")
        if SendTwice.tries == 1:
            raise ValueError("not at once")
        return "done"
