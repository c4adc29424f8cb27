"""Do clinics that learn together come to what all their rows in one place give?"""
# pyright: basic

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from test_examples import DFM, EXAMPLES, run, run_module

pytestmark = pytest.mark.timeout(300)
LEARN = """
import json, sys
from clinics.apps.learn import learn
found = learn(sys.argv[1:], "local")
print(json.dumps({"weights": found["weights"][0].tolist(), "loss": found["loss"], "rounds": found["rounds"]}))
"""
SUMMARIZE = """
import json
from clinics.apps.summarize import make_pipeline
from dfm.testing import Federation
with Federation("clinics", homesite="home") as federation:
    job = federation.session.execute(make_pipeline(), {"column": "mean_area"})
    assert job.wait_until_finished(60)
    plain = lambda value: value.tolist() if hasattr(value, "tolist") else value
    summary = {name: plain(value) for name, value in job.results("summary")[0].items()}
    print(json.dumps({"summary": summary, "missing": job.results("missing")[0]}))
"""

GOVERNED = """
import importlib, json, sys
import numpy as np
from clinics.apps.summarize import make_pipeline
from clinics.fed.api.rows import Declared, Hidden, Histogram, Items, Moments, Range
from dfm.api import Advise, Pipeline, PlaceParam, TryFromCache, Yield
from dfm.errors import SessionError
from dfm.testing import Asker, Federation

EDGES = np.linspace(0, 3000, 11)
TOLD = {}
policies = {f"clinic{number}": sys.argv[1] for number in range(1, 6)}
with Federation("clinics", homesite="home", policies=policies, asker=Asker("ada@u", "u", "lead")) as federation:

    def ask(what, build, **parameters):
        with Pipeline() as pipeline:
            build()
        try:
            job = federation.session.execute(pipeline, parameters)
            assert job.wait_until_finished(60)
            errors = [[error.type, error.message] for token in job.errors for error in token.errors]
        except SessionError as error:
            errors = [["prepared", str(error)]]
        TOLD[what] = errors

    def kept():
        with TryFromCache(key="area") as area:
            area.cache(Histogram(site="clinic1", column="mean_area", edges=EDGES))
        Yield(value=area)

    def histogram(site="clinic1", shift=0):
        return lambda: Yield(value=Histogram(site=site, column=PlaceParam("column"), edges=EDGES + shift))

    ask("passes", histogram(), column="mean_area")
    ask("moments", lambda: Yield(value=Moments(site="clinic1")))
    ask("records", lambda: Yield(value=Range(site="clinic1", column="mean_area")))
    ask("another column", histogram(), column="worst_area")
    ask("small group", histogram(site="clinic2"), column="mean_area")
    ask("exception", histogram(site="clinic3"), column="mean_area")
    for number in range(250):
        ask("clinic4", histogram(site="clinic4"), column="mean_area")
        if TOLD["clinic4"]:
            break
    TOLD["asked"] = number
    for number in range(100):
        ask("differences", histogram(site="clinic5", shift=number), column="mean_area")
        if TOLD["differences"]:
            break
    TOLD["differed"] = number
    with Pipeline(mode="discovery") as pipeline:
        asked = Range(site="clinic1", column=Advise())
    TOLD["discovery"] = [["prepared", str(federation.session.discover(pipeline)[asked])]]
    for how in ("shape", "keys"):
        ask(how, lambda: Yield(value=Hidden(site="clinic1", how=how)))
        ask("declared " + how, lambda: Yield(value=Declared(site="clinic1", how=how)))
    ask("items", lambda: Yield(value=Items(site="clinic3")))
    ask("kept", kept)
with Federation("clinics", homesite="home", policies=policies, asker=Asker("bob@v", "v", "member")) as federation:
    ask("cache", kept)
print(json.dumps(TOLD))
"""

HIDDEN = """
from collections.abc import Iterator
import numpy as np
from clinics.lib.rows import Rows


class Hidden(Rows):
    def body(self, how: str) -> object:
        area = int(self.columns["mean_area"][0])
        return np.zeros((0, area)) if how == "shape" else {f"area {area}": 1}


class Items(Rows):
    def body(self) -> Iterator[int]:
        yield from range(int(np.median(self.measures[:, 3])))
"""
OPERATIONS = """\
  rows.Hidden: {parameters: {how: {type: string}}, required: [how], disclosure: aggregate}
  rows.Declared: {parameters: {how: {type: string}}, required: [how], disclosure: records}
  rows.Items: {disclosure: aggregate}
"""
BINDINGS = """\
      "#/operations/rows.Hidden": {adapter: clinics.lib.hidden.Hidden, is-async: false, args: from-operation}
      "#/operations/rows.Declared": {adapter: clinics.lib.hidden.Hidden, is-async: false, args: from-operation}
      "#/operations/rows.Items": {adapter: clinics.lib.hidden.Items, is-async: false}
"""


def copied(folder: Path, clinics: int = 5, operations: str = "", bindings: str = "") -> Path:
    """The example with so many clinics, its code and its rows; with more that each clinic offers."""
    shutil.copytree(EXAMPLES / "clinics", folder / "clinics", ignore=shutil.ignore_patterns("fed", "data"))
    shutil.copy(EXAMPLES / "federations.yaml", folder)
    config = folder / "clinics" / "clinics" / "configs" / "federation.dfm.yaml"
    head = config.read_text().split("  clinic2:")[0]
    more = "".join(f"  clinic{number}: {{interface: *clinic}}\n" for number in range(2, clinics + 1))
    head = head.replace("\noperations:\n", f"\noperations:\n{operations}")
    config.write_text(head.replace("interface: &clinic\n", f"interface: &clinic\n{bindings}") + more)
    run([str(DFM), "fed", "gen", "code", "clinics"], folder / "clinics", {})
    run_module(folder / "clinics", "clinics.apps.prepare", "--clinics", str(clinics))
    return folder / "clinics"


