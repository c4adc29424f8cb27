"""Does the API have the names and the shapes that programs of other engines of this format use?"""
# pyright: basic, reportMissingImports=false

import importlib
import inspect
import json
from importlib import metadata

import dfm.api
import dfm.session
import pytest
from dfm._command import submit
from dfm.api import (
    DISCOVERY_PLACE_NAME,
    STATUS_PLACE_NAME,
    Advise,
    And,
    BestOf,
    Equal,
    ErrorInfo,
    ErrorToken,
    ForEach,
    GreaterThan,
    If,
    LessThanOrEqual,
    NodeId,
    NodeParam,
    Not,
    NotEqual,
    Or,
    Pipeline,
    PlaceParam,
    StopToken,
    TryFromCache,
    WriteToCache,
    Yield,
)
from dfm.api.discovery import BranchFieldAdvice, ErrorFieldAdvice, SingleFieldAdvice
from dfm.errors import MissingPipelineError, ParameterError, PipelineError, SessionError, ValuePipelineError
from dfm.exec import Frame
from dfm.exec.discovery import AdvisedError, AdvisedOneOf
from dfm.session import STATUS_PLACE, CallbackDispatcher, DfmDataCallback, Dispatcher, Session

pytestmark = pytest.mark.timeout(60)


def test_names():
    assert dfm.__version__ == metadata.version("data-federation-mesh")
    assert (STATUS_PLACE_NAME, DISCOVERY_PLACE_NAME) == (STATUS_PLACE, "_dfm_discovery_")
    assert isinstance(1, NodeId) and isinstance("a", NodeId)
    assert dfm.api.PreparedPipeline is dfm.session.PreparedPipeline
    with pytest.raises(AttributeError, match="no attribute 'Pipelin'"):
        dfm.api.Pipelin  # noqa: B018
    assert CallbackDispatcher is Dispatcher and callable(DfmDataCallback)
    with pytest.raises(AttributeError, match="no attribute '__verson__'"):
        dfm.__verson__  # noqa: B018


def test_frames():
    start = Frame.start_frame(2)
    assert start == Frame([2]) and Frame(frame="stop") == Frame.stop_frame() == Frame()
    assert start.with_loop_inc() == Frame([3])
    assert start.with_pushed_scope() == Frame([2, 0])
    assert start.with_pushed_scope().with_loop_inc().with_popped_scope() == start
    assert start.is_ancestor_of(start) and start.is_ancestor_of(Frame([2, 1]))
    assert not Frame([2, 1]).is_ancestor_of(start) and not start.is_ancestor_of(Frame([1, 2]))
    assert not Frame.stop_frame().is_ancestor_of(start) and not start.is_ancestor_of(Frame.stop_frame())
    for refused in (start.with_popped_scope, *(getattr(Frame.stop_frame(), name) for name in NESTED)):
        with pytest.raises(ValueError):
            refused()


NESTED = ("with_popped_scope", "with_pushed_scope", "with_loop_inc", "input_paramset_index")


def test_error_tokens(capsys):
    try:
        raise OSError("no luck")
    except OSError as error:
        token = ErrorToken.from_exception(error)
    (one,) = token.errors
    assert isinstance(one, ErrorInfo) and (one.type, one.message) == ("OSError", "no luck")
    token.print()
    told = capsys.readouterr().err
    assert told.startswith("OSError: no luck\n") and "Traceback" in told and __file__ in told


def test_error_tokens_together():
    one, two = ErrorToken.from_exception(ValueError("a")), ErrorToken.from_exception(KeyError("b"))
    together = ErrorToken.from_error_tokens([one, two, one])
    assert [error.type for error in together.errors] == ["ValueError", "KeyError"]


def test_advice_by_other_words():
    assert AdvisedError(msg="no") == AdvisedError("no") and AdvisedError("no").msg == "no"
    assert AdvisedOneOf([1], False, True) == AdvisedOneOf([1], split_on_advice=True)
    lost = ErrorFieldAdvice("no")
    assert not SingleFieldAdvice("a", 1, lost).has_good_options()
    assert BranchFieldAdvice("a", [(1, lost), (2, None)]).has_good_options()


def test_conditions_by_keyword(fed):
    with Pipeline() as pipeline:
        node = fed.Add(a=1)
        assert isinstance(node, NodeParam)
        equal = Equal(left=node, right=1, operator="==")
        condition = And(exp=[equal, Or(exp=[Not(exp=NotEqual(node, 2, operator="!=")), GreaterThan(node, 3)])])
        with If(cond=condition):
            Yield(value=node.fieldref(selector="real"))
    with Pipeline() as same:
        node = fed.Add(a=1)
        with If(cond=(node == 1) & Or(Not(node != 2), node > 3)):
            Yield(value=node.fieldref("real"))
    assert pipeline == same


