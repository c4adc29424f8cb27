"""Do loops, conditions, collections and limits do at all sites what their reference promises?"""
# pyright: basic, reportMissingImports=false

import json
import time

import pytest
from dfm import _native
from dfm.api import (
    And,
    EachSite,
    Equal,
    ErrorToken,
    ForEach,
    If,
    LessThan,
    Not,
    Pipeline,
    PlaceParam,
    Repeat,
    Retry,
    TryFromCache,
    Yield,
)
from dfm.errors import JobError, PipelineError, ValuePipelineError
from dfm.session import JobStatus
from pydantic import BaseModel
from written import refusal, run, written

pytestmark = pytest.mark.timeout(60)
HERE = __file__


@pytest.fixture(scope="module")
def session(shared):
    return shared


def line_after(build) -> str:
    return f"{HERE}:{build.__code__.co_firstlineno}"


@pytest.mark.parametrize("sites", [("home", "home"), ("east", "west"), ("east", "home"), ("home", "west")])
def test_a_body_runs_once_for_each_element_and_is_collected(session, fed, sites):
    def build():
        offset = fed.Add(a=100, b=0, site=sites[1])
        with ForEach(seq=fed.Echo(value=[1, 2, 3], site=sites[0])) as x:
            more = fed.Add(a=x, b=offset, site=sites[1])
            Yield(value=more, place="each")
        Yield(value=fed.Total(items=x.collect(more), site=sites[0]), place="total")

    job = run(session, build)
    assert job.results("each") == [101, 102, 103]
    assert job.results("total") == [306]
    assert [token.frame.frame for token in sorted(job.tokens("each"), key=lambda one: one.frame)] == [
        [0, 0],
        [0, 1],
        [0, 2],
    ]
    assert job.get_status() is JobStatus.FINISHED


class Point(BaseModel):
    x: int


def sequences():
    numpy = pytest.importorskip("numpy")
    arrow = pytest.importorskip("pyarrow")
    pandas = pytest.importorskip("pandas")
    xarray = pytest.importorskip("xarray")
    return {
        "list": ([1, 2], [1, 2]),
        "tuple": ((1, 2), [1, 2]),
        "empty": ([], []),
        "array": (numpy.array([1.5, 2.5]), [1.5, 2.5]),
        "dict": ({"a": 1, "b": 2}, [("a", 1), ("b", 2)]),
        "table": (arrow.table({"n": [1, 2], "s": ["x", "y"]}), [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]),
        "frame": (pandas.DataFrame({"n": [1, 2], "s": ["x", "y"]}), [{"n": 1, "s": "x"}, {"n": 2, "s": "y"}]),
        "dataset": (xarray.Dataset({"t": ("x", [1.0]), "u": ("x", [2.0])}), ["t", "u"]),
    }


@pytest.mark.parametrize("given", ["parameter", "literal", "node"])
@pytest.mark.parametrize("kind", ["list", "tuple", "empty", "array", "dict", "table", "frame", "dataset"])
def test_every_kind_of_sequence_has_the_same_elements_however_it_is_given(session, fed, kind, given):
    value, elements = sequences()[kind]

    def build():
        place = PlaceParam("seq")
        with ForEach(
            seq=place if given == "parameter" else value if given == "literal" else fed.Echo(value=place, site="east")
        ) as x:
            Yield(value=fed.Echo(value=x, site="east"))
        Yield(value=x.collect(x), place="all")

    job = run(session, build, {} if given == "literal" else {"seq": value})
    assert job.results() == elements
    assert job.results("all") == [elements]


def test_what_is_no_sequence_when_it_runs_is_none_when_it_is_written():
    for value in (1, "text", b"bytes", memoryview(b"bytes"), Retry(times=1), Point(x=1)):
        with pytest.raises(ValuePipelineError, match="ForEach: seq takes"), Pipeline():
            ForEach(seq=value)  # pyright: ignore


def test_a_table_with_two_columns_of_one_name_has_no_rows(session, fed):
    arrow = pytest.importorskip("pyarrow")

    def build():
        table = fed.Echo(value=PlaceParam("table"), site="east")
        Yield(value=fed.Echo(value=table, site="west"), place="whole")
        with ForEach(seq=table) as row:
            Yield(value=fed.Echo(value=row, site="west"), place="rows")

    table = arrow.table([[1], ["x"]], names=["a", "a"])
    job = run(session, build, {"table": table})
    assert job.results("whole") == [table]
    (error,) = [one for token in job.errors for one in token.errors]
    assert error.type == "ValueError" and "more than one column 'a'" in error.message


