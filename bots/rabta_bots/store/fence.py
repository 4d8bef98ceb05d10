"""Fences off a process that lost its account: each transaction first proves that its epoch holds.

A lock alone cannot: a process that was frozen, or whose connection broke, may wake and write after
another took over. So each holder raises the epoch, and no transaction of an older epoch commits.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, event, select, update

from rabta_bots.store.lease import LeaseLostError
from rabta_bots.store.tables import leases


def raise_epoch(engine: Engine, account: str) -> int:
    """Begin our epoch, which ends every earlier one; gives its number.

    On PostgreSQL it waits for the transactions that hold the earlier epoch, so afterwards none of
    them can commit. Call it with the lease in hand, before `fence`.
    """
    with engine.begin() as connection:
        query = select(leases.c.epoch).where(leases.c.account == account).with_for_update()
        before = connection.execute(query).scalar()
        if before is None:
            connection.execute(leases.insert().values(account=account, epoch=1))
            return 1
        connection.execute(
            update(leases).where(leases.c.account == account).values(epoch=before + 1)
        )
        return int(before) + 1


def fence(engine: Engine, account: str, epoch: int, broken: Callable[[], None]) -> None:
    """Let the engine begin transactions in this epoch alone.

    The epoch's row is held (`FOR SHARE`) to the end of each transaction; SQLite lets one
    transaction write at a time anyway.

    Args:
        engine: The store; crypto state, inbox and outbox are all written through it.
        account: Whose epoch.
        epoch: Ours.
        broken: Called, in whatever thread, when a transaction was refused.
    """
    query = select(leases.c.epoch).where(leases.c.account == account).with_for_update(read=True)

    def check(connection: Connection) -> None:
        found = connection.execute(query).scalar()
        if found != epoch:
            broken()
            raise LeaseLostError(f"epoch {found} began, ours was {epoch}")

    event.listen(engine, "begin", check)
