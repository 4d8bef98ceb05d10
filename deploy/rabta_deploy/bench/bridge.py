"""(c) The bridge beside its ceiling: ready-made ciphertext sent as fast as the homeserver takes it.

Every figure of the bridge stands beside what the same homeserver does in the same run: rounds of
raw sends and rounds of bridged events take turns. Growth is measured with real rooms for the
traffic, and with rows of the bridge's own store (rooms, posts, charges, pending cards, devices,
sessions) for those that only lie there: 10,000 real rooms would keep this machine for an hour.
"""

import asyncio
import sqlite3
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from rabta_deploy.bench.bridge_growth import fill
from rabta_deploy.bench.bridge_raw import RawRooms
from rabta_deploy.bench.bridge_stage import (
    BOT,
    OFFICER,
    OFFICER_PERSON,
    PASSWORD,
    SERVER,
    Stage,
    cpu_of,
    now,
)
from rabta_deploy.bench.measure import Measure
from rabta_deploy.officer import Officer

ROOMS = 10
ROUNDS, EVENTS = 5, 200
LATENCIES = 40
GROWTH = (1_000, 10_000)
SHARE_TARGET = 1 / 0.9
LATENCY_TARGET = 1.5
_PATIENCE_S = 300
_LOOK_S = 0.2


def bridge(template: Path) -> list[Measure]:
    """Events bridged beside raw sends, latency beside a plain send, cost, and growth.

    Args:
        template: the policy that names the homeserver.
    """
    with tempfile.TemporaryDirectory(prefix="rabta-bench-") as folder:
        return asyncio.run(_bridge(Path(folder), template))


@dataclass(frozen=True, slots=True)
class _Spent:
    """What one round took: wall seconds, CPU seconds of bridge and homeserver, per event."""

    wall: float
    bridge: float
    homeserver: float


async def _bridge(home: Path, template: Path) -> list[Measure]:
    async with Stage(home, template) as stage, Officer() as officer:
        account = await officer.login(
            stage.homeserver.client_url, OFFICER, PASSWORD, create_identity=True
        )
        play = _Play(stage, officer, str(account["user_id"]))
        await stage.bridge.start(play.persons)
        await play.open_rooms()
        measures = await play.latency()
        # A client that reads along would slow raw sends and bridged ones alike.
        await officer.close()
        small, further = await play.throughput()
        measures += further
        for rooms in GROWTH:
            measures += await play.grown(rooms, small)
        return measures


