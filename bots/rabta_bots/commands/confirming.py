"""Takes the officer's `yes <code>`: all is judged once more, then the command is queued once."""

import hmac
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from rabta_bots.commands.finding import Found, card_state
from rabta_bots.commands.judging import Refusal, judge_command
from rabta_bots.composing import Composer
from rabta_bots.officers import Officer
from rabta_bots.store.cards import begin_deciding, card_by_id, highest_movement
from rabta_bots.store.commands import asked_of, count_wrong_code, lapse_asked, queue_command
from rabta_bots.store.posts import post_by_any_case
from rabta_bots.store.rooms import PostRoom
from rabta_bots.store.tables import commands
from rabta_contract.command import Command
from rabta_contract.vocabulary import CommandVerb


@dataclass(frozen=True, slots=True)
class Confirming:
    """The open questions of one officer in one room."""

    connection: Connection
    composer: Composer
    officer: Officer
    room: PostRoom

    def confirm(self, code: str) -> int | Refusal:
        """Queue the command whose code this is; gives the card's number, or why not."""
        asked = asked_of(self.connection, self.room.room_id, self.officer.person_id)
        if not asked:
            return Refusal.NOTHING_TO_CONFIRM
        meant = [row for row in asked if hmac.compare_digest(row.code, code)]
        if not meant:
            for row in asked:
                count_wrong_code(self.connection, row.command_id)
            return Refusal.WRONG_CODE
        command = meant[-1]
        if self.composer.now >= command.confirm_until:
            lapse_asked(self.connection, card_id=command.card_id)
            return Refusal.CONFIRMATION_EXPIRED
        refusal = self.queue(command.command_id)
        return refusal if refusal is not None else int(command.card_id)

    def cancel(self) -> int | Refusal:
        """Let the open questions lapse."""
        asked = asked_of(self.connection, self.room.room_id, self.officer.person_id)
        if not asked:
            return Refusal.NOTHING_TO_CONFIRM
        for row in asked:
            lapse_asked(self.connection, card_id=row.card_id)
        return int(asked[-1].card_id)

    def queue(self, command_id: str) -> Refusal | None:
        """Judge the command again and queue it; the card takes no second one meanwhile."""
        row = self.connection.execute(
            select(commands).where(commands.c.command_id == command_id)
        ).one()
        card = card_by_id(self.connection, row.card_id)
        if card is None:
            return Refusal.NO_SUCH_CARD
        verb = CommandVerb(row.verb)
        state = card_state(self.connection, Found(card), self.officer, self.composer)
        refusal = judge_command(verb, state, self.composer.now)
        if refusal is None and not begin_deciding(self.connection, row.card_id):
            refusal = Refusal.CARD_BUSY
        if refusal is not None:
            lapse_asked(self.connection, card_id=row.card_id)
            return refusal
        body = self._body(row, card, verb)
        queue_command(self.connection, command_id, body, self.composer.now)
        return None

    def queue_reminder(self, command_id: str) -> None:
        """Queue a reminder, which takes no card: the file is with somebody else."""
        row = self.connection.execute(
            select(commands).where(commands.c.command_id == command_id)
        ).one()
        card = card_by_id(self.connection, row.card_id)
        if card is None:
            raise LookupError(row.card_id)
        body = self._body(row, card, CommandVerb.REMIND)
        # The post is chased that has the file now, not the one that had it with this card.
        body["movement_no"] = highest_movement(self.connection, card.file_id)
        queue_command(self.connection, command_id, body, self.composer.now)

    def _body(self, row: Row[Any], card: Row[Any], verb: CommandVerb) -> dict[str, Any]:
        to_post = post_by_any_case(self.connection, row.to_post) if row.to_post else None
        command = Command(
            command_id=row.command_id,
            command=verb,
            event_id=card.event_id,
            file_id=card.file_id,
            movement_no=card.movement_no,
            post_id=card.post_id,
            person_id=self.officer.person_id,
            matrix_user=self.officer.user_id,
            to_post=to_post,
            remarks=row.remarks,
            time=self.composer.now,
        )
        return command.model_dump(mode="json", exclude_none=True)
