"""Reads e-Office's feed: what was never pushed, and whether a missing number exists at all."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import aiohttp

from rabta_bots.intake.source import SourceError
from rabta_contract.event import Event
from rabta_contract.faults import ContractError
from rabta_contract.parsing import parse_batch

PAGE = 100
LARGEST_PAGE_BYTES = 8 * 1024 * 1024
HTTP_OK = 200


class FeedError(SourceError):
    """The feed could not be read: `feed-unreachable`, `feed-refused` or `feed-malformed`."""


@dataclass(slots=True)
class Feed:
    """The feed of one e-Office.

    Args:
        url: Base of e-Office.
        token: Bearer token.
        session: An open client session, owned by the caller.
        tls: The authorities to trust, or True for the system's.
    """

    url: str
    token: str = field(repr=False)
    session: Callable[[], aiohttp.ClientSession]
    tls: ssl.SSLContext | bool = True

    async def page(self, after: int) -> Sequence[Event]:
        """The next events after a sequence number, at most `PAGE`; empty at the end.

        Raises:
            FeedError: With the reason; nothing else is raised.
        """
        try:
            async with self.session().get(
                f"{self.url}/events",
                params={"after": str(after), "limit": str(PAGE)},
                headers={"Authorization": f"Bearer {self.token}"},
                ssl=self.tls,
                allow_redirects=False,
            ) as response:
                if response.status != HTTP_OK:
                    raise FeedError("feed-refused")
                raw = await response.content.read(LARGEST_PAGE_BYTES + 1)
                while len(raw) <= LARGEST_PAGE_BYTES and not response.content.at_eof():
                    raw += await response.content.read(LARGEST_PAGE_BYTES + 1 - len(raw))
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise FeedError("feed-unreachable") from error
        if len(raw) > LARGEST_PAGE_BYTES:
            raise FeedError("feed-malformed")
        try:
            events = parse_batch(raw)
        except ContractError as error:
            raise FeedError("feed-malformed") from error
        if any(event.sequence_no <= after for event in events):
            raise FeedError("feed-malformed")
        return events
