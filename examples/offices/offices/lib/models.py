"""What comes of the networks that offices have trained?"""

from typing import Any

from offices.lib.net import Net, start


class Start:
    """Before the first round."""

    def body(self) -> Net:
        """A network."""
        return start()


class Average:
    """After each round."""

    def body(self, trained: dict[str, dict[str, Any]], number: int) -> dict[str, Any]:
        """Of those that have come, each as heavy as it has images."""
        told = list(trained.values())
        images = sum(one["count"] for one in told)
        net = {name: sum(one["count"] * one["net"][name] for one in told) / images for name in told[0]["net"]}
        loss = sum(one["count"] * one["loss"] for one in told) / images
        return {"net": net, "loss": loss, "next": number + 1}
