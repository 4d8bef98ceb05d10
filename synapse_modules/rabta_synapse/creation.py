"""New rooms: judged before anything is made, then born with what their class asks.

Label, server ACL, encryption, history visibility, power levels.

The creation request is rewritten only towards the stricter side; what the client asks beyond its
class is refused, never silently taken away. One exception is told in the docs: the preset
`trusted_private_chat` with people of another ministry becomes `private_chat`, because every
client sends it for a direct chat and it would hand out power that nobody can take back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from synapse.api.errors import Codes
from synapse.module_api import NOT_SPAM, JsonDict, Requester

from rabta_policy import Action, ActionKind, Policy, Room, RoomClass
from rabta_policy.known_room import owner_of, people_of, server_of
from rabta_policy.label import ROOM_CLASS, Label
from rabta_synapse import class_rules, crossing, topic_line
from rabta_synapse.judge import Judge, Note
from rabta_synapse.refusal import ADDRESS, NO_POLICY, Refusal

_PATH = "on_create_room"
_SPACE = "m.space"

_EVENT_LEVELS = {
    "m.room.name": 50,
    "m.room.canonical_alias": 50,
    "m.room.avatar": 50,
}
"""Synapse's defaults for state that is not guarded; an override replaces its whole table."""

_CREATOR_POWER_VERSIONS_START = 12
_TOMBSTONE_OF_CREATORS = 150


@dataclass(frozen=True, slots=True)
class Archiving:
    """The archiver, and which new rooms invite it by themselves.

    Attributes:
        archiver: User id, None where there is none.
        classes: Classes of rooms.
        spared: User id of the ministry's bot: e-Office keeps the record of its rooms.
    """

    archiver: str | None = None
    classes: frozenset[str] = frozenset()
    spared: str | None = None

    def invite(self, creator: str, room_class: str, config: JsonDict) -> list[str]:
        """Whom a new room invites, the archiver among them where it is recorded."""
        asked = list(config.get("invite") or [])
        if self.archiver is None or self.archiver in asked or room_class not in self.classes:
            return asked
        spared = creator in (self.spared, self.archiver) or config.get("is_direct")
        return asked if spared or _is_space(config) else [*asked, self.archiver]


class Creation:
    """Judges and dresses new rooms.

    Args:
        judge: Asked whether the room may be and whom it may hold.
        default_class: The class when the creator names none; None for the policy's strictest
            that federates.
        archiving: By whom new rooms of which classes are recorded.
    """

    def __init__(self, judge: Judge, default_class: str | None, archiving: Archiving) -> None:
        self._judge = judge
        self._default_class = default_class
        self._archiving = archiving

    async def on_create_room(
        self,
        requester: Requester,
        config: JsonDict,
        is_requester_admin: bool,  # noqa: ARG002 - Synapse's signature; admins are judged alike
    ) -> None:
        """Judge a creation request and rewrite it to what its class asks.

        Raises:
            SynapseError: The request is denied; nothing was made.
        """
        creator = requester.user.to_string()
        policy = self._judge.policy
        server = self._judge.server_name
        if policy is None:
            action = Action(ActionKind.CREATE_ROOM, server, server, None, creator)
            raise self._judge.refuse(action, NO_POLICY, path=_PATH).error
        label = Label(
            self._class_asked(config, policy), owner_of(server, policy, self._judge.clock())
        )
        room = Room(None, label.room_class, label.owner)
        config["invite"] = self._archiving.invite(creator, room.room_class, config)
        self._judge_request(creator, config, room, policy)
        room_class = policy.room_class(label.room_class)
        invited = [user for user in config.get("invite", []) if isinstance(user, str)]
        if any(server_of(user) != server for user in invited) and (
            config.get("preset") == "trusted_private_chat"
        ):
            config["preset"] = "private_chat"
        config["creation_content"] = _born_with(config, label, room_class)
        acl = class_rules.acl_content(self._judge.servers_allowed_in(room, server))
        config["initial_state"] = list(_initial_state(config, label, room_class, acl))
        if topic_line.TOPIC not in {event.get("type") for event in config["initial_state"]}:
            config["topic"] = topic_line.line(label.room_class, str(config.get("topic") or ""))
        config["power_level_content_override"] = _guarded(
            config.get("power_level_content_override") or {}, config
        )

    async def user_may_create_room(
        self, user_id: str, config: JsonDict
    ) -> Literal["NOT_SPAM"] | tuple[Codes, JsonDict]:
        """Judge a creation or an upgrade early; `check_event_allowed` sees its create event."""
        policy = self._judge.policy
        server = self._judge.server_name
        if policy is None:
            action = Action(ActionKind.CREATE_ROOM, server, server, None, user_id)
            return self._judge.refuse(action, NO_POLICY, path="user_may_create_room").answer
        floor = Label.from_create(config.get("creation_content") or {})
        asked = floor.room_class if floor else self._class_asked(config, policy)
        owner = owner_of(server, policy, self._judge.clock())
        action = Action(ActionKind.CREATE_ROOM, server, server, Room(None, asked, owner), user_id)
        verdict = self._judge.ask([action], path="user_may_create_room", note=Note.DENIALS)
        return verdict.answer if isinstance(verdict, Refusal) else NOT_SPAM

    def class_by_default(self, policy: Policy) -> str:
        """The class of a room whose creator names none."""
        if self._default_class is not None and policy.rank_of_class(self._default_class):
            return self._default_class
        return policy.strictest_federating_class.name

    def _class_asked(self, config: Mapping[str, Any], policy: Policy) -> str:
        for event in config.get("initial_state") or ():
            if event.get("type") == ROOM_CLASS:
                label = Label.from_content(event.get("content"))
                return label.room_class if label else ""
        return self.class_by_default(policy)

    def _judge_request(self, creator: str, config: JsonDict, room: Room, policy: Policy) -> None:
        server = self._judge.server_name
        create = Action(ActionKind.CREATE_ROOM, server, server, room, creator)
        refusal = class_rules.label(policy.rank_of_class(room.room_class), None)
        if refusal is None and config.get("invite_3pid"):
            refusal = ADDRESS
        if refusal is None:
            refusal = next(self._class_faults(config, room, policy), None)
        if refusal is not None:
            raise self._judge.refuse(create, refusal, path=_PATH).error
        wanted: list[crossing.Question] = [(create,)]
        if config.get("visibility") == "public":
            wanted.append((Action(ActionKind.PUBLISH, server, server, room, creator),))
        invitees = [str(invitee) for invitee in config.get("invite", [])]
        for number, invitee in enumerate(invitees):
            before = {server_of(other) for other in invitees[:number]}
            wanted.extend(crossing.invite(creator, invitee, room, before))
        for question in wanted:
            verdict = self._judge.ask(question, path=_PATH, note=Note.DENIALS)
            if isinstance(verdict, Refusal):
                raise verdict.error

    def _class_faults(
        self, config: Mapping[str, Any], room: Room, policy: Policy
    ) -> Iterator[Refusal]:
        """What the request asks beyond its class, before anything is made."""
        room_class = policy.room_class(room.room_class)
        given = {
            event.get("type"): event.get("content") or {}
            for event in config.get("initial_state") or ()
            if event.get("state_key", "") == ""
        }
        public = _preset(config) == "public_chat"
        rule = given.get("m.room.join_rules", {"join_rule": "public" if public else "invite"})
        faults = [class_rules.join_rule(rule, room_class)]
        if "m.room.history_visibility" in given:
            faults.append(
                class_rules.history_visibility(given["m.room.history_visibility"], room_class)
            )
        if "m.room.guest_access" in given:
            faults.append(class_rules.guest_access(given["m.room.guest_access"], room_class))
        if "m.room.encryption" in given:
            faults.append(class_rules.encryption(given["m.room.encryption"], None))
        creation = config.get("creation_content") or {}
        ours = people_of(
            room.owner, creation.get("additional_creators"), policy, self._judge.clock()
        )
        faults.append(class_rules.creators(creation, ours))
        for powers in (
            given.get("m.room.power_levels"),
            config.get("power_level_content_override"),
        ):
            if isinstance(powers, Mapping):
                ours = people_of(
                    room.owner, dict(powers.get("users") or {}), policy, self._judge.clock()
                )
                faults.append(class_rules.power_levels(powers, settled=False, ours=ours))
        return (fault for fault in faults if fault is not None)


