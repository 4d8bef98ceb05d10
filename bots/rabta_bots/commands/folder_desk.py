"""Carries commands as files, for an e-Office that no network reaches; a `CommandDesk`.

`outgoing/<command id>.command` is the request that `POST /commands` would carry, in an envelope,
signed. `answers/<command id>.answer` is e-Office's answer, in an envelope whose `webhook-id` is
the command's id, signed with a secret of its webhooks.
"""

import asyncio
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from rabta_contract.answers import CommandReason, command_status
from rabta_contract.command import (
    IDEMPOTENCY_KEY_HEADER,
    Command,
    CommandRefusal,
    CommandResult,
    parse_answer,
)
from rabta_contract.envelope import enveloped, opened
from rabta_contract.faults import ContractError
from rabta_contract.secrets_file import SigningSecrets
from rabta_contract.signature import SignatureError, sign, verify
from rabta_contract.wire_json import read

log = structlog.get_logger("rabta.bridge.folder")

OUTGOING, ANSWERS, WRITTEN = "outgoing", "answers", ".written"

# A file that was carried away and not answered for so long is written once more.
AGAIN = timedelta(days=1)
LARGEST_ANSWER_BYTES = 64 * 1024


class CommandFolder:
    """The folder as a desk.

    Args:
        folder: Holds `outgoing` and `answers`; they are made when missing.
        secrets: Sign the commands.
        answer_secrets: Gives every live secret of e-Office.

    Raises:
        OSError: The folders cannot be made.
    """

    def __init__(
        self, folder: Path, secrets: SigningSecrets, answer_secrets: Callable[[], SigningSecrets]
    ) -> None:
        self._folder = folder
        self._secrets = secrets
        self._answer_secrets = answer_secrets
        for name in (OUTGOING, ANSWERS, WRITTEN):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    async def carry(self, command: Command, now: datetime) -> CommandResult | CommandRefusal | None:
        """Write the command unless it was, and read the answer if it is there."""
        answer = await asyncio.to_thread(self._answer, command.command_id, now)
        if answer is None:
            await asyncio.to_thread(self._write, command, now)
        return answer

    def _answer(self, command_id: str, now: datetime) -> CommandResult | CommandRefusal | None:
        path = self._folder / ANSWERS / f"{command_id}.answer"
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        with os.fdopen(handle, "rb") as file:
            raw = file.read(LARGEST_ANSWER_BYTES)
        try:
            headers, body = opened(raw)
            answered = verify(headers, body, self._answer_secrets(), now, window=None)
            status = _status_of(read(body, CommandReason.MALFORMED))
        except (ContractError, SignatureError, ValueError) as error:
            log.warning("answer-not-read", reason=getattr(error, "reason", "malformed"))
            return None
        answer = parse_answer(status, body) if answered == command_id else None
        if isinstance(answer, CommandResult) and answer.command_id != command_id:
            return None
        return answer

    def _write(self, command: Command, now: datetime) -> None:
        written = self._folder / WRITTEN / command.command_id
        try:
            if datetime.fromtimestamp(written.stat().st_mtime, tz=now.tzinfo) > now - AGAIN:
                return
        except FileNotFoundError:
            pass
        body = command.to_bytes()
        headers = sign(command.command_id, body, self._secrets, now)
        headers |= {
            IDEMPOTENCY_KEY_HEADER: command.command_id,
            "Content-Type": "application/json",
        }
        place = self._folder / OUTGOING / f"{command.command_id}.command"
        half = place.with_name(f".{place.name}.part")
        with half.open("wb") as file:
            file.write(enveloped(headers, body))
            file.flush()
            os.fsync(file.fileno())
        half.replace(place)
        written.touch()
        os.utime(written, (now.timestamp(), now.timestamp()))


def _status_of(document: Any) -> int:
    """The HTTP status that goes with the body of an answer; a file has none of its own."""
    if isinstance(document, dict) and "reason" in document:
        return command_status(CommandReason(document["reason"]))
    return 200
