"""`consult`, `accept` and `decline`: a room with another organisation, when both sides want it.

The judge is asked when it is asked for, again when it is accepted, and by `SharedRooms` for as long
as the room is there: a right that is withdrawn takes the people along.
"""

import re

from rabta_bots.addresses import of_divisions, of_post
from rabta_bots.cards.wording import LANGUAGES, say
from rabta_bots.cards.words import N_
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.finding import Missing
from rabta_bots.commands.grammar import Said, Talk
from rabta_bots.commands.judging import Refusal
from rabta_bots.commands.papers import meant
from rabta_bots.grades import CLASS_OF_GRADE
from rabta_bots.officers import holder_now
from rabta_bots.spelling import fold
from rabta_bots.store import consultations as kept
from rabta_bots.store.announcements import about_of
from rabta_bots.store.files import file_by_id
from rabta_bots.store.outbox import enqueue_addressed
from rabta_bots.store.posts import known_posts, post_by_any_case, post_names
from rabta_bots.store.shared_rooms import shared_room, want_room
from rabta_contract.vocabulary import Grade
from rabta_policy import ActionKind, Reason

ASKED = N_("{post} is asked for a room about {number}. It is made when they accept.")
ALREADY_ASKED = N_("{post} has been asked for that room already, and has not answered.")
ROOM_THERE = N_("The room for {number} is among your rooms: {room}")
ASKING = N_(
    "{post} asks for a room with you about {number}. Reply here: accept {request} or decline "
    "{request}"
)
FOR_BOTH = N_("This room is for {number}. Asked for by {post}, accepted by {other}.")
ACCEPTED = N_("{post} has accepted the room about {number}: {room}")
DECLINED = N_("{post} does not want a room about {number}.")
SAID_YES = N_("Accepted. The room is being made: {room}")
SAID_NO = N_("Declined; no room is made.")
FORBIDDEN = N_("The rules of the network do not allow it.")

# Both are needed: to bring a file before another organisation, and to let its people in.
RIGHTS = (ActionKind.REFERENCE, ActionKind.INVITE)


def consult(talk: Conversation, desk: Desk, said: Said) -> str:
    """`consult <post>`: our side's yes; the other side is asked for its own."""
    file = meant(talk, desk, Said(said.verb, said.card), talk.reading.targets)
    if isinstance(file, Missing):
        return talk.refuse(file.refusal, file.listing)
    connection = talk.connection
    to_post = post_by_any_case(connection, said.words)
    room_class = CLASS_OF_GRADE[Grade(file.grade)]
    against = _against(talk, to_post, room_class)
    if against is not None:
        return _refuse(talk, against)
    number, before = kept.ask(
        connection,
        file_id=file.file_id,
        from_post=desk.room.post_id,
        to_post=to_post,
        room_class=room_class,
        asked_by=desk.officer.person_id,
        now=talk.now,
    )
    post = _named(talk, to_post, talk.language)
    if before == kept.ACCEPTED:
        room = shared_room(connection, of_divisions(number, room_class))
        name = room.name if room is not None else ""
        return talk.answer(say(talk.language, ROOM_THERE, number=file.file_no, room=name))
    if before == kept.ASKED:
        return talk.answer(say(talk.language, ALREADY_ASKED, post=post))
    words = {
        language: say(
            language,
            ASKING,
            post=_named(talk, desk.room.post_id, language),
            number=file.file_no,
            request=f"C{number}",
        )
        for language in LANGUAGES
    }
    _tell(talk, to_post, room_class, f"C{number}", words)
    talk.audit("room-requested", detail=f"C{number}")
    return talk.answer(say(talk.language, ASKED, post=post, number=file.file_no))


