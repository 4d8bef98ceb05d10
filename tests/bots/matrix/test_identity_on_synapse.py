"""Our own identity, against a real Synapse: made once, kept for ever, never somebody else's."""

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from rabta_bots.matrix import MatrixClient, MatrixError, MatrixSettings, SenderTrust, tables

pytestmark = pytest.mark.network

Make = Callable[..., Any]


async def _identity(person: Any, user_id: str) -> tuple[str, dict[str, set[str]]]:
    """The master key a user shows, and who signed each device."""
    answer = await person.call("POST", "keys/query", {"device_keys": {user_id: []}})
    (master,) = answer["master_keys"][user_id]["keys"].values()
    devices = {
        device_id: set(device["signatures"][user_id])
        for device_id, device in answer["device_keys"][user_id].items()
    }
    return master, devices


async def _refusal(settings: MatrixSettings, engine: Engine, clock: Make) -> MatrixError:
    client = MatrixClient(settings, engine, clock=clock)
    with pytest.raises(MatrixError) as failed:
        await client.start()
    return failed.value


@pytest.fixture
def empty_disk(tmp_path: Path) -> Engine:
    return create_engine(f"sqlite:///{tmp_path / 'empty.db'}")


async def test_synapse_shows_it_cross_signed_and_a_restart_changes_nothing(
    settings: MatrixSettings, engine: Engine, run: Make, officer: Make
) -> None:
    person = await officer()
    first = await run(settings, engine)
    before = await _identity(person, settings.user_id)
    ((device_id, signers),) = before[1].items()
    assert len(signers) == 2
    assert f"ed25519:{device_id}" in signers
    assert not [key for key in (before[0], *signers) if "=" in key]
    await first.stop()
    await run(settings, engine)
    assert await _identity(person, settings.user_id) == before


async def test_the_recovery_key_brings_the_same_identity_to_an_empty_disk(
    *,
    settings: MatrixSettings,
    engine: Engine,
    empty_disk: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
) -> None:
    assert not settings.recovery_key_file.exists()
    person = await officer()
    first = await run(settings, engine)
    room_id = await meet(first.client, person)
    await first.stop()
    assert settings.recovery_key_file.stat().st_mode & 0o777 == 0o600
    master, devices = await _identity(person, settings.user_id)
    again = (await run(settings, empty_disk)).client
    after, now = await _identity(person, settings.user_id)
    assert (after, len(now)) == (master, len(devices) + 1)
    assert all(len(signers) == 2 for signers in now.values())
    await again.send(room_id, text("File"), txn_id="rb-1")
    await person.sync()
    assert person.bodies() == ["File"]
    await person.write(room_id, "approve", to=again.user_id)
    (said,) = await eventually(again.received)
    assert said.device is SenderTrust.SIGNED


async def test_an_empty_disk_without_the_recovery_key_stops_and_resets_nothing(
    *,
    settings: MatrixSettings,
    engine: Engine,
    empty_disk: Engine,
    run: Make,
    officer: Make,
    clock: Make,
) -> None:
    person = await officer()
    await (await run(settings, engine)).stop()
    master, _ = await _identity(person, settings.user_id)
    text = settings.recovery_key_file.read_text()
    settings.recovery_key_file.unlink()
    assert (await _refusal(settings, empty_disk, clock)).reason == "identity-not-ours"
    # Nor does the key of another account open it.
    wrong = text.replace(text.strip()[-1], "1" if text.strip()[-1] != "1" else "2")
    settings.recovery_key_file.write_text(wrong)
    settings.recovery_key_file.chmod(0o600)
    assert (await _refusal(settings, empty_disk, clock)).reason == "recovery-key-malformed"
    assert (await _identity(person, settings.user_id))[0] == master


