"""What both directions ask the policy: which endpoint this is, and whether it may be asked."""

from collections.abc import Callable, Iterator
from datetime import datetime

from rabta_gateway.crossing import Crossing
from rabta_gateway.endpoints import Match, Treatment, match
from rabta_gateway.live_policy import LivePolicy
from rabta_gateway.refusals import Refusal, RefusedError
from rabta_gateway.target import parse_target
from rabta_policy import (
    Action,
    ActionKind,
    Denied,
    Grant,
    Policy,
    ReasonCode,
    Room,
    Server,
    Standing,
    decide,
)
from rabta_policy.actions import ROOM_ACTIONS

Clock = Callable[[], datetime]
# Where the user in the path is who acts; elsewhere it is who is asked about.
_ACTOR_IN_PATH = frozenset({ActionKind.JOIN, ActionKind.KNOCK})


class Border:
    """The policy's answers for one homeserver.

    Args:
        server_name: The homeserver that this gateway serves.
        policy: The policy in force.
        clock: Gives the time, timezone-aware.
    """

    def __init__(self, *, server_name: str, policy: LivePolicy, clock: Clock) -> None:
        self.server_name = server_name
        self._policy = policy
        self._clock = clock

    def endpoint(self, crossing: Crossing, method: str, raw_target: str) -> Match:
        """Find the endpoint in the table and note it in the crossing.

        Raises:
            RefusedError: `malformed-target`, `unknown-endpoint`, `wrong-method` or
                `closed-endpoint`.
        """
        target = parse_target(raw_target)
        if target is None:
            raise RefusedError("malformed-target")
        found = match(method, target)
        if isinstance(found, str):
            raise RefusedError(found)
        crossing.endpoint = found.endpoint.name
        crossing.parameters = found.parameters
        crossing.action = str(found.endpoint.action or crossing.action)
        if found.endpoint.treatment is Treatment.CLOSED:
            raise RefusedError("closed-endpoint")
        return found

    def peer(self, name: str) -> Server:
        """The registry's entry of a peer that federates with us now.

        Raises:
            RefusedError: `own-server-closed`, or the judge's word for what bars the peer.
        """
        now = self._clock()
        policy = self._policy.policy
        if policy.standing(now) is Standing.EXPIRED:
            raise RefusedError(Refusal.barred(ReasonCode.POLICY_EXPIRED))
        own = policy.seat_of_server(self.server_name, now)
        if own is None or own.barred:
            raise RefusedError("own-server-closed")
        server = policy.server(name)
        if server is None or name == self.server_name:
            raise RefusedError(Refusal.barred(ReasonCode.SERVER_UNKNOWN))
        seat = policy.seat_of_server(name, now)
        if seat is None:
            raise RefusedError(Refusal.barred(ReasonCode.ORGANISATION_NOT_BEGUN))
        if seat.barred:
            raise RefusedError(Refusal.barred(seat.barred[0]))
        return server

    def judge(self, found: Match, *, origin: str, destination: str) -> Grant | None:
        """Ask the judge where the endpoint is one action of the policy.

        A room's class is not known here. So the question is whether the pair could do this
        in a room of any class; the door asks again with the room's own.

        Returns:
            The grant, or None where the endpoint is no single action.

        Raises:
            RefusedError: With the judge's reason.
        """
        kind = found.endpoint.action
        if kind is None:
            return None
        now = self._clock()
        policy = self._policy.policy
        actor = found.parameters.get("user_id") if kind in _ACTOR_IN_PATH else None
        denied: Denied | None = None
        for room in _rooms(policy, kind, found.parameters.get("room_id")):
            action = Action(kind, origin, destination, room=room, actor=actor)
            verdict = decide(policy, action, now)
            if not isinstance(verdict, Denied):
                return verdict.grant
            denied = denied or verdict
        raise RefusedError(Refusal.denied(denied) if denied else "internal-fault")


def _rooms(policy: Policy, kind: ActionKind, room_id: str | None) -> Iterator[Room | None]:
    """The room as it may be labelled, loosest class first; None where no room is judged."""
    if kind not in ROOM_ACTIONS:
        yield None
        return
    for room_class in policy.room_classes:
        yield Room(room_id, room_class.name)
