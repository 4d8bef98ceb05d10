"""Brings what happened in Mayan; an `EventSource`.

Mayan's own hook cannot be signed, so it is a thin notice: it names a document, and that document
is read over a connection that we open, with our token. What a hook lost is found by the list of
Mayan's events, and what that does not say by the documents of the workflow. Each step is numbered
in the ledger and taken once, in the order of its document, whoever told of it and how often.
"""

import asyncio
import hmac
import json
from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus

import structlog
from aiohttp import web
from sqlalchemy import Connection, Engine

from rabta_bots.clock import Clock
from rabta_bots.intake.accepting import RefusedError
from rabta_bots.intake.source import Delivery, SourceError
from rabta_bots.intake.taking import Intake
from rabta_bots.mayan import ledger
from rabta_bots.mayan.converting import charge_key, event_of_charge, event_of_step, is_told
from rabta_bots.mayan.mapping import Mapping
from rabta_bots.mayan.rest import Mayan, MayanError
from rabta_bots.mayan.workflow import Paper, read_paper
from rabta_bots.metrics import Metrics
from rabta_bots.store.marks import mark, raise_mark
from rabta_bots.store.opening import in_store
from rabta_contract.answers import EventReason
from rabta_contract.event import Event

log = structlog.get_logger("rabta.bridge.mayan")

HOOK_PATH = "/mayan/hook"
HOOK_HEADER = "X-Rabta-Hook"
LARGEST_HOOK_BYTES = 1024
# Documents that hooks named and that were not read yet; more are found by the list of events.
MOST_NAMED = 1000
# The hook is called before Mayan commits the step that it tells of.
LOOK_AGAIN_SECONDS = (0.0, 0.2, 0.5, 1.0, 3.0)
AGAIN_SECONDS = 1.0
TOLD = frozenset(
    {
        "document_states.workflow_instance_created",
        "document_states.workflow_instance_transitioned",
    }
)


