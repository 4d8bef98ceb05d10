"""What an operator writes: every fault is told at once with its cure, and nothing runs with one."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ministry import Hands, Ministry, running, secret_file
from recorder import Recorder
from sqlalchemy import select, text

from rabta_bots.addresses import RoomKind
from rabta_bots.commands.answers import REFUSALS
from rabta_bots.commands.grammar import SPELLINGS
from rabta_bots.directory import DirectoryDocument, DirectoryFile
from rabta_bots.faults import SettingsError
from rabta_bots.intake.accepting import ID_REUSED
from rabta_bots.matrix import MatrixError
from rabta_bots.settings import Settings, parse_document, parse_settings
from rabta_bots.store.opening import open_store
from rabta_bots.store.tables import audit, schema_version
from rabta_deploy.ports import free_port
from rabta_deploy.process import until

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/reference"


def faults(text: str, model: Any = Settings) -> dict[str, str]:
    """Path and whole line of every fault."""
    with pytest.raises(SettingsError) as caught:
        parse_document(text, model)
    return {fault.path: str(fault) for fault in caught.value.faults}


def test_the_examples_are_good() -> None:
    settings = parse_settings((ROOT / "config/bridge.example.yaml").read_text(encoding="utf-8"))
    assert settings.taken_sources == {"/eoffice/ITT"}
    text = (ROOT / "config/directory.example.yaml").read_text(encoding="utf-8")
    assert len(parse_document(text, DirectoryDocument).persons) == 2


def test_all_faults_are_told_at_once_with_path_and_cure(ministry: Ministry) -> None:
    document = ministry.document(
        organisation="itt", timezone="Mars/Phobos", colour="green", card_lifetime_hours=0
    )
    del document["policy_file"]
    document["database"] = {"url": "postgresql+psycopg://rabta:hunter2@db/rabta"}
    document["eoffice"]["url"] = "eoffice"
    told = faults(yaml.safe_dump(document))
    assert set(told) == {
        "organisation",
        "timezone",
        "colour",
        "card_lifetime_hours",
        "policy_file",
        "database.url",
        "eoffice.url",
    }
    assert all("Cure: " in line for line in told.values())
    assert "hunter2" not in "".join(told.values())


@pytest.mark.parametrize("text", ["{", "just words", "[]", ""])
def test_what_is_no_document_is_told_in_words(text: str) -> None:
    assert faults(text)


def test_one_account_is_one_persons() -> None:
    person = {"user_id": "@a:itt.gov.test", "name": "A"}
    told = faults(yaml.safe_dump({"persons": {"p-1": person, "p-2": person}}), DirectoryDocument)
    assert "@a:itt.gov.test stands for p-1 and for p-2" in "".join(told.values())


def test_a_faulty_directory_leaves_the_good_one(ministry: Ministry) -> None:
    directory = DirectoryFile(ministry.home / "directory.yaml")
    assert directory.reload() is True
    assert directory.reload() is False
    good = directory.current
    ministry.write_directory({"p-1": {"user_id": "nobody"}})
    with pytest.raises(SettingsError):
        directory.reload()
    assert directory.current is good


@pytest.mark.parametrize(
    ("break_it", "path"),
    [
        (lambda home: (home / "webhook.secret").chmod(0o644), "webhook_secret_files"),
        (lambda home: (home / "feed.token").unlink(), "eoffice.feed_token_file"),
        (lambda home: secret_file(home / "command.secret", "no"), "eoffice.command_secret_file"),
        (lambda home: (home / "store.key").unlink(), "matrix.store_key_file"),
        (lambda home: (home / "authority.yaml").unlink(), "authority_file"),
        (lambda home: (home / "authority.yaml").write_text("threshold: 1"), "authority_file keys"),
        (lambda home: (home / "policy.json").unlink(), "policy_file"),
        (lambda home: (home / "policy.json").write_text("{}"), "policy_file"),
        (lambda home: (home / "directory.yaml").unlink(), "directory_file"),
    ],
)
async def test_a_bridge_does_not_start_with_a_missing_or_open_file(
    ministry: Ministry, break_it: Any, path: str
) -> None:
    break_it(ministry.home)
    with pytest.raises(SettingsError) as caught:
        async with running(ministry):
            pass
    assert [fault.path for fault in caught.value.faults] == [path]


async def test_a_taken_port_is_told_in_words(ministry: Ministry) -> None:
    async with running(ministry) as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(SettingsError) as caught:
            async with running(ministry, listen={"host": "127.0.0.1", "port": port}):
                pass
    assert "choose another" in str(caught.value)


async def test_a_bridge_whose_store_fails_says_that_it_is_not_ready(ministry: Ministry) -> None:
    async with running(ministry) as bridge:
        with bridge.engine.begin() as connection:
            connection.execute(text("ALTER TABLE commands RENAME TO gone"))
        try:
            async with bridge.session.get(f"{bridge.url}/health/ready") as answer:
                told = (answer.status, await answer.json())
            async with bridge.session.get(f"{bridge.url}/metrics") as answer:
                assert answer.status == 200
        finally:
            with bridge.engine.begin() as connection:
                connection.execute(text("ALTER TABLE gone RENAME TO commands"))
        assert told == (503, {"ready": False, "reason": "store-unreachable"})


async def test_a_replaced_policy_is_taken_and_a_lower_serial_is_refused(
    ministry: Ministry, eventually: Any
) -> None:
    ministry.publish()
    async with running(ministry) as bridge:

        async def serial() -> int:
            async with bridge.session.get(f"{bridge.url}/health/ready") as answer:
                return int((await answer.json())["policy_serial"])

        assert await serial() == 2
        ministry.publish()

        async def third() -> bool:
            return await serial() == 3

        await eventually(third, what="the third policy")
        ministry.serial = 0
        ministry.publish()

        def refused() -> list[str]:
            with bridge.engine.begin() as connection:
                query = select(audit.c.reason).where(audit.c.what == "policy-refused")
                return list(connection.execute(query).scalars())

        assert await eventually(refused)
        assert await serial() == 3


async def test_the_door_is_open_before_the_homeserver_is_there(
    ministry: Ministry, telling: Any, eventually: Any
) -> None:
    chat = Recorder(start_failures=[MatrixError("homeserver-unreachable", permanent=False)])
    async with running(ministry, chat) as bridge:
        assert (await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2")))[0] == 202

        async def ready() -> bool:
            async with bridge.session.get(f"{bridge.url}/health") as answer:
                return answer.status == 200

        assert await ready() is False
        async with bridge.session.get(f"{bridge.url}/health/live") as answer:
            assert answer.status == 200
        await eventually(ready, what="the bridge to be ready")


async def test_an_account_that_nobody_can_use_ends_the_bridge(ministry: Ministry) -> None:
    chat = Recorder(start_failures=[MatrixError("identity-not-ours", permanent=True)])
    with pytest.raises(MatrixError, match="identity-not-ours"):
        async with running(ministry, chat):
            await chat._stopped.wait()


def test_a_store_of_a_later_version_is_refused(ministry: Ministry, hands: Hands) -> None:
    url = ministry.document()["database"]["url"]
    engine = open_store(url, hands)
    with engine.begin() as connection:
        connection.execute(schema_version.insert().values(version=99, applied_at=hands()))
    engine.dispose()
    with pytest.raises(SettingsError, match="version 99"):
        open_store(url, hands)


def test_a_database_that_cannot_be_opened_is_told_in_words(hands: Hands) -> None:
    with pytest.raises(SettingsError, match="cannot be opened"):
        open_store("sqlite:////proc/no/such/bridge.db", hands)


def rabta(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "rabta_deploy.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_line_tells_faults_and_cures_and_exits_with_1(ministry: Ministry) -> None:
    config = ministry.home / "bridge.yaml"
    missing = rabta("bridge", "run", "--config", str(config))
    assert missing.returncode == 1
    assert "Cure: copy config/bridge.example.yaml" in missing.stderr
    config.write_text(yaml.safe_dump(ministry.document(colour="green")), encoding="utf-8")
    faulty = rabta("bridge", "run", "--config", str(config))
    assert faulty.returncode == 1
    assert "colour" in faulty.stderr
    assert "Traceback" not in faulty.stderr
    config.write_text(yaml.safe_dump(ministry.document()), encoding="utf-8")
    silent = rabta("bridge", "status", "--config", str(config))
    assert silent.returncode == 1
    assert "no bridge answers" in silent.stderr


def test_the_process_waits_for_its_homeserver_tells_its_status_and_stops_when_told(
    ministry: Ministry, tmp_path: Path
) -> None:
    port = free_port()
    config = ministry.home / "bridge.yaml"
    document = ministry.document(listen={"host": "127.0.0.1", "port": port})
    config.write_text(yaml.safe_dump(document), encoding="utf-8")
    log = (tmp_path / "log").open("w+", encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "rabta_deploy.cli", "bridge", "run", "--config", str(config)],
        stderr=log,
        stdout=log,
    )
    try:

        def told() -> subprocess.CompletedProcess[str] | None:
            status = rabta("bridge", "status", "--config", str(config))
            return status if "ready: false" in status.stdout else None

        assert until(lambda: told() is not None, within_s=60), Path(log.name).read_text()
        answer = told()
        assert answer is not None
        assert answer.returncode == 1
        assert "messages_dead: 0" in answer.stdout
    finally:
        os.kill(process.pid, signal.SIGTERM)
        code = process.wait(timeout=30)
        log.close()
    written = Path(log.name).read_text(encoding="utf-8")
    assert code == 0, written
    assert "Traceback" not in written
    assert "the sender's signing secret" not in written


def headings(page: str) -> set[str]:
    """What the headings of a page name between back-ticks."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return set(re.findall(r"^#+ `([^`]+)`", text, flags=re.MULTILINE))


def test_every_setting_has_a_heading_in_the_docs() -> None:
    names = set()
    for name, field in Settings.model_fields.items():
        nested = getattr(field.annotation, "model_fields", None)
        names |= {name} if nested is None else {f"{name}.{inner}" for inner in nested}
    assert headings("bridge-settings.md") == names


def test_every_command_spelling_and_reason_code_stands_in_the_docs() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert headings("commands.md") >= {verb.value for verb in SPELLINGS}
    for spellings in SPELLINGS.values():
        for spelling in spellings:
            assert f"`{spelling}`" in text, spelling
    for reason in (*REFUSALS, ID_REUSED):
        assert f"`{reason}`" in text, reason


def test_every_kind_of_room_has_a_heading_in_the_docs() -> None:
    assert headings("rooms.md") == {kind.value for kind in RoomKind}