def answer(talk: Conversation, desk: Desk, said: Said) -> str:
    """`accept` and `decline`: the other side's word, by whoever holds the post that was asked."""
    number = _meant(talk, desk, said)
    row = kept.consultation(talk.connection, number) if number is not None else None
    ours = row is not None and row.to_post == desk.room.post_id
    if row is None or not ours or row.room_class != desk.room.room_class:
        return talk.refuse(Refusal.NO_SUCH_REQUEST)
    if row.state != kept.ASKED:
        return talk.refuse(Refusal.REQUEST_OVER)
    file = file_by_id(talk.connection, row.file_id)
    if file is None or CLASS_OF_GRADE.get(Grade(file.grade)) != row.room_class:
        return talk.refuse(Refusal.REQUEST_OVER)
    accepts = said.verb is Talk.ACCEPT
    denied = _denied(talk, desk.officer.server_name, row.room_class) if accepts else None
    if denied is not None:
        return _refuse(talk, denied)
    state = kept.ACCEPTED if accepts else kept.DECLINED
    kept.answer(talk.connection, row.number, state, desk.officer.person_id)
    talk.audit("room-accepted" if accepts else "room-declined", detail=f"C{row.number}")
    name = _make(talk, row.number, row, file.file_no) if accepts else ""
    words = {
        language: say(
            language,
            ACCEPTED if accepts else DECLINED,
            post=_named(talk, row.to_post, language),
            number=file.file_no,
            room=name,
        )
        for language in LANGUAGES
    }
    _tell(talk, row.from_post, row.room_class, f"C{row.number}|{state}", words)
    return talk.answer(say(talk.language, SAID_YES if accepts else SAID_NO, room=name))


def _make(talk: Conversation, number: int, row: object, file_no: str) -> str:
    """Ask for the room and say in it what it is for; gives its name."""
    from_post, to_post, room_class = (
        getattr(row, name) for name in ("from_post", "to_post", "room_class")
    )
    address = of_divisions(number, room_class)
    want_room(talk.connection, address, talk.now, [from_post, to_post])
    words = {
        language: say(
            language,
            FOR_BOTH,
            number=file_no,
            post=_named(talk, from_post, language),
            other=_named(talk, to_post, language),
        )
        for language in LANGUAGES
    }
    enqueue_addressed(
        talk.connection,
        address,
        part="note",
        key=f"consultation|{number}",
        draft={"words": words},
        now=talk.now,
    )
    room = shared_room(talk.connection, address)
    return room.name if room is not None else ""


def _tell(
    talk: Conversation, post_id: str, room_class: str, about: str, words: dict[str, str]
) -> None:
    enqueue_addressed(
        talk.connection,
        of_post(post_id, room_class),
        part="note",
        key=f"consult|{about}|{talk.received.event_id}",
        draft={"words": words, "about": about.partition("|")[0]},
        now=talk.now,
    )


def _denied(talk: Conversation, server_name: str, room_class: str) -> Reason | None:
    """Why the policy does not let the two organisations share the room, or None."""
    if server_name == talk.composer.server_name:
        return None
    reasons = (talk.composer.judge(kind, server_name, room_class) for kind in RIGHTS)
    return next((reason for reason in reasons if reason is not None), None)


def _against(talk: Conversation, to_post: str, room_class: str) -> Refusal | Reason | None:
    """What speaks against asking the post, if anything does."""
    composer = talk.composer
    org = known_posts(talk.connection, [to_post]).get(to_post)
    if org is None or org == composer.organisation:
        return Refusal.NO_OTHER_ORGANISATION
    held = holder_now(talk.connection, composer.directory, to_post, talk.now)
    if held is None:
        return Refusal.POST_VACANT
    return _denied(talk, held[1].server_name, room_class)


def _refuse(talk: Conversation, reason: Refusal | Reason) -> str:
    if isinstance(reason, Refusal):
        return talk.refuse(reason)
    told = [reason.text] if talk.language == "en" else []
    return talk.refuse(reason.code, told, sentence=FORBIDDEN)


def _meant(talk: Conversation, desk: Desk, said: Said) -> int | None:
    words = said.words
    if not words:
        room_id, targets = talk.received.room_id, talk.reading.targets
        words = about_of(talk.connection, room_id, targets) or ""
    found = re.fullmatch(r"c(\d{1,9})", fold(words))
    if found or talk.reading.targets:
        return int(found.group(1)) if found else None
    waiting = kept.asked_of_post(talk.connection, desk.room.post_id, desk.room.room_class)
    return waiting[0] if len(waiting) == 1 else None


def _named(talk: Conversation, post_id: str, language: str) -> str:
    names = post_names(talk.connection, post_id)
    return names[1] if language == "ur" else names[0]
