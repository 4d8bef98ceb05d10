"""Carries what the register says to the bridge's directory, the homeserver and the journal.

First the rooms, then the sessions: who leaves a desk is out of its rooms before anything else.
What fails is tried again; what was carried is marked with the version that was.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine, Row, select, update

from rabta_audit import Journal, Record
from rabta_staff import directory_file, register
from rabta_staff.homeserver import Homeserver, HomeserverError
from rabta_staff.people import shown_name
from rabta_staff.settings import Settings
from rabta_staff.tables import acts, persons

log = structlog.get_logger("rabta.staff")

LOOK_SECONDS = 1.0
AT_ONCE = 8


class Carrier:
    """Carries until it is cancelled.

    Args:
        engine: The store.
        homeserver: The accounts.
        journal: The audit; only this process writes it.
        settings: The service's.
        clock: Gives the time.
    """

    def __init__(
        self,
        engine: Engine,
        homeserver: Homeserver,
        journal: Journal,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._engine = engine
        self._homeserver = homeserver
        self._journal = journal
        self._settings = settings
        self._clock = clock
        self._wake = asyncio.Event()
        self._lanes = asyncio.Semaphore(AT_ONCE)

    def wake(self) -> None:
        """Look at once; called from the loop's own thread."""
        self._wake.set()

    async def run(self) -> None:
        """Look whenever it is woken, and every second: the command line writes to the store too."""
        while True:
            self._wake.clear()
            try:
                await self.turn()
            except Exception:
                log.exception("carrying-failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._wake.wait()

    async def turn(self) -> None:
        """One look: directory, accounts, journal."""
        await asyncio.to_thread(self._write_directory)
        due = await asyncio.to_thread(self._due)
        async with asyncio.TaskGroup() as group:
            for row in due:
                group.create_task(self._carry(row))
        await asyncio.to_thread(self._write_journal)

    def _write_directory(self) -> None:
        with self._engine.connect() as connection:
            directory = directory_file.document(connection, self._settings.server_name)
        if directory_file.write(Path(self._settings.directory_file), directory):
            log.info("directory-written", persons=len(directory["persons"]))

    def _due(self) -> list[Row[Any]]:
        with self._engine.connect() as connection:
            return list(connection.execute(select(persons).where(persons.c.due)))

    async def _carry(self, row: Row[Any]) -> None:
        async with self._lanes:
            try:
                if row.active:
                    await self._bring(row)
                elif row.owned:
                    await self._homeserver.close_account(row.localpart)
            except HomeserverError as error:
                if row.fault != error.reason:
                    log.warning("account-not-carried", person=row.id, reason=error.reason)
                await asyncio.to_thread(self._mark, row, fault=error.reason)
                return
            act = "account-carried" if row.active else "account-closed"
            await asyncio.to_thread(self._mark, row, fault=None, due=False, act=act)

    async def _bring(self, row: Row[Any]) -> None:
        if not row.owned and not await self._own(row):
            raise HomeserverError("account-taken", permanent=False)
        if row.sessions_end:
            # Before the name: whoever left the desk is out, whatever else fails.
            ended = await self._homeserver.end_sessions(row.localpart)
            await asyncio.to_thread(self._sessions_ended, row, ended)
        held = await asyncio.to_thread(self._posts, row.id)
        await self._homeserver.bring(row.localpart, shown_name(row.name, held), self._subject(row))

    async def _own(self, row: Row[Any]) -> bool:
        """Whether the account's name was found free and is kept for this person from now on."""
        free = await self._homeserver.look_up(row.localpart) is None

        def keep() -> None:
            with self._engine.begin() as connection:
                if free:
                    owned = update(persons).where(persons.c.id == row.id).values(owned=True)
                    connection.execute(owned)
                else:
                    # Another's account, made before there was a register: a homonym's.
                    taken = {row.localpart, *self._reserved}
                    register.another_localpart(connection, row, self._clock(), reserved=taken)

        await asyncio.to_thread(keep)
        return free

    @property
    def _reserved(self) -> tuple[str, ...]:
        return (*self._settings.reserved, self._settings.account)

    def _posts(self, person_id: str) -> list[Any]:
        with self._engine.connect() as connection:
            return register.posts_of(connection, person_id)

    def _subject(self, row: Row[Any]) -> tuple[str, str] | None:
        attribute = self._settings.sso_subject
        if attribute is None:
            return None
        subject = row.subject or getattr(row, attribute)
        return None if subject is None else (self._settings.sso_provider, subject)

    def _sessions_ended(self, row: Row[Any], ended: int) -> None:
        """Note it, unless the person has moved once more since."""
        with self._engine.begin() as connection:
            same = (persons.c.id == row.id) & (persons.c.version == row.version)
            connection.execute(update(persons).where(same).values(sessions_end=False))
            register.note(connection, "sessions-ended", self._clock(), person_id=row.id)
        log.info("sessions-ended", person=row.id, devices=ended)

    def _mark(
        self, row: Row[Any], *, fault: str | None, due: bool = True, act: str | None = None
    ) -> None:
        with self._engine.begin() as connection:
            same = (persons.c.id == row.id) & (persons.c.version == row.version)
            values = {"fault": fault, **({} if due else {"due": False, "sessions_end": False})}
            done = connection.execute(update(persons).where(same).values(**values))
            if act is not None and done.rowcount:
                register.note(connection, act, self._clock(), person_id=row.id)

    def _write_journal(self) -> None:
        with self._engine.connect() as connection:
            waiting = list(connection.execute(_WAITING))
        for row in waiting:
            self._journal.append(self._record(row))
        self._journal.sync()
        with self._engine.begin() as connection:
            for row in waiting:
                connection.execute(update(acts).where(acts.c.row == row.row).values(journaled=True))

    def _record(self, row: Row[Any]) -> Record:
        about = None if row.localpart is None else self._homeserver.user_id(row.localpart)
        return Record(
            time=row.time,
            serial=0,
            path="staff",
            action=row.act,
            verdict="noted",
            origin=self._settings.server_name,
            actor=about,
            ref=row.order_no,
            events=tuple(one for one in (row.person_id, row.post) if one is not None),
        )


_WAITING = (
    select(acts, persons.c.localpart)
    .select_from(acts.outerjoin(persons, persons.c.id == acts.c.person_id))
    .where(~acts.c.journaled)
    .order_by(acts.c.row)
)
