"""A ministry's staff service on a free port, in its own loop: tests ask it as its clients do."""

import asyncio
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient

from rabta_deploy.jsonhttp import Answer, request
from rabta_staff.program import serve
from rabta_staff.settings import Settings


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the clock of these tests


def secret_file(path: Path, text: str) -> Path:
    path.touch(0o600)
    path.write_text(text)
    return path


@dataclass
class Staff:
    """One staff service and its files.

    Attributes:
        home: Its directory.
        homeserver_url: Of the homeserver; the default has nobody listening.
        registration: The homeserver's registration secret.
        further: Further settings.
    """

    home: Path
    homeserver_url: str = "http://127.0.0.1:9"
    registration: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    further: dict[str, Any] = field(default_factory=dict)
    port: int = 0
    url: str = ""

    def __post_init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.import_token = secrets.token_urlsafe(24)
        secret_file(self.home / "hr.token", self.token)
        secret_file(self.home / "import.token", self.import_token)
        secret_file(self.home / "registration", self.registration)
        # Tests share a homeserver, and with it the service's administrator.
        secret_file(self.home / "password", "the password of the administrator")

    @property
    def directory_file(self) -> Path:
        return self.home / "directory.yaml"

    def settings(self) -> Settings:
        return Settings.model_validate(
            {
                "server_name": "itt.gov.test",
                "port": self.port,
                "public_url": "https://chat.itt.gov.test/scim/v2",
                "homeserver_url": self.homeserver_url,
                "registration_secret_file": self.home / "registration",
                "password_file": self.home / "password",
                "token_files": {"hr": self.home / "hr.token"},
                "import_token_file": self.home / "import.token",
                "directory": self.home / "staff",
                "directory_file": self.directory_file,
                "reserved": ["rabta"],
                **self.further,
            }
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; its URL stands in `url` meanwhile."""
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()
        ready = threading.Event()
        failed: list[BaseException] = []

        def listening(url: str) -> None:
            self.url = url
            ready.set()

        def run() -> None:
            try:
                settings = self.settings()
                loop.run_until_complete(serve(settings, now, stop, listening))
            except BaseException as error:  # noqa: BLE001 - told by whoever started it
                failed.append(error)
                ready.set()

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(30)
            if failed:
                raise failed[0]
            yield
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(30)
            loop.close()
        assert not thread.is_alive()
        assert not failed

    def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None, **more: Any
    ) -> Answer:
        """Ask SCIM as a client that is no library."""
        shown = self.token if token is None else token
        return request(
            method, f"{self.url}/scim/v2{path}", json_body=body, token=shown or None, **more
        )

    def import_list(self, text: str, *, query: str = "") -> Answer:
        """Hand a list of staff in."""
        body = text.encode()
        url = f"{self.url}/import{query}"
        return request("POST", url, body=body, token=self.import_token)

    @contextmanager
    def client(self) -> Iterator[SyncSCIMClient]:
        """A client of the library; it discovers what the service is."""
        headers = {"Authorization": f"Bearer {self.token}"}
        with Client(base_url=f"{self.url}/scim/v2", headers=headers) as http:
            made = SyncSCIMClient(http)
            made.discover()
            yield made

    def add_user(self, user_name: str, **further: Any) -> str:
        """Let a person join; gives SCIM's id."""
        schemas = ["urn:ietf:params:scim:schemas:core:2.0:User"]
        answer = self.ask("POST", "/Users", {"schemas": schemas, "userName": user_name, **further})
        assert answer.status == 201, answer
        return str(answer.body["id"])

    def add_post(self, number: str, designation: str, *members: str, **further: Any) -> str:
        """Set a post up; gives SCIM's id."""
        document = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", POST],
            "displayName": designation,
            "members": [{"value": member} for member in members],
            POST: {"postNumber": number, **further},
        }
        answer = self.ask("POST", "/Groups", document)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    def patch(self, path: str, *operations: dict[str, Any]) -> Answer:
        """Ask for a PATCH (RFC 7644, 3.5.2)."""
        schemas = ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]
        return self.ask("PATCH", path, {"schemas": schemas, "Operations": list(operations)})


POST = "urn:rabta:scim:schemas:extension:staff:1.0:Group"
