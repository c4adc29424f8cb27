"""Do an adapter's advisors make the tree that asking them by hand gives?"""
# pyright: basic

import asyncio
import datetime
import logging
import zlib
from typing import Any

import pytest
from dfm._discovery.advice import SiteAdvice, advice_lines
from dfm._discovery.advisors import Advisor, advisors
from dfm._discovery.answers import answer_text, fits
from dfm._discovery.asking import advise
from dfm._values import dumps, loads
from dfm.api.discovery import (
    AdviceError,
    BranchFieldAdvice,
    ErrorFieldAdvice,
    PartialError,
    PartialFieldAdvice,
    SingleFieldAdvice,
)
from dfm.exec._bound import Bound
from dfm.exec._secrets import Secrets
from dfm.exec._telling import Telling
from dfm.exec.discovery import (
    Advise,
    AdvisedDateRange,
    AdvisedDict,
    AdvisedError,
    AdvisedLiteral,
    AdvisedOneOf,
    AdvisedSubsetOf,
    Okay,
    field_advisor,
)
from hypothesis import given, settings
from hypothesis import strategies as st

TELLING = Telling(Secrets(), logging.getLogger("test"))


def bound_to(asks):
    """An adapter that takes the arguments of `asks`, name → advisor (or None), in that order."""

    async def body(**arguments):
        return arguments

    bound = Bound(body, "coroutine")
    bound.params = [(name, name) for name in asks]
    bound.accepted = bound.discoverable = set(asks)
    bound.plain = True
    bound.advisors = [Advisor(name, name, ask) for name, ask in asks.items() if ask is not None]
    return bound


def tree(asks, given=None, asked=None, unknown=(), seconds=None) -> Any:
    """What the advisors say; all that have no value are asked."""
    given = given or {}
    asked = [name for name in asks if name not in given and name not in unknown] if asked is None else asked
    return asyncio.run(advise("it", bound_to(asks), given, asked, list(unknown), seconds, TELLING))


def says(answer):
    """An advisor with one answer, whatever it is asked."""

    async def ask(value, context):
        return answer

    return ask


def depends(answers, *, on):
    """An advisor whose answer depends on another argument."""

    async def ask(value, context):
        return answers[context.get(on)]

    return ask


def test_parameters_are_asked_in_their_order():
    seen = []

    def ask(name):
        async def answer(self, value, context):
            seen.append(name)
            return Okay()

        return answer

    class Adapter:
        last = field_advisor("last")(ask("last"))
        before = field_advisor("before", order=-2)(ask("before"))
        second = field_advisor("second", order=2)(ask("second"))
        first = field_advisor("first", order=0)(ask("first"))

        async def body(self, first, second, before, last):
            return None

    class Child(Adapter):
        other = field_advisor("second", order=-3)(ask("second of the child"))

    for adapter, order in ((Adapter(), ["first", "second"]), (Child(), ["first", "second of the child"])):
        seen.clear()
        names = ("first", "second", "before", "last")
        found = advisors(adapter.body, {name: name.upper() for name in names})
        assert [one.parameter for one in found] == ["FIRST", "SECOND", "BEFORE", "LAST"]
        for one in found:
            asyncio.run(one.ask(1, None))
        assert seen == [*order, "before", "last"]


def test_an_advisor_that_cannot_be_meant_is_refused():
    class Adapter:
        @field_advisor("ciyt")
        async def cities(self, value, context):
            return Okay()

        async def body(self, city):
            return city

    with pytest.raises(ValueError, match="'ciyt', but its body takes no such argument; did you mean 'city'"):
        advisors(Adapter().body, {"city": "city"})
    with pytest.raises(TypeError, match="async def"):
        field_advisor("city")(lambda self, value, context: Okay())  # pyright: ignore


def test_a_split_asks_later_parameters_once_for_each_value():
    months = {"Oslo": AdvisedOneOf(["May"]), "Rome": AdvisedError("closed")}
    asks = {"city": says(AdvisedOneOf(["Oslo", "Rome"], split_on_advice=True)), "month": depends(months, on="city")}
    found = tree(asks)
    may = SingleFieldAdvice("month", AdvisedOneOf(["May"]), None)
    closed = SingleFieldAdvice("month", None, ErrorFieldAdvice("closed"))
    assert found == BranchFieldAdvice("city", [("Oslo", may), ("Rome", closed)])
    assert list(found) == ["Oslo"] and found.collect_error_messages() == {"month": ["closed"]}
    assert found.select("Rome") == closed
    with pytest.raises(AdviceError, match="'month' cannot be 'May'"):
        found.select("Rome").select("May")


