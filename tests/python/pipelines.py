"""Which pipelines have to give the same tokens on every target?

Each is written with the operations of the federation `small`, so that data crosses all borders between its sites.
"""
# pyright: basic

import datetime
import secrets
from pathlib import Path

from dfm.api import EachSite, Equal, ForEach, If, PlaceParam, Repeat, Retry, TryFromCache, Yield

SITES = ["home", "server", "east", "west"]


def chain(fed):
    value = PlaceParam(place="start")
    for site in [*SITES, *reversed(SITES)] * 3:
        value = fed.Add(a=value, site=site)
    Yield(value=value)


def fan(fed):
    for site in SITES:
        Yield(
            value=fed.Add(a=PlaceParam(place="start", multiuse=True), b=fed.Add(a=1, site="east"), site=site),
            place=site,
        )


def streams(fed):
    for site in ("home", "server", "east"):
        items = fed.Count(to=3000, site=site)
        Yield(value=items, place=site)
        Yield(value=fed.Total(items=items, site="west"), place=f"total_{site}")


def echoes(fed):
    value = PlaceParam(place="start")
    for site in SITES:
        value = fed.Echo(value=value, site=site)
    Yield(value=value)


def parts(fed):
    value = fed.Echo(value={"rows": [10, 20]}, site="east")
    Yield(value=fed.Add(a=value.fieldref("rows", issubs=True).fieldref(1), site="west", dfm_after=value))


def errors(fed):
    bad = fed.Fail(value=PlaceParam(place="start"), site="east")
    Yield(value=fed.Add(a=bad, site="west"), place="bad")
    Yield(value=fed.Add(a=1, site="server"), place="good")


def caches(fed):
    with TryFromCache(key=("kept", PlaceParam(place="start"))) as kept:
        kept.cache(fed.Add(a=PlaceParam(place="n"), b=10, site="server"))
    Yield(value=fed.Add(a=kept, site="east"))


def no_such_part(fed):
    Yield(value=fed.Add(a=fed.Echo(value={}, site="east").fieldref("x", issubs=True), site="server"))


def loops(fed):
    base = fed.Add(a=PlaceParam(place="base"), b=0, site="west")
    with ForEach(seq=fed.Echo(value=[[1, 2], [], [3]], site="east")) as row:
        with ForEach(seq=row) as cell:
            made = fed.Add(a=cell, b=base, site="server")
            Yield(value=made, place="cell")
        total = fed.Total(items=cell.collect(made), site="west")
        Yield(value=total, place="row")
    Yield(value=fed.Echo(value=row.collect(total), site="home"), place="all")


def branches(fed):
    n = fed.Add(a=PlaceParam(place="n"), b=0, site="east")
    with If(cond=(n > 3) & ~(n == 5)) as test:
        with If(cond=fed.Add(a=n, site="west") == 5) as inner:
            Yield(value=fed.Add(a=n, b=100, site="home"), place="five")
        with inner.otherwise():
            Yield(value=fed.Add(a=n, b=200, site="server"), place="more")
    with test.otherwise():
        Yield(value=fed.Add(a=n, b=-100, site="west"), place="otherwise")


def generators(fed):
    for kind, site in ((fed.Count, "server"), (fed.CountAsync, "east")):
        with ForEach(seq=kind(to=40, site=site)) as x:
            with If(cond=x < 7) as small:
                kept = fed.Add(a=x, b=10, site="west")
            with small.otherwise(), ForEach(seq=fed.Echo(value=["p", "q"], site="home")) as y, If(cond=Equal(x, 39)):
                Yield(value=y, place=f"last_{site}")
        Yield(value=fed.Echo(value=x.collect(kept), site="server"), place=f"kept_{site}")


def streams_in_loops(fed):
    with ForEach(seq=fed.Echo(value=[0, 3, 900], site="west")) as x:
        items = fed.Count(to=x, site="east")
        Yield(value=items, place="items")
        total = fed.Total(items=items, site="west")
    Yield(value=x.collect(total), place="totals")


def elements_that_fail(fed):
    with ForEach(seq=fed.Echo(value=[[1], 2, [3]], site="east")) as x:
        total = fed.Total(items=x, site="west")
        Yield(value=total, place="each")
    for errors in ("fail", "skip", "keep"):
        Yield(value=fed.Echo(value=x.collect(total, errors=errors), site="server"), place=errors)


def blocks_that_fail(fed):
    with ForEach(seq=fed.Fail(value="it", site="east")) as x:
        Yield(value=fed.Echo(value=x, site="west"), place="each")
        with If(cond=x > 1):
            Yield(value=x, place="inner")
    Yield(value=x.collect(x), place="all")
    with If(cond=fed.Echo(value="text", site="west") > 3) as test:
        Yield(value=fed.Add(a=1, site="server"), place="then")
    with test.otherwise():
        Yield(value=fed.Add(a=1, site="east"), place="otherwise")


def tries(fed):
    for site in ("server", "east"):
        # A new file, beside the generated code, counts the tries.
        path = str(Path(fed.__file__).with_name(secrets.token_hex(8)))
        made = fed.Flaky(path=path, fails=2, site=site, retry=Retry(times=2, backoff=0.01))
        Yield(value=fed.Add(a=made, site="west"), place=site)
    Yield(value=fed.Fail(value=1, site="east", retry=Retry(times=1)), place="never")


