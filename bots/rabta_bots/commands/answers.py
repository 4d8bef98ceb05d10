"""What the bridge says to an officer: a sentence for every reason code, question and outcome."""

from collections.abc import Sequence

from rabta_bots.cards.wording import say
from rabta_bots.cards.words import GRADES, N_, OUTCOMES, VERBS
from rabta_bots.commands.grammar import Misread, Talk, Verb
from rabta_bots.commands.judging import ClassRefusal, Refusal
from rabta_bots.documents.judging import DocumentReason
from rabta_bots.store.shared_rooms import SharedRoom
from rabta_contract.answers import CommandReason
from rabta_contract.vocabulary import CommandVerb, Grade

REFUSALS: dict[str, str] = {
    Refusal.NOT_ENCRYPTED: N_("Your message was not encrypted; only encrypted messages count."),
    Refusal.UNREADABLE: N_(
        "I could not read your message: its key has not reached me. Please send it again."
    ),
    Refusal.UNSIGNED_DEVICE: N_(
        "Your device is not verified. Verify it with your recovery key, then write again."
    ),
    Refusal.UNKNOWN_DEVICE: N_("Your device is not known yet. Wait a moment, then write again."),
    Refusal.CHANGED_IDENTITY: N_(
        "Your cryptographic identity has changed. Ask your administrator to acknowledge it."
    ),
    Refusal.EDITED_MESSAGE: N_("An edited message is not a command. Write it as a new message."),
    Refusal.FORWARDED_MESSAGE: N_("A forwarded message is not a command. Write it yourself."),
    Refusal.OTHER_MINISTRY: N_("You belong to another ministry; its files are not yours here."),
    Refusal.UNKNOWN_PERSON: N_("Your account stands in no directory of officers."),
    Refusal.NOT_A_POST_ROOM: N_("Write this in the room of the post that has the file."),
    Refusal.NOT_HOLDER: N_("You do not hold this post now."),
    Refusal.NO_SUCH_CARD: N_("This post has no card of that number."),
    Refusal.NOTHING_PENDING: N_("Nothing is pending in this room."),
    Refusal.WHICH_CARD: N_("Several cards are pending. Reply to one of them, or write its number:"),
    Refusal.NOT_A_CARD: N_(
        "What you replied to is no card. Reply to the card itself, or write its number:"
    ),
    Refusal.CARD_EXPIRED: N_("This card has expired. Decide in e-Office."),
    Refusal.CARD_BUSY: N_("Your earlier command on this card is still being carried out."),
    Refusal.CARD_USED: N_("This card was used already; one card takes one decision."),
    Refusal.CARD_WITHDRAWN: N_("The sender has withdrawn this file."),
    Refusal.STALE_MOVEMENT: N_("The file has moved on since this card. Use the latest card."),
    Refusal.GRADE_NOT_FROM_CHAT: N_(
        "Files of this classification are not decided from chat. Open it in e-Office."
    ),
    Refusal.LOOK_AFTER_MAY_NOT_DECIDE: N_("A look-after charge does not decide."),
    Refusal.NOT_OFFERED: N_("This card does not take that command."),
    Refusal.NOTHING_TO_CONFIRM: N_("Nothing waits for your confirmation."),
    Refusal.WRONG_CODE: N_("That is not the code of the question."),
    Refusal.CONFIRMATION_EXPIRED: N_("The question has expired. Give the command again."),
    Refusal.NO_SUCH_FILE: N_("Your posts have had no card of a file of that number."),
    Refusal.FILE_ABOVE_ROOM: N_(
        "The class of that file is above the class of this room. Ask in the room of its card."
    ),
    Refusal.NO_LINK: N_("e-Office gave no link to this file."),
    Refusal.NOT_AN_ANNOUNCER: N_("This post may not announce to others."),
    Refusal.NO_SUCH_POST: N_("There is no such post or section in this ministry."),
    Refusal.DATE_PAST: N_("That date is past."),
    Refusal.NO_SUCH_ANNOUNCEMENT: N_("There is no such announcement for this post in this room."),
    Refusal.ALREADY_ACKNOWLEDGED: N_("This post has acknowledged it already."),
    Refusal.NOTHING_TO_REMIND_OF: N_("Nobody has to acknowledge it any more."),
    Refusal.REMINDED_JUST_NOW: N_("They were told less than five minutes ago."),
    Refusal.WITH_YOU: N_("The file is with you; there is nobody to remind."),
    Misread.ANNOUNCEMENT_REQUIRED: N_(
        "Say to whom, by when and what: announce all by 2026-08-14: <words>."
    ),
    Refusal.NO_OTHER_ORGANISATION: N_("That is no post of another organisation known here."),
    Refusal.POST_VACANT: N_("Nobody with an account holds that post now."),
    Refusal.NO_SUCH_REQUEST: N_("Nobody has asked this post for such a room."),
    Refusal.REQUEST_OVER: N_("That request was answered already, or its file was reclassified."),
    Misread.UNKNOWN_COMMAND: N_("I do not understand this. Write help for the commands."),
    Misread.EXTRA_WORDS: N_("This command stands alone. Write the one word, or return <remarks>."),
    Misread.REMARKS_REQUIRED: N_("Say why: return <remarks>."),
    Misread.POST_REQUIRED: N_("Say to which post, by its id."),
    Misread.LANGUAGE_REQUIRED: N_("Say which language: lang en or lang ur."),
    Misread.CODE_REQUIRED: N_("Confirm with the code of the question: yes <code>."),
    Misread.TOO_LONG: N_("This is too long for a command."),
    CommandReason.WRONG_HOLDER: N_("e-Office says: the file is not with you in this post."),
    CommandReason.CERTIFICATE_REQUIRED: N_(
        "e-Office says: this file is decided with a digital certificate only."
    ),
    CommandReason.UNKNOWN_FILE: N_("e-Office says: there is no such file."),
    CommandReason.UNKNOWN_POST: N_("e-Office says: there is no such post."),
    CommandReason.MALFORMED: N_("e-Office did not understand the command."),
    CommandReason.BAD_SIGNATURE: N_("e-Office does not accept the signature of this bridge."),
    CommandReason.STALE_TIMESTAMP: N_("The clocks of e-Office and of this bridge differ."),
    CommandReason.TOO_LARGE: N_("This is too long for e-Office."),
    CommandReason.IDEMPOTENCY_KEY_REUSED: N_("e-Office has seen this command before as another."),
    Misread.CLASS_REQUIRED: N_(
        "Say which class, and which room where it is another: class confidential, or "
        "class confidential #room:server."
    ),
    ClassRefusal.CLASS_UNKNOWN: N_("Rooms have no such class."),
    ClassRefusal.LABEL_LOWERED: N_(
        "A room's class can be raised but not lowered. Make a new room of the lower class."
    ),
    ClassRefusal.NOT_IN_ROOM: N_(
        "You are in no such room. Give its address (#...) or its id (!...)."
    ),
    ClassRefusal.NO_POWER_TO_RAISE: N_(
        "You have not the power in that room to change its class. Ask somebody who has."
    ),
    ClassRefusal.NO_POLICY: N_(
        "The homeserver holds no signed policy now. Tell its administrator."
    ),
    ClassRefusal.DOOR_REFUSED: N_(
        "The homeserver does not take this command from me. Tell its administrator."
    ),
    ClassRefusal.HOMESERVER_UNREACHABLE: N_(
        "The homeserver did not answer for a day. Give the command again."
    ),
    Refusal.NO_DOCUMENT: N_("Reply to a document of this room: file <number>."),
    Refusal.FILE_BELOW_ROOM: N_(
        "The class of that file is below the class of this room. Nothing is carried down."
    ),
    DocumentReason.INFECTED: N_("The document is infected."),
    DocumentReason.CHANGED: N_("The document is not what was sent. Send it once more."),
    DocumentReason.TOO_LARGE: N_("The document is too large for this class."),
    DocumentReason.TYPE_NOT_ALLOWED: N_("Documents of this type are not allowed in this class."),
    DocumentReason.CLASS_WITHOUT: N_("This class carries no documents in the chat."),
    DocumentReason.MISSING: N_("The homeserver does not have the document any more."),
    DocumentReason.NOT_SCANNED: N_("The document could not be scanned."),
    DocumentReason.NOT_REACHABLE: N_("e-Office is reached by files alone, without documents."),
    "eoffice-unreachable": N_(
        "e-Office could not be reached. Look there whether your command was carried out."
    ),
}