def test_clinics_learn_what_all_their_rows_in_one_place_give(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    rows, labels = map(np.asarray, load_breast_cancer(return_X_y=True))
    scaled = (rows - rows.mean(0)) / rows.std(0)
    pooled = LogisticRegression(C=1.0, tol=1e-12, max_iter=1000, solver="newton-cholesky").fit(scaled, labels)
    expected = [*pooled.coef_[0], *pooled.intercept_]
    for clinics in (3, 5):
        run_module(folder, "clinics.apps.prepare", "--clinics", str(clinics))
        sites = [f"clinic{number + 1}" for number in range(clinics)]
        found = json.loads(run([sys.executable, "-c", LEARN, *sites], folder, {}))
        np.testing.assert_allclose(found["weights"], expected, rtol=1e-6, atol=1e-8)
        assert found["rounds"] == [len(found["loss"])]
        assert max(np.diff(found["loss"])) < 1e-9, "no round is worse than the one before"


@pytest.mark.parametrize("clinics", [3, 50])
def test_a_column_is_summarized_over_however_many_clinics_have_it(tmp_path: Path, clinics: int) -> None:
    folder = copied(tmp_path, clinics)
    table = folder / "clinics" / "data" / "clinic2.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([lines[0].replace("mean_area", "of_its_own"), *lines[1:]]))
    found = json.loads(run([sys.executable, "-c", SUMMARIZE], folder, {}))
    assert found["missing"] == ["clinic2"]
    rows = np.asarray(load_breast_cancer(return_X_y=True)[0])
    area = np.delete(rows[:, 3], np.s_[1::clinics])
    summary = found["summary"]
    assert summary["count"] == len(area)
    np.testing.assert_allclose([summary["mean"], summary["deviation"]], [area.mean(), area.std()], rtol=1e-9)
    counts, edges = np.histogram(area, 10)
    np.testing.assert_allclose(summary["edges"], edges)
    assert summary["bins"] == counts.tolist()


def test_a_clinics_policy_lets_through_what_it_is_for_and_nothing_else(tmp_path: Path) -> None:
    folder = copied(tmp_path, operations=OPERATIONS, bindings=BINDINGS)
    (folder / "clinics" / "lib" / "hidden.py").write_text(HIDDEN)
    data = folder / "clinics" / "data"
    few = (data / "clinic2.csv").read_text().splitlines(keepends=True)
    (data / "clinic2.csv").write_text("".join(few[:11]))
    (data / "clinic3.csv").write_text((data / "clinic3.csv").read_text().replace("mean_area", "area_of_ada", 1))
    policy = folder / "policy.yaml"
    hiding = (
        "rules:\n  hiding: {decision: allow, roles: [lead], operations: [rows.Hidden, rows.Declared, rows.Items]}\n"
    )
    text = policy.read_text().replace("audit: {", f"audit: {{folder: {tmp_path / 'audit'}, ")
    policy.write_text(text.replace("rules:\n", hiding))
    told = json.loads(run([sys.executable, "-c", GOVERNED, str(policy)], folder, {}))
    assert told["passes"] == told["moments"] == told["kept"] == []
    for what, site, rule in (
        ("records", "clinic1", "none of its rules allows such a call"),
        ("another column", "clinic1", "the parameters are not what its rule 'distributions' allows"),
        ("small group", "clinic2", "by `leaves.smallest-group` of its policy, a group of fewer than 20"),
        ("clinic4", "clinic4", "`per-day."),
        ("differences", "clinic5", "`per-day.questions` of its policy is 60"),
        ("discovery", "clinic1", "by `leaves.kinds` of its policy"),
        ("cache", "clinic1", "none of its rules allows such a call"),
        ("shape", "clinic1", "by `leaves.rows` of its policy"),
        ("keys", "clinic1", "by `leaves.release` of its policy"),
        ("declared shape", "clinic1", "by `leaves.disclosures` of its policy, a result of 'rows.Declared'"),
        ("declared keys", "clinic1", "by `leaves.disclosures` of its policy, a result of 'rows.Declared'"),
        ("items", "clinic3", "`per-day.values` of its policy is 200"),
    ):
        assert told[what], what
        for kind, message in told[what]:
            assert kind in ("RefusedError", "prepared"), (what, kind)
            assert f"site '{site}'" in message and rule in message, (what, message)
            assert not re.search(r"area \d|\b\d{4}\b", message), "a refusal tells nothing of the value"
    ((kind, message),) = told["exception"]
    assert kind == "LookupError" and "tells no more of its errors" in message and "column" not in message
    assert told["asked"] == 200, "as often as the policy says, and not once more"
    assert told["differed"] == 60
    log = [json.loads(line) for line in (tmp_path / "audit" / "log.jsonl").read_text().splitlines()]
    refused = [one for one in log if one["what"] == "refused"]
    why = " ".join(one["why"] for one in refused)
    rules = ("'rows.Range'", "'distributions'", *(f"`leaves.{rule}`" for rule in ("kinds", "rows", "release")))
    for rule in (*rules, "`leaves.disclosures`", "`leaves.smallest-group`", "`per-day.questions`", "`per-day.values`"):
        assert rule in why, rule
    assert any(one["user"] == "bob@v" and "'rows.Histogram'" in one["why"] for one in refused)
