"""Writes the audit trail: who did what and with which reason code, never any content."""

from datetime import datetime

from sqlalchemy import Connection

from rabta_bots.store.tables import audit

_INSERT = audit.insert()


def write_audit(
    connection: Connection,
    now: datetime,
    what: str,
    *,
    reason: str | None = None,
    actor: str | None = None,
    event_id: str | None = None,
    card_id: int | None = None,
    matrix_event_id: str | None = None,
    detail: str | None = None,
) -> None:
    """Add one row.

    Args:
        connection: The transaction of what is audited.
        now: When.
        event_id: e-Office's event.
        card_id: The card.
        matrix_event_id: The message.
        what: What happened, kebab-case (`command-refused`, `decision-recorded`).
        reason: The stable reason code, where something was refused.
        actor: A Matrix user id or a source.
        detail: Bounded words of the contract (a verb, an outcome, a rule), and why an operator
            dropped a dead letter; nothing else is free text.
    """
    row = {
        "at": now,
        "what": what,
        "reason": reason,
        "actor": actor,
        "event_id": event_id,
        "card_id": card_id,
        "matrix_event_id": matrix_event_id,
        "detail": detail,
    }
    connection.execute(_INSERT, row)
