"""Makes rooms follow the policy when it changes: kick first, then the ACL, then look again.

Runs in the one process that does background work, one room after the other. It is safe to stop
and to repeat: what is right already is left alone, so a round that a restart cut short is resumed
by the next. A room that could not follow is tried again until it does. Where we have no power
in a room that our people may no longer share, they leave it. In the days of grace and after them
nothing is cut.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator

from synapse.module_api import EventBase, ModuleApi, StateMap

from rabta_policy import Policy, RoomClass, Standing, plan
from rabta_policy.known_room import ACL, STATE_WITH_MEMBERS, KnownRoom, know, server_of
from rabta_synapse import class_rules
from rabta_synapse.audit import Audit
from rabta_synapse.judge import Judge
from rabta_synapse.metrics import RECONCILE_CHANGED, RECONCILE_LEFT, RECONCILE_PENDING
from rabta_synapse.private import rooms_of_ours, state_so_far

logger = logging.getLogger(__name__)

JOIN_RULES = ("m.room.join_rules", "")
HISTORY = ("m.room.history_visibility", "")
_STATE = (*STATE_WITH_MEMBERS, ACL, JOIN_RULES, HISTORY)
_PROGRESS_EVERY = 500
_AGAIN_AFTER_S, _AGAIN_AT_MOST_S = 10.0, 60.0
_PATIENCE_S = 15
"""How long the server that made a room has to put out whom we may not meet, before we leave."""


class Reconcile:
    """Carries plans out.

    Args:
        api: Synapse's module API.
        judge: Holds the policy in force.
        audit: Records every cut.
        rooms_per_second: How many rooms a round looks at in a second at most.
    """

    def __init__(
        self, api: ModuleApi, judge: Judge, audit: Audit, *, rooms_per_second: int
    ) -> None:
        self._api = api
        self._judge = judge
        self._audit = audit
        self._pause_s = 1 / rooms_per_second
        self._running = False
        self._wanted = False
        self._pending: set[str] = set()
        self._trying = False
        self._waiting: set[tuple[str, Callable[[str], Awaitable[None]]]] = set()

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
                try:
                    await self._round(await rooms_of_ours(self._api))
                except Exception:
                    logger.exception("The rooms could not be listed; trying again")
                    self._wanted = True
                    await self._api.sleep(_AGAIN_AFTER_S)
        finally:
            self._running = False

    async def _round(self, rooms: list[str]) -> None:
        """Look at these rooms; a newer policy ends the round, for it begins its own."""
        changed = 0
        for number, room_id in enumerate(rooms):
            if self._wanted:
                break
            RECONCILE_LEFT.set(len(rooms) - number)
            if number and number % _PROGRESS_EVERY == 0:
                logger.info("%d of %d rooms looked at; %d changed", number, len(rooms), changed)
            changed += await self._look(room_id)
            await self._api.sleep(self._pause_s)
        RECONCILE_LEFT.set(0)
        logger.info(
            "%d rooms looked at; %d changed, %d pending", len(rooms), changed, len(self._pending)
        )

    async def _look(self, room_id: str) -> bool:
        """Make a room follow; one that did not is looked at again, for it must have come about."""
        changed = await self.follow(room_id)
        if changed:
            self._pending.add(room_id)
            RECONCILE_PENDING.set(len(self._pending))
            if not self._trying:
                self._trying = True
                self._api.run_as_background_process("rabta_reconcile_again", self._try_again)
        return changed

    async def _try_again(self) -> None:
        """Until no room is pending, ever more slowly; a round may come between."""
        pause_s = _AGAIN_AFTER_S
        try:
            while self._pending:
                await self._api.sleep(pause_s)
                pause_s = min(2 * pause_s, _AGAIN_AT_MOST_S)
                for room_id in sorted(self._pending):
                    if not await self.follow(room_id):
                        self._pending.discard(room_id)
                RECONCILE_PENDING.set(len(self._pending))
        finally:
            self._trying = False

    async def follow(self, room_id: str, *, patient: bool = True) -> bool:
        """Make one room follow the policy in force.

        Args:
            room_id: The room.
            patient: Give the server that made the room its time to put others out.

        Returns:
            True when it did not follow before, or for a fault still does not. Nothing is cut
            by a policy that no longer speaks.
        """
        policy = self._judge.policy
        if policy is None or policy.standing(self._judge.clock()) is not Standing.IN_FORCE:
            return False
        try:
            changed = await self._room(room_id, policy, patient=patient)
        except Exception as fault:  # noqa: BLE001 - whatever failed in one room, the others go on
            logger.warning("Room %s could not follow the policy: %s", room_id, fault)
            return True
        if changed:
            RECONCILE_CHANGED.inc()
        return changed

    def _later(self, room_id: str, look: Callable[[str], Awaitable[None]]) -> None:
        """Look at a room again, later and once; nothing waits for it."""
        if (room_id, look) not in self._waiting:
            self._waiting.add((room_id, look))
            self._api.run_as_background_process("rabta_reconcile_later", look, room_id)

    async def _once_patience_ends(self, room_id: str) -> None:
        await self._api.sleep(_PATIENCE_S)
        self._waiting.discard((room_id, self._once_patience_ends))
        await self.follow(room_id, patient=False)

    async def _once_whole(self, room_id: str) -> None:
        """The members of a room that we have just joined are still to come, or never come."""
        try:
            await self._api.get_room_state(room_id, _STATE)
        finally:
            self._waiting.discard((room_id, self._once_whole))
        await self.follow(room_id)

    async def _room(self, room_id: str, policy: Policy, *, patient: bool) -> bool:
        state, whole = await state_so_far(self._api, room_id, _STATE)
        if not whole:
            self._later(room_id, self._once_whole)
        now = self._judge.clock()
        known = know(room_id, state, policy, now)
        if known is None:
            return False
        ours = self._judge.server_name
        todo = plan(policy, known, state, ours=ours, now=now, patient=patient)
        if todo.waits:
            self._later(room_id, self._once_patience_ends)
        for user_id in todo.kick:
            await self._out(todo.by or user_id, user_id, known)
        for user_id in todo.leave:
            await self._out(user_id, user_id, known)
        wanted = dict(_tightened(policy.room_class(known.room.room_class), state))
        if todo.acl is not None:
            wanted[ACL[0]] = class_rules.acl_content(todo.acl)
        for event_type, content in wanted.items() if todo.by else ():
            await self._api.create_and_send_event_into_room(
                {
                    "type": event_type,
                    "state_key": "",
                    "room_id": room_id,
                    "sender": todo.by,
                    "content": content,
                }
            )
        return not todo.changes_nothing

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


def _tightened(
    room_class: RoomClass, state: StateMap[EventBase]
) -> Iterator[tuple[str, dict[str, object]]]:
    """The state that is looser than the class, after a label was raised, as it must be."""
    rule, visible = state.get(JOIN_RULES), state.get(HISTORY)
    if rule and class_rules.join_rule(rule.content, room_class):
        yield JOIN_RULES[0], {"join_rule": room_class.join_rules[0]}
    if visible and class_rules.history_visibility(visible.content, room_class):
        yield HISTORY[0], {"history_visibility": room_class.history_visibility}
