"""A verdict in words an officer understands: who, what, the answer, the rule, what to do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rabta_policy.actions import Action
from rabta_policy.judge import decide
from rabta_policy.moments import write_moment
from rabta_policy.policy import Policy
from rabta_policy.rights import relation
from rabta_policy.verdicts import Allowed, Verdict


@dataclass(frozen=True, slots=True)
class Explanation:
    """A verdict with everything it was reached from.

    Attributes:
        question: What was asked, as a sentence.
        parties: What each side is, and how they stand to each other.
        policy: Which policy spoke, and whether it is in force.
        verdict: The judge's answer.
        action: The act.
        now: For which moment.
    """

    question: str
    parties: tuple[str, ...]
    policy: str
    verdict: Verdict
    action: Action
    now: datetime

    @property
    def allowed(self) -> bool:
        """Whether the act may be done."""
        return isinstance(self.verdict, Allowed)

    def as_json(self) -> dict[str, Any]:
        """The same for machines; plain values."""
        room = self.action.room
        answer: dict[str, Any] = {
            "allowed": self.allowed,
            "at": write_moment(self.now),
            "origin": self.action.origin,
            "action": str(self.action.kind),
            "destination": self.action.destination,
            "room_class": room.room_class if room else None,
            "owner": room.owner if room else None,
        }
        if isinstance(self.verdict, Allowed):
            grant = self.verdict.grant
            return answer | {
                "grant": {"rule": grant.rule, "text": grant.text, "ref": grant.ref},
            }
        return answer | {
            "reasons": [
                {"code": str(one.code), "rule": one.rule, "text": one.text, "cure": one.cure}
                for one in self.verdict.reasons
            ],
        }


def explain(policy: Policy, action: Action, now: datetime) -> Explanation:
    """Judge an act, and say how the answer came about."""
    origin = _party(policy, action.origin, now)
    parties = [f"{action.origin}: {origin}"]
    if action.destination != action.origin:
        parties.append(f"{action.destination}: {_party(policy, action.destination, now)}")
    one = policy.organisation_of(action.origin, now)
    other = policy.organisation_of(action.destination, now)
    if one is not None and other is not None:
        parties.append(f"relation: {relation(one, other)}")
    room = ""
    if action.room is not None:
        owner = f" of {action.room.owner}" if action.room.owner else ""
        room = f" in a {action.room.room_class} room{owner}"
    return Explanation(
        question=f"May {action.origin} do '{action.kind}' to {action.destination}{room}?",
        parties=tuple(parties),
        policy=f"{policy.network}, serial {policy.serial}, {policy.standing(now)}"
        f" on {write_moment(now)}",
        verdict=decide(policy, action, now),
        action=action,
        now=now,
    )


def _party(policy: Policy, server_name: str, now: datetime) -> str:
    seat = policy.seat_of_server(server_name, now)
    if seat is None:
        return "not in the registry at that time"
    one = seat.organisation
    heir = "" if one.server_name == server_name else ", successor of this server's organisation"
    return (
        f"{one.code}, {one.name} ({one.kind}, {one.status}, phase {one.phase}, "
        f"up to {one.ceiling}{heir})"
    )
