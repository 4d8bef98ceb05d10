"""Synapse's admin API, as far as the yard needs it."""

import hashlib
import hmac
from http import HTTPStatus
from typing import Any

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import Answer, request


class AdminError(YardError):
    """A homeserver refused an administrator's request."""


class SynapseAdmin:
    """Admin requests to one homeserver.

    Args:
        client_url: `http://127.0.0.1:port`.
        shared_secret: Its registration shared secret.
    """

    def __init__(self, client_url: str, shared_secret: str) -> None:
        self._url = client_url
        self._shared_secret = shared_secret.encode()

    def register(self, localpart: str, password: str, *, admin: bool = False) -> None:
        """Register an account by the shared secret; one that exists is left alone.

        Raises:
            AdminError: `registration-refused`.
        """
        url = f"{self._url}/_synapse/admin/v1/register"
        nonce = str(_expect(request("GET", url), "registration-refused")["nonce"])
        role = "admin" if admin else "notadmin"
        told = b"\0".join(part.encode() for part in (nonce, localpart, password, role))
        # HMAC-SHA1 is Synapse's protocol here, see its register API.
        mac = hmac.new(self._shared_secret, told, hashlib.sha1).hexdigest()
        body = {
            "nonce": nonce,
            "username": localpart,
            "password": password,
            "admin": admin,
            "mac": mac,
        }
        answer = request("POST", url, json_body=body)
        exists = isinstance(answer.body, dict) and answer.body.get("errcode") == "M_USER_IN_USE"
        if not exists:
            _expect(answer, "registration-refused")

    def log_in(self, localpart: str, password: str, *, device_id: str | None = None) -> str:
        """Log in with a password.

        Args:
            localpart: Of the account.
            password: Its password.
            device_id: Log in again as this device, whose older token then ends; None: a new one.

        Returns:
            The access token of the device.

        Raises:
            AdminError: `login-refused`.
        """
        body = {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": localpart},
            "password": password,
            "initial_device_display_name": "rabta",
            **({"device_id": device_id} if device_id else {}),
        }
        answer = request("POST", f"{self._url}/_matrix/client/v3/login", json_body=body)
        return str(_expect(answer, "login-refused")["access_token"])

    def knows(self, token: str) -> bool:
        """Whether an access token is in force; one ends with the session's lifetime.

        Raises:
            AdminError: `whoami-refused`: the homeserver says neither yes nor no.
        """
        answer = request("GET", f"{self._url}/_matrix/client/v3/account/whoami", token=token)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return False
        _expect(answer, "whoami-refused")
        return True

    def lift_rate_limits(self, user_id: str, *, token: str) -> None:
        """Set the account's rate limit to none.

        Raises:
            AdminError: `override-refused`.
        """
        url = f"{self._url}/_synapse/admin/v1/users/{user_id}/override_ratelimit"
        body = {"messages_per_second": 0, "burst_count": 0}
        _expect(request("POST", url, json_body=body, token=token), "override-refused")


def _expect(answer: Answer, reason: str) -> dict[str, Any]:
    if answer.status != HTTPStatus.OK or not isinstance(answer.body, dict):
        told = answer.body.get("error", "") if isinstance(answer.body, dict) else ""
        raise AdminError(
            reason, f"The homeserver answered {answer.status} {told}".strip(), "read its log"
        )
    return answer.body
