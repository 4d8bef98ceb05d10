"""What the fuzzer throws at the bridge, and what must hold after every throw.

A throw is a JSON document. With `webhook` in it, or when it is no JSON at all, it is a delivery to
the door for events, signed as e-Office signs. Else it is what a homeserver may say:

    {"to_device": [], "state": [], "timeline": [], "rest": .., "olm": .., "megolm": .., "keys": ..}

`olm` and `megolm` are sealed in a good Olm letter and a good room event before they go in; `keys`
is the answer of `/keys/query`. Words such as `$SESSION_KEY` stand for keys of the run.
"""

import asyncio
import itertools
import json
import tempfile
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from loose_parts import Clock, Parts, Phone, Scripted
from ministry import Hands, Ministry, running
from sqlalchemy import create_engine, event, func, select
from sqlalchemy.pool import StaticPool

from rabta_bots.matrix import metadata, tables
from rabta_bots.matrix.sealing import Seal
from rabta_bots.store.tables import events

ROOM = "!room:itt.gov.test"
OFFICER = "@officer:itt.gov.test"
ANSWERS = frozenset({200, 202, 400, 401, 409, 413, 415, 429, 503})
# A new account after so many throws, so that a run does not slow down with what it keeps.
_FRESH_AFTER = 200


def _no_poison(_conn: Any, _cursor: Any, _statement: str, parameters: Any, *_: Any) -> None:
    """What SQLite swallows and PostgreSQL refuses would fail the sync there, for ever."""
    for value in _strings(parameters):
        if "\x00" in value:
            raise AssertionError("a NUL went to the database")
        value.encode()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _strings(list(value.values()))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)


class Target:
    """A client's parts and a whole bridge's door, in one loop, for throw after throw."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self._numbers = itertools.count(1)
        self._scripted = Scripted()
        self._accepted = 0
        self._client: tuple[Parts, Phone, Any] | None = None
        self._loop.run_until_complete(self._open())

    def close(self) -> None:
        """End everything."""
        if self._client is not None:
            self._loop.run_until_complete(self._forget(self._client[0]))
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._scripted.handle)
        server = TestServer(app)
        await server.start_server()
        self._stack.push_async_callback(server.close)
        self._scripted.url = f"http://127.0.0.1:{server.port}"
        home = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        ministry = Ministry(home, Hands())
        limits = {"gap_wait_seconds": 0, "max_body_bytes": 65536, "max_waiting": 10**9}
        self._bridge = await self._stack.enter_async_context(running(ministry, intake=limits))

    def throw(self, data: bytes) -> None:
        """One throw; raises whatever breaks."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            self._loop.run_until_complete(self._deliver(data))
        elif "webhook" in document:
            body = json.dumps(document["webhook"]).encode()
            self._loop.run_until_complete(self._deliver(body))
        else:
            self._loop.run_until_complete(self._sync(document))

    # -- the door for events ---------------------------------------------------------------------

    async def _deliver(self, body: bytes) -> None:
        number = next(self._numbers)
        kind = "application/cloudevents-batch+json" if body[:1] == b"[" else None
        status, answer, _ = await self._bridge.deliver(
            body=body,
            webhook_id=f"wh-{number}",
            media_type=kind or "application/cloudevents+json",
        )
        if status not in ANSWERS:
            raise AssertionError(f"the door answered {status}")
        self._accepted += answer["stored"] if status == 202 else 0
        with self._bridge.engine.begin() as connection:
            kept = connection.execute(select(func.count()).select_from(events)).scalar_one()
        if kept != self._accepted:
            raise AssertionError(f"{self._accepted} events were answered 202, {kept} are kept")

    # -- the homeserver ---------------------------------------------------------------------------

    async def _fresh(self) -> tuple[Parts, Phone, Any]:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(engine)
        event.listen(engine, "before_cursor_execute", _no_poison)
        ours = Parts(engine, Clock(), self._scripted.url, Seal(bytes(32)))
        await ours.wire.open()
        with ours.state.transaction():
            account = ours.state.machine.account
            account.generate_one_time_keys(1)
            ours.state.machine.save_account()
        (one_time_key,) = account.one_time_keys["curve25519"].values()
        person = Phone(OFFICER)
        return ours, person, person.olm_session(ours, one_time_key)

    async def _forget(self, ours: Parts) -> None:
        await ours.wire.close()
        ours.engine.dispose()

    async def _sync(self, document: dict[str, Any]) -> None:
        number = next(self._numbers)
        if self._client is not None and number % _FRESH_AFTER == 0:
            await self._forget(self._client[0])
            self._client = None
        if self._client is None:
            self._client = await self._fresh()
        ours, person, olm = self._client
        document = _with_keys(document, ours, person, number)
        sync, good = _sync_of(document, ours, person, olm, number)
        timeline = [one for one in _list(document.get("timeline")) if isinstance(one, dict)]
        await ours.receiving.apply(sync, {ROOM: timeline})
        if ours.rows(tables.account)[0].sync_token != sync["next_batch"]:
            raise AssertionError("the sync token did not move")
        if good not in {row.event_id for row in ours.rows(tables.received)}:
            raise AssertionError("the good event of the sync was not received")
        if isinstance(document.get("keys"), dict):
            self._scripted.answers["keys/query"] = lambda *_: (200, document["keys"])
            await ours.trust.refresh([OFFICER])
        ours.inbox.received(500)
        # And all that was kept can be loaded again.
        ours.state.forget()
        _ = ours.state.machine, ours.state.identities


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _sync_of(
    document: dict[str, Any], ours: Parts, person: Phone, olm: Any, number: int
) -> tuple[dict[str, Any], str]:
    """A sync response that holds the throw and one good event; gives that event's id too."""
    to_device = _list(document.get("to_device"))
    timeline = _list(document.get("timeline"))
    if "olm" in document:
        to_device.append(person.sealed(olm, ours, json.dumps(document["olm"]).encode()))
    if "megolm" in document:
        plaintext = json.dumps(document["megolm"]).encode()
        timeline.append(person.sealed_event(f"$megolm{number}", plaintext))
    good = f"$good{number}"
    event = {"type": "m.room.message", "event_id": good, "sender": OFFICER, "content": {}}
    state, rest = document.get("state"), document.get("rest")
    room = {"state": {"events": state}, "timeline": {"events": [*timeline, event]}}
    sync = {
        "next_batch": f"s{number}",
        "to_device": {"events": to_device},
        "device_lists": {"changed": rest, "left": rest},
        "rooms": {
            "join": {ROOM: room, "not a room": rest, "!other:itt.gov.test": rest},
            "invite": {"!invited:itt.gov.test": {"invite_state": {"events": state}}},
            "leave": rest,
        },
    }
    return sync, good


def _with_keys(document: dict[str, Any], ours: Parts, person: Phone, number: int) -> dict[str, Any]:
    """The throw with the keys of the run in the place of their names."""
    names = {
        "$SESSION_ID": person.group.session_id,
        "$SESSION_KEY": person.group.session_key.to_base64(),
        "$CURVE": person.curve,
        "$ED": person.account.ed25519_key.to_base64(),
        "$OURS": ours.state.machine.account.identity_keys["ed25519"],
        "$EVENT": f"$throw{number}",
    }
    query = person.query

    def placed(value: Any) -> Any:
        if isinstance(value, str):
            return query if value == "$QUERY" else names.get(value, value)
        if isinstance(value, list):
            return [placed(one) for one in value]
        if isinstance(value, dict):
            return {names.get(key, key): placed(one) for key, one in value.items()}
        return value

    made: dict[str, Any] = placed(document)
    return made
