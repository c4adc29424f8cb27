"""What of NVFlare's own does an application have otherwise, so that it begins at once and ends at all?"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUntypedBaseClass=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import socket
import ssl
from typing import Any
from urllib.parse import urlsplit

from nvflare.fuel.f3.cellnet.core_cell import CoreCell
from nvflare.fuel.f3.drivers.connector_info import ConnectorInfo
from nvflare.fuel.f3.drivers.driver_params import DriverParams
from nvflare.fuel.f3.drivers.net_utils import get_ssl_context
from nvflare.fuel.f3.drivers.socket_conn import SocketConnection
from nvflare.fuel.f3.drivers.tcp_driver import TcpDriver
from nvflare.fuel.f3.stats_pool import HistPool, StatsPoolManager
from nvflare.fuel.f3.streaming.byte_receiver import RxTask
from nvflare.fuel.f3.streaming.byte_streamer import ByteStreamer
from nvflare.fuel.hci.client import api
from nvflare.private.fed.authenticator import Authenticator

_AGAIN = 0.05
"""Seconds between two questions to a server."""
_CONNECT = 10.0
"""Seconds for a connection to a server to be made, with the handshake of TLS."""
_UNTAKEN = 10.0
"""Seconds after which a connection is over whose other end takes nothing, as where this machine has changed to another
network or the server has left its address: TCP would try for a quarter of an hour, and NVFlare make no other one."""
_OVER_AFTER: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
"""How Linux is told so; others know it not."""


class _Eager(Authenticator):
    """Asks the server again at once. NVFlare's first question comes before its new cell is connected, and its second
    one a second later."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.retry_interval = _AGAIN


def _connect(self: TcpDriver, connector: ConnectorInfo) -> None:
    """As `TcpDriver.connect`, which waits without an end for a server that takes a connection and then says nothing, as
    one does behind a link that is dead, and a cell that stops waits for it; which leaves a connection that the server
    has ended to Python's collector; and which knows no IPv6."""
    self.connector = connector
    context = get_ssl_context(connector.params, ssl_server=False)
    made = _reach(connector.params[DriverParams.URL.value], context)
    connection = SocketConnection(made, connector, context is not None)
    self.add_connection(connection)
    # A cell that was stopped meanwhile closed only what it knew of.
    if connector.stopped.is_set():
        connection.close()
    connection.read_loop()
    self.close_connection(connection)
    connection.close()


def _reach(url: str, context: ssl.SSLContext | None) -> socket.socket:
    """A connection to one of the addresses that a server has; by IPv4 where it has both, as NVFlare does."""
    parts = urlsplit(url)
    found = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    failed = OSError(f"{parts.hostname} has no address")
    for family, kind, protocol, _, address in sorted(found, key=lambda one: one[0] != socket.AF_INET):
        made = socket.socket(family, kind, protocol)
        try:
            if context is not None:
                made = context.wrap_socket(made)
            made.settimeout(_CONNECT)
            made.connect(address)
        except OSError as error:
            made.close()
            failed = error
        else:
            made.settimeout(None)
            if _OVER_AFTER is not None:
                made.setsockopt(socket.IPPROTO_TCP, _OVER_AFTER, round(_UNTAKEN * 1000))
            return made
    raise failed


# NVFlare has no option for either.
api.Authenticator = _Eager
TcpDriver.connect = _connect


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
