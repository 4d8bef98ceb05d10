"""Connections to peers: to the policy's address, with the policy's CA, under the server's name.

No name is ever resolved: the resolver of these sessions fails, and an address that is not an
IP address is refused before.
"""

import socket
import ssl
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv6Address, ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from rabta_gateway.refusals import RefusedError
from rabta_gateway.settings import Limits
from rabta_policy import Policy, Server


class NoResolver(AbstractResolver):
    """Refuses every lookup: whatever asks for one is a fault."""

    async def resolve(
        self,
        host: str,
        port: int = 0,  # noqa: ARG002 - aiohttp's signature
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        """Raise OSError."""
        raise OSError(f"names are not resolved here, and {host[:255]!r} is one")

    async def close(self) -> None:
        """Nothing to close."""


class Peers:
    """One HTTP session per peer, remade when the policy changes its address or its CA."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: dict[str, tuple[tuple[object, ...], aiohttp.ClientSession]] = {}
        self._leaving: list[aiohttp.ClientSession] = []

    def request(
        self, server: Server, method: str, raw_target: str, *, headers: dict[str, str], body: bytes
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send one request to a peer.

        Args:
            server: The registry's entry of the peer.
            method: HTTP method.
            raw_target: Path and query, sent byte for byte.
            headers: Headers to send besides Host.
            body: Request body, maybe empty.

        Raises:
            RefusedError: `address-not-an-ip`, or `malformed-target` if the target's bytes
                would not survive.
        """
        url = encoded_url("https", _authority(server), raw_target)
        return self._session(server).request(
            method,
            url,
            headers={**headers, "Host": server.name},
            data=body or None,
            server_hostname=hostname(server.name),
            allow_redirects=False,
        )

    def forget_all_but(self, policy: Policy) -> None:
        """End the sessions of peers that the policy does not name as it did before."""
        for name, (definition, session) in list(self._sessions.items()):
            server = policy.server(name)
            if server is None or _definition(server) != definition:
                del self._sessions[name]
                self._leaving.append(session)

    async def close_left(self) -> None:
        """Close the sessions that were ended."""
        leaving, self._leaving = self._leaving, []
        for session in leaving:
            await session.close()

    async def close(self) -> None:
        """Close every session."""
        self._leaving += [session for _, session in self._sessions.values()]
        self._sessions.clear()
        await self.close_left()

    def _session(self, server: Server) -> aiohttp.ClientSession:
        definition = _definition(server)
        known = self._sessions.get(server.name)
        if known is not None and known[0] == definition:
            return known[1]
        session = plain_session(self._limits, tls=_tls(server))
        self._sessions[server.name] = (definition, session)
        if known is not None:
            self._leaving.append(known[1])
        return session


def plain_session(
    limits: Limits, *, tls: ssl.SSLContext | None = None, resolver: AbstractResolver | None = None
) -> aiohttp.ClientSession:
    """A session that adds nothing of its own: no cookies, no proxies, no decompression.

    Args:
        limits: Times.
        tls: Context for HTTPS.
        resolver: `NoResolver` unless given.
    """
    connector = aiohttp.TCPConnector(
        resolver=resolver or NoResolver(), ssl=tls or False, limit=0, happy_eyeballs_delay=None
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        skip_auto_headers={"User-Agent", "Accept", "Accept-Encoding", "Content-Type"},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.connect_seconds, sock_read=limits.answer_seconds
        ),
    )


def encoded_url(scheme: str, authority: str, raw_target: str) -> URL:
    """A URL whose target stays byte for byte as the signature covers it.

    Raises:
        RefusedError: `malformed-target` if it would not.
    """
    url = URL(f"{scheme}://{authority}{raw_target}", encoded=True)
    if url.raw_path_qs != raw_target:
        raise RefusedError("malformed-target")
    return url


def hostname(server_name: str) -> str:
    """The host of a server name, which its certificate must carry."""
    return server_name.partition(":")[0]


def _authority(server: Server) -> str:
    """The policy's address as a URL authority."""
    if server.address is None:
        raise RefusedError("address-not-an-ip")
    try:
        address = ip_address(server.address.host)
    except ValueError as error:
        raise RefusedError("address-not-an-ip") from error
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    return f"{host}:{server.address.port}"


def _definition(server: Server) -> tuple[object, ...]:
    return server.address, server.tls_ca


def _tls(server: Server) -> ssl.SSLContext:
    """Trusts the policy's CA for this peer and no other, verifying the server's name."""
    context = ssl.create_default_context(cadata=server.tls_ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
