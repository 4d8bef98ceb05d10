"""What an officer's client in strict mode (matrix-js-sdk 43) makes of us, on a real Synapse."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from nio.crypto import decrypt_attachment
from sqlalchemy import Engine, create_engine

from rabta_bots.matrix import MatrixClient, MatrixSettings, SenderTrust
from rabta_deploy.homeserver import Homeserver
from rabta_deploy.officer import Officer

pytestmark = pytest.mark.network

Make = Callable[..., Any]


class Person:
    """An account with an identity and a strict client of its own."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.url, self.password = homeserver.client_url, secrets.token_hex(12)
        self.user_id = homeserver.register(f"strict-{secrets.token_hex(4)}", self.password)
        self.recovery_key: str | None = None

    async def sign_in(self, device: Officer) -> Officer:
        """Sign in a device and have it signed: the first makes the identity."""
        answer = await device.login(
            self.url,
            self.user_id,
            self.password,
            recovery_key=self.recovery_key,
            create_identity=self.recovery_key is None,
        )
        assert answer["signed"]
        self.recovery_key = answer.get("recovery_key", self.recovery_key)
        return device


@pytest.fixture
async def strict(homeserver: Homeserver) -> AsyncIterator[Callable[..., Any]]:
    """Sign in a new person, or a further device of one, on matrix-js-sdk; gives both."""
    async with AsyncExitStack() as stack:

        async def make(person: Person | None = None) -> tuple[Person, Officer]:
            person = person or Person(homeserver)
            return person, await person.sign_in(await stack.enter_async_context(Officer()))

        yield make


async def _seen(device: Officer, room_id: str, event_id: str) -> tuple[Any, ...]:
    """What the client shows of a message: its text, whether it read it, and its shield."""
    shown = await device.wait_message(room_id, event_id=event_id)
    return shown["body"], shown["decrypted"], shown["shield"]


async def test_a_strict_client_sees_no_shield_at_first_after_a_restart_and_on_an_empty_disk(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    strict: Make,
    text: Make,
    eventually: Make,
    tmp_path: Path,
) -> None:
    """And a phone that signed in since the last card reads the next one."""
    person, desk = await strict()
    room_id = ""
    empty_disk = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    for number, database in enumerate((engine, engine, empty_disk)):
        running = await run(settings, database)
        bridge: MatrixClient = running.client
        if not room_id:
            room_id = await bridge.create_room(
                name="Post", topic="", invite=[person.user_id], room_class="restricted"
            )
            await desk.join(room_id)
        card = await bridge.send(room_id, text(f"File {number}"), txn_id=f"rb-{number}")
        assert await _seen(desk, room_id, card) == (f"File {number}", True, "none")
        said = await desk.send(room_id, f"approve {number}")
        (letter,) = await eventually(bridge.received, within_s=30)
        assert (letter.event_id, letter.content["body"]) == (said, f"approve {number}")
        assert letter.device is SenderTrust.SIGNED
        bridge.done(said)
        if database is not empty_disk:
            await running.stop()
    _, phone = await strict(person)
    phone_id = (await phone.status())["device_id"]

    def announced() -> bool:
        trust = bridge._started.trust
        return phone_id in {one.device_id for one in trust.devices(person.user_id)}

    await eventually(announced)
    card = await bridge.send(room_id, text("For both"), txn_id="rb-both")
    for device in (desk, phone):
        assert await _seen(device, room_id, card) == ("For both", True, "none")
    empty_disk.dispose()


class Between:
    """A proxy before the homeserver that holds back questions for one user's devices."""

    def __init__(self, homeserver_url: str) -> None:
        self._behind = homeserver_url
        self.about: str | None = None
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if self.about and request.path.endswith("/keys/query") and self.about in body.decode():
            self.asked.set()
            await self.answer.wait()
        headers = {
            name: value
            for name in ("Authorization", "Content-Type")
            if (value := request.headers.get(name))
        }
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self._behind + request.raw_path, data=body, headers=headers
            ) as answer,
        ):
            return web.Response(
                body=await answer.read(), status=answer.status, content_type="application/json"
            )


