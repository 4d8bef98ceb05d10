"""Loopback ports: free ones are found, taken ones are told in words."""

import secrets
import socket
from collections.abc import Iterable, Mapping

import psutil

from rabta_deploy.fault import YardError

# Below the kernel's range for outgoing connections, so that a port that is free now is
# not taken by a passing client before its server is up, nor while the network is down.
_LOWEST, _HIGHEST = 20_000, 31_999
_TRIES = 500


class PortTakenError(YardError):
    """Another process listens where one of ours should."""


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `host:port` now."""
    with socket.socket() as probe:
        # As servers do: connections of an earlier run that linger in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def port_answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on `host:port`."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def free_port(taken: Iterable[int] = ()) -> int:
    """Choose a free loopback port that is not among `taken`.

    Raises:
        PortTakenError: `no-free-port`.
    """
    avoid = set(taken)
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        if port not in avoid and port_free(port):
            return port
    raise PortTakenError(
        "no-free-port",
        f"No free port between {_LOWEST} and {_HIGHEST} on this machine.",
        "stop servers that are not needed",
    )


def require_free(ports: Mapping[str, int]) -> None:
    """Refuse when any of the named ports is taken.

    Args:
        ports: What the port is for -> port.

    Raises:
        PortTakenError: `port-taken`, naming every taken port and, where visible, its holder.
    """
    taken = {use: port for use, port in ports.items() if not port_free(port)}
    if taken:
        holders = "; ".join(f"{port} ({use}){_holder(port)}" for use, port in taken.items())
        raise PortTakenError(
            "port-taken",
            f"Taken already: port {holders}.",
            "stop the process that holds it, or choose another port",
        )


def _holder(port: int) -> str:
    """Who listens on a port, as far as this user may see: ' by NAME (pid N)'."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        # laddr is (address, port), or () for a socket that is not bound.
        if connection.status == psutil.CONN_LISTEN and port in connection.laddr:
            return f" by {_name(connection.pid)}" if connection.pid else ""
    return ""


def _name(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.NoSuchProcess:
        return f"pid {pid}"
