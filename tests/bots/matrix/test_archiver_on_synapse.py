"""A room with the archiver in it, on a real Synapse, written in by an officer on libolm."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pyrage
import pytest
from loose_parts import MEGOLM, Clock
from nio.crypto.attachments import encrypt_attachment

from conftest import Officer
from rabta_audit import chains, read_lines
from rabta_bots.matrix import MatrixSettings
from rabta_records import words
from rabta_records.program import serve
from rabta_records.settings import ArchiverSettings
from rabta_records.vault import Vault, VaultError

pytestmark = pytest.mark.network

KEY = pyrage.x25519.Identity.generate()
PAPER = "بجٹ ۲۰۲۷ کا خفیہ مسودہ".encode() * 1000


@dataclass
class Archiver:
    """An archiver that runs in this process, and what it keeps."""

    settings: ArchiverSettings
    clock: Clock
    stop: asyncio.Event
    task: asyncio.Task[None] | None = None

    @property
    def user_id(self) -> str:
        return self.settings.matrix.user_id

    @property
    def vault(self) -> Vault:
        return Vault(self.settings.directory / "rooms")

    def start(self) -> None:
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(serve(self.settings, self.clock, self.stop))

    async def end(self) -> None:
        self.stop.set()
        if self.task is not None:
            await self.task

    def record(self, room_id: str) -> list[dict[str, Any]]:
        """What is kept of a room, as the records office reads it."""
        try:
            found = [json.loads(line) for line in self.vault.lines(room_id, [str(KEY)])]
        except VaultError:
            return []
        for line in found:
            if "content" in line:
                line["content"] = json.loads(line["content"])
        return found

    def events(self, room_id: str) -> list[dict[str, Any]]:
        return [line for line in self.record(room_id) if line["kind"] == "event"]


@pytest.fixture
async def archiver(
    settings: MatrixSettings, clock: Clock, tmp_path: Path
) -> AsyncIterator[Archiver]:
    made = Archiver(
        ArchiverSettings(
            matrix=settings.model_copy(update={"allowed_inviters": (":itt.gov.test",)}),
            directory=tmp_path / "archive",
            recipients=(str(KEY.to_public()),),
            classes=("unclassified", "restricted"),
            port=0,
        ),
        clock,
        asyncio.Event(),
    )
    made.start()
    yield made
    await made.end()


async def room_of(officer: Officer, archiver: Archiver, room_class: str = "restricted") -> str:
    """An encrypted room that the officer made and invited the archiver to."""
    label = {"class": room_class}
    answer = await officer.call(
        "POST",
        "createRoom",
        {
            "preset": "private_chat",
            "name": "Budget",
            "invite": [archiver.user_id],
            "creation_content": {"org.rabta.room.class": label},
            "initial_state": [
                {"type": "m.room.encryption", "content": {"algorithm": MEGOLM}},
                {"type": "org.rabta.room.class", "content": label},
            ],
        },
    )
    return str(answer["room_id"])


async def say(officer: Officer, room_id: str, content: dict[str, Any]) -> str:
    path = f"rooms/{room_id}/send/m.room.encrypted/{len(officer.timeline)}-{id(content)}"
    sealed = officer.seal(room_id, content, "m.room.message")
    return str((await officer.call("PUT", path, sealed))["event_id"])


async def upload(officer: Officer, body: bytes) -> dict[str, Any]:
    """The `file` of a message, encrypted by nio's own code."""
    sealed, told = encrypt_attachment(body)
    headers = {"Authorization": f"Bearer {officer.token}"}
    url = f"{officer.url}/_matrix/media/v3/upload"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=sealed, headers=headers) as answer,
    ):
        return {**told, "url": (await answer.json())["content_uri"]}


async def told_of_the_record(officer: Officer, room_id: str, eventually: Any) -> None:
    async def heard() -> bool:
        await officer.sync()
        return words.RECORDING in officer.bodies(room_id)

    await eventually(heard, within_s=60, what="the notice that the room is recorded")


