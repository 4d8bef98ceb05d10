"""`announce`, `ack`, `remind` and `report`: from one post to many, and back.

Nobody but the bridge writes in a room of announcements, so it is acknowledged where its post may
write: in the post's own room, by a reply to the notice that stands there. A reaction or a read
receipt is no acknowledgement: both come in clear, and nobody has signed them.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from rabta_bots.addresses import Address, of_announcements, of_post
from rabta_bots.cards.wording import moment, say
from rabta_bots.cards.words import N_
from rabta_bots.commands import answers
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.deciding import confirm as confirm_command
from rabta_bots.commands.deciding import decide
from rabta_bots.commands.grammar import Misread, Said, Talk
from rabta_bots.commands.judging import Refusal
from rabta_bots.officers import roll_now
from rabta_bots.reminding import PEACE, first_reminder, remind
from rabta_bots.spelling import fold
from rabta_bots.store import announcements as kept
from rabta_bots.store.cards import open_cards
from rabta_bots.store.outbox import enqueue_addressed
from rabta_bots.store.posts import known_posts, post_by_any_case
from rabta_bots.store.shared_rooms import want_room

# An announcement is to be acknowledged by the end of a working day.
CLOSING_TIME = time(16)

CONFIRM = N_("Confirm: announce to {count} posts? Reply: yes {code}")
CONFIRM_DUE = N_("Confirm: announce to {count} posts, acknowledged by {due}? Reply: yes {code}")
ANNOUNCED = N_("Announced as {number}. To see who acknowledged it, write: report {number}")
NOTED = N_("Acknowledged: announcement {number}")
REMINDED = N_("Reminded of {number}: {count} posts")
REPORTING = N_("The report on {number} is being made.")

_ALL = frozenset({"all", "everybody", "سب"})
_SECTION = ("section", "سیکشن")
_BY = re.compile(r"(?:\s+by\s+|\s+تک\s+)(\d{4}-\d{2}-\d{2})$")
_NUMBER = re.compile(r"a\s?(\d{1,9})")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be announced.

    Args:
        to: `all`, `section <name>`, or posts with commas between.
        due: By when it must be acknowledged, if it must.
        words: What is announced.
    """

    to: str
    due: datetime | None
    words: str


def read_announcement(text: str, zone: ZoneInfo) -> Wanted | None:
    """`<to> [by <date>]: <words>`; None when it cannot be understood. Pure."""
    head, colon, words = text.partition(":")
    if not colon or not words.strip():
        return None
    # Folding may change lengths, so what stays of the head is taken from the folded text.
    folded = " ".join(fold(head).split())
    found = _BY.search(folded)
    due = None
    if found:
        folded = folded[: found.start()]
        try:
            day = datetime.fromisoformat(found.group(1)).date()
        except ValueError:
            return None
        due = datetime.combine(day, CLOSING_TIME, zone)
    return Wanted(folded.strip(), due, words.strip()) if folded.strip() else None


def announce(talk: Conversation, desk: Desk, said: Said) -> str:
    """Ask whether to announce; nothing is told before it is confirmed."""
    if desk.room.post_id not in talk.composer.announcers:
        return talk.refuse(Refusal.NOT_AN_ANNOUNCER)
    wanted = read_announcement(said.words, talk.composer.zone)
    if wanted is None:
        return talk.refuse(Misread.ANNOUNCEMENT_REQUIRED)
    if wanted.due is not None and wanted.due <= talk.now:
        return talk.refuse(Refusal.DATE_PAST)
    found = _receivers(talk, desk, wanted.to)
    if found is None:
        return talk.refuse(Refusal.NO_SUCH_POST)
    address, posts = found
    code = talk.make_code()
    kept.add_announcement(
        talk.connection,
        posts,
        post_id=desk.room.post_id,
        person_id=desk.officer.person_id,
        matrix_user=desk.officer.user_id,
        address=str(address),
        room_class=address.room_class,
        words=wanted.words,
        due=wanted.due,
        code=code,
        confirm_until=talk.now + talk.window,
        asked_in=talk.received.room_id,
        made_at=talk.now,
    )
    talk.audit("announcement-asked", detail=address.room_class)
    sentence = CONFIRM if wanted.due is None else CONFIRM_DUE
    due = moment(talk.language, wanted.due, talk.composer.zone) if wanted.due else ""
    talk.answer(say(talk.language, sentence, count=len(posts), due=due, code=code))
    return "asked"


