"""What a card or a line says, as values in the officer's language. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rabta_bots.cards.attachments import Attachment, attachment_rows
from rabta_bots.cards.kinds import CardKind
from rabta_bots.cards.rows import Row, Rows, para
from rabta_bots.cards.wording import moment, say
from rabta_bots.cards.words import HEADLINES, N_, OUTCOMES, PURPOSES, VERBS
from rabta_contract.event import Event
from rabta_contract.vocabulary import CommandVerb

# A longer address is not worth the room that it takes from the rest of the card.
LONGEST_LINK = 500


@dataclass(frozen=True, slots=True)
class CardView:
    """A card in one language.

    Args:
        headline: First line; begins with a word of the language, so that it sets the direction.
        rows: In reading order.
        link: Where e-Office shows the item, or None.
        link_label: What the link is called.
        hint: Which commands work, or the empty string.
    """

    headline: str
    rows: tuple[Row, ...]
    link: str | None
    link_label: str
    hint: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a card is made of.

    Args:
        number: The card's number, by which a command may name it (`#41`).
        kind: What it is about.
        event: The stored event; None for a notice, of which nothing may be kept.
        reference: What e-Office finds the item by (the event's id).
        post: English and Urdu designation of the post the card is for.
        verbs: The commands that its holder may give.
        attachments: The documents that come along.
    """

    number: int
    kind: CardKind
    event: Event | None
    reference: str
    post: tuple[str, str]
    verbs: tuple[CommandVerb, ...] = ()
    attachments: tuple[Attachment, ...] = ()


def pending_card(
    facts: Facts, language: str, zone: ZoneInfo, *, remarks_limit: int = 2000
) -> CardView:
    """The card as it is first shown.

    Args:
        facts: What it is made of.
        language: `en` or `ur`.
        zone: In which dates are printed.
        remarks_limit: Characters of subject and remarks at most; the rest stands in e-Office.
    """
    rows = Rows(language, zone, remarks_limit)
    post = facts.post[1] if language == "ur" else facts.post[0]
    shown = [Row(say(language, N_("For")), rows.name(post))]
    if facts.event is None:
        headline = say(
            language,
            N_("A classified item waits for you in e-Office. Reference: {reference}"),
            reference=facts.reference,
        )
        return CardView(headline, tuple(shown), None, "", "")
    shown += rows.of_card(facts.event)
    shown += [Row(*told) for told in attachment_rows(facts.attachments, language)]
    shown.append(Row(say(language, N_("Card")), f"#{facts.number}"))
    return CardView(
        _headline(facts.event, rows.name(number_of(facts)), language),
        tuple(shown),
        link_of(facts.event),
        say(language, N_("Open in e-Office")),
        _hint(facts.verbs, language),
    )


def closed_card(
    facts: Facts,
    language: str,
    zone: ZoneInfo,
    outcome: Mapping[str, Any],
    *,
    remarks_limit: int = 500,
) -> CardView:
    """The card after it was decided, withdrawn, superseded or expired.

    Args:
        facts: What it is made of.
        language: `en` or `ur`.
        zone: In which dates are printed.
        outcome: `result` (a key of `OUTCOMES`), and where known `note_para` and `at`.
        remarks_limit: As for `pending_card`.
    """
    before = pending_card(facts, language, zone, remarks_limit=remarks_limit)
    number = Rows(language, zone, remarks_limit).name(number_of(facts))
    headline = say(language, OUTCOMES[outcome["result"]], number=number)
    rows = list(before.rows)
    if outcome.get("note_para"):
        rows.append(Row(say(language, N_("Recorded at para")), para(outcome["note_para"])))
    if outcome.get("at"):
        at = datetime.fromisoformat(outcome["at"])
        rows.append(Row(say(language, N_("Time")), moment(language, at, zone)))
    return CardView(headline, tuple(rows), before.link, before.link_label, "")


def line(
    event: Event, reference: str, language: str, zone: ZoneInfo, *, remarks_limit: int = 2000
) -> CardView:
    """A line about a file, below its card.

    Args:
        event: What happened.
        reference: What to call the file by where the event does not.
        language: `en` or `ur`.
        zone: In which dates are printed.
        remarks_limit: Characters of a name at most.
    """
    rows = Rows(language, zone, remarks_limit)
    number = rows.name(number_in(event) or reference)
    return CardView(_headline(event, number, language), tuple(rows.of_line(event)), None, "", "")


def number_of(facts: Facts) -> str:
    """The number by which people call the item: of the file, of the diary, or the reference."""
    return (number_in(facts.event) if facts.event else None) or facts.reference


def number_in(event: Event) -> str | None:
    """The number by which people call what the event is about, if it has one."""
    data = event.data
    if data.file is not None:
        return data.file.file_no
    if data.receipt is not None:
        return data.receipt.diary_no
    if data.dispatch is not None:
        return data.dispatch.dispatch_no
    return data.draft.file_id if data.draft is not None else None


def _headline(event: Event, number: str, language: str) -> str:
    data = event.data
    if event.kind is not None and event.kind in HEADLINES:
        return say(language, HEADLINES[event.kind], number=number)
    if data.decision is not None:
        return say(language, OUTCOMES[data.decision.outcome.value], number=number)
    if data.movement is None:
        raise LookupError(f"{event.type} is shown nowhere")
    return say(language, PURPOSES[data.movement.purpose], number=number)


def link_of(event: Event) -> str | None:
    """Where e-Office shows the item, as the event says."""
    for link in event.data.links or ():
        if link.rel == "open" and link.leads_to_web and len(link.href) <= LONGEST_LINK:
            return link.href
    return None


def _hint(verbs: tuple[CommandVerb, ...], language: str) -> str:
    if not verbs:
        return ""
    return (
        say(language, N_("You can reply:"))
        + " "
        + " · ".join(say(language, VERBS[verb]) for verb in verbs)
    )