def test_without_a_split_a_later_advisor_sees_the_answer():
    cities = AdvisedOneOf(["Oslo", AdvisedOneOf(["Rome", AdvisedLiteral("Bari")])])
    seen = []

    async def month(value, context):
        seen.append((value, context.get("city"), context.get("month", "later")))
        return AdvisedSubsetOf([1, 2])

    found = tree({"city": says(cities), "month": month})
    assert seen == [(Advise(), cities, "later")]
    assert list(found) == ["Oslo", "Rome", "Bari"] and list(found.select("Bari")) == [1, 2]
    assert found.select("Oslo").select([2, 1]) is None and found.select("Oslo").select([]) is None
    with pytest.raises(AdviceError, match="any of 1, 2"):
        found.select("Oslo").select([3])


def test_answers_among_the_values_have_branches_of_their_own():
    answer = AdvisedOneOf(
        [
            "a",
            AdvisedLiteral("b", break_on_advice=True),
            AdvisedError("no c"),
            AdvisedOneOf(["d", "e"], split_on_advice=True),
            AdvisedOneOf(["f", "g"]),
        ],
        split_on_advice=True,
    )
    found = tree({"x": says(answer), "y": says(AdvisedLiteral(1))})
    end = SingleFieldAdvice("y", 1, None)
    assert found == BranchFieldAdvice(
        "x",
        [
            ("a", end),
            ("b", PartialFieldAdvice()),
            (None, ErrorFieldAdvice("no c")),
            ("d", end),
            ("e", end),
            (AdvisedOneOf(["f", "g"]), end),
        ],
    )
    assert list(found) == ["a", "b", "d", "e", "f", "g"] and found.collect_error_messages() == {"x": ["no c"]}
    assert found.select("g") == end
    with pytest.raises(PartialError, match="after 'x' = 'b' is not known"):
        found.select("b")
    with pytest.raises(TypeError, match="say split_on_advice=True"):
        AdvisedOneOf(["a", AdvisedError("no c")])
    with pytest.raises(TypeError, match="takes a list of values"):
        AdvisedSubsetOf("abc")  # pyright: ignore


def test_a_break_makes_the_rest_partial():
    for answer in (
        AdvisedLiteral(1, break_on_advice=True),
        AdvisedOneOf([1, 2], break_on_advice=True),
        AdvisedDict({}, break_on_advice=True),
    ):
        found = tree({"x": says(answer), "y": says(AdvisedLiteral(1))})
        assert isinstance(found, SingleFieldAdvice) and found.edge == PartialFieldAdvice()
    found = tree({"x": says(AdvisedOneOf([1, 2], split_on_advice=True, break_on_advice=True)), "y": says(Okay())})
    assert found == BranchFieldAdvice("x", [(1, PartialFieldAdvice()), (2, PartialFieldAdvice())])


def test_a_given_value_is_checked_by_any_answer():
    choice = AdvisedOneOf([1, AdvisedLiteral(2, break_on_advice=True), AdvisedError("never")], split_on_advice=True)
    for answer, value, edge in (
        (Okay(), 7, None),
        (AdvisedError("no"), 7, ErrorFieldAdvice("no")),
        (AdvisedOneOf([6, 7]), 7, None),
        (AdvisedOneOf([6]), 7, ErrorFieldAdvice("7 is not possible; it can be one of 6")),
        (AdvisedSubsetOf([6, 7]), [7], None),
        (AdvisedSubsetOf([6, 7], split_on_advice=True), [7, 6], None),
        (choice, 1, None),
        (choice, 2, PartialFieldAdvice()),
    ):
        assert tree({"x": says(answer)}, {"x": value}) == SingleFieldAdvice("x", value, edge), answer
    asked = tree({"x": says(Okay())})
    assert asked.collect_error_messages() == {"x": ["the advisor of 'x' answered Okay(), but no value was given"]}


