"""What do adapters say that nobody outside of their site should hear?"""
# pyright: basic

import asyncio
import logging
import threading

from dfm.errors import Public
from dfm.exec.discovery import field_advisor

ROW = "row-of-patient-4711"
FORGED = "2026-01-01 00:00:00,000 - dfm - INFO - all is well"


class Unsayable(Exception):
    def __str__(self):
        raise RuntimeError(ROW)


class Shy:
    """Tells its row in everything that is asked of it."""

    __slots__ = ("_text", "size")

    def __init__(self, text):
        self._text = text

    def __getattribute__(self, name):
        if name == "size":
            raise ValueError(self._text)
        return object.__getattribute__(self, name)

    def __eq__(self, other):
        raise ValueError(self._text)

    def __bool__(self):
        raise ValueError(self._text)

    def __iter__(self):
        raise ValueError(self._text)

    def __hash__(self):
        raise ValueError(self._text)

    def __repr__(self):
        return self._text

    def __reduce__(self):
        raise ValueError(self._text)


class Leak:
    def __init__(self, site, provider):
        self.site = site

    @field_advisor("note")
    async def notes(self, value, context):
        raise LookupError(f"{ROW} {self.site.secret_for_key('pass-word')}")

    async def body(self, how, note, secret):
        if how == "log":
            log = self.site.dfm_context.logger
            log.getChild("adapter").warning("logged by a child: %s\n%s \x1b[31m", secret, FORGED)
            try:
                raise ValueError(f"{secret}\n{FORGED} \x1b[31m")
            except ValueError:
                log.exception("logged by the site")
        return outcome(how, f"{ROW} {secret}")


class LeakOnThread(Leak):
    def body(self, how, note, secret):
        if how == "wait":
            threading.Event().wait()
        return outcome(how, f"{ROW} {secret}")


class LeakItems(Leak):
    def body(self, how, note, secret):
        yield 1
        yield outcome(how, f"{ROW} {secret}")
        raise ValueError(f"{ROW} {secret}")


class LeakWhenMade(Leak):
    def __init__(self, site, provider):
        raise ValueError(f"{ROW} {site.secret_for_key('pass-word')}")


def outcome(how, text):
    match how:
        case "raise":
            raise ValueError(text)
        case "cause":
            try:
                raise ValueError(text)
            except ValueError as error:
                raise RuntimeError(f"again: {text}") from error
        case "group":
            raise ExceptionGroup(text, [ValueError(text)])
        case "unsayable":
            raise Unsayable
        case "key":
            return {}[text]
        case "exit":
            raise SystemExit(text)
        case "public":
            raise Public("only 3 rows match") from ValueError(text)
        case "object":
            return Shy(text)
        case "cancelled":
            raise asyncio.CancelledError(text)
        case "log":
            try:
                raise ValueError(f"{text}\n{FORGED} \x1b[31m")
            except ValueError:
                logging.getLogger(__name__).exception("logged: %s", text)
            return 1
        case "rows":
            return [1, 2]
    raise AssertionError(how)


class Endless:
    """A generator without an end."""

    def __init__(self, site, provider):
        pass

    def body(self):
        number = 0
        while True:
            yield number
            number += 1


class Gauge:
    """How many calls of it run at the same time? Each waits until so many others have come, or a moment."""

    running = 0
    most = 0

    def __init__(self, site, provider):
        pass

    async def body(self, number):
        Gauge.running += 1
        Gauge.most = max(Gauge.most, Gauge.running)
        for _ in range(20):
            await asyncio.sleep(0)
        Gauge.running -= 1
        return Gauge.most
