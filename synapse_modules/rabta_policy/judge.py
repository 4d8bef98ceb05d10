"""The one place where an act is allowed or denied. Pure; it never raises on a policy that parsed.

The rules R1 to R15 are written out in docs/reference/rules.md; the numbers here are the same.
"""

from datetime import UTC, datetime

from rabta_policy.actions import ENTERING, ROOM_ACTIONS, Action, ActionKind
from rabta_policy.classes import NEVER_IN_A_ROOM, ROOM_CLASSES
from rabta_policy.policy import Policy
from rabta_policy.reasons import ReasonCode
from rabta_policy.rights import Leave, PermitRights, relation
from rabta_policy.seats import Seat
from rabta_policy.verdicts import Allowed, Denied, Reason, Verdict

# Looking up a member of an enumeration costs as much as a rule: these are met on every decision.
_INVITE, _KNOCK, _PUBLISH = ActionKind.INVITE, ActionKind.KNOCK, ActionKind.PUBLISH
_SERVER_UNKNOWN, _NO_PERMIT = ReasonCode.SERVER_UNKNOWN, ReasonCode.NO_PERMIT
_CLASS_ABOVE_RELATION = ReasonCode.CLASS_ABOVE_RELATION
_CLASS_ABOVE_PERMIT = ReasonCode.CLASS_ABOVE_PERMIT
_PERMIT_NOT_IN_FORCE = ReasonCode.PERMIT_NOT_IN_FORCE
_KNOCKS = frozenset({"knock", "knock_restricted"})
_NO_CLASS = -1


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
    if now.tzinfo is not UTC and now.utcoffset() is None:  # R15.
        return Denied((Reason(ReasonCode.CLOCK_WITHOUT_ZONE, action),))
    at_home = action.origin == action.destination
    against = _always(policy, action, now, at_home=at_home)
    origin = destination = policy.seat_of_server(action.origin, now)
    if origin is None or (origin.barred and not at_home):
        against += _absence(policy, action, action.origin, origin)
    if not at_home:
        destination = policy.seat_of_server(action.destination, now)
        if destination is None or destination.barred:
            against += _absence(policy, action, action.destination, destination)
    rank = _rank(policy, action, against, at_home=at_home)
    if origin is None or destination is None or rank == _NO_CLASS:
        return Denied(tuple(against))

    if rank > origin.rank or rank > destination.rank:
        against += _ceilings(action, rank, (origin, destination))
    right = right_between(policy, action, (origin, destination), rank, now)
    if isinstance(right, Reason):
        against.append(right)
    if action.room is not None and action.room.owner is not None:
        against += _owner(policy, action, (origin, destination), rank, now)
    if against or isinstance(right, Reason):
        return Denied(tuple(against))
    return right


def _always(policy: Policy, action: Action, now: datetime, *, at_home: bool) -> list[Reason]:
    # What does not depend on who the two organisations are.
    against: list[Reason] = []
    if not at_home and now >= policy.not_after:
        if now >= policy.grace_ends:  # R1.
            against.append(Reason(ReasonCode.POLICY_EXPIRED, action))
        elif action.kind in ENTERING:  # R2.
            against.append(Reason(ReasonCode.POLICY_IN_GRACE, action))
    if action.actor is not None and action.actor.partition(":")[2] != action.origin:  # R14.
        against.append(Reason(ReasonCode.ACTOR_NOT_OF_ORIGIN, action, action.actor))
    return against


def _absence(
    policy: Policy, action: Action, server_name: str, seat: Seat | None
) -> tuple[Reason, ...]:
    if seat is None:  # R3.
        code = ReasonCode.ORGANISATION_NOT_BEGUN if policy.knows(server_name) else _SERVER_UNKNOWN
        return (Reason(code, action, server_name),)
    organisation = seat.organisation
    # R4, R5, R6: worked out when the policy was compiled.
    return tuple(
        Reason(code, action, organisation.code, organisation.phase) for code in seat.barred
    )


