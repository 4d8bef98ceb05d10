"""A policy made ready: what the judge and the shells look up, each in constant time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from rabta_policy.classes import RoomClass, closed_class
from rabta_policy.document import PolicyDocument
from rabta_policy.registry import Server
from rabta_policy.rights import PermitRights, permit_rights, relation_rights
from rabta_policy.seats import Seat, Seats
from rabta_policy.states import Organisation


class Standing(StrEnum):
    """Whether a policy still speaks."""

    IN_FORCE = "in-force"
    GRACE = "grace"
    EXPIRED = "expired"


class Policy:
    """A compiled policy. Made by `parse` or `open_signed`; it never changes.

    Attributes:
        document: The document it was made from.
        digest: SHA-256 of the canonical document, in hexadecimal; empty when parsed unsigned.
        network: The network's name.
        serial: The document's number; a consumer never goes back to a lower one.
        issued_at: When it was issued.
        not_after: Until when it is in force.
        last_moment: The last moment in force.
        grace_ends: When the days of grace end.
        room_classes: The classes, loosest first; a class's rank is its place here.
    """

    def __init__(self, document: PolicyDocument, digest: str = "") -> None:
        self.document = document
        self.digest = digest
        self.network = document.network
        self.serial = document.serial
        self.issued_at = document.issued_at
        self.not_after = document.not_after
        self.grace_ends = document.not_after + document.grace
        self.last_moment = document.not_after - timedelta(microseconds=1)
        self._classes = document.classes.named()
        self.room_classes = tuple(self._classes.values())
        self.relation_rights = relation_rights(document.relations)
        self.permit_rights: PermitRights = permit_rights(
            permit for permit in document.permits if permit.room is None
        )
        self.room_permit_rights = self._room_permits()
        self._servers = dict(_servers(document))
        self._by_code = dict(Seats(document, self._servers).by_code())
        self._server_of = {
            entry.code: entry.server.name for entry in document.organisations if entry.server
        }
        self._by_server = {name: self._by_code[code] for code, name in self._server_of.items()}

    def _room_permits(self) -> Mapping[str, PermitRights]:
        rooms = defaultdict(list)
        for permit in self.document.permits:
            if permit.room is not None:
                rooms[permit.room].append(permit)
        return {room: permit_rights(found) for room, found in rooms.items()}

    def standing(self, now: datetime) -> Standing:
        """Whether the policy is in force, in its days of grace, or expired (R1, R2)."""
        if now < self.not_after:
            return Standing.IN_FORCE
        return Standing.GRACE if now < self.grace_ends else Standing.EXPIRED

    def knows(self, server_name: str) -> bool:
        """Whether the registry names the server, at whatever date."""
        return server_name in self._by_server

    def seat_of_server(self, server_name: str, now: datetime) -> Seat | None:
        """Who speaks for a server now; None for a server unknown, or not begun."""
        seats = self._by_server.get(server_name)
        return None if seats is None else seats.at(now)

    def seat_of_code(self, code: str, now: datetime) -> Seat | None:
        """Who stands under a code now; None for a code unknown, or not begun."""
        seats = self._by_code.get(code)
        return None if seats is None else seats.at(now)

    def organisation_of(self, server_name: str, now: datetime) -> Organisation | None:
        """The organisation whose users live on a server: the successor once its own is retired."""
        seat = self.seat_of_server(server_name, now)
        return None if seat is None else seat.organisation

    def server(self, server_name: str) -> Server | None:
        """A server's pinned address, CA (its own, else the network's) and keys; None if unknown."""
        return self._servers.get(server_name)

    def server_of(self, code: str) -> str | None:
        """The name of an organisation's own server; None for a code unknown, or without server."""
        return self._server_of.get(code)

    @property
    def server_names(self) -> frozenset[str]:
        """The names of all servers that the registry names, at whatever date."""
        return frozenset(self._by_server)

    def federating_servers(self, now: datetime) -> frozenset[str]:
        """The names of the servers that may federate now; none once expired (R1, R3 to R6)."""
        if self.standing(now) is Standing.EXPIRED:
            return frozenset()
        return frozenset(
            name
            for name, seats in self._by_server.items()
            if (seat := seats.at(now)) is not None and not seat.barred
        )

    def rank_of_class(self, name: str) -> int | None:
        """A class's place in the order, 0 the loosest; None for what is no room class."""
        found = self._classes.get(name)
        return None if found is None else found.rank

    def room_class(self, name: str) -> RoomClass:
        """A class by name, in any letter case; what is no room class (`SECRET`) allows nothing."""
        return self._classes.get(name.lower()) or closed_class(name)

    @property
    def strictest_federating_class(self) -> RoomClass:
        """What a room without a label is treated as; the strictest of all when none federates."""
        federating = [one for one in self.room_classes if one.federation != "none"]
        return (federating or self.room_classes)[-1]


def _servers(document: PolicyDocument) -> Iterator[tuple[str, Server]]:
    for entry in document.organisations:
        if entry.server is not None:
            server = entry.server
            if server.tls_ca is None and document.tls_ca is not None:
                server = server.model_copy(update={"tls_ca": document.tls_ca})
            yield server.name, server
