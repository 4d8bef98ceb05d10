"""Lets an operator go over events once more: what the feed has and the store lacks, or one event.

Nothing is shown twice: an event is stored once, and a post gets one card of it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import aiohttp
from sqlalchemy import Connection, Engine, select

from rabta_bots.clock import Clock, system_clock
from rabta_bots.faults import Fault, SettingsError
from rabta_bots.intake.accepting import Terms, accept_feed, digest_of
from rabta_bots.intake.feed import Feed
from rabta_bots.planning import Planner
from rabta_bots.rulebook import Rulebook
from rabta_bots.secrets_of_settings import digest_key, feed_token, trusted_authorities
from rabta_bots.settings import Settings
from rabta_bots.store.audit import write_audit
from rabta_bots.store.events import NEW, known_of
from rabta_bots.store.opening import in_store, open_store
from rabta_bots.store.tables import events
from rabta_contract.event import Event
from rabta_policy import Policy


@dataclass(frozen=True, slots=True)
class Replayed:
    """What reading the feed once more came to, in events.

    Args:
        known: Stored before.
        stored: Stored now; in a dry run, those that would be.
        differing: Here under the same id with another content: neither is touched.
    """

    known: int = 0
    stored: int = 0
    differing: int = 0


class ReplayError(Exception):
    """It cannot be done.

    Args:
        reason: Stable code: no-such-event, not-planned-yet, ambiguous-event.
        cure: What to do instead, in words.
    """

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}. Cure: {cure}")
        self.reason = reason


async def read_feed_again(settings: Settings, after: int, *, dry_run: bool) -> Replayed:
    """As `replay_feed`, with all that the settings name.

    Raises:
        SettingsError: Settings, store or policy cannot be used, or there is no feed.
        SecretError: A secret's file cannot be used.
        FeedError: As `replay_feed`.
    """
    url = settings.eoffice.url
    if url is None:
        fault = Fault("eoffice.url", "there is no feed.", "drop the files again instead")
        raise SettingsError([fault])
    async with aiohttp.ClientSession() as session:
        feed = Feed(url, feed_token(settings), lambda: session, trusted_authorities(settings))
        with _store(settings) as (engine, policy):
            terms = Terms(
                policy,
                settings.taken_sources,
                settings.intake.start_after,
                settings.intake.max_waiting,
                digest_key(settings),
            )
            return await replay_feed(
                feed, engine, system_clock, terms, after=after, dry_run=dry_run
            )


def replan_event(settings: Settings, event_id: str, actor: str, *, dry_run: bool) -> list[str]:
    """As `replan`, with all that the settings name; a dry run is undone.

    Raises:
        SettingsError, SecretError: As `read_feed_again`.
        ReplayError: As `replan`.
    """
    with _store(settings) as (engine, policy), engine.connect() as connection:
        planner = Planner(
            policy,
            settings.card_lifetime,
            timedelta(minutes=settings.reminder_gap_minutes),
            settings.registry_post,
        )
        with connection.begin() as transaction:
            posts = replan(connection, event_id, planner, actor, system_clock)
            if dry_run:
                transaction.rollback()
        return posts


@contextmanager
def _store(settings: Settings) -> Iterator[tuple[Engine, Policy]]:
    engine = open_store(settings.database.full_url(), system_clock, as_it_is=True)
    try:
        rulebook = Rulebook(settings.policy_file, settings.authority_file, engine, system_clock)
        rulebook.load()
        yield engine, rulebook.policy
    finally:
        engine.dispose()


async def replay_feed(
    feed: Feed,
    engine: Engine,
    clock: Clock,
    terms: Terms,
    *,
    after: int,
    dry_run: bool,
) -> Replayed:
    """Read the feed from a sequence number to its end, and store what is not here.

    Raises:
        FeedError: It cannot be read now; what was stored stays.
    """
    told = Replayed()
    while page := await feed.page(after):
        after = page[-1].sequence_no
        work = partial(_take_page, page=page, terms=terms, now=clock(), dry_run=dry_run)
        one = await in_store(engine, work)
        told = Replayed(
            told.known + one.known, told.stored + one.stored, told.differing + one.differing
        )
    return told


def _take_page(
    connection: Connection, *, page: Sequence[Event], terms: Terms, now: datetime, dry_run: bool
) -> Replayed:
    known = differing = missing = 0
    for event in page:
        if event.source not in terms.sources:
            continue
        before, _ = known_of(connection, event.source, event.id, event.sequence_no)
        missing += before is None
        known += before == digest_of(event, terms)
        differing += before is not None and before != digest_of(event, terms)
    stored = missing if dry_run else accept_feed(connection, page, terms, now).events
    return Replayed(known, stored, differing)


def replan(
    connection: Connection, event_id: str, planner: Planner, actor: str, clock: Clock
) -> list[str]:
    """Make the cards of a stored event that are missing; gives the posts that get one.

    They are missing because a post was unknown then, or the policy did not bridge the grade.

    Raises:
        ReplayError: There is no one such event, or the bridge has yet to plan it.
    """
    found = connection.execute(select(events).where(events.c.event_id == event_id)).all()
    if not found:
        raise ReplayError("no-such-event", "read the feed again with --after first")
    if len(found) > 1:
        raise ReplayError("ambiguous-event", "two sources have used this id; ask them")
    row, now = found[0], clock()
    if row.state == NEW:
        raise ReplayError("not-planned-yet", "let the running bridge plan it")
    posts = planner.replan(connection, row, now)
    write_audit(
        connection, now, "event-replayed", actor=actor, event_id=event_id, detail=str(len(posts))
    )
    return posts
