"""Do programs that learn at many sites come to what all data in one place gives, on both targets?"""
# pyright: basic, reportMissingImports=false

import numpy as np
import pytest
from flare_federation import opened
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from test_offices import Pooled, same

pytestmark = pytest.mark.timeout(120)
SITES = ("server", "east", "west")


@pytest.fixture(scope="module")
def flare(federation):
    with opened(federation) as session:
        yield session


@pytest.fixture(params=["local", pytest.param("flare", marks=pytest.mark.flare)])
def target(request):
    return request.param


@pytest.fixture
def session(request, target):
    return request.getfixturevalue("shared" if target == "local" else "flare")


@pytest.fixture(scope="module")
def tumours(small, tmp_path_factory):
    """The rows of all sites, each of which has its own."""
    from clinics.apps.prepare import DATA, deal

    dealt = tmp_path_factory.mktemp("dealt")
    deal(len(SITES), dealt)
    DATA.mkdir()
    for number, site in enumerate(SITES, 1):
        (dealt / f"clinic{number}.csv").rename(DATA / f"{site}.csv")
    return tuple(map(np.asarray, load_breast_cancer(return_X_y=True)))


def test_logistic_regression(session, tumours):
    from clinics.apps.learn import make_pipeline

    rows, labels = tumours
    found = session.run(make_pipeline())
    scaled = (rows - rows.mean(0)) / rows.std(0)
    pooled = LogisticRegression(C=1.0, tol=1e-12, max_iter=1000, solver="newton-cholesky").fit(scaled, labels)
    np.testing.assert_allclose(found["weights"][0], [*pooled.coef_[0], *pooled.intercept_], rtol=1e-6, atol=1e-8)
    assert found["rounds"] == [len(found["loss"])]


def test_a_summary_of_a_column(session, tumours):
    from clinics.apps.summarize import make_pipeline

    area = tumours[0][:, 3]
    found = session.run(make_pipeline(), column="mean_area")
    (summary,) = found["summary"]
    assert (summary["count"], found["missing"]) == (len(area), [[]])
    np.testing.assert_allclose([summary["mean"], summary["deviation"]], [area.mean(), area.std()], rtol=1e-9)
    counts, edges = np.histogram(area, 10)
    np.testing.assert_allclose(summary["edges"], edges)
    assert summary["bins"].tolist() == counts.tolist()


@pytest.fixture(scope="module")
def images(small):
    """Those of all sites; what one computer with all of them does."""
    from offices.apps.prepare import DATA

    DATA.mkdir()
    for site, (images, wanted) in zip(SITES, Pooled(parts=len(SITES)).parts, strict=True):
        np.savez(DATA / f"{site}.npz", images=images, digits=wanted.argmax(1))


def test_averaging_with_a_site_that_is_away_and_comes_back_with_what_it_kept(session, images):
    from offices.apps.learn import make_pipeline

    found = session.run(make_pipeline(drill={"east": [5, 7]}))
    rounds = len(found["loss"])
    assert 8 < rounds <= 40 and found["loss"][-1] < 0.1, "it ends once it is good"
    away = [5 <= number <= 7 for number in range(1, rounds + 1)]
    assert found["missing"] == [["east"] if gone else [] for gone in away]
    pooled = Pooled(parts=len(SITES))
    np.testing.assert_allclose(found["loss"], [pooled.round(5, (1,) if gone else ()) for gone in away], rtol=1e-9)
    same({"net": found["net"][0]}, pooled)


def test_averaging_without_a_site_that_is_killed_in_round_5_until_the_next_job(session, images, target):
    from offices.apps.learn import make_pipeline

    found = session.run(make_pipeline(at_most=7, drill={"west": [5, 0]}))
    after = session.run(make_pipeline(at_most=3, after=7), begin=found["net"][0])
    missing = [["west"] if 5 <= number <= 7 else [] for number in range(1, 11)]
    assert found["missing"] + after["missing"] == missing
    pooled = Pooled(parts=len(SITES))
    losses = [pooled.round(5, (2,) if gone else ()) for gone in missing[:7]]
    # What a process had in its memory is gone. On Flare, a session that has lost a site gets new ones at all.
    for part in range(len(SITES)) if target == "flare" else [2]:
        pooled.velocities[part] = [np.zeros_like(one) for one in pooled.net]
    losses += [pooled.round(5) for _ in range(8, 11)]
    np.testing.assert_allclose(found["loss"] + after["loss"], losses, rtol=1e-9)
    same({"net": after["net"][0]}, pooled)
