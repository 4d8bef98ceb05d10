"""Composes what is addressed to a room that may still have to be made. Reads only.

Parts: `thread` (a step of a file, in its thread), `redact` (what a thread said, taken back), `note`
(a sentence of the bridge), `alarm` (for the operators), `handover` (what is pending, for the new
holder of a post), `announcement`, `notice` (of one, to a post) and `report` (on one, to its post).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.addresses import Address, RoomKind
from rabta_bots.announced import TELLING, note_told
from rabta_bots.cards.content import answer_message, fitting, line_message
from rabta_bots.cards.view import line
from rabta_bots.cards.wording import moment, say
from rabta_bots.cards.words import N_
from rabta_bots.composing import Composed, Composer, TakenBack
from rabta_bots.grades import CLASS_OF_GRADE, fits
from rabta_bots.officers import Officer, holder_now
from rabta_bots.retrying import Again, Permanent, without_reader
from rabta_bots.store.announcements import note_notice
from rabta_bots.store.cards import open_cards
from rabta_bots.store.events import event_by_row
from rabta_bots.store.outbox import NO_HOLDER, sent_in_stream
from rabta_bots.store.posts import post_names
from rabta_bots.store.shared_rooms import note_root, thread_root
from rabta_contract.event import Event
from rabta_contract.vocabulary import Grade

NOBODY_THERE = "nobody-there"
ABOVE_THE_ROOM = "above-the-room"
OVER = "over-before-told"

HANDOVER = N_("You hold {post} now. Pending in this room: {count}")
NOTHING_LEFT = N_("You hold {post} now. Nothing is pending in this room.")
HANDED_CARD = N_("Card {card}: {number}, here since {since}")
HANDED_DUE = N_("due {due}")
OVERDUE = N_("overdue since {due}")


def compose_addressed(
    composer: Composer, connection: Connection, row: Row[Any]
) -> Composed | TakenBack | Again | Permanent:
    """The message of an outbox row that has an address."""
    address = Address.parse(row.address)
    if row.part == "redact":
        return TakenBack(tuple(sent_in_stream(connection, row.stream, row.seq)), row.key)
    if address.kind is RoomKind.POST:
        return _to_post(composer, connection, row, address)
    return _to_shared(composer, connection, row, address)


def may_be_told(connection: Connection, row: Row[Any]) -> bool:
    """Whether what a line tells has no grade above the class of its room."""
    if row.part != "thread":
        return True
    stored = event_by_row(connection, row.draft["event"])
    needed = CLASS_OF_GRADE.get(Grade(stored.grade)) if stored.event else None
    return needed is not None and fits(needed, Address.parse(row.address).room_class)


def note_sent(connection: Connection, row: Row[Any], room_id: str, message_id: str) -> None:
    """Note what follows from a message having been sent."""
    if row.part == "thread":
        note_root(connection, Address.parse(row.address), row.draft["thread"], message_id)
    if row.part == "note" and "about" in row.draft:
        note_notice(connection, message_id, room_id, row.draft["about"])
    if row.part in TELLING:
        note_told(connection, row, room_id, message_id)


def _to_post(
    composer: Composer, connection: Connection, row: Row[Any], address: Address
) -> Composed | Again | Permanent:
    held = holder_now(connection, composer.directory, address.about, composer.now)
    if held is None:
        return without_reader(NO_HOLDER, composer.now)
    _, officer = held
    refusal = composer.may_reach(officer, address.room_class)
    if refusal is not None:
        return Permanent(refusal)
    told = TELLING.get(row.part)
    if told is not None:
        text = told(composer, connection, row, [officer.language])
        if text is None:
            return Permanent(OVER, moot=True)
    elif row.part == "handover":
        text = _handover(composer, connection, address, officer)
    else:
        text = _text(row.draft["words"], [officer.language])
    content = answer_message(text, reply_to=None, mention=officer.user_id)
    post_room = (address.about, address.room_class)
    return Composed("m.room.message", content, officer, None, post_room, (row.key, row.part))


def _to_shared(
    composer: Composer, connection: Connection, row: Row[Any], address: Address
) -> Composed | Again | Permanent:
    if not may_be_told(connection, row):
        return Permanent(ABOVE_THE_ROOM, moot=True)
    readers = composer.readers_of(connection, address)
    if not readers:
        return Permanent(NOBODY_THERE, moot=True)
    languages = sorted({officer.language for officer in readers.values()})
    told = TELLING.get(row.part)
    if row.part == "thread":
        content = _line(composer, connection, row, address, languages)
    elif told is not None:
        said = told(composer, connection, row, languages)
        if said is None:
            return Permanent(OVER, moot=True)
        content = answer_message(said, reply_to=None, mention=None)
        content["m.mentions"] = {"room": True}
    else:
        text = _text(row.draft["words"], languages)
        content = answer_message(text, reply_to=None, mention=None)
    return Composed(
        "m.room.message", content, None, None, None, (row.key, row.part), address=address
    )


def _line(
    composer: Composer,
    connection: Connection,
    row: Row[Any],
    address: Address,
    languages: Sequence[str],
) -> dict[str, Any]:
    """A step of a file, in the file's thread where the room is not the file's own."""
    event = Event.model_validate(event_by_row(connection, row.draft["event"]).event)
    in_a_section = address.kind is RoomKind.SECTION
    root = thread_root(connection, address, row.draft["thread"]) if in_a_section else None

    def said(limit: int) -> dict[str, Any]:
        views = [
            (
                line(event, row.draft["thread"], language, composer.zone, remarks_limit=limit),
                language,
            )
            for language in languages
        ]
        return line_message(views, root)

    return fitting(said)


def _text(words: Mapping[str, str], languages: Sequence[str]) -> str:
    """What the readers' languages say; each in a paragraph of its own where there are two."""
    return "\n\n".join(dict.fromkeys(words[language] for language in languages))


def _handover(
    composer: Composer, connection: Connection, address: Address, officer: Officer
) -> str:
    language, zone = officer.language, composer.zone
    names = post_names(connection, address.about)
    post = names[1] if language == "ur" else names[0]
    pending = [
        card
        for card in open_cards(connection, [address.about])
        if card.room_class == address.room_class
    ]
    if not pending:
        return say(language, NOTHING_LEFT, post=post)
    lines = [say(language, HANDOVER, post=post, count=len(pending))]
    for card in pending:
        data = Event.model_validate(card.event).data
        number = data.file.file_no if data.file else card.event_id
        since = moment(language, card.made_at, zone)
        line = say(language, HANDED_CARD, card=f"#{card.card_id}", number=number, since=since)
        if data.deadline is not None:
            late = data.deadline.due <= composer.now
            due = moment(language, data.deadline.due, zone)
            line += f" · {say(language, OVERDUE if late else HANDED_DUE, due=due)}"
        lines.append(line)
    return "\n".join(lines)
