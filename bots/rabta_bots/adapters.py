"""Joins the parts by which this bridge meets its e-Office, as the settings say."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import aiohttp
from sqlalchemy import Engine

from rabta_bots.clock import Clock
from rabta_bots.commands.dispatching import EOfficeDesk
from rabta_bots.commands.folder_desk import CommandFolder
from rabta_bots.documents.fetching import DocumentStore, EOfficeDocuments, NoDocuments
from rabta_bots.faults import Fault, SettingsError
from rabta_bots.intake.catching_up import CatchingUp
from rabta_bots.intake.door import EventDoor
from rabta_bots.intake.feed import Feed
from rabta_bots.intake.folder import DroppedFiles
from rabta_bots.intake.polling import PolledFeed
from rabta_bots.intake.source import CommandDesk, EventSource, SourceError
from rabta_bots.intake.taking import Intake
from rabta_bots.mayan.desk import MayanDesk
from rabta_bots.mayan.mapping import load_mapping
from rabta_bots.mayan.rest import Mayan
from rabta_bots.mayan.source import MayanSource
from rabta_bots.metrics import Metrics
from rabta_bots.secrets_of_settings import (
    LiveSecrets,
    command_secrets,
    feed_token,
    mayan_token,
    trusted_authorities,
)
from rabta_bots.settings import MayanEDMS, Settings


@dataclass(frozen=True, slots=True)
class EOffice:
    """One e-Office, however it is reached.

    Args:
        sources: Every way in; those that can fill a gap stand first.
        desk: The way out.
        documents: Where the documents of its events lie.
    """

    sources: tuple[EventSource, ...]
    desk: CommandDesk
    documents: DocumentStore

    async def fill(self, source: str, since: datetime) -> None:
        """As `EventSource.fill`, by the first way that can.

        Raises:
            SourceError: No way can say now that nothing is missing.
        """
        told = SourceError("no-source")
        for way in self.sources:
            try:
                return await way.fill(source, since)
            except SourceError as error:
                told = error
        raise told


def open_eoffice(
    settings: Settings,
    *,
    engine: Engine,
    clock: Clock,
    intake: Intake,
    metrics: Metrics,
    session: Callable[[], aiohttp.ClientSession],
) -> EOffice:
    """The e-Office of the settings: over the network, by files, or both; or Mayan.

    Raises:
        SettingsError: A secret or a folder cannot be used.
    """
    eoffice, limits = settings.eoffice, settings.intake
    if eoffice.mayan is not None:
        return _open_mayan(
            settings,
            eoffice.mayan,
            engine=engine,
            clock=clock,
            intake=intake,
            metrics=metrics,
            session=session,
        )
    secrets = LiveSecrets(settings)
    door = EventDoor(clock=clock, limits=limits, secrets=secrets, intake=intake, metrics=metrics)
    sources: list[EventSource] = [door]
    desk: CommandDesk | None = None
    documents: DocumentStore = NoDocuments()
    if eoffice.folder is not None:
        try:
            dropped = DroppedFiles(
                eoffice.folder,
                clock=clock,
                limits=limits,
                secrets=secrets,
                intake=intake,
                metrics=metrics,
                interval=settings.poll_interval_seconds,
            )
            desk = CommandFolder(eoffice.folder, command_secrets(settings), secrets)
        except OSError as error:
            fault = Fault(
                "eoffice.folder",
                f"cannot make the folders in {eoffice.folder} ({type(error).__name__}).",
                "make the folder and let the bridge's user write there",
            )
            raise SettingsError([fault]) from error
        sources.insert(0, dropped)
    if eoffice.url is not None:
        tls = trusted_authorities(settings)
        feed = Feed(eoffice.url, feed_token(settings), session, tls)
        catching_up = {
            source: CatchingUp(
                feed,
                engine=engine,
                clock=clock,
                source=source,
                intake=intake,
                start_after=limits.start_after,
            )
            for source in sorted(settings.taken_sources)
        }
        sources.insert(0, PolledFeed(catching_up, limits.feed_interval_seconds))
        desk = EOfficeDesk(eoffice.url, command_secrets(settings), session, tls)
        documents = EOfficeDocuments(
            eoffice.url, feed_token(settings), command_secrets(settings), session, tls
        )
    if desk is None:
        raise LookupError("the settings name a url or a folder")
    return EOffice(tuple(sources), desk, documents)


def _open_mayan(
    settings: Settings,
    told: MayanEDMS,
    *,
    engine: Engine,
    clock: Clock,
    intake: Intake,
    metrics: Metrics,
    session: Callable[[], aiohttp.ClientSession],
) -> EOffice:
    """One workflow of Mayan, as the one source of the bridge."""
    mapping = load_mapping(told.mapping_file)
    token = mayan_token("token_file", told.token_file)
    if len(settings.taken_sources) != 1:
        fault = Fault("sources", "Mayan is one source.", "name one, or leave it out")
        raise SettingsError([fault])
    hook = mayan_token("hook_token_file", told.hook_token_file) if told.hook_token_file else None
    mayan = Mayan(told.url, session, trusted_authorities(settings))
    (source,) = settings.taken_sources
    events = MayanSource(
        mayan,
        mapping,
        source=source,
        token=token,
        hook_token=hook,
        engine=engine,
        clock=clock,
        intake=intake,
        metrics=metrics,
        interval=settings.intake.feed_interval_seconds,
    )
    desk = MayanDesk(mayan, mapping, token, events.look_at)
    return EOffice((events,), desk, NoDocuments())
