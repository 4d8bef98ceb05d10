"""The policy in force in this process: read from its file, believed only when signed and not older.

It never falls back to nothing once it had something: a bad, older or missing file leaves the
last good policy standing, whose own dates then decide how long.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from rabta_policy import Authority, Policy, PolicyError, open_signed
from rabta_synapse.audit import Audit
from rabta_synapse.ledger import SerialLedger
from rabta_synapse.metrics import POLICY_REFUSED, POLICY_SERIAL

logger = logging.getLogger(__name__)


class InThread(Protocol):
    """Runs a function off the reactor thread: `ModuleApi.defer_to_thread`, or at once in tests."""

    def __call__(self, work: Callable[[], Policy], /) -> Awaitable[Policy]:
        """Run `work` and hand back what it returns or raises."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells one version of the file from the next without reading it."""

    modified_ns: int
    size: int
    inode: int


class PolicySource:
    """Keeps the newest policy that was believed.

    Args:
        path: The signed policy file.
        authority: The pinned keys.
        ledger: The last serial seen by any process of this homeserver.
        audit: Where a refused policy is recorded.
        in_thread: Runs the verification, which costs CPU, off the reactor.
    """

    def __init__(
        self,
        path: Path,
        authority: Authority,
        *,
        ledger: SerialLedger,
        audit: Audit,
        in_thread: InThread,
    ) -> None:
        self._path = path
        self._authority = authority
        self._ledger = ledger
        self._audit = audit
        self._in_thread = in_thread
        self._seen: Fingerprint | None = None
        self._missed = False
        self._looking = False
        self.policy: Policy | None = None

    async def refresh(self) -> bool:
        """Look at the file once; take what it holds if it is new, signed and not older.

        Returns:
            True when another policy is in force than before.

        Raises:
            Exception: The database did not answer. The file counts as unread, so the next
                look tries again; the policy in force stays.
        """
        if self._looking:
            return False  # The look before is still at its verification or at the database.
        found = self._fingerprint()
        if found is None or found == self._seen:
            return False
        self._looking = True
        try:
            return await self._take(found)
        finally:
            self._looking = False

    async def _take(self, found: Fingerprint) -> bool:
        raw = self._path.read_bytes()
        last_serial, last_digest = await self._ledger.last()
        try:
            policy = await self._in_thread(
                partial(
                    open_signed,
                    raw,
                    self._authority,
                    last_serial=last_serial,
                    last_digest=last_digest,
                )
            )
        except PolicyError as error:
            return self._refuse(found, error.reason, last_serial, str(error))
        standing = await self._ledger.record(policy.serial, policy.digest)
        if standing != (policy.serial, policy.digest):
            # Another process was quicker with a newer one, or with other words.
            return False
        self._seen = found
        self.policy = policy
        POLICY_SERIAL.set(policy.serial)
        self._audit.note(path="policy", action="policy", verdict="noted", serial=policy.serial)
        logger.info("Policy with serial %d is in force", policy.serial)
        return True

    def _fingerprint(self) -> Fingerprint | None:
        try:
            status = self._path.stat()
        except OSError as error:
            if not self._missed:
                self._missed = True
                POLICY_REFUSED.labels("file-missing").inc()
                logger.warning("Policy file cannot be read (%s); the last good one stands", error)
            return None
        self._missed = False
        return Fingerprint(status.st_mtime_ns, status.st_size, status.st_ino)

    def _refuse(self, found: Fingerprint, reason: str, serial: int, said: str) -> bool:
        self._seen = found
        POLICY_REFUSED.labels(reason).inc()
        self._audit.note(
            path="policy", action="policy", verdict="denied", serial=serial, reasons=(reason,)
        )
        logger.error("Policy refused (%s): %s; the last good one stands", reason, said)
        return False
