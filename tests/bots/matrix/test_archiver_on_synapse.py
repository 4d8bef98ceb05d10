"""A room with the archiver in it, on a real Synapse, written in by an officer on libolm."""

import asyncio
import contextlib
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import bagit
import pyrage
import pytest
from click.testing import CliRunner
from loose_parts import MEGOLM, Clock
from nio.crypto.attachments import encrypt_attachment
from signedjson.key import generate_signing_key, get_verify_key
from unpaddedbase64 import encode_base64

from rabta_audit import chains, read_lines
from rabta_bots.matrix import MatrixSettings
from rabta_deploy.cli import main
from rabta_deploy.homeserver import Homeserver, new_signing_key
from rabta_deploy.records.homeserver import RecordsHomeserver
from rabta_deploy.secretfile import write_secret
from rabta_deploy.site.layout import below
from rabta_records import words
from rabta_records.checking import check
from rabta_records.exporting import Asked, ExportError, export
from rabta_records.program import serve
from rabta_records.settings import ArchiverSettings
from rabta_records.vault import Vault, VaultError

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[3]
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
            self.task = None

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


async def room_of(officer: Any, archiver: Archiver, room_class: str = "restricted") -> str:
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


async def say(officer: Any, room_id: str, content: dict[str, Any]) -> str:
    path = f"rooms/{room_id}/send/m.room.encrypted/{len(officer.timeline)}-{id(content)}"
    sealed = officer.seal(room_id, content, "m.room.message")
    return str((await officer.call("PUT", path, sealed))["event_id"])


async def upload(officer: Any, body: bytes) -> dict[str, Any]:
    """The `file` of a message, encrypted by nio's own code."""
    sealed, told = encrypt_attachment(body)
    headers = {"Authorization": f"Bearer {officer.token}"}
    url = f"{officer.url}/_matrix/media/v3/upload"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=sealed, headers=headers) as answer,
    ):
        return {**told, "url": (await answer.json())["content_uri"]}


async def told_of_the_record(officer: Any, room_id: str, eventually: Any) -> None:
    async def heard() -> bool:
        await officer.sync()
        return words.RECORDING in officer.bodies(room_id)

    await eventually(heard, within_s=60, what="the notice that the room is recorded")


async def test_a_room_is_told_and_then_recorded_for_the_records_office_alone(
    archiver: Archiver, officer: Callable[..., Any], eventually: Any
) -> None:
    amna: Any = await officer()
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
    amna: Any = await officer()
    room_id = await room_of(amna, archiver)
    await told_of_the_record(amna, room_id, eventually)
    first = await amna.write(room_id, "one", to=archiver.user_id)
    await eventually(lambda: archiver.events(room_id), within_s=60)

    # A crash or a restart tells nobody again, and keeps nothing twice.
    await archiver.end()
    # As if it had died between keeping the last event and noting that it had.
    with closing(sqlite3.connect(archiver.settings.directory / "crypto.db")) as store, store:
        assert store.execute("UPDATE matrix_received SET done = 0").rowcount == 1
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
    nowhere = {**await upload(amna, b"x"), "url": "mxc://itt.gov.test/nowhere"}
    fourth = [
        await say(amna, room_id, {"msgtype": "m.file", "body": "a", "file": file})
        for file in (nowhere, {"url": "no file"})
    ]
    await eventually(lambda: len(archiver.events(room_id)) == 5, within_s=60, what="the others")
    kept = archiver.events(room_id)
    assert [line["event_id"] for line in kept] == [first, second, third, *fourth]
    # The words are kept where the file cannot be.
    reasons = [{"missing": "not-found"}, {"missing": "attachment-malformed"}]
    assert [line["file"] for line in kept[3:]] == reasons
    lines = list(read_lines(chains(archiver.settings.directory / "audit")["archiver"]))
    acts = [json.loads(line)["action"] for line in lines]
    assert acts == ["record-begins", "record-ends", "record-begins"]


async def test_of_a_room_above_its_class_no_record_is_kept(
    archiver: Archiver, officer: Callable[..., Any], eventually: Any
) -> None:
    amna: Any = await officer()
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


