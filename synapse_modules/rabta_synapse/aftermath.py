"""What is looked at once it has happened, in the one process that does background work.

A join of ours elsewhere is judged again when the real state is known: the invite's claims may
have been forged, and server admins pass the early callback by. An upgraded room gets the visible
label its create event already carries. What another server made in a room past every callback (a
join, an invite, a looser join rule), and a raised label, make the room follow the policy. The
topic says the class, whoever changed either.
"""

import logging

from synapse.api.errors import SynapseError
from synapse.module_api import EventBase, ModuleApi, StateMap

from rabta_policy.known_room import CREATE, LABEL, know, server_of, strictest
from rabta_policy.label import ROOM_CLASS, labels_in
from rabta_policy.record import ROOM_RECORD, category_in
from rabta_synapse import topic_line
from rabta_synapse.judge import Judge
from rabta_synapse.membership import Membership
from rabta_synapse.reconcile import HISTORY, JOIN_RULES, Reconcile

logger = logging.getLogger(__name__)

_MADE_ELSEWHERE = frozenset({"m.room.member", JOIN_RULES[0], HISTORY[0]})
"""State that no callback judged when another server made it; what is wrong in it is put right."""


class Aftermath:
    """Repairs what could only be known afterwards.

    Args:
        api: Synapse's module API.
        judge: Holds the policy in force.
        membership: Judges the membership again.
        reconcile: Makes one room follow the policy.
    """

    def __init__(
        self, api: ModuleApi, judge: Judge, membership: Membership, reconcile: Reconcile
    ) -> None:
        self._api = api
        self._reconcile = reconcile
        self._judge = judge
        self._membership = membership

    async def on_new_event(self, event: EventBase, state: StateMap[EventBase]) -> None:
        """Look at one persisted event; Synapse calls this in every process, one acts.

        Synapse waits for this call while it holds the room's locks, so what is done about it is
        done in the background: a leave from here would wait for the join it answers, for ever.
        """
        if not self._api.should_run_background_tasks() or not event.is_state():
            return
        membership = event.content.get("membership")
        joined = event.type == "m.room.member" and membership == "join"
        if event.type == "m.room.power_levels" and self._api.is_mine(event.sender):
            work = self._put_labels_back
        elif joined and self._api.is_mine(event.state_key or ""):
            work = self._judge_again
        elif event.type == topic_line.TOPIC and self._api.is_mine(event.sender):
            work = self._show_class
        elif event.type == ROOM_CLASS or (
            event.type in _MADE_ELSEWHERE
            and membership not in ("leave", "ban")
            and not self._api.is_mine(event.sender)
        ):
            work = self._follow_policy
        else:
            return
        self._api.run_as_background_process("rabta_aftermath", work, event, state)

    async def _put_labels_back(self, event: EventBase, state: StateMap[EventBase]) -> None:
        """An upgrade copies no label; the create event has it as the floor: show it again."""
        floor, _ = labels_in(state)
        if floor is not None and LABEL not in state:
            await self._show(event, ROOM_CLASS, floor.content)
        category = category_in(state)
        if category is not None and (ROOM_RECORD, "") not in state:
            await self._show(event, ROOM_RECORD, category.content)

    async def _show(self, event: EventBase, event_type: str, content: dict[str, str]) -> None:
        try:
            await self._api.create_and_send_event_into_room(
                {
                    "type": event_type,
                    "state_key": "",
                    "room_id": event.room_id,
                    "sender": event.sender,
                    "content": content,
                }
            )
        except SynapseError as fault:
            # The floor holds all the same; only people's clients do not see it.
            logger.warning("No %s could be put into %s: %s", event_type, event.room_id, fault)

    async def _follow_policy(self, event: EventBase, state: StateMap[EventBase]) -> None:
        # The state may be partial; reconcile reads the room itself.
        await self._reconcile.follow(event.room_id)
        if event.type == ROOM_CLASS and self._api.is_mine(event.sender):
            await self._show_class(event, state)

    async def _show_class(self, event: EventBase, state: StateMap[EventBase]) -> None:
        """The topic says the class, by the hand of whoever changed the topic or the class."""
        policy, topic = self._judge.policy, state.get((topic_line.TOPIC, ""))
        if policy is None or event.state_key != "":
            return
        given = topic.content if topic else {}
        wanted = topic_line.content(strictest(policy, labels_in(state)), given)
        if wanted.get("topic") == given.get("topic"):
            return
        try:
            await self._api.create_and_send_event_into_room(
                {
                    "type": topic_line.TOPIC,
                    "state_key": "",
                    "room_id": event.room_id,
                    "sender": event.sender,
                    "content": wanted,
                }
            )
        except SynapseError as fault:
            logger.warning("The topic of %s could not say its class: %s", event.room_id, fault)

    async def _judge_again(self, event: EventBase, state: StateMap[EventBase]) -> None:
        """Our user came into a remote room: with its real state, may they be there?"""
        user_id = event.state_key or ""
        policy = self._judge.policy
        create = state.get(CREATE)
        if policy is None or create is None:
            return
        if server_of(create.sender) == self._judge.server_name:
            return
        known = know(event.room_id, state, policy, self._judge.clock())
        if known is None:
            return
        refusal = self._membership.join(
            user_id, known, state, invited=True, path="joined_elsewhere"
        )
        if refusal is not None:
            await self._api.update_room_membership(user_id, user_id, event.room_id, "leave")
