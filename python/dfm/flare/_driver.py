"""How does a process connect to NVFlare's server by TCP?

NVFlare's own way has no option for what is otherwise here.
"""
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import socket
import ssl
from urllib.parse import urlsplit

from nvflare.fuel.f3.drivers.connector_info import ConnectorInfo
from nvflare.fuel.f3.drivers.driver_params import DriverParams
from nvflare.fuel.f3.drivers.net_utils import get_ssl_context
from nvflare.fuel.f3.drivers.socket_conn import SocketConnection
from nvflare.fuel.f3.drivers.tcp_driver import TcpDriver

_CONNECT = 10.0
"""Seconds for a connection to a server to be made, with the handshake of TLS."""
_UNTAKEN = 8.0
"""Seconds after which a connection is over whose other end takes nothing, as where this machine has changed to another
network or the server has left its address: TCP would try for a quarter of an hour, and NVFlare make no other one."""
_OVER_AFTER: int | None = getattr(socket, "TCP_USER_TIMEOUT", None)
"""How Linux is told so; others know it not."""


def use_driver() -> None:
    """Has all connections of this process be made so that are made from now on."""
    TcpDriver.connect = _connect


def _connect(self: TcpDriver, connector: ConnectorInfo) -> None:
    """As `TcpDriver.connect`, which waits without an end for a server that takes a connection and then says nothing, as
    one does behind a link that is dead, and a cell that stops waits for it; which leaves a connection that the server
    has ended to Python's collector; and which knows no IPv6."""
    self.connector = connector
    context = get_ssl_context(connector.params, ssl_server=False)
    made = reach(connector.params[DriverParams.URL.value], context)
    connection = SocketConnection(made, connector, context is not None)
    self.add_connection(connection)
    # A cell that was stopped meanwhile closed only what it knew of.
    if connector.stopped.is_set():
        connection.close()
    connection.read_loop()
    self.close_connection(connection)
    connection.close()


def reach(url: str, context: ssl.SSLContext | None) -> socket.socket:
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
