"""Composes what is told of an announcement: in its room, to each post, and back to who made it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.addresses import Address
from rabta_bots.cards.wording import moment, say
from rabta_bots.cards.words import N_
from rabta_bots.composing import Composer
from rabta_bots.officers import holder_now
from rabta_bots.store import announcements as kept
from rabta_bots.store.posts import post_names
from rabta_bots.store.shared_rooms import shared_room
from rabta_contract.text import clean_text

FROM = N_("Announcement {number} from {post}")
BY = N_("To be acknowledged by {due}, in the room of your post.")
NOTICE = N_(
    "Announcement {number} from {post}: read it in {room}, and acknowledge it by {due}. "
    "Reply here: ack"
)
AGAIN = N_(
    "Reminder: announcement {number} from {post} waits for your acknowledgement by {due}. Read it "
    "in {room}, then reply here: ack"
)
REPORT = N_("Announcement {number}: {done} of {count} posts have acknowledged it.")
DONE = N_("Acknowledged: {post}, {at}, by {person}")
MISSING = N_("Not acknowledged: {post}")
READ = N_("read {at}")

Text = Callable[[Composer, Connection, Row[Any], Sequence[str]], str | None]


def note_told(connection: Connection, row: Row[Any], room_id: str, message_id: str) -> None:
    """Note as which message it stands where; what was announced need not be kept any more."""
    number = row.draft["number"]
    if row.part == "announcement":
        kept.change_announcement(
            connection, number, room_id=room_id, message_id=message_id, words=None
        )
    else:
        kept.note_notice(connection, message_id, room_id, f"A{number}")


def _announcement(
    composer: Composer, connection: Connection, row: Row[Any], languages: Sequence[str]
) -> str | None:
    told = kept.announcement(connection, row.draft["number"])
    if told is None or told.words is None:
        return None
    names = post_names(connection, told.post_id)
    heads, feet = [], []
    for language in languages:
        post = _in(language, names)
        heads.append(say(language, FROM, number=f"A{told.number}", post=post))
        if told.due is not None:
            feet.append(say(language, BY, due=moment(language, told.due, composer.zone)))
    return "\n".join([*heads, "", clean_text(told.words), *([""] if feet else []), *feet])


def _notice(
    composer: Composer, connection: Connection, row: Row[Any], languages: Sequence[str]
) -> str | None:
    told = kept.announcement(connection, row.draft["number"])
    post_id = Address.parse(row.address).about
    if told is None or told.state != kept.OPEN or told.due is None:
        return None
    posts = kept.posts_of_announcement(connection, told.number)
    if not any(post.post_id == post_id and post.acknowledged_at is None for post in posts):
        return None
    language = languages[0]
    room = shared_room(connection, Address.parse(told.address))
    return say(
        language,
        AGAIN if row.draft.get("again") else NOTICE,
        number=f"A{told.number}",
        post=_in(language, post_names(connection, told.post_id)),
        room=room.name if room is not None else "",
        due=moment(language, told.due, composer.zone),
    )


def _report(
    composer: Composer, connection: Connection, row: Row[Any], languages: Sequence[str]
) -> str | None:
    told = kept.announcement(connection, row.draft["number"])
    if told is None:
        return None
    language, zone = languages[0], composer.zone
    posts = kept.posts_of_announcement(connection, told.number)
    reads = kept.reads_of(connection, told.number)
    done, missing = [], []
    for post in posts:
        name = _in(language, post_names(connection, post.post_id))
        if post.acknowledged_at is not None:
            at = moment(language, post.acknowledged_at, zone)
            who = _person(composer, post.acknowledged_by, language)
            done.append(say(language, DONE, post=name, at=at, person=who))
            continue
        held = holder_now(connection, composer.directory, post.post_id, composer.now)
        read = reads.get(held[1].user_id) if held else None
        seen = f" · {say(language, READ, at=moment(language, read, zone))}" if read else ""
        missing.append(say(language, MISSING, post=name) + seen)
    head = say(language, REPORT, number=f"A{told.number}", done=len(done), count=len(posts))
    return "\n".join([head, *done, *missing])


def _person(composer: Composer, person_id: str, language: str) -> str:
    person = composer.directory.person(person_id)
    if person is None:
        return person_id
    return person.name_ur or person.name if language == "ur" else person.name


def _in(language: str, names: tuple[str, str]) -> str:
    return names[1] if language == "ur" else names[0]


# By part of the outbox: the text in the readers' languages; None when it need not be told any more.
TELLING: Mapping[str, Text] = {
    "announcement": _announcement,
    "notice": _notice,
    "report": _report,
}
