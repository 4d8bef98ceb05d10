"""Brings confirmed commands to e-Office, each once, and shows the officer what came of it."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import structlog
from sqlalchemy import Connection, Engine, Row

from rabta_bots.cards.content import answer_message
from rabta_bots.cards.view import number_of
from rabta_bots.cards.wording import say
from rabta_bots.cases import case_room
from rabta_bots.clock import Clock
from rabta_bots.commands import answers
from rabta_bots.composing import Composer
from rabta_bots.intake.source import CommandDesk
from rabta_bots.metrics import Metrics
from rabta_bots.names import transaction_id
from rabta_bots.officers import officer_of_user
from rabta_bots.retrying import backoff
from rabta_bots.store.audit import write_audit
from rabta_bots.store.cards import card_by_id, close_card, reopen
from rabta_bots.store.commands import DEAD, DONE, REFUSED, due_commands, end_command, retry_command
from rabta_bots.store.opening import in_store
from rabta_bots.store.outbox import enqueue_words
from rabta_contract.answers import CommandReason
from rabta_contract.command import (
    IDEMPOTENCY_KEY_HEADER,
    Command,
    CommandRefusal,
    CommandResult,
    parse_answer,
)
from rabta_contract.secrets_file import SigningSecrets
from rabta_contract.signature import sign
from rabta_contract.vocabulary import CommandOutcome

log = structlog.get_logger("rabta.bridge.dispatcher")

LARGEST_ANSWER_BYTES = 64 * 1024
UNREACHABLE = "eoffice-unreachable"

# The file stays with the officer: the card stays open.
STAYING = frozenset({CommandOutcome.DISCUSS, CommandOutcome.ACKNOWLEDGED, CommandOutcome.REMINDED})

# Our own settings are at fault, not the command: an operator mends them and it goes on.
OURS = frozenset({CommandReason.BAD_SIGNATURE, CommandReason.STALE_TIMESTAMP})

# e-Office judged the command, and the officer has its answer; any other refusal is a dead letter.
JUDGED = frozenset(
    {
        CommandReason.WRONG_HOLDER,
        CommandReason.LOOK_AFTER_MAY_NOT_DECIDE,
        CommandReason.CERTIFICATE_REQUIRED,
        CommandReason.GRADE_NOT_FROM_CHAT,
        CommandReason.STALE_MOVEMENT,
    }
)


@dataclass(frozen=True, slots=True)
class EOfficeDesk:
    """Where commands go.

    Args:
        url: Base of e-Office.
        secrets: Sign the commands.
        session: An open client session, owned by the caller.
        tls: The authorities to trust, or True for the system's.
    """

    url: str
    secrets: SigningSecrets
    session: Callable[[], aiohttp.ClientSession]
    tls: ssl.SSLContext | bool = True

    async def carry(self, command: Command, now: datetime) -> CommandResult | CommandRefusal | None:
        """Hand a command over; None when nothing is known of it and it should be tried again."""
        body = command.to_bytes()
        headers = sign(command.command_id, body, self.secrets, now)
        headers |= {
            IDEMPOTENCY_KEY_HEADER: command.command_id,
            "Content-Type": "application/json",
        }
        try:
            async with self.session().post(
                f"{self.url}/commands",
                data=body,
                headers=headers,
                ssl=self.tls,
                allow_redirects=False,
            ) as response:
                raw = await response.content.read(LARGEST_ANSWER_BYTES)
                return parse_answer(response.status, raw)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return None


class Dispatcher:
    """Takes queued commands to e-Office and settles them."""

    def __init__(
        self,
        *,
        engine: Engine,
        clock: Clock,
        desk: CommandDesk,
        composer: Callable[[], Composer],
        metrics: Metrics,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._desk = desk
        self._composer = composer
        self._metrics = metrics

    async def dispatch_due(self) -> int:
        """Try every command that is due once, oldest first; gives how many were settled."""
        now = self._clock()
        rows = await in_store(self._engine, lambda connection: due_commands(connection, now))
        settled = 0
        for row in rows:
            settled += await self._dispatch(row)
        return settled

    async def _dispatch(self, row: Row[Any]) -> bool:
        command = Command.model_validate(row.body)
        answer = await self._desk.carry(command, self._clock())
        composer = self._composer()
        unknown = answer is None or (isinstance(answer, CommandRefusal) and answer.reason in OURS)
        if unknown and composer.now < row.give_up_at:
            reason = UNREACHABLE if answer is None else str(answer.reason)  # type: ignore[union-attr]  # a refusal, see above
            await in_store(
                self._engine,
                lambda connection: _Settling(connection, row, composer).again(reason),
            )
            result = "again"
        elif isinstance(answer, CommandResult):
            done = answer
            await in_store(
                self._engine, lambda connection: _Settling(connection, row, composer).done(done)
            )
            result = "done"
        else:
            reason = UNREACHABLE if answer is None else str(answer.reason)
            await in_store(
                self._engine,
                lambda connection: _Settling(connection, row, composer).refused(reason),
            )
            result = "lost" if unknown else "refused"
        self._metrics.dispatches.labels(result=result).inc()
        log.info("command-dispatched", result=result, card=row.card_id)
        return result != "again"


@dataclass(frozen=True, slots=True)
class _Settling:
    """Writes what became of one command, in one transaction."""

    connection: Connection
    row: Row[Any]
    composer: Composer

    def again(self, reason: str) -> None:
        """Keep it; the officer hears of it once."""
        now = self.composer.now
        retry_command(
            self.connection, self.row.command_id, now + backoff(self.row.attempts), reason
        )
        self._tell("waiting", lambda language, _: say(language, answers.WAITING))

    def done(self, result: CommandResult) -> None:
        """e-Office did it: the card shows the outcome."""
        now = self.composer.now
        end_command(self.connection, self.row.command_id, DONE)
        outcome: dict[str, Any] = {
            "result": result.outcome.value,
            "at": result.recorded_at.isoformat(),
        }
        if result.note_para is not None:
            outcome["note_para"] = result.note_para
        if result.outcome in STAYING:
            reopen(self.connection, self.row.card_id)
        else:
            close_card(self.connection, self.row.card_id, "decided", outcome, now)
        self._audit("command-done", None, result.outcome.value)
        self._tell("outcome", lambda language, number: self._outcome(result, language, number))

    def _outcome(self, result: CommandResult, language: str, number: str) -> str:
        """What e-Office did; a talk that was asked for is told its room, or how to get one."""
        told = answers.outcome(language, result.outcome.value, number, result.note_para)
        if result.outcome is not CommandOutcome.DISCUSS:
            return told
        card = card_by_id(self.connection, self.row.card_id)
        room = case_room(self.connection, card.file_id, card.room_class) if card else None
        return f"{told}\n{answers.where_to_talk(language, room, self.row.card_id)}"

    def refused(self, reason: str) -> None:
        """e-Office did not do it, or nothing is known: the officer reads why."""
        now = self.composer.now
        lost = reason == UNREACHABLE or reason in OURS
        state = REFUSED if reason in JUDGED else DEAD
        end_command(self.connection, self.row.command_id, state, reason)
        if reason == CommandReason.STALE_MOVEMENT:
            outcome = {"result": "superseded", "at": now.isoformat()}
            close_card(self.connection, self.row.card_id, "superseded", outcome, now)
        else:
            reopen(self.connection, self.row.card_id)
        self._audit("command-lost" if lost else "command-refused", reason, self.row.verb)
        self._tell("outcome", lambda language, _: answers.refusal(language, reason))

    def _tell(self, part: str, words: Callable[[str, str], str]) -> None:
        officer = officer_of_user(self.connection, self.composer.directory, self.row.matrix_user)
        language = officer.language if officer else "en"
        card = card_by_id(self.connection, self.row.card_id)
        number = (
            number_of(self.composer.facts(self.connection, card, may_decide=False)) if card else ""
        )
        # What an operator had tried again is answered again.
        again = f"-{self.row.rounds}" if self.row.rounds else ""
        content = answer_message(
            words(language, number), reply_to=self.row.asked_by, mention=self.row.matrix_user
        )
        enqueue_words(
            self.connection,
            self.row.room_id,
            f"{part}|{self.row.command_id}{again}",
            content=content,
            txn_id=transaction_id(self.row.asked_by, self.row.room_id, f"{part}{again}"),
            now=self.composer.now,
        )

    def _audit(self, what: str, reason: str | None, detail: str) -> None:
        write_audit(
            self.connection,
            self.composer.now,
            what,
            reason=reason,
            actor=self.row.matrix_user,
            card_id=self.row.card_id,
            matrix_event_id=self.row.asked_by,
            detail=detail,
        )
