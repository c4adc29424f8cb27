"""How is a call tried as often and as long as its pipeline says?"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from dfm import _native
from dfm._running.sent import Sending
from dfm._running.threads import Body
from dfm._running.whole import whole
from dfm.exec._bound import Bound

if TYPE_CHECKING:
    from dfm._running.loop import SiteLoop

_GONE = _native.Room.GONE
"""To look up an enum's member takes as long as to tell an item."""
_GRACE = 1.0
"""Seconds that a body has to end by itself once its time is over and it was told so."""


class Trial:
    """A call that may fail, or that has a time. A generator's items are told after a whole try."""

    def __init__(self, driver: SiteLoop, due: _native.Call, bound: Bound, tries: _native.Tries) -> None:
        self._driver = driver
        self._due = due
        self._bound = bound
        self._tries = tries
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Makes the call, again where it fails and may be tried again, in the task that runs."""
        call, retries = self._due.id, self._tries.retries
        self._driver.takes_over(call)
        try:
            for attempt in range(retries + 1):
                if attempt and not self._driver.site.again(call):
                    break
                if await self._ends(attempt, last=attempt == retries):
                    break
                if self._tries.backoff:
                    await asyncio.sleep(self._tries.backoff * 2**attempt)
        except asyncio.CancelledError as error:
            if not self._driver.is_wanted(call):
                raise
            self._driver.fail(call, error)
        finally:
            self._driver.forget(call)
        self._driver.turn()

    async def _ends(self, attempt: int, *, last: bool) -> bool:
        """Tries it once; whether that was its end, as the last try always is."""
        due, timeout = self._due, self._tries.timeout
        state = Body()
        sending = Sending(self._driver.sent, due.id, [])
        limit = asyncio.timeout(timeout)
        late = False
        outlasts = None if timeout is None else self._loop.call_later(timeout + _GRACE, self._outlast, timeout)
        try:
            async with limit:
                # Of the first try, who started it has had it judged.
                arguments = self._bound.arguments(dict(due.parameters), judged=attempt == 0, job=due.job)
                streams, value = await whole(self._driver, self._bound, arguments, state, sending)
                late = self._keeps_loop() and self._is_over(limit)
            if late:
                raise TimeoutError
        except asyncio.CancelledError:
            raise
        except BaseException as raised:
            if last:
                self._fail(raised, state, timeout if late or limit.expired() else None)
            return last
        else:
            self._tell(streams, value, sending.kept or [])
            return True
        finally:
            self._driver.threads.give_up(state)
            if outlasts is not None:
                outlasts.cancel()

    def _outlast(self, timeout: float) -> None:
        """Ends a call whose body goes on though its time is over, as it takes no notice of being cancelled."""
        self._driver.site.fail(self._due.id, "TimeoutError", f"it took longer than its timeout of {timeout} s", "")
        self._driver.abandon([self._due.id])
        self._driver.turn()

    def _fail(self, raised: BaseException, state: Body, timeout: float | None) -> None:
        """With a `timeout`, that was over."""
        call, site = self._due.id, self._driver.site
        if timeout is None:
            self._driver.fail(call, raised)
        elif state.begun:
            site.fail(call, "TimeoutError", f"it took longer than its timeout of {timeout} s", "")
        else:
            site.fail(call, "BusyError", f"{self._driver.threads.busy()} (its timeout of {timeout} s)", "")

    def _tell(self, streams: bool, value: Any, sent: list[Any]) -> None:
        call, site = self._due.id, self._driver.site
        self._driver.ended(call, "done")
        if not streams and not sent:
            site.complete(call, value)
            return
        gathers = site.gathers(call)
        for item in value if streams else (*sent, value):
            if site.item(call, item) is _GONE:
                return
        site.streamed(call, value if gathers else None)

    def _keeps_loop(self) -> bool:
        """Whether nobody can look at the time while the body does not wait."""
        return self._bound.kind in ("coroutine", "async generator")

    def _is_over(self, limit: asyncio.Timeout) -> bool:
        when = limit.when()
        return when is not None and self._loop.time() >= when