def test_what_only_a_run_gives_is_left_out():
    seen = []

    async def ask(value, context):
        seen.append((context.get("free"), context.get("later"), context.get("given")))
        return AdvisedLiteral(1)

    asks = {"x": ask, "later": says(AdvisedError("is not asked")), "given": says(Okay()), "free": None}
    found = tree(asks, {"given": 3, "free": 4}, ["x"], ["later"])
    assert found == SingleFieldAdvice("x", 1, SingleFieldAdvice("given", 3, None))
    assert seen == [(4, None, None)]


def test_a_parameter_without_an_advisor_makes_the_end_partial():
    why = PartialFieldAdvice("it has no advisor for 'y'")
    assert tree({"x": says(AdvisedLiteral(1)), "y": None}) == SingleFieldAdvice("x", 1, why)
    assert tree({"y": None}) == why
    assert tree({"y": None}, {"y": 3}) is None


def test_one_deadline_holds_for_all_of_an_operation():
    async def hang(value, context):
        await asyncio.Event().wait()

    late = ErrorFieldAdvice("it has not answered within 0.05 s")
    found = tree({"x": says(AdvisedOneOf([1, 2], split_on_advice=True)), "y": hang}, seconds=0.05)
    assert found == BranchFieldAdvice("x", [(one, SingleFieldAdvice("y", None, late)) for one in (1, 2)])


