"""The store of a bot on libolm is taken over: the same device goes on, and old messages open."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import olm
import pytest
from click.testing import CliRunner, Result
from loose_parts import MEGOLM, OLM, Clock, Parts
from ministry import Hands, Ministry, secret_file
from nio.store import SqliteStore
from recorder import BOT
from sqlalchemy import create_engine

from rabta_bots.matrix.machine import Decrypted
from rabta_bots.matrix.sealing import Seal
from rabta_bots.store.lease import lease_on
from rabta_deploy.cli.bridge import bridge as command_line

ROOM = "!room:itt.gov.test"
FRIEND = "@bilal:itt.gov.test"
PASSPHRASE = "DEFAULT_KEY"
DEVICE = "OLDBOT"


@dataclass
class OldBot:
    """A bot on libolm, in the tables of nio, and a friend who wrote to it."""

    path: Path
    account: olm.Account = field(default_factory=olm.Account)
    friend: olm.Account = field(default_factory=olm.Account)
    group: olm.OutboundGroupSession = field(default_factory=olm.OutboundGroupSession)

    def __post_init__(self) -> None:
        self.account.generate_one_time_keys(5)
        self.one_time_keys = list(self.account.one_time_keys["curve25519"].values())
        self.account.mark_keys_as_published()
        self.session = olm.OutboundSession(self.friend, self.curve, self.one_time_keys[0])
        first = self.session.encrypt("hello")
        theirs = olm.InboundSession(self.account, first)
        assert theirs.decrypt(first) == "hello"
        self.account.remove_one_time_keys(theirs)
        room_key = olm.InboundGroupSession(self.group.session_key)
        self.early = self.message("before the import")
        SqliteStore(BOT, DEVICE, str(self.path.parent), "", self.path.name).database.close()
        when = "2024-03-01 09:00:00.000000"
        with closing(sqlite3.connect(self.path)) as nio:
            nio.execute(
                "INSERT INTO accounts (id, account, user_id, device_id, shared)"
                " VALUES (1, ?, ?, ?, 1)",
                [self.account.pickle(PASSPHRASE), BOT, DEVICE],
            )
            nio.execute(
                "INSERT INTO olmsessions (session_id, session, sender_key, account_id,"
                " creation_time, last_usage_date) VALUES (?, ?, ?, 1, ?, ?)",
                [theirs.id, theirs.pickle(PASSPHRASE), self.friend_curve, when, when],
            )
            nio.execute(
                "INSERT INTO megolminboundsessions (session_id, session, sender_key, fp_key,"
                " room_id, account_id) VALUES (?, ?, ?, ?, ?, 1)",
                [
                    *(room_key.id, room_key.pickle(PASSPHRASE), self.friend_curve),
                    *(self.friend.identity_keys["ed25519"], ROOM),
                ],
            )
            nio.commit()

    @property
    def curve(self) -> str:
        return str(self.account.identity_keys["curve25519"])

    @property
    def friend_curve(self) -> str:
        return str(self.friend.identity_keys["curve25519"])

    def message(self, body: str) -> dict[str, Any]:
        """A room event of the friend."""
        payload = {"type": "m.room.message", "room_id": ROOM, "content": {"body": body}}
        return {
            "type": "m.room.encrypted",
            "event_id": f"${len(body)}",
            "sender": FRIEND,
            "content": {
                "algorithm": MEGOLM,
                "session_id": self.group.id,
                "ciphertext": self.group.encrypt(json.dumps(payload)),
            },
        }

    def letter(self, session: olm.Session, group: olm.OutboundGroupSession) -> dict[str, Any]:
        """An Olm letter of the friend with a room key."""
        payload = {
            "type": "m.room_key",
            "sender": FRIEND,
            "keys": {"ed25519": self.friend.identity_keys["ed25519"]},
            "recipient": BOT,
            "recipient_keys": {"ed25519": self.account.identity_keys["ed25519"]},
            "content": {
                "algorithm": MEGOLM,
                "room_id": ROOM,
                "session_id": group.id,
                "session_key": group.session_key,
            },
        }
        made = session.encrypt(json.dumps(payload))
        cipher = {"type": made.message_type, "body": made.ciphertext}
        content = {
            "algorithm": OLM,
            "sender_key": self.friend_curve,
            "ciphertext": {self.curve: cipher},
        }
        return {"type": "m.room.encrypted", "sender": FRIEND, "content": content}


@pytest.fixture
def place(tmp_path: Path, hands: Hands) -> Ministry:
    ministry = Ministry(tmp_path, hands)
    (tmp_path / "bridge.yaml").write_text(json.dumps(ministry.document()))
    secret_file(tmp_path / "passphrase", PASSPHRASE)
    return ministry


@pytest.fixture
def old(tmp_path: Path) -> OldBot:
    return OldBot(tmp_path / "nio.db")


def _import(place: Ministry, source: Path, words: str = "passphrase") -> Result:
    home = place.home
    arguments = ["--config", home / "bridge.yaml", "--store", source]
    arguments += ["--passphrase-file", home / words]
    return CliRunner().invoke(command_line, ["import-store", *map(str, arguments)])


def _ours(place: Ministry, clock: Clock) -> Parts:
    url = place.settings().database.full_url()
    seal = Seal.from_file(place.home / "store.key")
    return Parts(create_engine(url), clock, "http://127.0.0.1:9", seal)


async def test_the_same_device_goes_on_and_reads_what_was_written_before_and_after(
    place: Ministry, old: OldBot, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = _import(place, old.path)
    assert (done.exit_code, done.output) == (0, "device OLDBOT: 1 Olm sessions, 1 room keys\n")
    monkeypatch.setattr(Parts, "user_id", BOT)
    monkeypatch.setattr(Parts, "device_id", DEVICE)
    ours = _ours(place, clock)
    machine = ours.state.machine
    assert machine.account.identity_keys == old.account.identity_keys
    assert machine.account.shared
    for event, body in (
        (old.early, "before the import"),
        (old.message("after it"), "after it"),
    ):
        read = machine.read(event, ROOM)
        assert isinstance(read, Decrypted)
        assert (read.content["body"], read.sender_key) == (body, old.friend_curve)
    # The Olm session goes on, and a one-time key that was published before still opens one.
    again = olm.OutboundSession(old.friend, old.curve, old.one_time_keys[1])
    for number, session in enumerate((old.session, again)):
        group = olm.OutboundGroupSession()
        sync = {"next_batch": f"s{number}", "to_device": {"events": [old.letter(session, group)]}}
        await ours.receiving.apply(sync, {})
        assert [key.sender_key for key in ours.store.room_sessions(ROOM, group.id)] == [
            old.friend_curve
        ]
    ours.engine.dispose()


def _not_sqlite(place: Ministry, _old: OldBot) -> Path:
    path = place.home / "letter.txt"
    path.write_text("Dear Sir,")
    return path


def _foreign_tables(place: Ministry, _old: OldBot) -> Path:
    path = place.home / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE accounts (id INTEGER)")
    return path


def _somebody_elses(_place: Ministry, old: OldBot) -> Path:
    with closing(sqlite3.connect(old.path)) as nio:
        nio.execute("UPDATE accounts SET user_id = '@other:itt.gov.test'")
        nio.commit()
    return old.path


def _two_devices(_place: Ministry, old: OldBot) -> Path:
    with closing(sqlite3.connect(old.path)) as nio:
        nio.execute(
            "INSERT INTO accounts (id, account, user_id, device_id, shared)"
            " SELECT 2, account, user_id, 'SECOND', shared FROM accounts"
        )
        nio.commit()
    return old.path


def _spoiled(_place: Ministry, old: OldBot) -> Path:
    with closing(sqlite3.connect(old.path)) as nio:
        nio.execute("UPDATE megolminboundsessions SET session = 'AAAA'")
        nio.commit()
    return old.path


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (_not_sqlite, "import-not-a-store"),
        (_foreign_tables, "import-not-a-store"),
        (_somebody_elses, "import-another-account"),
        (_two_devices, "import-several-devices"),
        (_spoiled, "import-passphrase-wrong"),
    ],
)
def test_what_is_no_store_of_ours_is_refused_and_nothing_is_kept(
    place: Ministry, old: OldBot, source: Callable[[Ministry, OldBot], Path], reason: str
) -> None:
    done = _import(place, source(place, old))
    assert done.exit_code == 1
    assert reason in done.output
    # Nothing is in the way of the right file.
    good = OldBot(place.home / "good.db")
    assert _import(place, good.path).exit_code == 0


def test_a_wrong_passphrase_is_told(place: Ministry, old: OldBot) -> None:
    secret_file(place.home / "wrong", "another passphrase")
    done = _import(place, old.path, "wrong")
    assert done.exit_code == 1
    assert "import-passphrase-wrong" in done.output
    assert _import(place, old.path).exit_code == 0


def test_a_used_store_and_a_running_bridge_are_left_alone(place: Ministry, old: OldBot) -> None:
    lease = lease_on(place.settings().database.full_url(), BOT)
    assert lease.take()
    done = _import(place, old.path)
    assert (done.exit_code, f"a bridge of {BOT} is running" in done.output) == (1, True)
    lease.release()
    assert _import(place, old.path).exit_code == 0
    done = _import(place, old.path)
    assert (done.exit_code, "import-target-used" in done.output) == (1, True)


def test_the_running_bridge_never_imports_libolm() -> None:
    program = (
        "import sys, rabta_bots.alone, rabta_deploy.cli.bridge;"
        " sys.exit(any(name.partition('.')[0] == 'olm' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
