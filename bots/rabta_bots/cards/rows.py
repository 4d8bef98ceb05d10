"""The rows of a card or a line: what of an event is said, in which order. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from rabta_bots.cards.wording import moment, say
from rabta_bots.cards.words import DEADLINE_KINDS, GRADES, N_, PRIORITIES
from rabta_contract.event import Event, EventData, Post
from rabta_contract.vocabulary import EventType

# Characters of a name or a number at most, and at least when the whole card must become shorter.
LONGEST_NAME = 200
SHORTEST_NAME = 24


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a card: a label and its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Rows:
    """Makes rows in one language.

    Args:
        language: `en` or `ur`.
        zone: In which dates are printed.
        limit: Characters of subject and remarks at most; the rest stands in e-Office.
    """

    language: str
    zone: ZoneInfo
    limit: int = 2000

    def of_card(self, event: Event) -> Iterator[Row]:
        """What a card says of its event."""
        data = event.data
        subject = next((p.subject for p in (data.file, data.receipt) if p and p.subject), None)
        if subject:
            yield self._row(N_("Subject"), shortened(subject, self.limit, self.language))
        yield self._row(N_("From"), self.designation(sender_of(data)))
        if data.file and data.file.note_para:
            yield self._row(N_("Note para"), para(data.file.note_para))
        yield from self._draft_and_dispatch(data)
        remarks = next((p.remarks for p in (data.movement, data.decision) if p and p.remarks), None)
        if remarks:
            yield self._row(N_("Remarks"), shortened(remarks, self.limit, self.language))
        yield self._row(N_("Classification"), say(self.language, GRADES[data.classification]))
        yield self._row(N_("Urgency"), say(self.language, PRIORITIES[data.priority]))
        if data.deadline:
            yield self._due(data)
        if data.movement:
            yield self._row(N_("Movement"), str(data.movement.movement_no))

    def of_line(self, event: Event) -> Iterator[Row]:
        """What a line says of its event, beside its first words."""
        data = event.data
        yield self._row(N_("By"), self.designation(data.on_behalf_of or data.actor.post))
        if data.receipt:
            yield self._row(N_("Diary no."), self.name(data.receipt.diary_no))
        if data.file and data.file.part:
            yield self._row(N_("Part"), self.name(data.file.part))
        if data.file and data.file.volume:
            yield self._row(N_("Volume"), self.name(data.file.volume))
        if data.file and data.file.linked:
            yield self._row(N_("Linked files"), self.name(", ".join(data.file.linked)))
        if data.file and data.file.record_category:
            yield self._row(N_("Record category"), data.file.record_category)
        yield from self._draft_and_dispatch(data)
        if event.kind is EventType.FILE_CLASSIFICATION_CHANGED:
            yield self._row(N_("Classification"), say(self.language, GRADES[data.classification]))
        if event.kind is EventType.FILE_PRIORITY_CHANGED:
            yield self._row(N_("Urgency"), say(self.language, PRIORITIES[data.priority]))
        if data.deadline:
            yield self._due(data)

    def designation(self, post: Post) -> str:
        """What the post is called, cut where it would fill the card."""
        return self.name(name_of_post(post, self.language))

    def name(self, text: str) -> str:
        """A name or a number, cut where it would fill the card."""
        most = max(min(LONGEST_NAME, self.limit), SHORTEST_NAME)
        return text if len(text) <= most else f"{text[:most]}…"

    def _draft_and_dispatch(self, data: EventData) -> Iterator[Row]:
        if data.draft:
            yield self._row(N_("Draft version"), str(data.draft.version))
        if data.dispatch:
            yield self._row(N_("Dispatch no."), self.name(data.dispatch.dispatch_no))
        addressees = next(
            (p.addressees for p in (data.dispatch, data.draft) if p and p.addressees), None
        )
        if addressees:
            yield self._row(N_("Addressed to"), self.name(", ".join(addressees)))

    def _due(self, data: EventData) -> Row:
        if data.deadline is None:
            raise LookupError("asked for the time limit of an event without one")
        due = moment(self.language, data.deadline.due, self.zone)
        kind = say(self.language, DEADLINE_KINDS[data.deadline.kind])
        return self._row(N_("Due"), f"{due} ({kind})")

    def _row(self, label: str, value: str) -> Row:
        return Row(say(self.language, label), value)


def name_of_post(post: Post, language: str) -> str:
    """What the post is called in the language; in English where no other name is known."""
    if language == "ur" and post.designation_ur:
        return post.designation_ur
    return post.designation


def sender_of(data: EventData) -> Post:
    """The post that a card comes from."""
    return data.movement.from_ if data.movement else (data.on_behalf_of or data.actor.post)


def para(note_para: int) -> str:
    """The spelling of a note paragraph.

    Alone in its row, so that the row's isolate keeps 2/N from reading N/2 in Urdu.
    """
    return f"{note_para}/N"


def shortened(text: str, limit: int, language: str) -> str:
    """`text`, cut at a word before `limit` characters with a word that says so."""
    if len(text) <= limit:
        return text
    cut = text[:limit].rsplit(None, 1)[0] if text[:limit].strip() else ""
    return f"{cut} … {say(language, N_('(continued in e-Office)'))}".strip()