def limits(fed):
    Yield(value=fed.Wait(seconds=60.0, site="east", timeout=0.1), place="late")
    Yield(value=fed.Add(a=fed.Wait(seconds=60.0, site="server", timeout=0.1), site="west"), place="after")
    Yield(value=fed.Count(to=3, site="server", timeout=30), place="items")
    Yield(value=fed.AddOnThread(a=1, site="east", retry=Retry(times=1), timeout=30), place="thread")


def made_values(fed):
    one, bad = fed.Add(a=1, site="east"), fed.Fail(value=PlaceParam(place="start", multiuse=True), site="server")
    start = PlaceParam(place="start", multiuse=True)
    Yield(value=fed.Echo(value={"k": [one, (start, 2)]}, site="west"), place="whole")
    Yield(value=[one, {"start": start}], place="yielded")
    Yield(value=fed.Echo(value=[one, [bad]], site="server"), place="bad")


def beyond_ascii(fed):
    value = fed.Echo(value={"Ω": PlaceParam(place="größe")}, site="east")
    with TryFromCache(key=("naïve", value)) as kept:
        kept.cache(fed.Echo(value=value, site="server"))
    Yield(value=fed.Echo(value=kept.fieldref("Ω", issubs=True), site="west"), place="結果")
    Yield(value=fed.Fail(value="größer", site="server"), place="Fehler ✗")


def columns_of_one_name(fed):
    table = fed.Echo(value=PlaceParam(place="start"), site="east")
    Yield(value=fed.Echo(value=table, site="west"), place="whole")
    with ForEach(seq=table) as row:
        Yield(value=fed.Echo(value=row, site="server"), place="rows")


def each_site(fed):
    with ForEach(seq=[1, 2]) as n:
        with EachSite(offers=[fed.Add, fed.Total], at_least=3) as here:
            more = fed.Add(site=here, a=n, b=PlaceParam(place="base"))
        Yield(value=fed.Echo(value=here.collect(more), site="east"), place="each")
    with EachSite(sites=["server", "east"], errors="skip") as here:
        bad = fed.Fail(site=here, value="here")
    Yield(value=[here.collect(bad), here.missing(bad)], place="missing")


def rounds(fed):
    """Doubles a number until it is large enough, together with all sites, and once more than it may."""
    with Repeat(start={"n": PlaceParam(place="start"), "kept": [1]}, at_most=9) as rounds:
        with EachSite(offers=[fed.Add, fed.Total]) as here:
            same = fed.Add(site=here, a=rounds["n"], b=0)
        both = here.collect(same)
        more = fed.Add(a=both["east"], b=both["west"], site="west")
        Yield(value={"round": more, "kept": rounds["kept"]}, place="each")
        rounds.next(n=more)
        rounds.until(more > 40)
    Yield(value=fed.Add(a=rounds.result("n"), b=rounds.count, site="east"), place="end")
    Yield(value=rounds.collect(more), place="all")
    with Repeat(start={"n": 0}, at_most=3) as failing:
        bad = fed.Fail(value=failing["n"], site="east")
        failing.next(n=bad)
        Yield(value=bad, place="bad")
    Yield(value=failing.result("n"), place="none")


def numpy_array():
    import numpy

    return numpy.arange(700_000, dtype="f8").reshape(700, 1000)


def table():
    import pyarrow

    return pyarrow.table({"n": [1, 2, None], "name": ["a", "b", "c"]})


def twice_named():
    import pyarrow

    return pyarrow.table([[1, 2], ["x", None]], names=["a", "a"])


CASES = {
    "chain": (chain, [{"start": 0}]),
    "frames": (chain, [{"start": n} for n in range(30)]),
    "fan": (fan, [{"start": 4}]),
    "streams": (streams, [{}]),
    "plain data": (echoes, [{"start": [1, 2.5, None, "ä", b"\0", {"k": (1, {2})}]}]),
    "dates": (echoes, [{"start": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)}]),
    "an array": (echoes, [{"start": numpy_array}]),
    "a table": (echoes, [{"start": table}]),
    "parts": (parts, [{}]),
    "errors": (errors, [{"start": 1}, {"start": 2}]),
    "caches": (caches, [{"start": "a", "n": 1}, {"start": "b", "n": 2}]),
    "a missing part": (no_such_part, [{}]),
    "loops": (loops, [{"base": 10}, {"base": 20}]),
    "branches": (branches, [{"n": n} for n in (3, 4, 5, 6)]),
    "generators": (generators, [{}]),
    "streams in loops": (streams_in_loops, [{}]),
    "elements that fail": (elements_that_fail, [{}]),
    "blocks that fail": (blocks_that_fail, [{}]),
    "tries": (tries, [{}]),
    "limits": (limits, [{}]),
    "rounds": (rounds, [{"start": 3}, {"start": 0}]),
    "made values": (made_values, [{"start": 1}]),
    "beyond ASCII": (beyond_ascii, [{"größe": "日本"}, {"größe": "\U0001f600"}]),
    "columns of one name": (columns_of_one_name, [{"start": twice_named}]),
    "each site": (each_site, [{"base": 10}, {"base": 20}]),
}
"""By name, what writes a pipeline, and its frames' parameters; one that can be called makes its value."""
