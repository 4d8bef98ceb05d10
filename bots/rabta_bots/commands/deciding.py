"""Commands on cards: judged, confirmed where they must be, and queued for e-Office."""

from datetime import timedelta

from rabta_bots.cards.view import number_of
from rabta_bots.cards.wording import say
from rabta_bots.commands import answers
from rabta_bots.commands.confirming import Confirming
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.finding import Found, Missing, card_state, find_card
from rabta_bots.commands.grammar import Said, Talk
from rabta_bots.commands.judging import Refusal, judge_command, needs_confirmation
from rabta_bots.names import command_id
from rabta_bots.officers import Officer
from rabta_bots.store.commands import ASKED, add_command, asked_of
from rabta_contract.vocabulary import CommandVerb

# A command that e-Office could not take for this long is reported as not delivered.
PATIENCE = timedelta(hours=24)


def confirm(talk: Conversation, desk: Desk, said: Said) -> str:
    """`yes <code>` and `no`: the open question of the officer in this room."""
    confirming = Confirming(talk.connection, talk.composer, desk.officer, desk.room)
    cancels = said.verb is Talk.NO
    result = confirming.cancel() if cancels else confirming.confirm(said.words)
    if isinstance(result, Refusal):
        return talk.refuse(result)
    talk.audit("command-cancelled" if cancels else "command-queued", card_id=result)
    talk.answer(say(talk.language, answers.CANCELLED if cancels else answers.SENT))
    return "cancelled" if cancels else "queued"


def decide(talk: Conversation, desk: Desk, said: Said) -> str:
    """A command of the contract, on the card that it names or replies to."""
    verb = CommandVerb(said.verb)
    found = find_card(talk.connection, desk.room, said.card, talk.reading.targets)
    if isinstance(found, Missing):
        return talk.refuse(found.refusal, found.listing)
    state = card_state(talk.connection, found, desk.officer, talk.composer)
    refusal = judge_command(verb, state, talk.now)
    if refusal is not None:
        return talk.refuse(refusal, card_id=found.row.card_id)
    asks = needs_confirmation(verb, state.decide)
    key = keep(talk, verb, said.words, found, desk.officer, asks=asks)
    if asks:
        return "asked"
    late = Confirming(talk.connection, talk.composer, desk.officer, desk.room).queue(key)
    if late is not None:
        return talk.refuse(late, card_id=found.row.card_id)
    talk.audit("command-queued", card_id=found.row.card_id, detail=verb.value)
    return "queued"


def _code(talk: Conversation, officer: Officer) -> str:
    """A code that no other open question in the room has: `yes <code>` names one alone."""
    asked = asked_of(talk.connection, talk.received.room_id, officer.person_id)
    taken = {row.code for row in asked}
    while (code := talk.make_code()) in taken:
        pass
    return code


def keep(
    talk: Conversation,
    verb: CommandVerb,
    words: str,
    found: Found,
    officer: Officer,
    *,
    asks: bool,
) -> str:
    """Keep the command and, where it needs one, put the question; gives the command's id."""
    received, now, card = talk.received, talk.now, found.row
    code = _code(talk, officer) if asks else None
    key = command_id(card.card_id, card.event_id, received.event_id)
    to_post = words if verb is CommandVerb.FORWARD else None
    add_command(
        talk.connection,
        now,
        command_id=key,
        card_id=card.card_id,
        verb=verb.value,
        to_post=to_post,
        remarks=words if verb is CommandVerb.RETURN else None,
        person_id=officer.person_id,
        matrix_user=officer.user_id,
        room_id=received.room_id,
        asked_by=received.event_id,
        code=code,
        state=ASKED,
        confirm_until=now + talk.window,
        give_up_at=now + PATIENCE,
    )
    if code is not None:
        number = number_of(talk.composer.facts(talk.connection, card, may_decide=False))
        talk.audit("command-asked", card_id=card.card_id, detail=verb.value)
        talk.answer(
            answers.question(
                officer.language, verb, number, card.movement_no, code=code, to_post=to_post
            )
        )
    return key
