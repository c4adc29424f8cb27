"""How does a small network read a digit, and how does it learn?"""

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Labels = np.ndarray[Any, np.dtype[np.int64]]
Net = dict[str, Array]
PIXELS, HIDDEN, DIGITS = 64, 32, 10
RATE, MOMENTUM = 0.2, 0.8


def start() -> Net:
    """The same one each time."""
    made = np.random.default_rng(7)
    first, second = made.normal(size=(PIXELS, HIDDEN)), made.normal(size=(HIDDEN, DIGITS))
    return {"w1": first / 8, "b1": np.zeros(HIDDEN), "w2": second / 6, "b2": np.zeros(DIGITS)}


def chances(net: Net, images: Array) -> tuple[Array, Array]:
    """What the hidden layer says of each image, and how likely each digit is."""
    hidden = np.tanh(images @ net["w1"] + net["b1"])
    scores = hidden @ net["w2"] + net["b2"]
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return hidden, scores / scores.sum(1, keepdims=True)


def gradient(net: Net, images: Array, digits: Labels) -> tuple[float, Net]:
    """The mean loss, and where it grows."""
    hidden, likely = chances(net, images)
    rows = np.arange(len(digits))
    loss = -float(np.log(likely[rows, digits]).mean())
    likely[rows, digits] -= 1
    back = (likely / len(digits)) @ net["w2"].T * (1 - hidden**2)
    outer = likely / len(digits)
    return loss, {"w1": images.T @ back, "b1": back.sum(0), "w2": hidden.T @ outer, "b2": outer.sum(0)}


def train(net: Net, velocity: Net | None, images: Array, digits: Labels, steps: int) -> tuple[Net, Net, float]:
    """The network and its velocity after so many steps, and the loss before the first one."""
    moving = velocity or {name: np.zeros_like(part) for name, part in net.items()}
    losses: list[float] = []
    for _ in range(steps):
        loss, slope = gradient(net, images, digits)
        losses.append(loss)
        moving = {name: MOMENTUM * part + slope[name] for name, part in moving.items()}
        net = {name: part - RATE * moving[name] for name, part in net.items()}
    return net, moving, losses[0]
