"""What e-Office's own books say must have been shown, and what was decided how often. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rabta_deploy.chaos.cards import Key

# e-Office's event types that an officer gets a card of; docs/reference/cards.md.
SHOWN = frozenset(
    {"file.marked", "file.returned", "file.referred", "decision.recorded", "reminder.sent"}
)
_PREFIX = "eoffice."
# A file that leaves the post takes the post's card along, shown or not.
_LEAVES = frozenset({"file.marked", "file.returned", "file.referred", "file.pulled_back"})


@dataclass(frozen=True, slots=True)
class Told:
    """One event of e-Office that must be seen by a post.

    Attributes:
        sequence: Its place in e-Office's order.
        event_id: e-Office's id.
        kind: Type without prefix and version.
        key: Its card.
        file_id: The file.
        documents: The names of the documents that come along.
        overtaken: The sequence of the event for whose sake it need not be shown, if the bridge says
            so too: the file left the post, or the post was reminded already.
    """

    sequence: int
    event_id: str
    kind: str
    key: Key
    file_id: str
    documents: tuple[str, ...]
    overtaken: int | None


def told(feed: Sequence[Mapping[str, Any]]) -> list[Told]:
    """The events that must be seen, in e-Office's order."""
    found: list[Told] = []
    by_file: dict[str, list[Mapping[str, Any]]] = {}
    for event in feed:
        if "file" in event["data"]:
            by_file.setdefault(event["data"]["file"]["file_id"], []).append(event)
    for events in by_file.values():
        for place, event in enumerate(events):
            if kind_of(event) in SHOWN:
                found += _told(event, events[:place], events[place + 1 :])
    return sorted(found, key=lambda one: one.sequence)


def kind_of(event: Mapping[str, Any]) -> str:
    """`file.marked` of `eoffice.file.marked.v1`."""
    return str(event["type"]).removeprefix(_PREFIX).rpartition(".v")[0]


def _told(
    event: Mapping[str, Any],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
) -> Iterable[Told]:
    data, kind = event["data"], kind_of(event)
    movement, decision = data.get("movement") or {}, data.get("decision") or {}
    posts = [post["post_id"] for post in movement.get("to", ())]
    if not posts:
        # "Please discuss": told to whoever sent the file to the post that asks.
        actor = data["actor"]["post"]["post_id"]
        posts = [sender for one in before if (sender := _sender_to(one, actor))][-1:]
    file = data["file"]
    for post in posts:
        yield Told(
            sequence=int(event["sequence"]),
            event_id=str(event["id"]),
            kind=kind,
            key=Key(
                post=post,
                file_no=file["file_no"],
                movement=str(movement.get("movement_no", "")),
                para=str(file.get("note_para") or ""),
                remarks=movement.get("remarks") or decision.get("remarks") or "",
                reminder=kind == "reminder.sent",
            ),
            file_id=file["file_id"],
            documents=tuple(one["name"] for one in data.get("documents") or ()),
            overtaken=_excuse(event, before, after),
        )


def _sender_to(event: Mapping[str, Any], post: str) -> str | None:
    movement = event["data"].get("movement")
    if movement is None or kind_of(event) not in _LEAVES:
        return None
    to = [one["post_id"] for one in movement["to"]]
    return str(movement["from"]["post_id"]) if post in to else None


def _excuse(
    event: Mapping[str, Any],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
) -> int | None:
    """The sequence of the event for whose sake this one need not be shown, if there is one."""
    kind = kind_of(event)
    if kind == "decision.recorded":
        return None
    if kind == "reminder.sent":
        # Nobody is chased twice within five minutes; an act whose answer was lost is done again.
        for earlier in before:
            same = earlier["data"].get("movement", {}).get("to") == event["data"]["movement"]["to"]
            if kind_of(earlier) == kind and same:
                return int(earlier["sequence"])
    return _overtaken(event, after)


def _overtaken(event: Mapping[str, Any], after: Sequence[Mapping[str, Any]]) -> int | None:
    """The sequence of the first later event with which the file left again, if there is one."""
    for later in after:
        movement = later["data"].get("movement")
        moved = movement and movement["movement_no"] > event["data"]["movement"]["movement_no"]
        if moved and kind_of(later) != "reminder.sent":
            return int(later["sequence"])
    return None
