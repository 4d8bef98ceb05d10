"""What the judge answers: allowed, with the grant it rests on, or denied, with every reason."""

from dataclasses import dataclass
from typing import NamedTuple

from rabta_policy.actions import Action
from rabta_policy.reasons import CATALOGUE, ReasonCode


@dataclass(frozen=True, slots=True)
class Grant:
    """What an allowed act rests on.

    Attributes:
        rule: `R11` for a relation, `R12` for a permit (docs/reference/rules.md).
        text: The grant in words.
        ref: The relation's name, or the permit's order number.
    """

    rule: str
    text: str
    ref: str


class Reason(NamedTuple):
    """One reason why an act is denied. Words are made when asked for.

    A tuple, for it is made on the path of every denied request and costs a third that way.

    Attributes:
        code: A stable code in kebab-case (docs/reference/reason-codes.md).
        action: The act that was judged.
        subject: Whom or what the reason is about.
        detail: What else the words need.
    """

    code: ReasonCode
    action: Action
    subject: str = ""
    detail: str = ""

    @property
    def rule(self) -> str:
        """The number of the rule, `R1` and so on."""
        return CATALOGUE[self.code].rule

    @property
    def text(self) -> str:
        """The reason in words."""
        return self._say(CATALOGUE[self.code].text)

    @property
    def cure(self) -> str:
        """What can be done about it, and by whom."""
        return self._say(CATALOGUE[self.code].cure)

    def _say(self, words: str) -> str:
        room = self.action.room
        return words.format(
            subject=self.subject,
            detail=self.detail,
            action=str(self.action.kind),
            origin=self.action.origin,
            destination=self.action.destination,
            room_class=room.room_class if room else "unclassified",
        )


@dataclass(frozen=True, slots=True)
class Allowed:
    """The act may be done."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Denied:
    """The act may not be done; there is at least one reason, the first found first."""

    reasons: tuple[Reason, ...]


Verdict = Allowed | Denied
