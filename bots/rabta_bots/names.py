"""Derives ids that must be the same at every repeat: transaction ids, command ids, keys. Pure."""

import base64
import hashlib


def transaction_id(event_id: str, room_id: str, part: str) -> str:
    """The Matrix transaction id of one message: the same event, room and part give the same.

    Args:
        room_id: Where it goes.
        event_id: e-Office's event, or the Matrix event that is answered.
        part: Which message about it (`issue-0`, `outcome`, `answer`).
    """
    return f"rb-{_short(f'{event_id}|{room_id}|{part}')}"[:40]


def command_id(card_id: int, event_id: str, matrix_event_id: str) -> str:
    """The idempotency key of one command: of this card, this event, this message of the officer."""
    return f"rc-{_short(f'{card_id}|{event_id}|{matrix_event_id}')}"[:40]


def room_key(post_id: str, room_class: str) -> str:
    """By which a post's room is found again when its making was not remembered."""
    return f"rr-{_short(f'{post_id}|{room_class}')}"[:40]


def _short(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()