async def test_a_card_that_came_before_its_senders_devices_were_known_is_shown_when_they_are(
    *,
    homeserver: Homeserver,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    text: Make,
    eventually: Make,
) -> None:
    """As the first card of every new room: its reader joins after it was written."""
    between = Between(homeserver.client_url)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", between.handle)
    bridge: MatrixClient = (await run(settings, engine)).client
    person = Person(homeserver)
    async with TestServer(app) as server, Officer() as desk:
        person.url = str(server.make_url("/")).rstrip("/")
        await person.sign_in(desk)
        between.about = bridge.user_id
        room_id = await bridge.create_room(
            name="Post", topic="", invite=[person.user_id], room_class="restricted"
        )
        card = await bridge.send(room_id, text("File 1"), txn_id="rb-1")
        # Joining asks for the inviter's devices, and ends with the answer.
        joining = asyncio.create_task(desk.join(room_id))
        await asyncio.wait_for(between.asked.wait(), 30)

        async def failure() -> str | None:
            shown = await desk.wait_message(room_id, event_id=card)
            return str(shown["failure"]) if shown["failure"] else None

        # The key has come, and nothing is known of the device that made it.
        assert await eventually(failure, within_s=30) == "UNKNOWN_SENDER_DEVICE"
        between.answer.set()
        await joining

        async def shown() -> bool:
            return await _seen(desk, room_id, card) == ("File 1", True, "none")

        assert await eventually(shown, within_s=30)


async def test_a_newly_posted_officer_reads_the_earlier_cards_of_the_post(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    strict: Make,
    text: Make,
) -> None:
    before = await officer()
    bridge: MatrixClient = (await run(settings, engine)).client
    room_id = await meet(bridge, before)
    early = [
        await bridge.send(room_id, text(f"File {number}"), txn_id=f"rb-{number}")
        for number in range(2)
    ]
    person, desk = await strict()
    await bridge.kick(room_id, before.user_id, "transferred")
    await bridge.invite(room_id, person.user_id)
    await desk.wait_room(room=room_id)
    await desk.join(room_id)
    late = await bridge.send(room_id, text("File 2"), txn_id="rb-2")
    shown = [await _seen(desk, room_id, event_id) for event_id in (*early, late)]
    assert [(body, read) for body, read, _ in shown] == [(f"File {n}", True) for n in range(3)]
    # Of what came in a bundle the newcomer has only our word, and is told so: grey, not red.
    assert [shield for _, _, shield in shown] == ["grey", "grey", "none"]
    first = await desk.wait_message(room_id, event_id=early[0])
    assert first["shield_reason"] == "authenticity-not-guaranteed"


async def test_a_bundle_holds_the_keys_of_its_room_that_may_be_handed_on_and_no_others(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    text: Make,
    eventually: Make,
) -> None:
    """And it goes to devices that the person's identity signed, and to no others."""
    before, person = await officer(), await officer()
    injected = await officer(of=person)
    bridge: MatrixClient = (await run(settings, engine)).client
    other_room = await meet(bridge, before)
    room_id = await meet(bridge, before)
    await bridge.send(other_room, text("elsewhere"), txn_id="rb-0")
    await bridge.send(room_id, text("first"), txn_id="rb-1")
    await before.write(room_id, "a remark, its key not to be handed on", to=bridge.user_id)
    for number, visibility in enumerate(("joined", "shared")):
        await bridge._wire.call(
            "PUT",
            *("rooms", room_id, "state", "m.room.history_visibility"),
            body={"history_visibility": visibility},
        )
        await before.write(room_id, f"mark {number}", to=bridge.user_id)
        await eventually(lambda want=number + 2: len(bridge.received()) == want)
        await bridge.send(room_id, text(visibility), txn_id=f"rb-{visibility}")
    await bridge.invite(room_id, person.user_id)

    await injected.sync()
    await person.sync()
    assert injected.letters == []
    (letter,) = person.letters
    assert (letter["type"], letter["content"]["room_id"]) == ("m.room_key_bundle", room_id)
    ours = letter["sender_device_keys"]
    assert ours["keys"][f"ed25519:{ours['device_id']}"] == letter["keys"]["ed25519"]
    assert len(ours["signatures"][bridge.user_id]) == 2

    file = letter["content"]["file"]
    url = file["url"].removeprefix("mxc://")
    assert person.http is not None
    async with person.http.get(
        f"{person.url}/_matrix/client/v1/media/download/{url}",
        headers={"Authorization": f"Bearer {person.token}"},
    ) as answer:
        ciphertext = await answer.read()
    plain = decrypt_attachment(ciphertext, file["key"]["k"], file["hashes"]["sha256"], file["iv"])
    bundle = json.loads(plain)
    await before.sync()
    sent = {}
    for told in before.timeline:
        if told["room_id"] == room_id and told["type"] == "m.room.encrypted":
            payload = before.read(told)
            sent[payload["content"]["body"] if payload else "before's own"] = told["content"]
    shared = {key["session_id"] for key in bundle["room_keys"]}
    withheld = {key["session_id"] for key in bundle["withheld"]}
    assert shared == {sent["first"]["session_id"], sent["shared"]["session_id"]}
    assert withheld == {sent["joined"]["session_id"], sent["before's own"]["session_id"]}
    assert {key["code"] for key in bundle["withheld"]} == {"m.history_not_shared"}
    assert {key["room_id"] for key in bundle["room_keys"]} == {room_id}
