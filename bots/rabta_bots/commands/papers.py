"""Asks about a file by its number: what became of it, and where e-Office shows it."""

from collections.abc import Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Row

from rabta_bots.cards.rows import name_of_post
from rabta_bots.cards.view import link_of
from rabta_bots.cards.wording import moment, say
from rabta_bots.cards.words import N_, OUTCOMES
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.finding import Missing, find_card
from rabta_bots.commands.grammar import Said
from rabta_bots.commands.judging import Refusal
from rabta_bots.grades import allowance
from rabta_bots.officers import posts_held
from rabta_bots.store.files import events_of_file, file_by_id, file_by_number
from rabta_contract.event import Event, Post
from rabta_contract.vocabulary import EventType, Grade, Purpose

# The latest; e-Office has them all.
MOST_LINES = 20

HISTORY = N_("History of {number}, as far as it was told here:")
EARLIER = N_("Earlier steps stand in e-Office.")
MOVED = N_("Movement {movement}: {purpose}, from {sender} to {receivers}, {at}")
PULLED_BACK = N_("Movement {movement}: taken back by {sender}, {at}")
DECIDED = N_("by {sender}, {at}")
OPEN_HERE = N_("Open {number} in e-Office: {link}")

PURPOSES = {
    Purpose.PUT_UP: N_("put up"),
    Purpose.FORWARD: N_("marked"),
    Purpose.RETURN: N_("returned"),
    Purpose.REFER: N_("referred"),
    Purpose.FOR_COMMENTS: N_("for comments"),
    Purpose.FOR_INFORMATION: N_("for information"),
    Purpose.FOR_SIGNATURE: N_("for signature"),
}

MOVING = frozenset({EventType.FILE_MARKED, EventType.FILE_RETURNED, EventType.FILE_REFERRED})


def meant(talk: Conversation, desk: Desk, said: Said, targets: Sequence[str]) -> Row[Any] | Missing:
    """The file that the words, the reply or the only pending card name, or why there is none.

    Only a file of which a post of the officer has had a card, and not one whose class is above
    the class of this room. A number that is not such a file's is answered as one that does not
    exist, so that nobody learns numbers by trying.
    """
    if said.words:
        posts = posts_held(talk.connection, desk.officer.person_id, talk.now)
        file = file_by_number(talk.connection, said.words, posts)
    else:
        found = find_card(talk.connection, desk.room, said.card, targets)
        if isinstance(found, Missing):
            return found
        file = file_by_id(talk.connection, found.row.file_id) if found.row.file_id else None
    if file is None:
        return Missing(Refusal.NO_SUCH_FILE)
    policy = talk.composer.policy
    allowed = allowance(policy, Grade(file.grade))
    here = policy.room_class(desk.room.room_class).rank
    if allowed is None or policy.room_class(allowed.room_class).rank > here:
        return Missing(Refusal.FILE_ABOVE_ROOM)
    return file


def history(talk: Conversation, desk: Desk, said: Said) -> str:
    """`history <file>`: its movements and decisions, as the bridge knows them."""
    file = meant(talk, desk, said, talk.reading.targets)
    if isinstance(file, Missing):
        return talk.refuse(file.refusal, file.listing)
    language, zone = talk.language, talk.composer.zone
    told = [
        line
        for row in events_of_file(talk.connection, file.file_id)
        for line in _steps(Event.model_validate(row.event), language, zone)
    ]
    lines = [say(language, HISTORY, number=file.file_no)]
    if len(told) > MOST_LINES:
        lines.append(say(language, EARLIER))
    return talk.answer("\n".join([*lines, *told[-MOST_LINES:]]))


def open_link(talk: Conversation, desk: Desk, said: Said) -> str:
    """`open <file>`: the address at which e-Office shows it, as its latest event gave it."""
    file = meant(talk, desk, said, talk.reading.targets)
    if isinstance(file, Missing):
        return talk.refuse(file.refusal, file.listing)
    told = events_of_file(talk.connection, file.file_id)
    links = [link_of(Event.model_validate(row.event)) for row in told]
    link = next((one for one in reversed(links) if one), None)
    if link is None:
        return talk.refuse(Refusal.NO_LINK)
    return talk.answer(say(talk.language, OPEN_HERE, number=file.file_no, link=link))


def _steps(event: Event, language: str, zone: ZoneInfo) -> Iterator[str]:
    data, at = event.data, moment(language, event.time, zone)
    movement, decision = data.movement, data.decision
    if event.kind in MOVING and movement is not None:
        yield say(
            language,
            MOVED,
            movement=movement.movement_no,
            purpose=say(language, PURPOSES[movement.purpose]),
            sender=name_of_post(movement.from_, language),
            receivers=_names(movement.to, language),
            at=at,
        )
    if event.kind is EventType.FILE_PULLED_BACK and movement is not None:
        sender = name_of_post(data.actor.post, language)
        yield say(language, PULLED_BACK, movement=movement.movement_no, sender=sender, at=at)
    if event.kind is EventType.DECISION_RECORDED and decision is not None and data.file is not None:
        outcome = say(language, OUTCOMES[decision.outcome.value], number=data.file.file_no)
        by = data.on_behalf_of or data.actor.post
        who = say(language, DECIDED, sender=name_of_post(by, language), at=at)
        yield f"{outcome} · {who}"


def _names(posts: Sequence[Post], language: str) -> str:
    comma = "، " if language == "ur" else ", "
    return comma.join(name_of_post(post, language) for post in posts)
