"""Tells the operators' room what needs a person: once when it begins or grows, once when it ends.

Numbers, codes, sources and accounts alone: nothing of any file is told here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from rabta_bots.addresses import OPERATORS
from rabta_bots.chat import Chat
from rabta_bots.clock import Clock
from rabta_bots.store.alarms import keep_alarms, last_heard, lowest_gap, raised_alarms
from rabta_bots.store.dead_letters import dead_count
from rabta_bots.store.events import closed_mark
from rabta_bots.store.opening import in_store
from rabta_bots.store.outbox import enqueue_addressed
from rabta_bots.store.shared_rooms import want_room

MOST_NAMED = 10


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must look at.

    Args:
        name: What, stable; docs/reference/rooms.md has them all.
        level: Rises with how bad it is: a count, or the number of what is missing.
        words: What is told, without content.
    """

    name: str
    level: int
    words: str


@dataclass(frozen=True, slots=True)
class Watch:
    """What is watched.

    Args:
        operators: Matrix users who are told; nobody: nothing is told.
        sources: The CloudEvents sources that must be heard.
        silent_after: A source that sent nothing for so long is silent.
        unreadable_after: A message without its key is told after so long.
        start_after: The closed mark of a source that nothing came from yet.
    """

    operators: tuple[str, ...]
    sources: tuple[str, ...]
    silent_after: timedelta
    unreadable_after: timedelta
    start_after: int


class Alarms:
    """Looks at the store and the client, and tells what changed."""

    def __init__(self, chat: Chat, engine: Engine, clock: Clock, watch: Watch) -> None:
        self._chat = chat
        self._engine = engine
        self._clock = clock
        self._watch = watch
        self._since = clock()

    async def look(self) -> bool:
        """Tell what began, grew or ended; True when there is something to send."""
        if not self._watch.operators:
            return False
        client = self._of_client()
        now = self._clock()

        def tell(connection: Connection) -> bool:
            found = [*self._of_sources(connection, now), *client, *_of_letters(connection)]
            return _tell(connection, {alarm.name: alarm for alarm in found}, now)

        return await in_store(self._engine, tell)

    def _of_client(self) -> list[Alarm]:
        found = []
        unread = self._chat.undecryptable(older_than=self._watch.unreadable_after)
        if unread:
            words = (
                f"{len(unread)} messages cannot be read: {_some({one.reason for one in unread})}"
            )
            found.append(Alarm("undecryptable", len(unread), words))
        changed = self._chat.changed_identities()
        if changed:
            words = f"identity changed, nothing is sent until acknowledged: {_some(changed)}"
            found.append(Alarm("identity-changed", len(changed), words))
        return found

    def _of_sources(self, connection: Connection, now: datetime) -> list[Alarm]:
        found = []
        for source in self._watch.sources:
            heard = last_heard(connection, source) or self._since
            if now - heard >= self._watch.silent_after:
                minutes = int(self._watch.silent_after.total_seconds() // 60)
                words = f"{source} has sent nothing for {minutes} minutes, not even a heartbeat"
                found.append(Alarm(f"source-silent {source}", 1, words))
            missing = lowest_gap(
                connection, source, closed_mark(connection, source, self._watch.start_after)
            )
            if missing is not None:
                words = f"{source} lacks number {missing}; later ones wait for it"
                found.append(Alarm(f"source-gap {source}", missing, words))
        return found


def _of_letters(connection: Connection) -> list[Alarm]:
    counts = dead_count(connection)
    total = sum(counts.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()) if count)
    words = f"dead letters: {kinds}; see `rabta bridge dead-letters list`"
    return [Alarm("dead-letters", total, words)] if total else []


def _tell(connection: Connection, standing: Mapping[str, Alarm], now: datetime) -> bool:
    before = raised_alarms(connection)
    told = {
        f"{name}|{alarm.level}": f"ALARM {name}: {alarm.words}"
        for name, alarm in sorted(standing.items())
        if alarm.level > before.get(name, 0)
    }
    told |= {f"{name}|over": f"OVER {name}" for name in sorted(before.keys() - standing.keys())}
    if not told:
        return False
    keep_alarms(connection, {name: alarm.level for name, alarm in standing.items()}, now)
    want_room(connection, OPERATORS, now)
    for key, words in told.items():
        enqueue_addressed(
            connection,
            OPERATORS,
            part="alarm",
            key=f"alarm|{key}|{now.isoformat()}",
            draft={"words": {"en": words, "ur": words}},
            now=now,
        )
    return True


def _some(names: Collection[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return ", ".join(listed[:MOST_NAMED]) + more
