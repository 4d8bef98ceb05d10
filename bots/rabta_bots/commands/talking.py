"""What is said to the bridge itself: help, the language, the list of what is pending."""

from rabta_bots.cards.wording import say
from rabta_bots.commands import answers
from rabta_bots.commands.conversation import Conversation
from rabta_bots.commands.finding import listing
from rabta_bots.commands.grammar import Said
from rabta_bots.commands.judging import Refusal
from rabta_bots.officers import Officer, posts_held
from rabta_bots.store.cards import open_cards
from rabta_bots.store.posts import choose_language


def give_help(talk: Conversation, officer: Officer, said: Said) -> str:
    """The commands."""
    del said
    return talk.answer(answers.help_text(officer.language))


def set_language(talk: Conversation, officer: Officer, said: Said) -> str:
    """Cards and answers come in this language from now on."""
    choose_language(talk.connection, officer.person_id, said.words)
    return talk.answer(say(said.words, answers.LANGUAGE_SET))


def list_pending(talk: Conversation, officer: Officer, said: Said) -> str:
    """The open cards of every post that the officer holds."""
    del said
    cards = open_cards(talk.connection, posts_held(talk.connection, officer.person_id, talk.now))
    if not cards:
        return talk.answer(say(officer.language, answers.REFUSALS[Refusal.NOTHING_PENDING]))
    return talk.answer("\n".join([say(officer.language, answers.PENDING_LIST), *listing(cards)]))
