"""Do clinics that learn together come to what all their rows in one place give?"""
# pyright: basic

import json
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


def copied(folder: Path, clinics: int = 5) -> Path:
    """The example with so many clinics, its code and its rows."""
    shutil.copytree(EXAMPLES / "clinics", folder / "clinics", ignore=shutil.ignore_patterns("fed", "data"))
    shutil.copy(EXAMPLES / "federations.yaml", folder)
    config = folder / "clinics" / "clinics" / "configs" / "federation.dfm.yaml"
    head = config.read_text().split("  clinic2:")[0]
    more = "".join(f"  clinic{number}: {{interface: *clinic}}\n" for number in range(2, clinics + 1))
    config.write_text(head + more)
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