# Rooms have the names of the grades that may be spoken of in them.
CLASSES = {
    grade.value.lower(): GRADES[grade]
    for grade in (Grade.UNCLASSIFIED, Grade.RESTRICTED, Grade.CONFIDENTIAL)
}

TALK_HERE = N_("Talk about it in the room: {room}")
ASK_ROOM = N_("To talk about it in a room of its own, write: case {card}")
NOT_DONE = N_("Not done.")
CONFIRM = N_("Confirm: {command}, {number}, movement {movement}? Reply: yes {code}")
CONFIRM_TO = N_("Confirm: {command} to {post}, {number}, movement {movement}? Reply: yes {code}")
CANCELLED = N_("Cancelled; nothing was sent to e-Office.")
SENT = N_("Sent to e-Office.")
WAITING = N_("e-Office does not answer now. Your command is kept and tried again.")
PENDING_LIST = N_("Pending:")
RAISED_HERE = N_("Done. The class of this room is now {room_class}; it cannot be lowered again.")
RAISED = N_("Done. The class of {room} is now {room_class}; it cannot be lowered again.")
RAISED_ALREADY = N_("The class of that room is {room_class} already.")
LANGUAGE_SET = N_("From now on I write in English.")
HELP = N_(
    "Reply to a card, or write its number after the command, as in approve #12. Decisions are "
    "confirmed with yes <code>. Commands:"
)

