"""The one interface of every way in: an `EventSource` brings e-Office's events to the `Intake`.

Three live here: the webhook (`door.py`, pushed), the feed (`polling.py`, polled) and the folder
(`folder.py`, dropped files). To add a fourth, for an e-Office with an interface of its own:

1. Write a class with the four members of `EventSource`. What it brings it makes into `Event`s of
   the contract, with an id and a sequence number that are the same however often they are made
   (from e-Office's own keys, never from a counter in memory), and hands them to `Intake.take` as
   a `Delivery`, or to `Intake.take_page` when it knows that it has left nothing out.
2. Authenticate what came before it becomes a `Delivery`. A thin notice that carries no signature
   may only wake the source: it then fetches the facts itself, over a connection it trusts.
3. Let `RefusedError` be answered in e-Office's own manner, with the reason code; whatever is not
   stored must come again by itself.
4. If commands go to it by another way than `POST /commands`, write a `CommandDesk` too, and for
   its documents a `DocumentStore`. `rabta_bots.adapters.open_eoffice` joins the parts by the
   settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from aiohttp import web

from rabta_contract.command import Command, CommandRefusal, CommandResult
from rabta_contract.event import Event


@dataclass(frozen=True, slots=True)
class Delivery:
    """Events that came together; whoever makes one has verified where they come from.

    Args:
        delivery_id: Unique with its sender: the same id with other events is refused.
        events: Valid under the contract; stored whole or not at all.
        via: The `via` of the source.
    """

    delivery_id: str
    events: Sequence[Event]
    via: str


class SourceError(Exception):
    """A source cannot say or bring now what it was asked for; it is worth asking again.

    Args:
        reason: Stable kebab-case code.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class EventSource(Protocol):
    """A way by which events reach the bridge."""

    via: str
    """One fixed word for metrics and store, such as `push`."""

    def routes(self) -> Sequence[web.RouteDef]:
        """The doors that it wants on the bridge's listener; none for a source that fetches."""

    async def collect(self) -> bool | float:
        """Bring what waits there, once; called again and again, one call at a time.

        Returns:
            True when there may be more at once, False to be called after its usual time, or in
            how many seconds it wants to be called.
        """

    async def fill(self, source: str, since: datetime) -> None:
        """Bring everything that `source` told before `since`: a number is missing.

        Returning means that nothing earlier can come by this way any more.

        Raises:
            SourceError: That cannot be said now, or never by this way.
        """


class CommandDesk(Protocol):
    """Where commands go."""

    async def carry(self, command: Command, now: datetime) -> CommandResult | CommandRefusal | None:
        """Hand a command over, the same one any number of times: it is carried out once.

        Returns:
            What e-Office did or why not; None when nothing is known of it, so try again.
        """
