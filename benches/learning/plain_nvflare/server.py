"""What does the server ask the clinics, until the weights stay as they are?"""
# pyright: basic, reportMissingImports=false, reportReturnType=false

from typing import Any

import numpy as np
from clinics.lib.logistic import newton, spread
from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.workflows.model_controller import ModelController
from shared import AT_MOST, CLINICS, CLOSE, START, told


class Learn(ModelController):
    """Newton's method."""

    def run(self) -> None:
        """Learns."""
        told(self.learn)

    def learn(self) -> tuple[Any, int]:
        """The weights, and in how many rounds."""
        mean, deviation = spread(self.ask("moments", {}))
        weights, change, rounds = np.array(START), 1.0, 0
        while change >= CLOSE and rounds < AT_MOST:
            given = {"mean": mean, "deviation": deviation, "weights": weights}
            made = newton(self.ask("train", given), weights)
            weights, change, rounds = made["weights"], made["change"], rounds + 1
        return weights, rounds

    def ask(self, task: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        """What each clinic answers."""
        clinics = self.sample_clients(CLINICS)
        replies = self.send_model_and_wait(task_name=task, targets=clinics, data=FLModel(params=values))
        return [reply.params for reply in replies]
