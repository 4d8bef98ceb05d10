"""`case <file>`: a room for those whom one file concerns."""

from rabta_bots.addresses import of_case
from rabta_bots.cards.wording import LANGUAGES, say
from rabta_bots.cards.words import N_
from rabta_bots.cases import concerned
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.finding import Missing
from rabta_bots.commands.grammar import Said
from rabta_bots.commands.judging import Refusal
from rabta_bots.commands.papers import meant
from rabta_bots.grades import allowance
from rabta_bots.store.files import events_of_file
from rabta_bots.store.outbox import enqueue_addressed
from rabta_bots.store.posts import known_posts, post_names
from rabta_bots.store.shared_rooms import shared_room, want_room
from rabta_contract.event import Event
from rabta_contract.vocabulary import Grade

ROOM_MADE = N_("A room for {number} is being made for those whom it concerns: {room}")
ROOM_THERE = N_("The room for {number} is among your rooms: {room}")
FOR_WHOM = N_("This room is for {number}. It concerns: {posts}. Asked for by {post}.")


def open_case(talk: Conversation, desk: Desk, said: Said) -> str:
    """Ask for the case room of a file, for the posts that it came from or went to."""
    file = meant(talk, desk, said, talk.reading.targets)
    if isinstance(file, Missing):
        return talk.refuse(file.refusal, file.listing)
    connection, now = talk.connection, talk.now
    allowed = allowance(talk.composer.policy, Grade(file.grade))
    if allowed is None:
        return talk.refuse(Refusal.FILE_ABOVE_ROOM)
    told = [Event.model_validate(row.event) for row in events_of_file(connection, file.file_id)]
    posts = sorted(known_posts(connection, [*concerned(told), desk.room.post_id]))
    address = of_case(file.file_id, allowed.room_class)
    fresh = want_room(connection, address, now, posts)
    if fresh:
        words = {
            language: _for_whom(talk, language, file.file_no, posts, desk.room.post_id)
            for language in LANGUAGES
        }
        enqueue_addressed(
            connection, address, part="note", key=f"case|{address}", draft={"words": words}, now=now
        )
        talk.audit("case-room-asked", detail=allowed.room_class)
    room = shared_room(connection, address)
    name = room.name if room is not None else ""
    sentence = ROOM_MADE if fresh else ROOM_THERE
    return talk.answer(say(talk.language, sentence, number=file.file_no, room=name))


def _for_whom(talk: Conversation, language: str, number: str, posts: list[str], asking: str) -> str:
    place = 1 if language == "ur" else 0
    comma = "، " if language == "ur" else ", "
    names = {post_id: post_names(talk.connection, post_id)[place] for post_id in {*posts, asking}}
    listed = comma.join(names[post_id] for post_id in posts)
    return say(language, FOR_WHOM, number=number, posts=listed, post=names[asking])
