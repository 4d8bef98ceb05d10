"""What a card says, as values in the officer's language: a headline, rows, a link, a hint. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from rabta_bots.cards.kinds import CardKind
from rabta_bots.cards.wording import moment, say
from rabta_bots.cards.words import (
    DEADLINE_KINDS,
    GRADES,
    N_,
    OUTCOMES,
    PRIORITIES,
    PURPOSES,
    VERBS,
)
from rabta_contract.event import Event, Post
from rabta_contract.vocabulary import CommandVerb


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a card: a label and its value."""

    label: str
    value: str


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
    """

    number: int
    kind: CardKind
    event: Event | None
    reference: str
    post: tuple[str, str]
    verbs: tuple[CommandVerb, ...] = ()


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
    post = facts.post[1] if language == "ur" else facts.post[0]
    shown = [Row(say(language, N_("For")), post)]
    if facts.event is None:
        headline = say(
            language,
            N_("A classified item waits for you in e-Office. Reference: {reference}"),
            reference=facts.reference,
        )
        return CardView(headline, tuple(shown), None, "", "")
    rows = [*shown, *_rows(facts.event, language, zone, remarks_limit)]
    rows.append(Row(say(language, N_("Card")), f"#{facts.number}"))
    return CardView(
        _headline(facts, language),
        tuple(rows),
        link_of(facts.event),
        say(language, N_("Open in e-Office")),
        _hint(facts.verbs, language),
    )


def closed_card(
    facts: Facts, language: str, zone: ZoneInfo, outcome: Mapping[str, Any]
) -> CardView:
    """The card after it was decided, withdrawn, superseded or expired.

    Args:
        facts: What it is made of.
        language: `en` or `ur`.
        zone: In which dates are printed.
        outcome: `result` (a key of `OUTCOMES`), and where known `note_para` and `at`.
    """
    before = pending_card(facts, language, zone, remarks_limit=500)
    headline = say(language, OUTCOMES[outcome["result"]], number=number_of(facts))
    rows = list(before.rows)
    if outcome.get("note_para"):
        rows.append(Row(say(language, N_("Recorded at para")), _para(outcome["note_para"])))
    if outcome.get("at"):
        at = datetime.fromisoformat(outcome["at"])
        rows.append(Row(say(language, N_("Time")), moment(language, at, zone)))
    return CardView(headline, tuple(rows), before.link, before.link_label, "")


def _headline(facts: Facts, language: str) -> str:
    event = facts.event
    movement = event.data.movement if event else None
    decision = event.data.decision if event else None
    number = number_of(facts)
    if facts.kind is CardKind.DECISION and decision is not None:
        return say(language, OUTCOMES[decision.outcome.value], number=number)
    if facts.kind is CardKind.REMINDER:
        return say(language, N_("Reminder: {number} waits for you"), number=number)
    if facts.kind is CardKind.DEADLINE:
        return say(language, N_("Overdue: {number}"), number=number)
    if facts.kind is CardKind.RECEIPT or movement is None:
        return say(language, N_("A paper was marked to you: diary no. {number}"), number=number)
    return say(language, PURPOSES[movement.purpose], number=number)


def number_of(facts: Facts) -> str:
    """The number by which people call the item: of the file, of the diary, or the reference."""
    data = facts.event.data if facts.event else None
    if data is not None and data.file is not None:
        return data.file.file_no
    if data is not None and data.receipt is not None:
        return data.receipt.diary_no
    return facts.reference


def _rows(event: Event, language: str, zone: ZoneInfo, limit: int) -> Iterator[Row]:
    data = event.data

    def row(label: str, value: str) -> Row:
        return Row(say(language, label), value)

    subject = next(
        (part.subject for part in (data.file, data.receipt) if part and part.subject), None
    )
    if subject:
        yield row(N_("Subject"), shortened(subject, limit, language))
    sender = data.movement.from_ if data.movement else data.actor.post
    yield row(N_("From"), name_of_post(sender, language))
    if data.file and data.file.note_para:
        yield row(N_("Note para"), _para(data.file.note_para))
    remarks = next(
        (part.remarks for part in (data.movement, data.decision) if part and part.remarks), None
    )
    if remarks:
        yield row(N_("Remarks"), shortened(remarks, limit, language))
    yield row(N_("Classification"), say(language, GRADES[data.classification]))
    yield row(N_("Urgency"), say(language, PRIORITIES[data.priority]))
    if data.deadline:
        due = moment(language, data.deadline.due, zone)
        yield row(N_("Due"), f"{due} ({say(language, DEADLINE_KINDS[data.deadline.kind])})")
    if data.movement:
        yield row(N_("Movement"), str(data.movement.movement_no))


def shortened(text: str, limit: int, language: str) -> str:
    """`text`, cut at a word before `limit` characters with a word that says so."""
    if len(text) <= limit:
        return text
    cut = text[:limit].rsplit(None, 1)[0] if text[:limit].strip() else ""
    return f"{cut} … {say(language, N_('(continued in e-Office)'))}".strip()


def name_of_post(post: Post, language: str) -> str:
    """What the post is called in the language."""
    if language == "ur" and post.designation_ur:
        return post.designation_ur
    return post.designation


def _para(note_para: int) -> str:
    # Alone in its row, so that the row's isolate keeps 2/N from reading N/2 in Urdu.
    return f"{note_para}/N"


def link_of(event: Event) -> str | None:
    """Where e-Office shows the item, as the event says."""
    for link in event.data.links or ():
        if link.rel == "open" and urlsplit(link.href).scheme in {"http", "https"}:
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