@pytest.mark.parametrize("kind", ["Count", "CountAsync"])
def test_a_generators_items_are_elements(session, fed, kind):
    def build():
        with ForEach(seq=getattr(fed, kind)(to=300, site="east")) as x:
            Yield(value=fed.Add(a=x, site="west"))

    assert run(session, build).results() == list(range(1, 301))


def test_loops_lie_in_loops_and_see_what_is_around_them(session, fed):
    def build():
        base = fed.Add(a=PlaceParam("base"), b=0, site="west")
        with ForEach(seq=fed.Echo(value=[[1, 2], [], [3]], site="east")) as row:
            with ForEach(seq=row) as cell:
                made = fed.Add(a=cell, b=base, site="home")
                Yield(value=made, place="cell")
            made = cell.collect(made)
            total = fed.Total(items=made, site="west")
            Yield(value=total, place="row")
        Yield(value=row.collect(total), place="all")

    job = run(session, build, [{"base": 10}, {"base": 20}])
    assert job.results("cell") == [11, 12, 13, 21, 22, 23]
    assert job.results("row") == [23, 0, 13, 43, 0, 23]
    assert job.results("all") == [[23, 0, 13], [43, 0, 23]]
    frames = sorted(token.frame.frame for token in job.tokens("cell"))
    assert frames == [[0, 0, 0], [0, 0, 1], [0, 2, 0], [1, 0, 0], [1, 0, 1], [1, 2, 0]]


@pytest.mark.parametrize("sites", ["east west", "home home", "west home"])
def test_one_branch_runs(session, fed, sites):
    one, other = sites.split()

    def build():
        n = fed.Add(a=PlaceParam("n"), b=0, site=one)
        with If(cond=(n > 3) & ~(n == 5)) as test:
            Yield(value=fed.Add(a=n, b=100, site=other), place="then")
        with test.otherwise():
            Yield(value=fed.Add(a=n, b=-100, site=other), place="else")

    job = run(session, build, [{"n": n} for n in (3, 4, 5, 6)])
    assert job.results("then") == [104, 106]
    assert job.results("else") == [-97, -95]
    frames = {place: sorted(t.frame.frame for t in job.tokens(place)) for place in ("then", "else")}
    assert frames == {"then": [[1], [3]], "else": [[0], [2]]}


def test_conditions_inside_loops_and_loops_inside_conditions(session, fed):
    def build():
        with ForEach(seq=fed.Count(to=6, site="east")) as x:
            with If(cond=And(LessThan(x, 4), x > 1)) as test:
                kept = fed.Add(a=x, b=10, site="west")
            with test.otherwise():
                letters = fed.Echo(value=["p", "q"], site="home")
                with ForEach(seq=letters) as y, If(cond=Equal(left=x, right=5)):
                    Yield(value=y, place="last")
        Yield(value=x.collect(kept), place="kept")

    job = run(session, build)
    assert job.results("kept") == [[12, 13]]
    assert job.results("last") == ["p", "q"]
    assert job.get_status() is JobStatus.FINISHED


def test_what_a_branch_selects_is_needed_only_where_it_runs(session, fed):
    def build():
        rows = fed.Echo(value=PlaceParam("rows"), site="east")
        with If(cond=rows):
            Yield(value=fed.Add(a=rows.fieldref(0), b=0, site="west"))

    job = run(session, build, [{"rows": []}, {"rows": [7]}])
    assert job.results() == [7]
    assert job.get_status() is JobStatus.FINISHED


@pytest.mark.parametrize("site", ["home", "east"])
def test_an_element_that_failed(session, fed, site):
    def build(errors):
        def do():
            with ForEach(seq=fed.Echo(value=[[1], 2, [3]], site="west")) as x:
                total = fed.Total(items=x, site=site)
                Yield(value=total, place="each")
            Yield(value=fed.Echo(value=x.collect(total, errors=errors), site="east"), place="all")

        return do

    job = run(session, build("fail"))
    each, (whole,) = job.results("each"), job.results("all")
    assert [each[0], each[2]] == [1, 3] and isinstance(each[1], ErrorToken)
    assert isinstance(whole, ErrorToken) and whole.errors == each[1].errors
    assert job.get_status() is JobStatus.FAILED and len(job.errors) == 1
    assert each[1].errors[0].frame == [0, 1] and each[1].errors[0].type == "DeclarationError"

    assert run(session, build("skip")).results("all") == [[1, 3]]
    ((first, kept, last),) = run(session, build("keep")).results("all")
    assert (first, last) == (1, 3) and isinstance(kept, ErrorToken) and kept.errors[0].type == "DeclarationError"


