"""The one place where an act is allowed or denied. Pure, and it never raises on a policy that parsed.

The rules R1 to R15 are written out in docs/reference/rules.md; the numbers here are the same.
"""

from datetime import datetime

from rabta_policy.actions import ENTERING, ROOM_ACTIONS, Action, ActionKind, Room
from rabta_policy.classes import NEVER_IN_A_ROOM, ROOM_CLASSES
from rabta_policy.policy import Policy, Seat
from rabta_policy.reasons import ReasonCode
from rabta_policy.rights import relation
from rabta_policy.verdicts import Allowed, Denied, Reason, Verdict

_KNOCKS = frozenset({"knock", "knock_restricted"})


def decide(policy: Policy, action: Action, now: datetime) -> Verdict:
    """Judge one act.

    Args:
        policy: A policy from `parse` or `open_signed`.
        action: Who does what to whom; an act at home has the same origin and destination.
        now: The time, with its zone.

    Returns:
        Allowed with the grant it rests on, or Denied with every reason that speaks against it.
        The cost does not depend on the number of organisations or permits.
    """
    if now.tzinfo is None or now.utcoffset() is None:  # R15.
        return Denied((Reason(ReasonCode.CLOCK_WITHOUT_ZONE, action),))
    at_home = action.origin == action.destination
    against: list[Reason] = []
    if not at_home and now >= policy.not_after:
        _standing(policy, action, now, against)
    if action.actor is not None and action.actor.partition(":")[2] != action.origin:  # R14.
        against.append(Reason(ReasonCode.ACTOR_NOT_OF_ORIGIN, action, action.actor))
    origin = policy.seat_of_server(action.origin, now)
    destination = origin if at_home else policy.seat_of_server(action.destination, now)
    if origin is None or (not at_home and origin.barred):
        _seat(policy, action, action.origin, origin, against)
    if not at_home and (destination is None or destination.barred):
        _seat(policy, action, action.destination, destination, against)
    rank = 0
    if action.room is not None:
        rank = _class(policy, action, action.room, at_home, against)
    elif action.kind in ROOM_ACTIONS:  # R7.
        against.append(Reason(ReasonCode.ROOM_MISSING, action))
    if origin is None or destination is None or rank < 0:
        return Denied(tuple(against))
    if rank > origin.rank or rank > destination.rank:
        _ceilings(action, rank, origin, destination, against)
    grant = right_between(policy, action, origin, destination, rank, now)
    if isinstance(grant, Reason):
        against.append(grant)
    if action.room is not None and action.room.owner is not None:
        _owner(policy, action, action.room, origin, destination, rank, now, against)
    if against or isinstance(grant, Reason):
        return Denied(tuple(against))
    return grant


def _standing(policy: Policy, action: Action, now: datetime, against: list[Reason]) -> None:
    if now >= policy.grace_ends:  # R1.
        against.append(Reason(ReasonCode.POLICY_EXPIRED, action))
    elif action.kind in ENTERING:  # R2.
        against.append(Reason(ReasonCode.POLICY_IN_GRACE, action))


def _seat(
    policy: Policy, action: Action, server_name: str, seat: Seat | None, against: list[Reason]
) -> None:
    if seat is None:  # R3.
        code = (
            ReasonCode.ORGANISATION_NOT_BEGUN
            if policy.knows(server_name)
            else ReasonCode.SERVER_UNKNOWN
        )
        against.append(Reason(code, action, server_name))
        return
    organisation = seat.organisation
    # R4, R5, R6: worked out when the policy was compiled.
    against.extend(
        Reason(code, action, organisation.code, organisation.phase) for code in seat.barred
    )