def _preset(config: Mapping[str, Any]) -> object:
    by_visibility = "public_chat" if config.get("visibility") == "public" else "private_chat"
    return config.get("preset", by_visibility)


def _born_with(config: Mapping[str, Any], label: Label, room_class: RoomClass) -> JsonDict:
    creation = dict(config.get("creation_content") or {}) | {ROOM_CLASS: label.content}
    if room_class.federation == "none":
        creation["m.federate"] = False
    return creation


def _initial_state(
    config: Mapping[str, Any],
    label: Label,
    room_class: RoomClass,
    acl: Mapping[str, object],
) -> Iterator[JsonDict]:
    """The initial state asked for, less what the door writes itself, and that."""
    written = {ROOM_CLASS, "m.room.server_acl"}
    given = set()
    for event in config.get("initial_state") or ():
        if event.get("type") in written:
            continue
        given.add(event.get("type"))
        if event.get("type") == "m.room.power_levels":
            yield {**event, "content": _guarded(event.get("content") or {}, config)}
        elif event.get("type") == topic_line.TOPIC:
            content = topic_line.content(label.room_class, event.get("content") or {})
            yield {**event, "content": content}
        else:
            yield event
    yield _state(ROOM_CLASS, label.content)
    yield _state("m.room.server_acl", acl)
    if "m.room.encryption" not in given and not _is_space(config):
        yield _state("m.room.encryption", {"algorithm": class_rules.MEGOLM})
    if "m.room.history_visibility" not in given:
        shared = room_class.allows_history("shared")
        visible = "shared" if shared else room_class.history_visibility
        yield _state("m.room.history_visibility", {"history_visibility": visible})
    if "m.room.guest_access" not in given and not room_class.guests:
        yield _state("m.room.guest_access", {"guest_access": "forbidden"})


def _state(event_type: str, content: Mapping[str, object]) -> JsonDict:
    return {"type": event_type, "state_key": "", "content": dict(content)}


def _is_space(config: Mapping[str, Any]) -> bool:
    """A space holds rooms and no messages; encryption would only hinder its clients."""
    return (config.get("creation_content") or {}).get("type") == _SPACE


def _guarded(powers: Mapping[str, Any], config: Mapping[str, Any]) -> JsonDict:
    """Power levels with everything guarded at full power, and Synapse's defaults beside."""
    version = str(config.get("room_version", ""))
    by_creators = version.isdecimal() and int(version) >= _CREATOR_POWER_VERSIONS_START
    events = _EVENT_LEVELS | dict(powers.get("events") or {})
    events |= dict.fromkeys(class_rules.GUARDED, class_rules.FULL_POWER)
    if by_creators:
        events["m.room.tombstone"] = _TOMBSTONE_OF_CREATORS
    return {**powers, "events": events, class_rules.REDACT: class_rules.FULL_POWER}
