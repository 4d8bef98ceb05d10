"""Makes rooms follow the policy when it changes: kick first, then the ACL, then look again.

Runs in the one process that does background work, one room after the other. It is safe to stop
and to repeat: what is right already is left alone. Where we have no power in a room that our
people may no longer share, they leave it. In the days of grace and after them nothing is cut.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from synapse.api.errors import SynapseError
from synapse.module_api import EventBase, ModuleApi, StateMap

from rabta_policy import Policy, Standing
from rabta_synapse import class_rules
from rabta_synapse.audit import Audit
from rabta_synapse.judge import Judge
from rabta_synapse.known_room import (
    CREATE,
    POWER_LEVELS,
    STATE_WITH_MEMBERS,
    KnownRoom,
    know,
    server_of,
)
from rabta_synapse.private import rooms_of_ours

logger = logging.getLogger(__name__)

ACL = ("m.room.server_acl", "")
_BETWEEN_ROOMS_S = 0.01
_HERE = frozenset({"join", "invite", "knock"})


@dataclass(frozen=True, slots=True)
class Plan:
    """What must change in one room.

    Attributes:
        kick: People of servers that may no longer be there.
        leave: Our own people, where we cannot or need not put others out.
        acl: The servers the ACL must name; None when it names them, or is not ours to write.
        by: The local user with full power who does it, None when there is none.
    """

    kick: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()
    acl: frozenset[str] | None = None
    by: str | None = None


def plan(judge: Judge, known: KnownRoom, state: StateMap[EventBase]) -> Plan:
    """What the policy in force asks of one room. Pure but for asking the judge."""
    ours = judge.server_name
    allowed = judge.servers_allowed_in(known.room, known.home)
    here = dict(_people(state))
    local = tuple(sorted(user for user in here if server_of(user) == ours))
    strangers = tuple(sorted(user for user in here if server_of(user) not in allowed))
    if known.home != ours:
        return Plan(leave=local if ours not in allowed else ())
    by = _with_full_power(state, local)
    if by is None:
        return Plan(leave=local if strangers else ())
    acl = state.get(ACL)
    named = acl.content.get("allow") if acl else None
    wanted = frozenset(allowed)
    stale = not isinstance(named, list | tuple) or set(named) != wanted
    return Plan(kick=strangers, acl=wanted if stale else None, by=by)


class Reconcile:
    """Carries plans out.

    Args:
        api: Synapse's module API.
        judge: Holds the policy in force.
        audit: Records every cut.
    """

    def __init__(self, api: ModuleApi, judge: Judge, audit: Audit) -> None:
        self._api = api
        self._judge = judge
        self._audit = audit
        self._running = False
        self._wanted = False

    def want(self) -> None:
        """Ask for a round; one that is under way is followed by another."""
        self._wanted = True
        if not self._running and self._api.should_run_background_tasks():
            self._running = True
            self._api.run_as_background_process("rabta_reconcile", self._rounds)

    async def _rounds(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                await self._round()
        finally:
            self._running = False

    async def _round(self) -> None:
        rooms = await rooms_of_ours(self._api)
        cut = 0
        for room_id in rooms:
            policy = self._judge.policy
            now = self._judge.clock()
            if policy is None or policy.standing(now) is not Standing.IN_FORCE:
                return  # Nothing is cut by a policy that no longer speaks.
            try:
                cut += await self._room(room_id, policy)
            except SynapseError as fault:
                logger.warning("Room %s could not follow the policy: %s", room_id, fault)
            await self._api.sleep(_BETWEEN_ROOMS_S)
        logger.info("%d rooms follow the policy; %d were changed", len(rooms), cut)

    async def _room(self, room_id: str, policy: Policy) -> bool:
        state = await self._api.get_room_state(room_id, (*STATE_WITH_MEMBERS, ACL))
        known = know(room_id, state, policy, self._judge.clock())
        if known is None:
            return False
        todo = plan(self._judge, known, state)
        for user_id in todo.kick:
            await self._out(todo.by or user_id, user_id, known)
        for user_id in todo.leave:
            await self._out(user_id, user_id, known)
        if todo.acl is not None:
            await self._api.create_and_send_event_into_room(
                {
                    "type": ACL[0],
                    "state_key": ACL[1],
                    "room_id": room_id,
                    "sender": todo.by,
                    "content": class_rules.acl_content(todo.acl),
                }
            )
        return todo != Plan(by=todo.by)

    async def _out(self, sender: str, target: str, known: KnownRoom) -> None:
        policy = self._judge.policy
        # Given here, or Synapse would ask the server that is being cut for the profile.
        profile = {"displayname": target, "avatar_url": None}
        reason = {"reason": "The policy no longer allows it."}
        await self._api.update_room_membership(
            sender, target, known.room.room_id or "", "leave", content={**profile, **reason}
        )
        self._audit.note(
            path="reconcile",
            action="kick" if sender != target else "leave",
            verdict="noted",
            serial=policy.serial if policy else 0,
            origin=self._judge.server_name,
            destination=server_of(target),
            actor=target,
            room=known.room.room_id,
            room_class=known.room.room_class,
        )


def _people(state: StateMap[EventBase]) -> Iterator[tuple[str, str]]:
    for (event_type, state_key), event in state.items():
        membership = event.content.get("membership")
        if event_type == "m.room.member" and membership in _HERE:
            yield state_key, str(membership)


def _with_full_power(state: StateMap[EventBase], local: tuple[str, ...]) -> str | None:
    """A joined local user with full power: a creator (room version 12), or by level."""
    joined = [
        user for user in local if state[("m.room.member", user)].content.get("membership") == "join"
    ]
    create = state[CREATE]
    powers = state[POWER_LEVELS].content if POWER_LEVELS in state else {}
    users = powers.get("users") or {}
    creators = (
        {create.sender, *(create.content.get("additional_creators") or ())}
        if create.room_version.msc4289_creator_power_enabled
        else set()
    )
    by_default = powers.get("users_default", 0)
    for user in joined:
        level = users.get(user, by_default)
        if user in creators or (isinstance(level, int) and level >= class_rules.FULL_POWER):
            return user
    return None