async def test_an_exported_room_proves_itself_and_any_change_of_it_is_named(
    archiver: Archiver,
    officer: Callable[..., Any],
    eventually: Any,
    homeserver: Homeserver,
    tmp_path: Path,
) -> None:
    amna: Any = await officer()
    await amna.call("PUT", f"profile/{amna.user_id}/displayname", {"displayname": "آمنہ بی بی"})
    room_id = await room_of(amna, archiver)
    await told_of_the_record(amna, room_id, eventually)
    said = [await amna.write(room_id, "منظوری <b>کے لیے</b>\u202e", to=archiver.user_id)]
    paper = {"msgtype": "m.file", "body": "../بجٹ ۲۰۲۷.pdf", "file": await upload(amna, PAPER)}
    said.append(await say(amna, room_id, paper))
    edit = {
        "msgtype": "m.text",
        "body": "* فوری",
        "m.new_content": {"msgtype": "m.text", "body": "فوری"},
        "m.relates_to": {"rel_type": "m.replace", "event_id": said[0]},
    }
    said.append(await say(amna, room_id, edit))
    taken = await amna.call("PUT", f"rooms/{room_id}/redact/{said[1]}/r1", {"reason": "غلط"})
    said.append(taken["event_id"])
    await eventually(lambda: len(archiver.events(room_id)) == 4, within_s=60, what="four events")
    await archiver.end()
    # Said while nobody recorded, and so not in the record: the export tells.
    unheard = await say(amna, room_id, {"msgtype": "m.text", "body": "unheard"})
    raw = list(RecordsHomeserver(homeserver.client_url, homeserver.admin_token).events(room_id))

    asked = Asked(
        room_id,
        by="Amna, SO (Records)",
        order="1-11/2026",
        at=archiver.clock(),
        server_name="itt.gov.test",
        archiver=archiver.user_id,
    )
    key = generate_signing_key("a_1")
    out = tmp_path / "export"
    about = export(archiver.vault, [str(KEY)], asked, out, key=key, events=raw)
    assert about["not_recorded"] == [unheard]
    assert (about["class"], about["events"]) == ("restricted", 4)

    checked = check(out)
    assert checked.faults == ()
    assert checked.verify_key == f"ed25519:a_1 {encode_base64(get_verify_key(key).encode())}"
    (file,) = about["files"]
    assert (out / "data" / file["path"]).read_bytes() == PAPER
    assert (out / "data" / file["path"]).parent.name == "files"
    page = (out / "data/transcript.html").read_text(encoding="utf-8")
    assert "منظوری &lt;b&gt;کے لیے&lt;/b&gt;[U+202E]" in page
    assert "آمنہ بی بی" in page
    assert page.count(f"by {amna.user_id} (line ") == 4
    assert "Reason: غلط" in page
    assert "to: فوری" in page
    held = [json.loads(line) for line in (out / "data/events.jsonl").read_bytes().splitlines()]
    assert {one["event_id"] for one in held} >= set(said)
    assert all("itt.gov.test" in one["signatures"] for one in held)
    assert b"unheard" not in (out / "data/events.jsonl").read_bytes()

    with pytest.raises(ExportError) as refused:
        export(archiver.vault, [str(KEY)], asked, out, key=key, events=None)
    assert refused.value.reason == "out-exists"
    exported_by_command(archiver, room_id, tmp_path)
    for harmed, fault in harms(out, tmp_path):
        assert any(fault in one for one in check(harmed).faults), (harmed, check(harmed).faults)
    last = max(archiver.vault.place(room_id).glob("*.age"))
    last.rename(tmp_path / "away")
    with pytest.raises(ExportError) as refused:
        export(archiver.vault, [str(KEY)], asked, tmp_path / "half", key=key, events=None)
    assert refused.value.reason == "record-damaged"


def exported_by_command(archiver: Archiver, room_id: str, tmp_path: Path) -> None:
    """The records officer's own commands, on a site whose archiver kept this record."""
    layout = below(tmp_path / "site")
    (layout.state / "archive").mkdir(parents=True)
    (layout.state / "archive/rooms").symlink_to(archiver.settings.directory / "rooms")
    write_secret(layout.secret("records-signing.key"), new_signing_key())
    write_secret(tmp_path / "identity", f"{KEY}\n")
    export = [
        *("records", "export", str(ROOT / "config/site.example.yaml"), room_id),
        *(str(tmp_path / "by-command"), "--root", str(tmp_path / "site"), "--offline"),
        *("--identity", str(tmp_path / "identity"), "--order", "1-11/2026", "--by", "Amna"),
    ]
    done = CliRunner().invoke(main, export)
    assert done.exit_code == 0, done.output
    assert "4 events, 1 files, the homeserver was not asked" in done.output
    key = done.output.strip().rpartition(" with ")[2]
    refused = CliRunner().invoke(main, export)
    assert (refused.exit_code, "[out-exists]" in refused.output) == (2, True)

    verify = ["records", "verify", str(tmp_path / "by-command"), "--key"]
    whole = CliRunner().invoke(main, [*verify, key])
    assert (whole.exit_code, "Whole: 4 events" in whole.output) == (0, True)
    other = CliRunner().invoke(main, [*verify, "ed25519:a_2 x"])
    assert (other.exit_code, "it is signed with another key" in other.output) == (1, True)
    (tmp_path / "by-command/data/transcript.txt").write_text("She never said so.")
    changed = CliRunner().invoke(main, [*verify, key])
    assert (changed.exit_code, "data/transcript.txt: it was changed" in changed.output) == (1, True)


def harms(out: Path, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Copies of an export, each with one thing changed, and what must be said of it."""
    every = [one.relative_to(out) for one in sorted(out.rglob("*")) if one.is_file()]
    assert len(every) == 11
    for number, path in enumerate(every):
        copy = shutil.copytree(out, tmp_path / f"harmed-{number}")
        data = bytearray((copy / path).read_bytes())
        data[len(data) // 2] ^= 1
        (copy / path).write_bytes(data)
        yield copy, ""
    copy = shutil.copytree(out, tmp_path / "put-in")
    (copy / "data/another.txt").write_text("put in")
    yield copy, "another.txt"
    # Whoever makes the bag anew over a changed transcript has not the key.
    copy = shutil.copytree(out, tmp_path / "made-anew")
    (copy / "data/transcript.txt").write_text("She never said so.")
    bag = bagit.Bag(str(copy))
    bag.save(manifests=True)
    yield copy, "manifest-sha256.txt: it is not what was signed"
    yield copy, "transcript.txt: it does not say what the record says"
