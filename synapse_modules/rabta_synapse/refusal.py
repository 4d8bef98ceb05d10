"""A refusal in the words of Matrix: M_FORBIDDEN, the reason code, and a sentence that helps."""

from dataclasses import dataclass
from http import HTTPStatus

from synapse.api.errors import Codes, SynapseError
from synapse.module_api import JsonDict

from rabta_policy import Denied

_BETWEEN_THE_TWO = frozenset(
    {"no-permit", "class-above-relation", "class-above-permit", "permit-not-in-force"}
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something may not be: the judge's first reason, or a rule of the room's class.

    Attributes:
        code: Stable public word in kebab-case.
        rule: R and a number for the judge's rules, D and a number for the door's.
        text: What is wrong, in a sentence.
        cure: What to do about it, and who.
        further: Codes of the judge's other reasons.
    """

    code: str
    rule: str
    text: str
    cure: str
    further: tuple[str, ...] = ()

    @classmethod
    def by_judge(cls, denied: Denied) -> "Refusal":
        """The judge's denial in one value."""
        first, *others = denied.reasons
        return cls(
            code=first.code.value,
            rule=first.rule,
            text=first.text,
            cure=first.cure,
            further=tuple(reason.code.value for reason in others),
        )

    @property
    def between_the_two(self) -> bool:
        """Whether the two organisations lack the right, whatever else speaks against it."""
        return not _BETWEEN_THE_TWO.isdisjoint((self.code, *self.further))

    @property
    def fields(self) -> JsonDict:
        """The keys it adds to a Matrix error body, `error` with its sentence among them."""
        return {
            "error": f"{self.text} {self.cure}",
            "org.rabta.reason": self.code,
            "org.rabta.rule": self.rule,
        }

    @property
    def error(self) -> SynapseError:
        """The 403 to raise where Synapse lets a module raise."""
        return SynapseError(
            HTTPStatus.FORBIDDEN, str(self.fields["error"]), Codes.FORBIDDEN, self.fields
        )

    @property
    def answer(self) -> tuple[Codes, JsonDict]:
        """The value to return from a `user_may_*` callback; Synapse makes a 403 of it."""
        return Codes.FORBIDDEN, self.fields


FAILED = Refusal(
    code="door-failed",
    rule="D0",
    text="This server's federation door met a fault of its own and therefore stayed closed.",
    cure="Try again; if it stays so, tell the administrator of your homeserver.",
)
"""What is answered when our own code fails: D0, closed."""

NO_POLICY = Refusal(
    code="no-policy",
    rule="D1",
    text="This homeserver holds no signed policy, so nothing is allowed.",
    cure="The administrator must install the policy of the network authority.",
)
"""What is answered before the first policy is believed: D1, closed."""

NOT_INVITED = Refusal(
    code="room-unknown",
    rule="D2",
    text="A room of another homeserver can be joined by invitation only, and this server holds "
    "no invitation of yours to it.",
    cure="Ask a member of the room to invite you.",
)
"""D2: no state and no signed invite to judge by."""

ADDRESS = Refusal(
    code="address-not-a-server",
    rule="D3",
    text="People are invited by their Matrix user id; an e-mail address or telephone number "
    "belongs to no ministry's server.",
    cure="Ask the person for their user id.",
)
"""D3: there is nobody to ask the judge about."""

NOT_TOGETHER = Refusal(
    code="no-shared-room",
    rule="D14",
    text="Nothing is told about a person with whom your server shares no room.",
    cure="Invite the person to a room, or be invited by them.",
)
"""D14: a right between two ministries is no list of each other's people."""

HISTORY_OF_OTHERS = Refusal(
    code="history-of-others",
    rule="D15",
    text="People were in this room with whom the ministry of whoever comes in may not be together; "
    "what they wrote is still in it.",
    cure="Make a new room.",
)
"""D15: leaving a room takes nothing along."""

CLOSED_ENDPOINT = Refusal(
    code="closed-endpoint",
    rule="D17",
    text="This server answers no other server here.",
    cure="Nothing: what two ministries may ask of each other has its own endpoints.",
)
"""D17: what the guard does not know is closed."""

NOT_THE_BOT = Refusal(
    code="not-the-bot",
    rule="D16",
    text="Only the ministry's bot raises a room's class for somebody else.",
    cure="Tell the bot, or send the label yourself.",
)
"""D16: the bot answers for who said it."""

NOT_AN_ADMINISTRATOR = Refusal(
    code="not-an-administrator",
    rule="D18",
    text="Only an administrator of this homeserver sets a room's record category for somebody.",
    cure="Ask the records officer, or set it yourself where you have full power.",
)
"""D18: the records officer's command runs where the administrators are."""

NO_POWER_OF_OURS = Refusal(
    code="no-power-of-ours",
    rule="D18",
    text="Nobody of this server has full power in this room.",
    cure="Ask the ministry that made the room.",
)
"""D18: whose room it is says how long it is kept."""

NOT_IN_ROOM = Refusal(
    code="not-in-room",
    rule="D16",
    text="The officer is in no such room.",
    cure="Give the id of a room, or an alias of this server, that the officer is in.",
)
"""D16: the same words for a room that is not there and for one the officer is not in."""

NO_POWER_TO_RAISE = Refusal(
    code="no-power-to-raise",
    rule="D16",
    text="The officer has not the power in this room that changing its class needs.",
    cure="Somebody with full power in the room must raise it.",
)
"""D16: by the room's own state, as Synapse reads it."""

SOMEBODY_INSIDE = "Somebody in this room may not be together with your ministry."
"""Said in place of the judge's words, which name who is in the room."""
