"""What does the server ask the clinics, until the weights stay as they are?"""
# pyright: basic, reportMissingImports=false

import time
from typing import Any

import numpy as np
from clinics.lib.logistic import newton, spread
from flwr.app import Context, Message, MessageType
from flwr.serverapp import Grid, ServerApp
from shared import AT_MOST, CLINICS, CLOSE, START, told

from learning.records import packed, unpacked

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Learns as soon as all clinics are there."""
    while len(list(grid.get_node_ids())) < CLINICS:
        time.sleep(0.1)
    told(lambda: learn(grid))


def learn(grid: Grid) -> tuple[Any, int]:
    """The weights, and in how many rounds."""
    mean, deviation = spread(ask(grid, MessageType.QUERY, {}))
    weights, change, rounds = np.array(START), 1.0, 0
    while change >= CLOSE and rounds < AT_MOST:
        given = {"mean": mean, "deviation": deviation, "weights": weights}
        made = newton(ask(grid, MessageType.TRAIN, given), weights)
        weights, change, rounds = made["weights"], made["change"], rounds + 1
    return weights, rounds


def ask(grid: Grid, kind: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    """What each clinic answers."""
    messages = [Message(packed(values), node, kind) for node in grid.get_node_ids()]
    return [unpacked(reply.content) for reply in grid.send_and_receive(messages)]
