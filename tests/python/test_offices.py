"""Do offices that train one network together come to what one computer with all their images does?"""
# pyright: basic

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from test_examples import DFM, EXAMPLES, run, run_module

pytestmark = pytest.mark.timeout(300)
LEARN = """
import json, sys
from offices.apps.learn import learn, make_pipeline
found = learn(make_pipeline(**json.loads(sys.argv[1])), "local")
net = {name: part.tolist() for name, part in found["net"][0].items()}
print(json.dumps({"net": net, "loss": found["loss"], "missing": found["missing"]}))
"""
OFFICES = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, its code and its images."""
    copy = tmp_path_factory.mktemp("offices")
    shutil.copytree(EXAMPLES / "offices", copy / "offices", ignore=shutil.ignore_patterns("fed", "data"))
    shutil.copy(EXAMPLES / "federations.yaml", copy)
    run([str(DFM), "fed", "gen", "code", "offices"], copy / "offices", {})
    run_module(copy / "offices", "offices.apps.prepare")
    return copy / "offices"


def learnt(folder: Path, **options) -> dict:
    return json.loads(run([sys.executable, "-c", LEARN, json.dumps(options)], folder, {}))


class Pooled:
    """The same network, trained where all images are; each part of them keeps a velocity."""

    def __init__(self, parts: int) -> None:
        images, digits = map(np.asarray, load_digits(return_X_y=True))
        self.parts = [(images[part::parts] / 16, np.eye(10)[digits[part::parts]]) for part in range(parts)]
        first = np.random.default_rng(7)
        self.net = [first.normal(size=(64, 32)) / 8, np.zeros(32), first.normal(size=(32, 10)) / 6, np.zeros(10)]
        self.velocities = [[np.zeros_like(part) for part in self.net] for _ in self.parts]

    def round(self, steps: int, away: tuple[int, ...] = ()) -> float:
        """The loss before it."""
        there = [part for part in range(len(self.parts)) if part not in away]
        rows = sum(len(self.parts[part][0]) for part in there)
        total, mean = 0.0, [np.zeros_like(part) for part in self.net]
        for part in there:
            (images, wanted), net = self.parts[part], self.net
            for step in range(steps):
                hidden = np.tanh(images @ net[0] + net[1])
                likely = np.exp(hidden @ net[2] + net[3])
                likely /= likely.sum(1, keepdims=True)
                total += -np.log((likely * wanted).sum(1)).sum() / rows if step == 0 else 0
                outer = (likely - wanted) / len(images)
                back = outer @ net[2].T * (1 - hidden * hidden)
                slopes = [images.T @ back, back.sum(0), hidden.T @ outer, outer.sum(0)]
                velocity = [0.8 * v + slope for v, slope in zip(self.velocities[part], slopes, strict=True)]
                self.velocities[part] = velocity
                net = [w - 0.2 * v for w, v in zip(net, velocity, strict=True)]
            mean = [m + len(images) / rows * w for m, w in zip(mean, net, strict=True)]
        self.net = mean
        return total

    def accuracy(self) -> float:
        hits = 0.0
        for images, wanted in self.parts:
            likely = np.tanh(images @ self.net[0] + self.net[1]) @ self.net[2] + self.net[3]
            hits += (likely.argmax(1) == wanted.argmax(1)).sum()
        return hits / sum(len(images) for images, _ in self.parts)


def same(found: dict, pooled: Pooled) -> None:
    for name, part in zip(("w1", "b1", "w2", "b2"), pooled.net, strict=True):
        np.testing.assert_allclose(found["net"][name], part, rtol=1e-7, atol=1e-9)


def test_one_step_a_round_is_gradient_descent_on_all_images_in_one_place(folder: Path) -> None:
    found = learnt(folder, steps=1, at_most=12)
    pooled = Pooled(parts=1)
    np.testing.assert_allclose(found["loss"], [pooled.round(steps=1) for _ in range(12)], rtol=1e-9)
    same(found, pooled)


def test_an_office_that_is_away_for_three_rounds_is_left_out_and_comes_back_with_its_velocity(folder: Path) -> None:
    found = learnt(folder, drill={"office2": [5, 7]})
    rounds = len(found["loss"])
    assert 8 < rounds <= 40 and found["loss"][-1] < 0.1, "it ends once it is good"
    assert found["missing"] == [["office2"] if 5 <= number <= 7 else [] for number in range(1, rounds + 1)]
    pooled = Pooled(parts=OFFICES)
    losses = [pooled.round(5, (1,) if 5 <= number <= 7 else ()) for number in range(1, rounds + 1)]
    np.testing.assert_allclose(found["loss"], losses, rtol=1e-9)
    same(found, pooled)
    assert pooled.accuracy() > 0.97
