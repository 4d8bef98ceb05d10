"""What leaves in a transaction to another server: ephemeral events judged, attempts audited.

An attempt is recorded before it is made. What a peer acknowledges proves nothing, for a hostile
one never echoes an event id. Events of rooms are not held back here: who is in a room was judged
when they came in, and whoever lost the right is put out by reconcile. An event left out of the
stream would leave a gap that the other server cannot fill, and it would not believe its own kick.
"""

from collections.abc import Sequence
from typing import Protocol

from rabta_policy import Action, ActionKind
from rabta_synapse.audit import Audit
from rabta_synapse.judge import Judge, Note
from rabta_synapse.metrics import DELIVERIES, DELIVERY_EVENTS, WITHHELD
from rabta_synapse.refusal import Refusal

_TOLD = {
    "m.presence": ActionKind.PRESENCE,
    "m.typing": ActionKind.PRESENCE,
    "m.direct_to_device": ActionKind.TO_DEVICE,
}
"""Ephemeral events that need a right of ours with the server they go to."""

_LEARNT = {
    "m.device_list_update": ActionKind.KEYS,
    "m.signing_key_update": ActionKind.KEYS,
    "org.matrix.signing_key_update": ActionKind.KEYS,
}
"""Ephemeral events that tell what the other server may else ask for: its right counts."""


_WITH_THE_ROOM = "m.receipt"
"""Needed wherever a room is shared."""


class SentEvent(Protocol):
    """What is read of an event that leaves."""

    @property
    def event_id(self) -> str:
        """Its id."""

    @property
    def room_id(self) -> str:
        """Its room."""


class Delivery:
    """Judges and records transactions as they leave.

    Args:
        judge: Asked for the pair's right.
        audit: Records every attempt that carries events of rooms.
    """

    def __init__(self, judge: Judge, audit: Audit) -> None:
        self._judge = judge
        self._audit = audit

    def passes(self, destination: str, edu_type: str) -> bool:
        """Whether an ephemeral event of this type may go to this server."""
        ours = self._judge.server_name
        if edu_type in _TOLD:
            action = Action(_TOLD[edu_type], ours, destination)
        elif edu_type in _LEARNT:
            action = Action(_LEARNT[edu_type], destination, ours)
        else:
            # Receipts go with the room. What is not known does not leave (D17).
            return edu_type == _WITH_THE_ROOM or self._withheld(edu_type)
        verdict = self._judge.ask([action], path="transaction", note=Note.NOTHING)
        return not isinstance(verdict, Refusal) or self._withheld(edu_type)

    def _withheld(self, edu_type: str) -> bool:
        """Count it; False, for it does not pass. A type that is not known has no label."""
        known = edu_type in _TOLD or edu_type in _LEARNT
        WITHHELD.labels(edu_type if known else "unknown").inc()
        return False

    def attempt(self, destination: str, events: Sequence[SentEvent]) -> None:
        """Record that these events are about to leave, once for a transaction.

        Raises:
            OSError: The audit cannot be written; nothing must be sent.
        """
        policy = self._judge.policy
        DELIVERIES.inc()
        DELIVERY_EVENTS.inc(len(events))
        rooms = {event.room_id for event in events}
        self._audit.note(
            path="transaction",
            action="deliver",
            verdict="noted",
            serial=policy.serial if policy else 0,
            origin=self._judge.server_name,
            destination=destination,
            room=rooms.pop() if len(rooms) == 1 else None,
            events=tuple(event.event_id for event in events),
        )
