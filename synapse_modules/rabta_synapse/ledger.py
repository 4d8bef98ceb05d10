"""The last policy serial this homeserver has seen, kept in Synapse's own database.

Shared by every process, so that no worker can be talked back into an older policy.
"""

from typing import Protocol

from synapse.module_api import LoggingTransaction, ModuleApi

_CREATE = """
    CREATE TABLE IF NOT EXISTS rabta_policy_serial (
        name TEXT NOT NULL PRIMARY KEY, serial BIGINT NOT NULL, digest TEXT NOT NULL
    )
"""
_READ = "SELECT serial, digest FROM rabta_policy_serial WHERE name = ?"
_RAISE = """
    INSERT INTO rabta_policy_serial (name, serial, digest) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET serial = excluded.serial, digest = excluded.digest
    WHERE rabta_policy_serial.serial < excluded.serial
"""
_NAME = "policy"


class SerialLedger(Protocol):
    """Where the last seen serial lives: the database, or a recorder in tests."""

    async def last(self) -> tuple[int, str]:
        """The last serial seen and the digest of its document; (0, "") when none was."""

    async def record(self, serial: int, digest: str) -> tuple[int, str]:
        """Raise the last serial seen; return what stands now, which may be a later one."""


class DatabaseLedger:
    """The ledger in Synapse's database, through `run_db_interaction`: SQLite or PostgreSQL."""

    def __init__(self, api: ModuleApi) -> None:
        self._api = api
        self._made = False

    async def last(self) -> tuple[int, str]:
        """See `SerialLedger.last`."""
        await self._make()
        return await self._api.run_db_interaction("rabta_serial_last", _read)

    async def record(self, serial: int, digest: str) -> tuple[int, str]:
        """See `SerialLedger.record`."""
        await self._make()
        return await self._api.run_db_interaction("rabta_serial_record", _raise, serial, digest)

    async def _make(self) -> None:
        if not self._made:
            await self._api.run_db_interaction("rabta_serial_create", _create)
            self._made = True


def _create(txn: LoggingTransaction) -> None:
    txn.execute(_CREATE)


def _read(txn: LoggingTransaction) -> tuple[int, str]:
    txn.execute(_READ, (_NAME,))
    row = txn.fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "")


def _raise(txn: LoggingTransaction, serial: int, digest: str) -> tuple[int, str]:
    txn.execute(_RAISE, (_NAME, serial, digest))
    return _read(txn)