@pytest.mark.parametrize(
    "wrong",
    [
        lambda fed, node: LessThanOrEqual(node, 1, operator="<"),
        lambda fed, node: And(),
        lambda fed, node: Or(exp=[]),
        lambda fed, node: Not(),
        lambda fed, node: Not(node, exp=node),
        lambda fed, node: node.fieldref("a", selector="b"),
        lambda fed, node: node.fieldref(),
        lambda fed, node: fed.Add(a="text"),
        lambda fed, node: fed.Add(),
        lambda fed, node: Yield(value=Advise()),
        lambda fed, node: Yield(value=1, place=""),
        lambda fed, node: Pipeline(mode="run"),  # pyright: ignore
    ],
)
def test_wrong_values_are_value_errors(fed, wrong):
    with Pipeline():
        node = fed.Add(a=1)
        with pytest.raises(ValueError) as raised:
            wrong(fed, node)
    assert isinstance(raised.value, ValuePipelineError) and "test_names.py:" in str(raised.value)


def test_literals_can_be_yielded(shared):
    with Pipeline() as pipeline:
        Yield(value={"a": [1, None]}, place="plain")
        Yield(value=b"\x00\xff", place="bytes")
        Yield(value=PlaceParam("x"), place="param")
    assert Pipeline.model_validate_json(pipeline.model_dump_json()) == pipeline
    job = shared.execute(pipeline, [{"x": 1}, {"x": 2}])
    assert [job.results(place) for place in ("plain", "bytes", "param")] == [
        [{"a": [1, None]}] * 2,
        [b"\x00\xff"] * 2,
        [1, 2],
    ]


def test_a_sites_own_class_is_one_of_the_operations(small, shared, fed):
    at_east = importlib.import_module("small.fed.site.east.work")
    with Pipeline() as pipeline:
        node = at_east.Add(a=1)
        assert isinstance(node, fed.Add) and node.site == "east" and node.dfm_operation == "work.Add"
        Yield(value=node)
    assert shared.execute(pipeline).results() == [2]
    assert shared.prepare(pipeline).placements[0]["site"] == "east"


def test_files(fed, tmp_path):
    with Pipeline(name="saved") as pipeline:
        Yield(value=fed.Add(a=1))
    path = tmp_path / "new" / "folder" / "p.json"
    Pipeline.save_to_file(pipeline, path)
    assert Pipeline.load_from_file(path) == pipeline
    with pytest.raises(FileNotFoundError) as missing:
        Pipeline.load_from_file(tmp_path / "none.json")
    assert isinstance(missing.value, MissingPipelineError) and isinstance(missing.value, PipelineError)
    assert "none.json: No such file" in str(missing.value)


def test_storage_options_reach_the_file_system(fed):
    fsspec = pytest.importorskip("fsspec")
    seen = []

    class Noting(fsspec.get_filesystem_class("memory")):
        protocol = "noting"

        def __init__(self, *args, **options):
            seen.append(options)
            super().__init__(*args, **options)

    fsspec.register_implementation("noting", Noting, clobber=True)
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=1))
    pipeline.save_to_file("noting://p.json", mark=1)
    assert Pipeline.load_from_file("noting://p.json", mark=2) == pipeline
    assert [options["mark"] for options in seen] == [1, 2]


def test_callbacks_of_the_status_place(shared, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Fail(value=1, site="east"))
    status = []
    job = shared.execute(pipeline, place_callbacks={STATUS_PLACE_NAME: lambda *token: status.append(token[-1])})
    job.wait_until_finished()
    assert [type(data) for data in status] == [ErrorToken, StopToken]


def test_parameters_that_do_not_fit_are_value_errors(shared):
    with Pipeline() as pipeline:
        Yield(value=PlaceParam("x"))
    with pytest.raises(ValueError) as raised:
        shared.execute(pipeline, {"y": 1})
    assert isinstance(raised.value, ParameterError)
    assert {"debug", "options"} <= set(inspect.signature(shared.execute).parameters)


def test_sessions_by_name(small, fed):
    with Pipeline() as pipeline:
        Yield(value=fed.Add(a=1))
    options = {"target": "local", "sites": ["east"], "max_concurrent_jobs": 2}
    for name in ("small", "small.fed"):
        with Session(name, "home", **options) as session:
            prepared = session.prepare(pipeline)
            assert [one["site"] for one in prepared.placements if one["operation"] == "work.Add"] == ["east"]
            elsewhere = session.prepare(pipeline, restrict_to_sites="homesite")
            assert [one["site"] for one in elsewhere.placements if one["operation"] == "work.Add"] == ["home"]
    with pytest.raises(SessionError, match="cannot be imported"):
        Session("nowhere", "home", target="local")


def test_what_to_do_about_code_that_is_not_there_is_said_once(tmp_path, monkeypatch):
    (tmp_path / "lone").mkdir()
    (tmp_path / "lone" / "lone.dfm.yaml").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SessionError, match="no generated package 'lone.fed': generate it with `dfm") as raised:
        Session("lone", "home", target="local")
    assert str(raised.value).count("gen code") == 1
    monkeypatch.setenv("DFM_PACKAGE", "lone")
    monkeypatch.setenv("DFM_FEDERATION", "lone")
    (tmp_path / "pipeline.py").write_text("import lone.fed.api.words\n")
    with pytest.raises(submit.WrongInput) as refused:
        submit._import(tmp_path / "pipeline.py")
    assert str(refused.value).count("gen code") == 1


