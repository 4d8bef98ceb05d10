"""Carries commands into Mayan, each with its officer's own token; a `CommandDesk`.

Mayan decides by its ACL whether that officer may make the transition. The step carries the
command's id, so that a repeat finds what the first try did.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from rabta_bots.mayan.converting import document_of
from rabta_bots.mayan.mapping import Mapping, Meaning
from rabta_bots.mayan.rest import Mayan, MayanError
from rabta_bots.mayan.workflow import COMMAND, Paper, Step, Transition, open_to, read_paper
from rabta_contract.answers import CommandReason
from rabta_contract.command import Command, CommandRefusal, CommandResult
from rabta_contract.secrets_file import SecretError, load_token
from rabta_contract.vocabulary import CommandOutcome, CommandVerb

log = structlog.get_logger("rabta.bridge.mayan")

MEANINGS = {
    CommandVerb.APPROVE: (frozenset({Meaning.APPROVE}), CommandOutcome.APPROVED),
    CommandVerb.RETURN: (frozenset({Meaning.RETURN}), CommandOutcome.RETURNED),
    CommandVerb.FORWARD: (
        frozenset({Meaning.FORWARD, Meaning.PUT_UP}),
        CommandOutcome.FORWARDED,
    ),
}


@dataclass(frozen=True, slots=True)
class MayanDesk:
    """The workflow as a desk.

    Args:
        token: The bridge's own, for reading.
        look_at: Called with a document that was moved, so that its card shows it at once.
    """

    mayan: Mayan
    mapping: Mapping
    token: str
    look_at: Callable[[int], None]

    async def carry(self, command: Command, now: datetime) -> CommandResult | CommandRefusal | None:  # noqa: ARG002 - the signature of every desk
        """Make the transition, or find that an earlier try made it."""
        if command.command not in MEANINGS:
            return CommandRefusal(
                CommandReason.MALFORMED, f"Mayan knows no {command.command.value}"
            )
        document = document_of(command.file_id)
        if document is None:
            return CommandRefusal(CommandReason.UNKNOWN_FILE, "the file is not Mayan's")
        token = self._token_of(command.person_id)
        if token is None:
            return CommandRefusal(
                CommandReason.WRONG_HOLDER, "the bridge has no token of this officer"
            )
        try:
            return await self._carry(command, document, token)
        except MayanError as error:
            if error.reason == "mayan-unknown":
                return CommandRefusal(CommandReason.UNKNOWN_FILE, "Mayan has no such document")
            log.warning("command-not-carried", reason=error.reason)
            return None

    async def _carry(
        self, command: Command, document: int, token: str
    ) -> CommandResult | CommandRefusal | None:
        paper = await read_paper(self.mayan, self.token, document, self.mapping.workflow)
        done = _step_of(paper, command)
        if done is not None:
            return _result(command, done)
        if len(paper.steps) != command.movement_no:
            return CommandRefusal(CommandReason.STALE_MOVEMENT, "the file has moved on")
        transition = await self._transition(command, paper, token)
        if transition is None:
            return CommandRefusal(
                CommandReason.WRONG_HOLDER, "Mayan does not let this officer do that"
            )
        body = {
            "transition_id": transition.id,
            "comment": command.remarks or "",
            "extra_data": json.dumps({COMMAND: command.command_id}),
        }
        path = f"documents/{document}/workflow_instances/{paper.instance}/log_entries/"
        try:
            await self.mayan.post(token, path, body)
        except MayanError as error:
            if error.reason == "mayan-unreachable":
                raise  # it may have been made: the next try looks
            log.warning("transition-refused", reason=error.reason)
            return CommandRefusal(
                CommandReason.WRONG_HOLDER, "Mayan did not let this officer do that"
            )
        self.look_at(document)
        after = await read_paper(self.mayan, self.token, document, self.mapping.workflow)
        made = _step_of(after, command)
        return _result(command, made) if made is not None else None

    async def _transition(self, command: Command, paper: Paper, token: str) -> Transition | None:
        """What the officer may do now and what the command asks for."""
        wanted, _ = MEANINGS[command.command]
        try:
            possible = await open_to(self.mayan, token, paper)
        except MayanError as error:
            if error.reason in {"mayan-unknown", "mayan-refused"}:
                return None  # this officer may not even see it
            raise
        for transition in possible:
            if self.mapping.transitions.get(transition.label) not in wanted:
                continue
            goal = self.mapping.states.get(transition.destination_state.label)
            if command.to_post is None or command.to_post == goal:
                return transition
        return None

    def _token_of(self, person_id: str) -> str | None:
        person = self.mapping.persons.get(person_id)
        path: Path | None = person.token_file if person is not None else None
        if path is None:
            return None
        try:
            return load_token(path)
        except SecretError as error:
            log.warning("officer-token-not-read", error=type(error).__name__)
            return None


def _step_of(paper: Paper, command: Command) -> Step | None:
    """The step that an earlier try of the command made."""
    for step in paper.steps:
        if step.entry.command_id == command.command_id:
            return step
    return None


def _result(command: Command, step: Step) -> CommandResult:
    return CommandResult(
        command_id=command.command_id,
        outcome=MEANINGS[command.command][1],
        file_id=command.file_id,
        note_para=step.number,
        movement_no=step.number,
        recorded_at=step.entry.datetime,
    )