class MayanSource:
    """One workflow of one Mayan.

    Args:
        source: CloudEvents source that its events get.
        token: The bridge's own, for reading.
        hook_token: What a hook must carry in `X-Rabta-Hook`; None: a hook needs nothing, for
            it only names a document to look at.
        interval: Seconds between two looks at the list of events.
    """

    via = "mayan"

    def __init__(
        self,
        mayan: Mayan,
        mapping: Mapping,
        *,
        source: str,
        token: str,
        hook_token: str | None,
        engine: Engine,
        clock: Clock,
        intake: Intake,
        metrics: Metrics,
        interval: float,
    ) -> None:
        self._mayan = mayan
        self._mapping = mapping
        self._source = source
        self._token = token
        self._hook_token = hook_token
        self._engine = engine
        self._clock = clock
        self._intake = intake
        self._metrics = metrics
        self._interval = interval
        self._lock = asyncio.Lock()
        self._named: dict[int, None] = {}
        self._reading: asyncio.Task[None] | None = None
        self._complete_since: datetime | None = None
        ledger.metadata.create_all(engine)

    # -- what a hook says ----------------------------------------------------------------------

    def routes(self) -> Sequence[web.RouteDef]:
        """The door for hooks."""
        return (web.post(HOOK_PATH, self._hooked),)

    async def _hooked(self, request: web.Request) -> web.Response:
        """Note which document to look at; nothing else of a hook is believed."""
        if not self._admitted(request):
            return self._answer(HTTPStatus.UNAUTHORIZED, EventReason.BAD_SIGNATURE)
        raw = await request.content.read(LARGEST_HOOK_BYTES + 1)
        document = _document_in(raw) if len(raw) <= LARGEST_HOOK_BYTES else None
        if document is None:
            return self._answer(HTTPStatus.BAD_REQUEST, EventReason.SCHEMA)
        self.look_at(document)
        return self._answer(HTTPStatus.ACCEPTED, "hooked")

    def _admitted(self, request: web.Request) -> bool:
        told = request.headers.get(HOOK_HEADER, "")
        return self._hook_token is None or hmac.compare_digest(
            told.encode(), self._hook_token.encode()
        )

    def _answer(self, status: HTTPStatus, told: str) -> web.Response:
        self._metrics.deliveries.labels(answer=told).inc()
        return web.Response(status=status)

    def look_at(self, document: int) -> None:
        """Read a document soon, because something may have happened to it."""
        if len(self._named) < MOST_NAMED:
            self._named[document] = None
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_named())

    async def _read_named(self) -> None:
        try:
            while self._named:
                document = next(iter(self._named))
                del self._named[document]
                await self._read_until_new(document)
        finally:
            self._reading = None

    async def _read_until_new(self, document: int) -> None:
        for pause in LOOK_AGAIN_SECONDS:
            await asyncio.sleep(pause)
            try:
                async with self._lock:
                    if await self._read(document):
                        return
            except (SourceError, MayanError) as error:
                log.info("hook-led-nowhere", reason=error.reason)
                if error.reason == "mayan-unknown":
                    return

    # -- what the list of events says ----------------------------------------------------------

    async def collect(self) -> bool | float:
        """Bring what no hook told of."""
        try:
            await self._catch_up()
        except SourceError as error:
            log.warning("mayan-not-read", reason=error.reason)
            # Without the charges of the past nobody holds anything: try soon again.
            return AGAIN_SECONDS if self._complete_since is None else self._interval
        return self._interval

    async def fill(self, source: str, since: datetime) -> None:  # noqa: ARG002 - there is one source
        """Read on, unless a complete reading began after `since`."""
        if self._complete_since is None or self._complete_since < since:
            await self._catch_up()

    async def _catch_up(self) -> None:
        async with self._lock:
            began = self._clock()
            try:
                await self._charges(began)
                newest, documents = await self._touched()
                for document in documents:
                    await self._read(document)
            except MayanError as error:
                raise SourceError(error.reason) from error
            await in_store(
                self._engine,
                lambda connection: raise_mark(connection, self._mark_name, newest),
            )
            self._complete_since = began

    @property
    def _mark_name(self) -> str:
        return f"mayan-events:{self._source}"

    async def _touched(self) -> tuple[int, list[int]]:
        """The newest event in Mayan, and the documents that may hold something untaken."""

        def gather(connection: Connection) -> tuple[int, list[int], set[int]]:
            return (
                mark(connection, self._mark_name, -1),
                list(ledger.half_taken(connection, self._source)),
                ledger.known_documents(connection),
            )

        seen, again, known = await in_store(self._engine, gather)
        newest, told = seen, set[int]()
        async for item in self._mayan.pages(self._token, "events/"):
            number, instance = _event_in(item)
            newest = max(newest, number)
            if seen < 0 or number <= seen:
                break
            if instance is not None:
                told.add(instance)
        if seen >= 0 and not told:
            return newest, again
        found = await in_store(
            self._engine, lambda connection: ledger.documents_of(connection, sorted(told))
        )
        documents = dict.fromkeys([*again, *found.values()])
        if seen < 0 or told - set(found):
            path = f"workflow_templates/{self._mapping.workflow}/documents/"
            async for item in self._mayan.pages(self._token, path):
                document = item.get("id")
                if isinstance(document, int) and (seen < 0 or document not in known):
                    documents[document] = None
        return newest, list(documents)

    # -- taking --------------------------------------------------------------------------------

    async def _charges(self, now: datetime) -> None:
        over = self._mapping.over_at(now)
        for charge in self._mapping.charges:
            for ended in (False, True) if charge in over else (False,):
                key = charge_key(charge, ended=ended)
                number = await self._number(key, None)
                if number is not None:
                    event = event_of_charge(
                        self._mapping, charge, ended=ended, source=self._source, sequence=number
                    )
                    await self._take(key, event)

    async def _read(self, document: int) -> int:
        """Take the steps of a document that were not taken yet; gives how many."""
        try:
            paper = await read_paper(self._mayan, self._token, document, self._mapping.workflow)
        except MayanError as error:
            raise SourceError(error.reason) from error
        await in_store(
            self._engine,
            lambda connection: ledger.know_instance(connection, paper.instance, document),
        )
        return await self._take_steps(paper)

    async def _take_steps(self, paper: Paper) -> int:
        taken = 0
        for step in paper.steps:
            if not is_told(self._mapping, step):
                log.warning("transition-not-mapped", transition=step.transition.id)
                continue
            key = f"step-{step.entry.id}"
            number = await self._number(key, paper.document)
            if number is None:
                continue
            event = event_of_step(
                self._mapping,
                paper,
                step,
                source=self._source,
                sequence=number,
                pages=self._mayan.url,
            )
            await self._take(key, event)
            taken += 1
        return taken

    async def _number(self, key: str, document: int | None) -> int | None:
        return await in_store(
            self._engine,
            lambda connection: ledger.number(connection, self._source, key, document),
        )

    async def _take(self, key: str, event: Event) -> None:
        """Store an event; what comes after it in its document waits until it could be.

        Raises:
            SourceError: With the reason of the refusal.
        """
        try:
            await self._intake.take(Delivery(f"mayan-{self._source}-{key}", (event,), self.via))
        except RefusedError as refused:
            # Taken before the process ended, and its label was changed in Mayan since.
            if refused.reason != EventReason.ID_REUSED:
                raise SourceError(refused.reason) from refused
        await in_store(
            self._engine, lambda connection: ledger.note_taken(connection, self._source, key)
        )


def _document_in(raw: bytes) -> int | None:
    """The document that a hook names."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    document = told.get("document") if isinstance(told, dict) else None
    if not isinstance(document, int) or isinstance(document, bool):
        return None
    return document if 0 < document < 2**31 else None


def _event_in(item: dict[str, object]) -> tuple[int, int | None]:
    """The number of an event in Mayan, and the workflow instance that it is about."""
    number, verb, target = item.get("id"), item.get("verb"), item.get("target_object_id")
    if not isinstance(number, int):
        raise MayanError("mayan-malformed")
    about = isinstance(verb, dict) and verb.get("id") in TOLD
    if about and isinstance(target, str) and target.isascii() and target.isdigit():
        return number, int(target)
    return number, None
