"""The invites other ministries sent to our users, as far as they can be believed.

A user who joins a remote room gives Synapse no state to judge by; the signed invite is what we
hold: who invited, from which server, and the class the inviter claimed. Kept in Synapse's
database, because the invite and the join may pass through different processes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from synapse.module_api import EventBase, LoggingTransaction, ModuleApi

from rabta_policy import Policy
from rabta_policy.known_room import server_of, strictest
from rabta_policy.label import ROOM_CLASS, Label

_CREATE = """
    CREATE TABLE IF NOT EXISTS rabta_invitations (
        room_id TEXT NOT NULL, user_id TEXT NOT NULL, inviter TEXT NOT NULL,
        home TEXT NOT NULL, room_class TEXT NOT NULL, PRIMARY KEY (room_id, user_id)
    )
"""
_KEEP = """
    INSERT INTO rabta_invitations (room_id, user_id, inviter, home, room_class)
    VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (room_id, user_id) DO UPDATE SET
        inviter = excluded.inviter, home = excluded.home, room_class = excluded.room_class
"""
_FIND = """
    SELECT inviter, home, room_class FROM rabta_invitations WHERE room_id = ? AND user_id = ?
"""


@dataclass(frozen=True, slots=True)
class Invitation:
    """A judged invite from another server.

    Attributes:
        room_id: The room.
        user_id: Our user.
        inviter: The user id that signed it; its server is verified.
        home: The server that made the room, by the invite's create event; a claim.
        room_class: The class the inviter claimed; a claim.
    """

    room_id: str
    user_id: str
    inviter: str
    home: str
    room_class: str


def read_invitation(event: EventBase, policy: Policy) -> Invitation:
    """The invitation in a remote invite event, with the claims of its stripped state."""
    create: Mapping[str, Any] = {}
    label: object = None
    for stripped in event.unsigned.get("invite_room_state") or ():
        if not isinstance(stripped, Mapping) or stripped.get("state_key") != "":
            continue
        if stripped.get("type") == "m.room.create":
            create = stripped
        elif stripped.get("type") == ROOM_CLASS:
            label = stripped.get("content")
    content, creator = create.get("content"), create.get("sender")
    floor = Label.from_create(content) if isinstance(content, Mapping) else None
    return Invitation(
        room_id=event.room_id,
        user_id=event.state_key or "",
        inviter=event.sender,
        home=server_of(creator if isinstance(creator, str) else event.sender),
        room_class=strictest(policy, (floor, Label.from_content(label))),
    )


class Invitations(Protocol):
    """Where judged invites are kept: the database, or a recorder in tests."""

    async def keep(self, invitation: Invitation) -> None:
        """Remember an invite; a later one for the same room and user replaces it."""

    async def find(self, room_id: str, user_id: str) -> Invitation | None:
        """The last invite to this room for this user."""


class DatabaseInvitations:
    """Invites in Synapse's database, through `run_db_interaction`."""

    def __init__(self, api: ModuleApi) -> None:
        self._api = api
        self._made = False

    async def keep(self, invitation: Invitation) -> None:
        """See `Invitations.keep`."""
        await self.ready()
        await self._api.run_db_interaction("rabta_invitation_keep", _keep, invitation)

    async def find(self, room_id: str, user_id: str) -> Invitation | None:
        """See `Invitations.find`."""
        await self.ready()
        return await self._api.run_db_interaction("rabta_invitation_find", _find, room_id, user_id)

    async def ready(self) -> None:
        """Make the table when it is not there yet."""
        if not self._made:
            await self._api.run_db_interaction("rabta_invitation_create", _create)
            self._made = True


def _create(txn: LoggingTransaction) -> None:
    txn.execute(_CREATE)


def _keep(txn: LoggingTransaction, invitation: Invitation) -> None:
    txn.execute(
        _KEEP,
        (
            invitation.room_id,
            invitation.user_id,
            invitation.inviter,
            invitation.home,
            invitation.room_class,
        ),
    )


def _find(txn: LoggingTransaction, room_id: str, user_id: str) -> Invitation | None:
    txn.execute(_FIND, (room_id, user_id))
    row = txn.fetchone()
    return Invitation(room_id, user_id, *(str(value) for value in row)) if row else None
