"""The register: persons, posts and charges as SCIM's resources, in memory and on disk.

What joins, transfers and leaves do is decided here; the carrier does it at the homeserver. An
operation happens whole or not at all, and its audit lines are written before it counts.
"""

import itertools
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from scim2_models import (
    GroupMembership,
    Im,
    InvalidValueException,
    Reference,
    Resource,
    ResourceType,
)
from scim2_server.memory import InMemoryStorage

from rabta_staff import posts
from rabta_staff.notes import Act, Note
from rabta_staff.people import (
    ENDS_SESSIONS,
    Charge,
    localpart_of,
    number_of,
    post_number_of,
)
from rabta_staff.shapes import (
    PERSON,
    PERSON_TYPE,
    POST,
    POST_TYPE,
    Group,
    User,
    serves,
)
from rabta_staff.store import Account, Row, Store

Key = tuple[str, str]


class Register(InMemoryStorage):
    """The register of one ministry. Callers hold `operation()` while they write.

    Args:
        file: Where it is kept.
        server_name: Matrix server name.
        reserved: Local parts that no person gets.
        clock: Gives the time.
        audit: Writes the lines of an operation down for good; what it raises undoes it.
    """

    def __init__(
        self,
        file: Path,
        *,
        server_name: str,
        reserved: Iterable[str],
        clock: Callable[[], datetime],
        audit: Callable[[list[Note]], None],
    ) -> None:
        super().__init__(clock)
        self._disk = Store(file)
        self._server_name = server_name
        self.reserved = frozenset(reserved)
        self._audit = audit
        self._changed: set[Key] = set()
        self.notes: list[Note] = []
        """Of the operation that is under way."""
        self.accounts: dict[str, Account] = {}
        self.charges: dict[str, tuple[Charge, ...]] = {}
        """Post -> who has charge of it, by SCIM's ids."""
        self.gone: dict[str, User | Group] = {}
        self.changes = 0
        """Counted up with each operation that changed anything."""
        self._owings = itertools.count(1)
        self._load()

    def close(self) -> None:
        """Close the file."""
        self._disk.close()

    # -- Operations --------------------------------------------------------------------------

    @contextmanager
    def operation(self) -> Generator[None]:
        """One operation: on disk when it ends, undone when it fails."""
        with self.lock:
            try:
                yield
                self._save()
            except BaseException:
                if self._changed:
                    self._load()
                raise
            finally:
                self._changed.clear()
                self.notes = []

    def _save(self) -> None:
        if not self._changed:
            return
        if self.notes:
            # First: an act that no audit tells must not be. One that it tells and that did not
            # come about is told again when it does.
            self._audit(self.notes)
        self._disk.write(self._row(*key) for key in sorted(self._changed))
        self.changes += 1

    def _row(self, kind: str, ident: str) -> Row:
        gone = self.gone.get(ident)
        body = (gone or self._resources[kind][ident]).model_dump_json()
        which: Literal["User", "Group"] = "User" if kind == "User" else "Group"
        return Row(
            ident,
            which,
            body,
            gone is not None,
            self.accounts.get(ident),
            self.charges.get(ident, ()),
        )

    def _load(self) -> None:
        self.accounts, self.charges, self.gone = {}, {}, {}
        living: list[Resource[Any]] = []
        for row in self._disk.rows():
            model = PERSON if row.kind == "User" else POST
            resource = model.model_validate_json(row.body)
            if row.account is not None:
                self.accounts[row.id] = row.account
            if row.charges:
                self.charges[row.id] = row.charges
            if row.gone:
                self.gone[row.id] = resource
            else:
                living.append(resource)
        self.resources = living

    # -- As SCIM's storage -------------------------------------------------------------------

    def next_version(self) -> str:
        """A version that no resource ever had, nor will after a restart."""
        return f'W/"{secrets.token_hex(8)}"'

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        """Let a person join, or set a post up."""
        if isinstance(resource, User):
            return self.join(resource)
        created = super().create(
            resource_type, posts.settled(_group(resource), self._resources.get("User", {}))
        )
        self.notes.append(Note("post-added", post=post_number_of(_group(created))))
        return self._group_written(created)

    def join(self, user: User, *, account: str | None = None) -> User:
        """Let a person join.

        Args:
            user: The person.
            account: Local part of an account that is there already and becomes this person's.

        Raises:
            UniquenessException: The user name or the personnel number is another's.
            InvalidValueException: The account is another's.
        """
        taken = {one.localpart for one in self.accounts.values()} | self.reserved
        if account in taken:
            raise InvalidValueException(detail=f"The account {account} is taken")
        localpart = account or localpart_of(user.user_name or "", taken)
        user = user.model_copy(deep=True)
        user.ims = [Im(value=f"@{localpart}:{self._server_name}", type="matrix")]
        created = _user(super().create(PERSON_TYPE, user))
        ident = str(created.id)
        self.accounts[ident] = Account(localpart, owned=account is not None)
        self._owe(ident)
        self.notes.append(Note("staff-joined", person=number_of(created)))
        return created

    def update(
        self,
        resource_type: ResourceType,
        resource: Resource[Any],
        *,
        expected_version: str | None = None,
    ) -> Resource[Any]:
        """Write down a person or a post anew."""
        before = self.get(resource_type, str(resource.id))
        if isinstance(resource, User) and isinstance(before, User):
            resource = resource.model_copy(deep=True)
            resource.groups = before.groups
            resource.ims = before.ims
            updated = super().update(resource_type, resource, expected_version=expected_version)
            return self._user_written(_user(updated), before)
        settled = posts.settled(_group(resource), self._resources.get("User", {}))
        updated = super().update(resource_type, settled, expected_version=expected_version)
        self._keep_number(_group(before), _group(updated))
        if posts.described(_group(updated)) != posts.described(_group(before)):
            self.notes.append(Note("post-changed", post=post_number_of(_group(updated))))
        return self._group_written(updated)

    def delete(
        self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None
    ) -> None:
        """Let a person leave for good, or close a post; the row stays."""
        resource = self.get(resource_type, resource_id)
        self._check_version(resource, expected_version)
        if isinstance(resource, User):
            self.relieve(resource_id)
            self.notes.append(Note("staff-forgotten", person=number_of(resource)))
            self._owe(resource_id)
        else:
            group = _group(resource)
            emptied = group.model_copy(update={"members": None}, deep=True)
            resource = self.update(POST_TYPE, emptied)
            self.notes.append(Note("post-closed", post=post_number_of(group)))
        super().delete(resource_type, resource_id)
        self.gone[resource_id] = _user(resource) if isinstance(resource, User) else _group(resource)
        self._changed.add((str(resource_type.name), resource_id))

    def relieve(self, user_id: str, *, but: Iterable[str] = ()) -> None:
        """Let a person relinquish every post but those."""
        kept = set(but)
        for group, _ in self.held(user_id):
            if group.id not in kept:
                group.members = [one for one in group.members or () if one.value != user_id]
                self.update(POST_TYPE, group)

    # -- What is asked of it -----------------------------------------------------------------

    def all_users(self) -> Iterator[User]:
        """Whoever is in the register; not to be changed."""
        return (_user(one) for one in self._resources.get("User", {}).values())

    def all_posts(self) -> Iterator[Group]:
        """Every post; not to be changed."""
        return (_group(one) for one in self._resources.get("Group", {}).values())

    def user(self, user_id: str) -> User | None:
        """A person in the register."""
        with self.lock:
            found = self._resources.get("User", {}).get(user_id)
            return None if found is None else _user(found.model_copy(deep=True))

    def user_called(self, user_name: str) -> User | None:
        """The person with a user name, in any case of letters."""
        with self.lock:
            key = user_name.casefold()
            return next(
                (one for one in self.all_users() if (one.user_name or "").casefold() == key), None
            )

    def held(self, user_id: str) -> list[tuple[Group, Charge]]:
        """The posts that a person holds, each with the charge; copies."""
        with self.lock:
            user = self.user(user_id)
            found = []
            for membership in (user.groups if user else None) or ():
                group = _group(self.get(POST_TYPE, str(membership.value)))
                charges = self.charges.get(str(group.id), ())
                found += [(group, one) for one in charges if one.person == user_id]
            return found

    def due(self) -> dict[str, Account]:
        """Whose account the homeserver has not been told the latest of; copies."""
        with self.lock:
            return {ident: replace(one) for ident, one in self.accounts.items() if one.due}

    def own(self, user_id: str) -> None:
        """Note that the account is made for this person."""
        with self.operation():
            self.accounts[user_id].owned = True
            self._changed.add(("User", user_id))

    def claim(self, user_id: str) -> None:
        """Note that the account is this person's."""
        self.accounts[user_id].owned = True
        self._owe(user_id)

    def carried(self, user_id: str, owing: int) -> None:
        """Note that the homeserver was told all that was owed as of `owing`, and no more."""
        with self.operation():
            account = self.accounts[user_id]
            if account.owing == owing:
                account.due = account.ends_sessions = False
                self._changed.add(("User", user_id))

    def _owe(self, user_id: str) -> None:
        account = self.accounts[user_id]
        account.due, account.owing = True, next(self._owings)
        self._changed.add(("User", user_id))

    # -- What follows from what --------------------------------------------------------------

    def _user_written(self, user: User, before: User) -> User:
        ident = str(user.id)
        self._owe(ident)
        number = number_of(user)
        if serves(user) == serves(before):
            self.notes.append(Note("staff-changed", person=number))
        else:
            act: Act = "staff-returned" if serves(user) else "staff-left"
            self.notes.append(Note(act, person=number))
        return user

    def _group_written(self, resource: Resource[Any]) -> Resource[Any]:
        """Have charges and persons follow: who is told of what, whose sessions end."""
        group = _group(resource)
        ident, number = str(group.id), post_number_of(group)
        self._changed.add(("Group", ident))
        were = {one.person: one for one in self.charges.get(ident, ())}
        held = {one.person: one for one in posts.charges(group, were, self.clock())}
        self.charges[ident] = tuple(held.values())
        for person, charge in were.items():
            if person not in held or held[person].begins != charge.begins:
                self._note_charge("charge-relinquished", charge, number)
            if person not in held and charge.kind in ENDS_SESSIONS:
                self.accounts[person].ends_sessions = True
        for person, charge in held.items():
            if person not in were or were[person].begins != charge.begins:
                self._note_charge("charge-assumed", charge, number)
        for person in were.keys() | held.keys():
            self._follow_group(person, group, holds=person in held)
        return resource

    def _keep_number(self, before: Group, after: Group) -> None:
        if post_number_of(before) != post_number_of(after):
            former = posts.former(before)
            self.gone[str(former.id)] = former
            self._changed.add(("Group", str(former.id)))

    def _note_charge(self, act: Act, charge: Charge, post: str) -> None:
        user = self.user(charge.person)
        person = charge.person if user is None else number_of(user)
        self.notes.append(Note(act, person=person, post=post, order=charge.order_no))

    def _follow_group(self, user_id: str, group: Group, *, holds: bool) -> None:
        user = self.user(user_id)
        if user is None:
            return
        others = [one for one in user.groups or () if one.value != group.id]
        mine = GroupMembership(
            value=group.id,
            ref=Reference(f"Groups/{group.id}"),
            display=group.display_name,
            type="direct",
        )
        # In an order that does not hang on who was written last.
        groups = sorted([*others, *([mine] if holds else [])], key=lambda one: str(one.value))
        self._owe(user_id)
        if [one.model_dump() for one in groups] != [one.model_dump() for one in user.groups or ()]:
            user.groups = groups or None
            super().update(PERSON_TYPE, user)


def _user(resource: Resource[Any]) -> User:
    if not isinstance(resource, User):
        raise TypeError(type(resource).__name__)
    return resource


def _group(resource: Resource[Any]) -> Group:
    if not isinstance(resource, Group):
        raise TypeError(type(resource).__name__)
    return resource
