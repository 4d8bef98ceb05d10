"""A real Chromium, the served officer's page, and a second client that plays e-Office's part."""

import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from rabta_deploy.homeserver import Homeserver
from rabta_deploy.officer import PAGE, Officer
from rabta_deploy.page import PageSettings, application
from rabta_deploy.ports import free_port

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "a password of tests"
PATIENCE_MS = 60_000  # two cores may be shared with other tests


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser(missing_part: Callable[[str], NoReturn]) -> AsyncIterator[Browser]:
    """Debian's Chromium; no browser is ever downloaded."""
    program = shutil.which("chromium")
    if program is None:
        missing_part("Chromium is not installed (apt install chromium)")
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield running
        await running.close()


@dataclass(frozen=True)
class Person:
    """An account of the test homeserver, with the recovery key of its identity."""

    homeserver: Homeserver
    name: str
    recovery_key: str

    @property
    def user_id(self) -> str:
        return f"@{self.name}:{self.homeserver.server_name}"

    async def sign_in(self, officer: Officer, **how: Any) -> None:
        given = how or {"recovery_key": self.recovery_key}
        await officer.login(self.homeserver.client_url, self.name, PASSWORD, **given)

    async def clear_event(self, room: str, content: Mapping[str, Any]) -> str:
        """What a server's administrator could write in this person's name: a clear-text message."""
        path = f"rooms/{room}/send/m.room.message/forged-{free_port()}"
        return str((await self._call("PUT", path, dict(content)))["event_id"])

    async def log_out_everywhere(self) -> None:
        """What an administrator does when a device was lost."""
        await self._call("POST", "logout/all", {})

    async def _call(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        login = {"type": "m.login.password", "user": self.name, "password": PASSWORD}
        base = f"{self.homeserver.client_url}/_matrix/client/v3"
        async with aiohttp.ClientSession() as http:
            async with http.post(f"{base}/login", json=login) as answer:
                token = (await answer.json())["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            async with http.request(method, f"{base}/{path}", json=body, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                return dict(await answer.json())


@pytest.fixture(scope="module")
def homeserver(homeserver_factory: Callable[..., Homeserver]) -> Homeserver:
    return homeserver_factory("itt.gov.test")


async def make_person(homeserver: Homeserver, name: str) -> Person:
    """An account with an identity and no session."""
    homeserver.register(name, PASSWORD)
    async with Officer() as officer:
        made = await officer.login(homeserver.client_url, name, PASSWORD, create_identity=True)
        await officer.logout()
    return Person(homeserver, name, made["recovery_key"])


@pytest.fixture(scope="module")
def person(homeserver: Homeserver) -> Callable[[str], Awaitable[Person]]:
    """Call it with a name for another account."""
    return partial(make_person, homeserver)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def officer(homeserver: Homeserver) -> Person:
    """The officer who reads cards; every test signs in a new device."""
    return await make_person(homeserver, "bilal")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def page_url(homeserver: Homeserver) -> AsyncIterator[str]:
    """The built page, served as the demo serves it."""
    port = free_port()
    settings = PageSettings(
        port=port,
        directory=PAGE,
        config={"homeservers": {homeserver.server_name: homeserver.client_url}},
        connect_to=(homeserver.client_url,),
    )
    runner = web.AppRunner(application(settings))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}/"
    await runner.cleanup()


class Desk:
    """What a person does on the page, in the page's English words."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    async def open(self) -> None:
        await self.page.goto(self.url)

    async def sign_in(self, user: str, password: str) -> None:
        await self.page.get_by_label("User name").fill(user)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in").click()

    async def unlock(self, recovery_key: str) -> None:
        await self.page.get_by_label("Recovery key").fill(recovery_key)
        await self.page.get_by_role("button", name="Sign this device").click()

    async def ready(self) -> None:
        await self.page.get_by_text("signed by its owner").wait_for()

    async def enter(self, person: Person) -> None:
        """From an empty page to the desk."""
        await self.open()
        await self.sign_in(person.name, PASSWORD)
        await self.unlock(person.recovery_key)
        await self.ready()

    async def accept(self) -> None:
        await self.page.get_by_role("button", name="Accept").click()
        await self.page.get_by_label("Message", exact=True).wait_for()

    def message(self, event_id: str) -> Any:
        return self.page.locator(f"[data-event-id={json.dumps(event_id)}]")

    async def device_signed(self) -> str:
        return await self.page.locator(".device").inner_text()


@pytest_asyncio.fixture(loop_scope="module")
async def desk(browser: Browser, page_url: str) -> AsyncIterator[Desk]:
    async with await browser.new_context(viewport={"width": 1100, "height": 760}) as context:
        context.set_default_timeout(PATIENCE_MS)
        yield Desk(await context.new_page(), page_url)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def eoffice(homeserver: Homeserver) -> AsyncIterator[Officer]:
    """A signed client that writes cards."""
    homeserver.register("eoffice", PASSWORD)
    async with Officer() as writer:
        await writer.login(homeserver.client_url, "eoffice", PASSWORD, create_identity=True)
        yield writer