# What help lists, in this order; the grammar knows more spellings.
USAGES: dict[Verb, str] = {
    CommandVerb.APPROVE: VERBS[CommandVerb.APPROVE],
    CommandVerb.RETURN: VERBS[CommandVerb.RETURN],
    CommandVerb.SEEN: VERBS[CommandVerb.SEEN],
    CommandVerb.DISCUSS: VERBS[CommandVerb.DISCUSS],
    CommandVerb.FORWARD: VERBS[CommandVerb.FORWARD],
    CommandVerb.ACKNOWLEDGE: VERBS[CommandVerb.ACKNOWLEDGE],
    Talk.PENDING: N_("pending"),
    Talk.HISTORY: N_("history <file>"),
    Talk.OPEN: N_("open <file>"),
    Talk.FILE: N_("file <number>"),
    Talk.CLASS: N_("class <class> <room>"),
    Talk.CASE: N_("case <file>"),
    Talk.CONSULT: N_("consult <post>"),
    Talk.ACCEPT: N_("accept"),
    Talk.DECLINE: N_("decline"),
    Talk.ANNOUNCE: N_("announce <to> by <date>: <words>"),
    Talk.REPORT: N_("report <announcement>"),
    CommandVerb.REMIND: VERBS[CommandVerb.REMIND],
    Talk.YES: N_("yes <code>"),
    Talk.NO: N_("no"),
    Talk.LANG: N_("lang en or lang ur"),
    Talk.HELP: N_("help"),
}

# Plain commands for the question; a card's hint shows `return <remarks>` instead.
PLAIN = {
    CommandVerb.APPROVE: N_("approve"),
    CommandVerb.RETURN: N_("return"),
    CommandVerb.SEEN: N_("seen"),
    CommandVerb.DISCUSS: N_("discuss"),
    CommandVerb.FORWARD: N_("forward"),
    CommandVerb.ACKNOWLEDGE: N_("acknowledge"),
}


def refusal(
    language: str, reason: str, listing: Sequence[str] = (), sentence: str | None = None
) -> str:
    """Why a command was not carried out: a sentence, the stable code, and a list to choose from."""
    why = say(language, sentence or REFUSALS[reason])
    return "\n".join([f"{say(language, NOT_DONE)} {why} [{reason}]", *listing])


def question(
    language: str, verb: CommandVerb, number: str, movement: int, *, code: str, to_post: str | None
) -> str:
    """What the officer confirms, with all that would be sent."""
    return say(
        language,
        CONFIRM_TO if to_post else CONFIRM,
        command=say(language, PLAIN[verb]),
        post=to_post or "",
        number=number,
        movement=movement,
        code=code,
    )


def outcome(language: str, result: str, number: str, note_para: int | None) -> str:
    """What e-Office did."""
    sentence = say(language, OUTCOMES[result], number=number)
    if note_para is None:
        return sentence
    return f"{sentence} ({say(language, N_('para {para}'), para=f'{note_para}/N')})"


def raised(language: str, room: str, room_class: str, before: str) -> str:
    """What became of a room's class; `room` as the officer named it, "" for the talk's own."""
    name = say(language, CLASSES[room_class]) if room_class in CLASSES else room_class
    if room_class == before:
        return say(language, RAISED_ALREADY, room_class=name)
    return say(language, RAISED if room else RAISED_HERE, room=room, room_class=name)


def where_to_talk(language: str, room: SharedRoom | None, card_id: int) -> str:
    """The case room of a file, or how to ask for it."""
    if room is not None:
        return say(language, TALK_HERE, room=room.name)
    return say(language, ASK_ROOM, card=f"#{card_id}")


def pending_line(number: int, what: str) -> str:
    """One line of a list of cards."""
    return f"#{number} {what}"


def help_text(language: str) -> str:
    """The commands."""
    listed = " · ".join(say(language, usage) for usage in USAGES.values())
    return f"{say(language, HELP)} {listed}"
