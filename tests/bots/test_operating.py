"""Operating the bridge: health and metrics, replay, logs without content, several ministries."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from click.testing import CliRunner
from events import Telling
from ministry import Ministry, Running, running
from office import office
from prometheus_client.parser import text_string_to_metric_families
from recorder import Recorder
from sqlalchemy import delete, select, update

from rabta_bots.matrix import MatrixError
from rabta_bots.metrics import QUEUES, Metrics
from rabta_bots.store.tables import cards, commands, events, outbox
from rabta_deploy.cli.bridge import bridge as command_line
from rabta_deploy.ports import free_port
from rabta_deploy.process import until

Eventually = Callable[..., Any]


async def rabta(ministry: Ministry, *arguments: str, **changes: Any) -> tuple[int, str]:
    """`rabta bridge ...` on the ministry's settings, as a process; gives its code and output."""
    config = ministry.home / "bridge.yaml"
    config.write_text(yaml.safe_dump(ministry.document(**changes)), encoding="utf-8")
    command = [sys.executable, "-m", "rabta_deploy.cli", "bridge", *arguments]
    process = await asyncio.create_subprocess_exec(
        *command,
        "--config",
        str(config),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode or 0, out.decode() or error.decode()


async def metrics(bridge: Running) -> dict[str, float]:
    """Sample name with its labels -> value."""
    async with bridge.session.get(f"{bridge.url}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
    return {
        "|".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


async def test_metrics_tell_lag_ages_and_retries_and_the_status_the_same_as_json(
    ministry: Ministry, telling: Telling, eventually: Eventually
) -> None:
    chat = Recorder(failures=[MatrixError("homeserver-unreachable", permanent=False)])
    port = free_port()
    listen = {"host": "127.0.0.1", "port": port}
    async with running(ministry, chat, listen=listen) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        await bridge.deliver(telling.marked())

        def again() -> bool:
            with bridge.engine.begin() as connection:
                return bool(connection.execute(select(outbox.c.attempts)).scalar())

        await eventually(again)
        ministry.hands.advance(seconds=0.5)
        told = await metrics(bridge)
        assert told["rabta_bridge_retrying|message"] == 1
        assert told["rabta_bridge_queue_age_seconds|message"] == 0.5
        assert told["rabta_bridge_lag_seconds"] == 0
        for queue in QUEUES:
            assert f"rabta_bridge_queue_age_seconds|{queue}" in told
        for gauge in ("undecryptable", "unsigned_devices", "changed_identities"):
            assert told[f"rabta_bridge_{gauge}"] == 0
        code, output = await rabta(ministry, "status", "--json", listen=listen)
        assert code == 0, output
        document = json.loads(output)
        assert document["messages_retrying"] == 1
        assert document["oldest_message_seconds"] == 0.5
        ministry.hands.advance(minutes=1)
        await eventually(chat.cards)
        assert (await metrics(bridge))["rabta_bridge_retrying|message"] == 0


def test_no_metric_has_a_label_that_could_name_a_file_a_post_or_a_person() -> None:
    metrics = Metrics()
    labels = {
        label
        for collector in metrics.registry._collector_to_names
        for label in getattr(collector, "_labelnames", ())
    }
    assert labels == {"answer", "via", "part", "result", "kind", "queue"}


async def test_replay_reads_the_feed_again_and_stores_what_is_missing_once(
    ministry: Ministry, eventually: Eventually
) -> None:
    async with office(ministry) as place:
        place.put_up(place.open_file())
        await eventually(place.chat.cards)
        engine = place.bridge.engine
        with engine.begin() as connection:
            count = len(connection.execute(select(events.c.row)).all())
            # A row that a disk lost: its event is in the feed alone.
            lost = connection.execute(
                select(events.c.row).where(events.c.type.contains("file.opened"))
            ).scalar_one()
            connection.execute(delete(events).where(events.c.row == lost))

        dry = await rabta(ministry, "replay", "--after", "0", "--dry-run")
        assert dry == (0, f"known {count - 1}, would be stored 1, differing 0\n")
        done = await rabta(ministry, "replay", "--after", "0")
        assert done == (0, f"known {count - 1}, stored 1, differing 0\n")
        with engine.begin() as connection:
            connection.execute(update(events).where(events.c.sequence == 1).values(digest="x"))
        differing = await rabta(ministry, "replay", "--after", "0")
        assert differing == (1, f"known {count - 1}, stored 0, differing 1\n")
        assert len(place.chat.cards()) == 1


async def test_replay_makes_the_cards_that_an_event_lacks_and_no_second_one(
    ministry: Ministry, telling: Telling, eventually: Eventually
) -> None:
    async with running(ministry) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        marked = telling.marked()
        await bridge.deliver(marked)
        await eventually(bridge.chat.cards)
        # As if its post had been unknown when it came.
        with bridge.engine.begin() as connection:
            row = connection.execute(select(cards.c.card_id)).scalar_one()
            for table in ("card_messages", "outbox_matrix"):
                connection.exec_driver_sql(f"DELETE FROM {table} WHERE card_id = {row}")  # noqa: S608
            connection.execute(delete(cards))

        dry = await rabta(ministry, "replay", "--event", marked.id, "--dry-run")
        assert dry == (0, "card for ITT-DS-ADMN\n1 cards would be made\n")
        made = await rabta(ministry, "replay", "--event", marked.id)
        assert made == (0, "card for ITT-DS-ADMN\n1 cards made\n")
        assert await rabta(ministry, "replay", "--event", marked.id) == (0, "0 cards made\n")
        with bridge.engine.begin() as connection:
            queued = connection.execute(
                select(outbox.c.part).join(cards, cards.c.card_id == outbox.c.card_id)
            ).scalars()
            assert queued.all() == ["issue"]
        code, said = await rabta(ministry, "replay", "--event", "no-such-event")
        assert (code, "no-such-event" in said) == (1, True)


async def test_a_stop_lets_what_is_in_hand_be_finished(
    ministry: Ministry, telling: Telling
) -> None:
    class Slow(Recorder):
        """A homeserver that takes its time with the card."""

        def __post_init__(self) -> None:
            super().__post_init__()
            self.sending, self.go_on = asyncio.Event(), asyncio.Event()

        async def send(self, *arguments: Any, **how: Any) -> str:
            self.sending.set()
            await self.go_on.wait()
            return await super().send(*arguments, **how)

    chat = Slow()
    async with running(ministry, chat) as bridge:
        await bridge.deliver(telling.charge("ITT-DS-ADMN", "p-2"))
        await bridge.deliver(telling.marked())
        await chat.sending.wait()
        bridge.bridge.stop()
        chat.go_on.set()
    assert len(chat.cards()) == 1
    # The engine is closed: what the store says is read by the next process.
    async with running(ministry, Recorder()) as bridge:
        with bridge.engine.begin() as connection:
            assert connection.execute(select(outbox.c.state)).scalars().all() == ["sent"]
            assert connection.execute(select(commands)).all() == []


# Several ministries in one deployment.


def two(tmp_path: Path, hands: Any) -> list[Path]:
    """Settings of two ministries on one machine, whose homeservers are away."""
    configs = []
    for name in ("itt", "fin"):
        home = tmp_path / name
        home.mkdir()
        ministry = Ministry(home, hands)
        document = ministry.document(listen={"host": "127.0.0.1", "port": free_port()})
        document["matrix"]["user_id"] = f"@rabta:{name}.gov.test"
        config = home / "bridge.yaml"
        config.write_text(yaml.safe_dump(document), encoding="utf-8")
        configs.append(config)
    return configs


def test_two_ministries_may_not_share_an_account_a_store_or_a_port(
    tmp_path: Path, hands: Any
) -> None:
    first, second = two(tmp_path, hands)
    second.write_text(first.read_text(), encoding="utf-8")
    result = CliRunner().invoke(
        command_line, ["run", "--config", str(first), "--config", str(second)]
    )
    assert result.exit_code == 1
    for name in ("matrix.user_id", "database.url", "listen.port"):
        assert f"{second}: {name}" in result.output


async def test_a_process_each_serves_two_ministries_and_one_that_dies_is_started_again(
    tmp_path: Path, hands: Any, eventually: Eventually
) -> None:
    configs = two(tmp_path, hands)
    log = tmp_path / "log"
    with log.open("wb") as file:
        parent = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [sys.executable, "-m", "rabta_deploy.cli", "bridge", "run"]
            + [part for config in configs for part in ("--config", str(config))],
            stderr=file,
        )
    try:
        urls = [
            f"http://127.0.0.1:{yaml.safe_load(config.read_text())['listen']['port']}/health/live"
            for config in configs
        ]

        async def alive(url: str) -> bool:
            try:
                async with aiohttp.ClientSession() as session, session.get(url) as answer:
                    return answer.status == 200
            except aiohttp.ClientError:
                return False

        for url in urls:
            await eventually(lambda url=url: alive(url), within_s=60, what=url)

        def started() -> list[int]:
            lines = [json.loads(line) for line in log.read_text().splitlines()]
            return [line["pid"] for line in lines if line["event"] == "bridge-started"]

        os.kill(started()[0], signal.SIGKILL)
        await eventually(lambda: len(started()) == 3, within_s=60)
        for url in urls:
            await eventually(lambda url=url: alive(url), within_s=60, what=url)
    finally:
        parent.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(parent.wait, 60)
    assert code == 0, log.read_text()
    written = log.read_text()
    assert written.count('"bridge-stopped"') == 2
    assert not re.search("Traceback", written)
    assert until(lambda: not any(_exists(pid) for pid in started()), within_s=10)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
