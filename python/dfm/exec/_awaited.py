"""Is what a body has returned still to come?"""

import inspect
from typing import Any


def is_awaited(value: Any) -> bool:
    """Whether it is to be awaited. What Dask has not computed could be, too, by a client of its own, and is a value."""
    return inspect.isawaitable(value) and not hasattr(type(value), "__dask_graph__")
