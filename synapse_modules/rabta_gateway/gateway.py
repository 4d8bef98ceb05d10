"""The gateway as a whole: listeners, the policy they share, and its watch.

Starts closed to all but the policy, stops in order: no new connections, then the requests
under way, then the connections to peers.
"""

import asyncio
import errno
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from aiohttp import web
from aiohttp.resolver import ThreadedResolver

from rabta_audit import Journal as ChainedJournal
from rabta_audit import JournalError
from rabta_gateway.audit import Journal, NoJournal, Trail
from rabta_gateway.border import Border
from rabta_gateway.certificate import Certificate
from rabta_gateway.inbound import Inbound
from rabta_gateway.ledger import Ledger
from rabta_gateway.listener import BorderServer
from rabta_gateway.live_policy import LivePolicy
from rabta_gateway.metrics import Metrics
from rabta_gateway.outbound import Outbound
from rabta_gateway.peers import Peers, plain_session
from rabta_gateway.rate import RateLimiter
from rabta_gateway.settings import Inbound as InboundSettings
from rabta_gateway.settings import Listen, Settings, SettingsError, SettingsFault, read_secret
from rabta_gateway.settings import Outbound as OutboundSettings
from rabta_gateway.status import Status

_log = structlog.get_logger("rabta.gateway")
Where = Listen | InboundSettings | OutboundSettings


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(tz=UTC)  # noqa: TID251 - the one real clock of this house


class Gateway:
    """One border gateway of one homeserver.

    Args:
        settings: Where to listen and what to read.
        clock: Gives the time, timezone-aware.

    Raises:
        SettingsError: If policy, keys, certificate or secret cannot be used.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._settings = settings
        self._secret = read_secret(settings.outbound.secret_file)
        self.metrics = Metrics()
        self.certificate = Certificate(
            settings.inbound.tls_certificate_file,
            settings.inbound.tls_key_file,
            metrics=self.metrics,
        )
        self.policy = LivePolicy(
            policy_file=settings.policy_file,
            authority_file=settings.authority_file,
            state_file=settings.state_file,
            metrics=self.metrics,
        )
        self._journal: Journal = NoJournal()
        self._clock = clock
        self._peers = Peers(settings.limits)
        self.policy.on_change(self._peers.forget_all_but)
        self._runners: list[web.ServerRunner] = []
        self._watch: asyncio.Task[None] | None = None
        self.inbound_port = 0
        self.outbound_port = 0
        self.metrics_port: int | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            SettingsError: If a port is taken or an address is not this machine's.
        """
        settings = self._settings
        self._journal = _journal(settings)
        ledger = Ledger(
            self.metrics,
            Trail(
                self._journal,
                clock=self._clock,
                strangers=RateLimiter(per_second=5, burst=500, clock=time.monotonic),
            ),
            monotonic=time.monotonic,
            serial=lambda: self.policy.policy.serial,
        )
        border = Border(server_name=settings.server_name, policy=self.policy, clock=self._clock)
        self._homeserver = plain_session(
            settings.limits,
            # Only a homeserver in another container has a name, and only by that setting.
            resolver=ThreadedResolver() if settings.cleartext_beyond_loopback_dangerous else None,
        )
        inbound = Inbound(
            border=border,
            homeserver=self._homeserver,
            upstream=settings.inbound.upstream,
            ledger=ledger,
            rate=RateLimiter(
                per_second=settings.rate_limit.per_second,
                burst=settings.rate_limit.burst,
                clock=time.monotonic,
            ),
            limits=settings.limits,
        )
        outbound = Outbound(
            border=border,
            peers=self._peers,
            ledger=ledger,
            secret=self._secret,
            limits=settings.limits,
        )
        try:
            self.inbound_port = await self._listen(
                BorderServer(inbound), "inbound", settings.inbound, self.certificate.context
            )
            self.outbound_port = await self._listen(
                BorderServer(outbound, clear=True), "outbound", settings.outbound
            )
            if settings.metrics is not None:
                status = Status(metrics=self.metrics, policy=self.policy, clock=self._clock)
                self.metrics_port = await self._listen(
                    BorderServer(status), "metrics", settings.metrics
                )
        except SettingsError:
            await self.stop()
            raise
        self._watch = asyncio.create_task(self._follow_files())
        _log.info(
            "listening",
            server_name=settings.server_name,
            inbound=self.inbound_port,
            outbound=self.outbound_port,
            metrics=self.metrics_port,
            serial=self.policy.policy.serial,
        )

    async def stop(self) -> None:
        """Stop listening, let the requests under way end, close every connection."""
        if self._watch is not None:
            self._watch.cancel()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        await self._homeserver.close()
        await self._peers.close()
        self._journal.close()
        self._journal = NoJournal()
        _log.info("stopped", server_name=self._settings.server_name)

    async def _listen(
        self, server: web.Server, name: str, where: Where, tls: ssl.SSLContext | None = None
    ) -> int:
        """Open one listener.

        Returns:
            Its port, which the system chose if the settings say 0.
        """
        runner = web.ServerRunner(server, shutdown_timeout=self._settings.limits.stop_seconds)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, where.host, where.port, ssl_context=tls, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError([_listen_fault(name, where, error)]) from error
        port: int = runner.addresses[0][1]
        return port

    async def _follow_files(self) -> None:
        """Follow the policy and the certificate for as long as the gateway runs."""
        while True:
            await asyncio.sleep(self._settings.policy_poll_seconds)
            try:
                self.policy.poll()
                self.certificate.poll()
                self._journal.sync()
                await self._peers.close_left()
            except Exception:  # noqa: BLE001 - see the next line
                # The watch must outlive any fault: the last good policy stays, and expires.
                _log.exception("watch-failed")


def _journal(settings: Settings) -> Journal:
    """The chain of this gateway in the audit directory, or none."""
    if settings.audit_directory is None:
        return NoJournal()
    try:
        return ChainedJournal(settings.audit_directory, f"gateway-{settings.server_name}")
    except (JournalError, OSError) as error:
        cure = "keep the folder as evidence and give an empty one"
        raise SettingsError([SettingsFault("audit_directory", str(error), cure)]) from error


def _listen_fault(name: str, where: Where, error: OSError) -> SettingsFault:
    place = f"{where.host}:{where.port}"
    if error.errno == errno.EADDRINUSE:
        message, cure = f"{place} is taken", "stop what listens there, or choose another port"
    else:
        message = f"{place} cannot be listened on ({error.strerror or error})"
        cure = "give an address of this machine and a port that this user may open"
    return SettingsFault(name, message, cure)
