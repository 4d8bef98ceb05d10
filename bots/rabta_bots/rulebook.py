"""Holds the signed policy in force: reloaded when replaced, never for a worse one."""

from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine, select

from rabta_bots.clock import Clock
from rabta_bots.faults import Fault, SettingsError
from rabta_bots.store.audit import write_audit
from rabta_bots.store.tables import policies
from rabta_bots.watched_file import WatchedFile
from rabta_policy import Authority, Policy, PolicyError, open_signed

log = structlog.get_logger("rabta.bridge.policy")


@dataclass(frozen=True, slots=True)
class _Seen:
    serial: int = 0
    digest: str = ""


class Rulebook:
    """The policy in force.

    Args:
        policy_file: The signed policy, replaced as a whole by its writer.
        authority_file: The pinned authority keys.
    """

    def __init__(
        self, policy_file: Path, authority_file: Path, engine: Engine, clock: Clock
    ) -> None:
        self._file = WatchedFile(policy_file)
        self._authority = _authority(authority_file)
        self._engine = engine
        self._clock = clock
        self._policy: Policy | None = None

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        if self._policy is None:
            raise LookupError("load() comes first")
        return self._policy

    def load(self) -> None:
        """Take the policy at start.

        Raises:
            SettingsError: There is none that this bridge may believe.
        """
        try:
            self._take()
        except OSError as error:
            fault = Fault(
                "policy_file",
                f"cannot read {self._file.path} ({error.strerror}).",
                "put the signed policy there",
            )
            raise SettingsError([fault]) from error
        except PolicyError as error:
            raise SettingsError(
                [
                    Fault(f"policy_file {fault.path}".strip(), fault.message, fault.cure)
                    for fault in error.faults
                ]
            ) from error

    def reload(self) -> bool:
        """Take a replaced file; on any fault the good one stays and the reason is logged."""
        try:
            return self._take()
        except OSError as error:
            log.warning("policy-unreadable", error=error.strerror)
        except PolicyError as error:
            log.warning("policy-refused", reason=error.reason)
            with self._engine.begin() as connection:
                write_audit(connection, self._clock(), "policy-refused", reason=error.reason)
        return False

    def _take(self) -> bool:
        raw = self._file.read_if_changed()
        if raw is None:
            return False
        with self._engine.begin() as connection:
            seen = _last(connection)
            policy = open_signed(
                raw, self._authority, last_serial=seen.serial, last_digest=seen.digest
            )
            if policy.serial > seen.serial:
                connection.execute(
                    policies.insert().values(
                        serial=policy.serial, digest=policy.digest, seen_at=self._clock()
                    )
                )
        self._policy = policy
        log.info("policy-in-force", serial=policy.serial)
        return True


def _last(connection: Connection) -> _Seen:
    row = connection.execute(select(policies).order_by(policies.c.serial.desc()).limit(1)).first()
    return _Seen(row.serial, row.digest) if row else _Seen()


def _authority(path: Path) -> Authority:
    try:
        return Authority.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        fault = Fault(
            "authority_file",
            f"cannot read {path} ({error.strerror}).",
            "put the pinned authority keys there",
        )
        raise SettingsError([fault]) from error
    except PolicyError as error:
        raise SettingsError(
            [
                Fault(f"authority_file {fault.path}".strip(), fault.message, fault.cure)
                for fault in error.faults
            ]
        ) from error
