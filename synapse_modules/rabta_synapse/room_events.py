"""`check_event_allowed`: every event made here, and what remote users ask us to make.

Server admins do not pass it by. Remote events do not pass it at all, but for make_join, make_knock
and make_leave. Each event type has its rule in `_STATE`; a type without one is an ordinary event
of a member in a room it is in, which crosses nothing: Synapse's own power levels decide.
"""

from collections.abc import Callable

from synapse.module_api import EventBase, JsonDict, ModuleApi, StateMap

from rabta_policy import Action, ActionKind, Policy, Room
from rabta_policy.known_room import (
    ENCRYPTION,
    STATE_NEEDED,
    KnownRoom,
    know,
    owner_of,
    people_of,
    strictest,
)
from rabta_policy.label import ROOM_CLASS, Label, labels_in
from rabta_policy.record import ROOM_RECORD, category_in
from rabta_synapse import class_rules
from rabta_synapse.creation import Creation
from rabta_synapse.judge import Judge
from rabta_synapse.membership import Membership
from rabta_synapse.refusal import ADDRESS, NO_POLICY, Refusal

_PATH = "check_event_allowed"

Rule = Callable[[EventBase, StateMap[EventBase], KnownRoom, Policy], Refusal | None]


class RoomEvents:
    """Judges events as they are made.

    Args:
        api: Synapse's module API.
        judge: Asked for every verdict, and told of every refusal.
        membership: Judges `m.room.member`.
        creation: Knows the class of a room nobody labelled.
        clear: Further event types that may stay unencrypted.
    """

    def __init__(
        self,
        api: ModuleApi,
        judge: Judge,
        membership: Membership,
        creation: Creation,
        clear: frozenset[str],
    ) -> None:
        self._api = api
        self._judge = judge
        self._membership = membership
        self._creation = creation
        self._clear = clear
        self._rules: dict[str, Rule] = {
            ROOM_CLASS: self._label,
            ROOM_RECORD: self._record,
            "m.room.retention": self._retention,
            "m.room.encryption": self._encryption,
            "m.room.server_acl": self._server_acl,
            "m.room.power_levels": self._power_levels,
            "m.room.join_rules": self._join_rules,
            "m.room.history_visibility": self._history_visibility,
            "m.room.guest_access": self._guest_access,
            "m.room.third_party_invite": self._third_party_invite,
        }

    async def check_event_allowed(
        self, event: EventBase, state: StateMap[EventBase]
    ) -> tuple[bool, JsonDict | None]:
        """Judge one event against the state before it.

        Returns:
            `(True, None)`, or for a room's unlabelled create event `(True, replacement)`.

        Raises:
            SynapseError: The event is denied.
        """
        if not event.is_state():
            self._judge_content(event, state)
            return True, None
        if event.type == "m.room.create":
            return True, await self._create(event)
        if event.type == "m.room.member":
            refusal = self._membership.judge_event(event, state, _path_of(event, self._api))
            if refusal:
                raise refusal.error
            return True, None
        rule = self._rules.get(event.type)
        if rule is not None and (event.state_key == "" or rule == self._third_party_invite):
            self._apply(rule, event, state)
        return True, None

    def _judge_content(self, event: EventBase, state: StateMap[EventBase]) -> None:
        """Messages: the hot path; one look-up in a set for what is encrypted."""
        if event.type == "m.room.redaction":
            refusal = class_rules.redaction(guarded_target(event, state))
        elif event.type in class_rules.ORDINARY:
            return
        else:
            encrypted = ENCRYPTION in state
            known = None if encrypted else self._known(event, state)
            policy = self._judge.policy
            required = bool(
                known and policy and policy.room_class(known.room.room_class).encryption_required
            )
            refusal = class_rules.plain(
                event.type, encrypted=encrypted, required=required, clear=self._clear
            )
        if refusal is not None:
            self._refuse(event, refusal, state)

    async def _create(self, event: EventBase) -> JsonDict | None:
        """A new room: ours by `on_create_room`, or an upgrade, which comes without its label."""
        policy = self._judge.policy
        server = self._judge.server_name
        if policy is None:
            action = Action(ActionKind.CREATE_ROOM, server, server, None, event.sender)
            raise self._judge.refuse(action, NO_POLICY, path=_PATH).error
        owner = owner_of(server, policy, self._judge.clock())
        floor = Label.from_create(event.content)
        before = await self._before(event)
        label = floor or Label(self._inherited(before, policy), owner)
        action = Action(
            ActionKind.CREATE_ROOM,
            server,
            server,
            Room(None, label.room_class, owner),
            event.sender,
        )
        verdict = self._judge.ask([action], path=_PATH)
        if isinstance(verdict, Refusal):
            raise verdict.error
        additional = event.content.get("additional_creators")
        refusal = class_rules.creators(
            event.content, people_of(owner, additional, policy, self._judge.clock())
        )
        if refusal is not None:
            raise self._judge.refuse(action, refusal, path=_PATH).error
        if floor is not None:
            return None
        content = {**event.content, ROOM_CLASS: label.content}
        category = category_in(before) if before else None
        if category is not None:
            content[ROOM_RECORD] = category.content
        if policy.room_class(label.room_class).federation == "none":
            content["m.federate"] = False
        return {**event.get_dict(), "content": content}

    async def _before(self, event: EventBase) -> StateMap[EventBase] | None:
        """The state of the room that this one replaces, None when it replaces none."""
        predecessor = event.content.get("predecessor")
        room_id = predecessor.get("room_id") if predecessor else None
        if not isinstance(room_id, str):
            return None
        return await self._api.get_room_state(room_id, (*STATE_NEEDED, (ROOM_RECORD, "")))

    def _inherited(self, before: StateMap[EventBase] | None, policy: Policy) -> str:
        """The class of the room this one replaces; of none, the class of the unlabelled."""
        if before is None:
            return self._creation.class_by_default(policy)
        return strictest(policy, labels_in(before))

    def _apply(self, rule: Rule, event: EventBase, state: StateMap[EventBase]) -> None:
        policy = self._judge.policy
        known = self._known(event, state)
        if policy is None or known is None:
            self._refuse(event, NO_POLICY, state)
            return
        refusal = rule(event, state, known, policy)
        if refusal is not None:
            self._refuse(event, refusal, state)

    def _known(self, event: EventBase, state: StateMap[EventBase]) -> KnownRoom | None:
        policy = self._judge.policy
        return know(event.room_id, state, policy, self._judge.clock()) if policy else None

    def _refuse(self, event: EventBase, refusal: Refusal, state: StateMap[EventBase]) -> None:
        known = self._known(event, state)
        room = known.room if known else Room(event.room_id, "")
        path = f"{_PATH}:{event.type}"
        raise self._judge.refuse_event(refusal, path=path, sender=event.sender, room=room).error

    def _label(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del state
        label = Label.from_content(event.content)
        return class_rules.label(
            policy.rank_of_class(label.room_class) if label else None,
            policy.room_class(known.room.room_class).rank,
        )

    def _record(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del known, policy
        return class_rules.record(event.content, category_in(state))

    def _retention(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del event, state, known, policy
        return class_rules.LIFETIME_BY_CATEGORY

    def _encryption(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del known, policy
        current = state.get(ENCRYPTION)
        return class_rules.encryption(event.content, current.content if current else None)

    def _server_acl(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del state, policy
        return class_rules.server_acl(
            event.content, self._judge.servers_allowed_in(known.room, known.home)
        )

    def _power_levels(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del state
        users = dict(event.content.get("users") or {})
        ours = people_of(known.room.owner, users, policy, self._judge.clock())
        return class_rules.power_levels(event.content, settled=known.settled, ours=ours)

    def _join_rules(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del state
        return class_rules.join_rule(event.content, policy.room_class(known.room.room_class))

    def _history_visibility(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del state
        room_class = policy.room_class(known.room.room_class)
        return class_rules.history_visibility(event.content, room_class)

    def _guest_access(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del state
        return class_rules.guest_access(event.content, policy.room_class(known.room.room_class))

    def _third_party_invite(
        self, event: EventBase, state: StateMap[EventBase], known: KnownRoom, policy: Policy
    ) -> Refusal | None:
        del event, state, known, policy
        return ADDRESS


def _path_of(event: EventBase, api: ModuleApi) -> str:
    """The way a membership came: made for a local user, or asked for by a remote one."""
    if api.is_mine(event.sender):
        return _PATH
    return f"make_{event.content.get('membership')}"


def guarded_target(event: EventBase, state: StateMap[EventBase]) -> str | None:
    """The type of the guarded state event that a redaction would empty, if it is one."""
    target = event.redacts
    for guarded in class_rules.UNREDACTABLE:
        held = state.get((guarded, ""))
        if held is not None and held.event_id == target:
            return guarded
    return None
