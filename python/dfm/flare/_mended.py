"""What of NVFlare's own does an application have otherwise, so that it begins at once and ends at all?"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedBaseClass=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import Any

from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.stats_pool import HistPool, StatsPoolManager
from nvflare.fuel.f3.streaming.byte_receiver import RxTask
from nvflare.fuel.f3.streaming.byte_streamer import ByteStreamer
from nvflare.fuel.hci.client import api
from nvflare.private.fed.authenticator import Authenticator

from dfm.flare._driver import use_driver

_AGAIN = 0.05
"""Seconds between two questions to a server."""


class _Eager(Authenticator):
    """Asks the server again at once. NVFlare's first question comes before its new cell is connected, and its second
    one a second later."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.retry_interval = _AGAIN


# NVFlare has no option for that.
api.Authenticator = _Eager
use_driver()


def forget(cell: CoreCell) -> None:
    """Takes away what NVFlare keeps of a cell that was stopped: its name and its counts, as long as the process lives,
    and for up to an hour the streams that it had, which lead to the cell and so to all that was registered there."""
    name = cell.get_fqcn()
    CoreCell.ALL_CELLS.pop(name, None)
    with ByteStreamer.map_lock:
        sent = ByteStreamer.error_context_map
        for stream in [stream for stream, context in sent.items() if context.cell is cell]:
            del sent[stream]
    with RxTask.map_lock:
        came = [task for task in RxTask.rx_task_map.values() if task.cell is cell]
    for task in came:
        task._remove_task()  # pyright: ignore[reportPrivateUsage]
    for key, pool in list(StatsPoolManager.pools.items()):
        if key.endswith(f"@{name}".lower()):
            StatsPoolManager.delete_pool(key)
        counts = pool.cat_bins if isinstance(pool, HistPool) else pool.cat_counters
        for category in [category for category in list(counts) if category.startswith(f"{name}:")]:
            del counts[category]