def test_a_sequence_that_failed_is_told_where_its_body_would_have_yielded(session, fed):
    def build():
        with ForEach(seq=fed.Fail(value="it", site="east")) as x:
            Yield(value=fed.Echo(value=x, site="west"), place="each")
            with If(cond=x > 1):
                Yield(value=x, place="inner")
        Yield(value=x.collect(x), place="all")
        with ForEach(seq=fed.Add(a=1, site="west")) as y:
            Yield(value=y, place="none")
        with If(cond=fed.Echo(value="text", site="west") > 3) as test:
            Yield(value=fed.Add(a=1), place="then")
        with test.otherwise():
            Yield(value=fed.Add(a=1), place="else")

    job = run(session, build)
    for place, kind in {"each": "ValueError", "inner": "ValueError", "all": "ValueError", "none": "TypeError"}.items():
        (token,) = job.results(place)
        assert token.errors[0].type == kind, place
    for place in ("then", "else"):
        assert "'>' not supported" in job.results(place)[0].errors[0].message
    assert len(job.errors) == 3
    message = next(error.errors[0].message for error in job.errors if "ForEach" in error.errors[0].message)
    assert message == "a ForEach goes through a sequence, and a value of type int is none"


def test_order_without_data_across_blocks_and_sites(session, fed, tmp_path):
    log = tmp_path / "log"

    def build():
        first = fed.CountInto(to=3, path=str(log), site="east")
        with ForEach(seq=PlaceParam("seq"), dfm_after=first) as x:
            made = fed.Add(a=x, site="west", dfm_after=first)
        Yield(value=fed.Echo(value=1, site="home", dfm_after=x.collect(made)))

    assert run(session, build, {"seq": [1, 2]}).results() == [1]
    assert log.read_text() == "0\n1\n2\n"


def test_a_site_that_dies_in_a_loop_ends_no_job_in_silence(session, fed):
    def build():
        with ForEach(seq=fed.Echo(value=["exit", "kill"], site="east")) as x:
            gone = fed.Die(how=x, site="west")
            Yield(value=fed.Echo(value=gone, site="east"), place="each")
        Yield(value=x.collect(gone), place="all")

    job = run(session, build)
    for place, count in {"each": 2, "all": 1}.items():
        assert [token.errors[0].type for token in job.results(place)] == ["SiteLostError"] * count


def test_a_failure_is_tried_again(session, fed, tmp_path):
    def build(path, retry):
        return lambda: Yield(value=fed.Flaky(path=str(path), fails=2, site="east", retry=retry))

    started = time.monotonic()
    assert run(session, build(tmp_path / "a", Retry(times=2, backoff=0.05))).results() == [3]
    assert time.monotonic() - started > 0.05 + 0.1
    job = run(session, build(tmp_path / "b", Retry(times=1)))
    assert job.results()[0].errors[0].message == "try 2 of 2 that fail"
    assert len(job.errors) == 1


@pytest.mark.parametrize("site", ["home", "east"])
def test_what_takes_too_long_is_an_error(session, fed, site):
    def build():
        Yield(value=fed.Wait(seconds=60.0, site=site, timeout=0.1), place="late")
        Yield(value=fed.Wait(seconds=0.0, site=site, timeout=30), place="soon")
        Yield(value=fed.Count(to=3, site=site, timeout=30), place="items")
        Yield(value=fed.AddOnThread(a=1, site=site, retry=Retry(1), timeout=30), place="thread")

    job = run(session, build)
    error = job.results("late")[0].errors[0]
    assert error.type == "TimeoutError" and error.message == "it took longer than its timeout of 0.1 s"
    assert (job.results("soon"), job.results("items"), job.results("thread")) == ([0.0], [0, 1, 2], [2])


