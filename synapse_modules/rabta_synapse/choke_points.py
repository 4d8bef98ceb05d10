"""The private choke points of Synapse that the guard stands in.

Beside `private.py` and `ordinary.py` the only file that relies on what the module API does not
promise.
Inbound: `Authenticator.authenticate_request` returns the origin once its signature is verified,
and the body it was given goes on to the handler. Outbound: every transaction leaves through
`TransactionManager.send_new_transaction`. Spaces: whether a room is shown to a server is asked of
`RoomSummaryHandler._is_local_room_accessible`, for the room asked for and for each in its list.
All are checked at start; where one has moved, Synapse does not start unguarded.
"""

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from synapse.api.errors import Codes, SynapseError
from synapse.federation.sender.transaction_manager import TransactionManager
from synapse.federation.transport.server._base import Authenticator
from synapse.handlers.room_summary import RoomSummaryHandler
from synapse.module_api.errors import ConfigError
from twisted.internet.defer import CancelledError

from rabta_synapse.delivery import Delivery
from rabta_synapse.guard import Guard
from rabta_synapse.metrics import FAILURES

logger = logging.getLogger(__name__)

_SHAPES = (
    (Authenticator, "authenticate_request", ["self", "request", "content"]),
    (TransactionManager, "send_new_transaction", ["self", "destination", "pdus", "edus"]),
    (
        RoomSummaryHandler,
        "_is_local_room_accessible",
        ["self", "room_id", "requester", "origin"],
    ),
)


def stand_in(guard: Guard, delivery: Delivery) -> None:
    """Put the guard into every choke point of this process.

    Raises:
        ConfigError: One of them is not as the tested releases have it.
    """
    strange = [
        f"{owner.__name__}.{name}"
        for owner, name, shape in _SHAPES
        if not inspect.iscoroutinefunction(getattr(owner, name, None))
        or list(inspect.signature(getattr(owner, name)).parameters) != shape
    ]
    if strange:
        raise ConfigError(
            f"rabta_synapse.Door: {', '.join(strange)} of this Synapse is not as tested, so keys, "
            "profiles and media would be open to every server: install a tested release, or read "
            "docs/reference/door-settings.md on perilously_run_without_guard"
        )
    _guard_inbound(guard)
    _guard_spaces(guard)
    _guard_outbound(delivery)


def _guard_inbound(guard: Guard) -> None:
    verified = Authenticator.authenticate_request

    @wraps(verified)
    async def authenticate_request(self: Authenticator, request: Any, content: Any) -> str:
        origin = await verified(self, request, content)
        with _refusing_for_now("guard_inbound"):
            # As Synapse itself reads them, so that nothing can be read in two ways.
            await guard.inbound(origin, request.path.decode("ascii"), request.args or {}, content)
        return origin

    Authenticator.authenticate_request = authenticate_request  # type: ignore[method-assign] # the guard stands here


def _guard_spaces(guard: Guard) -> None:
    accessible = RoomSummaryHandler._is_local_room_accessible  # noqa: SLF001 - no public door

    @wraps(accessible)
    async def is_local_room_accessible(
        self: RoomSummaryHandler, room_id: str, requester: str | None, origin: str | None = None
    ) -> bool:
        if not await accessible(self, room_id, requester, origin):
            return False
        with _refusing_for_now("guard_spaces"):
            return origin is None or await guard.shows(origin, room_id)

    RoomSummaryHandler._is_local_room_accessible = is_local_room_accessible  # type: ignore[method-assign] # noqa: SLF001 - the guard stands here


@contextmanager
def _refusing_for_now(callback: str) -> Iterator[None]:
    """Answer 503 when our own code fails: a transaction is sent again, nothing in it is lost."""
    try:
        yield
    except (SynapseError, CancelledError):
        raise
    except Exception as fault:
        FAILURES.labels(callback).inc()
        logger.exception("The guard failed; the request is refused for now")
        raise SynapseError(503, "The door failed; try again.", Codes.UNKNOWN) from fault


def _guard_outbound(delivery: Delivery) -> None:
    send = TransactionManager.send_new_transaction

    @wraps(send)
    async def send_new_transaction(
        self: TransactionManager, destination: str, pdus: list[Any], edus: list[Any]
    ) -> None:
        # A fault here raises: the transaction stays in its queue and is tried again.
        kept = [edu for edu in edus if delivery.passes(destination, edu.edu_type)]
        if pdus:
            delivery.attempt(destination, pdus)
        if pdus or kept:
            await send(self, destination, pdus, kept)

    TransactionManager.send_new_transaction = send_new_transaction  # type: ignore[method-assign] # the guard stands here