def confirm(talk: Conversation, desk: Desk, said: Said) -> str:
    """`yes <code>` and `no`: an announcement's question first, then a command's."""
    asked = kept.asked_announcements(talk.connection, talk.received.room_id, desk.officer.person_id)
    if said.verb is Talk.NO and asked:
        for row in asked:
            kept.change_announcement(
                talk.connection, row.number, state=kept.CANCELLED, words=None, code=None
            )
        talk.audit("announcement-cancelled")
        talk.answer(say(talk.language, answers.CANCELLED))
        return "cancelled"
    meant = [row for row in asked if hmac.compare_digest(row.code, said.words)]
    if said.verb is Talk.NO or not meant:
        return confirm_command(talk, desk, said)
    row = meant[-1]
    late = talk.now >= row.confirm_until
    refusal = Refusal.CONFIRMATION_EXPIRED if late else None
    if row.post_id not in talk.composer.announcers:
        refusal = Refusal.NOT_AN_ANNOUNCER
    if refusal is not None:
        kept.change_announcement(
            talk.connection, row.number, state=kept.CANCELLED, words=None, code=None
        )
        return talk.refuse(refusal)
    _tell(talk, row)
    talk.audit("announcement-made", detail=row.room_class)
    talk.answer(say(talk.language, ANNOUNCED, number=f"A{row.number}"))
    return "announced"


def acknowledge(talk: Conversation, desk: Desk, said: Said) -> str:
    """`ack` of an announcement: by number, by a reply to its notice, or as the only one open."""
    number = _meant(talk, desk, said)
    if number is None:
        return decide(talk, desk, said)
    row = kept.announcement(talk.connection, number)
    posts = kept.posts_of_announcement(talk.connection, number) if row else []
    mine = [post for post in posts if post.post_id == desk.room.post_id]
    if row is None or not mine or row.state not in {kept.OPEN, kept.CLOSED}:
        return talk.refuse(Refusal.NO_SUCH_ANNOUNCEMENT)
    if row.room_class != desk.room.room_class:
        return talk.refuse(Refusal.NO_SUCH_ANNOUNCEMENT)
    person = desk.officer.person_id
    if not kept.acknowledge(talk.connection, number, desk.room.post_id, person, talk.now):
        return talk.refuse(Refusal.ALREADY_ACKNOWLEDGED)
    talk.audit("announcement-acknowledged", detail=f"A{number}")
    missing = [post for post in posts if post.acknowledged_at is None]
    if row.state == kept.OPEN and len(missing) == 1:
        kept.change_announcement(talk.connection, number, state=kept.CLOSED)
        _report(talk, row)
    talk.answer(say(talk.language, NOTED, number=f"A{number}"))
    return "acknowledged"


def remind_rest(talk: Conversation, desk: Desk, said: Said) -> str:
    """`remind A7`: those who have not acknowledged it, and not within minutes of the last time."""
    row = _own(talk, desk, said)
    if row is None:
        return talk.refuse(Refusal.NO_SUCH_ANNOUNCEMENT)
    if row.state != kept.OPEN or row.due is None:
        return talk.refuse(Refusal.NOTHING_TO_REMIND_OF)
    if row.told_at is not None and talk.now < row.told_at + PEACE:
        return talk.refuse(Refusal.REMINDED_JUST_NOW)
    count = remind(talk.connection, row, talk.now)
    talk.audit("announcement-reminded", detail=f"A{row.number}")
    return talk.answer(say(talk.language, REMINDED, number=f"A{row.number}", count=count))


def report(talk: Conversation, desk: Desk, said: Said) -> str:
    """`report A7`: who acknowledged when, who has not, and who is seen to have read it."""
    row = _own(talk, desk, said)
    if row is None:
        return talk.refuse(Refusal.NO_SUCH_ANNOUNCEMENT)
    _report(talk, row)
    return talk.answer(say(talk.language, REPORTING, number=f"A{row.number}"))