class _Play:
    """The bench's steps, in their order.

    Args:
        stage: Homeserver, e-Office and bridge.
        officer: Who holds every post of the traffic.
        user_id: The officer's account.
    """

    def __init__(self, stage: Stage, officer: Officer, user_id: str) -> None:
        self._stage = stage
        self._officer = officer
        self._user_id = user_id
        self.persons: dict[str, Any] = {OFFICER_PERSON: {"user_id": user_id, "name": "The Officer"}}
        self._last: dict[str, str] = {}

    async def open_rooms(self) -> None:
        """Let the bridge make its rooms by a first card in each; make as many raw ones."""
        stage = self._stage
        charges = [stage.eoffice.charge(number, OFFICER_PERSON) for number in range(ROOMS)]
        await stage.eoffice.push_batches(stage.session, charges)
        first = [stage.eoffice.marked(number) for number in range(ROOMS)]
        await stage.eoffice.push(stage.session, first)
        await self._shown(ROOMS)
        self._rooms = [
            room for _, room in sorted(self._query("SELECT post_id, room_id FROM post_rooms"))
        ]
        for room in self._rooms:
            await self._officer.join(room)
        bot = f"@{BOT}:{SERVER}"
        messages = await self._officer.messages(self._rooms[0])
        card = next(one for one in messages if one["sender"] == bot)
        self._raw = RawRooms(stage.homeserver, self._user_id)
        await self._raw.open(ROOMS, like=(self._rooms[0], str(card["event_id"])))
        for room in self._raw.rooms:
            await self._officer.join(room)

    # -- latency --------------------------------------------------------------------------------

    async def latency(self) -> list[Measure]:
        """From the webhook's answer to the decrypted card, and a plain send to the same client."""
        ours, plain = [], []
        for turn in range(LATENCIES + 2):
            card, sent = await self._card_latency(turn), await self._plain_latency(turn)
            if turn > 1:  # the first ones warm up
                ours.append(card * 1000)
                plain.append(sent * 1000)
        return [
            Measure(
                "webhook answered to decrypted card, to a plain send to sync: median",
                median(ours),
                median(plain),
                "ms",
                LATENCY_TARGET,
            ),
            Measure("the same, the slowest of twenty", _slow(ours), _slow(plain), "ms"),
        ]

    async def _card_latency(self, turn: int) -> float:
        stage, number = self._stage, turn % ROOMS
        event = stage.eoffice.marked(number)
        assert event.data.file is not None  # noqa: S101 - it is a file's event
        file_no = event.data.file.file_no
        async with asyncio.TaskGroup() as together:
            wanted = together.create_task(
                self._officer.wait_message(self._rooms[number], contains=file_no)
            )
            pushed = together.create_task(stage.eoffice.push(stage.session, [event]))
            wanted.add_done_callback(lambda _: seen.append(time.perf_counter()))
            seen: list[float] = []
        if not wanted.result()["decrypted"]:
            raise RuntimeError("the officer could not read a card")
        return seen[0] - pushed.result()

    async def _plain_latency(self, turn: int) -> float:
        room = self._raw.rooms[turn % ROOMS]
        seen: list[float] = []
        async with asyncio.TaskGroup() as together:
            wanted = together.create_task(
                self._officer.wait_message(
                    room, sender=self._raw.user_id, after=self._last.get(room)
                )
            )
            wanted.add_done_callback(lambda _: seen.append(time.perf_counter()))
            begun = time.perf_counter()
            together.create_task(self._raw.send_one(room))
        self._last[room] = str(wanted.result()["event_id"])
        return seen[0] - begun

    # -- throughput -----------------------------------------------------------------------------

    async def throughput(self) -> tuple[_Spent, list[Measure]]:
        """Rounds of raw sends and of bridged events, in turns."""
        raw, ours = await self._rounds(ROUNDS)
        return ours, [
            Measure(
                f"seconds per event bridged, to a raw send ({1 / ours.wall:.0f} to "
                f"{1 / raw.wall:.0f} a second)",
                ours.wall * 1000,
                raw.wall * 1000,
                "ms",
                SHARE_TARGET,
            ),
            Measure(
                "the homeserver's CPU per 1,000: events bridged, to raw sends",
                ours.homeserver * 1000,
                raw.homeserver * 1000,
                "CPU s",
            ),
            Measure(
                "CPU per 1,000 events: the bridge's, to the homeserver's for raw sends",
                ours.bridge * 1000,
                raw.homeserver * 1000,
                "CPU s",
            ),
        ]

    async def _rounds(self, count: int) -> tuple[_Spent, _Spent]:
        await self._bridged()  # the caches warm up before anything counts
        await self._raw_round()
        raw, ours = [], []
        for turn in range(count):
            if turn % 2:
                raw.append(await self._raw_round())
                ours.append(await self._bridged())
            else:
                ours.append(await self._bridged())
                raw.append(await self._raw_round())
        return _middle(raw), _middle(ours)

    async def _bridged(self) -> _Spent:
        stage = self._stage
        before = self._count()
        events = [stage.eoffice.marked(turn % ROOMS) for turn in range(EVENTS)]
        spent = stage.bridge.cpu(), cpu_of(stage.homeserver.child)
        begun = now()
        await stage.eoffice.push(stage.session, events)
        await self._shown(before + EVENTS)
        (row,) = self._query("SELECT max(at) FROM audit")
        ended = datetime.fromisoformat(f"{row[0]}+00:00")
        cpu, homeserver = stage.bridge.cpu(), cpu_of(stage.homeserver.child)
        return _Spent(
            (ended - begun).total_seconds() / EVENTS,
            (cpu - spent[0]) / EVENTS,
            (homeserver - spent[1]) / EVENTS,
        )

    async def _raw_round(self) -> _Spent:
        before, begun = cpu_of(self._stage.homeserver.child), time.perf_counter()
        await self._raw.send(EVENTS)
        wall = time.perf_counter() - begun
        spent = cpu_of(self._stage.homeserver.child) - before
        return _Spent(wall / EVENTS, 0, spent / EVENTS)

    # -- growth ---------------------------------------------------------------------------------

    async def grown(self, rooms: int, small: _Spent) -> list[Measure]:
        """The same with so many rooms in the bridge's store."""
        stage = self._stage
        memory = stage.bridge.memory()
        stage.bridge.stop()
        self.persons |= fill(stage.bridge.database, rooms, SERVER)
        started = await stage.bridge.start(self.persons)
        raw, ours = await self._rounds(ROUNDS)
        told = f"{rooms:,} rooms in the store"
        return [
            Measure(
                f"{told}: seconds per event bridged, to a raw send",
                ours.wall * 1000,
                raw.wall * 1000,
                "ms",
                SHARE_TARGET,
            ),
            Measure(
                f"{told}: the bridge's CPU per 1,000 events, to that with {ROOMS}",
                ours.bridge * 1000,
                small.bridge * 1000,
                "CPU s",
            ),
            Measure(
                f"{told}: resident memory after, to before",
                stage.bridge.memory() / 2**20,
                memory / 2**20,
                "MiB",
            ),
            Measure(f"{told}: start until ready", started, 1.0, "s"),
        ]

    # -- looking --------------------------------------------------------------------------------

    async def _shown(self, wanted: int) -> None:
        """Wait until so many cards stand in their rooms."""
        async with asyncio.timeout(_PATIENCE_S):
            while self._count() < wanted:  # noqa: ASYNC110 - another process fills the store
                await asyncio.sleep(_LOOK_S)

    def _count(self) -> int:
        (row,) = self._query("SELECT count(*) FROM audit WHERE what = 'card-shown'")
        return int(row[0])

    def _query(self, text: str) -> list[Any]:
        """Ask the bridge's store, beside the bridge; SQLite's log lets us read along."""
        with sqlite3.connect(f"file:{self._stage.bridge.database}?mode=ro", uri=True) as store:
            return store.execute(text).fetchall()


def _slow(samples: list[float]) -> float:
    return sorted(samples)[int(len(samples) * 0.95)]


def _middle(rounds: list[_Spent]) -> _Spent:
    return _Spent(
        median(one.wall for one in rounds),
        median(one.bridge for one in rounds),
        median(one.homeserver for one in rounds),
    )
