"""Judges a command: who wrote it, from which device, on which card. Pure; stable reason codes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rabta_bots.matrix import SenderTrust
from rabta_contract.vocabulary import CommandVerb


class Refusal(StrEnum):
    """Why a command is not carried out; `answers.py` has a sentence for each."""

    NOT_ENCRYPTED = "not-encrypted"
    UNREADABLE = "unreadable"
    UNSIGNED_DEVICE = "unsigned-device"
    UNKNOWN_DEVICE = "unknown-device"
    CHANGED_IDENTITY = "changed-identity"
    EDITED_MESSAGE = "edited-message"
    FORWARDED_MESSAGE = "forwarded-message"
    OTHER_MINISTRY = "other-ministry"
    UNKNOWN_PERSON = "unknown-person"
    NOT_A_POST_ROOM = "not-a-post-room"
    NOT_HOLDER = "not-holder"
    NO_SUCH_CARD = "no-such-card"
    NOTHING_PENDING = "nothing-pending"
    WHICH_CARD = "which-card"
    NOT_A_CARD = "not-a-card"
    CARD_EXPIRED = "card-expired"
    CARD_BUSY = "card-busy"
    CARD_USED = "card-used"
    CARD_WITHDRAWN = "card-withdrawn"
    STALE_MOVEMENT = "stale-movement"
    GRADE_NOT_FROM_CHAT = "grade-not-from-chat"
    LOOK_AFTER_MAY_NOT_DECIDE = "look-after-may-not-decide"
    NOT_OFFERED = "not-offered"
    NOTHING_TO_CONFIRM = "nothing-to-confirm"
    WRONG_CODE = "wrong-code"
    CONFIRMATION_EXPIRED = "confirmation-expired"
    NO_SUCH_FILE = "no-such-file"
    FILE_ABOVE_ROOM = "file-above-room"
    NO_LINK = "no-link"
    NO_DOCUMENT = "no-document"
    FILE_BELOW_ROOM = "file-below-room"
    NO_OTHER_ORGANISATION = "no-other-organisation"
    POST_VACANT = "post-vacant"
    NO_SUCH_REQUEST = "no-such-request"
    REQUEST_OVER = "request-over"
    NOT_AN_ANNOUNCER = "not-an-announcer"
    NO_SUCH_POST = "no-such-post"
    DATE_PAST = "date-past"
    NO_SUCH_ANNOUNCEMENT = "no-such-announcement"
    ALREADY_ACKNOWLEDGED = "already-acknowledged"
    NOTHING_TO_REMIND_OF = "nothing-to-remind-of"
    REMINDED_JUST_NOW = "reminded-just-now"
    WITH_YOU = "with-you"


class ClassRefusal(StrEnum):
    """Why a room's class is not raised, in the door's words where it was the door that refused."""

    CLASS_UNKNOWN = "class-unknown"
    LABEL_LOWERED = "label-lowered"
    NOT_IN_ROOM = "not-in-room"
    NO_POWER_TO_RAISE = "no-power-to-raise"
    NO_POLICY = "no-policy"
    DOOR_REFUSED = "door-refused"
    HOMESERVER_UNREACHABLE = "homeserver-unreachable"


@dataclass(frozen=True, slots=True)
class Letter:
    """The outside of a received message: what is known before its words are read.

    Args:
        encrypted: Whether it came encrypted.
        device: How far its device is known to be the sender's own.
        edited: Whether it replaces an earlier message.
        forwarded: Whether the client marked it as forwarded.
        sender_server: The sender's homeserver.
        own_server: The ministry's homeserver.
        known_person: Whether the directory names the account.
        guests_may: Whether people of other ministries may say this too.
    """

    encrypted: bool
    device: SenderTrust
    edited: bool
    forwarded: bool
    sender_server: str
    own_server: str
    known_person: bool
    guests_may: bool = False


@dataclass(frozen=True, slots=True)
class CardState:
    """The card that a command is about.

    Args:
        state: open, deciding, decided, withdrawn, superseded or expired.
        expires_at: After it, the card takes no command.
        decide: What the class of the file says: yes, confirm or no.
        movement_no: The movement that the card showed.
        latest_movement: The latest movement of the file that the bridge knows.
        held_by_sender: Whether the sender holds the card's post now.
        may_decide: Whether the sender's charge lets it decide.
        offered: The commands that the card offers.
    """

    state: str
    expires_at: datetime
    decide: str
    movement_no: int
    latest_movement: int
    held_by_sender: bool
    may_decide: bool
    offered: tuple[CommandVerb, ...]


DEVICES = {
    SenderTrust.UNSIGNED: Refusal.UNSIGNED_DEVICE,
    SenderTrust.UNKNOWN: Refusal.UNKNOWN_DEVICE,
    SenderTrust.CHANGED_IDENTITY: Refusal.CHANGED_IDENTITY,
}

CLOSED = {
    "deciding": Refusal.CARD_BUSY,
    "decided": Refusal.CARD_USED,
    "withdrawn": Refusal.CARD_WITHDRAWN,
    "superseded": Refusal.STALE_MOVEMENT,
    "expired": Refusal.CARD_EXPIRED,
}

# These move the file; `approve` and `return` are confirmed whatever the class says.
MOVING = frozenset({CommandVerb.SEEN, CommandVerb.FORWARD})


def judge_letter(letter: Letter) -> Refusal | None:
    """Whether anything written in this message may be a command at all; the first fault tells."""
    return _first(
        (not letter.encrypted, Refusal.NOT_ENCRYPTED),
        (letter.device is not SenderTrust.SIGNED, DEVICES.get(letter.device)),
        (letter.edited, Refusal.EDITED_MESSAGE),
        (letter.forwarded, Refusal.FORWARDED_MESSAGE),
        (
            letter.sender_server != letter.own_server and not letter.guests_may,
            Refusal.OTHER_MINISTRY,
        ),
        (not letter.known_person, Refusal.UNKNOWN_PERSON),
    )


def judge_command(verb: CommandVerb, card: CardState, now: datetime) -> Refusal | None:
    """Whether the sender may give this command on this card at this moment."""
    return _first(
        (not card.held_by_sender, Refusal.NOT_HOLDER),
        (card.state in CLOSED, CLOSED.get(card.state)),
        (now >= card.expires_at, Refusal.CARD_EXPIRED),
        (card.movement_no < card.latest_movement, Refusal.STALE_MOVEMENT),
        (card.decide == "no", Refusal.GRADE_NOT_FROM_CHAT),
        (verb.decides and not card.may_decide, Refusal.LOOK_AFTER_MAY_NOT_DECIDE),
        (verb not in card.offered, Refusal.NOT_OFFERED),
    )


def _first(*checks: tuple[bool, Refusal | None]) -> Refusal | None:
    return next((refusal for failed, refusal in checks if failed), None)


def needs_confirmation(verb: CommandVerb, decide: str) -> bool:
    """Whether the officer is asked once more before the command goes to e-Office."""
    return verb.decides or (verb in MOVING and decide != "yes")