def test_dates_and_dictionaries():
    day = datetime.date(2024, 5, 1)
    year = AdvisedDateRange("2024-01-01", datetime.date(2024, 12, 31))
    noon = datetime.datetime(2024, 12, 31, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    assert all(fits(year, value) for value in (day, "2024-12-31", noon, datetime.datetime(2024, 1, 1)))
    assert not any(fits(year, value) for value in ("2023-12-31", noon + datetime.timedelta(days=1), "soon", None, 3))
    assert fits(AdvisedDateRange(None, None), day) and not fits(AdvisedDateRange(noon, None), day)
    with pytest.raises(ValueError, match="isoformat"):
        AdvisedDateRange("soon", None)
    box = AdvisedDict({"north": AdvisedOneOf([60, 70]), "south": 50})
    assert fits(box, {"north": 60, "south": 50}) and not fits(box, {"north": 61, "south": 50})
    assert not fits(box, {"south": 50}) and not fits(box, {"north": 60, "south": 50, "west": 1}) and not fits(box, 3)
    assert fits(AdvisedDict({"south": 50}, allow_extras=True), {"south": 50, "west": 1})
    shown = [answer_text(one) for one in (year, AdvisedDateRange(None, day), AdvisedDateRange(day, None), box)]
    assert shown == [
        "from 2024-01-01 until 2024-12-31",
        "until 2024-05-01",
        "from 2024-05-01",
        "{'north': one of 60, 70; 'south': 50}",
    ]


def test_a_tree_survives_the_way_and_nothing_else_takes_its_place():
    answer = AdvisedOneOf([1, AdvisedDateRange("2024-01-01", None)])
    sent = SiteAdvice("a.B", "east", None, BranchFieldAdvice("x", [(answer, PartialFieldAdvice("so"))]))
    assert loads(dumps(sent)) == sent
    with pytest.raises(TypeError, match="is no advice"):
        SingleFieldAdvice("x", 1, 3)  # pyright: ignore


def test_branches_that_go_on_alike_are_printed_together():
    end = SingleFieldAdvice("y", AdvisedSubsetOf(["u", "v"]), PartialFieldAdvice("so"))
    found = BranchFieldAdvice("x", [(1, end), (2, ErrorFieldAdvice("gone\nfor ever")), (3, end), (4, None)])
    assert advice_lines(found) == [
        "x:",
        "  1, 3",
        "    y: any of 'u', 'v'",
        "      not known from here on: so",
        "  2",
        "    error: gone",
        "      for ever",
        "  4",
    ]
    many = answer_text(AdvisedOneOf(list(range(1000))))
    assert many == "one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … (1000 in all)"


# Random adapters: what each of three arguments' advisors answers depends on the values of those before it.
value = st.integers(0, 3)
leaf = st.builds(AdvisedLiteral, value, st.booleans()) | st.builds(AdvisedError, st.just("no"))
one_of = st.builds(AdvisedOneOf, st.lists(value, max_size=3), st.booleans(), st.just(False))
inner = st.builds(AdvisedOneOf, st.lists(value | leaf, max_size=3), st.booleans(), st.just(True))
split = st.builds(AdvisedOneOf, st.lists(value | leaf | one_of | inner, max_size=4), st.booleans(), st.just(True))
several = st.lists(leaf | one_of | split, min_size=1, max_size=5)


def chosen(answers, before) -> Any:
    """The answer that goes with these earlier values."""
    return answers[zlib.crc32(repr(before).encode()) % len(answers)]


def ways_of(answer):
    """(a value, or an answer without branches; how the way ends with it, "" if it goes on)."""
    match answer:
        case AdvisedError():
            return [(None, "error")]
        case AdvisedLiteral(value, breaks):
            return [(value, "partial" if breaks else "")]
        case AdvisedOneOf(values, breaks, True):
            ways = [way for one in values for way in ways_of(one)]
            return [(one, end or ("partial" if breaks else "")) for one, end in ways]
        case AdvisedOneOf(_, breaks, False):
            return [(answer, "partial" if breaks else "")]
        case plain:
            return [(plain, "")]


def values_of(way):
    return way.values if isinstance(way, AdvisedOneOf) else [way]


def by_hand(answers, given, before: Any = ()) -> Any:
    """Every way to its end, as asking one advisor after the other tells it."""
    at = len(before)
    if at == len(answers):
        yield before, ""
        return
    ways = ways_of(chosen(answers[at], before))
    if given[at] is not None:
        allowed = [end for way, end in ways if end != "error" and given[at] in values_of(way)]
        ways = [(given[at], allowed[0] if allowed else "error")]
    for way, end in ways:
        yield from [((*before, way), end)] if end else by_hand(answers, given, (*before, way))


def walked(edge, before: Any = ()) -> Any:
    """Every way through a tree to its end."""
    match edge:
        case None:
            yield before, ""
        case ErrorFieldAdvice():
            yield before, "error"
        case PartialFieldAdvice():
            yield before, "partial"
        case _:
            for way, after in edge.ways():
                yield from walked(after, (*before, way))


@settings(max_examples=300, deadline=None)
@given(st.tuples(several, several, several), st.tuples(*[st.none() | value] * 3))
def test_a_tree_has_exactly_the_ways_that_asking_by_hand_finds(answers, values):
    def ask(at):
        async def answer(value, context):
            return chosen(answers[at], tuple(context.get(name) for name in "xyz"[:at]))

        return answer

    found = tree(
        {name: ask(at) for at, name in enumerate("xyz")},
        {name: value for name, value in zip("xyz", values, strict=True) if value is not None},
    )
    ways = list(by_hand(answers, values))
    assert list(walked(found)) == ways
    good = {one for way, end in ways if end != "error" and all(map(values_of, way)) for one in values_of(way[0])}
    assert set(found) == good
    ends = {one: end for way, end in ways if len(way) == 1 for one in values_of(way[0])}
    for one in range(4):
        if not any(one in values_of(way) for way, _ in found.ways()):
            with pytest.raises(AdviceError, match="cannot be"):
                found.select(one)
        elif one not in ends:
            assert found.select(one) is not None


def test_an_answer_reads_as_the_data_that_it_stands_for():
    dates = AdvisedDateRange("1959-01-01", None)
    one = AdvisedOneOf([AdvisedLiteral("*"), AdvisedSubsetOf(["a", AdvisedLiteral(AdvisedLiteral("b"))])])
    assert [one[0], list(one[1]), len(one), one[-1][1:]] == ["*", ["a", "b"], 2, ["b"]]
    entries = AdvisedDict({"time": {"first": "1959-01-01"}, "dates": dates, "kind": AdvisedLiteral(3)})
    either = AdvisedOneOf([None, entries])
    assert either[1]["time"]["first"] == "1959-01-01"
    assert dict(either[1]["dates"]) == {"startdate": "1959-01-01", "enddate": None}
    assert [*entries] == ["time", "dates", "kind"] and entries["kind"] == 3
    for answer in (one, entries, dates, either):
        assert loads(dumps(answer)) == answer and isinstance(loads(dumps(answer)), type(answer))