def _rank(policy: Policy, action: Action, against: list[Reason], *, at_home: bool) -> int:
    room = action.room
    if room is None:
        if action.kind in ROOM_ACTIONS:  # R7.
            against.append(Reason(ReasonCode.ROOM_MISSING, action))
        return 0
    rank = policy.rank_of_class(room.room_class)
    if rank is None:  # R7.
        never = room.room_class.lower() in NEVER_IN_A_ROOM
        code = ReasonCode.CLASS_NEVER_IN_A_ROOM if never else ReasonCode.CLASS_UNKNOWN
        against.append(Reason(code, action))
        return _NO_CLASS
    rule = policy.room_classes[rank]
    if not at_home and rule.federation == "none":  # R8.
        against.append(Reason(ReasonCode.CLASS_DOES_NOT_FEDERATE, action))
    if action.kind == _PUBLISH and not rule.publish:  # R10.
        against.append(Reason(ReasonCode.CLASS_NOT_PUBLISHED, action))
    if action.kind == _KNOCK and _KNOCKS.isdisjoint(rule.join_rules):  # R10.
        against.append(Reason(ReasonCode.CLASS_WITHOUT_KNOCK, action))
    return rank


def _ceilings(action: Action, rank: int, seats: tuple[Seat, ...]) -> tuple[Reason, ...]:
    # R9.
    low = dict.fromkeys((seat.code, ROOM_CLASSES[seat.rank]) for seat in seats if rank > seat.rank)
    return tuple(
        Reason(ReasonCode.CLASS_ABOVE_CEILING, action, code, ceiling) for code, ceiling in low
    )


def right_between(
    policy: Policy, action: Action, seats: tuple[Seat, Seat], rank: int, now: datetime
) -> Allowed | Reason:
    """What lets the first seat do it to the second: the relation, a permit, or why neither."""
    origin, destination = seats
    name = relation(origin, destination)
    leave = policy.relation_rights[name].get(action.kind)
    if leave is not None and rank <= leave.rank:  # R11.
        return leave.verdict
    # R12.
    met = _permits(policy.permit_rights, action.kind, seats, now)
    if policy.room_permit_rights and action.room is not None:
        in_room = policy.room_permit_rights.get(action.room.room_id or "")
        met += () if in_room is None else _permits(in_room, action.kind, seats, now)
    for permitted in met:
        if permitted is not None and rank <= permitted.rank:
            return permitted.verdict
    subject = f"{origin.code} to {destination.code}"
    refs = [permitted.verdict.grant.ref for permitted in met if permitted is not None]
    if refs:
        return Reason(_CLASS_ABOVE_PERMIT, action, subject, ", ".join(refs))
    if leave is not None:
        return Reason(_CLASS_ABOVE_RELATION, action, subject, name)
    code = _PERMIT_NOT_IN_FORCE if met else _NO_PERMIT
    return Reason(code, action, subject, name)


def _permits(
    table: PermitRights, kind: ActionKind, seats: tuple[Seat, Seat], now: datetime
) -> list[Leave | None]:
    # One entry per permit for this action; None for one that is not in force today.
    by_pair = table.get(kind)
    if by_pair is None:
        return []
    origin, destination = seats
    if not (origin.groups or destination.groups):
        timeline = by_pair.get((origin.code, destination.code))
        return [] if timeline is None else [timeline.at(now)]
    return [
        timeline.at(now)
        for one in origin.parties
        for other in destination.parties
        if (timeline := by_pair.get((one, other))) is not None
    ]


def _owner(
    policy: Policy, action: Action, seats: tuple[Seat, Seat], rank: int, now: datetime
) -> tuple[Reason, ...]:
    # R13: in a listed room the owner, too, must have the right with whoever enters.
    code = action.room.owner if action.room is not None else None
    owner = policy.seat_of_code(code or "", now)
    if owner is None:
        return (Reason(ReasonCode.OWNER_UNKNOWN, action, code or ""),)
    origin, destination = seats
    owning = owner.code
    if owning in {origin.code, destination.code}:
        return ()  # a party to the act: its right was judged with it
    if rank > owner.rank:
        return _ceilings(action, rank, (owner,))
    if action.kind not in ENTERING or policy.room_classes[rank].federation == "all":
        return ()
    invited = action.kind == _INVITE
    pair = (owner, destination) if invited else (origin, owner)
    entering = (destination if invited else origin).code
    if owner.barred or isinstance(right_between(policy, action, pair, rank, now), Reason):
        return (Reason(ReasonCode.OWNER_HAS_NO_RIGHT, action, owning, entering),)
    return ()
