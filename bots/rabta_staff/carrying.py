"""Carries what the register says to the bridge's directory and to the homeserver.

First the rooms, then the sessions: who leaves a desk is out of its rooms before anything else.
What fails is tried again until the homeserver has it.
"""

import asyncio
import contextlib
import secrets
from pathlib import Path
from typing import NamedTuple

import structlog

from rabta_staff import directory_file
from rabta_staff.homeserver import Homeserver, HomeserverError
from rabta_staff.people import number_of, shown_name
from rabta_staff.register import Register
from rabta_staff.shapes import User, serves
from rabta_staff.store import Account

log = structlog.get_logger("rabta.staff")

AGAIN_SECONDS = 2.0
AT_ONCE = 8
_PASSWORD_BYTES = 18
A_TURN = 100
"""Accounts carried before the directory and those who leave are looked at again."""


class SignOn(NamedTuple):
    """How accounts are tied to the ministry's single sign-on.

    Attributes:
        provider: Synapse's name of it.
        attribute: Which attribute of a person is the subject there.
    """

    provider: str
    attribute: str

    def subject(self, user: User) -> tuple[str, str] | None:
        """Provider and subject of a person; None where the person has none."""
        subject = {
            "external_id": user.external_id,
            "user_name": user.user_name,
            "number": number_of(user),
        }[self.attribute]
        return (self.provider, subject) if subject else None


class Carrier:
    """Carries until it is stopped.

    Args:
        register: The register.
        homeserver: The accounts.
        directory: The file for the bridge.
        sign_on: Of the people; without one they have passwords.
    """

    def __init__(
        self, register: Register, homeserver: Homeserver, directory: Path, sign_on: SignOn | None
    ) -> None:
        self._register = register
        self._homeserver = homeserver
        self._directory = directory
        self._sign_on = sign_on
        self._written: int | None = None
        self._stopping = False
        self._wake = asyncio.Event()
        self._lanes = asyncio.Semaphore(AT_ONCE)
        self.faults: dict[str, str] = {}
        """Person -> reason code, of whom the homeserver could not be told."""

    def wake(self) -> None:
        """Look at once; called from the loop's own thread."""
        self._wake.set()

    def stop(self) -> None:
        """Let `run` end when what is in hand is done; the rest is owed still."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Look whenever it is woken, and again while something is owed, until `stop`."""
        while not self._stopping:
            self._wake.clear()
            try:
                await self.turn()
            except Exception:
                log.exception("carrying-failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_SECONDS):
                    await self._wake.wait()

    async def turn(self) -> None:
        """One look: the directory, the accounts, and the directory of those who have one now."""
        await asyncio.to_thread(self._write_directory)
        due = sorted(self._register.due().items(), key=self._urgency)
        async with asyncio.TaskGroup() as group:
            for user_id, account in due[:A_TURN]:
                group.create_task(self._carry(user_id, account))
        await asyncio.to_thread(self._write_directory)
        if len(due) > A_TURN:
            self._wake.set()

    def _urgency(self, due: tuple[str, Account]) -> tuple[bool, bool]:
        """Who is to be out comes first; who failed before holds nobody up."""
        user_id, account = due
        user = self._register.user(user_id)
        leaves = user is None or not serves(user) or account.ends_sessions
        return user_id in self.faults, not leaves

    async def give_password(self, user: User) -> str:
        """A new password for a person; every session ends. It is told once and kept nowhere.

        Raises:
            HomeserverError: `no-account-yet`, `single-sign-on`, and those of the homeserver.
        """
        account = self._register.accounts[str(user.id)]
        if self._sign_on is not None:
            raise HomeserverError("single-sign-on")
        if not account.owned or not serves(user):
            raise HomeserverError("no-account-yet")
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        await self._homeserver.set_password(account.localpart, password)
        return password

    def _write_directory(self) -> None:
        changes = self._register.changes
        if changes == self._written:
            return
        directory = directory_file.document(self._register)
        if directory_file.write(self._directory, directory):
            log.info("directory-written", persons=len(directory["persons"]))
        self._written = changes

    async def _carry(self, user_id: str, account: Account) -> None:
        async with self._lanes:
            if self._stopping:
                return
            try:
                await self._tell(user_id, account)
            except HomeserverError as error:
                if self.faults.get(user_id) != error.reason:
                    log.warning("account-not-carried", person=user_id, reason=error.reason)
                self.faults[user_id] = error.reason
                return
            self.faults.pop(user_id, None)
            await asyncio.to_thread(self._register.carried, user_id, account.owing)

    async def _tell(self, user_id: str, account: Account) -> None:
        with self._register.lock:
            user = self._register.user(user_id)
            held = self._register.held(user_id)
        if user is None or not serves(user):
            if account.owned:
                ended = await self._homeserver.shut(account.localpart)
                log.info("account-shut", person=user_id, devices=ended)
            return
        if account.ends_sessions:
            # Before the name: whoever left the desk is out, whatever else fails.
            ended = await self._homeserver.end_sessions(account.localpart)
            log.info("sessions-ended", person=user_id, devices=ended)
        if not account.owned:
            if await self._homeserver.look_up(account.localpart) is not None:
                # Made before there was a register, perhaps a homonym's: the operator says whose.
                raise HomeserverError("account-taken")
            await asyncio.to_thread(self._register.own, user_id)
        subject = self._sign_on.subject(user) if self._sign_on else None
        await self._homeserver.bring(account.localpart, shown_name(user, held), subject)
