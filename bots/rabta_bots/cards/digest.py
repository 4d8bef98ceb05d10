"""The daily digest of a post: what is pending, what is overdue, what else has happened. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rabta_bots.cards.rows import LONGEST_NAME, Row
from rabta_bots.cards.view import CardView
from rabta_bots.cards.wording import say
from rabta_bots.cards.words import N_
from rabta_contract.vocabulary import EventType

# How many numbers a digest names at most of each kind; the rest stand in e-Office.
COUNTS = (40, 20, 10, 5, 0)

NOTED = {
    EventType.RECEIPT_DIARISED: (N_("Papers diarised"), N_("Diarised")),
    EventType.RECEIPT_ACKNOWLEDGED: (N_("Papers acknowledged"), N_("Acknowledged")),
    EventType.RECEIPT_CLOSED: (N_("Papers closed"), N_("Closed")),
    EventType.RECEIPT_REOPENED: (N_("Papers reopened"), N_("Reopened")),
}


@dataclass(frozen=True, slots=True)
class Digest:
    """What a digest is made of.

    Args:
        post: English and Urdu designation of the post.
        pending: Numbers of the files that are before it, oldest first.
        overdue: Those of them whose time is over.
        noted: Numbers of what else has happened since the last digest, by event type.
    """

    post: tuple[str, str]
    pending: Sequence[str]
    overdue: Sequence[str]
    noted: Mapping[EventType, Sequence[str]]


def digest_view(digest: Digest, language: str, most: int) -> CardView:
    """The digest in a language, with `most` numbers of each kind at most."""
    post = digest.post[1] if language == "ur" else digest.post[0]
    headline = say(language, N_("Today for {post}"), post=post[:LONGEST_NAME])
    return CardView(headline, tuple(_rows(digest, language, most)), None, "", "")


def _rows(digest: Digest, language: str, most: int) -> Iterator[Row]:
    kinds = [
        (N_("Pending files"), N_("Pending"), digest.pending),
        (N_("Overdue files"), N_("Overdue"), digest.overdue),
        *((*NOTED[kind], numbers) for kind, numbers in digest.noted.items()),
    ]
    for counted, single, numbers in kinds:
        if not numbers:
            continue
        yield Row(say(language, counted), str(len(numbers)))
        for number in numbers[:most]:
            # A row each, so that every number has an isolate of its own.
            yield Row(say(language, single), number[:LONGEST_NAME])
        if len(numbers) > most:
            rest = say(language, N_("{count} more stand in e-Office"), count=len(numbers) - most)
            yield Row(say(language, N_("And further")), rest)