async def test_a_room_is_told_and_then_recorded_for_the_records_office_alone(
    archiver: Archiver, officer: Callable[..., Any], eventually: Any
) -> None:
    amna: Officer = await officer()
    await amna.call("PUT", f"profile/{amna.user_id}/displayname", {"displayname": "آمنہ بی بی"})
    room_id = await room_of(amna, archiver)
    await told_of_the_record(amna, room_id, eventually)
    members = await amna.call("GET", f"rooms/{room_id}/joined_members")
    assert archiver.user_id in members["joined"]

    said = [await amna.write(room_id, "منظوری کے لیے", to=archiver.user_id)]
    file = await upload(amna, PAPER)
    paper = {"msgtype": "m.file", "body": "بجٹ ۲۰۲۷.pdf", "file": file}
    said.append(await say(amna, room_id, paper))
    edit = {
        "msgtype": "m.text",
        "body": "* منظوری کے لیے، فوری",
        "m.new_content": {"msgtype": "m.text", "body": "منظوری کے لیے، فوری"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": said[0]},
    }
    said.append(await say(amna, room_id, edit))
    redaction = await amna.call("PUT", f"rooms/{room_id}/redact/{said[1]}/r1", {"reason": "alt"})
    said.append(redaction["event_id"])
    await eventually(lambda: len(archiver.events(room_id)) >= 4, within_s=60, what="four events")

    kept = archiver.events(room_id)
    assert [line["event_id"] for line in kept] == said
    assert [line["content"].get("body") for line in kept[:2]] == ["منظوری کے لیے", "بجٹ ۲۰۲۷.pdf"]
    assert {line["device_trust"] for line in kept[:3]} == {"signed"}
    assert (kept[3]["type"], kept[3]["content"]["redacts"]) == ("m.room.redaction", said[1])
    assert kept[1]["file"]["bytes"] == len(PAPER)
    names = [json.loads(one["content"]).get("displayname") for one in members_of(archiver, room_id)]
    assert "آمنہ بی بی" in names

    # What lies on the disk opens for the records office alone, the archiver itself included.
    on_disk = [one.read_bytes() for one in archiver.settings.directory.rglob("*") if one.is_file()]
    for word in ("منظوری".encode(), b"m.room.message", PAPER[:30], b"2027"):
        assert not any(word in data for data in on_disk)
    with pytest.raises(VaultError) as refused:
        list(archiver.vault.lines(room_id, [str(pyrage.x25519.Identity.generate())]))
    assert refused.value.reason == "identity-refused"


def members_of(archiver: Archiver, room_id: str) -> list[dict[str, Any]]:
    states = [line["state"] for line in archiver.record(room_id) if line["kind"] == "state"]
    return [one for one in states[-1] if one["type"] == "m.room.member"]


async def test_whoever_puts_the_archiver_out_ends_the_record_and_who_lets_it_in_is_told(
    archiver: Archiver, officer: Callable[..., Any], eventually: Any
) -> None:
    amna: Officer = await officer()
    room_id = await room_of(amna, archiver)
    await told_of_the_record(amna, room_id, eventually)
    first = await amna.write(room_id, "one", to=archiver.user_id)
    await eventually(lambda: archiver.events(room_id), within_s=60)

    # A crash or a restart tells nobody again, and keeps nothing twice.
    await archiver.end()
    second = await say(amna, room_id, {"msgtype": "m.text", "body": "two"})
    archiver.start()
    await eventually(lambda: len(archiver.events(room_id)) == 2, within_s=60, what="the second")

    await amna.call("POST", f"rooms/{room_id}/kick", {"user_id": archiver.user_id})
    await eventually(lambda: archiver.vault.standing(room_id).told is None, within_s=60)
    await say(amna, room_id, {"msgtype": "m.text", "body": "among ourselves"})
    await amna.sync()
    assert amna.bodies(room_id).count(words.RECORDING) == 1

    await amna.call("POST", f"rooms/{room_id}/invite", {"user_id": archiver.user_id})

    async def told_again() -> bool:
        await amna.sync()
        return amna.bodies(room_id).count(words.RECORDING) == 2

    await eventually(told_again, within_s=60, what="the second notice")
    third = await amna.write(room_id, "three", to=archiver.user_id)
    await eventually(lambda: len(archiver.events(room_id)) == 3, within_s=60, what="the third")
    assert [line["event_id"] for line in archiver.events(room_id)] == [first, second, third]
    lines = list(read_lines(chains(archiver.settings.directory / "audit")["archiver"]))
    acts = [json.loads(line)["action"] for line in lines]
    assert acts == ["record-begins", "record-ends", "record-begins"]


async def test_of_a_room_above_its_class_no_record_is_kept(
    archiver: Archiver, officer: Callable[..., Any], eventually: Any
) -> None:
    amna: Officer = await officer()
    above = await room_of(amna, archiver, "confidential")
    raised = await room_of(amna, archiver)
    await told_of_the_record(amna, raised, eventually)
    await amna.call("PUT", f"rooms/{raised}/state/org.rabta.room.class", {"class": "confidential"})
    await amna.write(raised, "above", to=archiver.user_id)

    async def gone() -> bool:
        for room_id in (above, raised):
            members = await amna.call("GET", f"rooms/{room_id}/members")
            stands = {one["state_key"]: one["content"]["membership"] for one in members["chunk"]}
            if stands[archiver.user_id] != "leave":
                return False
        return True

    await eventually(gone, within_s=60, what="the archiver's leaving")
    assert archiver.events(above) == archiver.events(raised) == []
    with contextlib.suppress(AssertionError):
        await amna.sync()
    assert words.ABOVE_CLASS in amna.bodies(raised)
