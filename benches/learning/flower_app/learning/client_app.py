"""What does a clinic answer?"""
# pyright: basic, reportMissingImports=false

from typing import Any

from clinics.lib.logistic import moments, terms
from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from shared import tumours

from learning.records import packed, unpacked

app = ClientApp()


def own_tumours(context: Context) -> tuple[Any, Any]:
    """Measures and labels of the clinic that is asked."""
    return tumours(int(context.node_config["partition-id"]) + 1)


@app.query()
def query(message: Message, context: Context) -> Message:
    """Count, sums and sums of squares."""
    measures, _ = own_tumours(context)
    return Message(packed(moments(measures)), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Gradient, Hessian and loss at these weights."""
    given = unpacked(message.content)
    return Message(packed(terms(*own_tumours(context), given, given["weights"])), reply_to=message)