async def test_somebody_elses_identity_under_our_name_ends_it_at_once_and_at_every_start(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    eventually: Make,
    clock: Make,
) -> None:
    running = await run(settings, engine)
    thief = await officer()
    assert settings.password_file is not None
    thief.user_id, thief.password = settings.user_id, settings.password_file.read_text()
    thief.token = None
    task = running.task
    await thief.sign_in()
    await eventually(task.done, within_s=20, what="the end of the sync loop")
    assert task.exception().reason == "identity-not-ours"
    running.task = None
    await running.stop()
    refused = await _refusal(settings, engine, clock)
    assert (refused.reason, refused.permanent) == ("identity-not-ours", True)


async def test_an_old_copy_of_the_database_is_found_out(
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    empty_disk: Engine,
) -> None:
    thief = await officer()
    first = await run(settings, engine)
    await first.stop()
    source, target = (Path(str(one.url.database)) for one in (engine, empty_disk))
    engine.dispose()
    target.write_bytes(source.read_bytes())
    answer = await thief.call("POST", "keys/query", {"device_keys": {settings.user_id: []}})
    (device_id,) = answer["device_keys"][settings.user_id]
    wanted = {"one_time_keys": {settings.user_id: {device_id: "signed_curve25519"}}}

    async def drain() -> None:
        for _ in range(40):
            await thief.call("POST", "keys/claim", wanted)

    await drain()
    second = await run(settings, engine)  # uploads new keys under new ids
    await second.stop()
    await drain()
    third = MatrixClient(settings, empty_disk, clock=first.client._clock)
    with pytest.raises(MatrixError) as failed:
        await third.start()  # makes keys of its own under the same ids
    assert failed.value.reason == "store-is-old"


async def test_a_wrong_store_key_and_another_account_are_refused(
    settings: MatrixSettings, engine: Engine, run: Make, clock: Make, tmp_path: Path
) -> None:
    await (await run(settings, engine)).stop()
    other = settings.model_copy(update={"user_id": "@other:itt.gov.test"})
    assert (await _refusal(other, engine, clock)).reason == "store-of-another-account"
    key = tmp_path / "other.key"
    key.write_text(secrets.token_urlsafe(32))
    key.chmod(0o600)
    changed = settings.model_copy(update={"store_key_file": key})
    assert (await _refusal(changed, engine, clock)).reason in (
        "wrong-store-key",
        "store-key-malformed",
    )
    settings.store_key_file.chmod(0o644)
    assert (await _refusal(settings, engine, clock)).reason == "secret-file-open"


async def test_nothing_secret_stands_open_in_the_database(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
) -> None:
    person = await officer()
    running = await run(settings, engine)
    room_id = await meet(running.client, person)
    await person.write(room_id, "return with remarks", to=settings.user_id)
    await eventually(running.client.received)
    token = running.client._wire.access_token
    await running.stop()
    with engine.begin() as connection:
        tables_of_ours = [table.name for table in tables.metadata.sorted_tables]
        dump = "".join(
            repr(connection.exec_driver_sql(f"select * from {name}").all())  # noqa: S608 - ours
            for name in tables_of_ours
        )
    assert "matrix_received" in tables_of_ours
    assert [word for word in (token, "return with remarks", "remarks") if word in dump] == []


async def test_a_device_the_server_threw_out_comes_back_as_the_same_signed_device(
    *,
    settings: MatrixSettings,
    engine: Engine,
    run: Make,
    officer: Make,
    meet: Make,
    eventually: Make,
    text: Make,
) -> None:
    person = await officer()
    running = await run(settings, engine)
    room_id = await meet(running.client, person)
    before = await _identity(person, settings.user_id)
    await running.client._wire.call("POST", "logout", body={})
    await eventually(running.task.done, within_s=20, what="the end of the sync loop")
    assert running.task.exception().reason == "token-refused"
    running.task = None
    again = (await run(settings, engine)).client
    assert await _identity(person, settings.user_id) == before
    await again.send(room_id, text("File"), txn_id="rb-1")
    await person.sync()
    assert person.bodies() == ["File"]
