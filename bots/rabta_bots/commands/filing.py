"""Takes `file <number>`, a reply to a document: it is to be put on that file in e-Office."""

from rabta_bots.cards.wording import say
from rabta_bots.cards.words import N_
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.finding import Missing
from rabta_bots.commands.grammar import Said
from rabta_bots.commands.judging import Refusal
from rabta_bots.commands.papers import meant
from rabta_bots.grades import allowance
from rabta_bots.names import command_id
from rabta_bots.store.cards import card_of_message
from rabta_bots.store.filings import add_filing
from rabta_contract.vocabulary import Grade

CARRIED = N_("I am bringing the document to {number}.")


def file_document(talk: Conversation, desk: Desk, said: Said) -> str:
    """`file <number>`: note what is to be carried; the carrying is not of this transaction."""
    connection, received, policy = talk.connection, talk.received, talk.composer.policy
    target = talk.reading.targets[0] if talk.reading.targets else None
    ours = target is not None and card_of_message(connection, received.room_id, target) is not None
    if target is None or ours:
        return talk.refuse(Refusal.NO_DOCUMENT)
    # The reply names the document, not a card.
    file = meant(talk, desk, said, targets=())
    if isinstance(file, Missing):
        return talk.refuse(file.refusal, file.listing)
    allowed = allowance(policy, Grade(file.grade))
    here = policy.room_class(desk.room.room_class).rank
    if allowed is None or policy.room_class(allowed.room_class).rank < here:
        # What was said in a room of a class does not leave it for a lower one.
        return talk.refuse(Refusal.FILE_BELOW_ROOM)
    add_filing(
        connection,
        filing_id=command_id(0, file.file_id, received.event_id),
        room_id=received.room_id,
        room_class=desk.room.room_class,
        asked_by=received.event_id,
        target=target,
        file_id=file.file_id,
        post_id=desk.room.post_id,
        person_id=desk.officer.person_id,
        matrix_user=desk.officer.user_id,
        now=talk.now,
    )
    talk.audit("filing-queued")
    talk.answer(say(talk.language, CARRIED, number=file.file_no))
    return "queued"
