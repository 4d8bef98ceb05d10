"""Officers' accounts: a password, an identity and its recovery key, each made once.

An account has its cross-signing identity before its person first signs in, so the person's
own client gets a device signed by its owner from the recovery key alone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.officer import Officer
from rabta_deploy.secretfile import keep_secret, write_secret
from rabta_deploy.secretfile import password as new_password


@dataclass(frozen=True, slots=True)
class Account:
    """One officer's account and where its secrets lie.

    Attributes:
        person_id: e-Office's id of the person.
        post_id: The post the person holds; the regular one if there are several.
        user_id: Matrix user id.
        homeserver: The person's homeserver.
        directory: Holds `password` and `recovery-key`, mode 0600.
    """

    person_id: str
    post_id: str
    user_id: str
    homeserver: Homeserver
    directory: Path

    @property
    def localpart(self) -> str:
        """The user id without server name."""
        return self.user_id[1:].partition(":")[0]

    @property
    def password_file(self) -> Path:
        """The account's password."""
        return self.directory / "password"

    @property
    def recovery_key_file(self) -> Path:
        """Unlocks the account's cross-signing identity in a new client."""
        return self.directory / "recovery-key"

    @property
    def password(self) -> str:
        """The password; made on first use."""
        return keep_secret(self.password_file, new_password)

    @property
    def recovery_key(self) -> str:
        """The recovery key, once `prepare` has made it."""
        return self.recovery_key_file.read_text(encoding="utf-8")

    async def sign_in(self, officer: Officer) -> None:
        """Sign a headless officer in with a new device, signed by its owner."""
        await officer.login(
            self.homeserver.client_url,
            self.user_id,
            self.password,
            recovery_key=self.recovery_key,
        )


def prepare(accounts: Sequence[Account]) -> None:
    """Register the accounts and make their identities, where that was not done before.

    Raises:
        AdminError: A homeserver refused.
        OfficerError: An identity could not be made.
    """
    fresh = [account for account in accounts if not account.recovery_key_file.exists()]
    for account in fresh:
        account.homeserver.register(account.localpart, account.password)
    if fresh:
        asyncio.run(_make_identities(fresh))


async def _make_identities(accounts: Sequence[Account]) -> None:
    async with asyncio.TaskGroup() as together:
        for account in accounts:
            together.create_task(_make_identity(account))


async def _make_identity(account: Account) -> None:
    async with Officer() as officer:
        made = await officer.login(
            account.homeserver.client_url, account.user_id, account.password, create_identity=True
        )
        write_secret(account.recovery_key_file, made["recovery_key"])
        await officer.logout()
