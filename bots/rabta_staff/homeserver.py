"""The accounts at the homeserver, by Synapse's admin API. Every call can be repeated safely.

The service's own administrator is made with the registration secret and signs in by password
when it must: no token is kept, so none runs out.
"""

import hashlib
import hmac
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import aiohttp

from rabta_staff.faults import refused

_TIMEOUT = aiohttp.ClientTimeout(total=30)
_DEVICE = "rabta-staff"
_PASSWORD_LONGEST = 512


class HomeserverError(Exception):
    """The homeserver did not do it.

    Attributes:
        reason: Reason code.
        permanent: Whether asking again is of no use until somebody acts.
    """

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


class Homeserver:
    """The accounts of one ministry.

    Args:
        session: Sends the requests; closed by whoever opened it.
        url: Client and admin APIs, on the loopback.
        server_name: Matrix server name.
        account: Local part of the service's administrator.
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

    def user_id(self, localpart: str) -> str:
        """The user id of a local part."""
        return f"@{localpart}:{self._server_name}"

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
            HomeserverError: `account-is-administrator`, `sign-on-taken`, `homeserver-away` or
                `homeserver-refused`.
        """
        found = await self.look_up(localpart)
        wanted: dict[str, Any] = {"displayname": name}
        if subject is not None:
            wanted["external_ids"] = [{"auth_provider": subject[0], "external_id": subject[1]}]
        if found is not None:
            if found["admin"]:
                raise HomeserverError("account-is-administrator", permanent=True)
            if found["deactivated"]:
                await self._admin("PUT", self._user(localpart), {"deactivated": False})
            have = {
                "displayname": found["displayname"],
                "external_ids": [
                    {key: one[key] for key in ("auth_provider", "external_id")}
                    for one in found["external_ids"]
                ],
            }
            wanted = {key: value for key, value in wanted.items() if have[key] != value}
            if not wanted:
                return
        await self._admin("PUT", self._user(localpart), wanted)

    async def end_sessions(self, localpart: str) -> int:
        """Delete every device of an account, and with them every token; gives how many."""
        path = self._user(localpart)
        told = await self._admin("GET", f"{path}/devices", absent_is_none=True)
        devices = [device["device_id"] for device in (told or {}).get("devices", ())]
        if devices:
            await self._admin("POST", f"{path}/delete_devices", {"devices": devices})
        return len(devices)

    async def close_account(self, localpart: str) -> None:
        """Deactivate without erasing: no devices, no tokens, out of every room; harmless twice."""
        found = await self.look_up(localpart)
        if found is None or found["deactivated"]:
            return
        if found["admin"]:
            raise HomeserverError("account-is-administrator", permanent=True)
        path = f"/_synapse/admin/v1/deactivate/{quote(self.user_id(localpart), safe='')}"
        await self._admin("POST", path, {"erase": False})

    async def set_password(self, localpart: str, password: str) -> None:
        """Give an account a password; every session of it ends."""
        if len(password) > _PASSWORD_LONGEST:
            raise refused("password-too-long", "password", "is too long", "give a shorter one")
        body = {"password": password, "logout_devices": True}
        await self._admin("PUT", self._user(localpart), body)

    def _user(self, localpart: str) -> str:
        return f"/_synapse/admin/v2/users/{quote(self.user_id(localpart), safe='')}"

    async def _admin(
        self, method: str, path: str, body: object = None, *, absent_is_none: bool = False
    ) -> dict[str, Any] | None:
        """Ask as the administrator; a token that ran out is replaced once."""
        for last in (False, True):
            if self._token is None:
                self._token = await self._sign_in()
            status, told = await self._send(method, path, body, self._token)
            if status == HTTPStatus.UNAUTHORIZED and not last:
                self._token = None
                continue
            break
        if status == HTTPStatus.NOT_FOUND and absent_is_none:
            return None
        if status in {HTTPStatus.OK, HTTPStatus.CREATED}:
            return told
        if status == HTTPStatus.CONFLICT:
            raise HomeserverError("sign-on-taken", permanent=True)
        again = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in {
            HTTPStatus.UNAUTHORIZED,
            HTTPStatus.TOO_MANY_REQUESTS,
        }
        raise HomeserverError("homeserver-refused", permanent=not again)

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
            raise HomeserverError("administrator-refused", permanent=status == HTTPStatus.FORBIDDEN)
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
            raise HomeserverError("administrator-refused", permanent=status == HTTPStatus.FORBIDDEN)

    async def _send(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            async with self._session.request(
                method,
                # The path is quoted already: a user id's colon stays as it is.
                f"{self._url}{path}",
                json=body,
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
            ) as answer:
                told = await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise HomeserverError("homeserver-away", permanent=False) from error
        return answer.status, told if isinstance(told, dict) else {}
