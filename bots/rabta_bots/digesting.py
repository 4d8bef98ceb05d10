"""Composes a post's daily digest for whoever holds it now, in one read of the store."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from rabta_bots.cards.content import card_message, fitting
from rabta_bots.cards.digest import COUNTS, NOTED, Digest, digest_view
from rabta_bots.cards.view import number_in
from rabta_bots.composing import Composed, Composer
from rabta_bots.grades import allowance
from rabta_bots.officers import holder_now
from rabta_bots.retrying import Permanent
from rabta_bots.store.cards import pending_of_post
from rabta_bots.store.deadlines import overdue_papers
from rabta_bots.store.digests import notes_of_digest
from rabta_bots.store.outbox import NO_HOLDER
from rabta_bots.store.posts import post_names
from rabta_contract.event import Event
from rabta_contract.vocabulary import EventType, Grade


def compose_digest(
    composer: Composer, connection: Connection, row: Row[Any]
) -> Composed | Permanent:
    """What a post reads once a day, in a room of the class of the highest that it names."""
    held = holder_now(connection, composer.directory, row.about_post, composer.now)
    if held is None:
        return Permanent(NO_HOLDER, moot=True)
    officer = held[1]
    pending = pending_of_post(connection, row.about_post)
    noted = [told for told in notes_of_digest(connection, row.key) if told.event]
    if not pending and not noted:
        return Permanent("nothing-to-tell", moot=True)
    grades = [Grade(told.grade) for told in [*pending, *noted]]
    allowed = allowance(composer.policy, max(grades, key=lambda grade: grade.rank))
    if allowed is None:
        return Permanent("grade-not-bridged")
    refusal = composer.may_reach(officer, allowed.room_class)
    if refusal is not None:
        return Permanent(refusal)
    digest = _facts(composer, connection, row, pending, noted)

    def said(most: int) -> dict[str, Any]:
        view = digest_view(digest, officer.language, most)
        return card_message(view, officer.language, officer.user_id)

    return Composed(
        "m.room.message",
        fitting(said, COUNTS),
        officer,
        None,
        (row.about_post, allowed.room_class),
        (row.key, "digest"),
    )


def _facts(
    composer: Composer,
    connection: Connection,
    row: Row[Any],
    pending: Sequence[Row[Any]],
    noted: Sequence[Row[Any]],
) -> Digest:
    papers = {card.stream for card in pending}
    late = overdue_papers(connection, sorted(papers), composer.now)
    since: dict[EventType, list[str]] = {}
    for told in noted:
        event = Event.model_validate(told.event)
        number = number_in(event)
        if number is not None and event.kind is not None and event.kind in NOTED:
            since.setdefault(event.kind, []).append(number)

    def numbers(cards: Sequence[Row[Any]]) -> list[str]:
        shown = [number_in(Event.model_validate(card.event)) for card in cards]
        return [number for number in shown if number is not None]

    return Digest(
        post=post_names(connection, row.about_post),
        pending=numbers(pending),
        overdue=numbers([card for card in pending if card.stream in late]),
        noted=since,
    )
