"""`remind <file>`: whoever has a file is chased by a post that it came by. e-Office does it."""

from rabta_bots.commands import announcing
from rabta_bots.commands.confirming import Confirming
from rabta_bots.commands.conversation import Conversation, Desk
from rabta_bots.commands.deciding import keep
from rabta_bots.commands.finding import Found, Missing
from rabta_bots.commands.grammar import Said
from rabta_bots.commands.judging import Refusal
from rabta_bots.commands.papers import meant
from rabta_bots.reminding import PEACE
from rabta_bots.store.cards import LIVE, last_card_of_post
from rabta_bots.store.commands import chased_since
from rabta_contract.vocabulary import CommandVerb


def remind(talk: Conversation, desk: Desk, said: Said) -> str:
    """`remind A7` is about an announcement; else about a file: by its number, or by a card of it.

    Not within five minutes of the last time, whoever of the ministry asked for that.
    """
    if announcing.is_named(talk, said):
        return announcing.remind_rest(talk, desk, said)
    file = meant(talk, desk, said, talk.reading.targets)
    if isinstance(file, Missing):
        return talk.refuse(file.refusal, file.listing)
    card = last_card_of_post(talk.connection, file.file_id, desk.room.post_id)
    if card is None:
        return talk.refuse(Refusal.NO_SUCH_FILE)
    if card.state in LIVE:
        return talk.refuse(Refusal.WITH_YOU, card_id=card.card_id)
    if chased_since(talk.connection, file.file_id, talk.now - PEACE):
        return talk.refuse(Refusal.REMINDED_JUST_NOW, card_id=card.card_id)
    key = keep(talk, CommandVerb.REMIND, said.words, Found(card), desk.officer, asks=False)
    Confirming(talk.connection, talk.composer, desk.officer, desk.room).queue_reminder(key)
    talk.audit("command-queued", card_id=card.card_id, detail=CommandVerb.REMIND.value)
    return "queued"
