"""The contract's endpoints: the feed of events and the commands from chat."""

import asyncio
import hmac

import structlog
from aiohttp import web

from rabta_contract import (
    BATCH_MEDIA_TYPE,
    IDEMPOTENCY_KEY_HEADER,
    REPLAYED_HEADER,
    CommandReason,
    ContractError,
    SignatureError,
    command_status,
    error_body,
    parse_command,
    verify,
)
from rabta_eoffice import outbox
from rabta_eoffice.tables import reading
from rabta_eoffice.web.keys import OFFICE

COMMAND_LARGEST = 16_384
FEED_LIMIT, FEED_LARGEST = 100, 1000
_LARGEST_AFTER = 2**63 - 1

log = structlog.get_logger("eoffice.contract")


async def feed(request: web.Request) -> web.Response:
    """`GET /events?after=<sequence>&limit=<n>`: what was told after that, oldest first."""
    office = request.app[OFFICE]
    if not bearer_matches(request, office.feed_token):
        return refusal(401, "bad-token", "the feed needs its bearer token")
    after = _number(request.query.get("after", "0"), _LARGEST_AFTER)
    limit = _number(request.query.get("limit", str(FEED_LIMIT)), FEED_LARGEST)
    if after is None or limit is None or limit == 0:
        return refusal(400, "malformed", f"after is a sequence, limit is 1 to {FEED_LARGEST}")

    def read() -> bytes:
        with reading(office.desk.engine) as connection:
            return outbox.feed(connection, after=after, limit=limit)

    return web.Response(body=await asyncio.to_thread(read), content_type=BATCH_MEDIA_TYPE)


async def commands(request: web.Request) -> web.Response:
    """`POST /commands`: verify, read, carry out once, answer."""
    office = request.app[OFFICE]
    body = await request.content.read(COMMAND_LARGEST + 1)
    while len(body) <= COMMAND_LARGEST and not request.content.at_eof():
        body += await request.content.read(COMMAND_LARGEST + 1 - len(body))
    if len(body) > COMMAND_LARGEST:
        return _refuse(CommandReason.TOO_LARGE, "a command is at most 16 KiB")
    try:
        message_id = verify(request.headers, body, office.command_secrets, office.desk.clock())
    except SignatureError as error:
        return _refuse(CommandReason(error.reason), error.detail)
    try:
        command = parse_command(body)
    except ContractError as error:
        return _refuse(CommandReason.MALFORMED, error.detail)
    if not message_id == command.command_id == request.headers.get(IDEMPOTENCY_KEY_HEADER):
        return _refuse(
            CommandReason.MALFORMED,
            "command_id, webhook-id and Idempotency-Key must be the same",
        )
    answered = await asyncio.to_thread(office.desk.command, command, body)
    log.info(
        "command-answered",
        command_id=command.command_id,
        command=command.command.value,
        status=answered.status,
        reason=answered.reason,
        replayed=answered.replayed,
    )
    headers = {REPLAYED_HEADER: "true"} if answered.replayed else {}
    return web.Response(
        status=answered.status,
        body=answered.body,
        content_type="application/json",
        headers=headers,
    )


def bearer_matches(request: web.Request, token: str) -> bool:
    """Whether the request carries this bearer token."""
    return hmac.compare_digest(bearer(request).encode(errors="replace"), token.encode())


def bearer(request: web.Request) -> str:
    """The bearer token of the request, or ""."""
    scheme, _, offered = request.headers.get("Authorization", "").partition(" ")
    return offered.strip() if scheme.lower() == "bearer" else ""


def refusal(status: int, reason: str, detail: str) -> web.Response:
    """An answer of the contract's shape: reason and one line."""
    return web.Response(
        status=status, body=error_body(reason, detail), content_type="application/json"
    )


def _refuse(reason: CommandReason, detail: str) -> web.Response:
    log.warning("command-refused", reason=reason.value)
    return refusal(command_status(reason), reason, detail)


def _number(text: str, largest: int) -> int | None:
    short = text.isascii() and text.isdigit() and len(text) <= 20  # noqa: PLR2004 - digits of a sequence
    return int(text) if short and int(text) <= largest else None
