"""The two private choke points of Synapse that the guard stands in.

Beside `private.py` the only file that relies on what the module API does not promise.
Inbound: `Authenticator.authenticate_request` returns the origin once its signature is verified,
and the body it was given goes on to the handler. Outbound: every transaction leaves through
`TransactionManager.send_new_transaction`. Both are checked at start; where one has moved, Synapse
does not start unguarded.
"""

import inspect
import logging
from functools import wraps
from typing import Any

from synapse.api.errors import Codes, SynapseError
from synapse.federation.sender.transaction_manager import TransactionManager
from synapse.federation.transport.server._base import Authenticator
from synapse.module_api.errors import ConfigError
from twisted.internet.defer import CancelledError

from rabta_synapse.guard import Guard
from rabta_synapse.metrics import FAILURES

logger = logging.getLogger(__name__)

_SHAPES = (
    (Authenticator, "authenticate_request", ["self", "request", "content"]),
    (TransactionManager, "send_new_transaction", ["self", "destination", "pdus", "edus"]),
)


def stand_in(guard: Guard) -> None:
    """Put the guard into both choke points of this process.

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
    _guard_outbound(guard)


def _guard_inbound(guard: Guard) -> None:
    verified = Authenticator.authenticate_request

    @wraps(verified)
    async def authenticate_request(self: Authenticator, request: Any, content: Any) -> str:
        origin = await verified(self, request, content)
        try:
            await guard.inbound(origin, request.uri.decode("ascii"), content)
        except (SynapseError, CancelledError):
            raise
        except Exception as fault:
            FAILURES.labels("guard_inbound").inc()
            logger.exception("The guard failed; the request is refused for now")
            # 503 and not 403: a transaction is sent again, nothing in it is lost.
            raise SynapseError(503, "The door failed; try again.", Codes.UNKNOWN) from fault
        return origin

    Authenticator.authenticate_request = authenticate_request  # type: ignore[method-assign] # the guard stands here


def _guard_outbound(guard: Guard) -> None:
    send = TransactionManager.send_new_transaction

    @wraps(send)
    async def send_new_transaction(
        self: TransactionManager, destination: str, pdus: list[Any], edus: list[Any]
    ) -> None:
        # A fault here raises: the transaction stays in its queue and is tried again.
        kept = [edu for edu in edus if guard.outbound(destination, edu.edu_type)]
        if pdus or kept:
            await send(self, destination, pdus, kept)

    TransactionManager.send_new_transaction = send_new_transaction  # type: ignore[method-assign] # the guard stands here