def _class(policy: Policy, action: Action, room: Room, at_home: bool, against: list[Reason]) -> int:
    rank = policy.rank_of_class(room.room_class)
    if rank is None:  # R7.
        never = room.room_class.lower() in NEVER_IN_A_ROOM
        code = ReasonCode.CLASS_NEVER_IN_A_ROOM if never else ReasonCode.CLASS_UNKNOWN
        against.append(Reason(code, action))
        return -1
    rule = policy.room_classes[rank]
    if not at_home and rule.federation == "none":  # R8.
        against.append(Reason(ReasonCode.CLASS_DOES_NOT_FEDERATE, action))
    if action.kind is ActionKind.PUBLISH and not rule.publish:  # R10.
        against.append(Reason(ReasonCode.CLASS_NOT_PUBLISHED, action))
    if action.kind is ActionKind.KNOCK and _KNOCKS.isdisjoint(rule.join_rules):  # R10.
        against.append(Reason(ReasonCode.CLASS_WITHOUT_KNOCK, action))
    return rank


def _ceilings(
    action: Action, rank: int, origin: Seat, destination: Seat, against: list[Reason]
) -> None:
    # R9.
    for seat in dict.fromkeys((origin, destination)):
        if rank > seat.rank:
            against.append(_ceiling(action, seat))


def _ceiling(action: Action, seat: Seat) -> Reason:
    organisation = seat.organisation
    return Reason(
        ReasonCode.CLASS_ABOVE_CEILING, action, organisation.code, ROOM_CLASSES[seat.rank]
    )


def right_between(
    policy: Policy, action: Action, origin: Seat, destination: Seat, rank: int, now: datetime
) -> Allowed | Reason:
    """What lets `origin` do it to `destination`: the relation, else a permit, else the reason why nothing does."""
    kind = action.kind
    name = relation(origin.organisation, destination.organisation)
    leave = policy.relation_rights[name].get(kind)
    if leave is not None and rank <= leave.rank:  # R11.
        return leave.verdict
    code, detail = ReasonCode.NO_PERMIT, name
    if leave is not None:
        code = ReasonCode.CLASS_ABOVE_RELATION
    # R12.
    tables = [policy.permit_rights]
    if action.room is not None and action.room.room_id is not None:
        table = policy.room_permit_rights.get(action.room.room_id)
        tables += () if table is None else (table,)
    for table in tables:
        for one in origin.parties:
            for other in destination.parties:
                by_action = table.get((one, other))
                timeline = None if by_action is None else by_action.get(kind)
                if timeline is None:
                    continue
                permitted = timeline.at(now)
                if permitted is None:
                    if code is ReasonCode.NO_PERMIT:
                        code = ReasonCode.PERMIT_NOT_IN_FORCE
                elif rank <= permitted.rank:
                    return permitted.verdict
                else:
                    code, detail = ReasonCode.CLASS_ABOVE_PERMIT, permitted.verdict.grant.ref
    subject = f"{origin.organisation.code} to {destination.organisation.code}"
    return Reason(code, action, subject, detail)


def _owner(
    policy: Policy,
    action: Action,
    room: Room,
    origin: Seat,
    destination: Seat,
    rank: int,
    now: datetime,
    against: list[Reason],
) -> None:
    # R13: in a listed room the owner, too, must have the right with whoever enters.
    owner = policy.seat_of_code(room.owner or "", now)
    if owner is None:
        against.append(Reason(ReasonCode.OWNER_UNKNOWN, action, room.owner or ""))
        return
    if rank > owner.rank:  # R9.
        if owner not in (origin, destination):
            against.append(_ceiling(action, owner))
        return
    if policy.room_classes[rank].federation == "all" or action.kind not in ENTERING:
        return
    code = owner.organisation.code
    if code in (origin.organisation.code, destination.organisation.code):
        return  # the owner is a party to the act, and its right was judged with it
    if action.kind is ActionKind.INVITE:
        pair, entering = (owner, destination), destination
    else:
        pair, entering = (origin, owner), origin
    if owner.barred or isinstance(right_between(policy, action, *pair, rank, now), Reason):
        against.append(
            Reason(ReasonCode.OWNER_HAS_NO_RIGHT, action, code, entering.organisation.code)
        )