def test_what_the_blocks_forbid_is_refused_with_both_lines(fed):
    def outside():
        with ForEach(seq=[1]) as x:
            made = fed.Add(a=x)
        fed.Add(a=made)

    def element():
        with ForEach(seq=[1]) as x:
            pass
        fed.Add(a=x)

    def condition():
        with If(cond=fed.Add(a=1)):
            made = fed.Add(a=1)
        Yield(value=made)

    def inside():
        with ForEach(seq=[1]) as x:
            x.collect(x)

    def too_deep():
        with ForEach(seq=[[1]]) as x, ForEach(seq=x) as y:
            made = fed.Add(a=y)
        x.collect(made)

    def twice():
        test = If(cond=fed.Add(a=1) > 1)
        test.otherwise()
        test.otherwise()

    cases = {
        outside: (2, 3, "outside of that body"),
        element: (1, 3, "only its body has"),
        condition: (2, 3, "outside of that body; use it in that body"),
        inside: (1, 2, "call it after that"),
        too_deep: (2, 3, "inner loops one by one"),
        twice: (1, 3, "has its otherwise() already"),
    }
    for build, (made, used, words) in cases.items():
        message = refusal(build)
        first = build.__code__.co_firstlineno
        assert message.startswith(f"{HERE}:{first + used}:"), message
        assert f"{HERE}:{first + made}" in message and words in message, message


def test_a_block_without_a_with_is_refused_at_its_own_line(fed):
    def test():
        If(cond=fed.Add(a=1) > 1)
        Yield(value=1)

    def other():
        with If(cond=fed.Add(a=1) > 1) as test:
            pass
        test.otherwise()

    def loop():
        ForEach(seq=[1])

    def rounds():
        Repeat(start={"w": 0}, at_most=3)

    def sites():
        EachSite()

    def cached():
        TryFromCache(key="k")

    for build, title, line in [
        (test, "If", 1),
        (other, "otherwise", 3),
        (loop, "ForEach", 1),
        (rounds, "Repeat", 1),
        (sites, "EachSite", 1),
        (cached, "TryFromCache", 1),
    ]:
        message = refusal(build)
        assert message.startswith(f"{HERE}:{build.__code__.co_firstlineno + line}: the {title} has no body"), message
        assert "begin its line with `with`" in message


def test_a_branch_may_be_the_other_one_alone_and_a_body_empty(session, fed):
    def build():
        test = If(cond=fed.Add(a=1) > 100)
        with test.otherwise():
            Yield(value="small")
        with ForEach(seq=[1]):
            pass

    assert session.run(Pipeline.model_validate_json(written(build).model_dump_json())) == {"yield": ["small"]}
    with Pipeline.model_validate_json(written(build).model_dump_json()) as more:
        Yield(value=2, place="more")
    assert session.run(more) == {"yield": ["small"], "more": [2]}


def test_conditions_lie_side_by_side_where_they_can_and_not_too_deep(session, fed):
    deep: list = []
    for _ in range(40):
        deep = [deep]
    with Pipeline() as pipeline:
        number = fed.Add(a=1, site="east")
        condition = number > 0
        for _ in range(200):
            condition = condition & (number < 9)
        with If(cond=condition):
            Yield(value=number)
        condition = condition & (number == [deep])
        for _ in range(29):
            condition = ~condition
        with pytest.raises(PipelineError, match="conditions lie more than 30 deep in each other"):
            Not(condition)
        with If(cond=condition):
            Yield(value=number, place="odd")
    assert session.run(pipeline) == {"yield": [2], "odd": [2]}


def test_a_condition_is_not_decided_while_the_pipeline_is_written(fed):
    def build():
        if fed.Add(a=1) > 3:
            fed.Add(a=2)

    assert "use &, | and ~" in refusal(build)
    assert "node > 3" in refusal(lambda: If(cond=True))  # pyright: ignore


def test_run_raises_what_a_loop_raised(session, fed):
    def build():
        with ForEach(seq=[1, 2]) as x:
            Yield(value=fed.Fail(value=x, site="east"))

    with pytest.raises(JobError, match="no luck with 1"):
        session.run(written(build))


def test_the_planner_trusts_no_block(session, fed):
    def build():
        with ForEach(seq=[1]) as x:
            made = fed.Add(a=x)
        Yield(value=x.collect(made))

    pipeline = written(build)

    def planned(edit):
        document = json.loads(pipeline.model_dump_json())
        edit(document["statements"])
        with pytest.raises(ValueError, match="plan-") as refused:
            _native.plan(session._fed_info, json.dumps(document), "home", None)
        return str(refused.value)

    assert "plan-out-of-block" in planned(lambda statements: statements[1].update(block=None))
    assert "plan-block" in planned(lambda statements: statements[1].update(block=9))
    assert "plan-collect" in planned(lambda statements: statements[2].update(for_each=1))
