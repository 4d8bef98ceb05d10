"""The bridge as one process: it joins the parts, runs their loops and stops them in order."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import structlog
from aiohttp import web
from sqlalchemy import Engine

from rabta_bots.adapters import open_eoffice
from rabta_bots.alarms import Alarms, Watch
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.clockwork import Clockwork
from rabta_bots.commands.dispatching import Dispatcher
from rabta_bots.commands.processing import Processing, four_digits
from rabta_bots.commands.raising import Raising
from rabta_bots.commands.reader import Reader
from rabta_bots.commands.unreadable import Unreadable
from rabta_bots.composing import Composer
from rabta_bots.directory import Directory, DirectoryFile
from rabta_bots.documents.filing import DocumentFiler
from rabta_bots.documents.posting import DocumentPoster
from rabta_bots.documents.scanning import Clamd
from rabta_bots.faults import SettingsError
from rabta_bots.health import add_health
from rabta_bots.intake.accepting import Terms
from rabta_bots.intake.taking import Intake
from rabta_bots.listening import listen
from rabta_bots.matrix import Condition, MatrixError
from rabta_bots.metrics import Metrics
from rabta_bots.planning import Planner
from rabta_bots.planning_queue import PlanningQueue
from rabta_bots.reminding import remind_due
from rabta_bots.retrying import backoff
from rabta_bots.rooms import PostRooms
from rabta_bots.rulebook import Rulebook
from rabta_bots.secrets_of_settings import digest_key
from rabta_bots.sending import Sender
from rabta_bots.settings import Settings
from rabta_bots.shared_rooms import SharedRooms
from rabta_bots.staffing import follow_directory
from rabta_bots.status import counts
from rabta_bots.store.opening import in_store
from rabta_bots.timekeeping import Timekeeper
from rabta_bots.working import Worker

log = structlog.get_logger("rabta.bridge")

# Files are looked at this often; rooms as often, because charges begin and end by the clock.
WATCH_SECONDS = 0.5
ALIGN_SECONDS = 2.0
CLOCK_SECONDS = 5.0
ALIGN_SOON_SECONDS = 0.25
REQUEST_SECONDS = 30


class Bridge:
    """One bridge: one ministry, one e-Office, one Matrix account.

    Args:
        settings: As parsed.
        engine: An open store.
        chat: The Matrix client, not yet started.
        make_code: Makes the codes of confirmations.

    Raises:
        SettingsError: A secret, the policy or the directory cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        chat: Chat,
        *,
        clock: Clock,
        make_code: Callable[[], str] = four_digits,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._chat = chat
        self._clock = clock
        self._zone = ZoneInfo(settings.timezone)
        self._server_name = settings.matrix.user_id.partition(":")[2]
        self._digest_key = digest_key(settings)
        self._http: aiohttp.ClientSession | None = None
        self._started = False
        self._align_soon = False
        self._stop = asyncio.Event()
        self.metrics = Metrics()
        self._rulebook = Rulebook(settings.policy_file, settings.authority_file, engine, clock)
        self._rulebook.load()
        self._directory = DirectoryFile(settings.directory_file)
        self._directory.reload()
        self._followed: Directory | None = None
        self._intake = Intake(
            engine=engine,
            clock=clock,
            terms=self._terms,
            metrics=self.metrics,
            look_up=self._look_up,
            stored=self._wake_planner,
        )
        self._eoffice = open_eoffice(
            settings,
            engine=engine,
            clock=clock,
            intake=self._intake,
            metrics=self.metrics,
            session=self._session,
        )
        self._timekeeper = Timekeeper(
            settings.organisation,
            settings.calendar.working_days(self._zone),
            settings.deadlines.limits,
            settings.deadlines.again,
        )
        self._clockwork = Clockwork(
            engine=engine,
            clock=clock,
            planner=self._planner,
            timekeeper=self._timekeeper,
            directory=lambda: self._directory.current,
            digest_hour=settings.digest_hour,
        )
        self._planning_queue = PlanningQueue(
            engine=engine,
            clock=clock,
            sources=sorted(settings.taken_sources),
            fill=self._eoffice.fill,
            planner=self._planner,
            limits=settings.intake,
            charge_planned=self._wake_aligning,
        )
        self._reader = Reader(
            chat=chat,
            engine=engine,
            metrics=self.metrics,
            processing=lambda: Processing(
                self._composer(), chat.user_id, settings.confirmation_window, make_code
            ),
        )
        self._unreadable = Unreadable(
            chat=chat,
            engine=engine,
            metrics=self.metrics,
            composer=self._composer,
            after=settings.unreadable_after,
        )
        self._rooms = PostRooms(chat, engine, clock, lambda: self._directory.current)
        self._shared_rooms = SharedRooms(chat, engine, self._composer)
        self._sender = Sender(
            chat=chat,
            engine=engine,
            clock=clock,
            rooms=self._rooms,
            shared_rooms=self._shared_rooms,
            composer=self._composer,
            metrics=self.metrics,
            polls=settings.polls,
            wake=self._wake_sending,
            documents_queued=self._wake_posting,
        )
        scanner = settings.documents.scanner
        self._poster = DocumentPoster(
            chat=chat,
            engine=engine,
            clock=clock,
            rooms=self._rooms,
            store=self._eoffice.documents,
            scanner=Clamd(scanner) if scanner else None,
            spool=settings.documents.spool_folder,
            composer=self._composer,
            metrics=self.metrics,
        )
        self._filer = DocumentFiler(
            chat=chat,
            engine=engine,
            clock=clock,
            store=self._eoffice.documents,
            scanner=Clamd(scanner) if scanner else None,
            spool=settings.documents.spool_folder,
            composer=self._composer,
            metrics=self.metrics,
        )
        self._dispatcher = Dispatcher(
            engine=engine,
            clock=clock,
            desk=self._eoffice.desk,
            composer=self._composer,
            metrics=self.metrics,
        )
        self._raising = Raising(
            chat=chat, engine=engine, clock=clock, directory=lambda: self._directory.current
        )
        look = settings.poll_interval_seconds
        self._watching = Worker("watching", self._watch, WATCH_SECONDS)
        self._collecting = [
            Worker(
                f"collecting-{source.via}", source.collect, settings.intake.feed_interval_seconds
            )
            for source in self._eoffice.sources
        ]
        self._planning = Worker("planning", self._plan, look)
        self._ticking = Worker("ticking", self._tick, CLOCK_SECONDS)
        self._alarms = Alarms(
            chat,
            engine,
            clock,
            Watch(
                settings.operators,
                tuple(sorted(settings.taken_sources)),
                timedelta(minutes=settings.silent_minutes),
                settings.unreadable_after / 2,
                settings.intake.start_after,
            ),
        )
        self._watching_out = Worker("watching-out", self._watch_out, ALIGN_SECONDS)
        self._aligning = Worker("aligning", self._align, ALIGN_SECONDS)
        self._sending = Worker("sending", self._send, look)
        self._posting = Worker("posting", self._post, look)
        self._filing = Worker("filing", self._file, look)
        self._reading = Worker("reading", self._read, look)
        self._carrying = Worker("carrying", self._carry, look)

    def _wake_planner(self) -> None:
        self._planning.wake()

    async def _look_up(self) -> None:
        for source in sorted(self._settings.taken_sources):
            await self._eoffice.fill(source, self._clock())

    def _wake_aligning(self) -> None:
        self._rooms.look_again()
        self._aligning.wake()

    def _wake_sending(self) -> None:
        self._sending.wake()

    def _wake_posting(self) -> None:
        self._posting.wake()

    def stop(self) -> None:
        """Let `run` end: what is in hand is finished, the rest stands in the store."""
        self._stop.set()

    async def run(self, listening: Callable[[str], None] | None = None) -> None:
        """Run until `stop`.

        Args:
            listening: Called with the door's URL once it is open.

        Raises:
            SettingsError: The port is taken.
            MatrixError: The account cannot be used; only a person can mend it.
        """
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._http = session
            runner = web.AppRunner(self._app(), auto_decompress=False, access_log=None)
            await runner.setup()
            try:
                url = await listen(runner, self._settings.listen)
                if listening is not None:
                    listening(url)
                await self._run_parts()
            finally:
                await runner.cleanup()
                await self._chat.stop()

    async def _run_parts(self) -> None:
        stopped = asyncio.create_task(self._stop.wait())
        workers = [self._watching, *self._collecting, self._planning]
        tasks = [asyncio.create_task(worker.run()) for worker in workers]
        try:
            # Events are taken and planned while the homeserver is still away.
            starting = asyncio.create_task(self._start_chat())
            await asyncio.wait({stopped, starting}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                return
            await starting
            self._started = True
            log.info("bridge-ready", user_id=self._chat.user_id)
            for worker in (
                self._aligning,
                self._ticking,
                self._watching_out,
                self._sending,
                self._posting,
                self._filing,
                self._reading,
                self._carrying,
            ):
                workers.append(worker)
                tasks.append(asyncio.create_task(worker.run()))
            syncing = asyncio.create_task(self._chat.sync_forever(self._reading.wake))
            await asyncio.wait({stopped, syncing}, return_when=asyncio.FIRST_COMPLETED)
            await self._chat.stop()
            await syncing
        finally:
            self._started = False
            stopped.cancel()
            for worker in workers:
                worker.stop()
            await asyncio.gather(*tasks)
            await self._sender.finish()

    async def _start_chat(self) -> None:
        attempts = 0
        while True:
            try:
                await self._chat.start()
            except MatrixError as error:
                if error.permanent:
                    raise
                log.warning("homeserver-waited-for", reason=error.reason)
                await asyncio.sleep(backoff(attempts).total_seconds())
                attempts += 1
            else:
                return

    def _app(self) -> web.Application:
        # The door reads bodies itself, to its own limit.
        app = web.Application(client_max_size=self._settings.intake.max_body_bytes)
        for source in self._eoffice.sources:
            app.add_routes(source.routes())
        add_health(app, self._report, self.metrics)
        return app

    async def _report(self) -> dict[str, Any]:
        now = self._clock()
        told = await in_store(self._engine, lambda connection: counts(connection, now))
        serial = self._rulebook.policy.serial
        account = self._chat.condition() if self._started else Condition()
        return {
            "ready": self._started,
            "standby": False,
            "policy_serial": serial,
            **told,
            **{name: getattr(account, name) for name in Condition.__slots__},
        }

    # The loops, one turn each. True: there may be more at once.

    async def _watch(self) -> bool:
        if await asyncio.to_thread(self._rulebook.reload):
            self._sending.wake()
        try:
            self._directory.reload()
        except SettingsError as error:
            log.warning("directory-refused", faults=[fault.path for fault in error.faults])
        directory, now = self._directory.current, self._clock()
        if directory is not self._followed:
            await in_store(
                self._engine,
                lambda connection: follow_directory(
                    connection, directory, self._settings.organisation, now
                ),
            )
            self._followed = directory
            self._wake_aligning()
        return False

    async def _plan(self) -> bool:
        busy = await self._planning_queue.plan_next()
        if busy:
            self._sending.wake()
            if not self._align_soon:
                # Who belongs in a file's room moves with the file; one look serves many events.
                self._align_soon = True
                asyncio.get_running_loop().call_later(ALIGN_SOON_SECONDS, self._aligning.wake)
        return busy

    async def _tick(self) -> bool:
        if await self._clockwork.turn():
            self._sending.wake()
        return False

    async def _align(self) -> bool:
        self._align_soon = False
        await self._rooms.align()
        await self._shared_rooms.align()
        self._sending.wake()
        return False

    async def _watch_out(self) -> bool:
        now, at_work = self._clock(), self._timekeeper.days.at_work
        reminded = await in_store(
            self._engine, lambda connection: remind_due(connection, now, at_work)
        )
        if await self._alarms.look() or reminded:
            self._sending.wake()
        return False

    async def _send(self) -> bool:
        await self._sender.send_due()
        return False

    async def _post(self) -> bool:
        tried = bool(await self._poster.post_due())
        if tried:
            self._sending.wake()
        return tried

    async def _file(self) -> bool:
        settled = bool(await self._filer.file_due())
        self._sending.wake()
        return settled

    async def _read(self) -> bool:
        read = await self._reader.read_all()
        read += await self._unreadable.tell_all()
        if read:
            self._sending.wake()
            self._carrying.wake()
            self._filing.wake()
        return bool(read)

    async def _carry(self) -> bool:
        settled = await self._dispatcher.dispatch_due() + await self._raising.carry_due()
        if settled:
            self._sending.wake()
        return bool(settled)

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise LookupError("run() opens the session")
        return self._http

    def _terms(self) -> Terms:
        return Terms(
            self._rulebook.policy,
            self._settings.taken_sources,
            self._settings.intake.start_after,
            self._settings.intake.max_waiting,
            self._digest_key,
            self._directory.current.posts,
        )

    def _planner(self) -> Planner:
        settings = self._settings
        return Planner(
            self._rulebook.policy,
            settings.card_lifetime,
            timedelta(minutes=settings.reminder_gap_minutes),
            settings.registry_post,
            self._timekeeper,
            self._directory.current.posts,
        )

    def _composer(self) -> Composer:
        return Composer(
            self._rulebook.policy,
            self._directory.current,
            self._server_name,
            self._settings.organisation,
            self._zone,
            self._clock(),
            self._settings.operators,
            frozenset(self._settings.announcers),
        )
