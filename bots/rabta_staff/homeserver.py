"""The accounts at the homeserver, by Synapse's admin API. Every call can be repeated safely.

Nothing here destroys: who leaves is locked out and loses every device, and the account, its rooms
and its key backup stay the ministry's (see docs/why/staff-leave.md).
"""

import asyncio
import hashlib
import hmac
from http import HTTPStatus
from typing import Any

import aiohttp

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_DEVICE = "rabta-staff"


class HomeserverError(Exception):
    """The homeserver did not do it.

    Attributes:
        reason: Reason code.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Homeserver:
    """The accounts of one ministry.

    Args:
        session: Sends the requests; closed by whoever opened it.
        url: Client and admin APIs, on the loopback.
        server_name: Matrix server name.
        account: Local part of the service's administrator, who is in no room.
        password: Of that administrator.
        registration_secret: Synapse's shared secret, to make that administrator once.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        url: str,
        server_name: str,
        account: str,
        password: str,
        registration_secret: str,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._server_name = server_name
        self._account = account
        self._password = password
        self._secret = registration_secret.encode()
        self._token: str | None = None
        self._signing = asyncio.Lock()

    async def look_up(self, localpart: str) -> dict[str, Any] | None:
        """What the homeserver knows of an account; None where there is none."""
        return await self._admin("GET", self._user(localpart), absent_is_none=True)

    async def bring(self, localpart: str, name: str, subject: tuple[str, str] | None) -> None:
        """Have an account that is in force, with a display name and the subject of its sign-on.

        Args:
            localpart: Of the account.
            name: Display name.
            subject: Provider and subject of the single sign-on.

        Raises:
            HomeserverError: `account-is-administrator`, `account-deactivated`, `sign-on-taken`,
                `homeserver-away` or `homeserver-refused`.
        """
        found = await self.look_up(localpart)
        wanted: dict[str, Any] = {"displayname": name}
        if subject is not None:
            wanted["external_ids"] = [{"auth_provider": subject[0], "external_id": subject[1]}]
        if found is not None:
            _no_administrator(found)
            if found["deactivated"]:
                # Not by us: whoever did it knows whether it may be undone.
                raise HomeserverError("account-deactivated")
            if found["locked"]:
                wanted["locked"] = False
        await self._admin("PUT", self._user(localpart), wanted)

    async def end_sessions(self, localpart: str) -> int:
        """Delete every device of an account, and with them every token; gives how many."""
        path = self._user(localpart)
        told = await self._admin("GET", f"{path}/devices", absent_is_none=True)
        devices = [device["device_id"] for device in (told or {}).get("devices", ())]
        if devices:
            await self._admin("POST", f"{path}/delete_devices", {"devices": devices})
        return len(devices)

    async def shut(self, localpart: str) -> int:
        """Lock an account and end its sessions; gives how many. Harmless twice."""
        found = await self.look_up(localpart)
        if found is None:
            return 0
        _no_administrator(found)
        if not found["locked"] and not found["deactivated"]:
            # Before the devices go: nobody signs in between.
            await self._admin("PUT", self._user(localpart), {"locked": True})
        return await self.end_sessions(localpart)

    async def set_password(self, localpart: str, password: str) -> None:
        """Give an account a password; every session of it ends."""
        body = {"password": password, "logout_devices": True}
        await self._admin("PUT", self._user(localpart), body)

    def _user(self, localpart: str) -> str:
        return f"/_synapse/admin/v2/users/@{localpart}:{self._server_name}"

    async def _admin(
        self, method: str, path: str, body: object = None, *, absent_is_none: bool = False
    ) -> dict[str, Any] | None:
        """Ask as the administrator; a token that ran out is replaced once."""
        token = await self._in_force(None)
        status, told = await self._send(method, path, body, token)
        if status == HTTPStatus.UNAUTHORIZED:
            token = await self._in_force(token)
            status, told = await self._send(method, path, body, token)
        if status == HTTPStatus.NOT_FOUND and absent_is_none:
            return None
        if status in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return told
        raise HomeserverError(
            "sign-on-taken" if status == HTTPStatus.CONFLICT else "homeserver-refused"
        )

    async def _in_force(self, ended: str | None) -> str:
        """A token; signing in takes the last one out of force, so one signs in for all."""
        async with self._signing:
            if self._token is None or self._token == ended:
                self._token = await self._sign_in()
            return self._token

    async def _sign_in(self) -> str:
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": self._account},
            "password": self._password,
            # The same device each time: signing in again takes the last token out of force.
            "device_id": _DEVICE,
            "initial_device_display_name": "rabta staff",
        }
        login = "/_matrix/client/v3/login"
        status, told = await self._send("POST", login, body)
        if status == HTTPStatus.FORBIDDEN:
            await self._register()
            status, told = await self._send("POST", login, body)
        if status != HTTPStatus.OK:
            raise HomeserverError("administrator-refused")
        return str(told["access_token"])

    async def _register(self) -> None:
        """Make the administrator (Synapse's "Shared-Secret Registration")."""
        path = "/_synapse/admin/v1/register"
        _, told = await self._send("GET", path)
        nonce = str(told.get("nonce", ""))
        said = b"\0".join(part.encode() for part in (nonce, self._account, self._password, "admin"))
        # HMAC-SHA1 is Synapse's protocol here.
        mac = hmac.new(self._secret, said, hashlib.sha1).hexdigest()
        body = {
            "nonce": nonce,
            "username": self._account,
            "password": self._password,
            "admin": True,
            "mac": mac,
        }
        status, told = await self._send("POST", path, body)
        if status != HTTPStatus.OK and told.get("errcode") != "M_USER_IN_USE":
            raise HomeserverError("administrator-refused")

    async def _send(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.request(
                method,
                f"{self._url}{path}",
                json=body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                told = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise HomeserverError("homeserver-away") from error
        return answer.status, told if isinstance(told, dict) else {}


def _no_administrator(found: dict[str, Any]) -> None:
    """An administrator is made and unmade on the machine, never by whom SCIM trusts."""
    if found["admin"]:
        raise HomeserverError("account-is-administrator")