def at(ident):
    return {"tag": "@dfm-node", "ident": ident}


def ref(ident, sel=None, issubs=True):
    return {"id": at(ident), "sel": sel, "issubs": issubs}


def elsewhere(*body, **more):
    """A pipeline as `nv-dfm-core` saves it."""
    return json.dumps({"dfm_body": body, "api_version": "", "mode": "execute", "name": "moved", **more})


def statement(ident, name, **fields):
    return {"dfm_node_id": at(ident), "dfm_after": None, "dfm_class_name": name, **fields}


def add(ident, **fields):
    best = {"tag": "@dfm-best-of", "sites": None}
    return statement(ident, "small.fed.api.work.Add", provider=None, **{"site": best, **fields})


API = "nv_dfm_core.api."
SAVED = (
    add(0, a=1, b=None, site="east"),
    add("wk", a={"tag": "@dfm-place-param", "place": "who", "multiuse": False}, dfm_after=at(0)),
    statement(2, API + "Yield", place="p1", value=ref(0, "real", False), multiuse=False),
    statement(
        3,
        API + "ForEach",
        seq=ref("wk"),
        dfm_body=[
            add(4, a=ref(3), site={"tag": "@dfm-best-of", "sites": ["east", "west"]}),
            statement(
                5,
                API + "If",
                cond={
                    "operator": "and",
                    "exp": [
                        {"left": ref(4), "right": 1, "operator": "=="},
                        {"operator": "not", "exp": {"left": ref(4, 1), "right": 3, "operator": ">"}},
                    ],
                },
                dfm_body=[statement(6, API + "Yield", place="p2", value=ref(4), multiuse=False)],
            ),
        ],
    ),
    statement(
        7,
        API + "TryFromCache",
        key=ref(0),
        dfm_body=[add(8, a=2), statement(9, API + "_WriteToCache", key=ref(0), value=ref(8))],
    ),
)


def test_a_pipeline_that_was_saved_elsewhere(fed, tmp_path):
    with Pipeline(name="moved") as pipeline:
        first = fed.Add(a=1, site="east", dfm_node_id=0)
        named = fed.Add(a=PlaceParam("who"), dfm_node_id="wk", dfm_after=first)
        Yield(value=first.fieldref("real"), place="p1", dfm_node_id=2)
        with ForEach(seq=named, dfm_node_id=3) as each:
            added = fed.Add(a=each, site=BestOf(["east", "west"]), dfm_node_id=4)
            with If(cond=And(added == 1, Not(added.fieldref(1) > 3)), dfm_node_id=5):
                Yield(value=added, place="p2", dfm_node_id=6)
        with TryFromCache(key=first, dfm_node_id=7) as cache:
            other = fed.Add(a=2, dfm_node_id=8)
            WriteToCache(cache, other, dfm_node_id=9)
    path = tmp_path / "p.json"
    path.write_text(elsewhere(*SAVED))
    assert Pipeline.load_from_file(path) == pipeline


@pytest.mark.parametrize(
    "body, words",
    [
        ([add(0, a={"tag": "__dfm__pickled__", "value": "gASVCQAAAAAAAACPlChLAUsCkC4="})], "unpickles nothing"),
        ([statement(0, "os.path.join", site="east", provider=None)], "not a generated operation"),
        ([statement(0, API + "Exec")], "no statement Exec"),
        ([{}], "a statement is damaged: it has no 'dfm_node_id'"),
        (["x"], "a statement is damaged: something in it is not what it is in a saved pipeline"),
        ([{**add(4, a=1), "dfm_class_name": 7}], "statement 4 is damaged: something in it"),
        (
            [{k: v for k, v in add("wk", a=1).items() if k != "provider"}],
            "statement 'wk' is damaged: it has no 'provider'",
        ),
        ([statement(0, API + "ForEach", seq=ref(9), dfm_body=[])], "no node with the id 9"),
    ],
)
def test_what_such_a_file_says_is_not_believed(fed, tmp_path, body, words):
    path = tmp_path / "p.json"
    path.write_text(elsewhere(*body))
    with pytest.raises(PipelineError, match=words) as raised:
        Pipeline.load_from_file(path)
    assert "p.json" in str(raised.value)


def test_such_a_file_can_be_no_deeper_than_anybody_writes(fed, tmp_path):
    deep = {"left": 1, "right": 1, "operator": "=="}
    for _ in range(100):
        deep = {"operator": "not", "exp": deep}
    path = tmp_path / "p.json"
    path.write_text(elsewhere(statement(0, API + "If", cond=deep, dfm_body=[])))
    with pytest.raises(PipelineError, match="deep in each other"):
        Pipeline.load_from_file(path)
