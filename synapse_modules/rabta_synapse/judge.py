"""The one way the door asks: every callback comes here, and here alone `decide` is called.

Nothing is decided here; a verdict is fetched, counted and, where it matters, put in the audit.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum, auto

from rabta_policy import Action, Allowed, Grant, Policy, Room, decide, servers_allowed_in
from rabta_synapse.audit import Audit
from rabta_synapse.metrics import DECISIONS
from rabta_synapse.refusal import NO_POLICY, Refusal
from rabta_synapse.source import PolicySource


class Note(Enum):
    """How much of a verdict goes into the audit; every verdict is counted."""

    ALL = auto()
    """Denials, and grants that cross organisations."""
    DENIALS = auto()
    """Denials; the same act is judged once more on its way, and a grant is recorded there."""
    NOTHING = auto()
    """Neither: it hides rows of a list, and nobody was refused an act."""


class Judge:
    """Asks the policy in force and records the answer.

    Args:
        server_name: This homeserver.
        source: Holds the policy in force.
        clock: The time, with its zone.
        audit: Where denials and crossing grants are recorded.
    """

    def __init__(
        self,
        server_name: str,
        *,
        source: PolicySource,
        clock: Callable[[], datetime],
        audit: Audit,
    ) -> None:
        self.server_name = server_name
        self.clock = clock
        self._source = source
        self._audit = audit

    @property
    def policy(self) -> Policy | None:
        """The policy in force, None before the first."""
        return self._source.policy

    def ask(self, ways: Sequence[Action], *, path: str, note: Note = Note.ALL) -> Grant | Refusal:
        """Judge one act, which may be right in more than one way.

        Args:
            ways: The act, as the actions of which one must be allowed; the first is the act as
                it was tried.
            path: The door's name of the way taken, for the audit.
            note: How much of the verdict goes into the audit.

        Returns:
            The grant it rests on; else the refusal of the first way, or that there is no policy.
        """
        verdicts = [(way, self._decide(way)) for way in ways]
        granted = [pair for pair in verdicts if isinstance(pair[1], Grant)]
        action, verdict = (granted or verdicts)[0]
        self._record(action, verdict, path=path, note=note)
        return verdict

    def refuse(self, action: Action, refusal: Refusal, *, path: str) -> Refusal:
        """Record a refusal by the door's own rules (D1 and on), which need no `decide`."""
        self._record(action, refusal, path=path, note=Note.ALL)
        return refusal

    def refuse_event(self, refusal: Refusal, *, path: str, sender: str, room: Room) -> Refusal:
        """Record a refusal of an event that its room's class does not allow."""
        DECISIONS.labels("send", "denied", refusal.code).inc()
        self._audit.note(
            path=path,
            action="send",
            verdict="denied",
            serial=self._serial,
            origin=sender.partition(":")[2],
            actor=sender,
            room=room.room_id,
            room_class=room.room_class,
            rules=(refusal.rule,),
            reasons=(refusal.code,),
        )
        return refusal

    def refuse_request(self, refusal: Refusal, *, path: str, origin: str) -> Refusal:
        """Record a refusal of a server's request that is none of the policy's actions."""
        DECISIONS.labels("request", "denied", refusal.code).inc()
        self._audit.note(
            path=path,
            action="request",
            verdict="denied",
            serial=self._serial,
            origin=origin,
            destination=self.server_name,
            rules=(refusal.rule,),
            reasons=(refusal.code,),
        )
        return refusal

    def servers_allowed_in(self, room: Room, home: str) -> frozenset[str]:
        """The servers the policy lets into a room, by its home; home alone without a policy."""
        policy = self.policy
        if policy is None:
            return frozenset({home})
        return servers_allowed_in(policy, room, home, self.clock())

    @property
    def _serial(self) -> int:
        return self.policy.serial if self.policy else 0

    def _decide(self, action: Action) -> Grant | Refusal:
        policy = self.policy
        if policy is None:
            return NO_POLICY
        verdict = decide(policy, action, self.clock())
        return verdict.grant if isinstance(verdict, Allowed) else Refusal.by_judge(verdict)

    def _record(self, action: Action, verdict: Grant | Refusal, *, path: str, note: Note) -> None:
        kind = action.kind.value
        if isinstance(verdict, Refusal):
            code, reasons, ref = verdict.code, (verdict.code, *verdict.further), None
        else:
            code, reasons, ref = "", (), verdict.ref
        said = "denied" if reasons else "allowed"
        DECISIONS.labels(kind, said, code).inc()
        crosses = action.origin != action.destination
        if note is Note.NOTHING or not (reasons or (crosses and note is Note.ALL)):
            return
        self._audit.note(
            path=path,
            action=kind,
            verdict=said,
            serial=self._serial,
            origin=action.origin,
            destination=action.destination or None,
            room=action.room.room_id if action.room else None,
            room_class=action.room.room_class if action.room else None,
            actor=action.actor,
            rules=(verdict.rule,),
            reasons=reasons,
            ref=ref,
        )