def _receivers(talk: Conversation, desk: Desk, to: str) -> tuple[Address, Sequence[str]] | None:
    """The room and the posts that it is for; the announcer needs no notice of his own."""
    roll = roll_now(talk.connection, talk.composer.directory, talk.now)
    org, room_class = talk.composer.organisation, desk.room.room_class
    word, _, name = to.partition(" ")
    if to in _ALL:
        scope, posts = org, list(roll.organisations.get(org, ()))
    elif word in _SECTION:
        sections = {fold(key): key for key in roll.sections}
        scope = sections.get(fold(f"{org}/{name}"), "")
        posts = list(roll.sections.get(scope, ()))
    else:
        named = [post_by_any_case(talk.connection, one.strip()) for one in re.split("[,،]", to)]
        posts = sorted(set(named))
        own = {one for one, of in known_posts(talk.connection, posts).items() if of == org}
        if own != set(posts):
            return None
        scope = f"{desk.room.post_id}:{talk.received.event_id}"
    posts = [post for post in posts if post != desk.room.post_id]
    return (of_announcements(scope, room_class), posts) if posts else None


def _tell(talk: Conversation, row: Row[object]) -> None:
    """Say it in the room, and tell each post that must acknowledge it."""
    connection, now = talk.connection, talk.now
    address = Address.parse(row.address)
    posts = [one.post_id for one in kept.posts_of_announcement(connection, row.number)]
    want_room(connection, address, now, [row.post_id, *posts])
    enqueue_addressed(
        connection,
        address,
        part="announcement",
        key=f"announcement|{row.number}",
        draft={"number": row.number},
        now=now,
    )
    remind_at = first_reminder(now, row.due) if row.due else None
    kept.change_announcement(
        connection,
        row.number,
        state=kept.OPEN,
        code=None,
        told_at=now,
        remind_at=remind_at,
    )
    for post_id in posts if row.due else ():
        enqueue_addressed(
            connection,
            of_post(post_id, row.room_class),
            part="notice",
            key=f"notice|{row.number}|{post_id}",
            draft={"number": row.number},
            now=now,
        )


def _report(talk: Conversation, row: Row[object]) -> None:
    enqueue_addressed(
        talk.connection,
        of_post(row.post_id, row.room_class),
        part="report",
        key=f"report|{row.number}|{talk.received.event_id}",
        draft={"number": row.number},
        now=talk.now,
    )


def _meant(talk: Conversation, desk: Desk, said: Said) -> int | None:
    number = _number(said.words)
    if number is None:
        about = kept.about_of(talk.connection, talk.received.room_id, talk.reading.targets)
        number = _number(about or "")
    if number is not None or said.card is not None or talk.reading.targets:
        return number
    room = desk.room
    if open_cards(talk.connection, [room.post_id], room.room_id):
        return None
    waiting = kept.open_for_post(talk.connection, room.post_id, room.room_class)
    return waiting[0] if len(waiting) == 1 else None


def is_named(talk: Conversation, said: Said) -> bool:
    """Whether words or reply are about an announcement."""
    about = kept.about_of(talk.connection, talk.received.room_id, talk.reading.targets)
    return (_number(said.words) or _number(about or "")) is not None


def _own(talk: Conversation, desk: Desk, said: Said) -> Row[object] | None:
    """The announcement of this post that is named, or replied to."""
    number = _number(said.words)
    if number is None:
        about = kept.about_of(talk.connection, talk.received.room_id, talk.reading.targets)
        number = _number(about or "")
    row = kept.announcement(talk.connection, number) if number is not None else None
    mine = row is not None and row.post_id == desk.room.post_id
    same = row is not None and row.room_class == desk.room.room_class
    told = row is not None and row.state in {kept.OPEN, kept.CLOSED}
    return row if mine and same and told else None


def _number(words: str) -> int | None:
    found = _NUMBER.fullmatch(fold(words).strip())
    return int(found.group(1)) if found else None
