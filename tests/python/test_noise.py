"""Do numbers leave with as much noise as a policy says, and does nobody learn more than the budget?"""
# pyright: basic, reportMissingImports=false

import json
import math
import threading

import numpy
import pytest
from dfm.errors import RefusedError
from dfm.exec._noise import Noising
from dfm.exec._policy import Budget, Noise

MANY = 20_000
SIGMAS = 8
"""An honest mean is further off once in 10^15 times."""


def noise(epsilon=0.5, delta=None, most=1e9, most_delta=0.5, by=3.0):
    said = [("stats.Known", 0.0), ("stats.*", by)]
    return Noise(epsilon, said, Budget(most, most_delta), delta)


def noised(value, policy=None, of: str | None = "stats.Sum", makers: list[str] | None = None, folder=None, user="ada"):
    made = Noising("east", user, lambda: folder)
    return made.noised(policy or noise(), value, of, makers if makers is not None else [of or ""])


@pytest.mark.parametrize("zero", [0.0, 0])
def test_the_noise_is_laplaces_of_sensitivity_over_epsilon(zero):
    found = numpy.abs(noised([zero] * MANY))
    scale = 3.0 / 0.5
    # Of the whole numbers it is geometric, with a mean absolute value of 2 a / (1 - a^2) for a = exp(-1 / scale).
    a = math.exp(-1 / scale)
    mean = scale if isinstance(zero, float) else 2 * a / (1 - a * a)
    assert abs(found.mean() - mean) < SIGMAS * scale / math.sqrt(MANY)
    # One half is nearer than scale * ln 2, by which it is told from other noise of the same mean.
    half = (found < scale * math.log(2)).mean()
    assert abs(half - 0.5) < SIGMAS * 0.5 / math.sqrt(MANY) + (0 if isinstance(zero, float) else 0.05)


def test_with_a_delta_the_noise_is_gaussian():
    found = numpy.array(noised([0.0] * MANY, noise(delta=1e-6)))
    log = math.log(1e6)
    sigma = 3.0 / math.sqrt(2) / (math.sqrt(0.5 + log) - math.sqrt(log))
    assert abs(found.std() / sigma - 1) < SIGMAS / math.sqrt(2 * MANY)
    assert abs((numpy.abs(found) < sigma).mean() - 0.6827) < SIGMAS * 0.47 / math.sqrt(MANY)


def test_a_value_keeps_its_form():
    value = {"n": 5, "of": [1.5, (2, 3)], "counts": numpy.array([[250, 3]], "u1"), "means": numpy.zeros(3, "f4")}
    found = noised(value)
    assert list(found) == list(value) and type(found["n"]) is int and type(found["of"][0]) is float
    assert type(found["of"][1]) is tuple and len(found["of"][1]) == 2
    assert (found["counts"].shape, found["counts"].dtype) == ((1, 2), "i8")
    assert (found["means"].shape, found["means"].dtype) == ((3,), "f8")
    assert value["n"] == 5 and value["counts"].tolist() == [[250, 3]], "what stays is as it was"


def test_what_tells_nothing_leaves_as_it_is():
    assert noised("text", of="stats.Known") == "text"
    assert noised(5, of=None, makers=[]) == 5
    assert noised([5], of=None, makers=["stats.Known"]) == [5]


class Own:
    pass


@pytest.mark.parametrize(
    "value",
    ["text", None, True, [1, True], math.nan, -math.inf, 1 << 62, 1j, {1: 2}, Own(), numpy.array(["x"]), b"x", {1, 2}],
    ids=lambda value: type(value).__name__,
)
def test_what_can_have_no_noise_does_not_leave(value):
    with pytest.raises(RefusedError, match=r"`leaves\.noise` of its policy, a "):
        noised(value)


def test_what_is_of_several_results_or_of_an_unknown_one_does_not_leave():
    for operation, makers in [("other.Op", None), (None, ["stats.Sum"]), (None, ["stats.Known", "stats.Sum"])]:
        with pytest.raises(RefusedError, match=r"leaves\.noise"):
            noised(1.0, of=operation, makers=makers)


def test_what_a_user_has_learnt_outlasts_a_process_and_is_of_that_user(tmp_path):
    policy = noise(epsilon=0.5, delta=1e-6, most=1.0, most_delta=1e-5)
    noised(1, policy, folder=tmp_path)
    noised(1, policy, folder=tmp_path)
    with pytest.raises(RefusedError, match="budget of epsilon 1 and delta 1e-05 is used up"):
        noised(1, policy, folder=tmp_path)
    noised(1, policy, folder=tmp_path, user="bob")
    noised(1, noise(epsilon=0.5, most=2.0), folder=tmp_path), "more was granted"
    kept = {said["user"]: said for said in (json.loads(path.read_text()) for path in tmp_path.iterdir())}
    assert (kept["ada"]["epsilon"], kept["ada"]["delta"], kept["bob"]["epsilon"]) == (1.5, 2e-6, 0.5)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"epsilon": -1, "delta": 0}', '{"epsilon": NaN, "delta": 0}', "{}", "[" * 9999]
)
def test_nothing_leaves_where_nobody_can_say_what_was_learnt(tmp_path, text):
    noised(1, folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with pytest.raises(RefusedError, match="cannot be read"):
        noised(1, folder=tmp_path)


def test_processes_of_one_site_spend_one_budget(tmp_path):
    policy = noise(epsilon=1.0, most=10.0)
    given = []

    def ask():
        for _ in range(5):
            try:
                given.append(noised(1, policy, folder=tmp_path))
            except RefusedError:
                return

    asking = [threading.Thread(target=ask) for _ in range(4)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert len(given) == 10
